package planner

import (
	"math"
	"slices"
)

// tell has those told apart of which it is not known whether they are good, by tests
// of parts that are as likely to fail as to pass.
func (x *explorer) tell() {
	reserve := 0
	if x.going > 0 {
		reserve = x.s.Speculation.MaxRuns / 16
	}
	for range window {
		if x.budget <= reserve {
			return
		}
		part := x.part()
		if part == nil || !x.add(part) {
			return
		}
	}
}

// part chooses a part of the queue to learn from: whoever is least tested first, with
// those that it is not tested with.
func (x *explorer) part() []Head {
	list, first := x.gather(0.7, func(i int) bool {
		g := x.know.guilt(i)
		return g > goodAlone && g < suspect
	})
	if first >= 0 && x.miss[first] < missed {
		return nil
	}
	return list
}

// gather adds to the ground those of a kind that are the least tested, and together
// the least, until it is as likely to fail as to pass. First is the one it began with.
func (x *explorer) gather(apart float64, kind func(int) bool) (list []Head, first int) {
	first = -1
	var order []int
	for i := range x.queue {
		if !x.ejected.has(i) && !x.left.has(i) && kind(i) {
			order = append(order, i)
		}
	}
	on := x.ground(groundMin, x.limit/2)
	c := combination{set: on.set, list: slices.Clip(on.list), chance: 1}
	var part members
	for len(c.list) < x.limit {
		next, most := -1, 0.0
		for _, i := range order {
			if c.set.has(i) || !x.ready(i, c.set) {
				continue
			}
			score := max(x.miss[i], 1e-3) * math.Pow(apart, float64(part.common(x.together[i])))
			if score > most && (first < 0 || c.chance*math.Exp(x.know.joins(i, c.set)) >= split) {
				next, most = i, score
			}
		}
		if next < 0 {
			break
		}
		if first < 0 {
			first = next
		}
		c.chance *= math.Exp(x.know.joins(next, c.set))
		c.set, c.list, part = c.set.with(next), append(c.list, x.queue[next].Head), part.with(next)
	}
	if first < 0 {
		return nil, first
	}
	return c.list, first
}

// pairUp tests who is good by itself with others of that kind, where there are more of
// them than will probably pass together: one of these combinations may be merged, and
// all of them tell which pairs break each other.
func (x *explorer) pairUp() {
	good := func(i int) bool { return x.know.guilt(i) <= goodAlone }
	going := 0
	for _, m := range x.tested {
		all := true
		m.pending().each(func(i int) { all = all && good(i) })
		if p := x.know.passes(m.pending()); all && p < trunkMin {
			going++
		}
	}
	n := 0
	for i := range x.queue {
		if !x.ejected.has(i) && good(i) {
			n++
		}
	}
	for ; going < x.s.Speculation.MaxRuns/pairing; going++ {
		list, _ := x.gather(0.9, good)
		if len(list) == 0 || len(list) >= n || !x.add(list) {
			return
		}
	}
}
