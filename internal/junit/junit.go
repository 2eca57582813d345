// Package junit reads results of tests as JUnit XML, as the many programs that write
// it really do, and says what became of each test.
//
// A Case is one element of a file: one run of a test. Merge joins the runs of a test
// within one file into a Test, which has an outcome. The same test in two files is
// two tests. Files are hostile: their size, depth and number of cases are bounded,
// and entities that they define count as text.
package junit

import (
	"hash/fnv"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Outcome is how a run of a test, or all runs of it, ended.
type Outcome int

// Outcomes. A single run is never Flaky.
const (
	Passed Outcome = iota
	Failed
	Flaky
	Skipped
)

func (o Outcome) String() string {
	switch o {
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	case Flaky:
		return "flaky"
	case Skipped:
		return "skipped"
	}
	return "outcome " + strconv.Itoa(int(o))
}

// Property is a property of a case.
type Property struct{ Name, Value string }

// Run is one run of a test.
type Run struct {
	// Outcome is Passed, Failed or Skipped.
	Outcome  Outcome
	Duration time.Duration
	// Message and Text tell why it failed or was skipped; Message is one line. Kind is
	// the type of the failure.
	Message, Kind, Text string
	// Stdout and Stderr are what it wrote.
	Stdout, Stderr string
	Properties     []Property
}

// Case is an element testcase.
type Case struct {
	// Suite is the name of the innermost suite around it.
	Suite, Class, Name string
	Run
}

// Test is all runs of a test in one file.
type Test struct {
	Suite, Class, Name string
	// Runs are in the order of the file; there is at least one.
	Runs []Run
}

// FullName is the name with the class before it, as far as it does not say it itself.
func (t *Test) FullName() string {
	if t.Class == "" || strings.HasPrefix(t.Name, t.Class) {
		return t.Name
	}
	return t.Class + ": " + t.Name
}

// ID names a test in addresses, by what it is called.
func ID(suite, class, name string) string {
	h := fnv.New64a()
	_, _ = io.WriteString(h, suite+"\x00"+class+"\x00"+name)
	return "test-" + strconv.FormatUint(h.Sum64(), 36)
}

// Outcome is Skipped if any run was skipped, Flaky if some failed and some passed.
func (t *Test) Outcome() Outcome {
	passed, failed, skipped := t.count()
	switch {
	case skipped > 0:
		return Skipped
	case failed > 0 && passed > 0:
		return Flaky
	case failed > 0:
		return Failed
	}
	return Passed
}

// AlsoFailed tells of a skipped test that the runs that were not skipped have failed.
func (t *Test) AlsoFailed() bool {
	passed, failed, skipped := t.count()
	return skipped > 0 && failed > 0 && passed == 0
}

func (t *Test) count() (passed, failed, skipped int) {
	for i := range t.Runs {
		switch t.Runs[i].Outcome {
		case Skipped:
			skipped++
		case Failed:
			failed++
		default:
			passed++
		}
	}
	return passed, failed, skipped
}

// Duration is that of all runs together.
func (t *Test) Duration() time.Duration {
	var sum time.Duration
	for i := range t.Runs {
		if sum += t.Runs[i].Duration; sum < 0 {
			return math.MaxInt64
		}
	}
	return sum
}

// Merge joins cases of one file with equal suite, class and name. Tests are in the
// order of their first runs.
func Merge(cases []Case) []Test {
	type key struct{ suite, class, name string }
	out := make([]Test, 0, len(cases))
	at := make(map[key]int, len(cases))
	runs := make([]Run, len(cases)) // one allocation for all tests with one run
	for i, c := range cases {
		k := key{c.Suite, c.Class, c.Name}
		if j, ok := at[k]; ok {
			out[j].Runs = append(out[j].Runs, c.Run)
			continue
		}
		at[k] = len(out)
		runs[i] = c.Run
		out = append(out, Test{c.Suite, c.Class, c.Name, runs[i : i+1 : i+1]})
	}
	return out
}

// seconds reads a duration, which some programs write with commas between thousands.
func seconds(text string) time.Duration {
	f, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(text), ",", ""), 64)
	if err != nil || !(f > 0) || f > 1e9 {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}
