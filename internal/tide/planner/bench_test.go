package planner

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchPlace is a branch in the middle of its work: so many wait, so many trials run,
// and as many are over.
func benchPlace(pulls, running int) *Snapshot {
	r := rand.New(rand.NewPCG(1, uint64(pulls)))
	p := newPlace()
	for i := range 100 {
		p.Speculation.Landed = append(p.Speculation.Landed, head(1000+i))
	}
	p.BaseSHA = "base100"
	for i := 1; i <= pulls; i++ {
		p.pull(i)
	}
	p.Speculation.MaxRuns = running + 8
	for i := range 3 * running {
		var in []int
		for _, n := range r.Perm(pulls)[:min(pulls, 12)] {
			in = append(in, n+1)
		}
		state := RunPending
		if i < 2*running {
			state = []RunState{RunSuccess, RunFailure}[i%2]
		}
		p.trial(state, (i/4)%20*(1-i/(2*running)), in...)
	}
	for range 32 {
		plan := Speculative(p.Snapshot)
		for _, ask := range plan.Ask {
			if p.Speculation.Merges == nil {
				p.Speculation.Merges = map[string]Merged{}
			}
			p.Speculation.Merges[Key(ask)] = p.answer(ask)
		}
	}
	return p.Snapshot
}

// BenchmarkSpeculativePlan is one plan of a long queue with many trials, and one of
// each of fifty pools of twenty.
func BenchmarkSpeculativePlan(b *testing.B) {
	for _, size := range []struct{ pools, pulls, running int }{{1, 128, 40}, {50, 20, 8}} {
		b.Run(fmt.Sprintf("%dx%d", size.pools, size.pulls), func(b *testing.B) {
			s := benchPlace(size.pulls, size.running)
			b.ReportAllocs()
			for b.Loop() {
				for range size.pools {
					Speculative(s)
				}
			}
		})
	}
}

// BenchmarkClassicPlan is the same for the classic planner.
func BenchmarkClassicPlan(b *testing.B) {
	s := benchPlace(20, 8)
	b.ReportAllocs()
	for b.Loop() {
		for range 50 {
			Classic(s)
		}
	}
}
