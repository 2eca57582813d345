package planner

import (
	"cmp"
	"math"
	"slices"
)

const (
	// sure is the chance of guilt from which on a pull request is ejected, if it also
	// failed by itself; enough is how often it must have failed so where the evidence
	// only speaks against it.
	sure   = 0.98
	enough = 3
	// suspect is the chance of guilt from which on it is tested by itself.
	suspect = 0.5
	// hopeless is the chance of passing below which a test is not worth its run.
	hopeless = 0.03
	// split is the chance of passing that a test to learn from should have: the most
	// is learnt from what is uncertain.
	split = 0.5
	// missed is how likely it may be that none of the tests that a good pull request
	// is in passes.
	missed = 0.2
	// goodAlone is the chance of guilt up to which a pull request is good by itself.
	goodAlone = 0.02
	// pairing is the part of the runs that tells apart which of the good ones break each
	// other.
	pairing = 3
	// trunkMin is how likely what is meant to be merged must pass, and groundMin how
	// likely if others are tested on top of it only to learn from them.
	trunkMin  = 0.7
	groundMin = 0.85
	// step is the part of the trunk by which it must grow at least.
	step = 5
	// almost is the chance from which on somebody joins the trunk before others.
	almost = 0.98
	// wider is how much more than the trunk a bolder combination must be expected to merge.
	wider = 1.25
)

// levels are how likely the steps pass in which the trunk grows.
var levels = []float64{0.95, 0.85, trunkMin, 0.5}

// combination is a test that is going on, by what it would merge now.
type combination struct {
	set    members
	list   []Head
	chance float64
}

// live are the tests of which the outcome can be merged.
func (v *view) live() []combination {
	var out []combination
	for i := range v.running {
		rest, exact := v.rest(v.running[i].trial)
		if !exact || !v.allowed(rest) {
			continue
		}
		if set := v.set(rest); !v.hasEjected(set) {
			out = append(out, combination{set, rest, v.know.passes(set)})
		}
	}
	return out
}

// best is the combination being tested by which the most pull requests may be
// expected to be merged.
func (v *view) best() []Head {
	var best []Head
	value := 0.0
	for _, c := range v.live() {
		if x := c.chance * float64(len(c.list)); x > value {
			best, value = c.list, x
		}
	}
	return best
}

// explorer chooses tests.
type explorer struct {
	*view
	limit int
	// budget is how many runs may be added, less than none where more go on already.
	budget int
	// full is set when there were too few left for a test.
	full bool
	// live are tests going on or started that can be merged, and tested all that tell.
	live   []combination
	tested []members
	// miss is how likely it is that no test of each pull request passes if it is good,
	// and together whom it is tested with.
	miss     []float64
	together []members
	// left are those that conflict with what is before them.
	left   members
	starts []Start
	stops  []string
}

// test chooses the tests to start, and those to stop.
func (v *view) test() (starts []Start, stops []string) {
	x := &explorer{view: v, limit: len(v.queue), budget: math.MaxInt32}
	if n := v.s.Speculation.MaxPulls; n > 0 {
		x.limit = min(x.limit, n)
	}
	if n := v.s.Speculation.MaxRuns; n > 0 {
		x.budget = n - v.going
	}
	x.stop()
	x.miss, x.together = make([]float64, len(v.queue)), make([]members, len(v.queue))
	for i := range x.miss {
		x.miss[i] = 1
	}
	for _, o := range v.running {
		x.count(o.set)
	}
	x.live = v.live()
	x.blame()
	x.extend()
	x.pairUp()
	x.tell()
	x.hedge()
	if len(x.starts) == 0 && len(v.running) == 0 {
		x.last()
	}
	return x.starts, x.stops
}

// stop ends tests of which nothing can come: those that are decided, that hold
// someone who is gone or ejected, that will fail, or that would tell and merge nothing.
func (x *explorer) stop() {
	end := func(t *Trial) {
		x.stops = append(x.stops, t.ID)
		if !t.Overdue {
			x.going -= t.going()
			x.budget += t.going()
		}
	}
	for _, t := range x.lost {
		end(t)
	}
	kept := x.running[:0:0]
	for _, o := range x.running {
		set := o.set.pending()
		switch rest, exact := x.rest(o.trial); {
		case o.strangers > 0, x.hasEjected(set), set == members{}:
			end(o.trial)
		case x.pointless(set):
			end(o.trial)
		case (!exact || !x.allowed(rest)) && x.cleared(set):
			end(o.trial)
		default:
			kept = append(kept, o)
		}
	}
	x.running = kept
}

// pointless tells whether a combination will fail, and it is known why.
func (x *explorer) pointless(set members) bool {
	return set.waiting() > 1 && x.know.passes(set) < hopeless && !x.blames(set)
}

// blames tells whether a set has one suspect among others that will pass.
func (x *explorer) blames(set members) bool {
	suspects := members{}
	set.pending().each(func(i int) {
		if x.know.guilt(i) >= suspect {
			suspects = suspects.with(i)
		}
	})
	return suspects.waiting() == 1 && x.know.passes(set.without(suspects)) >= trunkMin
}

// cleared tells whether all of a set have passed together, pair by pair.
func (x *explorer) cleared(set members) bool {
	all := true
	set.each(func(i int) { all = all && x.know.cleared[i].holds(set) })
	return all
}

func (v *view) hasEjected(set members) bool { return set.common(v.ejected) > 0 }

// count notes that a set is being tested.
func (x *explorer) count(set members) {
	x.tested = append(x.tested, set)
	p := x.know.passes(set)
	set.pending().each(func(i int) {
		x.miss[i] *= 1 - p
		x.together[i] = x.together[i].union(set)
	})
}

// add has a list tested, if the same is not being tested and there are runs for it.
func (x *explorer) add(list []Head) bool {
	if x.budget <= 0 && x.going > 0 || x.full || len(x.starts) >= window || len(list) > x.limit {
		return false
	}
	set := x.set(list)
	if slices.Contains(x.tested, set.union(x.know.merged)) || x.pointless(set) {
		return false
	}
	m, known := x.try(list)
	switch {
	case !known:
		// It is counted as if it could be tested, so that one round of questions will do.
		for _, h := range list {
			m.Required = append(m.Required, x.queue[x.at[h]].Required...)
		}
		slices.Sort(m.Required)
		m.Required = slices.Compact(m.Required)
	case m.Unknown:
		return false
	case len(m.Without) > 0:
		x.leave(list, m.Without)
		rest := slices.DeleteFunc(slices.Clone(list), func(h Head) bool { return slices.Contains(m.Without, h) || x.stranded(h, m.Without) })
		return len(rest) > 0 && x.add(rest)
	}
	missing := x.missing(list, m)
	if len(missing) == 0 {
		return false
	}
	// One trial may always be made.
	if len(missing) > x.budget && x.going > 0 {
		x.full = true
		return false
	}
	x.budget -= len(missing)
	x.going += len(missing)
	if known {
		x.starts = append(x.starts, Start{Pulls: list, Contexts: missing})
	}
	x.count(set.union(x.know.merged))
	if x.allowed(list) {
		x.live = append(x.live, combination{set, list, x.know.passes(set)})
	}
	return true
}

// leave notes who conflicts.
func (x *explorer) leave(list, without []Head) {
	for _, h := range without {
		x.left = x.left.with(x.at[h])
		if _, told := x.reasons[h.Number]; !told {
			others := slices.DeleteFunc(slices.Clone(list), func(o Head) bool { return slices.Contains(without, o) })
			x.reasons[h.Number] = Reason{Code: CodeConflict, Sentence: "It conflicts with pull requests that are before it, and waits for them.", With: others}
		}
	}
}

// stranded tells whether a pull request depends on one of those left out.
func (x *explorer) stranded(h Head, without []Head) bool {
	return slices.ContainsFunc(x.queue[x.at[h]].DependsOn, func(d Dependency) bool {
		return !d.Merged && (slices.Contains(without, *d.Head) || x.stranded(*d.Head, without))
	})
}

// missing are the contexts of a combination without a result, or with a failure only.
func (x *explorer) missing(list []Head, m Merged) []string {
	have := map[string]verdict{}
	if m.Tree != "" {
		for i := range x.s.Speculation.Trials {
			t := &x.s.Speculation.Trials[i]
			if t.Tree != m.Tree || t.Overdue {
				continue
			}
			for _, r := range t.Runs {
				have[r.Context] = max(have[r.Context], r.State.verdict())
			}
		}
	}
	if len(list) == 1 {
		p := x.queue[x.at[list[0]]]
		for i := range p.Contexts {
			if c := &p.Contexts[i]; c.proves(x.s.BaseSHA) {
				have[c.Name] = passed
			}
		}
	}
	var out []string
	for _, c := range m.Required {
		if have[c] < running {
			out = append(out, c)
		}
	}
	return out
}

// ground is the largest combination going on that is as likely to pass as that; the
// empty one is, if there is no other.
func (x *explorer) ground(chance float64, limit int) combination {
	best := combination{chance: x.know.sound()}
	for _, c := range x.live {
		if c.chance >= chance && len(c.list) <= limit && (len(c.list) > len(best.list) || len(c.list) == len(best.list) && c.chance > best.chance) {
			best = c
		}
	}
	return best
}

// closure is a pull request with all that it depends on, in order.
func (x *explorer) closure(i int, list []Head) []Head {
	if slices.Contains(list, x.queue[i].Head) {
		return list
	}
	for _, d := range x.queue[i].DependsOn {
		if !d.Merged {
			list = x.closure(x.at[*d.Head], list)
		}
	}
	return append(list, x.queue[i].Head)
}

// blame tests by itself whoever is to blame by the evidence: on top of what will
// probably be merged, so that it also tells whether it goes together with that.
func (x *explorer) blame() {
	var suspects []int
	for i := range x.queue {
		if !x.ejected.has(i) && x.know.guilt(i) >= suspect {
			suspects = append(suspects, i)
		}
	}
	slices.SortStableFunc(suspects, func(a, b int) int { return cmp.Compare(x.know.guilt(b), x.know.guilt(a)) })
	for _, i := range suspects {
		alone := members{}.with(i)
		if slices.ContainsFunc(x.tested, func(m members) bool {
			others := m.pending().without(alone)
			return m.has(i) && (others == members{} || x.know.passes(others) >= groundMin)
		}) {
			continue
		}
		on := x.ground(groundMin, x.limit-1)
		if !x.add(x.closure(i, slices.Clip(on.list))) {
			x.add(x.closure(i, nil))
		}
	}
}

// ready tells whether all that a pull request depends on is in the set.
func (x *explorer) ready(i int, set members) bool {
	return !slices.ContainsFunc(x.queue[i].DependsOn, func(d Dependency) bool { return !d.Merged && !set.has(x.at[*d.Head]) })
}

// grow adds to a combination, as long as it is told to: those first that hardly
// change its chance, then the others, in the order of the queue.
func (x *explorer) grow(c combination, more func(chance, before float64, n int) bool) combination {
	c.list = slices.Clip(c.list)
	for _, least := range []float64{almost, 0} {
		for i := range x.queue {
			if len(c.list) >= x.limit {
				return c
			}
			if c.set.has(i) || x.ejected.has(i) || x.left.has(i) || !x.ready(i, c.set) {
				continue
			}
			p := c.chance * math.Exp(x.know.joins(i, c.set))
			if p < least*c.chance || !more(p, c.chance, len(c.list)+1) {
				continue
			}
			c.chance = p
			c.set, c.list = c.set.with(i), append(c.list, x.queue[i].Head)
		}
	}
	return c
}

// extend tests what is next to be merged, on top of what is going to be: as many as
// will probably pass, and fewer of them too, in case they do not. While runs are
// scarce a step must be worth it.
func (x *explorer) extend() {
	steps := 0
	for _, c := range x.live {
		if c.chance >= trunkMin {
			steps++
		}
	}
	need := 1
	if most := x.s.Speculation.MaxRuns; most > 0 && x.budget < most/3 {
		need += steps * 8 / most
	}
	for _, least := range levels {
		tip := x.ground(least, x.limit-1)
		next := x.grow(tip, func(p, before float64, n int) bool {
			return p >= least && before-p < before/float64(2*n)
		})
		if more := len(next.list) - len(tip.list); more >= max(need, len(tip.list)/step) {
			x.add(next.list)
		}
	}
}

// hedge tests what would merge more if it passes, with runs that are left.
func (x *explorer) hedge() {
	best := 0.0
	for _, c := range x.live {
		best = max(best, c.chance*float64(len(c.list)))
	}
	last := 0.0
	next := x.grow(combination{chance: x.know.sound()}, func(p, _ float64, n int) bool {
		ok := p*float64(n) > last
		if ok {
			last = p * float64(n)
		}
		return ok
	})
	if len(next.list) > 1 && next.chance*float64(len(next.list)) > wider*best {
		x.add(next.list)
	}
}

// last makes sure that something goes on: whoever is the least suspect is tested.
func (x *explorer) last() {
	next := -1
	for i := range x.queue {
		if !x.ejected.has(i) && x.ready(i, members{}) && (next < 0 || x.know.guilt(i) < x.know.guilt(next)) {
			next = i
		}
	}
	if next >= 0 {
		x.add([]Head{x.queue[next].Head})
	}
}
