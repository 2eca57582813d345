package planner

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyPlace draws a branch with a past: merges, tests on several bases, conflicts,
// dependencies, refusals and bounds.
func anyPlace(t *rapid.T) *place {
	p := newPlace()
	n := rapid.IntRange(0, 8).Draw(t, "pulls")
	for i := 1; i <= rapid.IntRange(0, 4).Draw(t, "landed"); i++ {
		p.Speculation.Landed = append(p.Speculation.Landed, head(100+i))
	}
	landed := len(p.Speculation.Landed)
	p.BaseSHA = fmt.Sprintf("base%d", landed)
	for i := 1; i <= n; i++ {
		var deps []int
		if n > 1 && rapid.IntRange(0, 4).Draw(t, "depends") == 0 {
			if d := rapid.IntRange(1, n+1).Draw(t, "on"); d != i {
				deps = append(deps, d)
			}
		}
		pull := p.pull(i, deps...)
		if rapid.Bool().Draw(t, "more") {
			pull.Required = append(pull.Required, "more")
		}
		switch rapid.IntRange(0, 9).Draw(t, "context") {
		case 0:
			pull.Contexts = []Context{{Name: "cla", State: "FAILURE"}}
		case 1:
			pull.Contexts = []Context{{Name: "test", State: ContextPending, Retested: true}}
		case 2:
			pull.Contexts = []Context{{Name: "test", State: ContextSuccess, BaseSHA: rapid.SampledFrom([]string{p.BaseSHA, "other"}).Draw(t, "of")}}
		}
		if rapid.IntRange(0, 9).Draw(t, "refused") == 0 {
			if p.Speculation.Refused == nil {
				p.Speculation.Refused = map[Head]string{}
			}
			p.Speculation.Refused[head(i)] = "no"
		}
		if j := rapid.IntRange(1, 30).Draw(t, "clashes"); j <= n && j != i {
			p.clash[[2]int{i, j}] = true
		}
	}
	for range rapid.IntRange(0, 12).Draw(t, "trials") {
		var in []int
		for range rapid.IntRange(1, 5).Draw(t, "members") {
			m := rapid.OneOf(rapid.IntRange(1, n+1), rapid.IntRange(101, 101+landed)).Draw(t, "member")
			if !slices.Contains(in, m) {
				in = append(in, m)
			}
		}
		tr := p.trial(RunPending, rapid.IntRange(-1, landed).Draw(t, "behind"), in...)
		tr.Runs = nil
		tr.Required = []string{"test", "more"}[:rapid.IntRange(1, 2).Draw(t, "required")]
		for range rapid.IntRange(0, 3).Draw(t, "runs") {
			tr.Runs = append(tr.Runs, BatchRun{
				rapid.SampledFrom([]string{"test", "more"}).Draw(t, "of"),
				rapid.SampledFrom([]RunState{RunTriggered, RunPending, RunSuccess, RunSuccess, RunFailure}).Draw(t, "state"),
			})
		}
		tr.Overdue = rapid.IntRange(0, 9).Draw(t, "overdue") == 0
		tr.Unknown = rapid.IntRange(0, 9).Draw(t, "unknown") == 0
		if rapid.IntRange(0, 9).Draw(t, "nameless") == 0 {
			tr.Tree = ""
		}
	}
	p.Speculation.MaxRuns = rapid.IntRange(0, 6).Draw(t, "max runs")
	p.Speculation.MaxPulls = rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "max pulls")
	if rapid.IntRange(0, 9).Draw(t, "blocked") == 0 {
		p.Blockers = []Blocker{{Number: 99}}
	}
	return p
}

// TestSpeculationKeepsItsWord checks, by the checker of the executor, that nothing is
// proposed that is unproven or beyond a bound, that equal snapshots give equal plans,
// and that a queue is never left alone with nothing going on.
func TestSpeculationKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlace(t)
		plan := p.decide(t)
		if again := Speculative(p.Snapshot); !reflect.DeepEqual(plan, again) {
			t.Fatalf("it decides %s, and then %s", says(plan), says(again))
		}
		if last := plan.Proposals[len(plan.Proposals)-1]; last.Kind != Wait && last.Kind != Blocked {
			t.Fatalf("the last proposal is %v", last.Kind)
		}
		if got := len(plan.Success) + len(plan.Pending) + len(plan.Missing); len(p.Blockers) == 0 && got != len(p.Pulls) {
			t.Fatalf("%d of %d pull requests are somewhere", got, len(p.Pulls))
		}
		going := 0
		for i := range p.Speculation.Trials {
			going += p.Speculation.Trials[i].going()
		}
		if len(p.Blockers) > 0 || going > 0 || says(plan) != "wait" {
			return
		}
		for _, pull := range p.Pulls {
			switch code := plan.Reasons[pull.Number].Code; code {
			case CodeQueued, CodeInTrial, CodeSuspected:
				t.Fatalf("nothing goes on, and #%d is told %s: %s", pull.Number, code, plan.Reasons[pull.Number].Sentence)
			}
		}
	})
}
