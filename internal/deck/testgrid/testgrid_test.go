package testgrid

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"prow/internal/junit"
)

// cases reads "name outcome" of each line: + passed, - failed, s skipped.
func cases(text string) (out []junit.Case) {
	for line := range strings.Lines(text) {
		name, outcome, _ := strings.Cut(strings.TrimSpace(line), " ")
		c := junit.Case{Name: name}
		c.Duration = time.Second
		c.Outcome = map[string]junit.Outcome{"+": junit.Passed, "-": junit.Failed, "s": junit.Skipped}[outcome]
		out = append(out, c)
	}
	return out
}

func TestWhatBecameOfATest(t *testing.T) {
	for name, test := range map[string]struct {
		files []string
		want  string
	}{
		"one run each":                               {[]string{"a +\nb -\nc s"}, "passed failed skipped"},
		"failed, then passed in the same file":       {[]string{"a -\na +"}, "flaky"},
		"passed, then failed in the same file":       {[]string{"a +\na -"}, "flaky"},
		"failed, then passed in another file":        {[]string{"a -", "a +"}, "flaky"},
		"failed twice":                               {[]string{"a -\na -"}, "failed"},
		"shards skip what another one runs":          {[]string{"a s", "a +", "a s"}, "passed"},
		"shards skip what fails in another one":      {[]string{"a s", "a -", "a s"}, "failed"},
		"no files":                                   {nil, ""},
		"tests are in the order of names, not files": {[]string{"b -\na +"}, "passed failed"},
	} {
		var c Collector
		for _, file := range test.files {
			c.Add(cases(file))
		}
		var got []string
		for _, o := range c.Summary().Outcomes {
			got = append(got, o.String())
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: %s", name, s)
		}
	}
}

func TestTimesOfRunsAddUp(t *testing.T) {
	var c Collector
	c.Add(cases("a -\na +"))
	c.Add([]junit.Case{{Name: "b", Run: junit.Run{Duration: 1<<63 - 1}}, {Name: "b", Run: junit.Run{Duration: 1<<63 - 1}}, {Name: "c", Run: junit.Run{Duration: -5}}})
	if got := c.Summary().Took; !reflect.DeepEqual(got, []time.Duration{2 * time.Second, maxTook, 0}) {
		t.Errorf("%v", got)
	}
}

func TestNamesHoldNothingThatIsNotSeen(t *testing.T) {
	for name, want := range map[string]string{
		"plain":                     "plain",
		"<script>alert(1)</script>": "<script>alert(1)</script>", // the page escapes it
		"a\x00b\x1b[31m":            `a\u{0}b\u{1b}[31m`,
		"line\nfeed\ttab":           "line feed tab",
		"right\u202eto left":        `right\u{202e}to left`,
		"isolate\u2066\u2069":       `isolate\u{2066}\u{2069}`,
		"zero\u200bwidth\ufeff":     `zero\u{200b}width\u{feff}`,
		"soft\u00adhyphen":          `soft\u{ad}hyphen`,
		"broken\xff":                `broken\u{fffd}`,
		"Ä 测试 👩\u200d💻 می\u200cخواهم (x=1)/\"y\"": "Ä 测试 👩\u200d💻 می\u200cخواهم (x=1)/\"y\"",
	} {
		if got := visible(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
	long := strings.Repeat("ä", 1<<19)
	a, b := visible(long+"a"), visible(long+"b")
	if len(a) > maxPart || a == b || !strings.HasPrefix(a, "ääää") {
		t.Errorf("%d bytes: %q %q", len(a), a, b)
	}
}

func TestOfTooManyTestsAPartIsKept(t *testing.T) {
	many := make([]junit.Case, MaxTests+1)
	for i := range many {
		many[i].Name = fmt.Sprint(i)
	}
	var c Collector
	c.Add(many)
	if s := c.Summary(); len(s.Tests) != MaxTests || !s.Cut {
		t.Errorf("%d tests, cut %v", len(s.Tests), s.Cut)
	}
	for i := range many {
		many[i].Name = strings.Repeat("x", 400) + many[i].Name
	}
	c = Collector{}
	c.Add(many)
	s := c.Summary()
	if len(s.Tests) < 20_000 || len(s.Tests) == MaxTests || !s.Cut {
		t.Errorf("%d tests, cut %v", len(s.Tests), s.Cut)
	}
	if tests, results := packed(t, s); len(tests) > 0 {
		if back, err := Unpack(tests, results); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("what was cut does not come back: %v", err)
		}
	}
}

func packed(t testing.TB, s *Summary) (tests, results []byte) {
	t.Helper()
	tests, err := s.PackTests()
	if err != nil {
		t.Fatal(err)
	}
	if results, err = s.PackResults(); err != nil {
		t.Fatal(err)
	}
	return tests, results
}

func TestWhatIsStoredComesBack(t *testing.T) {
	c := Collector{Note: Note{Files: 3, Broken: 1, Cut: true}}
	c.Add([]junit.Case{{Suite: "s", Class: "c", Name: "n", Run: junit.Run{Outcome: junit.Failed, Duration: 1234567890}}, {Name: "<b>"}, {Suite: "s", Class: "c", Name: "n2"}, {}})
	want := c.Summary()
	tests, results := packed(t, want)
	got, err := Unpack(tests, results)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	for name, damage := range map[string]func(tests, results []byte) ([]byte, []byte){
		"no names":                  func(_, r []byte) ([]byte, []byte) { return nil, r },
		"no results":                func(n, _ []byte) ([]byte, []byte) { return n, nil },
		"names of a newer version":  func(n, r []byte) ([]byte, []byte) { return append([]byte{2}, n[1:]...), r },
		"results of a newer one":    func(n, r []byte) ([]byte, []byte) { return n, append([]byte{2}, r[1:]...) },
		"half of the names":         func(n, r []byte) ([]byte, []byte) { return n[:len(n)/2], r },
		"half of the results":       func(n, r []byte) ([]byte, []byte) { return n, r[:len(r)/2] },
		"results of fewer tests":    func(n, r []byte) ([]byte, []byte) { return n, append([]byte{1, 2}, r[2:]...) },
		"results of too many tests": func(n, r []byte) ([]byte, []byte) { return n, append([]byte{1, 0xff, 0xff, 0xff, 0x7f}, r[2:]...) },
	} {
		if _, err := Unpack(damage(tests, results)); !errors.Is(err, ErrStored) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// grid reads a row of outcomes for each test, the newest build first, and a row of commits.
func grid(t testing.TB, commits string, rows ...string) *Grid {
	t.Helper()
	names := strings.Fields(commits)
	for i, name := range names {
		names[i] = strings.Trim(name, "-")
	}
	g := New(names)
	for col := range names {
		var lines []string
		for _, row := range rows {
			name, cells, _ := strings.Cut(row, ":")
			switch cells[col] {
			case '+', '-', 's':
				lines = append(lines, name+" "+string(cells[col]))
			case '~':
				lines = append(lines, name+" -", name+" +")
			case '?':
				lines = nil
			}
		}
		if strings.Contains(rows[0], ":") && strings.Split(rows[0], ":")[1][col] == '?' {
			continue // not read
		}
		var c Collector
		c.Add(cases(strings.Join(lines, "\n")))
		tests, results := packed(t, c.Summary())
		if err := g.Add(col, string(tests), tests, results); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (r *Row) line() string {
	var b strings.Builder
	b.WriteString(r.Name + ":")
	for _, o := range r.Cells {
		b.WriteByte(".+-~s"[o])
	}
	return b.String()
}

func TestWhatTheGridTells(t *testing.T) {
	for name, test := range map[string]struct {
		commits, row, want     string
		status                 Status
		streak, since          int
		open                   bool
		ran, failed, flaky     int
		failedPart, flakyParts int
	}{
		"passes everywhere":                                {"a b c d", "t:++++", "t:++++", Fine, 0, 0, false, 4, 0, 0, 0, 0},
		"fails since the second newest":                    {"a b c d", "t:--++", "t:--++", Failing, 2, 1, false, 4, 2, 0, 50, 0},
		"fails everywhere, so nobody knows since when":     {"a b c d", "t:----", "t:----", Failing, 4, 3, true, 4, 4, 0, 100, 0},
		"fixed in the newest":                              {"a b c d", "t:+--+", "t:+--+", Recovered, 0, 0, false, 4, 2, 0, 50, 0},
		"flaky within a build":                             {"a b c d", "t:+~++", "t:+~++", Unsteady, 0, 0, false, 4, 0, 1, 0, 25},
		"flaky in the newest, which ends no streak":        {"a b c d", "t:~--+", "t:~--+", Unsteady, 0, 0, false, 4, 2, 1, 50, 25},
		"failed, then passed for the same commit":          {"a b b d", "t:++-+", "t:++~+", Unsteady, 0, 0, false, 4, 0, 1, 0, 25},
		"passed, then failed for the same commit":          {"a b b d", "t:+-++", "t:+~++", Unsteady, 0, 0, false, 4, 0, 1, 0, 25},
		"fails now, but passed before for the same commit": {"b b c d", "t:-+++", "t:-+++", Failing, 1, 0, false, 4, 1, 0, 25, 0},
		"an old flake, and a new failure":                  {"a b c c", "t:-+-+", "t:-+~+", Failing, 1, 0, false, 4, 1, 1, 25, 25},
		"failures of unknown commits are no flakes":        {"-- -- -- --", "t:+-+-", "t:+-+-", Recovered, 0, 0, false, 4, 2, 0, 50, 0},
		"the streak goes on across builds without it":      {"a b c d", "t:-.-+", "t:-.-+", Failing, 2, 2, false, 3, 2, 0, 67, 0},
		"the streak goes on across skips":                  {"a b c d", "t:s--+", "t:s--+", Failing, 2, 2, false, 3, 2, 0, 67, 0},
		"skipped everywhere":                               {"a b c d", "t:ssss", "t:ssss", Fine, 0, 0, false, 0, 0, 0, 0, 0},
		"its newest failure is the third newest build":     {"a b c d", "t:..-+", "t:..-+", Failing, 1, 2, false, 2, 1, 0, 50, 0},
		"it failed, and is no more":                        {"a b c d", "t:...-", "t:...-", Recovered, 0, 0, false, 1, 1, 0, 100, 0},
		"one failure in many is not none":                  {strings.Repeat("-- ", 300), "t:+-" + strings.Repeat("+", 298), "", Recovered, 0, 0, false, 300, 1, 0, 1, 0},
		"one success in many is not none":                  {strings.Repeat("-- ", 300), "t:-+" + strings.Repeat("-", 298), "", Failing, 1, 0, false, 300, 299, 0, 99, 0},
	} {
		g := grid(t, test.commits, test.row, "other:"+strings.Repeat("+", len(test.row)-2))
		rows := g.Rows(All, "t")
		r := rows[0]
		if r.Name != "t" {
			r = rows[1]
		}
		if test.want != "" && r.line() != test.want {
			t.Errorf("%s: %s", name, r.line())
		}
		if r.Status != test.status || r.Streak != test.streak || r.Since != test.since || r.OpenEnded != test.open {
			t.Errorf("%s: %v, %d since %d, open %v", name, r.Status, r.Streak, r.Since, r.OpenEnded)
		}
		if r.Ran != test.ran || r.Failed != test.failed || r.Flaky != test.flaky || r.FailedPercent() != test.failedPart || r.FlakyPercent() != test.flakyParts {
			t.Errorf("%s: %d ran, %d failed (%d%%), %d flaky (%d%%)", name, r.Ran, r.Failed, r.FailedPercent(), r.Flaky, r.FlakyPercent())
		}
	}
}

func TestRowsAreInTheOrderOfWhatMattersMost(t *testing.T) {
	g := grid(t, "a b c d", "fine:++++", "short:-+++", "recovered:+--+", "flaky:~+++", "flakier:~~++", "long:--++", "also-short:-+++", "skipped:ssss")
	names := func(only Only, text string) string {
		var out []string
		for _, r := range g.Rows(only, text) {
			out = append(out, r.Name)
		}
		return strings.Join(out, " ")
	}
	for _, test := range []struct {
		only       Only
		text, want string
	}{
		{Troubled, "", "long also-short short flakier flaky recovered"},
		{All, "", "long also-short short flakier flaky recovered fine skipped"},
		{OnlyFailed, "", "long also-short short recovered"},
		{OnlyFlaky, "", "flakier flaky"},
		{All, "SHORT", "also-short short"},
		{Troubled, "fine", ""},
	} {
		if got := names(test.only, test.text); got != test.want {
			t.Errorf("%q %q: %s", test.only, test.text, got)
		}
	}
	if got := g.Count(); got != (Counts{Tests: 8, Failing: 3, Flaky: 2, Recovered: 1}) {
		t.Errorf("%+v", got)
	}
	if c := g.Columns[0]; !c.Known || c.Tests != 8 || c.Failed != 3 || c.Flaky != 2 || c.Passed != 2 || c.Skipped != 1 {
		t.Errorf("%+v", c)
	}
	if Only("x").Valid() || !Troubled.Valid() {
		t.Error("wishes")
	}
}

func TestABuildWithoutResultsIsNoGap(t *testing.T) {
	g := New([]string{"a", "b", "c"})
	add := func(col int, text string) {
		var c Collector
		c.Add(cases(text))
		tests, results := packed(t, c.Summary())
		if err := g.Add(col, string(tests), tests, results); err != nil {
			t.Fatal(err)
		}
	}
	add(0, "t -")
	add(2, "t -\nu +")
	rows := g.Rows(All, "")
	if rows[0].line() != "t:-.-" || rows[0].Streak != 2 || rows[1].line() != "u:..+" || g.Columns[1].Known {
		t.Errorf("%s %d, %s", rows[0].line(), rows[0].Streak, rows[1].line())
	}
}

func TestABrokenColumnLeavesTheOthers(t *testing.T) {
	var c Collector
	c.Add(cases("t -"))
	tests, results := packed(t, c.Summary())
	g := New([]string{"", ""})
	if err := g.Add(0, "x", tests, results[:3]); !errors.Is(err, ErrStored) {
		t.Error(err)
	}
	if err := g.Add(0, "y", tests[:3], results); !errors.Is(err, ErrStored) {
		t.Error(err)
	}
	if err := g.Add(1, "z", tests, results); err != nil {
		t.Error(err)
	}
	if r := g.Rows(All, ""); len(r) != 1 || r[0].line() != "t:.-" || g.Columns[0].Known {
		t.Errorf("%v", r)
	}
}

func TestAGridHasABoundedNumberOfRows(t *testing.T) {
	g := New(make([]string, 4))
	for col := range 4 {
		var c Collector
		many := make([]junit.Case, MaxTests)
		for i := range many {
			many[i].Name = fmt.Sprintf("%d of build %d", i, col)
		}
		c.Add(many)
		tests, results := packed(t, c.Summary())
		if err := g.Add(col, fmt.Sprint(col), tests, results); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.Count(); got.Tests != maxRows || !g.More {
		t.Errorf("%+v more %v", got, g.More)
	}
}

func FuzzStored(f *testing.F) {
	var c Collector
	c.Add(cases("a +\nab -\nabc s\nb -\nb +"))
	s := c.Summary()
	tests, results := packed(f, s)
	f.Add(tests, results)
	f.Add([]byte{1}, []byte{1})
	f.Add(tests[:len(tests)/2], results[:len(results)/2])
	f.Fuzz(func(t *testing.T, tests, results []byte) {
		s, err := Unpack(tests, results)
		g := New([]string{"a", "b"})
		added := g.Add(1, "x", tests, results)
		if err == nil && added != nil { // it looks at no times that it does not need
			t.Fatalf("read alone: %v; in a grid: %v", err, added)
		}
		g.Rows(All, "x")
		if err != nil {
			if !errors.Is(err, ErrStored) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, r := packed(t, s)
		back, err := Unpack(again, r)
		if err != nil || len(back.Tests) != len(s.Tests) {
			t.Fatalf("%v", err)
		}
	})
}

// BenchmarkGrid is a page of 50 builds with 10,000 tests each.
func BenchmarkGrid(b *testing.B) {
	for _, distinct := range []bool{false, true} {
		b.Run(map[bool]string{false: "the same tests", true: "other tests in each build"}[distinct], func(b *testing.B) {
			var tests, results [][]byte
			commits := make([]string, 50)
			for col := range commits {
				commits[col] = fmt.Sprint(col / 2)
				var c Collector
				many := make([]junit.Case, 10_000)
				for i := range many {
					many[i] = junit.Case{Suite: fmt.Sprintf("suite of component %d", i%20), Class: fmt.Sprintf("example.com/repository/pkg/component%d/part", i%200), Name: fmt.Sprintf("TestSomethingThatHasALongName/with_case_%d", i)}
					if distinct && i == 0 {
						many[i].Name = fmt.Sprint("of build ", col)
					}
					many[i].Duration = time.Duration(i*7919%5000) * time.Millisecond
					if i%100 == 0 && (col < 5 || (i+col)%7 == 0) {
						many[i].Outcome = junit.Failed
					}
				}
				c.Add(many)
				n, r := packed(b, c.Summary())
				tests, results = append(tests, n), append(results, r)
			}
			b.ReportMetric(float64(len(tests[0])), "bytes-of-names")
			b.ReportMetric(float64(len(results[0])), "bytes-of-results")
			b.ReportAllocs()
			for b.Loop() {
				g := New(commits)
				for col := range commits {
					if err := g.Add(col, string(tests[col]), tests[col], results[col]); err != nil {
						b.Fatal(err)
					}
				}
				if len(g.Rows(Troubled, "")) == 0 {
					b.Fatal("no rows")
				}
			}
		})
	}
}
