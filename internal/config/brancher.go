package config

import (
	"regexp"
	"slices"
	"strings"
)

// Brancher limits a job to branches. Both lists hold regular expressions that
// are matched anywhere in the name of the branch.
type Brancher struct {
	// SkipBranches are regular expressions of branches the job does not run on,
	// matched anywhere in the name.
	SkipBranches []string `json:"skip_branches,omitempty"`
	// Branches are regular expressions of the branches the job runs on, matched
	// anywhere in the name. Default: all branches.
	Branches []string `json:"branches,omitempty"`

	re, reSkip *regexp.Regexp
}

// RunsAgainstAllBranch tells whether nothing limits the branches.
func (b *Brancher) RunsAgainstAllBranch() bool {
	return len(b.SkipBranches) == 0 && len(b.Branches) == 0
}

// ShouldRunAtBranch tells whether the job runs on the branch; a branch that is
// both skipped and included is skipped.
func (b *Brancher) ShouldRunAtBranch(branch string) bool {
	if len(b.SkipBranches) > 0 && matchJoined(b.reSkip, b.SkipBranches, branch) {
		return false
	}
	return len(b.Branches) == 0 || matchJoined(b.re, b.Branches, branch)
}

// matchJoined matches by the prepared expression; jobs that were not loaded by
// this package, such as those of a dump, have none.
func matchJoined(re *regexp.Regexp, exprs []string, s string) bool {
	if re == nil {
		var err error
		if re, err = regexp.Compile(strings.Join(exprs, "|")); err != nil {
			return false
		}
	}
	return re.MatchString(s)
}

// Intersects tells whether some branch may match both. Names of branches are
// compared as text, so two expressions count as disjoint unless they share an
// element. The relation is symmetric.
func (b *Brancher) Intersects(other *Brancher) bool {
	switch {
	case b.RunsAgainstAllBranch() || other.RunsAgainstAllBranch():
		return true
	case len(b.Branches) > 0 && len(other.Branches) > 0:
		return slices.ContainsFunc(b.Branches, func(s string) bool { return slices.Contains(other.Branches, s) })
	case len(b.Branches) > 0:
		return slices.ContainsFunc(b.Branches, other.ShouldRunAtBranch)
	case len(other.Branches) > 0:
		return slices.ContainsFunc(other.Branches, b.ShouldRunAtBranch)
	default:
		return true
	}
}

// compile prepares the matchers. Elements are joined into one expression, so
// that "a" and "b" cost one search.
func (b *Brancher) compile(re *regexCache, report fieldReporter) {
	b.re = compileJoined(re, "branches", b.Branches, report)
	b.reSkip = compileJoined(re, "skip_branches", b.SkipBranches, report)
}

func compileJoined(re *regexCache, field string, exprs []string, report fieldReporter) *regexp.Regexp {
	if len(exprs) == 0 {
		return nil
	}
	compiled, err := re.compile(strings.Join(exprs, "|"))
	if err != nil {
		report(field, "%v", err)
	}
	return compiled
}
