// Package testgrid puts results of tests into a grid: a row for each test, a column for
// each build of a job. It is pure: where results come from is for others to know.
//
// A Collector makes a Summary of the results of one build: one outcome for each test. It
// is stored in two parts (stored.go): the names of the tests, which most builds of a job
// have in common, and what became of them. A Grid is filled from those parts, so that
// names which many builds share are in memory once, and tells for each test whether it
// fails now, since when, and whether it is flaky (grid.go). What jobs have written is
// hostile: numbers and lengths are bounded, and names hold nothing that is not seen.
package testgrid

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"prow/internal/junit"
)

const (
	// MaxTests is how many tests of a build are kept, MaxNames how many bytes their names
	// may have together.
	MaxTests = 50_000
	MaxNames = 8 << 20
	// maxPart is how long a part of a name may be, in bytes.
	maxPart = 500
	// maxTook is the longest duration that is kept.
	maxTook = 1000 * time.Hour
)

// Outcome is what became of a test in one build.
type Outcome byte

// Outcomes. Flaky is a test that failed, and passed without a change.
const (
	Absent Outcome = iota
	Passed
	Failed
	Flaky
	Skipped
)

func (o Outcome) String() string {
	switch o {
	case Absent:
		return "absent"
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	case Flaky:
		return "flaky"
	case Skipped:
		return "skipped"
	}
	return fmt.Sprintf("outcome %d", o)
}

// Test is what a test is called. Its parts have no control characters.
type Test struct{ Suite, Class, Name string }

// key orders tests, and is all of a test as one text.
func (t Test) key() string { return t.Suite + "\x00" + t.Class + "\x00" + t.Name }

func testOf(key string) Test {
	suite, rest, _ := strings.Cut(key, "\x00")
	class, name, _ := strings.Cut(rest, "\x00")
	return Test{suite, class, name}
}

// Summary is the results of a build.
type Summary struct {
	// Tests are in order, and each is there once; Outcomes and Took are of them.
	Tests    []Test
	Outcomes []Outcome
	Took     []time.Duration
	Note
}

// Note tells how much of the results of a build there is.
type Note struct {
	// Files were read; Broken of them broke off.
	Files, Broken int
	// Cut: there is more than is kept.
	Cut bool
}

// tally counts the runs of a test.
type tally struct {
	passed, failed bool
	took           time.Duration
}

// Collector makes the summary of one build of the cases of its files. A test is its
// suite, class and name: the same in several files is one test, as of a job that runs its
// tests again, or of one whose shards report all tests. So one that failed and passed is
// flaky, and one is skipped only if no run of it was more than that.
type Collector struct {
	Note
	tests map[Test]*tally
	names int
}

// Add takes the cases of a file.
func (c *Collector) Add(cases []junit.Case) {
	if c.tests == nil {
		c.tests = map[Test]*tally{}
	}
	for i := range cases {
		one := &cases[i]
		test := Test{visible(one.Suite), visible(one.Class), visible(one.Name)}
		t := c.tests[test]
		if t == nil {
			if size := len(test.key()); len(c.tests) >= MaxTests || c.names+size > MaxNames {
				c.Cut = true
				continue
			} else {
				c.names += size
			}
			t = &tally{}
			c.tests[test] = t
		}
		t.took = min(t.took+min(max(one.Duration, 0), maxTook), maxTook)
		switch one.Outcome {
		case junit.Failed, junit.Flaky:
			t.failed = true
			t.passed = t.passed || one.Outcome == junit.Flaky
		case junit.Passed:
			t.passed = true
		}
	}
}

// Summary is that of what was added.
func (c *Collector) Summary() *Summary {
	out := &Summary{Note: c.Note, Tests: make([]Test, 0, len(c.tests))}
	for test := range c.tests {
		out.Tests = append(out.Tests, test)
	}
	slices.SortFunc(out.Tests, func(a, b Test) int {
		return cmp.Or(strings.Compare(a.Suite, b.Suite), strings.Compare(a.Class, b.Class), strings.Compare(a.Name, b.Name))
	})
	out.Outcomes, out.Took = make([]Outcome, len(out.Tests)), make([]time.Duration, len(out.Tests))
	for i, test := range out.Tests {
		t := c.tests[test]
		out.Took[i] = t.took.Truncate(time.Millisecond)
		switch {
		case t.failed && t.passed:
			out.Outcomes[i] = Flaky
		case t.failed:
			out.Outcomes[i] = Failed
		case t.passed:
			out.Outcomes[i] = Passed
		default:
			out.Outcomes[i] = Skipped
		}
	}
	return out
}

// visible is a name of which everything can be seen: what would be invisible, or change
// the direction of what stands around it, is told by its number. A long one is cut, and
// ends with a number that tells it from others which begin alike.
func visible(s string) string {
	if len(s) > maxPart {
		h := fnv.New32a()
		_, _ = h.Write([]byte(s))
		s = fmt.Sprintf("%s… %08x", strings.ToValidUTF8(s[:maxPart-20], ""), h.Sum32())
	}
	if !strings.ContainsFunc(s, unseen) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			b.WriteByte(' ')
		case unseen(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unseen(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0, r == utf8.RuneError:
		return true
	case r < 0xad: // most of what there is
		return false
	case r == 0x200c || r == 0x200d: // they join letters, and emoji
		return false
	}
	return unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029 || !unicode.IsGraphic(r)
}
