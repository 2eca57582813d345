package junit

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
	"prow/internal/junit"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "junit", "JUnit", 5, false) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

// TestProbe43 is about what is counted where.
func TestProbe43(t *testing.T) {
	pass, fail, skip := `<testcase name="n"/>`, `<testcase name="n"><failure>f</failure></testcase>`, `<testcase name="n"><skipped/></testcase>`
	one := func(cases string) map[string]string {
		return map[string]string{"junit.xml": "<testsuite>" + cases + "</testsuite>"}
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"failing then passing in one file is flaky": {one(fail + pass), []string{"Flaky 1/1"}},
		"failed plus skipped is in both lists":      {one(fail + skip), []string{"Failed 1/1", "Skipped 1/1"}},
		"the same case in two files is two tests":   {map[string]string{"a.xml": "<testsuite>" + pass + "</testsuite>", "b.xml": "<testsuite>" + fail + "</testsuite>"}, []string{"Failed 1/2", "Passed 1/2"}},
	} {
		body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: lenstest.Texts(tc.files).Artifacts()}))
		var got []string
		for _, m := range regexp.MustCompile(`<h3 class="\w+">(\w+)</h3> <span class="muted">([\d/]+)<`).FindAllStringSubmatch(body, -1) {
			got = append(got, m[1]+" "+m[2])
		}
		if strings.Join(got, ", ") != strings.Join(tc.want, ", ") {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestSelectors(t *testing.T) {
	test := &junit.Test{Runs: []junit.Run{{Properties: []junit.Property{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}}, {Properties: []junit.Property{{Name: "c", Value: "3"}}}}}
	for text, tc := range map[string]struct {
		want bool
		err  string
	}{
		`properties/property[@name='a' and @value='1']`:                     {true, ""},
		`properties/property[@value="2" and @name="b"]`:                     {true, ""},
		`properties/property[@name='a' and @value='2']`:                     {false, ""},
		`properties/property[@name='a']`:                                    {true, ""},
		`properties/property[@value='2']`:                                   {true, ""},
		`properties/property[@name='c']`:                                    {false, ""}, // only the first run counts
		`properties/property[@name='a'] and properties/property[@name='b']`: {true, ""},
		`properties/property[@name='a']properties/property[@name='z']`:      {false, ""},
		``:                      {false, "is empty"},
		`properties/property[]`: {false, "is no @name"},
		`properties/property[@name='a' or @value='1']`:     {false, "there is no and"},
		`properties/property[@name='a' and @name='b']`:     {false, "stands there twice"},
		`properties/property[@name='a'] or something else`: {false, "from \"or something else\" on"},
		`//testcase`: {false, "is not properties/property"},
	} {
		s, err := parseSelector(text)
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: got %v", text, err)
		} else if err == nil && s.matches(test) != tc.want {
			t.Errorf("%s: got %t", text, !tc.want)
		}
	}
}

// large are n tests of which each hundredth has failed.
func large(n int) map[string]string {
	var out strings.Builder
	out.WriteString(`<testsuite name="e2e">`)
	for i := range n {
		fmt.Fprintf(&out, `<testcase classname="example.com/storage" name="TestVolumes/mounts_and_reads_%d" time="%d.2">`, i, i%7)
		if i%100 == 0 {
			out.WriteString(`<failure message="Failed">` + strings.Repeat("volume_test.go:12: got nil\n", 20) + `</failure>`)
		}
		out.WriteString("</testcase>\n")
	}
	out.WriteString("</testsuite>")
	return map[string]string{"junit.xml": out.String()}
}

func TestALongListComesInParts(t *testing.T) {
	run := lenstest.Texts(large(10_000))
	request := lens.Request{Artifacts: run.Artifacts()}
	body := string(lenstest.Show(t, New(), &request))
	if n := strings.Count(body, "<li>") + strings.Count(body, "<li id="); n != 99+1+1000 && n != 100+1000 {
		t.Errorf("%d rows at first", n)
	}
	if len(body) > 300_000 {
		t.Errorf("the page has %d bytes", len(body))
	}
	seen := map[string]bool{}
	for pages := 0; ; pages++ {
		for _, m := range regexp.MustCompile(`reads_\d+`).FindAllString(body, -1) {
			seen[m] = true
		}
		more := regexp.MustCompile(`data-ask="(\{[^"]*passed[^"]*\})"`).FindStringSubmatch(body)
		if more == nil {
			if pages != 9 || len(seen) != 10_000 {
				t.Errorf("%d pages and %d tests", pages, len(seen))
			}
			return
		}
		request.Data = strings.ReplaceAll(more[1], "&#34;", `"`)
		body = string(lenstest.Show(t, New(), &request))
	}
}

func TestLongTextsAreCutAndCanBeHadWhole(t *testing.T) {
	text := strings.Repeat("x", 100_000) + "END"
	run := lenstest.Texts(map[string]string{"junit.xml": `<testsuite><testcase name="a"><failure>` + text + `</failure></testcase></testsuite>`})
	request := lens.Request{Artifacts: run.Artifacts()}
	body := string(lenstest.Show(t, New(), &request))
	if strings.Contains(body, "END") || !strings.Contains(body, "84 kB more") || !strings.Contains(body, "Show all of it") {
		t.Errorf("got %d bytes", len(body))
	}
	request.Data = `{"test":0}`
	if body = string(lenstest.Show(t, New(), &request)); !strings.Contains(body, "END") {
		t.Errorf("got %.200s", body)
	}
	for _, data := range []string{`{"test":1}`, `{"test":-1}`, `{"section":9,"list":"passed"}`, `{"section":0,"list":"x"}`, `{}`, `x`, `{"section":0,"list":"failed","from":-5}`, `{"section":0,"list":"failed","from":999999}`} {
		request.Data = data
		if body = string(lenstest.Show(t, New(), &request)); len(body) > 20_000 {
			t.Errorf("%s: %.200s", data, body)
		}
	}
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	run := lenstest.NewRun(map[string]*lenstest.File{
		"a.xml": {Err: errors.New("the storage <is> away")},
		"b.xml": {Text: `<testsuite><testcase name="still here"/></testsuite>`},
	})
	body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()}))
	if !strings.Contains(body, "a.xml: the storage &lt;is&gt; away") || !strings.Contains(body, "still here") {
		t.Error(body)
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{`properties/property[@name='a' and @value="1"]`, "properties/property[", "and"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseSelector(text); err == nil && len(s) == 0 {
			t.Fatalf("%q chooses everything", text)
		}
	})
}

func BenchmarkBody10000(b *testing.B) {
	request := &lens.Request{Artifacts: lenstest.Texts(large(10_000)).Artifacts()}
	size := 0
	for b.Loop() {
		body, err := New().Body(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		size = len(body)
	}
	b.ReportMetric(float64(size), "bytes/page")
}

func TestQuestionsRoundTrip(t *testing.T) {
	section := 3
	var q question
	if err := json.Unmarshal([]byte(ask(question{Section: &section, List: "passed", From: 7})), &q); err != nil || *q.Section != 3 || q.List != "passed" || q.From != 7 {
		t.Errorf("got %+v, %v", q, err)
	}
}
