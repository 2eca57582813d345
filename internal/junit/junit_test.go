package junit

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// brief writes cases in one line: suite/class/name outcome duration.
func brief(cases []Case) string {
	var out []string
	for _, c := range cases {
		s := fmt.Sprintf("%s/%s/%s %s", c.Suite, c.Class, c.Name, c.Outcome)
		if c.Duration > 0 {
			s += " " + c.Duration.String()
		}
		for _, text := range []string{c.Kind, c.Message, c.Text, c.Stdout, c.Stderr} {
			if text != "" {
				s += fmt.Sprintf(" %q", text)
			}
		}
		for _, p := range c.Properties {
			s += " " + p.Name + "=" + p.Value
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestFiles(t *testing.T) {
	for name, tc := range map[string]struct{ in, want, err string }{
		"an empty file has no tests": {"", "", ""},
		"a suite without tests":      {`<testsuite/>`, "", ""},
		"one suite": {`<testsuite name="s"><testcase classname="c" name="n" time="1.5"/></testsuite>`,
			"s/c/n passed 1.5s", ""},
		"several suites": {`<testsuites><testsuite name="s"><testcase name="a"/></testsuite><testsuite name="t"><testcase name="b"/></testsuite></testsuites>`,
			"s//a passed; t//b passed", ""},
		"nested suites come before the suite's own cases": {`<testsuite name="o"><testcase name="a"/><testsuite name="i"><testcase name="b"/></testsuite></testsuite>`,
			"i//b passed; o//a passed", ""},
		"a failure": {`<testsuite><testcase name="n"><failure message="m" type="k">t</failure><system-out>o</system-out><system-err>e</system-err></testcase></testsuite>`,
			`//n failed "k" "m" "t" "o" "e"`, ""},
		"an error counts as a failure": {`<testsuite><testcase name="n"><error message="m">t</error></testcase></testsuite>`, `//n failed "m" "t"`, ""},
		"skipped wins over a failure": {`<testsuite><testcase name="n"><failure>f</failure><skipped message="m"/></testcase><testcase name="o"><skipped/><failure>f</failure></testcase></testsuite>`,
			`//n skipped "m" "f"; //o skipped "f"`, ""},
		"properties of a case": {`<testsuite><properties><property name="of" value="suite"/></properties><testcase name="n"><properties><property name="a" value="b"/></properties></testcase></testsuite>`,
			"//n passed a=b", ""},
		"a test that its program ran again": {`<testsuite><testcase name="n"><flakyFailure message="m">t</flakyFailure></testcase></testsuite>`,
			`//n failed "m" "t"; //n passed`, ""},
		"durations with commas, and none that are no numbers": {`<testsuite><testcase name="a" time="1,234.5"/><testcase name="b" time="NaN"/><testcase name="c" time="-1"/><testcase name="d" time="1e300"/></testsuite>`,
			"//a passed 20m34.5s; //b passed; //c passed; //d passed", ""},
		"another root": {`<html><testcase name="n"/></html>`, "", "the root is neither testsuites nor testsuite but html"},
		"no XML":       {`{"a": 1}`, "", "the root is neither testsuites nor testsuite: it begins with text"},
		"a file that ends early keeps what was read": {`<testsuite name="s"><testcase name="a"/><testcase name="b"><failure>bo`,
			`s//a passed; s//b failed "bo"`, "it is no XML: XML syntax error on line 1: unexpected EOF"},
		"control characters, and references to them": {"<testsuite><testcase name=\"a\x00b&#0;&#x1b;[31mc&#27;[0m\"><failure>\x1b[1mx\x1b[0m\x08&#65;</failure></testcase></testsuite>",
			`//abc failed "xA"`, ""},
		"references in CDATA are text": {`<testsuite><testcase name="a"><failure><![CDATA[&#27; <b> ]]]]><![CDATA[> &amp;]]>&#27;</failure></testcase></testsuite>`,
			`//a failed "&#27; <b> ]]> &amp;"`, ""},
		"bytes that are no UTF-8": {"<testsuite><testcase name=\"a\xff\xfeb\"/></testsuite>", "//a\uFFFD\uFFFDb passed", ""},
		"Latin-1":                 {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><testsuite><testcase name=\"gr\xfc\xdf \x80\"/></testsuite>", "//grüß € passed", ""},
		"an encoding nobody knows": {`<?xml version="1.0" encoding="klingon"?><testsuite><testcase name="a"/></testsuite>`,
			"//a passed", ""},
		"UTF-16 with a mark": {"\xff\xfe" + wide(`<?xml version="1.0" encoding="UTF-16"?><testsuite><testcase name="a"/></testsuite>`), "//a passed", ""},
		"UTF-8 with a mark":  {"\xef\xbb\xbf<testsuite><testcase name=\"a\"/></testsuite>", "//a passed", ""},
		"entities of the file are text": {`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&b;&f;"/></testsuite>`,
			"//&b;&f; passed", ""},
		"unknown elements do not matter": {`<testsuite><x><testcase name="a"><y><failure>f</failure></y></testcase></x></testsuite>`, `//a failed "f"`, ""},
		"a namespace":                    {`<j:testsuite xmlns:j="u"><j:testcase name="a"/></j:testsuite>`, "//a passed", ""},
	} {
		cases, err := Parse(strings.NewReader(tc.in), Options{})
		if got := brief(cases); got != tc.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, tc.want)
		}
		if (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func wide(s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		out.Write([]byte{b, 0})
	}
	return out.String()
}

func TestBounds(t *testing.T) {
	many := "<testsuite>" + strings.Repeat(`<testcase name="a"/>`, 11) + "</testsuite>"
	if cases, err := Parse(strings.NewReader(many), Options{Cases: 10}); !errors.Is(err, ErrTooMuch) || len(cases) != 10 {
		t.Errorf("many cases: got %d, %v", len(cases), err)
	}
	if cases, err := Parse(strings.NewReader(many), Options{Bytes: 60}); !errors.Is(err, ErrTooMuch) || len(cases) != 2 {
		t.Errorf("a large file: got %d, %v", len(cases), err)
	}
	if _, err := Parse(strings.NewReader(many), Options{Bytes: int64(len(many))}); err != nil {
		t.Errorf("a file of just the size: %v", err)
	}
	if _, err := Parse(strings.NewReader(strings.Repeat("<testsuite>", 100)), Options{}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("deep nesting: %v", err)
	}
	long := `<testsuite><testcase name="a"><failure>` + strings.Repeat("x", 50) + `</failure></testcase></testsuite>`
	if cases, err := Parse(strings.NewReader(long), Options{Text: 10}); err != nil || cases[0].Text != "xxxxxxxxxx\n… 40 more bytes" {
		t.Errorf("a long text: %q, %v", cases[0].Text, err)
	}
	if cases, err := Parse(strings.NewReader(long), Options{OutcomesOnly: true}); err != nil || cases[0].Text != "" || cases[0].Outcome != Failed {
		t.Errorf("outcomes only: %v, %v", cases, err)
	}
	broken := errors.New("it broke")
	if cases, err := Parse(io.MultiReader(strings.NewReader(`<testsuite><testcase name="a"/>`), iotestErr{broken}), Options{}); !errors.Is(err, broken) || len(cases) != 1 {
		t.Errorf("a reader that fails: %v, %v", cases, err)
	}
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

// TestProbe43 is about the merging of runs within a file.
func TestProbe43(t *testing.T) {
	pass, fail, skip := `<testcase classname="c" name="n" time="1"/>`, `<testcase classname="c" name="n" time="2"><failure>f</failure></testcase>`, `<testcase classname="c" name="n"><skipped/></testcase>`
	for name, tc := range map[string]struct {
		runs       string
		want       Outcome
		alsoFailed bool
	}{
		"a test that passed":                       {pass, Passed, false},
		"a test that passed twice":                 {pass + pass, Passed, false},
		"a test that failed":                       {fail + fail, Failed, false},
		"failing then passing is flaky":            {fail + pass, Flaky, false},
		"passing then failing is flaky":            {pass + fail, Flaky, false},
		"failed and skipped is in both":            {fail + skip, Skipped, true},
		"skipped and passed":                       {skip + pass, Skipped, false},
		"skipped, failed and passed is no failure": {skip + fail + pass, Skipped, false},
	} {
		cases, err := Parse(strings.NewReader("<testsuite>"+tc.runs+"</testsuite>"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		tests := Merge(cases)
		if len(tests) != 1 || tests[0].Outcome() != tc.want || tests[0].AlsoFailed() != tc.alsoFailed || len(tests[0].Runs) != len(cases) {
			t.Errorf("%s: got %+v", name, tests)
		}
	}
	cases, err := Parse(strings.NewReader(`<testsuites><testsuite name="s">`+pass+fail+`</testsuite><testsuite name="t">`+pass+`</testsuite></testsuites>`), Options{})
	if tests := Merge(cases); err != nil || len(tests) != 2 || tests[0].Duration() != 3*time.Second || tests[1].Outcome() != Passed {
		t.Errorf("suites keep tests apart: got %+v, %v", tests, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`<testsuites><testsuite name="s"><testcase name="a" time="1"><failure message="m">&#27;[1m</failure></testcase></testsuite></testsuites>`,
		`<testsuite><testcase><flakyFailure/><system-out><![CDATA[x]]]></system-out></testsuite>`, "\xff\xfe<\x00", `<?xml encoding="latin1"?>`, "<testsuite></x>", "<!DOCTYPE [<!ENTITY",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		cases, err := Parse(strings.NewReader(string(raw)), Options{Cases: 50, Text: 100, Bytes: 10_000})
		if len(cases) > 50+100*50 {
			t.Fatalf("%d cases, %v", len(cases), err)
		}
		runs := 0
		for _, test := range Merge(cases) {
			runs += len(test.Runs)
			_ = test.Outcome().String() + test.FullName()
			if test.Duration() < 0 {
				t.Fatal("a negative duration")
			}
		}
		if runs != len(cases) {
			t.Fatalf("%d runs of %d cases", runs, len(cases))
		}
	})
}

// many is a file of n tests, as large test suites write them.
func many(n int) string {
	var out strings.Builder
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?><testsuites><testsuite name="e2e">`)
	for i := range n {
		fmt.Fprintf(&out, `<testcase classname="example.com/pkg/storage" name="TestVolumes/mounts_and_reads_%d" time="%d.25">`, i, i%7)
		switch {
		case i%500 == 0:
			out.WriteString(`<failure message="Failed">` + strings.Repeat("volume_test.go:12: got &lt;nil&gt;\n", 20) + `</failure>`)
		case i%10 == 0:
			out.WriteString(`<skipped message="not on this provider"/>`)
		}
		out.WriteString("</testcase>\n")
	}
	out.WriteString("</testsuite></testsuites>")
	return out.String()
}

func BenchmarkParse10000(b *testing.B) {
	file := many(10_000)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		cases, err := Parse(strings.NewReader(file), Options{})
		if err != nil || len(Merge(cases)) != 10_000 {
			b.Fatal(len(cases), err)
		}
	}
}
