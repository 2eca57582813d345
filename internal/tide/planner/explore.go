package planner

import (
	"cmp"
	"slices"
)

// best is the combination being tested by which the most pull requests may be
// expected to be merged.
func (v *view) best() []Head {
	var best []Head
	value := 0.0
	for i := range v.running {
		o := &v.running[i]
		rest, exact := v.rest(o)
		if !exact || !v.allowed(rest) || v.set(rest).union(v.ejected) == v.ejected {
			continue
		}
		if x := v.know.passes(v.set(rest)) * float64(len(rest)); x > value {
			best, value = rest, x
		}
	}
	return best
}

// test chooses the tests to start, and those to stop.
func (v *view) test() (starts []Start, stops []string) {
	spec := &v.s.Speculation
	var going []members // what is or will be tested
	kept := v.running[:0:0]
	for _, o := range v.running {
		if set := o.set.pending(); o.strangers > 0 || v.hasEjected(o.set) || v.know.passes(set) < hopeless && set.waiting() > 1 {
			stops = append(stops, o.trial.ID)
			if v.budget >= 0 {
				v.budget += o.trial.going()
			}
			continue
		}
		kept = append(kept, o)
		going = append(going, o.set)
	}
	for i := range spec.Trials {
		if t := &spec.Trials[i]; t.Overdue && t.judge() == running {
			stops = append(stops, t.ID)
		}
	}
	v.running = kept
	limit := len(v.queue)
	if spec.MaxPulls > 0 {
		limit = min(limit, spec.MaxPulls)
	}
	add := func(set members, first []Head) bool {
		st, ok := v.start(v.heads(set, first), going)
		if !ok || len(st.Pulls) == 0 {
			return false
		}
		if v.budget >= 0 {
			// One trial may always be made.
			if len(st.Contexts) > v.budget && (len(going) > 0 || len(starts) > 0) {
				v.budget = 0
				return false
			}
			v.budget = max(v.budget-len(st.Contexts), 0)
		}
		starts = append(starts, st)
		going = append(going, v.set(st.Pulls).union(v.know.merged))
		return true
	}
	// By themselves: whoever is to blame by the evidence.
	for i := range v.queue {
		if v.budget != 0 && !v.ejected.has(i) && v.know.guilt(i) >= suspect && v.free(i) {
			if alone := (members{}).with(i); !slices.ContainsFunc(going, func(m members) bool { return m.pending() == alone }) {
				add(alone, nil)
			}
		}
	}
	v.speculate(limit, func(set members, first []Head) bool { return v.budget != 0 && add(set, first) })
	// Parts to learn from, on top of what will probably be merged.
	best := v.best()
	trunk := v.set(best)
	if trunk.waiting() > 0 && v.know.passes(trunk) < trunkMin {
		best, trunk = nil, members{}
	}
	for v.budget != 0 && len(starts) < window {
		set, ok := v.part(going, trunk, limit)
		if !ok || !add(set, best) {
			break
		}
	}
	return starts, stops
}

func (v *view) hasEjected(set members) bool { return set.common(v.ejected) > 0 }

// free tells whether a pull request depends on none of the queue.
func (v *view) free(i int) bool {
	return !slices.ContainsFunc(v.queue[i].DependsOn, func(d Dependency) bool { return !d.Merged })
}

// ready tells whether all that a pull request depends on is in the set.
func (v *view) ready(i int, set members) bool {
	return !slices.ContainsFunc(v.queue[i].DependsOn, func(d Dependency) bool { return !d.Merged && !set.has(v.at[*d.Head]) })
}

// grow adds to a set, in the order of the queue, whoever makes the expected number
// of merges beyond the set greater.
func (v *view) grow(base members, limit int) members {
	set, p, n := base, 0.0, 0
	for i := range v.queue {
		if set.waiting() >= limit {
			break
		}
		if set.has(i) || v.ejected.has(i) || !v.ready(i, set) {
			continue
		}
		with := set.with(i)
		if q := v.know.passes(with); q*float64(n+1) > p*float64(n) {
			set, p, n = with, q, n+1
		}
	}
	return set
}

// branch is a course of events: what has passed and failed in it, what the branch
// holds then, and how likely that is.
type branch struct {
	assumed []outcome
	base    members
	list    []Head
	chance  float64

	know *evidence
	// next is the combination to be tested in this course, and value how many pull
	// requests it may be expected to merge, from now on.
	next    members
	running []Head
	value   float64
}

// has tells whether the outcome of a combination is assumed.
func (b *branch) has(set members) bool {
	return slices.ContainsFunc(b.assumed, func(o outcome) bool { return o.set.pending() == set })
}

// speculate follows the courses that events may take, the most promising first, and
// has the combination tested that is best in each.
func (v *view) speculate(limit int, add func(set members, first []Head) bool) {
	type candidate struct {
		set  members
		list []Head
	}
	var running []candidate
	for i := range v.running {
		if rest, exact := v.rest(&v.running[i]); exact && v.allowed(rest) {
			if set := v.set(rest); !v.hasEjected(set) {
				running = append(running, candidate{set, rest})
			}
		}
	}
	know := v.know
	defer func() { v.know = know }()
	look := func(b *branch) {
		if len(b.assumed) == 0 {
			b.know = know
		} else {
			b.know = weigh(len(v.queue), know.merged, slices.Concat(v.trials, b.assumed))
		}
		v.know = b.know
		b.next = v.grow(b.base, limit)
		gain := func(set members) float64 {
			return v.know.passes(set) * float64(set.waiting()-b.base.waiting())
		}
		value := gain(b.next)
		best := keep * value
		for _, c := range running {
			if c.set.holds(b.base) && c.set != b.base && !b.has(c.set) && gain(c.set) > best {
				best, b.next, b.running = gain(c.set), c.set, c.list
				value = best
			}
		}
		b.value = b.chance * value
	}
	root := &branch{chance: 1}
	look(root)
	frontier := []*branch{root}
	for n := 0; n < maxBranches && len(frontier) > 0; n++ {
		at := 0
		for i, b := range frontier {
			if b.value > frontier[at].value {
				at = i
			}
		}
		b := frontier[at]
		frontier = slices.Delete(frontier, at, at+1)
		if b.value < valueMin {
			return
		}
		list := b.running
		if list == nil {
			if !add(b.next, b.list) {
				if v.budget == 0 {
					return
				}
			}
			list = v.heads(b.next, b.list)
		}
		p := b.know.passes(b.next)
		set := b.next.union(know.merged)
		pass := &branch{chance: b.chance * p, base: b.next, list: list, assumed: append(slices.Clip(b.assumed), outcome{verdict: passed, set: set})}
		fail := &branch{chance: b.chance * (1 - p), base: b.base, list: b.list, assumed: append(slices.Clip(b.assumed), outcome{verdict: failed, set: set})}
		for _, c := range []*branch{pass, fail} {
			if look(c); c.next != c.base {
				frontier = append(frontier, c)
			}
		}
	}
}

// part chooses a part of the queue to learn from: whoever is least tested first,
// with those that it was not tested with, until it is as likely to fail as to pass.
func (v *view) part(going []members, trunk members, limit int) (members, bool) {
	tested := make([]int, len(v.queue))
	for _, m := range going {
		p := v.know.passes(m.pending())
		for i := range v.queue {
			if m.has(i) && p >= good/2 {
				tested[i]++
			}
		}
	}
	uncertain := func(i int) bool {
		g := v.know.guilt(i)
		return !v.ejected.has(i) && g > 0.001 && g < suspect
	}
	var order []int
	for i := range v.queue {
		if uncertain(i) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(tested[a], tested[b]) })
	if len(order) == 0 || tested[order[0]] >= coverage {
		return members{}, false
	}
	set, least := trunk, good
	if trunk.waiting() > 0 {
		least *= v.know.passes(trunk)
	}
	for _, i := range order {
		if set.waiting() >= limit {
			break
		}
		if set.has(i) || !v.ready(i, set) {
			continue
		}
		with := set.with(i)
		if set != trunk && v.know.passes(with) < least {
			continue
		}
		set = with
	}
	return set, set != trunk
}

// start makes a trial of a list, unless it is known to be pointless: the same is
// being tested, or it is proven.
func (v *view) start(pulls []Head, going []members) (Start, bool) {
	if whole := v.set(pulls).union(v.know.merged); slices.Contains(going, whole) {
		return Start{}, false
	}
	m, ok := v.try(pulls)
	if !ok || m.Unknown {
		return Start{}, false
	}
	if len(m.Without) > 0 {
		for _, h := range m.Without {
			if _, told := v.reasons[v.queue[v.at[h]].Number]; !told {
				others := slices.DeleteFunc(slices.Clone(pulls), func(o Head) bool { return o == h })
				v.reasons[h.Number] = Reason{Code: CodeConflict, Sentence: "It conflicts with pull requests that are before it, and waits for them.", With: others}
			}
		}
		rest := slices.DeleteFunc(slices.Clone(pulls), func(h Head) bool { return slices.Contains(m.Without, h) })
		if len(rest) == 0 {
			return Start{}, false
		}
		return v.start(rest, going)
	}
	var missing []string
	have := v.results(m.Tree)
	for _, c := range m.Required {
		if have[c] < running {
			missing = append(missing, c)
		}
	}
	return Start{Pulls: pulls, Contexts: missing}, len(missing) > 0
}

// results are the best results for a tree by context.
func (v *view) results(tree string) map[string]verdict {
	out := map[string]verdict{}
	if tree == "" {
		return out
	}
	for i := range v.s.Speculation.Trials {
		t := &v.s.Speculation.Trials[i]
		if t.Tree != tree || t.Overdue {
			continue
		}
		for _, r := range t.Runs {
			out[r.Context] = max(out[r.Context], r.State.verdict())
		}
	}
	return out
}
