// Package junit is the lens that shows results of tests. Those that failed or were
// flaky stand open, the others are lists that can be opened. Of long lists and texts
// a page has the beginning; the browser asks for the rest. Without a script, the
// files are one link away.
package junit

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
	"prow/internal/junit"
)

//go:embed static
var static embed.FS

//go:embed junit.html
var page string

const (
	// maxBytes is the size of all files together.
	maxBytes = 200_000_000
	maxFiles = 2000
	// reads is how many files are read at a time.
	reads = 4
)

type config struct {
	Groups []struct {
		Name      string `json:"name"`
		Selector  string `json:"selector"`
		Collapsed bool   `json:"collapsed"`
	} `json:"groups"`
}

// question is what the browser asks: for more of a list, or for all of a test.
type question struct {
	// Section is a number of a section, List an outcome, From how many it has already.
	Section *int   `json:"section,omitempty"`
	List    string `json:"list,omitempty"`
	From    int    `json:"from,omitempty"`
	// Test is the number of a test.
	Test *int `json:"test,omitempty"`
}

type junitLens struct{ page *template.Template }

// New is the lens.
func New() lens.Lens { return &junitLens{look.Template("junit", page)} }

func (l *junitLens) About() lens.About {
	return lens.About{Name: "junit", Title: "JUnit", Priority: 5, Files: look.Files(static)}
}

func (l *junitLens) Body(ctx context.Context, r *lens.Request) (template.HTML, error) {
	var c config
	v := view{}
	if problem := look.Config(r.Config, &c); problem != "" {
		v.Problems = append(v.Problems, problem)
	}
	var groups []group
	for _, g := range c.Groups {
		s, err := parseSelector(g.Selector)
		if err != nil {
			v.Problems = append(v.Problems, fmt.Sprintf("The group %q is left out: %v.", g.Name, err))
			continue
		}
		groups = append(groups, group{g.Name, g.Collapsed, s})
	}
	tests, problems := read(ctx, r.Artifacts)
	v.Problems = append(v.Problems, problems...)
	sections := arrange(tests, groups)
	if r.Data != "" {
		var q question
		if err := json.Unmarshal([]byte(r.Data), &q); err != nil {
			return look.Execute(l.page, "problem", "The request is no JSON: "+err.Error())
		}
		return l.answer(q, tests, sections)
	}
	for i := range sections {
		v.add(i, &sections[i])
	}
	v.Total, v.Files = len(tests), r.Artifacts
	for _, t := range tests {
		v.count(t)
	}
	return look.Execute(l.page, "page", &v)
}

// found is a test with the file it is in.
type found struct {
	*junit.Test
	number int
	// id is that of its row. The first of a name has that of the name, so that other
	// pages can lead to it.
	id   string
	file lens.Artifact
}

// read reads all files in the order of their names. What cannot be read is told.
func read(ctx context.Context, artifacts []lens.Artifact) (tests []found, problems []string) {
	artifacts = slices.Clone(artifacts)
	slices.SortStableFunc(artifacts, func(a, b lens.Artifact) int { return cmp.Compare(a.Name(), b.Name()) })
	if len(artifacts) > maxFiles {
		problems = append(problems, fmt.Sprintf("Of %d files the first %d are read.", len(artifacts), maxFiles))
		artifacts = artifacts[:maxFiles]
	}
	type result struct {
		tests []junit.Test
		err   error
	}
	results := make([]result, len(artifacts))
	left := int64(maxBytes)
	var group errgroup.Group
	group.SetLimit(reads)
	for i, a := range artifacts {
		info, err := a.Stat(ctx)
		if err == nil {
			if left -= info.Size; left < 0 {
				err = fmt.Errorf("the files before it are already as large as is read: %w", lens.ErrTooLarge)
			}
		}
		if err != nil {
			results[i].err = err
			continue
		}
		group.Go(func() error {
			raw, err := lens.ReadAll(ctx, a, 0)
			if err != nil {
				results[i].err = err
				return nil
			}
			cases, err := junit.Parse(bytes.NewReader(raw), junit.Options{Text: maxWhole})
			results[i] = result{junit.Merge(cases), err}
			return nil
		})
	}
	_ = group.Wait() // problems are in the results
	seen := map[string]int{}
	for i, res := range results {
		if res.err != nil {
			problems = append(problems, look.Problem(artifacts[i], res.err))
		}
		for j := range res.tests {
			t := &res.tests[j]
			id := junit.ID(t.Suite, t.Class, t.Name)
			if seen[id]++; seen[id] > 1 {
				id += "-" + strconv.Itoa(seen[id])
			}
			tests = append(tests, found{t, len(tests), id, artifacts[i]})
		}
	}
	return tests, problems
}

type group struct {
	name      string
	collapsed bool
	selector  selector
}

// section is a group of tests, or the default one, by how they ended.
type section struct {
	name      string
	collapsed bool
	total     int
	lists     map[junit.Outcome][]found
}

// order is that of lists on the page.
var order = [...]junit.Outcome{junit.Failed, junit.Flaky, junit.Skipped, junit.Passed}

// arrange puts each test into the first group that selects it, or into the default
// section, which is the first. One that was skipped and failed is in both lists.
func arrange(tests []found, groups []group) []section {
	out := make([]section, 1+len(groups))
	for i := range out {
		out[i].lists = map[junit.Outcome][]found{}
		if i > 0 {
			out[i].name, out[i].collapsed = groups[i-1].name, groups[i-1].collapsed
		}
	}
	for _, t := range tests {
		s := &out[1+slices.IndexFunc(groups, func(g group) bool { return g.selector.matches(t.Test) })]
		s.total++
		outcome := t.Outcome()
		s.lists[outcome] = append(s.lists[outcome], t)
		if t.AlsoFailed() {
			s.lists[junit.Failed] = append(s.lists[junit.Failed], t)
		}
	}
	return out
}

// answer is what the browser asked for.
func (l *junitLens) answer(q question, tests []found, sections []section) (template.HTML, error) {
	switch {
	case q.Test != nil:
		if *q.Test < 0 || *q.Test >= len(tests) {
			return look.Execute(l.page, "problem", "There is no such test any more.")
		}
		t := tests[*q.Test]
		return look.Execute(l.page, "details", rowOf(t, &budget{each: maxWhole, all: 4 * maxWhole}))
	case q.Section != nil && *q.Section >= 0 && *q.Section < len(sections):
		for _, o := range order {
			if o.String() == q.List {
				return look.Execute(l.page, "rows", listOf(*q.Section, &sections[*q.Section], o, max(0, q.From), newBudget()))
			}
		}
	}
	return look.Execute(l.page, "problem", "There is no such list any more.")
}

// plural makes "3 tests failed" of an outcome.
func plural(n int, o junit.Outcome) string {
	verb := map[junit.Outcome][2]string{junit.Failed: {"failed", "failed"}, junit.Flaky: {"was flaky", "were flaky"}, junit.Skipped: {"was skipped", "were skipped"}, junit.Passed: {"passed", "passed"}}[o]
	if n == 1 {
		return "1 " + verb[0]
	}
	return strings.TrimSuffix(look.Count(n, ""), "s") + verb[1]
}
