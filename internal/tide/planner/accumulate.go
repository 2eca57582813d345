package planner

import (
	"cmp"
	"slices"
)

// standing is where one pull request stands on the base.
type standing struct {
	pull    *Pull
	verdict verdict
	missing []string
}

// standings judges every pull request by its required jobs: the best result of
// each context counts, whether a run or the status of the head commit gives it.
func standings(s *Snapshot) []standing {
	type key struct {
		head    Head
		context string
	}
	best := map[key]verdict{}
	record := func(h Head, context string, v verdict) {
		k := key{h, context}
		best[k] = max(best[k], v)
	}
	for _, r := range s.Runs {
		record(r.Pull, r.Context, r.State.verdict())
	}
	for i := range s.Pulls {
		p := &s.Pulls[i]
		for j := range p.Contexts {
			if c := &p.Contexts[j]; c.proves(s.BaseSHA) {
				record(p.Head, c.Name, passed)
			}
		}
	}
	var out []standing
	for _, p := range sorted(s.Pulls) {
		st := standing{pull: p, verdict: passed}
		for _, context := range p.Required {
			v := best[key{p.Head, context}]
			if v <= failed {
				st.missing = append(st.missing, context)
				v = failed
			}
			st.verdict = min(st.verdict, v)
		}
		out = append(out, st)
	}
	return out
}

// judge is the state of a batch over its required contexts.
func (b *Batch) judge() verdict {
	best := map[string]verdict{}
	for _, r := range b.Runs {
		best[r.Context] = max(best[r.Context], r.State.verdict())
	}
	v := passed
	for _, context := range b.Required {
		v = min(v, max(best[context], failed))
	}
	return v
}

// current tells whether every member is in the pool at the commit that was tested.
func (b *Batch) current(pool map[Head]*Pull) bool {
	return len(b.Pulls) > 0 && !slices.ContainsFunc(b.Pulls, func(h Head) bool { return pool[h] == nil })
}

// batchesIn returns the batch that passed and the one that runs. Of several the
// largest counts, then the one with the lower numbers.
func batchesIn(s *Snapshot, pool map[Head]*Pull) (success, pending []Head) {
	for i := range s.Batches {
		b := &s.Batches[i]
		if b.Unknown || !b.current(pool) {
			continue
		}
		switch b.judge() {
		case passed:
			success = prefer(success, b.Pulls)
		case running:
			pending = prefer(pending, b.Pulls)
		}
	}
	return success, pending
}

func prefer(a, b []Head) []Head {
	if a == nil || len(b) > len(a) || len(b) == len(a) && compareHeads(b, a) < 0 {
		return b
	}
	return a
}

func compareHeads(a, b []Head) int {
	return slices.CompareFunc(a, b, func(x, y Head) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), cmp.Compare(x.SHA, y.SHA))
	})
}
