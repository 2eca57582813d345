package planner

import (
	"cmp"
	"math"
	"slices"
)

// What is assumed before there is evidence, and how much a run is trusted.
const (
	// priorAlone is the chance that a pull request breaks the branch by itself.
	priorAlone = 0.03
	// priorTogether is the chance that it breaks together with any other.
	priorTogether = 0.05
	// flakeRate is the chance that a run fails for no reason.
	flakeRate = 0.02
	// rounds is how often beliefs are weighed against each other.
	rounds = 12
)

// suspicion is a single pull request or a pair that may break the branch.
type suspicion struct {
	set members
	// prior and now are the chances before and after the evidence.
	prior, now float64
}

// failure is a test that failed, with all that may explain it.
type failure struct {
	set members
	// excuse is the chance that nothing in set is to blame.
	excuse float64
	causes []int
}

// evidence is what tests tell about pull requests. The numbers of members are
// positions in the queue, and window plus positions among the merged.
type evidence struct {
	n      int
	merged members
	// alone are suspicions of single pull requests of the queue.
	alone []suspicion
	// pairs are the suspicions of pairs for which some test speaks.
	pairs  []suspicion
	pairAt map[[2]int]int
	// cleared are the ones that have passed together with i.
	cleared [2 * window]members
	// exposed are the merged ones that were merged while i was waiting already: with
	// those before, its own jobs have passed.
	exposed [window]members
	// pairPrior is the chance of a pair for which no test speaks.
	pairPrior float64
	failures  []failure
}

// outcome is a test with what it held.
type outcome struct {
	trial   *Trial
	set     members
	verdict verdict
	// later are those that were merged after its base.
	later members
	// strangers are members that are neither in the queue nor merged.
	strangers int
}

// weigh finds out what the outcomes say.
func weigh(n int, merged members, outcomes []outcome) *evidence {
	e := &evidence{n: n, merged: merged, pairAt: map[[2]int]int{}}
	e.pairPrior = priorTogether / float64(max(n, 8))
	for _, o := range outcomes {
		if o.verdict == passed {
			o.set.each(func(i int) { e.cleared[i] = e.cleared[i].union(o.set) })
		}
		o.set.pending().each(func(i int) { e.exposed[i] = e.exposed[i].union(o.later) })
	}
	for i := range n {
		s := suspicion{set: members{}.with(i), prior: priorAlone, now: priorAlone}
		if e.cleared[i].has(i) {
			s.prior, s.now = 0, 0
		}
		e.alone = append(e.alone, s)
	}
	e.failures = minimal(outcomes)
	for k := range e.failures {
		e.explain(&e.failures[k])
	}
	e.balance()
	return e
}

// minimal returns the failures of which none other is a part: a set fails when a
// part of it does, so the larger one says no more than that the smaller is no flake.
func minimal(outcomes []outcome) []failure {
	var all []failure
	for _, o := range outcomes {
		if o.verdict == failed {
			excuse := flakeRate
			if o.strangers > 0 {
				excuse = 1 - (1-flakeRate)*math.Pow(1-priorAlone-priorTogether, float64(o.strangers))
			}
			all = append(all, failure{set: o.set, excuse: excuse})
		}
	}
	slices.SortStableFunc(all, func(a, b failure) int {
		return cmp.Or(cmp.Compare(a.set.size(), b.set.size()), cmp.Compare(a.excuse, b.excuse))
	})
	var out []failure
	for _, f := range all {
		part := slices.IndexFunc(out, func(o failure) bool { return f.set.holds(o.set) })
		if part < 0 {
			out = append(out, f)
			continue
		}
		// Two flakes are needed to explain both, if the larger set is sound.
		out[part].excuse = max(out[part].excuse*f.excuse, 1e-6)
	}
	return out
}

// explain lists what may have caused a failure.
func (e *evidence) explain(f *failure) {
	var in []int
	f.set.each(func(i int) { in = append(in, i) })
	for _, i := range in {
		if i < e.n && e.alone[i].prior > 0 {
			f.causes = append(f.causes, i)
		}
	}
	for x, i := range in {
		if i >= window {
			break // two that are merged passed together
		}
		for _, j := range in[x+1:] {
			if e.cleared[i].has(j) || j >= window && !e.exposed[i].has(j) {
				continue
			}
			key := [2]int{i, j}
			at, ok := e.pairAt[key]
			if !ok {
				at = len(e.pairs)
				e.pairAt[key] = at
				e.pairs = append(e.pairs, suspicion{set: members{}.with(i).with(j), prior: e.pairPrior, now: e.pairPrior})
			}
			f.causes = append(f.causes, e.n+at)
		}
	}
}

func (e *evidence) suspicion(i int) *suspicion {
	if i < e.n {
		return &e.alone[i]
	}
	return &e.pairs[i-e.n]
}

// balance weighs suspicions against each other until they explain every failure:
// what explains several of them gains, what another explains loses. It is belief
// propagation between failures and their causes: what a failure says of a cause is
// judged by what the others say of the other causes.
func (e *evidence) balance() {
	if len(e.failures) == 0 {
		return
	}
	odds := make([]float64, e.n+len(e.pairs))
	prior := make([]float64, len(odds))
	for i := range odds {
		p := e.suspicion(i).prior
		prior[i] = p / (1 - p)
	}
	copy(odds, prior)
	says := make([][]float64, len(e.failures))
	for k := range e.failures {
		says[k] = make([]float64, len(e.failures[k].causes))
		for c := range says[k] {
			says[k][c] = 1
		}
	}
	for range rounds {
		for k := range e.failures {
			f := &e.failures[k]
			sound := math.Log(1 - f.excuse)
			for c, cause := range f.causes {
				sound -= math.Log1p(odds[cause] / says[k][c])
			}
			for c, cause := range f.causes {
				// How likely is it to fail if this one is not to blame?
				otherwise := 1 - math.Exp(sound+math.Log1p(odds[cause]/says[k][c]))
				now := math.Sqrt(says[k][c] / max(otherwise, 1e-9)) // damped
				odds[cause] *= now / says[k][c]
				says[k][c] = now
			}
		}
	}
	for i := range odds {
		s := e.suspicion(i)
		s.now = min(odds[i]/(1+odds[i]), 1-1e-6)
	}
}

// guilt is the chance that a pull request breaks the branch as it is now, by itself
// or together with what was merged.
func (e *evidence) guilt(i int) float64 {
	good := 1 - e.alone[i].now
	unspoken := 0
	e.merged.each(func(l int) {
		if at, ok := e.pairAt[[2]int{i, l}]; ok {
			good *= 1 - e.pairs[at].now
		} else if e.exposed[i].has(l) && !e.cleared[i].has(l) {
			unspoken++
		}
	})
	return 1 - good*math.Pow(1-e.pairPrior, float64(unspoken))
}

// passes is the chance that a set passes on the current base.
func (e *evidence) passes(set members) float64 {
	all := set.union(e.merged)
	log := math.Log(1 - flakeRate)
	unspoken := 0
	set.each(func(i int) {
		if i >= e.n {
			return
		}
		log += math.Log1p(-e.alone[i].now)
		unspoken += set.size() - set.common(e.cleared[i].with(i)) // pairs are seen from both
		unspoken += 2 * (e.exposed[i].size() - e.exposed[i].common(e.cleared[i]))
	})
	unspoken /= 2
	for k := range e.pairs {
		if p := &e.pairs[k]; all.holds(p.set) {
			log += math.Log1p(-p.now)
			unspoken--
		}
	}
	return math.Exp(log + float64(max(unspoken, 0))*math.Log1p(-e.pairPrior))
}
