package config

// ShouldRun decides whether a presubmit runs on the branch for the changes.
// forced runs it whatever its change matcher says; defaults is the answer
// where nothing else decides. Where the changes cannot be had, the error comes
// with the default.
func (p *Presubmit) ShouldRun(branch string, changes ChangedFiles, forced, defaults bool) (bool, error) {
	if !p.ShouldRunAtBranch(branch) {
		return false, nil
	}
	if p.AlwaysRun || forced {
		return true, nil
	}
	set, run, err := p.shouldRun(changes)
	if !set || err != nil {
		return defaults, err
	}
	return run || defaults, nil
}

// NeedsExplicitTrigger tells whether only a comment runs the job.
func (p *Presubmit) NeedsExplicitTrigger() bool { return !p.AlwaysRun && !p.CouldRun() }

// TriggersConditionally tells whether the job may be absent from a change.
func (p *Presubmit) TriggersConditionally() bool { return p.NeedsExplicitTrigger() || p.CouldRun() }

// ContextRequired tells whether a merge needs the job's context.
func (p *Presubmit) ContextRequired() bool { return !p.Optional && !p.SkipReport }

// TriggerMatches tells whether the comment asks for the job.
func (p *Presubmit) TriggerMatches(comment string) bool {
	if p.trigger == (triggerMatcher{}) {
		return matchTrigger(p.Name, p.Trigger, comment)
	}
	return p.trigger.matches(comment)
}

// ShouldRun decides whether a postsubmit runs for a push to the branch.
func (p *Postsubmit) ShouldRun(branch string, changes ChangedFiles) (bool, error) {
	if !p.ShouldRunAtBranch(branch) {
		return false, nil
	}
	if set, run, err := p.shouldRun(changes); set {
		return run, err
	}
	return p.AlwaysRun == nil || *p.AlwaysRun, nil
}
