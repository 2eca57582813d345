package statusreconciler

import "slices"

// Plan is what a change means for the pull requests into one branch.
type Plan struct {
	// Start names the presubmits that are new for them.
	Start []string
	// Retire are contexts that nothing reports any more.
	Retire []string
	// Move are contexts that have another name now.
	Move []Move
}

// Move is a renamed context.
type Move struct{ From, To string }

// Empty tells that nothing is to be done.
func (p Plan) Empty() bool { return len(p.Start)+len(p.Retire)+len(p.Move) == 0 }

// plan compares the presubmits of a repository before and after a change, as
// far as they run on a branch. Jobs are the same if their names are.
//
//	start   a required job that starts by itself, and was not there, did not
//	        report, or ran on other changes
//	retire  the context of a job that is gone and that no other job reports
//	move    the context of a job that is required and reports another one now
//
// That a job has become required starts nothing: it has run already.
func plan(before, after []Job, branch string) Plan {
	before, after = on(before, branch), on(after, branch)
	var p Plan
	for i := range after {
		if j := &after[i]; j.required() && !j.manual() && isNew(before, j) {
			p.Start = appendNew(p.Start, j.Name)
		}
	}
	reported := func(context string) bool {
		return slices.ContainsFunc(after, func(j Job) bool { return j.Context == context && !j.SkipReport })
	}
	for i := range before {
		old := &before[i]
		if old.Context == "" || reported(old.Context) {
			continue
		}
		successors := named(after, old.Name)
		if len(successors) == 0 {
			p.Retire = appendNew(p.Retire, old.Context)
			continue
		}
		for _, next := range successors {
			if next.required() && next.Context != old.Context {
				p.Move = appendNew(p.Move, Move{old.Context, next.Context})
				break
			}
		}
	}
	return p
}

// isNew tells whether pull requests have no result of a job as it is now.
func isNew(before []Job, j *Job) bool {
	predecessors := named(before, j.Name)
	return len(predecessors) == 0 || slices.ContainsFunc(predecessors, func(old Job) bool {
		return old.SkipReport || old.RunIfChanged != j.RunIfChanged || old.SkipIfOnlyChanged != j.SkipIfOnlyChanged
	})
}

func on(jobs []Job, branch string) (out []Job) {
	for i := range jobs {
		if jobs[i].ShouldRunAtBranch(branch) {
			out = append(out, jobs[i])
		}
	}
	return out
}

func named(jobs []Job, name string) (out []Job) {
	for i := range jobs {
		if jobs[i].Name == name {
			out = append(out, jobs[i])
		}
	}
	return out
}

func appendNew[T comparable](list []T, x T) []T {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}
