// Package history arranges builds of jobs: pages of them, the picture of how they went,
// and the table of a pull request. It is pure: what builds there are is found elsewhere.
package history

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	v1 "prow/api/prowjobs/v1"
)

// Build is a run of a job, as its files tell.
type Build struct {
	ID uint64
	// Job is the job that ran.
	Job string
	// Link is its page, relative to the root of the site; empty without one.
	Link string
	// Place is the directory of its files, as addresses have it; empty without one.
	Place string
	// State is how it went: pending while it has left no result, empty if that cannot
	// be told.
	State v1.ProwJobState
	// Started is zero where that is not known.
	Started  time.Time
	Duration time.Duration
	// Commit is what was tested; empty where that is not known.
	Commit string
	Refs   *v1.Refs
}

// Ended tells whether there is a result.
func (b *Build) Ended() bool { return b.State != "" && b.State != v1.PendingState }

// Page is a part of the builds of a job.
type Page struct {
	IDs []uint64
	// Older and Newer are the ids at which those pages begin; Newer is empty for the
	// newest page. They count only if HasOlder and HasNewer are set.
	Older, Newer       string
	HasOlder, HasNewer bool
	// Latest tells that this is not the newest page.
	Latest bool
	// First is the number of the first build that is shown, from 1.
	First, Total int
}

// PageOf cuts the page of at most size builds that begins with start, or with the next
// older one. The ids are in any order, and may be there twice.
func PageOf(ids []uint64, start, latest uint64, size int) Page {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b uint64) int { return cmp.Compare(b, a) })
	ids = slices.Compact(ids)
	first, _ := slices.BinarySearchFunc(ids, start, func(id, start uint64) int { return cmp.Compare(start, id) })
	last := min(first+size, len(ids))
	out := Page{IDs: ids[first:last], Total: len(ids), First: first + 1, Latest: start != latest}
	if last < len(ids) {
		out.HasOlder, out.Older = true, strconv.FormatUint(ids[last], 10)
	}
	if first > 0 {
		out.HasNewer = true
		if first >= size {
			out.Newer = strconv.FormatUint(ids[first-size], 10)
		}
	}
	return out
}

// Rate is how many of some builds passed, of those that passed or failed.
type Rate struct{ Passed, Failed int }

// RateOf counts builds.
func RateOf(builds []Build) (out Rate) {
	for i := range builds {
		switch builds[i].State {
		case v1.SuccessState:
			out.Passed++
		case v1.FailureState:
			out.Failed++
		}
	}
	return out
}

// Of is how many passed or failed.
func (r Rate) Of() int { return r.Passed + r.Failed }

// Percent is the part that passed, rounded down, so that 100 is all.
func (r Rate) Percent() int {
	if r.Of() == 0 {
		return 0
	}
	return r.Passed * 100 / r.Of()
}

// Median is the middle of the durations of builds that passed or failed; 0 without any.
func Median(builds []Build) time.Duration {
	var all []time.Duration
	for i := range builds {
		if s := builds[i].State; s == v1.SuccessState || s == v1.FailureState {
			all = append(all, builds[i].Duration)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// Bar is a build in the picture.
type Bar struct {
	X, Y, Width, Height int
	Build               *Build
}

// Chart is the picture of builds: one bar each, the oldest first, as high as it took.
type Chart struct {
	Width, Height int
	Bars          []Bar
	// Longest is what the highest bar stands for: builds that still run are drawn at
	// most as high as the longest that has ended.
	Longest time.Duration
}

const (
	barWidth    = 18
	barGap      = 6
	chartHeight = 90
	leastHeight = 4
)

// ChartOf draws builds that are newest first.
func ChartOf(builds []Build) Chart {
	out := Chart{Width: max(len(builds)*(barWidth+barGap)-barGap, 1), Height: chartHeight}
	for i := range builds {
		// One that was abandoned runs for ever, and would leave no room for the others.
		if builds[i].Ended() {
			out.Longest = max(out.Longest, builds[i].Duration)
		}
	}
	for i := range builds {
		b := &builds[len(builds)-1-i]
		height := leastHeight
		if out.Longest > 0 && b.Duration > 0 {
			height = max(height, int(min(float64(b.Duration)/float64(out.Longest), 1)*chartHeight))
		}
		out.Bars = append(out.Bars, Bar{X: i * (barWidth + barGap), Y: chartHeight - height, Width: barWidth, Height: height, Build: b})
	}
	return out
}

// Table is the builds of a pull request: a row for each job, a group of columns for each
// commit.
type Table struct {
	Commits []Commit
	Rows    []Row
}

// Commit is a group of columns. SHA is empty for builds of which it is not known.
type Commit struct {
	SHA  string
	Span int
	Rate Rate

	newest time.Time
}

// Row is a job. Cells are as many as columns; those without build are nil.
type Row struct {
	Job   string
	Cells []*Build
}

// shaLength is that of a commit.
const shaLength = 40

// TableOf arranges builds. Commits are ordered by their newest build, the newest first,
// unknown ones last.
func TableOf(builds []Build) Table {
	commits := map[string]*Commit{}
	rows := map[string]map[string][]*Build{}
	for i := range builds {
		b := &builds[i]
		sha := b.Commit
		if len(sha) != shaLength {
			sha = ""
		}
		c := commits[sha]
		if c == nil {
			c = &Commit{SHA: sha}
			commits[sha] = c
		}
		if b.Started.After(c.newest) {
			c.newest = b.Started
		}
		if rows[b.Job] == nil {
			rows[b.Job] = map[string][]*Build{}
		}
		rows[b.Job][sha] = append(rows[b.Job][sha], b)
		c.Span = max(c.Span, len(rows[b.Job][sha]))
		one := RateOf(builds[i : i+1])
		c.Rate.Passed, c.Rate.Failed = c.Rate.Passed+one.Passed, c.Rate.Failed+one.Failed
	}
	var out Table
	for _, c := range commits {
		out.Commits = append(out.Commits, *c)
	}
	slices.SortFunc(out.Commits, func(a, b Commit) int {
		if (a.SHA == "") != (b.SHA == "") {
			if a.SHA == "" {
				return 1
			}
			return -1
		}
		return cmp.Or(b.newest.Compare(a.newest), cmp.Compare(a.SHA, b.SHA))
	})
	for job, bySHA := range rows {
		row := Row{Job: job}
		for _, c := range out.Commits {
			cells := bySHA[c.SHA]
			slices.SortFunc(cells, func(a, b *Build) int { return cmp.Compare(b.ID, a.ID) })
			row.Cells = append(row.Cells, cells...)
			row.Cells = append(row.Cells, make([]*Build, c.Span-len(cells))...)
		}
		out.Rows = append(out.Rows, row)
	}
	slices.SortFunc(out.Rows, func(a, b Row) int { return cmp.Compare(a.Job, b.Job) })
	return out
}
