package simulate

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"prow/internal/tide/sim"
)

// A few merges by default; "make simulate-million" plays a million.
const mergesByDefault = 3000

const cheapest = "good fast jobs"

// harder makes a scenario worse by its seed: one in two has a forge that fails, a
// process that is killed, pushes, late comments and refusals beside what it is about.
// It is short, since long queues take long to plan; but the one in which merges are
// cheap goes on for long where it is not made worse.
func harder(sc sim.Scenario, seed uint64, target int) sim.Scenario {
	sc.Hours, sc.Warmup, sc.Drain, sc.Seed = min(12, 50/max(sc.Arrivals.PerHour, 1)), 0.1, 24, seed
	sc.Arrivals.Burst, sc.Arrivals.BurstAfter = min(sc.Arrivals.Burst, 20), 0
	sc.Tide.MaxRuns = min(sc.CI.Capacity, 12)
	if seed%2 == 0 {
		if sc.Name == cheapest {
			sc.Hours = max(sc.Hours, min(240, float64(target)/1000))
		}
		return sc
	}
	f := &sc.Faults
	f.API, f.Crashes = max(f.API, 0.01), max(f.Crashes, 0.01)
	f.Refused, f.BaseModified = max(f.Refused, 0.01), max(f.BaseModified, 0.01)
	f.Foreign = max(f.Foreign, 0.05)
	p := &sc.Pulls
	p.Conflicts, p.Dependent = max(p.Conflicts, 0.02), max(p.Dependent, 0.02)
	p.Pushes, p.Holds = max(p.Pushes, 0.03), max(p.Holds, 0.02)
	return sc
}

// TestNothingUnprovenIsEverMerged plays all scenarios, with each planner, again and
// again with other seeds, and expects no violation.
func TestNothingUnprovenIsEverMerged(t *testing.T) {
	target := mergesByDefault
	if text := os.Getenv("PROW_SIMULATE_MERGES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("PROW_SIMULATE_MERGES=%s: %v", text, err)
		}
		target = n
	}
	scenarios, err := builtin(nil)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	for _, c := range sim.Contestants {
		t.Run(c.Name, func(t *testing.T) {
			merged, runs, crashes, faults, stuck, untold := 0, 0, 0, 0, 0, 0
			took := map[string]time.Duration{}
			got := map[string]int{}
			for seed := uint64(1); merged < target/len(sim.Contestants); seed++ {
				for _, sc := range scenarios {
					sc = harder(sc, seed, target)
					sc.Compatible = c.Compatible
					began := time.Now()
					r, err := sim.Run(sc, c.Plan)
					if err != nil {
						t.Fatal(err)
					}
					took[sc.Name] += time.Since(began)
					got[sc.Name] += r.Merged
					merged, runs, crashes, faults = merged+r.Merged, runs+r.Runs, crashes+r.Crashes, faults+r.Faults
					if r.Violated > 0 {
						t.Errorf("%s, seed %d: %d violations: %q", sc.Name, seed, r.Violated, r.Violations)
					}
					if r.Unchecked > 0 {
						t.Errorf("%s, seed %d: the executor refused %d proposals: %s", sc.Name, seed, r.Unchecked, r.Complaints[0])
					}
					if !c.Compatible && (r.Stuck+r.Untold > 0 || r.Runaway) {
						stuck += r.Stuck
						untold += r.Untold
						t.Errorf("%s, seed %d: good pull requests were never merged: %v; of %d broken ones nobody was told; %d runs, without end: %v", sc.Name, seed, r.StuckPulls, r.Untold, r.Runs, r.Runaway)
					}
				}
			}
			t.Logf("%d merges, %d runs, %d crashes, %d failed calls, %d stuck, %d untold, in %s", merged, runs, crashes, faults, stuck, untold, time.Since(from).Round(time.Millisecond))
			for _, name := range slices.Sorted(maps.Keys(took)) {
				d := took[name]
				t.Logf("%-22s %7d merges, %8.0f a second", name, got[name], float64(got[name])/d.Seconds())
			}
		})
	}
}
