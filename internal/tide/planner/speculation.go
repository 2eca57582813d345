package planner

import (
	"strconv"
	"strings"
)

// Speculation is what planners that test combinations know beyond the pool.
type Speculation struct {
	// Trials are the tests of combinations that are known, the oldest first. Tests of
	// a single pull request are trials of one.
	Trials []Trial
	// Merges are answers to questions, by the [Key] of the combination on the base.
	Merges map[string]Merged
	// Landed are pull requests that were merged into the branch, the latest last.
	Landed []Head
	// MaxRuns bounds how many runs may be going on at once; 0 is no bound.
	MaxRuns int
	// MaxPulls bounds how many pull requests a trial may hold; 0 is no bound.
	MaxPulls int
	// Refused are the pull requests that the forge refused to merge as they are, and
	// what it said.
	Refused map[Head]string
}

// Trial is a test of pull requests merged onto a base one after the other.
type Trial struct {
	// ID names the trial to whoever carries out plans.
	ID string
	// Base is the commit it is on.
	Base string
	// Behind is how many of Landed were merged after its base; negative where the
	// branch did not get from there to here by them alone.
	Behind int
	Pulls  []Head
	// Tree is what was tested. Equal trees have equal names; it is empty where it
	// cannot be known any more.
	Tree string
	// Required are the contexts that must pass, unless Unknown.
	Required []string
	Unknown  bool
	Runs     []BatchRun
	// Overdue tells that it has taken longer than it may; its outcome is not waited for.
	Overdue bool
}

// Merged is what comes of merging pull requests onto the current base, one after
// the other.
type Merged struct {
	// Tree is the name of the outcome.
	Tree string
	// Without are those that were left out because they do not merge with the ones
	// before them.
	Without []Head
	// Required are the contexts that must pass before those that go together are
	// merged, unless Unknown.
	Required []string
	Unknown  bool
}

// Start is a trial that is to be started on the current base.
type Start struct {
	Pulls    []Head
	Contexts []string
}

// Dependency is a pull request that another one names.
type Dependency struct {
	// Name is how people write it: org/repo#1.
	Name string
	// Head is set where the pull request is in the same pool.
	Head *Head
	// Merged tells that nothing is waited for any more.
	Merged bool
	// Trouble says why it will not be merged by itself, such as "is closed".
	Trouble string
}

// Key names a combination; the order counts.
func Key(pulls []Head) string {
	var b strings.Builder
	for i, p := range pulls {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(p.Number))
		b.WriteByte('@')
		b.WriteString(p.SHA)
	}
	return b.String()
}

// proves tells whether every one of the contexts has passed on the tree.
func (s *Speculation) proves(tree string, contexts []string) bool {
	if tree == "" {
		return false
	}
	missing := map[string]bool{}
	for _, c := range contexts {
		missing[c] = true
	}
	for i := range s.Trials {
		t := &s.Trials[i]
		if t.Tree != tree {
			continue
		}
		for _, r := range t.Runs {
			if r.State == RunSuccess {
				delete(missing, r.Context)
			}
		}
	}
	return len(missing) == 0
}
