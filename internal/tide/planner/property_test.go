package planner

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anySnapshot draws a small snapshot in which everything may be true at once.
func anySnapshot(t *rapid.T) *Snapshot {
	contexts := []string{"unit", "e2e", "lint"}
	some := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(contexts), func(c string) bool { return rapid.Bool().Draw(t, name+" "+c) })
	}
	state := rapid.SampledFrom([]RunState{RunTriggered, RunPending, RunSuccess, RunFailure})
	s := &Snapshot{
		BaseSHA: "base", BatchLimit: rapid.IntRange(-1, 3).Draw(t, "limit"), KeepBatches: rapid.Bool().Draw(t, "keep"),
	}
	if rapid.IntRange(0, 9).Draw(t, "blocked") == 0 {
		s.Blockers = []Blocker{{Number: 99}}
	}
	if rapid.Bool().Draw(t, "prioritised") {
		s.Priority = [][]string{{"p0"}, {"a,b", "c"}}
	}
	n := rapid.IntRange(0, 5).Draw(t, "pulls")
	head := func(name string) Head {
		return Head{rapid.IntRange(1, n+1).Draw(t, name), rapid.SampledFrom([]string{"new", "new", "new", "old"}).Draw(t, name+" sha")}
	}
	for number := 1; number <= n; number++ {
		p := Pull{Head: Head{number, "new"}, Required: some(fmt.Sprint("required ", number))}
		for _, l := range []string{"p0", "a", "b", "c"} {
			if rapid.Bool().Draw(t, "label") {
				p.Labels = append(p.Labels, l)
			}
		}
		for _, c := range append(contexts, "cla", OwnContext) {
			if rapid.IntRange(0, 3).Draw(t, "has "+c) > 0 {
				p.Contexts = append(p.Contexts, Context{
					Name:     c,
					State:    rapid.SampledFrom([]ContextState{ContextSuccess, ContextSuccess, ContextSuccess, ContextPending, "FAILURE"}).Draw(t, c),
					Optional: rapid.IntRange(0, 4).Draw(t, c+" optional") == 0, Retested: rapid.Bool().Draw(t, c+" retested"),
					BaseSHA: rapid.SampledFrom([]string{"", "base", "older"}).Draw(t, c+" base"), Sticky: rapid.IntRange(0, 9).Draw(t, c+" sticky") == 0,
				})
			}
		}
		if rapid.IntRange(0, 4).Draw(t, "absent") == 0 {
			p.Absent = []string{"absent"}
		}
		s.Pulls = append(s.Pulls, p)
	}
	for range rapid.IntRange(0, 10).Draw(t, "runs") {
		s.Runs = append(s.Runs, Run{head("run"), rapid.SampledFrom(contexts).Draw(t, "context"), state.Draw(t, "state")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "batches") {
		b := Batch{Required: some("batch"), Unknown: rapid.IntRange(0, 5).Draw(t, "unknown") == 0}
		for range rapid.IntRange(2, 3).Draw(t, "members") {
			h := head("member")
			if !slices.ContainsFunc(b.Pulls, func(o Head) bool { return o.Number == h.Number }) {
				b.Pulls = append(b.Pulls, h)
			}
		}
		for range rapid.IntRange(0, 4).Draw(t, "batch runs") {
			b.Runs = append(b.Runs, BatchRun{rapid.SampledFrom(contexts).Draw(t, "context"), state.Draw(t, "state")})
		}
		s.Batches = append(s.Batches, b)
	}
	return s
}

// proven tells, by other means than the planner, whether a context of a head has
// passed on the base.
func proven(s *Snapshot, p *Pull, context string) bool {
	for _, r := range s.Runs {
		if r.Pull == p.Head && r.Context == context && r.State == RunSuccess {
			return true
		}
	}
	for _, c := range p.Contexts {
		if c.Name == context && c.State == ContextSuccess && (c.Sticky || c.BaseSHA == s.BaseSHA) {
			return true
		}
	}
	return false
}

func (s *Snapshot) find(h Head) *Pull {
	for i := range s.Pulls {
		if s.Pulls[i].Head == h {
			return &s.Pulls[i]
		}
	}
	return nil
}

func TestNothingIsMergedWithoutEveryProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySnapshot(t)
		for _, a := range Classic(s).Proposals {
			switch a.Kind {
			case Merge:
				p := s.find(a.Targets[0])
				if len(a.Targets) != 1 || p == nil {
					t.Fatalf("merges %v", a.Targets)
				}
				for _, c := range p.Required {
					if !proven(s, p, c) {
						t.Fatalf("#%d is merged without a result of %s", p.Number, c)
					}
				}
				for _, c := range p.Contexts {
					if c.Name != OwnContext && !c.Optional && c.State != ContextSuccess {
						t.Fatalf("#%d is merged although %s is %s", p.Number, c.Name, c.State)
					}
				}
				if len(p.Absent) > 0 {
					t.Fatalf("#%d is merged without %v", p.Number, p.Absent)
				}
			case MergeBatch:
				i := slices.IndexFunc(s.Batches, func(b Batch) bool {
					if b.Unknown || !slices.Equal(b.Pulls, a.Targets) {
						return false
					}
					for _, c := range b.Required {
						if !slices.Contains(b.Runs, BatchRun{c, RunSuccess}) {
							return false
						}
					}
					return true
				})
				if i < 0 {
					t.Fatalf("the batch %v has not passed", a.Targets)
				}
				for _, h := range a.Targets {
					if s.find(h) == nil {
						t.Fatalf("%v is not in the pool", h)
					}
				}
			}
		}
	})
}

func TestPlansAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySnapshot(t)
		plan := Classic(s)
		if len(plan.Proposals) == 0 {
			t.Fatal("there must be a proposal")
		}
		if len(plan.Success)+len(plan.Pending)+len(plan.Missing) != len(s.Pulls) {
			t.Fatal("every pull request is in one state")
		}
		if len(s.Blockers) > 0 && !(len(plan.Proposals) == 1 && plan.Proposals[0].Kind == Blocked) {
			t.Fatalf("a blocked branch gets %v", proposals(plan))
		}
		for i, a := range plan.Proposals {
			if a.Code == "" || a.Sentence == "" {
				t.Fatal("an action needs a reason")
			}
			if i < len(plan.Proposals)-1 && a.Kind != TriggerBatch && a.Kind != Trigger {
				t.Fatalf("%s is always possible, nothing may come after it", a.Kind)
			}
			for _, h := range append(slices.Clone(a.Targets), a.Candidates...) {
				if s.find(h) == nil {
					t.Fatalf("%v is not in the pool", h)
				}
			}
			switch a.Kind {
			case TriggerBatch:
				if len(plan.BatchPending) > 0 || s.BatchLimit < 0 {
					t.Fatal("no batch may be started")
				}
				for _, h := range append(slices.Clone(a.Targets), a.Candidates...) {
					if !s.find(h).Retestable() {
						t.Fatalf("%v has not passed before", h)
					}
				}
				if len(a.Targets)+len(a.Candidates) < 2 || len(a.Targets) > 0 && len(a.Candidates) > 0 {
					t.Fatalf("a batch of %v and %v", a.Targets, a.Candidates)
				}
			case Trigger:
				p := s.find(a.Targets[0])
				if len(a.Contexts) == 0 || !p.Retestable() {
					t.Fatalf("%v need not be tested", p)
				}
				for _, c := range a.Contexts {
					if proven(s, p, c) || !slices.Contains(p.Required, c) {
						t.Fatalf("%s need not be tested", c)
					}
				}
			}
		}
	})
}

func TestThePlanDoesNotDependOnTheOrderOfTheSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySnapshot(t)
		first := Classic(s)
		if again := Classic(s); !reflect.DeepEqual(first, again) {
			t.Fatal("the same snapshot gives another plan")
		}
		r := rand.New(rand.NewPCG(uint64(rapid.IntRange(0, 1000).Draw(t, "seed")), 1))
		shuffled := *s
		shuffled.Pulls, shuffled.Runs, shuffled.Batches = slices.Clone(s.Pulls), slices.Clone(s.Runs), slices.Clone(s.Batches)
		r.Shuffle(len(s.Pulls), func(i, j int) { shuffled.Pulls[i], shuffled.Pulls[j] = shuffled.Pulls[j], shuffled.Pulls[i] })
		r.Shuffle(len(s.Runs), func(i, j int) { shuffled.Runs[i], shuffled.Runs[j] = shuffled.Runs[j], shuffled.Runs[i] })
		r.Shuffle(len(s.Batches), func(i, j int) { shuffled.Batches[i], shuffled.Batches[j] = shuffled.Batches[j], shuffled.Batches[i] })
		if other := Classic(&shuffled); !reflect.DeepEqual(first, other) {
			t.Fatalf("%v became %v", proposals(first), proposals(other))
		}
	})
}
