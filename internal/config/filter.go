package config

import (
	"fmt"
	"regexp"
)

// Filter says about a presubmit whether an event concerns it, and if so
// whether it must run and whether it runs where nothing else decides.
type Filter func(p *Presubmit) (matches, forced, defaults bool)

// The comments that run jobs other than by name.
var (
	retestRe         = regexp.MustCompile(`(?m)^/retest\s*$`)
	retestRequiredRe = regexp.MustCompile(`(?m)^/retest-required\s*$`)
	manualRequiredRe = regexp.MustCompile(`(?m)^/test-manual-required\s*$`)
	testAllRe        = regexp.MustCompile(`(?m)^/test all,?($|\s.*)`)
	okToTestRe       = regexp.MustCompile(`(?m)^/ok-to-test\s*$`)
)

// IsRetest tells whether a comment holds /retest or /retest-required.
func IsRetest(body string) bool {
	return retestRe.MatchString(body) || retestRequiredRe.MatchString(body)
}

// IsTestAll tells whether a comment holds /test all.
func IsTestAll(body string) bool { return testAllRe.MatchString(body) }

// IsOkToTest tells whether a comment holds /ok-to-test.
func IsOkToTest(body string) bool { return okToTestRe.MatchString(body) }

// CommandFilter is for jobs that the comment asks for by their trigger.
func CommandFilter(body string) Filter {
	return func(p *Presubmit) (bool, bool, bool) {
		matches := p.TriggerMatches(body)
		return matches, matches, true
	}
}

// TestAllFilter is for every job that does not wait to be asked for.
func TestAllFilter() Filter {
	return func(p *Presubmit) (bool, bool, bool) { return !p.NeedsExplicitTrigger(), false, false }
}

// RetestFilter is for jobs whose context failed, and for those whose context
// should exist but does not.
func RetestFilter(failed, all map[string]bool) Filter {
	return func(p *Presubmit) (bool, bool, bool) {
		didFail := failed[p.Context]
		return didFail || !p.NeedsExplicitTrigger() && !all[p.Context], false, didFail
	}
}

// RetestRequiredFilter is RetestFilter without optional jobs.
func RetestRequiredFilter(failed, all map[string]bool) Filter {
	retest := RetestFilter(failed, all)
	return func(p *Presubmit) (bool, bool, bool) {
		if p.Optional {
			return false, false, false
		}
		return retest(p)
	}
}

// ManualRequiredFilter is for required jobs that wait to be asked for.
func ManualRequiredFilter() Filter {
	return func(p *Presubmit) (bool, bool, bool) {
		return !p.Optional && p.NeedsExplicitTrigger(), true, false
	}
}

// FirstFilter decides by the first filter that matches.
func FirstFilter(filters ...Filter) Filter {
	return func(p *Presubmit) (bool, bool, bool) {
		for _, filter := range filters {
			if matches, forced, defaults := filter(p); matches {
				return true, forced, defaults
			}
		}
		return false, false, false
	}
}

// Contexts returns the contexts of a commit: those that failed, and all. It is
// called only for comments that need it.
type Contexts func() (failed, all map[string]bool, err error)

// FilterForComment is what a comment says about presubmits. honorOkToTest
// makes /ok-to-test mean /test all.
func FilterForComment(body string, honorOkToTest bool, contexts Contexts) (Filter, error) {
	filters := []Filter{CommandFilter(body)}
	retest, retestRequired := retestRe.MatchString(body), retestRequiredRe.MatchString(body)
	if retest || retestRequired {
		failed, all, err := contexts()
		if err != nil {
			return nil, fmt.Errorf("finding the contexts to retest: %w", err)
		}
		if retest {
			filters = append(filters, RetestFilter(failed, all))
		}
		if retestRequired {
			filters = append(filters, RetestRequiredFilter(failed, all))
		}
	}
	if manualRequiredRe.MatchString(body) {
		filters = append(filters, ManualRequiredFilter())
	}
	if testAllRe.MatchString(body) || honorOkToTest && okToTestRe.MatchString(body) {
		filters = append(filters, TestAllFilter())
	}
	return FirstFilter(filters...), nil
}

// FilterPresubmits returns the presubmits that run on the branch for the
// changes, as the filter wants them.
func FilterPresubmits(filter Filter, branch string, changes ChangedFiles, presubmits []Presubmit) ([]*Presubmit, error) {
	var out []*Presubmit
	for i := range presubmits {
		p := &presubmits[i]
		matches, forced, defaults := filter(p)
		if !matches {
			continue
		}
		run, err := p.ShouldRun(branch, changes, forced, defaults)
		if err != nil {
			return nil, fmt.Errorf("deciding about job %s: %w", p.Name, err)
		}
		if run {
			out = append(out, p)
		}
	}
	return out, nil
}
