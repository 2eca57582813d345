package simulate

import (
	"testing"

	"prow/internal/tide/sim"
)

// TestWhatSpeculationIsWorth holds the speculative planner to what it is for, in the
// scenario with jobs of an hour: at least five times the merges of the classic one,
// and hardly anybody rejected without reason.
func TestWhatSpeculationIsWorth(t *testing.T) {
	all, err := builtin([]string{"sixty-minute-jobs"})
	if err != nil {
		t.Fatal(err)
	}
	perHour := map[string]float64{}
	for _, c := range sim.Contestants {
		sc := all[0]
		sc.Hours, sc.Seed, sc.Compatible = 14, 4242, c.Compatible
		r, err := sim.Run(sc, c.Plan)
		if err != nil {
			t.Fatal(err)
		}
		perHour[c.Name] = r.PerHour
		t.Logf("%s: %.1f merges an hour, p95 %s, %d of %d rejected, %d falsely", c.Name, r.PerHour, r.P95, r.Rejected, r.Arrivals, r.FalseRejections)
		if r.Violated > 0 {
			t.Errorf("%s: %q", c.Name, r.Violations)
		}
		if r.FalseRejections*100 > r.Arrivals {
			t.Errorf("%s: %d of %d pull requests were rejected falsely", c.Name, r.FalseRejections, r.Arrivals)
		}
	}
	if perHour["speculative"] < 5*perHour["classic"] {
		t.Errorf("merges an hour: %v", perHour)
	}
}
