package testgrid

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	// maxRows is how many tests a grid has, maxRowNames how many bytes their names have
	// together.
	maxRows     = 100_000
	maxRowNames = 24 << 20
	// recentColumns is in how many of the newest builds with results a test must have run
	// to count as one that there still is.
	recentColumns = 3
)

// Status is what the shown builds say about a test. The first are shown first.
type Status byte

// Statuses.
const (
	// Failing: the newest build that ran it saw it fail.
	Failing Status = iota
	// Unsteady: it was flaky in some build.
	Unsteady
	// Recovered: it failed in some build, and passes now, or is no more.
	Recovered
	// Fine: it failed in none.
	Fine
)

func (s Status) String() string {
	return [...]string{"failing", "flaky", "recovered", "fine"}[s]
}

// Row is a test in the builds of a grid.
type Row struct {
	Test
	// Cells has an outcome for each column.
	Cells  []Outcome
	Status Status
	// Ran is in how many builds it failed, passed, or was flaky; Failed and Flaky are in
	// how many of them it was that.
	Ran, Failed, Flaky int
	// Streak is how many builds in a row failed up to now, and Since the column of the
	// oldest. OpenEnded: no older column tells when that began.
	Streak, Since int
	OpenEnded     bool
	// Newest is the newest column that ran it; -1 is none. Took is how long that took.
	Newest int
	Took   time.Duration

	key string
}

// FailedPercent and FlakyPercent are the parts of the builds that ran it.
func (r *Row) FailedPercent() int { return percent(r.Failed, r.Ran) }

// FlakyPercent see FailedPercent.
func (r *Row) FlakyPercent() int { return percent(r.Flaky, r.Ran) }

// percent rounds so that 0 is none and 100 is all.
func percent(n, of int) int {
	if n == 0 || of == 0 {
		return 0
	}
	return min(max((200*n+of)/(2*of), 1), 99+n/of)
}

// Column is what a build of the grid has.
type Column struct {
	// Known tells that there are results, if only none.
	Known bool
	Note
	Tests, Passed, Failed, Flaky, Skipped int

	// group numbers the commits; -1 is unknown.
	group int
}

// Grid is filled column by column, and then asked.
type Grid struct {
	// Columns are newest first, as commits were given to New.
	Columns []Column
	// More tells that there are more tests than rows.
	More bool

	groups int
	sets   map[string][]int32
	index  map[string]int32
	keys   []string
	names  int
	// cells are of all rows, one after the other; took of the newest cell of each.
	cells  []Outcome
	took   []uint32
	newest []int16
	rows   []Row
}

// New is a grid without results. commits are those of the builds, newest first; empty
// where they are unknown.
func New(commits []string) *Grid {
	g := &Grid{Columns: make([]Column, len(commits)), sets: map[string][]int32{}, index: map[string]int32{}}
	numbers := map[string]int{}
	for i, commit := range commits {
		g.Columns[i].group = -1
		if commit == "" {
			continue
		}
		n, known := numbers[commit]
		if !known {
			n = len(numbers)
			numbers[commit] = n
		}
		g.Columns[i].group = n
	}
	g.groups = len(numbers)
	return g
}

// Add fills a column with the stored results of a build. set names the tests: those of a
// set that was there before are not looked at again. After an error the column has no
// results. The newest columns are best added first, and all before the grid is asked.
func (g *Grid) Add(column int, set string, tests, packed []byte) error {
	r, err := readResults(packed)
	if err != nil {
		return err
	}
	rows, known := g.sets[set]
	if !known {
		if rows, err = g.rowsOf(tests); err != nil {
			return err
		}
		g.sets[set] = rows
	}
	if len(rows) != len(r.outcomes) {
		return bad("names and results are not of the same tests")
	}
	// newer tells that a result is the newest of a test so far.
	newer := func(i int) bool {
		o := Outcome(r.outcomes[i])
		return rows[i] >= 0 && o != Skipped && column < int(g.newest[rows[i]])
	}
	wanted := false
	for i := range rows {
		if wanted = newer(i); wanted {
			break
		}
	}
	if wanted {
		if err := r.eachTook(func(i int, d time.Duration) {
			if newer(i) {
				g.newest[rows[i]], g.took[rows[i]] = int16(column), uint32(d.Milliseconds())
			}
		}); err != nil {
			return err
		}
	}
	width := len(g.Columns)
	for i, row := range rows {
		if row >= 0 {
			g.cells[int(row)*width+column] = Outcome(r.outcomes[i])
		}
	}
	g.Columns[column].Known, g.Columns[column].Note = true, r.Note
	return nil
}

// rowsOf finds the rows of tests, -1 for those that there is no room for.
func (g *Grid) rowsOf(tests []byte) (rows []int32, err error) {
	err = eachTest(tests, func(key []byte) error {
		row, known := g.index[string(key)]
		if !known {
			if len(g.keys) >= maxRows || g.names+len(key) > maxRowNames {
				g.More = true
				rows = append(rows, -1)
				return nil
			}
			row = int32(len(g.keys))
			name := string(key)
			g.index[name] = row
			g.keys = append(g.keys, name)
			g.names += len(key)
			g.cells = append(g.cells, make([]Outcome, len(g.Columns))...)
			g.took = append(g.took, 0)
			g.newest = append(g.newest, 1<<14)
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// finish judges all tests.
func (g *Grid) finish() {
	if g.rows != nil {
		return
	}
	last, found := -1, 0 // the oldest of the recent columns
	for i := range g.Columns {
		c := &g.Columns[i]
		*c = Column{Known: c.Known, Note: c.Note, group: c.group}
	}
	width := len(g.Columns)
	for i := range g.keys {
		for j, o := range g.cells[i*width : (i+1)*width] {
			if o != Absent {
				g.Columns[j].Tests++
			}
		}
	}
	for i := range g.Columns {
		if g.Columns[i].Tests > 0 && found < recentColumns {
			last, found = i, found+1
		}
	}
	g.rows = make([]Row, 0, len(g.keys))
	passedIn := make([]bool, g.groups)
	for i, key := range g.keys {
		r := Row{Test: testOf(key), Cells: g.cells[i*width : (i+1)*width : (i+1)*width], key: key}
		if !slices.ContainsFunc(r.Cells, func(o Outcome) bool { return o != Absent }) {
			continue // of a column that broke off
		}
		g.judge(&r, last, passedIn)
		if r.Newest >= 0 {
			r.Took = time.Duration(g.took[i]) * time.Millisecond
		}
		g.rows = append(g.rows, r)
		for j, o := range r.Cells {
			switch o {
			case Passed:
				g.Columns[j].Passed++
			case Failed:
				g.Columns[j].Failed++
			case Flaky:
				g.Columns[j].Flaky++
			case Skipped:
				g.Columns[j].Skipped++
			}
		}
	}
}

// judge fills in what the cells of a row mean. A failure is flaky, too, if another build
// of the same commit passed. Those of the present streak are not: whether they go away
// without a change nobody knows yet.
func (g *Grid) judge(r *Row, recent int, passedIn []bool) {
	r.Newest, r.OpenEnded = -1, true
	streak := true
	failed := false
	for i, o := range r.Cells {
		switch o {
		case Passed, Failed, Flaky:
			r.Ran++
			if r.Newest < 0 {
				r.Newest = i
			}
			failed = failed || o == Failed
			if o != Failed {
				if streak {
					r.OpenEnded = false
				}
				streak = false
			} else if streak {
				r.Streak++
				r.Since = i
			}
		}
	}
	if failed {
		g.forgive(r, passedIn)
	}
	for _, o := range r.Cells {
		switch o {
		case Failed:
			r.Failed++
		case Flaky:
			r.Flaky++
		}
	}
	if r.Streak == 0 || r.Newest > recent {
		r.Streak, r.Since, r.OpenEnded = 0, 0, false
	}
	switch {
	case r.Streak > 0:
		r.Status = Failing
	case r.Flaky > 0:
		r.Status = Unsteady
	case r.Failed > 0:
		r.Status = Recovered
	default:
		r.Status = Fine
	}
}

// forgive makes failures flaky that passed in another build of their commit.
func (g *Grid) forgive(r *Row, passedIn []bool) {
	clear(passedIn)
	any := false
	for i, o := range r.Cells {
		if n := g.Columns[i].group; n >= 0 && (o == Passed || o == Flaky) {
			passedIn[n], any = true, true
		}
	}
	if !any {
		return
	}
	for i, o := range r.Cells {
		if o != Failed || r.Streak > 0 && i <= r.Since {
			continue
		}
		if n := g.Columns[i].group; n >= 0 && passedIn[n] {
			r.Cells[i] = Flaky
		}
	}
}

// Counts are how many tests there are of each status.
type Counts struct{ Tests, Failing, Flaky, Recovered int }

// Count counts the tests.
func (g *Grid) Count() (out Counts) {
	g.finish()
	out.Tests = len(g.rows)
	for i := range g.rows {
		switch g.rows[i].Status {
		case Failing:
			out.Failing++
		case Recovered:
			out.Recovered++
		}
		if g.rows[i].Flaky > 0 {
			out.Flaky++
		}
	}
	return out
}

// Only says which tests are wanted.
type Only string

// What may be wanted. Troubled, the default, is tests that failed or were flaky.
const (
	Troubled   Only = ""
	OnlyFailed Only = "failed"
	OnlyFlaky  Only = "flaky"
	All        Only = "all"
)

// Valid tells whether there is such a wish.
func (o Only) Valid() bool { return o == Troubled || o == OnlyFailed || o == OnlyFlaky || o == All }

func (o Only) wants(r *Row) bool {
	switch o {
	case All:
		return true
	case OnlyFailed:
		return r.Failed > 0
	case OnlyFlaky:
		return r.Flaky > 0
	}
	return r.Failed+r.Flaky > 0
}

// Rows are the tests that are wanted and have a text in a part of their names, whatever
// the case: those that fail now, the longest streak first, then flaky ones, then the rest.
func (g *Grid) Rows(only Only, text string) []*Row {
	g.finish()
	text = strings.ToLower(text)
	var out []*Row
	for i := range g.rows {
		r := &g.rows[i]
		if only.wants(r) && (text == "" || r.contains(text)) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(b.Streak, a.Streak), cmp.Compare(b.Flaky, a.Flaky), cmp.Compare(b.Failed, a.Failed), strings.Compare(a.key, b.key))
	})
	return out
}

func (r *Row) contains(lower string) bool {
	return strings.Contains(strings.ToLower(r.Name), lower) || strings.Contains(strings.ToLower(r.Class), lower) || strings.Contains(strings.ToLower(r.Suite), lower)
}
