package deck

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"prow/internal/deck/history"
	"prow/internal/deck/testgrid"
)

// gridView is the page of the tests of a job.
type gridView struct {
	Job, Place, History string
	Columns             []gridColumn
	Rows                []gridRow
	// Sentences tell what the grid says; Notes what it lacks.
	Sentences, Notes []string
	// Pending is how many builds are still being read.
	Pending int
	// Total is how many tests are wanted, of which the page shows those from First to Last.
	Total, First, Last int
	Tests              int
	Choices            []gridChoice
	Text               string
	Only               testgrid.Only
	Builds             int
	// BuildID is that which the page begins with; empty for the newest.
	BuildID string
	// Again is this page; the others lead to other tests, and to other builds.
	Again, Before, After  string
	Latest, Newer, Older  string
	JSON                  string
	HasTests, AnyFinished bool
}

type gridChoice struct {
	Text, Link string
	Selected   bool
}

// gridColumn is a build.
type gridColumn struct {
	history.Build
	// Pull is the number of the pull request that was tested; 0 without one.
	Pull int
	// Pending, Problem and Cut tell why it has no results, or not all.
	Pending, Problem, Cut bool
	Counts                testgrid.Column
}

// Detail tells what a build has in words.
func (c gridColumn) Detail() string {
	switch {
	case c.Pending:
		return "the results are still being read"
	case c.Problem:
		return "the results cannot be read"
	case c.Counts.Tests == 0:
		return "no results of tests"
	}
	out := fmt.Sprintf("%d of %s failed", c.Counts.Failed, count(c.Counts.Tests, "test"))
	if c.Counts.Flaky > 0 {
		out += fmt.Sprintf(", %d flaky", c.Counts.Flaky)
	}
	return out
}

// gridRow is a test.
type gridRow struct {
	Name, Where string
	*testgrid.Row
	Cells []gridCell
	// SinceBuild is the build since which it fails, Link its page.
	SinceBuild *history.Build
	Duration   string
}

// StreakText is how often it has failed up to now, in words.
func (r gridRow) StreakText() string { return count(r.Streak, "build") }

// Shares are the parts of the builds that ran it in which it failed or was flaky, and how
// long it took at last.
func (r gridRow) Shares() string {
	var out []string
	if r.Failed > 0 {
		out = append(out, fmt.Sprintf("failed in %d%%", r.FailedPercent()))
	}
	if r.Flaky > 0 {
		out = append(out, fmt.Sprintf("flaky in %d%%", r.FlakyPercent()))
	}
	if r.Duration != "" {
		out = append(out, "took "+r.Duration)
	}
	return strings.Join(out, ", ")
}

type gridCell struct {
	Class, Word, Link, Title string
}

// count makes "1 test" and "2 tests".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (f *foundGrid) view() *gridView {
	q := f.query
	out := &gridView{
		Job: f.root.job, Place: f.root.path(), History: "job-history/" + escapePath(f.root.path()), Total: len(f.rows), Tests: f.counts.Tests, Text: q.text, Only: q.only, Builds: q.builds,
		Again: q.with(func(*gridQuery) {}), HasTests: f.counts.Tests > 0, AnyFinished: len(f.builds) > 0,
	}
	if q.build != 0 {
		out.BuildID = strconv.FormatUint(q.build, 10)
		out.History += "?buildId=" + out.BuildID
	}
	values := q.values()
	values.Set("format", "json")
	out.JSON = "?" + values.Encode()
	for i := range f.builds {
		b := f.builds[i]
		c := gridColumn{Build: b, Pull: pullNumber(b.Refs), Pending: f.pending[i], Problem: f.problem[i], Counts: f.grid.Columns[i]}
		c.Cut = c.Counts.Cut || c.Counts.Broken > 0
		if c.Pending {
			out.Pending++
		}
		out.Columns = append(out.Columns, c)
	}
	part := f.part()
	for _, r := range part {
		out.Rows = append(out.Rows, f.row(r, out.Columns))
	}
	from := min(q.from, len(f.rows))
	out.First, out.Last = from+1, from+len(part)
	if from > 0 {
		out.Before = q.with(func(q *gridQuery) { q.from = max(0, from-q.rows) })
	}
	if out.Last < len(f.rows) {
		out.After = q.with(func(q *gridQuery) { q.from = out.Last })
	}
	f.fillPages(out)
	for _, c := range []struct {
		only testgrid.Only
		text string
	}{{testgrid.Troubled, "Failed or flaky"}, {testgrid.OnlyFailed, "Failed"}, {testgrid.OnlyFlaky, "Flaky"}, {testgrid.All, "All tests"}} {
		out.Choices = append(out.Choices, gridChoice{c.text, q.with(func(q *gridQuery) { q.only, q.from = c.only, 0 }), c.only == q.only})
	}
	out.Sentences, out.Notes = f.sentences(), f.notes()
	return out
}

// fillPages links other builds.
func (f *foundGrid) fillPages(out *gridView) {
	to := func(text string) string {
		id, _ := strconv.ParseUint(text, 10, 64) // of the page, or empty for the newest
		return f.query.with(func(q *gridQuery) { q.build, q.from = id, 0 })
	}
	if f.page.Latest {
		out.Latest = to("")
	}
	if f.page.HasNewer {
		out.Newer = to(f.page.Newer)
	}
	if f.page.HasOlder {
		out.Older = to(f.page.Older)
	}
}

func (f *foundGrid) row(r *testgrid.Row, columns []gridColumn) gridRow {
	out := gridRow{Row: r, Name: r.Name, Where: r.Class}
	if out.Name == "" {
		out.Name = "(without a name)"
	}
	if r.Suite != "" && r.Suite != r.Class {
		out.Where = strings.TrimSuffix(r.Suite+" · "+r.Class, " · ")
	}
	if r.Took >= 500*time.Millisecond {
		out.Duration = took(r.Took)
	}
	if r.Streak > 0 {
		out.SinceBuild = &columns[r.Since].Build
	}
	for i, o := range r.Cells {
		c := gridCell{Class: "g-" + o.String(), Word: o.String()}
		switch {
		case columns[i].Pending:
			c.Class, c.Word = "g-pending", "not read yet"
		case o == testgrid.Failed || o == testgrid.Flaky:
			c.Link, c.Title = f.testLink(&columns[i].Build, r.Test), "#"+strconv.FormatUint(columns[i].ID, 10)
		}
		out.Cells = append(out.Cells, c)
	}
	return out
}

// sentences tell what the grid says.
func (f *foundGrid) sentences() (out []string) {
	c := f.counts
	if c.Tests == 0 {
		return nil
	}
	say := func(n int, one, many string) string {
		if n == 1 {
			return "1 test " + one
		}
		return strconv.Itoa(n) + " tests " + many
	}
	switch {
	case f.page.Latest && c.Failing == 0: // an older page has no now
		out = append(out, "No test failed at the end of these builds.")
	case f.page.Latest:
		out = append(out, say(c.Failing, "failed", "failed")+" at the end of these builds.")
	case c.Failing == 0:
		out = append(out, "No test fails now.")
	default:
		out = append(out, say(c.Failing, "fails", "fail")+" now.")
	}
	if c.Flaky == 0 {
		out = append(out, "None was flaky.")
	} else {
		out = append(out, say(c.Flaky, "was", "were")+" flaky.")
	}
	if c.Recovered > 0 {
		out = append(out, say(c.Recovered, "failed before and does not now.", "failed before and do not now."))
	}
	return out
}

// notes tell what the grid lacks.
func (f *foundGrid) notes() (out []string) {
	pending, problem, cut, broken, without := 0, 0, 0, 0, 0
	for i := range f.builds {
		c := &f.grid.Columns[i]
		switch {
		case f.pending[i]:
			pending++
		case f.problem[i]:
			problem++
		case c.Cut:
			cut++
		case c.Broken > 0:
			broken++
		case c.Tests == 0:
			without++
		}
	}
	tell := func(n int, text string) {
		if n > 0 {
			out = append(out, fmt.Sprintf(text, count(n, "build")))
		}
	}
	tell(f.running, "Left out, because not ended: %s.")
	tell(problem, "The results of %s cannot be read at the moment.")
	tell(cut, fmt.Sprintf("Of %%s only a part of the results is here: at most %d files, %d MiB and %d tests are read.", maxResultFiles, maxResultBytes>>20, testgrid.MaxTests))
	tell(broken, "Files with results of %s break off, and count up to there.")
	if without > 0 && f.counts.Tests > 0 {
		tell(without, "Without results of tests: %s.")
	}
	if f.grid.More {
		out = append(out, "There are more tests than a grid has room for.")
	}
	if f.more {
		out = append(out, "The search for builds took too long: there are more.")
	}
	return out
}

// gridAnswer is the grid for programs.
type gridAnswer struct {
	Job    string      `json:"job"`
	Place  string      `json:"place"`
	Builds []gridBuild `json:"builds"`
	// Tests counts all tests of these builds.
	Tests     int `json:"tests"`
	Failing   int `json:"failing"`
	Flaky     int `json:"flaky"`
	Recovered int `json:"recovered"`
	// Matching is how many are wanted, of which rows has those from the number from on.
	Matching int           `json:"matching"`
	From     int           `json:"from"`
	Rows     []gridTestRow `json:"rows"`
	// Older is the buildId of the page with older builds.
	Older string   `json:"older,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

type gridBuild struct {
	ID      string     `json:"id"`
	Link    string     `json:"link,omitempty"`
	State   string     `json:"state"`
	Started *time.Time `json:"started,omitempty"`
	Commit  string     `json:"commit,omitempty"`
	// Results is "read", "pending" or "unreadable".
	Results string `json:"results"`
	Tests   int    `json:"tests"`
	Failed  int    `json:"failed"`
	Flaky   int    `json:"flaky"`
}

type gridTestRow struct {
	Suite  string `json:"suite,omitempty"`
	Class  string `json:"class,omitempty"`
	Name   string `json:"name"`
	Status string `json:"status"`
	// Cells has a letter for each build: P passed, F failed, K flaky, S skipped, "-" absent.
	Cells  string `json:"cells"`
	Ran    int    `json:"ran"`
	Failed int    `json:"failed"`
	Flaky  int    `json:"flaky"`
	Streak int    `json:"streak,omitempty"`
	Since  string `json:"since,omitempty"`
	// SinceBefore tells that it may fail for longer.
	SinceBefore bool    `json:"sinceBefore,omitempty"`
	Seconds     float64 `json:"seconds,omitempty"`
}

func (f *foundGrid) answer() *gridAnswer {
	out := &gridAnswer{
		Job: f.root.job, Place: f.root.path(), Tests: f.counts.Tests, Failing: f.counts.Failing, Flaky: f.counts.Flaky, Recovered: f.counts.Recovered,
		Matching: len(f.rows), From: f.query.from, Builds: []gridBuild{}, Rows: []gridTestRow{}, Notes: f.notes(),
	}
	if f.page.HasOlder {
		out.Older = f.page.Older
	}
	for i := range f.builds {
		b, c := &f.builds[i], &f.grid.Columns[i]
		one := gridBuild{ID: strconv.FormatUint(b.ID, 10), Link: b.Link, State: string(b.State), Commit: b.Commit, Results: "read", Tests: c.Tests, Failed: c.Failed, Flaky: c.Flaky}
		if f.pending[i] {
			one.Results = "pending"
		} else if f.problem[i] {
			one.Results = "unreadable"
		}
		if !b.Started.IsZero() {
			at := b.Started.UTC()
			one.Started = &at
		}
		out.Builds = append(out.Builds, one)
	}
	for _, r := range f.part() {
		row := gridTestRow{Suite: r.Suite, Class: r.Class, Name: r.Name, Status: r.Status.String(), Ran: r.Ran, Failed: r.Failed, Flaky: r.Flaky, Streak: r.Streak, SinceBefore: r.OpenEnded, Seconds: r.Took.Seconds()}
		if r.Streak > 0 {
			row.Since = strconv.FormatUint(f.builds[r.Since].ID, 10)
		}
		letters := make([]byte, len(r.Cells))
		for i, o := range r.Cells {
			letters[i] = "-PFKS"[o]
		}
		row.Cells = string(letters)
		out.Rows = append(out.Rows, row)
	}
	return out
}
