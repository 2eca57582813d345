package config

import (
	"cmp"
	"regexp"
)

// RegexpChangeMatcher limits a job to changes of certain files. At most one
// of its fields is set. Paths are relative to the root of the repository; the
// expressions match anywhere in them.
type RegexpChangeMatcher struct {
	// RunIfChanged is a regular expression of paths; the job runs if any changed
	// file matches. It excludes skip_if_only_changed.
	RunIfChanged string `json:"run_if_changed,omitempty"`
	// SkipIfOnlyChanged is a regular expression of paths; the job runs if any
	// changed file does not match. It excludes run_if_changed.
	SkipIfOnlyChanged string `json:"skip_if_only_changed,omitempty"`

	reChanges *regexp.Regexp
}

// ChangedFiles returns the names of the changed files. It is called at most
// once per decision, and only if a decision needs it; callers that decide
// about many jobs pass one that remembers its answer.
type ChangedFiles func() ([]string, error)

// CouldRun tells whether the matcher is set.
func (m *RegexpChangeMatcher) CouldRun() bool {
	return m.RunIfChanged != "" || m.SkipIfOnlyChanged != ""
}

// RunsAgainstChanges tells whether the changes ask for the job. An empty list
// never does. The matcher must be set.
func (m *RegexpChangeMatcher) RunsAgainstChanges(changes []string) bool {
	re := m.reChanges
	if re == nil {
		var err error
		if re, err = regexp.Compile(cmp.Or(m.RunIfChanged, m.SkipIfOnlyChanged)); err != nil {
			return false
		}
	}
	want := m.RunIfChanged != ""
	for _, path := range changes {
		if re.MatchString(path) == want {
			return true
		}
	}
	return false
}

// shouldRun tells whether the matcher is set and, if so, what it says.
func (m *RegexpChangeMatcher) shouldRun(changes ChangedFiles) (set, run bool, err error) {
	if !m.CouldRun() {
		return false, false, nil
	}
	files, err := changes()
	if err != nil {
		return true, false, err
	}
	return true, m.RunsAgainstChanges(files), nil
}

func (m *RegexpChangeMatcher) compile(re *regexCache, report fieldReporter) {
	field, expr := "run_if_changed", m.RunIfChanged
	if expr == "" {
		field, expr = "skip_if_only_changed", m.SkipIfOnlyChanged
	}
	if expr == "" {
		return
	}
	compiled, err := re.compile(expr)
	if err != nil {
		report(field, "%v", err)
	}
	m.reChanges = compiled
}
