package planner

import (
	"cmp"
	"math"
	"slices"
)

// What is assumed before there is evidence, and how much a run is trusted.
const (
	// priorBad is the chance that a pull request breaks the branch, by itself or
	// together with another; priorSeen is how many pull requests that assumption is worth.
	priorBad  = 0.08
	priorSeen = 1000
	// aloneShare is the part of that which is by itself.
	aloneShare = 0.4
	// short is how many wait at most in a queue that is short.
	short = 20
	// priorFlake is the chance that a run fails for no reason, and flakesSeen how many
	// runs that assumption is worth.
	priorFlake = 0.02
	flakesSeen = 25
	// priorBase is the chance that a branch is broken that others pushed to.
	priorBase = 0.05
	// rounds is how often beliefs are weighed against each other.
	rounds = 30
	// maxFailures bounds how many failures are thought about.
	maxFailures = 160
	// certain is the greatest odds that are told apart from certainty.
	certain = 1e6
)

// rates are how often things go wrong on this branch.
type rates struct {
	bad, flake float64
}

// failure is a test that failed, with all that may explain it.
type failure struct {
	set members
	// excuse is the chance that nothing known is to blame.
	excuse float64
	causes []int32
	says   []float64
	// innocent is the chance that nothing in the set is to blame, as it failed.
	innocent float64
	// ground is the base it was on: 0 is what the branch is now, by merges alone.
	ground int
}

// evidence is what tests tell about pull requests. The numbers of members are
// positions in the queue, and window plus positions among the merged.
type evidence struct {
	n      int
	merged members
	rates  rates
	// alone is the chance that each of the queue breaks the branch by itself.
	alone []float64
	// self is the logarithm of the chance that each of them is sound on the branch.
	self []float64
	// base is the chance that the branch itself is broken.
	base float64
	// cleared are the ones that have passed together with i.
	cleared [window]members
	// exposed are the merged ones that were merged while i was waiting already: with
	// those before, its own jobs have passed.
	exposed [window]members
	// pair is the chance of a pair for which no test speaks.
	pair     float64
	failures []failure
	prior    []float64
	pairAt   map[[2]int]int32
	pairs    [][2]int
	grounds  map[int]int32
	// cost is the logarithm of the chance that a pair is sound, by row of the queue.
	cost []float32
}

// outcome is a test with what it held.
type outcome struct {
	trial   *Trial
	set     members
	verdict verdict
	// failures is how often it failed; more than once if it was repeated.
	failures int
	// later are those that were merged after its base.
	later members
	// strangers are members that are neither in the queue nor merged.
	strangers int
	ground    int
}

// weigh finds out what the outcomes say about the first n of a queue of so many.
func weigh(n, crowd int, merged members, r rates, outcomes []outcome) *evidence {
	e := &evidence{n: n, merged: merged, rates: r, pairAt: map[[2]int]int32{}, grounds: map[int]int32{}}
	// One that comes may break with each of those that it finds waiting, which makes half
	// of the square of a queue of pairs. In a short one hardly anybody is there to break with.
	e.pair = 2 * r.bad * (1 - aloneShare) / float64(max(crowd, short))
	sound := map[int]bool{}
	for i := range outcomes {
		o := &outcomes[i]
		if o.trial != nil && o.trial.Behind > 0 {
			sound[0] = true // what was merged since then was proven as a whole
		}
		if o.verdict == passed {
			o.set.pending().each(func(i int) { e.cleared[i] = e.cleared[i].union(o.set) })
			sound[o.ground] = true
		}
		if o.later != (members{}) {
			sound[0] = true // what was merged since was proven, and the branch with it
		}
		o.set.pending().each(func(i int) { e.exposed[i] = e.exposed[i].union(o.later) })
	}
	for i := range n {
		p := r.bad * aloneShare
		if e.cleared[i].has(i) {
			p = 0
		}
		e.prior = append(e.prior, odds(p))
	}
	e.failures = failures(outcomes, r)
	for k := range e.failures {
		f := &e.failures[k]
		if f.ground >= 0 && !sound[f.ground] {
			at, ok := e.grounds[f.ground]
			if !ok {
				at = int32(len(e.prior))
				e.grounds[f.ground] = at
				e.prior = append(e.prior, odds(priorBase))
			}
			f.causes = append(f.causes, at)
		}
	}
	first := len(e.prior)
	for k := range e.failures {
		e.explain(&e.failures[k], first)
	}
	now := e.balance()
	for k := range e.failures {
		f := &e.failures[k]
		sound := 1.0
		for c, cause := range f.causes {
			sound /= 1 + now[cause]/f.says[c]
		}
		f.innocent = f.excuse * sound / max(1-(1-f.excuse)*sound, 1e-9)
	}
	for i := range n {
		e.alone = append(e.alone, chance(now[i]))
	}
	if at, ok := e.grounds[0]; ok {
		e.base = chance(now[at])
	}
	e.fill(now, first)
	return e
}

func odds(p float64) float64 { return min(p/(1-p), certain) }

func chance(odds float64) float64 { return odds / (1 + odds) }

// failures returns what failed, the smallest first: those tell the most.
func failures(outcomes []outcome, r rates) []failure {
	var out []failure
	for i := range outcomes {
		o := &outcomes[i]
		if o.verdict != failed || o.strangers > 2 {
			continue
		}
		excuse := math.Pow(r.flake, float64(max(o.failures, 1)))
		excuse = 1 - (1-excuse)*math.Pow(1-r.bad, float64(o.strangers))
		if same := slices.IndexFunc(out, func(f failure) bool { return f.set == o.set && f.ground == o.ground }); same >= 0 {
			out[same].excuse *= excuse
			continue
		}
		out = append(out, failure{set: o.set, excuse: excuse, ground: o.ground})
	}
	slices.SortStableFunc(out, func(a, b failure) int { return cmp.Compare(a.set.waiting(), b.set.waiting()) })
	return out[:min(len(out), maxFailures)]
}

// explain lists what may have caused a failure: singles, and pairs that have not
// passed together.
func (e *evidence) explain(f *failure, first int) {
	f.set.pending().each(func(i int) {
		if e.prior[i] > 0 {
			f.causes = append(f.causes, int32(i))
		}
		others := f.set.without(e.cleared[i])
		for w := words; w < len(others); w++ {
			others[w] &= e.exposed[i][w]
		}
		others.each(func(j int) {
			if j <= i {
				return
			}
			key := [2]int{i, j}
			at, ok := e.pairAt[key]
			if !ok {
				at = int32(first + len(e.pairs))
				e.pairAt[key] = at
				e.pairs = append(e.pairs, key)
				e.prior = append(e.prior, odds(e.pair))
			}
			f.causes = append(f.causes, at)
		})
	})
}

// balance weighs suspicions against each other until they explain every failure:
// what explains several of them gains, what another explains loses. It is belief
// propagation between failures and their causes: what a failure says of a cause is
// judged by what the others say of the other causes. It returns odds.
func (e *evidence) balance() []float64 {
	now := slices.Clone(e.prior)
	for k := range e.failures {
		f := &e.failures[k]
		f.says = make([]float64, len(f.causes))
		for c := range f.says {
			f.says[c] = 1
		}
	}
	if len(e.failures) == 0 {
		return now
	}
	for range rounds {
		for k := range e.failures {
			f := &e.failures[k]
			all := 1.0
			for c, cause := range f.causes {
				all = min(all*(1+now[cause]/f.says[c]), 1e250)
			}
			for c, cause := range f.causes {
				// How likely is it to fail if this one is not to blame?
				otherwise := 1 - (1-f.excuse)*(1+now[cause]/f.says[c])/all
				says := math.Sqrt(f.says[c] / max(otherwise, 1e-9)) // damped
				now[cause] = min(now[cause]*says/f.says[c], certain)
				f.says[c] = says
			}
		}
	}
	return now
}

// fill tabulates pairs, so that combinations can be judged member by member.
func (e *evidence) fill(now []float64, first int) {
	e.cost = make([]float32, e.n*2*window)
	unspoken := float32(math.Log1p(-e.pair))
	for i := range e.n {
		row := e.cost[i*2*window:]
		for j := range e.n {
			if i != j && !e.cleared[i].has(j) {
				row[j] = unspoken
			}
		}
		e.exposed[i].without(e.cleared[i]).each(func(j int) { row[j] = unspoken })
	}
	for k, p := range e.pairs {
		c := float32(math.Log1p(-chance(now[first+k])))
		e.cost[p[0]*2*window+p[1]] = c
		if p[1] < window {
			e.cost[p[1]*2*window+p[0]] = c
		}
	}
	for i := range e.n {
		self := math.Log1p(-e.alone[i])
		row := e.cost[i*2*window:]
		e.merged.each(func(j int) { self += float64(row[j]) })
		e.self = append(e.self, self)
	}
}

// joins is the logarithm of the chance that a set goes on passing when i joins it.
func (e *evidence) joins(i int, set members) float64 {
	row := e.cost[i*2*window:][:window]
	log := e.self[i]
	set.pending().each(func(j int) { log += float64(row[j]) })
	return log
}

// sound is the chance that the branch and a run are in order.
func (e *evidence) sound() float64 { return (1 - e.rates.flake) * (1 - e.base) }

// guilt is the chance that a pull request breaks the branch as it is now, by itself
// or together with what was merged.
func (e *evidence) guilt(i int) float64 { return 1 - math.Exp(e.self[i]) }

// passes is the chance that a set passes on the current base: that none of it is to
// blame. Suspicions are judged one by one, but what failed as a whole has at least
// one culprit; except on another base, which may have been to blame itself.
func (e *evidence) passes(set members) float64 {
	log := math.Log(e.sound())
	var before members
	set = set.pending()
	set.each(func(i int) {
		log += e.joins(i, before)
		before = before.with(i)
	})
	p := math.Exp(log)
	for k := range e.failures {
		if f := &e.failures[k]; f.ground == 0 && f.innocent < p && set.union(e.merged).holds(f.set) {
			p = f.innocent
		}
	}
	return p
}
