package planner

import (
	"fmt"
	"slices"
)

// Check refuses a proposal that breaks an invariant, whichever planner makes it.
// It decides by other means than the planners:
//
//   - nothing is done to a blocked branch;
//   - whatever is merged or tested is in the pool, once, at the commit the pool has it;
//   - what is merged has no context that matters and does not pass;
//   - every required context has a passing result for the tree that the last target
//     leaves behind: of the pull request or batch on this base, or of an equal tree;
//   - what is not known means no;
//   - what depends on others is merged after them.
func Check(s *Snapshot, a *Action) error {
	switch a.Kind {
	case Wait, Blocked:
		return nil
	case Trigger, TriggerBatch, Merge, MergeBatch:
	default:
		return fmt.Errorf("%q is not a kind of action", a.Kind)
	}
	if len(s.Blockers) > 0 {
		return fmt.Errorf("the branch is blocked by #%d", s.Blockers[0].Number)
	}
	pool := map[Head]*Pull{}
	for i := range s.Pulls {
		pool[s.Pulls[i].Head] = &s.Pulls[i]
	}
	if err := checkMembers(pool, a.Targets); err != nil {
		return err
	}
	if err := checkMembers(pool, a.Candidates); err != nil {
		return err
	}
	if a.Kind == Trigger || a.Kind == TriggerBatch {
		return checkStarts(s, pool, a)
	}
	return checkMerge(s, pool, a.Targets)
}

func checkMembers(pool map[Head]*Pull, pulls []Head) error {
	seen := map[int]bool{}
	for _, h := range pulls {
		switch {
		case pool[h] == nil:
			return fmt.Errorf("#%d at %s is not in the pool", h.Number, h.SHA)
		case seen[h.Number]:
			return fmt.Errorf("#%d is there twice", h.Number)
		}
		seen[h.Number] = true
	}
	return nil
}

func checkStarts(s *Snapshot, pool map[Head]*Pull, a *Action) error {
	spec := &s.Speculation
	going, started := 0, 0
	for i := range spec.Trials {
		if t := &spec.Trials[i]; !slices.Contains(a.Stops, t.ID) && !t.Overdue {
			going += t.going()
		}
	}
	for _, start := range a.Starts {
		if err := checkMembers(pool, start.Pulls); err != nil {
			return err
		}
		if len(start.Pulls) == 0 || len(start.Contexts) == 0 {
			return fmt.Errorf("a trial of %d pull requests and %d contexts is none", len(start.Pulls), len(start.Contexts))
		}
		if spec.MaxPulls > 0 && len(start.Pulls) > spec.MaxPulls {
			return fmt.Errorf("a trial of %d pull requests: at most %d are allowed", len(start.Pulls), spec.MaxPulls)
		}
		started += len(start.Contexts)
	}
	// One trial may always be made, or a bound below the number of jobs would stop
	// the branch for ever.
	if spec.MaxRuns > 0 && started > 0 && going+started > spec.MaxRuns && (going > 0 || len(a.Starts) > 1) {
		return fmt.Errorf("%d runs are going on and %d would be started: at most %d are allowed", going, started, spec.MaxRuns)
	}
	return nil
}

// going is how many runs of the trial are not over.
func (t *Trial) going() int {
	n := 0
	for _, r := range t.Runs {
		if r.State == RunTriggered || r.State == RunPending {
			n++
		}
	}
	return n
}

func checkMerge(s *Snapshot, pool map[Head]*Pull, targets []Head) error {
	if len(targets) == 0 {
		return fmt.Errorf("nothing is named to be merged")
	}
	at := map[string]int{}
	for i, h := range targets {
		at[fmt.Sprintf("%d@%s", h.Number, h.SHA)] = i
	}
	for i, h := range targets {
		p := pool[h]
		if len(targets) == 1 && !p.Green() || len(targets) > 1 && !p.Retestable() {
			return fmt.Errorf("#%d has contexts that do not pass", h.Number)
		}
		for _, d := range p.DependsOn {
			if d.Merged {
				continue
			}
			if d.Head == nil {
				return fmt.Errorf("#%d depends on %s, which is not merged", h.Number, d.Name)
			}
			if j, ok := at[fmt.Sprintf("%d@%s", d.Head.Number, d.Head.SHA)]; !ok || j > i {
				return fmt.Errorf("#%d depends on %s, which would not be merged before it", h.Number, d.Name)
			}
		}
	}
	if provenHere(s, pool, targets) {
		return nil
	}
	m, ok := s.Speculation.Merges[Key(targets)]
	switch {
	case !ok || m.Unknown:
		return fmt.Errorf("it is not known what %s require together", numbers(targets))
	case len(m.Without) > 0 || m.Tree == "":
		return fmt.Errorf("%s do not merge", numbers(targets))
	}
	passed := map[string]bool{}
	for _, t := range s.Speculation.Trials {
		for _, r := range t.Runs {
			if t.Tree == m.Tree && r.State == RunSuccess {
				passed[r.Context] = true
			}
		}
	}
	for _, c := range m.Required {
		if !passed[c] {
			return fmt.Errorf("%s has no passing result for what %s make together", c, numbers(targets))
		}
	}
	return nil
}

// provenHere tells whether runs or statuses on this very base prove the targets.
func provenHere(s *Snapshot, pool map[Head]*Pull, targets []Head) bool {
	passed := map[string]bool{}
	if len(targets) == 1 {
		p := pool[targets[0]]
		for _, r := range s.Runs {
			if r.Pull == p.Head && r.State == RunSuccess {
				passed[r.Context] = true
			}
		}
		for _, c := range p.Contexts {
			if c.State == ContextSuccess && (c.Sticky || s.BaseSHA != "" && c.BaseSHA == s.BaseSHA) {
				passed[c.Name] = true
			}
		}
		return containsAll(passed, p.Required)
	}
	for _, b := range s.Batches {
		if b.Unknown || !slices.Equal(b.Pulls, targets) {
			continue
		}
		clear(passed)
		for _, r := range b.Runs {
			if r.State == RunSuccess {
				passed[r.Context] = true
			}
		}
		if containsAll(passed, b.Required) {
			return true
		}
	}
	return false
}

func containsAll(set map[string]bool, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !set[n] })
}
