package planner

import "fmt"

// proposeBatch proposes to test several pull requests together; nil where none
// may be. A batch that was started goes on if the snapshot asks for that.
func proposeBatch(s *Snapshot, pulls []*Pull) *Action {
	if s.BatchLimit < 0 {
		return nil
	}
	var candidates []Head
	isCandidate := map[Head]bool{}
	for _, p := range pulls {
		if p.Retestable() {
			candidates = append(candidates, p.Head)
			isCandidate[p.Head] = true
		}
	}
	if s.KeepBatches {
		if batch := startedBatch(s, isCandidate); batch != nil {
			if len(batch) < 2 {
				return nil
			}
			return &Action{
				Kind: TriggerBatch, Targets: batch, Code: CodeContinueBatch,
				Sentence: fmt.Sprintf("The batch of %s was started before; what is missing of it is tested.", numbers(batch)),
			}
		}
	}
	if len(candidates) < 2 {
		return nil
	}
	return &Action{
		Kind: TriggerBatch, Candidates: candidates, Limit: s.BatchLimit, Code: CodeNewBatch,
		Sentence: fmt.Sprintf("Of %s as many as go together are tested together.", numbers(candidates)),
	}
}

// startedBatch returns the batch that most jobs speak for: by success, where any
// succeeded, else by running.
func startedBatch(s *Snapshot, isCandidate map[Head]bool) []Head {
	for _, state := range []RunState{RunSuccess, RunPending} {
		var best []Head
		most := 0
		for i := range s.Batches {
			b := &s.Batches[i]
			if s.BatchLimit > 0 && len(b.Pulls) > s.BatchLimit || !allIn(b.Pulls, isCandidate) {
				continue
			}
			n := 0
			for _, r := range b.Runs {
				if r.State == state {
					n++
				}
			}
			switch {
			case n == 0 || n < most:
			case n > most:
				best, most = b.Pulls, n
			default:
				best = prefer(best, b.Pulls)
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

func allIn(heads []Head, set map[Head]bool) bool {
	for _, h := range heads {
		if !set[h] {
			return false
		}
	}
	return len(heads) > 0
}
