package deck

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/store"
)

// junitFile has a test for each word: "name+", "name-" or "name~", which fails and then
// passes.
func junitFile(words string) string {
	var b strings.Builder
	b.WriteString(`<testsuites><testsuite name="unit">`)
	for _, word := range strings.Fields(words) {
		name, outcome := word[:len(word)-1], word[len(word)-1]
		if outcome != '+' {
			fmt.Fprintf(&b, `<testcase classname="example.com/r" name=%q time="2.5"><failure message="bad">got 1</failure></testcase>`, name)
		}
		if outcome != '-' {
			fmt.Fprintf(&b, `<testcase classname="example.com/r" name=%q time="1"/>`, name)
		}
	}
	b.WriteString("</testsuite></testsuites>")
	return b.String()
}

// storeTests stores a build of a job with results of tests.
func (s *site) storeTests(dir string, started int64, words string) {
	s.t.Helper()
	result := "SUCCESS"
	if strings.Contains(words, "-") {
		result = "FAILURE"
	}
	s.storeBuild(dir, started, result, nil)
	s.store(dir+"/artifacts/junit_01.xml", junitFile(words))
	// Each build tests another commit.
	s.store(dir+"/finished.json", fmt.Sprintf(`{"timestamp":%d,"result":%q,"revision":"%d%s"}`, started+65, result, started*7919, strings.Repeat("e", 26)))
}

func (s *site) grid(job, query string) string {
	return "/test-grid/file" + s.bucket + "/logs/" + job + query
}

// gridLines are the rows of an answer: the name and a letter for each build.
func gridLines(t *testing.T, body string) (lines string, answer gridAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	var out []string
	for _, row := range answer.Rows {
		out = append(out, row.Name+":"+row.Cells)
	}
	return strings.Join(out, " "), answer
}

// storeNightly has a flaky test, one that fails since build 1003, and one that is fixed in
// the newest, 1005.
func (s *site) storeNightly(job string) {
	for id, words := range map[int]string{
		1001: "Good+ Flaky+ Broken+ Fixed+", 1002: "Good+ Flaky~ Broken+ Fixed-", 1003: "Good+ Flaky+ Broken- Fixed-", 1004: "Good+ Flaky+ Broken- Fixed-", 1005: "Good+ Flaky+ Broken- Fixed+ New+",
	} {
		s.storeTests(fmt.Sprintf("logs/%s/%d", job, id), 1700000000+int64(id)*3600, words)
	}
	s.store("logs/"+job+"/latest-build.txt", "1005")
}

func TestTheGridOfAJob(t *testing.T) {
	s := start(t, Options{}, "")
	s.storeNightly("nightly")
	s.store("logs/nightly/1006/started.json", fmt.Sprintf(`{"timestamp":%d}`, time.Now().Unix()))
	s.store("logs/nightly/latest-build.txt", "1006")
	page := s.get(s.grid("nightly", ""))
	if ids := builds(page.body); page.StatusCode != http.StatusOK || strings.Join(ids, " ") != "1005 1004 1003 1002 1001" {
		t.Fatalf("%s %v", page.Status, ids)
	}
	tests := regexp.MustCompile(`data-test="(\w+)"`).FindAllStringSubmatch(page.body, -1)
	var names []string
	for _, m := range tests {
		names = append(names, m[1])
	}
	if strings.Join(names, " ") != "Broken Flaky Fixed" {
		t.Errorf("%v", names)
	}
	contains(t, "the page", page.body, "1 test fails now.", "1 test was flaky.", "1 test failed before and does not now.", "Left out, because not ended: 1 build.", "1–3 of 3 tests", "5 in all",
		"since <a href=", `title="#1003"`, "3 builds", "failed in 60%", "flaky in 20%", "view/file"+s.bucket+"/logs/nightly/1004#3:test-", `<i>flaky</i>`, `href="../../`)
	lacks(t, "the page", page.body, "Good", "data-reading")

	lines, answer := gridLines(t, s.get(s.grid("nightly", "?format=json&only=all")).body)
	if lines != "Broken:FFFPP Flaky:PPPKP Fixed:PFFFP Good:PPPPP New:P----" {
		t.Errorf("%s", lines)
	}
	if r := answer.Rows[0]; r.Since != "1003" || r.Streak != 3 || r.SinceBefore || r.Status != "failing" || r.Seconds != 2.5 || answer.Failing != 1 || answer.Flaky != 1 || answer.Tests != 5 || answer.Builds[0].Commit == "" {
		t.Errorf("%+v", answer)
	}
	for query, want := range map[string]string{
		"?only=failed": "Broken:FFFPP Fixed:PFFFP", "?only=flaky": "Flaky:PPPKP", "?only=all&tests=GOO": "Good:PPPPP", "?only=all&tests=example.com&rows=1&from=3": "Good:PPPPP", "?tests=none": "",
		"?builds=2": "Broken:FF Fixed:PF", "?buildId=1003": "Fixed:FFP Broken:FPP Flaky:PKP", "?buildId=1003&builds=1": "Broken:F Fixed:F", "?from=99999": "",
	} {
		if lines, _ := gridLines(t, s.get(s.grid("nightly", query+"&format=json")).body); lines != want {
			t.Errorf("%s: %s", query, lines)
		}
	}
	older := s.get(s.grid("nightly", "?builds=2&only=all")).body
	contains(t, "two builds", older, `href="?buildId=1003&amp;builds=2&amp;only=all"`)
	contains(t, "the next two builds", s.get(s.grid("nightly", "?builds=2&buildId=1003")).body, "2 tests failed at the end of these builds.", `href="?builds=2"`, "Latest builds")
	t.Run("a program is answered again only if something has changed", func(t *testing.T) {
		first := s.get(s.grid("nightly", "?format=json"))
		tag := first.Header.Get("ETag")
		if got := s.do(http.MethodGet, s.grid("nightly", "?format=json"), "If-None-Match", tag); tag == "" || got.StatusCode != http.StatusNotModified || first.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: %s", tag, got.Status)
		}
	})
	t.Run("the page leads to the test in the lens", func(t *testing.T) {
		m := regexp.MustCompile(`/1004#3:(test-\w+)"`).FindStringSubmatch(page.body)
		frame := s.get(lensURL("junit", "iframe", "file"+s.bucket+"/logs/nightly/1004", 3)).body
		contains(t, "the lens", frame, `id="`+m[1]+`"`)
	})
	for query, code := range map[string]int{
		"?buildId=0": 400, "?buildId=x": 400, "?builds=0": 400, "?builds=51": 400, "?builds=x": 400, "?from=-1": 400, "?only=good": 400, "?format=xml": 400, "?rows=101": 400, "?rows=2001&format=json": 400,
		"?tests=" + strings.Repeat("x", 501): 400, "?builds=50": 200, "?buildId=99999": 200,
	} {
		if got := s.get(s.grid("nightly", query)); got.StatusCode != code {
			t.Errorf("%s: %s", query, got.Status)
		}
	}
	if got := s.do(http.MethodPost, s.grid("nightly", ""), "Origin", s.url); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%s", got.Status)
	}
	for path, code := range map[string]int{"/test-grid/file" + s.bucket + "/logs/none": 404, "/test-grid/": 403, "/test-grid/file/etc/logs/x": 403, "/test-grid/file" + s.bucket + "/artifacts/x": 403, "/test-grid/file" + s.bucket + "/logs/nightly/1004": 403} {
		for _, format := range []string{"", "?format=json"} {
			if got := s.get(path + format); got.StatusCode != code {
				t.Errorf("%s: %s", path+format, got.Status)
			}
		}
	}
}

func TestTheGridIsLedTo(t *testing.T) {
	s := start(t, Options{}, "")
	s.storeNightly("nightly")
	want := "test-grid/file" + s.bucket + "/logs/nightly"
	contains(t, "the history", s.get("/job-history/file"+s.bucket+"/logs/nightly").body, want+`"`)
	contains(t, "an older page of the history", s.get("/job-history/file"+s.bucket+"/logs/nightly?buildId=1003").body, want+`?buildId=1003"`)
	contains(t, "the run", s.get("/view/file"+s.bucket+"/logs/nightly/1004").body, want+`"`)
	s.job("p", func(pj *v1.ProwJob) { pj.Status.BuildID = "105" })
	s.eventually("/prowjobs.js", `"p"`)
	contains(t, "the list", s.get("/").body, "test-grid/file"+s.bucket+"/pr-logs/directory/unit")
	contains(t, "the run of a presubmit", s.get("/run/p").body, "test-grid/file"+s.bucket+"/pr-logs/directory/unit")
}

func TestTheGridOfAPresubmitFollowsItsBuilds(t *testing.T) {
	s := start(t, Options{}, "")
	for id, words := range map[string]string{"101": "A-", "102": "A+", "103": "A+"} {
		dir := "pr-logs/pull/o_r/7/unit/" + id
		s.storeTests(dir, 1700000000, words) // one commit for all
		s.store("pr-logs/directory/unit/"+id+".txt", "file://"+s.bucket+"/"+dir)
	}
	s.store("pr-logs/directory/unit/104.txt", "file:///etc/passwd")
	s.store("pr-logs/directory/unit/latest-build.txt", "104")
	lines, answer := gridLines(t, s.get("/test-grid/file"+s.bucket+"/pr-logs/directory/unit?format=json").body)
	if lines != "A:PPK" || answer.Builds[0].ID != "103" {
		t.Errorf("%s %+v", lines, answer)
	}
}

func TestTheGridShowsOnlyWhatMayBeSeen(t *testing.T) {
	jobs := "\nperiodics:\n- {name: murky, interval: 1h, hidden: true, spec: {containers: [{name: test, image: x}]}}\n"
	for name, test := range map[string]struct {
		options Options
		dark    int
		mixed   string
	}{
		"plain":     {Options{}, 404, "T1:P T4:P"},
		"hidden":    {Options{ShowHidden: true}, 200, "T1:P T2:P T4:P"},
		"only":      {Options{HiddenOnly: true}, 200, "T2:P"},
		"of tenant": {Options{TenantIDs: []string{"t"}}, 404, "T3:P"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, test.options, jobs)
			s.storeTests("logs/murky/1", 1700000000, "Secret-")
			for id, spec := range map[string]v1.ProwJobSpec{
				"1": {}, "2": {Hidden: true}, "3": {ProwJobDefault: &v1.ProwJobDefault{TenantID: "t"}}, "4": {},
			} {
				spec.Job = "mixed"
				s.storeBuild("logs/mixed/"+id, 1700000000, "SUCCESS", &spec)
				s.store("logs/mixed/"+id+"/artifacts/junit.xml", junitFile("T"+id+"+"))
			}
			for _, format := range []string{"", "?format=json"} {
				got := s.get(s.grid("murky", format))
				if got.StatusCode != test.dark || strings.Contains(got.body, "Secret") != (test.dark == 200) {
					t.Errorf("the hidden job: %s %s", got.Status, got.body)
				}
			}
			_, answer := gridLines(t, s.get(s.grid("mixed", "?format=json&only=all")).body)
			var seen []string
			for _, row := range answer.Rows {
				seen = append(seen, row.Name+":"+strings.ReplaceAll(row.Cells, "-", ""))
			}
			if got := strings.Join(seen, " "); got != test.mixed || len(answer.Builds) != len(seen) {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestHostileResults(t *testing.T) {
	s := start(t, Options{}, "")
	s.storeBuild("logs/j/1", 1700000000, "FAILURE", nil)
	long := strings.Repeat("x", 1<<20)
	s.store("logs/j/1/artifacts/junit_a.xml", `<testsuite name="&lt;b&gt;"><testcase classname="'&quot;" name="&lt;script&gt;alert(1)&lt;/script&gt;"><failure/></testcase>
<testcase name="`+long+`a"><failure/></testcase><testcase name="`+long+`b"><failure/></testcase><testcase name="up&#x202e;side&#7;"><failure/></testcase><testcase><failure/></testcase></testsuite>`)
	s.store("logs/j/1/artifacts/junit_b.xml", `<testsuite><testcase name="before"><failure/></testcase><testcase name="bro`)
	s.store("logs/j/1/artifacts/junit_c.xml", "not XML")
	s.store("logs/j/1/artifacts/junit_d.xml", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"><failure/></testcase></testsuite>`)
	got := s.get(s.grid("j", ""))
	contains(t, "the page", got.body, "&lt;script&gt;alert", `up\u{202e}side`, "before", "(without a name)", "Files with results of 1 build break off", "&lt;b&gt;")
	lacks(t, "the page", got.body, "<script>alert", "\u202e", strings.Repeat("x", 600), "aaaaaaaa")
	if n := strings.Count(got.body, "xxx…"); n < 2 {
		t.Errorf("%d long names", n)
	}
	if len(got.body) > 50_000 {
		t.Errorf("%d bytes", len(got.body))
	}
}

func TestOtherFilesWithResults(t *testing.T) {
	s := start(t, Options{}, deckMark+"  spyglass:\n    lenses:\n    - {required_files: ['^results/.*\\.xml$'], lens: {name: junit}}\n")
	s.storeBuild("logs/j/1", 1700000000, "FAILURE", nil)
	s.store("logs/j/1/artifacts/junit.xml", junitFile("No+"))
	s.store("logs/j/1/results/a.xml", junitFile("Yes-"))
	if lines, _ := gridLines(t, s.get(s.grid("j", "?format=json&only=all")).body); lines != "Yes:F" {
		t.Errorf("%s", lines)
	}
	s.configure("") // the usual files
	s.eventually(s.grid("j", "?format=json&only=all"), `"No"`)
}

func TestResultsOutliveTheProcessAndTheirFiles(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "deck.db")
	s := start(t, Options{Store: kept}, "")
	s.storeNightly("nightly")
	now := time.Now().Unix()
	s.storeTests("logs/nightly/1006", now, "Good+ Broken+")
	s.store("logs/nightly/latest-build.txt", "1006")
	want, _ := gridLines(t, s.get(s.grid("nightly", "?format=json&only=all")).body)
	for _, dir := range []string{"1003", "1006"} {
		if err := os.Remove(filepath.Join(s.bucket, "logs/nightly", dir, "artifacts/junit_01.xml")); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := gridLines(t, s.get(s.grid("nightly", "?format=json&only=all")).body); got != want || !strings.Contains(want, "Broken:PFFFPP") {
		t.Errorf("the second visit: %s\nwant %s", got, want)
	}
	db, err := store.Open(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	r := newTestResults(t.Context(), db, s.discard(), time.Now) // as the next process
	r.open = func(context.Context, place) (storage.Bucket, error) { return nil, errors.New("storage is away") }
	r.list = func(context.Context, place) ([]storage.Item, bool, error) {
		return nil, false, errors.New("storage is away")
	}
	cfg := watchConfig(t, "")
	files := (&server{config: cfg, builtin: lensMap(builtinLenses()), log: s.discard()}).junitFiles()
	var wanted []wantedResults
	for id := 1001; id <= 1006; id++ {
		wanted = append(wanted, wantedResults{place{"file", s.bucket, fmt.Sprintf("logs/nightly/%d", id)}, time.Unix(now, 0), files})
	}
	for i, got := range r.get(t.Context(), wanted, time.Minute) {
		if last := i == 5; got.problem != last || !last && (len(got.body) == 0 || len(got.tests) == 0) {
			t.Errorf("build %d: %+v", 1001+i, got)
		}
	}
}

// slowObjects is a bucket whose objects cannot be read before open is closed.
type slowObjects struct {
	storage.Bucket
	open chan struct{}
}

func (b slowObjects) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	select {
	case <-b.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return b.Bucket.Get(ctx, key, offset, length)
}

func (b slowObjects) Close() error { return nil } // it is used again

func TestAPageDoesNotWaitForSlowStorage(t *testing.T) {
	dir := t.TempDir()
	opener := providers.New(providers.Credentials{})
	bucket, err := opener.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	const many = 12
	files := junitFiles{choose: func(names []string) []string { return names }, version: "v"}
	var wanted []wantedResults
	for i := range many {
		key := fmt.Sprintf("logs/j/%d", i)
		if err := bucket.Put(t.Context(), key+"/junit.xml", strings.NewReader(junitFile("A-")), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, wantedResults{place{"file", dir, key}, time.Unix(1700000000, 0), files})
	}
	gate := make(chan struct{})
	listed := make(chan string, 10*many)
	r := newTestResults(t.Context(), nil, (&site{t: t}).discard(), time.Now)
	r.open = func(context.Context, place) (storage.Bucket, error) { return slowObjects{bucket, gate}, nil }
	r.list = func(_ context.Context, p place) ([]storage.Item, bool, error) {
		listed <- p.key
		return []storage.Item{{Key: "junit.xml", Size: 100}}, false, nil
	}
	for range 3 { // three visitors, one reading
		for i, got := range r.get(t.Context(), wanted, time.Millisecond) {
			if !got.pending {
				t.Fatalf("build %d is there: %+v", i, got)
			}
		}
	}
	if n := len(listed); n > buildsAtOnce {
		t.Errorf("%d builds are read at once", n)
	}
	close(gate)
	for i, got := range r.get(t.Context(), wanted, time.Minute) {
		if got.pending || got.problem || len(got.tests) == 0 {
			t.Errorf("build %d: %+v", i, got)
		}
	}
	if n := len(listed); n != many {
		t.Errorf("%d readings of %d builds", n, many)
	}
	if again := r.get(t.Context(), wanted, time.Minute); again[0].pending || len(listed) != many {
		t.Errorf("what is known was read again")
	}
	t.Run("there are not more readings than there is room for", func(t *testing.T) {
		r.open = func(context.Context, place) (storage.Bucket, error) {
			return slowObjects{bucket, make(chan struct{})}, nil
		}
		var more []wantedResults
		for i := range maxReadings + 50 {
			more = append(more, wantedResults{place{"file", dir, fmt.Sprintf("logs/other/%d", i)}, time.Time{}, files})
		}
		r.get(t.Context(), more, time.Millisecond)
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.reading); n != maxReadings {
			t.Errorf("%d", n)
		}
	})
}

func TestOfTooManyFilesAPartIsRead(t *testing.T) {
	s := start(t, Options{}, "")
	s.storeBuild("logs/j/1", 1700000000, "FAILURE", nil)
	for i := range maxResultFiles + 5 {
		s.store(fmt.Sprintf("logs/j/1/artifacts/junit_%03d.xml", i), junitFile(fmt.Sprintf("T%d-", i)))
	}
	_, answer := gridLines(t, s.get(s.grid("j", "?format=json")).body)
	if answer.Tests != maxResultFiles || !slices.ContainsFunc(answer.Notes, func(n string) bool { return strings.Contains(n, "only a part") }) {
		t.Errorf("%d tests, %v", answer.Tests, answer.Notes)
	}
	s.storeBuild("logs/big/1", 1700000000, "FAILURE", nil)
	for i := range 3 {
		s.store(fmt.Sprintf("logs/big/1/artifacts/junit_%d.xml", i), strings.Replace(junitFile(fmt.Sprintf("T%d-", i)), "got 1", strings.Repeat("x", 20<<20), 1))
	}
	_, answer = gridLines(t, s.get(s.grid("big", "?format=json")).body)
	if answer.Tests != 2 || len(answer.Notes) != 1 {
		t.Errorf("%d tests, %v", answer.Tests, answer.Notes)
	}
	packed := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.String()
	}
	s.storeBuild("logs/packed/1", 1700000000, "FAILURE", nil)
	s.store("logs/packed/1/artifacts/junit_0.xml", packed(junitFile("Packed-")))
	for i := range 3 { // each becomes 20 MB
		s.store(fmt.Sprintf("logs/packed/1/artifacts/junit_%d.xml", i+1), packed(strings.Replace(junitFile(fmt.Sprintf("T%d-", i)), "got 1", strings.Repeat("x", 20<<20), 1)))
	}
	_, answer = gridLines(t, s.get(s.grid("packed", "?format=json")).body)
	if len(answer.Notes) != 1 || !strings.Contains(answer.Notes[0], "only a part") || !slices.ContainsFunc(answer.Rows, func(r gridTestRow) bool { return r.Name == "Packed" }) {
		t.Errorf("%+v", answer)
	}
}

func (s *site) discard() *slog.Logger {
	return slog.New(slog.NewTextHandler(testLog{s.t, &s.log}, nil))
}

// storeLarge stores builds of a job with many tests, of which one in a hundred fails now
// and then.
func (s *site) storeLarge(job string, builds, tests int) {
	for id := range builds {
		var words strings.Builder
		for n := range tests {
			outcome := "+"
			if n%100 == 0 && (id+n/100)%5 == 0 {
				outcome = "-"
			}
			fmt.Fprintf(&words, "TestComponent%d/does_what_it_should_in_case_%d%s ", n%50, n, outcome)
		}
		s.storeTests(fmt.Sprintf("logs/%s/%d", job, 1001+id), 1700000000+int64(id)*3600, words.String())
		s.store("logs/"+job+"/latest-build.txt", fmt.Sprint(1001+id))
	}
}

// complete asks for a grid until all results are there.
func (s *site) complete(path string) gridAnswer {
	s.t.Helper()
	for {
		var answer gridAnswer
		if err := json.Unmarshal([]byte(s.get(path).body), &answer); err != nil {
			s.t.Fatal(err)
		}
		if !slices.ContainsFunc(answer.Builds, func(b gridBuild) bool { return b.Results == "pending" }) {
			return answer
		}
	}
}

func TestTenThousandTestsStayUsable(t *testing.T) {
	s := start(t, Options{}, "")
	s.storeLarge("large", 3, 10_000)
	answer := s.complete(s.grid("large", "?format=json&only=all"))
	if answer.Tests != 10_000 || len(answer.Rows) != gridRows || answer.Matching != 10_000 || answer.Builds[2].Failed == 0 {
		t.Errorf("%d tests, %d rows", answer.Tests, len(answer.Rows))
	}
	page := s.get(s.grid("large", "?only=all&from=9950")).body
	contains(t, "the last page", page, "9951–10000 of 10000 tests", `href="?from=9850&amp;only=all"`)
	if len(page) > 100_000 || strings.Contains(page, "More tests") {
		t.Errorf("%d bytes", len(page))
	}
}

// BenchmarkTestGridPage is a page of 10,000 tests, again and again, with all that it
// needs read before.
func BenchmarkTestGridPage(b *testing.B) {
	for _, builds := range []int{20, 50} {
		b.Run(fmt.Sprintf("%d builds", builds), func(b *testing.B) {
			s := start(b, Options{}, "")
			s.storeLarge("large", builds, 10_000)
			begun := time.Now()
			s.complete(s.grid("large", fmt.Sprintf("?format=json&builds=%d", builds)))
			read := time.Since(begun)
			var all []time.Duration
			for b.Loop() {
				begun := time.Now()
				if got := s.get(s.grid("large", fmt.Sprintf("?builds=%d", builds))); got.StatusCode != http.StatusOK {
					b.Fatal(got.Status)
				}
				all = append(all, time.Since(begun))
			}
			slices.Sort(all)
			b.ReportMetric(read.Seconds(), "s-to-read-all")
			b.ReportMetric(float64(all[len(all)/2].Milliseconds()), "ms-p50")
			b.ReportMetric(float64(all[len(all)*95/100].Milliseconds()), "ms-p95")
		})
	}
}
