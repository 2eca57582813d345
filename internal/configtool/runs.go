package configtool

import (
	"fmt"
	"strings"

	"prow/internal/config"
)

// runs says in a sentence what makes a job run.
func runs(j *job) string {
	switch v := j.value.(type) {
	case *config.Presubmit:
		when := "only on request: " + v.RerunCommand
		switch {
		case v.AlwaysRun:
			when = "on every pull request"
		case v.CouldRun():
			when = "on pull requests " + changes(&v.RegexpChangeMatcher)
		}
		if v.RunBeforeMerge {
			when += ", and before every merge"
		}
		return when + branches(&v.Brancher)
	case *config.Postsubmit:
		when := "on every push"
		switch {
		case v.CouldRun():
			when = "on pushes " + changes(&v.RegexpChangeMatcher)
		case v.AlwaysRun != nil && !*v.AlwaysRun:
			when = "on no push"
		}
		return when + branches(&v.Brancher)
	case *config.Periodic:
		switch {
		case v.Cron != "":
			return "by the clock: " + v.Cron
		case v.Interval != "":
			return "every " + v.Interval
		default:
			return v.MinimumInterval + " after its last run ended"
		}
	}
	return ""
}

func changes(m *config.RegexpChangeMatcher) string {
	if m.RunIfChanged != "" {
		return fmt.Sprintf("that change a file matching %q", m.RunIfChanged)
	}
	return fmt.Sprintf("unless all changed files match %q", m.SkipIfOnlyChanged)
}

func branches(b *config.Brancher) string {
	var out string
	if len(b.Branches) > 0 {
		out = ", branches " + strings.Join(b.Branches, ", ")
	}
	if len(b.SkipBranches) > 0 {
		out += ", not on branches " + strings.Join(b.SkipBranches, ", ")
	}
	return out
}

// merges says what a job means for merging; empty for those it has no say in.
func merges(j *job) string {
	p, ok := j.value.(*config.Presubmit)
	if !ok {
		return ""
	}
	switch {
	case p.Optional || p.SkipReport:
		return "not needed"
	case p.AlwaysRun || p.RunBeforeMerge:
		return "must succeed"
	case p.CouldRun():
		return "must succeed where it runs"
	}
	return "must succeed once it was requested"
}
