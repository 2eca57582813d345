package planner

import (
	"fmt"
	"slices"
	"strings"
)

// Classic decides as follows; the first rule that applies is proposed.
//
//  1. A branch with blockers is left alone.
//  2. A batch that passed is merged.
//  3. Unless a batch is running, which a merge would invalidate, a pull request
//     whose required jobs passed is merged if all of its contexts pass now.
//  4. Where no pull request requires a job there is nothing to start.
//  5. Unless one is running, a batch is tested.
//  6. Where no pull request has passed or is being tested, one is tested again:
//     also beside a batch, in case that fails.
//  7. Else it waits.
func Classic(s *Snapshot) Plan {
	all := standings(s)
	pool := map[Head]*Pull{}
	var pulls, success, missing []*Pull
	plan := Plan{MissingContexts: map[int][]string{}}
	for _, st := range all {
		pool[st.pull.Head] = st.pull
		pulls = append(pulls, st.pull)
		switch {
		case len(st.missing) > 0:
			missing = append(missing, st.pull)
			plan.Missing = append(plan.Missing, st.pull.Number)
			plan.MissingContexts[st.pull.Number] = st.missing
		case st.verdict == running:
			plan.Pending = append(plan.Pending, st.pull.Number)
		default:
			success = append(success, st.pull)
			plan.Success = append(plan.Success, st.pull.Number)
		}
	}
	passedBatch, runningBatch := batchesIn(s, pool)
	for _, h := range runningBatch {
		plan.BatchPending = append(plan.BatchPending, h.Number)
	}
	slices.Sort(plan.BatchPending)
	propose := func(a Action) { plan.Proposals = append(plan.Proposals, a) }

	if len(s.Blockers) > 0 {
		issues := make([]int, len(s.Blockers))
		for i, b := range s.Blockers {
			issues[i] = b.Number
		}
		propose(Action{Kind: Blocked, Code: CodeBlocked, Sentence: fmt.Sprintf("Merging is blocked by %s.", numbers(issues))})
		return plan
	}
	if passedBatch != nil {
		propose(Action{
			Kind: MergeBatch, Targets: passedBatch, Code: CodeBatchPassed,
			Sentence: fmt.Sprintf("The batch of %s passed every required job.", numbers(passedBatch)),
		})
		return plan
	}
	if runningBatch == nil {
		if p := pick(s.Priority, success, (*Pull).Green); p != nil {
			propose(Action{
				Kind: Merge, Targets: []Head{p.Head}, Code: CodeReady,
				Sentence: fmt.Sprintf("#%d passed every required job on the base, and all of its contexts pass.", p.Number),
			})
			return plan
		}
	}
	if !slices.ContainsFunc(pulls, func(p *Pull) bool { return len(p.Required) > 0 }) {
		propose(waiting(&plan, CodeNothingRequired))
		return plan
	}
	if len(pulls) > 1 && runningBatch == nil {
		if batch := proposeBatch(s, pulls); batch != nil {
			propose(*batch)
		}
	}
	if len(missing) > 0 && len(plan.Pending) == 0 && len(success) == 0 {
		if p := pick(s.Priority, missing, (*Pull).Retestable); p != nil {
			contexts := plan.MissingContexts[p.Number]
			propose(Action{
				Kind: Trigger, Targets: []Head{p.Head}, Contexts: contexts, Code: CodeRetest,
				Sentence: fmt.Sprintf("#%d needs a result on the current base for %s.", p.Number, strings.Join(contexts, ", ")),
			})
		}
	}
	propose(waiting(&plan, ""))
	return plan
}

// waiting says why nothing is done.
func waiting(plan *Plan, code Code) Action {
	switch {
	case len(plan.BatchPending) > 0:
		return wait(CodeBatchRunning, "The batch of %s is being tested.", numbers(plan.BatchPending))
	case len(plan.Pending) > 0:
		return wait(CodeTestsRunning, "%s %s being tested on the current base.", numbers(plan.Pending), isAre(plan.Pending))
	case len(plan.Success) > 0:
		return wait(CodeNotGreen, "%s passed every required job, but some contexts do not pass at the moment.", numbers(plan.Success))
	case code == CodeNothingRequired:
		return wait(code, "No pull request requires a job.")
	case len(plan.Missing) > 0:
		return wait(CodeNotRetestable, "%s %s to be tested, but some contexts do not pass at the moment.", numbers(plan.Missing), hasHave(plan.Missing))
	}
	return wait(CodeEmpty, "There is no pull request.")
}

func isAre(list []int) string {
	if len(list) == 1 {
		return "is"
	}
	return "are"
}

func hasHave(list []int) string {
	if len(list) == 1 {
		return "has"
	}
	return "have"
}
