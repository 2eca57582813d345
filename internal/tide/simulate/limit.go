package simulate

import (
	"math"
	"sort"
	"time"

	"prow/internal/tide/sim"
)

// demand is a queue for which a limit is known that no planner can beat: every run
// takes as long as every other, and whether a pull request is bad is known only by the
// end of a run that holds it.
type demand struct {
	takes   time.Duration
	runs    int     // at once
	perHour float64 // pull requests that come
	bad     float64 // chance that one of them is bad
	flakes  float64 // chance that a run fails for no reason
}

// demandOf is the demand of a scenario with one job that always takes as long as that. Of a
// pair the later one counts as bad.
func demandOf(sc *sim.Scenario, takes time.Duration) demand {
	broken := float64(sc.Pulls.Broken)
	return demand{
		takes: takes, runs: sc.CI.Capacity, perHour: sc.Arrivals.PerHour,
		bad: broken + (1-broken)*float64(sc.Pulls.Pairs)/2, flakes: float64(sc.CI.Flakes),
	}
}

// inTime bounds the share of the good pull requests that any planner can merge within
// a time that is between one and two runs.
//
// At some moment s, look at those that came after s-takes, early enough to have to be
// in a run by s if they are to be merged in time. Runs that hold any of them began after
// s-takes, so none is over by s: what of them these runs hold was chosen without knowing
// anything of them. All of these runs go on at s, so there are at most as many as may go
// on at once. The last of them to be merged in time was proven by one of these runs, which
// holds all that were merged before it. So all that a planner can do is to choose so many
// subsets, and to merge the largest of those that hold nobody bad.
func (l *demand) inTime(within time.Duration) float64 {
	window := (2*l.takes - within).Hours()
	if within < l.takes {
		return 0
	}
	if window <= 0 || l.perHour == 0 {
		return 1
	}
	mean := l.perHour * window
	merged := 0.0
	p := math.Exp(-mean) // that n came
	for n := 1; float64(n) < mean+8*math.Sqrt(mean)+8; n++ {
		p *= mean / float64(n)
		merged += p * l.best(n)
	}
	return min(merged/(mean*(1-l.bad)), 1)
}

// least is the shortest time, in whole minutes, for which it is not excluded that a
// share of the good pull requests is merged in time.
func (l *demand) least(share float64) time.Duration {
	minutes := int(l.takes.Minutes())
	return l.takes + time.Duration(sort.Search(minutes, func(m int) bool {
		return l.inTime(l.takes+time.Duration(m)*time.Minute) >= share
	}))*time.Minute
}

// line bounds a concave function from above: a + b*x.
type line struct{ a, b float64 }

// best bounds how many of n are merged in time, on average.
//
// Where b of them are bad, a subset that leaves out m holds nobody bad in choose(m,b) of
// choose(n,b) cases, and n-m are merged. If runs leave out at most m in so many cases,
// counting twice what two of them cover, then the share of the cases in which one of them
// passes is at most the least of three lines. For any mixture of these lines the sum is
// linear in how many runs leave out how many: it is at most what it would be if all did
// what counts most. That holds for every mixture, and a search finds one that gives a
// low bound.
func (l *demand) best(n int) float64 {
	lines := [...]line{{0, 1 - l.flakes}, {(1 - l.flakes) * (1 - l.flakes), l.flakes * (1 - l.flakes)}, {1, 0}}
	const (
		searches = 100
		rare     = 1e-4
	)
	chance := binomial(n, l.bad)
	use := make([]float64, n+1) // how many runs leave out m
	use[0] = float64(l.runs)
	least := float64(n) * (1 - l.bad)
	gain, steep := make([]float64, n+1), make([]float64, n+1)
	covers := covers(n)
	for k := range searches {
		sharp := 10 + 2*float64(k)
		bound := 0.0
		clear(gain)
		for b := 0; b <= n; b++ {
			if chance[b] < rare {
				bound += chance[b] * float64(n-b)
				continue
			}
			covered := 0.0
			for m := b; m < n; m++ {
				covered += use[m] * covers[b][m]
				// One more is merged by those that leave out m than by those that leave out m+1.
				var mix, sum line
				weights := 0.0
				for _, to := range lines {
					w := math.Exp(-sharp * (to.a + to.b*covered - 1))
					weights += w
					sum.a, sum.b = sum.a+w*to.a, sum.b+w*to.b
				}
				mix.a, mix.b = sum.a/weights, sum.b/weights
				bound += chance[b] * mix.a
				steep[m] = chance[b] * mix.b
			}
			after := 0.0
			for m := n - 1; m >= b; m-- {
				after += steep[m]
				gain[m] += after * covers[b][m]
			}
		}
		most := 0
		for m := range gain {
			if gain[m] > gain[most] {
				most = m
			}
		}
		least = min(least, bound+float64(l.runs)*gain[most])
		move := 2 / float64(k+3)
		for m := range use {
			use[m] *= 1 - move
		}
		use[most] += move * float64(l.runs)
	}
	return least
}

// covers are the chances that b of n are all among m of them, by b and m.
func covers(n int) [][]float64 {
	out := make([][]float64, n+1)
	for b := range out {
		out[b] = make([]float64, n+1)
		for m := b; m <= n; m++ {
			p := 1.0
			for i := range b {
				p *= float64(m-i) / float64(n-i)
			}
			out[b][m] = p
		}
	}
	return out
}

// binomial is the chance of each number out of n.
func binomial(n int, p float64) []float64 {
	out := make([]float64, n+1)
	for b := range out {
		all, _ := math.Lgamma(float64(n + 1))
		in, _ := math.Lgamma(float64(b + 1))
		not, _ := math.Lgamma(float64(n - b + 1))
		switch {
		case p == 0 && b == 0, p == 1 && b == n:
			out[b] = 1
		case p > 0 && p < 1:
			out[b] = math.Exp(all - in - not + float64(b)*math.Log(p) + float64(n-b)*math.Log1p(-p))
		}
	}
	return out
}
