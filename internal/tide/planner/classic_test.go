package planner

import (
	"fmt"
	"slices"
	"testing"
)

// pr is a pull request with one required job, whose head has passed it.
func pr(number int, change ...func(*Pull)) Pull {
	p := Pull{
		Head: Head{number, fmt.Sprintf("sha%d", number)}, Labels: []string{"lgtm"}, Required: []string{"unit"},
		Contexts: []Context{{Name: "unit", State: ContextSuccess, BaseSHA: "old"}, {Name: OwnContext, State: ContextPending}},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func labelled(names ...string) func(*Pull) { return func(p *Pull) { p.Labels = names } }
func needs(names ...string) func(*Pull)    { return func(p *Pull) { p.Required = names } }
func has(c ...Context) func(*Pull)         { return func(p *Pull) { p.Contexts = c } }
func lacks(names ...string) func(*Pull)    { return func(p *Pull) { p.Absent = names } }

func run(number int, state RunState, context ...string) Run {
	r := Run{Pull: Head{number, fmt.Sprintf("sha%d", number)}, Context: "unit", State: state}
	if len(context) > 0 {
		r.Context = context[0]
	}
	return r
}

func heads(numbers ...int) []Head {
	var out []Head
	for _, n := range numbers {
		out = append(out, Head{n, fmt.Sprintf("sha%d", n)})
	}
	return out
}

func batch(state RunState, numbers ...int) Batch {
	return Batch{Pulls: heads(numbers...), Required: []string{"unit"}, Runs: []BatchRun{{"unit", state}}}
}

// show is an action as tests write it.
func show(a Action) string {
	text := string(a.Kind)
	for _, h := range a.Targets {
		text += fmt.Sprintf(" #%d", h.Number)
	}
	for _, c := range a.Contexts {
		text += " " + c
	}
	if len(a.Candidates) > 0 {
		text += " of"
		for _, h := range a.Candidates {
			text += fmt.Sprintf(" #%d", h.Number)
		}
	}
	if a.Limit > 0 {
		text += fmt.Sprintf(" limit %d", a.Limit)
	}
	return text
}

func proposals(p Plan) []string {
	var out []string
	for _, a := range p.Proposals {
		out = append(out, show(a))
	}
	return out
}

func TestClassic(t *testing.T) {
	single := func(s Snapshot) Snapshot { s.BatchLimit = -1; return s }
	pendingUnit := has(Context{Name: "unit", State: ContextPending})
	retested := has(Context{Name: "unit", State: ContextPending, Retested: true})
	for sentence, tc := range map[string]struct {
		snapshot Snapshot
		want     []string
	}{
		"an empty pool waits": {Snapshot{}, []string{"WAIT"}},
		"a blocked branch is left alone, whatever has passed": {
			Snapshot{Pulls: []Pull{pr(1)}, Runs: []Run{run(1, RunSuccess)}, Blockers: []Blocker{{Number: 9}}}, []string{"BLOCKED"}},
		"a pull request that passed on the base is merged": {
			Snapshot{Pulls: []Pull{pr(1)}, Runs: []Run{run(1, RunSuccess)}}, []string{"MERGE #1"}},
		"one that passed on an older base is tested again": {
			Snapshot{Pulls: []Pull{pr(1)}}, []string{"TRIGGER #1 unit", "WAIT"}},
		"only the jobs without a result are tested again": {
			Snapshot{Pulls: []Pull{pr(1, needs("unit", "e2e", "lint"), has())}, Runs: []Run{run(1, RunSuccess), run(1, RunFailure, "e2e")}},
			[]string{"TRIGGER #1 e2e lint", "WAIT"}},
		"a run of an older head counts for nothing": {
			Snapshot{Pulls: []Pull{pr(1)}, Runs: []Run{{Pull: Head{1, "older"}, Context: "unit", State: RunSuccess}}}, []string{"TRIGGER #1 unit", "WAIT"}},
		"a status that names the base is a result": {
			Snapshot{BaseSHA: "base", Pulls: []Pull{pr(1, has(Context{Name: "unit", State: ContextSuccess, BaseSHA: "base"}))}}, []string{"MERGE #1"}},
		"a sticky status holds for every base": {
			Snapshot{BaseSHA: "base", Pulls: []Pull{pr(1, has(Context{Name: "unit", State: ContextSuccess, Sticky: true}))}}, []string{"MERGE #1"}},
		"a failed status is no result, although it names the base": {
			Snapshot{BaseSHA: "base", Pulls: []Pull{pr(1, has(Context{Name: "unit", State: "FAILURE", BaseSHA: "base"}))}}, []string{"WAIT"}},
		"a status without a base is no result where the base is not known": {
			Snapshot{Pulls: []Pull{pr(1, has(Context{Name: "unit", State: ContextSuccess}))}}, []string{"TRIGGER #1 unit", "WAIT"}},
		"a status beats a run that failed": {
			Snapshot{BaseSHA: "base", Pulls: []Pull{pr(1, has(Context{Name: "unit", State: ContextSuccess, BaseSHA: "base"}))}, Runs: []Run{run(1, RunFailure)}},
			[]string{"MERGE #1"}},
		"a run that passed beats one that failed and one that runs": {
			Snapshot{Pulls: []Pull{pr(1)}, Runs: []Run{run(1, RunFailure), run(1, RunSuccess), run(1, RunPending)}}, []string{"MERGE #1"}},
		"a run that is triggered is waited for": {
			single(Snapshot{Pulls: []Pull{pr(1), pr(2)}, Runs: []Run{run(1, RunTriggered)}}), []string{"WAIT"}},
		"one that passed is not merged while a context does not pass": {
			Snapshot{Pulls: []Pull{pr(1, pendingUnit)}, Runs: []Run{run(1, RunSuccess)}}, []string{"WAIT"}},
		"an optional context does not matter": {
			Snapshot{Pulls: []Pull{pr(1, has(Context{Name: "x", State: "FAILURE", Optional: true}))}, Runs: []Run{run(1, RunSuccess)}}, []string{"MERGE #1"}},
		"a required context that is absent matters": {
			Snapshot{Pulls: []Pull{pr(1, lacks("cla"))}, Runs: []Run{run(1, RunSuccess)}}, []string{"WAIT"}},
		"without required jobs all contexts decide": {
			Snapshot{Pulls: []Pull{pr(1, needs())}}, []string{"MERGE #1"}},
		"without required jobs nothing is started": {
			Snapshot{Pulls: []Pull{pr(1, needs(), pendingUnit), pr(2, needs(), pendingUnit)}}, []string{"WAIT"}},
		"a pending context of somebody else's run keeps from testing again": {
			Snapshot{Pulls: []Pull{pr(1, pendingUnit)}}, []string{"WAIT"}},
		"a pending context that tide caused does not": {
			Snapshot{Pulls: []Pull{pr(1, retested)}}, []string{"TRIGGER #1 unit", "WAIT"}},
		"the lowest number is merged first": {
			Snapshot{Pulls: []Pull{pr(7), pr(3)}, Runs: []Run{run(7, RunSuccess), run(3, RunSuccess)}}, []string{"MERGE #3"}},
		"priority goes before the number": {
			Snapshot{
				Priority: [][]string{{"p0"}, {"x,y"}},
				Pulls:    []Pull{pr(5), pr(9, labelled("y")), pr(12, labelled("P0"))},
				Runs:     []Run{run(5, RunSuccess), run(9, RunSuccess), run(12, RunSuccess)},
			}, []string{"MERGE #12"}},
		"all labels of a priority are needed": {
			Snapshot{
				Priority: [][]string{{"p0", "area"}},
				Pulls:    []Pull{pr(5), pr(9, labelled("p0"))}, Runs: []Run{run(5, RunSuccess), run(9, RunSuccess)},
			}, []string{"MERGE #5"}},
		"one that is not green does not stop the next": {
			Snapshot{Pulls: []Pull{pr(1, pendingUnit), pr(2)}, Runs: []Run{run(1, RunSuccess), run(2, RunSuccess)}}, []string{"MERGE #2"}},
		"priority orders tests as well": {
			single(Snapshot{Priority: [][]string{{"p0"}}, Pulls: []Pull{pr(1), pr(2, labelled("p0"))}}), []string{"TRIGGER #2 unit", "WAIT"}},
		"several are tested together; should they not go together, one is": {
			Snapshot{Pulls: []Pull{pr(2), pr(1), pr(3)}, BatchLimit: 2}, []string{"TRIGGER_BATCH of #1 #2 #3 limit 2", "TRIGGER #1 unit", "WAIT"}},
		"a batch has only those that passed before": {
			Snapshot{Pulls: []Pull{pr(1), pr(2, pendingUnit), pr(3, lacks("cla")), pr(4, retested)}}, []string{"TRIGGER_BATCH of #1 #4", "TRIGGER #1 unit", "WAIT"}},
		"one alone is no batch": {
			Snapshot{Pulls: []Pull{pr(1), pr(2, pendingUnit)}}, []string{"TRIGGER #1 unit", "WAIT"}},
		"a negative limit means no batches": {
			Snapshot{Pulls: []Pull{pr(1), pr(2)}, BatchLimit: -1}, []string{"TRIGGER #1 unit", "WAIT"}},
		"a batch is formed beside a test of one": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Runs: []Run{run(1, RunPending)}}, []string{"TRIGGER_BATCH of #1 #2 #3", "WAIT"}},
		"a batch that passed is merged, also before one that passed alone": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{batch(RunSuccess, 2, 3)}, Runs: []Run{run(1, RunSuccess)}}, []string{"MERGE_BATCH #2 #3"}},
		"of two batches that passed the larger is merged": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{batch(RunSuccess, 1, 2), batch(RunSuccess, 1, 2, 3)}}, []string{"MERGE_BATCH #1 #2 #3"}},
		"of two equally large ones that with the lower numbers": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{batch(RunSuccess, 2, 3), batch(RunSuccess, 1, 3)}}, []string{"MERGE_BATCH #1 #3"}},
		"while a batch runs no other is merged": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{batch(RunPending, 2, 3)}, Runs: []Run{run(1, RunSuccess)}}, []string{"WAIT"}},
		"beside a batch one is tested by itself": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{batch(RunTriggered, 1, 2)}}, []string{"TRIGGER #1 unit", "WAIT"}},
		"beside a batch only one is tested by itself": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{batch(RunTriggered, 1, 2)}, Runs: []Run{run(1, RunPending)}}, []string{"WAIT"}},
		"a batch with a member that moved is no more": {
			Snapshot{BatchLimit: -1, Pulls: []Pull{pr(1), pr(2)}, Batches: []Batch{{Pulls: []Head{{1, "older"}, {2, "sha2"}}, Required: []string{"unit"}, Runs: []BatchRun{{"unit", RunSuccess}}}}},
			[]string{"TRIGGER #1 unit", "WAIT"}},
		"a batch with a member that left is no more": {
			single(Snapshot{Pulls: []Pull{pr(1)}, Batches: []Batch{batch(RunSuccess, 1, 2)}}), []string{"TRIGGER #1 unit", "WAIT"}},
		"a running batch without one of its jobs has failed": {
			Snapshot{Pulls: []Pull{pr(1), pr(2)}, Batches: []Batch{{Pulls: heads(1, 2), Required: []string{"unit", "e2e"}, Runs: []BatchRun{{"unit", RunPending}}}}},
			[]string{"TRIGGER_BATCH of #1 #2", "TRIGGER #1 unit", "WAIT"}},
		"an older failure of a batch does not hide a success": {
			Snapshot{Pulls: []Pull{pr(1), pr(2)}, Batches: []Batch{{Pulls: heads(1, 2), Required: []string{"unit"}, Runs: []BatchRun{{"unit", RunFailure}, {"unit", RunSuccess}}}}},
			[]string{"MERGE_BATCH #1 #2"}},
		"a batch whose requirements are not known is left alone": {
			single(Snapshot{Pulls: []Pull{pr(1), pr(2)}, Batches: []Batch{{Pulls: heads(1, 2), Unknown: true, Runs: []BatchRun{{"unit", RunSuccess}}}}}),
			[]string{"TRIGGER #1 unit", "WAIT"}},
		"a batch with a success goes on before others": {
			Snapshot{KeepBatches: true, Pulls: []Pull{pr(1), pr(2), pr(3), pr(4)}, Batches: []Batch{
				{Pulls: heads(1, 2, 3), Required: []string{"unit", "e2e"}, Runs: []BatchRun{{"unit", RunSuccess}, {"e2e", RunFailure}}}}},
			[]string{"TRIGGER_BATCH #1 #2 #3", "TRIGGER #1 unit", "WAIT"}},
		"unless that is not wanted": {
			Snapshot{Pulls: []Pull{pr(1), pr(2), pr(3), pr(4)}, Batches: []Batch{
				{Pulls: heads(1, 2, 3), Required: []string{"unit", "e2e"}, Runs: []BatchRun{{"unit", RunSuccess}, {"e2e", RunFailure}}}}},
			[]string{"TRIGGER_BATCH of #1 #2 #3 #4", "TRIGGER #1 unit", "WAIT"}},
		"a started batch above the limit does not go on": {
			Snapshot{KeepBatches: true, BatchLimit: 2, Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{
				{Pulls: heads(1, 2, 3), Required: []string{"unit", "e2e"}, Runs: []BatchRun{{"unit", RunSuccess}, {"e2e", RunFailure}}}}},
			[]string{"TRIGGER_BATCH of #1 #2 #3 limit 2", "TRIGGER #1 unit", "WAIT"}},
		"the batch with most successes goes on": {
			Snapshot{KeepBatches: true, Pulls: []Pull{pr(1), pr(2), pr(3)}, Batches: []Batch{
				{Pulls: heads(1, 2), Required: []string{"a", "b", "c"}, Runs: []BatchRun{{"a", RunSuccess}}},
				{Pulls: heads(2, 3), Required: []string{"a", "b", "c"}, Runs: []BatchRun{{"a", RunSuccess}, {"b", RunSuccess}}}}},
			[]string{"TRIGGER_BATCH #2 #3", "TRIGGER #1 unit", "WAIT"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			plan := Classic(&tc.snapshot)
			if got := proposals(plan); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for _, a := range plan.Proposals {
				if a.Code == "" || a.Sentence == "" {
					t.Errorf("%s has no reason: %+v", show(a), a)
				}
			}
		})
	}
}

func TestThePoolIsDividedByResults(t *testing.T) {
	plan := Classic(&Snapshot{
		Pulls:   []Pull{pr(4), pr(3), pr(2), pr(1), pr(5, needs())},
		Runs:    []Run{run(1, RunSuccess), run(2, RunPending), run(3, RunFailure)},
		Batches: []Batch{batch(RunPending, 4, 1)},
	})
	if got := fmt.Sprint(plan.Success, plan.Pending, plan.Missing, plan.BatchPending, plan.MissingContexts); got != "[1 5] [2] [3 4] [1 4] map[3:[unit] 4:[unit]]" {
		t.Error(got)
	}
}

func TestRunStateOf(t *testing.T) {
	for state, want := range map[string]RunState{
		"scheduling": RunTriggered, "triggered": RunTriggered, "pending": RunPending, "success": RunSuccess,
		"failure": RunFailure, "aborted": RunFailure, "error": RunFailure, "": RunFailure,
	} {
		if got := RunStateOf(state); got != want {
			t.Errorf("%q is %s, want %s", state, got, want)
		}
	}
}
