package planner

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// place is a branch on which trees are named by what is in them.
type place struct {
	*Snapshot
	clash   map[[2]int]bool
	trialNo int
}

func newPlace(pulls ...int) *place {
	p := &place{Snapshot: &Snapshot{BaseSHA: "base0"}, clash: map[[2]int]bool{}}
	for _, n := range pulls {
		p.pull(n)
	}
	return p
}

func head(n int) Head { return Head{n, "head"} }

func headsOf(numbers ...int) []Head {
	out := make([]Head, len(numbers))
	for i, n := range numbers {
		out[i] = head(n)
	}
	return out
}

func (p *place) pull(n int, deps ...int) *Pull {
	pull := Pull{Head: head(n), Required: []string{"test"}}
	for _, d := range deps {
		h := head(d)
		pull.DependsOn = append(pull.DependsOn, Dependency{Name: fmt.Sprintf("#%d", d), Head: &h})
	}
	p.Pulls = append(p.Pulls, pull)
	return &p.Pulls[len(p.Pulls)-1]
}

// tree names what is on the branch with pull requests.
func (p *place) tree(pulls []Head, landed []Head) string {
	var all []int
	for _, h := range slices.Concat(landed, pulls) {
		all = append(all, h.Number)
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

// trial is a test on the base from before the last merges.
func (p *place) trial(state RunState, behind int, pulls ...int) *Trial {
	p.trialNo++
	landed := p.Speculation.Landed[:len(p.Speculation.Landed)-max(behind, 0)]
	t := Trial{
		ID: fmt.Sprintf("t%d", p.trialNo), Base: fmt.Sprintf("base%d", len(landed)), Behind: behind, Pulls: headsOf(pulls...),
		Tree: p.tree(headsOf(pulls...), landed), Required: []string{"test"}, Runs: []BatchRun{{"test", state}},
	}
	if behind < 0 {
		t.Base, t.Tree = "elsewhere", "elsewhere "+t.Tree
	}
	p.Speculation.Trials = append(p.Speculation.Trials, t)
	return &p.Speculation.Trials[len(p.Speculation.Trials)-1]
}

// land merges pull requests.
func (p *place) land(pulls ...int) {
	for _, n := range pulls {
		p.Speculation.Landed = append(p.Speculation.Landed, head(n))
		p.Pulls = slices.DeleteFunc(p.Pulls, func(o Pull) bool { return o.Number == n })
		for i := range p.Pulls {
			for k := range p.Pulls[i].DependsOn {
				if d := &p.Pulls[i].DependsOn[k]; d.Head != nil && d.Head.Number == n {
					d.Merged, d.Head = true, nil
				}
			}
		}
	}
	p.BaseSHA = fmt.Sprintf("base%d", len(p.Speculation.Landed))
	p.Speculation.Merges = nil
}

// answer says what comes of a merge.
func (p *place) answer(pulls []Head) Merged {
	m := Merged{}
	var kept []Head
	for _, h := range pulls {
		if slices.ContainsFunc(kept, func(o Head) bool { return p.clash[[2]int{o.Number, h.Number}] || p.clash[[2]int{h.Number, o.Number}] }) {
			m.Without = append(m.Without, h)
			continue
		}
		kept = append(kept, h)
		for i := range p.Pulls {
			if p.Pulls[i].Head == h {
				m.Required = append(m.Required, p.Pulls[i].Required...)
			}
		}
	}
	slices.Sort(m.Required)
	m.Required = slices.Compact(m.Required)
	m.Tree = p.tree(kept, p.Speculation.Landed)
	return m
}

// decide plans until no question is left, and has the plan checked.
func (p *place) decide(t interface{ Fatalf(string, ...any) }) Plan {
	for range 32 {
		plan := Speculative(p.Snapshot)
		fresh := false
		for _, ask := range plan.Ask {
			if _, ok := p.Speculation.Merges[Key(ask)]; !ok {
				if p.Speculation.Merges == nil {
					p.Speculation.Merges = map[string]Merged{}
				}
				p.Speculation.Merges[Key(ask)], fresh = p.answer(ask), true
			}
		}
		if fresh {
			continue
		}
		for i := range plan.Proposals {
			if err := Check(p.Snapshot, &plan.Proposals[i]); err != nil {
				t.Fatalf("proposal %d is refused: %v\n%+v", i, err, plan.Proposals[i])
			}
		}
		return plan
	}
	t.Fatalf("it goes on asking")
	return Plan{}
}

// says is a plan in words: what is merged, or tested and stopped.
func says(plan Plan) string {
	var out []string
	for _, a := range plan.Proposals {
		switch a.Kind {
		case Merge, MergeBatch:
			out = append(out, "merge "+list(a.Targets))
		case Trigger, TriggerBatch:
			for _, s := range a.Starts {
				out = append(out, "test "+list(s.Pulls))
			}
			for _, s := range a.Stops {
				out = append(out, "stop "+s)
			}
		case Blocked:
			out = append(out, "blocked")
		}
	}
	if len(out) == 0 {
		return "wait"
	}
	return strings.Join(out, ", ")
}

func list(pulls []Head) string {
	words := make([]string, len(pulls))
	for i, h := range pulls {
		words[i] = fmt.Sprint(h.Number)
	}
	return strings.Join(words, "+")
}

func TestSpeculativeRules(t *testing.T) {
	for name, tc := range map[string]struct {
		make func() *place
		want string
	}{
		"nobody is there":                  {func() *place { return newPlace() }, "wait"},
		"a single pull request is one run": {func() *place { return newPlace(1) }, "test 1"},
		"while it runs nothing else is done": {func() *place {
			p := newPlace(1)
			p.trial(RunPending, 0, 1)
			return p
		}, "wait"},
		"what its own results prove on this base is merged": {func() *place {
			p := newPlace(1)
			p.Pulls[0].Contexts = []Context{{Name: "test", State: ContextSuccess, BaseSHA: "base0"}}
			return p
		}, "merge 1"},
		"a second one is tested on top of the first": {func() *place {
			p := newPlace(1, 2)
			p.trial(RunPending, 0, 1)
			return p
		}, "test 1+2"},
		"of nested ones that passed the larger is merged": {func() *place {
			p := newPlace(1, 2, 3)
			p.trial(RunSuccess, 0, 1)
			p.trial(RunSuccess, 0, 1, 2)
			p.trial(RunPending, 0, 1, 2, 3)
			return p
		}, "merge 1+2"},
		"a result from before merges of a part of it proves the rest": {func() *place {
			p := newPlace(1, 2, 3)
			p.land(1)
			p.trial(RunSuccess, 1, 1, 2)
			p.trial(RunPending, 1, 1, 2, 3)
			return p
		}, "merge 2"},
		"one from before merges of others does not": {func() *place {
			p := newPlace(1, 2)
			p.land(1)
			p.trial(RunSuccess, 1, 2)
			return p
		}, "test 2"},
		"one from before a push of others does not": {func() *place {
			p := newPlace(1)
			p.trial(RunSuccess, -1, 1)
			return p
		}, "test 1"},
		"a merge that spoils a better combination waits": {func() *place {
			p := newPlace(1, 2, 3, 4, 5, 6)
			p.trial(RunSuccess, 0, 6)
			p.trial(RunSuccess, -1, 1, 2, 3, 4, 5)
			p.trial(RunPending, 0, 1, 2, 3, 4, 5)
			p.Speculation.MaxRuns = 1
			return p
		}, "wait"},
		"who fails once is tested again before being ejected": {func() *place {
			p := newPlace(1)
			p.trial(RunFailure, 0, 1)
			return p
		}, "test 1"},
		"who failed by chance is merged": {func() *place {
			p := newPlace(1)
			tr := p.trial(RunFailure, 0, 1)
			tr.Runs = append(tr.Runs, BatchRun{"test", RunSuccess})
			return p
		}, "merge 1"},
		"a test that holds an ejected one is stopped": {func() *place {
			p := newPlace(1, 2)
			p.trial(RunSuccess, 0, 2)
			tr := p.trial(RunFailure, 0, 1)
			tr.Runs = append(tr.Runs, BatchRun{"test", RunFailure})
			p.trial(RunPending, 0, 1, 2)
			p.land(2)
			for i := range p.Speculation.Trials {
				p.Speculation.Trials[i].Behind = 1
			}
			return p
		}, "stop t3"},
		"what one depends on comes first": {func() *place {
			p := newPlace()
			p.pull(1, 2)
			p.pull(2)
			return p
		}, "test 2+1"},
		"who depends on each other waits": {func() *place {
			p := newPlace()
			p.pull(1, 2)
			p.pull(2, 1)
			return p
		}, "wait"},
		"who depends on one of elsewhere waits": {func() *place {
			p := newPlace()
			p.pull(1).DependsOn = []Dependency{{Name: "other/repo#9"}}
			return p
		}, "wait"},
		"who was refused by the forge is left out": {func() *place {
			p := newPlace(1, 2)
			p.Speculation.Refused = map[Head]string{head(1): "no"}
			return p
		}, "test 2"},
		"the urgent come first": {func() *place {
			p := newPlace(1, 2)
			p.Pulls[1].Labels, p.Priority, p.Speculation.MaxRuns = []string{"urgent"}, [][]string{{"urgent"}}, 1
			return p
		}, "test 2+1"},
		"there are no more runs than allowed": {func() *place {
			p := newPlace(1, 2, 3, 4, 5, 6, 7, 8)
			p.Speculation.MaxRuns = 2
			p.trial(RunPending, 0, 1)
			p.trial(RunPending, 0, 1, 2)
			return p
		}, "wait"},
		"one trial may have more jobs than that": {func() *place {
			p := newPlace(1)
			p.Pulls[0].Required, p.Speculation.MaxRuns = []string{"a", "b", "c"}, 2
			return p
		}, "test 1"},
		"no combination is larger than allowed": {func() *place {
			p := newPlace(1, 2)
			p.Speculation.MaxPulls = 1
			return p
		}, "test 1, test 2"},
		"who does not merge with others waits for them": {func() *place {
			p := newPlace(1, 2)
			p.clash[[2]int{1, 2}] = true
			p.trial(RunPending, 0, 1)
			return p
		}, "wait"},
		"what is overdue is stopped and tested again": {func() *place {
			p := newPlace(1)
			p.trial(RunPending, 0, 1).Overdue = true
			return p
		}, "test 1, stop t1"},
		"what holds someone who is gone is stopped": {func() *place {
			p := newPlace(1)
			p.trial(RunPending, 0, 1, 7)
			return p
		}, "test 1, stop t1"},
		"a blocked branch rests": {func() *place {
			p := newPlace(1)
			p.Blockers = []Blocker{{Number: 5}}
			return p
		}, "blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := says(tc.make().decide(t)); got != tc.want {
				t.Errorf("got %s, expected %s", got, tc.want)
			}
		})
	}
}

// play has tests end, round after round, until the place is empty or the rounds are
// over; a combination fails if it holds one of bad. It returns how many rounds it took.
func (p *place) play(t *testing.T, most int, bad func([]int) bool) int {
	t.Helper()
	for round := range most {
		for merged := true; merged; {
			merged = false
			plan := p.decide(t)
			switch a := plan.Proposals[0]; a.Kind {
			case Merge, MergeBatch:
				for i := range p.Speculation.Trials {
					if tr := &p.Speculation.Trials[i]; tr.Behind >= 0 {
						tr.Behind += len(a.Targets)
					}
				}
				var numbers []int
				for _, h := range a.Targets {
					numbers = append(numbers, h.Number)
				}
				p.land(numbers...)
				merged = true
			case Trigger, TriggerBatch:
				p.Speculation.Trials = slices.DeleteFunc(p.Speculation.Trials, func(tr Trial) bool { return slices.Contains(a.Stops, tr.ID) })
				for _, st := range a.Starts {
					var numbers []int
					for _, h := range st.Pulls {
						numbers = append(numbers, h.Number)
					}
					p.trial(RunPending, 0, numbers...)
				}
			}
		}
		going := false
		for i := range p.Speculation.Trials {
			tr := &p.Speculation.Trials[i]
			var in []int
			for _, h := range tr.Pulls {
				in = append(in, h.Number)
			}
			for _, h := range p.Speculation.Landed[:len(p.Speculation.Landed)-max(tr.Behind, 0)] {
				in = append(in, h.Number)
			}
			for k := range tr.Runs {
				if r := &tr.Runs[k]; r.State == RunPending {
					going = true
					if r.State = RunSuccess; bad(in) {
						r.State = RunFailure
					}
				}
			}
		}
		if !going {
			return round
		}
	}
	return most
}

func TestTheBadOneOfABatchIsFoundAndTheOthersLand(t *testing.T) {
	for _, runs := range []int{0, 4, 16} {
		for culprit := 1; culprit <= 16; culprit++ {
			t.Run(fmt.Sprintf("%d runs, #%d", runs, culprit), func(t *testing.T) {
				p := newPlace(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
				p.Speculation.MaxRuns = runs
				rounds := p.play(t, 8, func(in []int) bool { return slices.Contains(in, culprit) })
				plan := p.decide(t)
				if len(p.Pulls) != 1 || p.Pulls[0].Number != culprit || plan.Reasons[culprit].Code != CodeEjected {
					t.Fatalf("after %d rounds %d are left, and of it is said %+v", rounds, len(p.Pulls), plan.Reasons[culprit])
				}
				if rounds > 5 {
					t.Errorf("it took %d rounds", rounds)
				}
			})
		}
	}
}

func TestOfAPairThatBreaksTogetherOneLands(t *testing.T) {
	p := newPlace(1, 2, 3, 4, 5, 6, 7, 8)
	p.Speculation.MaxRuns = 8
	p.play(t, 10, func(in []int) bool { return slices.Contains(in, 3) && slices.Contains(in, 6) })
	if len(p.Pulls) != 1 || p.Pulls[0].Number != 3 && p.Pulls[0].Number != 6 {
		t.Errorf("left are %v", p.Pulls)
	}
}
