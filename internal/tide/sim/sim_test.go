package sim

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"prow/internal/tide/planner"
)

// sixty is the main scenario.
func sixty(seed uint64) Scenario {
	return Scenario{
		Name: "sixty-minute jobs", Seed: seed, Hours: 72,
		Arrivals: Arrivals{PerHour: 30},
		Pulls:    Pulls{Broken: 0.03, Pairs: 0.10},
		CI:       CI{Capacity: 40, Flakes: 0.02, Contexts: []Context{{Name: "e2e", Takes: Always(time.Hour)}}},
	}
}

// TestMain60 prints the main scenario with the classic planner and several batch limits.
func TestMain60(t *testing.T) {
	hours, seeds := 72.0, uint64(3)
	if testing.Short() || !testing.Verbose() {
		hours, seeds = 12, 1
	}
	var rows []Row
	for _, limit := range []int{5, 10, 0, -1} {
		for seed := range seeds {
			sc := sixty(seed)
			sc.Hours = hours
			sc.Compatible, sc.Tide.BatchLimit = true, limit
			r, err := Run(sc, planner.Classic)
			if err != nil {
				t.Fatal(err)
			}
			if r.Violated > 0 || r.Unchecked > 0 {
				t.Errorf("limit %d, seed %d: %q %q", limit, seed, r.Violations, r.Complaints)
			}
			rows = append(rows, Row{"classic", r})
		}
	}
	var b strings.Builder
	if err := WriteTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
}

func TestEqualScenariosGiveEqualReports(t *testing.T) {
	sc := sixty(7)
	sc.Hours, sc.Drain, sc.Compatible = 8, 8, true
	sc.Faults = Faults{API: 0.02, Crashes: 0.02, Refused: 0.05, Foreign: 0.5, ForeignBroken: 0.2, Blocks: 0.05}
	sc.Pulls.Conflicts, sc.Pulls.Dependent, sc.Pulls.Pushes, sc.Pulls.Holds = 0.1, 0.1, 0.1, 0.1
	first, err := Run(sc, planner.Classic)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := Run(sc, planner.Classic)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("%+v\n%+v", first, second)
	}
	if first.Violated > 0 || first.Unchecked > 0 {
		t.Errorf("%q %q", first.Violations, first.Complaints)
	}
}
