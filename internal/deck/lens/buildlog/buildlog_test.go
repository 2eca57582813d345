package buildlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"prow/internal/deck/lens"
	"prow/internal/deck/lens/lenstest"
)

func TestAbout(t *testing.T)  { lenstest.About(t, New(), "buildlog", "Build Log", 10, false) }
func TestGolden(t *testing.T) { lenstest.Golden(t, New()) }

func call(t *testing.T, run *lenstest.Run, data, config string) string {
	t.Helper()
	out, err := New().(lens.Caller).Callback(t.Context(), &lens.Request{Artifacts: run.Artifacts(), Data: data, Config: []byte(config)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	lineID  = regexp.MustCompile(`<div class="l( focus)?" id="[^"]*:(\d+)">`)
	groupID = regexp.MustCompile(`<div class="g" data-offset="(\d+)" data-length="(\d+)" data-start="(\d+)" data-end="(\d+)">`)
)

// outline is what a page shows: "1-3, g15+385(3-80), f7-20".
func outline(html string) string {
	var out []string
	from, to, kind := 0, 0, ""
	flush := func() {
		if from > 0 {
			out = append(out, fmt.Sprintf("%s%d-%d", kind, from, to))
		}
		from = 0
	}
	for line := range strings.SplitSeq(html, "\n") {
		if m := lineID.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[2])
			k := map[string]string{"": "", " focus": "f"}[m[1]]
			if from == 0 || k != kind {
				flush()
				from, kind = n, k
			}
			to = n
		}
		if m := groupID.FindStringSubmatch(line); m != nil {
			flush()
			out = append(out, fmt.Sprintf("g%s+%s(%s-%s)", m[1], m[2], m[3], m[4]))
		}
	}
	flush()
	return strings.Join(out, ", ")
}

// TestProbe41 is about parts of a log, errors of questions, and pinning.
func TestProbe41(t *testing.T) {
	run := lenstest.Texts(map[string]string{"build-log.txt": strings.Repeat("word\n", 100)})
	got := call(t, run, `{"artifact":"build-log.txt","offset":0,"length":400,"top":3}`, "")
	if n := strings.Count(got, "<span>word</span>"); n != 3 || !strings.Contains(got, `data-offset="15" data-length="385"`) || strings.Count(got, `class="g"`) != 1 {
		t.Errorf("got %s", got)
	}
	if got := call(t, run, `{"artifact":"x"}`, ""); !strings.Contains(got, `"x"`) {
		t.Errorf("the error does not name x: %s", got)
	}
	if got := call(t, run, `{"artifact":"build-log.txt","startLine":7,"saveEnd":20}`, ""); got != "" {
		t.Errorf("pinning answers %q", got)
	}
	if m := run.Metadata("build-log.txt"); m["focus-start"] != "7" || m["focus-end"] != "20" || len(m) != 2 {
		t.Errorf("the metadata is %v", m)
	}
	body := lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()})
	if got := outline(string(body)); got != "1-6, f7-20, 21-25, g125+374(25-100)" {
		t.Errorf("a reload shows %s", got)
	}
}

// TestProbe42 is about logs that are too large, for the site and for being searched.
func TestProbe42(t *testing.T) {
	large := "ERROR: first\n" + strings.Repeat("a line of thirty-two characters\n", 11<<15) // 11 MiB
	run := lenstest.NewRun(map[string]*lenstest.File{
		"a-build-log.txt": {Text: large + large},
		"b-build-log.txt": {Text: large},
		"c-build-log.txt": {Text: "ERROR: small\n"},
		"d-build-log.txt": {Err: errors.New("the storage is away")},
	})
	run.Limit = 12 << 20
	body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()}))
	sections := strings.Split(body, `<section class="artifact"`)
	if !strings.Contains(sections[1], `class="problem"`) || !strings.Contains(sections[1], "a-build-log.txt: it is larger than this site reads") {
		t.Errorf("a: %s", sections[1])
	}
	if !strings.Contains(sections[2], `class="warning"`) || strings.Contains(sections[2], "<mark>") || strings.Contains(sections[2], "ERROR") || !strings.Contains(sections[2], "360,449 lines") {
		t.Errorf("b: %.3000s", sections[2])
	}
	if !strings.Contains(sections[3], "<mark>ERROR:</mark> small") {
		t.Errorf("c: %s", sections[3])
	}
	if !strings.Contains(sections[4], "d-build-log.txt: the storage is away") {
		t.Errorf("d: %s", sections[4])
	}
	// More of the log obeys the same rule.
	more := call(t, run, `{"artifact":"b-build-log.txt","offset":0,"length":-1}`, "")
	if strings.Contains(more, "<mark>") || len(more) > 6*maxShownBytes || !strings.Contains(more, `class="g"`) {
		t.Errorf("all of b has %d bytes", len(more))
	}
}

func TestArrangement(t *testing.T) {
	for name, tc := range map[string]struct {
		total  int
		matter []span
		want   string
	}{
		"nothing matters":                   {100, nil, "[{{0 100} false}]"},
		"nothing matters in a few lines":    {4, nil, "[{{0 4} true}]"},
		"no lines":                          {0, nil, "[]"},
		"in the middle":                     {100, []span{{40, 50}}, "[{{0 40} false} {{40 50} true} {{50 100} false}]"},
		"fewer than five before are shown":  {100, []span{{4, 10}}, "[{{0 10} true} {{10 100} false}]"},
		"five before are hidden":            {100, []span{{5, 10}}, "[{{0 5} false} {{5 10} true} {{10 100} false}]"},
		"fewer than five between are shown": {100, []span{{20, 30}, {34, 40}}, "[{{0 20} false} {{20 40} true} {{40 100} false}]"},
		"five between are hidden":           {100, []span{{20, 30}, {35, 40}}, "[{{0 20} false} {{20 30} true} {{30 35} false} {{35 40} true} {{40 100} false}]"},
		"fewer than five after are shown":   {100, []span{{50, 96}}, "[{{0 50} false} {{50 100} true}]"},
		"spans that overlap, in any order":  {100, []span{{50, 60}, {45, 70}}, "[{{0 45} false} {{45 70} true} {{70 100} false}]"},
		"spans that are outside":            {20, []span{{-7, 2}, {30, 40}, {19, 99}}, "[{{0 2} true} {{2 19} false} {{19 20} true}]"},
	} {
		if got := fmt.Sprint(arrange(tc.total, tc.matter)); got != tc.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestWhatMatters(t *testing.T) {
	filler := strings.Repeat("nothing\n", 30)
	for name, tc := range map[string]struct{ line, config, want string }{
		"the usual pattern counts without configuration": {"E0102 03:04:05.678] x", "", "<mark>E0102 03:04:05.678]</mark> x"},
		"it knows FAIL":      {"--- FAIL: TestX", "", "--- <mark>FAIL</mark>: TestX"},
		"it knows no FAILED": {"FAILED", "", ""},
		"it knows panics":    {"panic: x", "", "<mark>panic</mark>: x"},
		"patterns of the configuration are all looked for": {"bad and ugly", `{"highlight_regexes":["bad","ugly"]}`, "<mark>bad</mark> and <mark>ugly</mark>"},
		"they stand instead of the usual one":              {"panic", `{"highlight_regexes":["bad"]}`, ""},
		"a line that is too long is not searched":          {"panic " + strings.Repeat("x", 100), `{"highlight_line_length_max":50}`, ""},
		"a line of just the length is":                     {"panic " + strings.Repeat("x", 44), `{"highlight_line_length_max":50}`, "<mark>panic</mark> " + strings.Repeat("x", 44)},
		"colours do not hide a match":                      {"pa\x1b[31mnic\x1b[0m", "", `<mark>pa</mark><mark><span class="fg-red">nic</span></mark>`},
		"a match within an address":                        {"http://x/panic/y", "", `<a class="link" href="http://x/panic/y" target="_blank" rel="noreferrer noopener">http://x/<mark>panic</mark>/y</a>`},
		"an address in brackets, before a comma":           {"panic (see http://x/a_(b)), now", "", `<mark>panic</mark> (see <a class="link" href="http://x/a_(b)" target="_blank" rel="noreferrer noopener">http://x/a_(b)</a>), now`},
	} {
		run := lenstest.Texts(map[string]string{"build-log.txt": filler + tc.line + "\n" + filler})
		body := string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts(), Config: []byte(tc.config)}))
		want := "g0+239(0-30), "
		if tc.want == "" {
			if strings.Contains(body, "<mark>") || !strings.Contains(outline(body), "52-61") {
				t.Errorf("%s: got %s", name, body)
			}
			continue
		}
		if !strings.Contains(body, "<span>"+tc.want+"</span>") || strings.HasPrefix(outline(body), want) {
			t.Errorf("%s: got %s", name, body)
		}
	}
}

// TestPartsOfALargeLogAreThoseOfASmallOne compares the two ways to show a log.
func TestPartsOfALargeLogAreThoseOfASmallOne(t *testing.T) {
	for _, n := range []int{1, 2, 4, 5, 9, 10, 11, 14, 15, 16, 60, 200} {
		for _, end := range []string{"", "\n"} {
			for _, focus := range []span{{}, {0, 1}, {3, 4}, {n / 2, n/2 + 2}, {n - 1, n}, {n + 50, n + 60}} {
				var lines []string
				for i := range n {
					lines = append(lines, strings.Repeat("x", i%7))
				}
				text := strings.Join(lines, "\n") + end
				if text == "" {
					continue
				}
				small, large := &renderer{artifact: "a", focus: focus}, &renderer{artifact: "a", focus: focus}
				total, _, _ := showAll(t.Context(), []byte(text), focus, small)
				a := lenstest.Texts(map[string]string{"a": text}).Artifacts()[0]
				got, err := showLarge(t.Context(), a, int64(len(text)), 7, focus, large)
				if err != nil || got != total {
					t.Fatalf("%d lines, focus %v: got %d, want %d, %v", n, focus, got, total, err)
				}
				checkCover(t, text, large.out.String())
				// Where few lines are hidden at the end, the large one hides them all the same.
				few := slices.ContainsFunc(groupID.FindAllStringSubmatch(large.out.String(), -1), func(m []string) bool {
					from, _ := strconv.Atoi(m[3])
					to, _ := strconv.Atoi(m[4])
					return to-from < fewest
				})
				if !few && outline(small.out.String()) != outline(large.out.String()) {
					t.Errorf("%d lines, end %q, focus %v: got  %s\nwant %s", n, end, focus, outline(large.out.String()), outline(small.out.String()))
				}
			}
		}
	}
}

// checkCover checks that lines and groups are all lines of a text, each once, and that
// groups say where in it they are.
func checkCover(t *testing.T, text, html string) {
	t.Helper()
	text = strings.TrimSuffix(text, "\n")
	lines := strings.Split(text, "\n")
	next := 0
	for row := range strings.SplitSeq(html, "\n") {
		if m := lineID.FindStringSubmatch(row); m != nil {
			if m[2] != strconv.Itoa(next+1) {
				t.Fatalf("line %s stands where %d should: %s", m[2], next+1, outline(html))
			}
			next++
		}
		if m := groupID.FindStringSubmatch(row); m != nil {
			n := make([]int, 4)
			for i := range n {
				n[i], _ = strconv.Atoi(m[i+1])
			}
			if n[2] != next || n[3] > len(lines) || n[0]+n[1] > len(text) || text[n[0]:n[0]+n[1]] != strings.Join(lines[n[2]:n[3]], "\n") {
				t.Fatalf("the group %s is wrong in %s of %q", m[0], outline(html), text)
			}
			next = n[3]
		}
	}
	if next != len(lines) {
		t.Fatalf("%d of %d lines are there: %s", next, len(lines), outline(html))
	}
}

func TestQuestions(t *testing.T) {
	text := strings.Repeat("word\n", 100)
	for name, tc := range map[string]struct{ data, want string }{
		"all of it":                       {`"offset":0,"length":-1`, "1-100"},
		"all of it by its length":         {`"offset":0,"length":500`, "1-100"},
		"lines are numbered as asked":     {`"offset":50,"length":49,"startLine":10`, "11-20"},
		"the first lines":                 {`"offset":50,"length":149,"startLine":10,"top":10`, "11-20, g100+99(20-40)"},
		"the last lines":                  {`"offset":50,"length":149,"startLine":10,"bottom":10`, "g50+99(10-30), 31-40"},
		"what is left is fewer than five": {`"offset":50,"length":149,"startLine":10,"top":26`, "11-40"},
		"more than there are":             {`"offset":50,"length":49,"startLine":10,"top":1000`, "11-20"},
		"near a line":                     {`"offset":0,"length":499,"around":50,"aroundEnd":50`, "g0+144(0-29), 30-70, g350+149(70-100)"},
		"near lines beyond it":            {`"offset":0,"length":49,"around":5,"aroundEnd":500`, "1-10"},
	} {
		for _, compressed := range []bool{false, true} {
			run := lenstest.NewRun(map[string]*lenstest.File{"l": {Text: text, Compressed: compressed}})
			if got := outline(call(t, run, `{"artifact":"l",`+tc.data+`}`, "")); got != tc.want {
				t.Errorf("%s: got %s", name, got)
			}
		}
	}
	for name, tc := range map[string]struct{ data, want string }{
		"no JSON":           {`{`, "The request is no JSON"},
		"another artifact":  {`{"artifact":"../l"}`, `There is no artifact "../l" here.`},
		"beyond the end":    {`{"artifact":"l","offset":501,"length":1}`, "there is nothing so far in"},
		"a negative offset": {`{"artifact":"l","offset":-1}`, "such a part cannot be asked for"},
		"a negative length": {`{"artifact":"l","length":-2}`, "such a part cannot be asked for"},
		"more than is read": {`{"artifact":"l","length":5000}`, "larger than this site reads"},
		"pinning line 0":    {`{"artifact":"l","startLine":0,"saveEnd":5}`, "numbered from 1"},
		"no highlighter":    {`{"artifact":"l","analyze":true}`, `{"min":0,"max":0,"error":"no highlighter is configured"}`},
	} {
		run := lenstest.Texts(map[string]string{"l": text})
		run.Limit = 1000
		if got := call(t, run, tc.data, ""); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestAFewLinesOfManyAreShownWithoutReadingAll(t *testing.T) {
	lines := make([]string, 200_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d", i+1)
	}
	text := strings.Join(lines, "\n")
	for name, tc := range map[string]struct {
		ask  string
		read int64
	}{
		"the first ones":          {`"top":10`, edgeBytes},
		"the last ones":           {`"bottom":1000`, edgeBytes},
		"both are read in full":   {`"top":10,"bottom":10`, int64(len(text))},
		"all but the last ones":   {`"top":199999`, int64(len(text))},
		"more than is read first": {`"bottom":150000`, int64(len(text)) + edgeBytes},
	} {
		data := fmt.Sprintf(`{"artifact":"l","offset":0,"length":%d,"startLine":0,%s`, len(text), tc.ask)
		run := lenstest.Texts(map[string]string{"l": text})
		got := call(t, run, data+`,"endLine":200000}`, "")
		if run.BytesRead() != tc.read {
			t.Errorf("%s: %d bytes were read", name, run.BytesRead())
		}
		if want := call(t, run, data+"}", ""); got != want {
			t.Errorf("%s: got %s, want %s", name, outline(got), outline(want))
		}
	}
}

func TestPinning(t *testing.T) {
	run := lenstest.NewRun(map[string]*lenstest.File{"l": {Metadata: map[string]string{"other": "x"}}, "live": {Live: true}, "mine": {MetadataErr: lens.ErrNotAllowed}})
	if got := call(t, run, `{"artifact":"l","startLine":9,"saveEnd":3}`, ""); got != "" || run.Metadata("l")["focus-start"] != "3" || run.Metadata("l")["focus-end"] != "9" {
		t.Errorf("reversed lines: got %q, %v", got, run.Metadata("l"))
	}
	if got := call(t, run, `{"artifact":"l","startLine":0,"saveEnd":0}`, ""); got != "" || len(run.Metadata("l")) != 1 {
		t.Errorf("unpinning: got %q, %v", got, run.Metadata("l"))
	}
	for name, want := range map[string]string{"live": "live: its storage cannot do that", "mine": "mine: you may not do that"} {
		if got := call(t, run, `{"artifact":"`+name+`","startLine":1,"saveEnd":2}`, ""); got != want {
			t.Errorf("got %s", got)
		}
	}
}

func TestHighlighter(t *testing.T) {
	var asked []string
	answer := `{"min":30,"max":31,"link":"javascript:alert(1)","pinned":true}`
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.Header.Get("Content-Type")+" "+string(body))
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer s.Close()
	const stored = "https://storage.googleapis.com/b/l"
	run := lenstest.NewRun(map[string]*lenstest.File{"l": {Text: strings.Repeat("ERROR: word\n", 100), URL: stored}, "other": {URL: "https://evil.example/storage.googleapis.com"}})
	config := func(more string) string { return `{"highlighter":{"endpoint":"` + s.URL + `"` + more + `}}` }

	if got := call(t, run, `{"artifact":"l","analyze":true}`, config(`,"overwrite":true`)); got != `{"min":30,"max":31,"pinned":true}` {
		t.Errorf("got %s", got)
	}
	if want := `POST text/plain {"url":"` + stored + `","pin":false,"overwrite":true}`; len(asked) != 1 || asked[0] != want {
		t.Errorf("asked %q", asked)
	}
	if got := call(t, run, `{"artifact":"other","analyze":true}`, config("")); !strings.Contains(got, "cannot read other") || len(asked) != 1 {
		t.Errorf("another host: got %s, asked %q", got, asked)
	}
	show := func(config string) string {
		return string(lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()[:1], Config: []byte(config)}))
	}
	if got := outline(show(config(`,"auto":true`))); !strings.Contains(got, "25-29, f30-31, 32-36") || len(asked) != 2 || !strings.Contains(asked[1], `"pin":true`) {
		t.Errorf("auto: got %s, asked %q", got, asked)
	}
	if body := show(config("")); len(asked) != 2 || !strings.Contains(body, "Analyze") {
		t.Error("it was asked, or cannot be")
	}
	if body := show(`{"highlighter":{"auto":true}}`); strings.Contains(body, "Analyze") {
		t.Error("without an endpoint there is no highlighter")
	}
	for name, tc := range map[string]struct {
		status       int
		answer, want string
	}{
		"an error of its own": {200, `{"error":"no idea"}`, "no idea"},
		"a status":            {500, `{}`, "status 500"},
		"a redirect":          {302, `{}`, "status 302"},
		"no JSON":             {200, `<html>`, "something else than JSON"},
		"lines that are none": {200, `{"min":9,"max":3}`, "the lines 9 to 3"},
	} {
		status, answer = tc.status, tc.answer
		var got analysis
		if err := json.Unmarshal([]byte(call(t, run, `{"artifact":"l","analyze":true}`, config(""))), &got); err != nil || !strings.Contains(got.Error, tc.want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	s.Close()
	if got := call(t, run, `{"artifact":"l","analyze":true}`, config("")); !strings.Contains(got, "does not answer") || strings.Contains(got, "127.0.0.1") {
		t.Errorf("a highlighter that is away: %s", got)
	}
}

func FuzzUsualPattern(f *testing.F) {
	pattern := regexp.MustCompile(defaultPattern)
	for _, seed := range []string{"timed out", "ERROR:", "FAIL", "Failure [x", "panic!", "E0102 03:04:05.678]", "nothing"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if pattern.Match(line) && !may(line) {
			t.Fatalf("%q matches", line)
		}
	})
}

func FuzzLog(f *testing.F) {
	for _, seed := range []string{"a\nERROR: b\x1b[31m\nhttps://x/<b>\n", "\r\r\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\nERROR:", "http://\"onclick=x)", "\xff\xfe panic"} {
		f.Add(seed, int64(0), int64(-1), 3, 0, 0)
	}
	f.Fuzz(func(t *testing.T, text string, offset, length int64, top, bottom, around int) {
		run := lenstest.Texts(map[string]string{"l": text})
		body := lenstest.Show(t, New(), &lens.Request{Artifacts: run.Artifacts()})
		if text != "" {
			checkCover(t, text, string(body))
		}
		q, _ := json.Marshal(question{Artifact: "l", Offset: offset, Length: length, Top: top, Bottom: bottom, Around: around, AroundEnd: bottom})
		if answer := call(t, run, string(q), ""); strings.HasPrefix(answer, "<") {
			if problems := lenstest.Unsafe(answer); len(problems) > 0 {
				t.Fatal(problems)
			}
		}
	})
}

func BenchmarkTenMegabytes(b *testing.B) {
	text := strings.Repeat("I0102 03:04:05.678] reconciling the thing, which went well, see https://example.com/x\n", 10<<20/86)
	request := &lens.Request{Artifacts: lenstest.Texts(map[string]string{"l": text}).Artifacts()}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := New().Body(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
}
