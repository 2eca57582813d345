package simulate

import (
	"math"
	"math/bits"
	"testing"
	"time"
)

// TestNoPlannerMergesMoreThanTheLimit compares the limit with the best of all choices
// where so few come that all can be tried.
func TestNoPlannerMergesMoreThanTheLimit(t *testing.T) {
	for name, tc := range map[string]struct {
		demand
		n     int
		above float64 // how far the limit may be from the truth
	}{
		"one run":                       {demand{runs: 1, bad: 0.1}, 5, 0.02},
		"one run, and many are bad":     {demand{runs: 1, bad: 0.4}, 5, 0.02},
		"two runs":                      {demand{runs: 2, bad: 0.1}, 5, 0.4},
		"three runs":                    {demand{runs: 3, bad: 0.2}, 4, 0.25},
		"runs that fail for no reason":  {demand{runs: 2, bad: 0.1, flakes: 0.3}, 4, 0.15},
		"nobody is bad":                 {demand{runs: 1}, 4, 0.001},
		"nobody is bad, but runs flake": {demand{runs: 1, flakes: 0.2}, 4, 0.001},
	} {
		t.Run(name, func(t *testing.T) {
			truth, got := tc.try(tc.n, nil), tc.best(tc.n)
			if got < truth-1e-9 {
				t.Errorf("%.4f of %d can be merged, and the limit is %.4f", truth, tc.n, got)
			}
			if got > truth+tc.above {
				t.Errorf("the limit is %.4f, far above the %.4f that can be merged", got, truth)
			}
		})
	}
}

// try is how many of n are merged at best, after every choice of subsets for the runs.
func (l *demand) try(n int, chosen []uint) float64 {
	best := 0.0
	if len(chosen) < l.runs {
		for set := range uint(1 << n) {
			best = max(best, l.try(n, append(chosen[:len(chosen):len(chosen)], set)))
		}
		return best
	}
	for culprits := range uint(1 << n) {
		b := bits.OnesCount(culprits)
		p := math.Pow(l.bad, float64(b)) * math.Pow(1-l.bad, float64(n-b))
		for fail := range 1 << l.runs {
			f := bits.OnesCount(uint(fail))
			q, most := p*math.Pow(l.flakes, float64(f))*math.Pow(1-l.flakes, float64(l.runs-f)), 0
			for i, set := range chosen {
				if fail>>i&1 == 0 && set&culprits == 0 {
					most = max(most, bits.OnesCount(set))
				}
			}
			best += q * float64(most)
		}
	}
	return best
}

func TestWhatNoPlannerCanDoInTime(t *testing.T) {
	l := demand{takes: time.Hour, runs: 40, perHour: 30, bad: 0.08, flakes: 0.02}
	if got := l.inTime(92 * time.Minute); got >= 0.95 || got < 0.9 {
		t.Errorf("%.3f are merged within 92 minutes", got)
	}
	if got := l.least(0.95); got < 95*time.Minute || got > 100*time.Minute {
		t.Errorf("95%% are merged within %s", got)
	}
	if got := l.inTime(59 * time.Minute); got != 0 {
		t.Errorf("%.3f are merged before a run can be over", got)
	}
	if got := l.inTime(2 * time.Hour); got != 1 {
		t.Errorf("only %.3f are merged within two runs", got)
	}
	for name, change := range map[string]func(*demand){
		"more runs":    func(l *demand) { l.runs = 400 },
		"fewer come":   func(l *demand) { l.perHour = 10 },
		"fewer bad":    func(l *demand) { l.bad = 0.02 },
		"fewer flakes": func(l *demand) { l.flakes = 0 },
	} {
		better := l
		change(&better)
		if was, is := l.inTime(92*time.Minute), better.inTime(92*time.Minute); is <= was {
			t.Errorf("%s: %.4f are merged in time rather than %.4f", name, is, was)
		}
	}
}
