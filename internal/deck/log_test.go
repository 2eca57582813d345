package deck

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
	"prow/internal/storage/providers"
)

// finished is a run that has ended and whose pod is gone.
func (s *site) finished(name, build string, change func(*v1.ProwJob)) *v1.ProwJob {
	s.t.Helper()
	return s.job(name, func(pj *v1.ProwJob) {
		pj.Spec.Job = name
		pj.Status.State, pj.Status.BuildID, pj.Status.CompletionTime = v1.FailureState, build, &metav1.Time{Time: time.Now()}
		if change != nil {
			change(pj)
		}
	})
}

// src is a run as addresses of scripts have it.
func (s *site) src(pj *v1.ProwJob) string {
	return url.QueryEscape(strings.TrimPrefix(s.view(pj), "/view/"))
}

func TestProbe9TheLogOfAContainer(t *testing.T) {
	s := start(t, Options{}, "")
	pj := s.job("two", func(pj *v1.ProwJob) {
		pj.Spec.PodSpec.Containers = []corev1.Container{{Name: "test", Image: "i"}, {Name: "c", Image: "i"}}
		pj.Status.State, pj.Status.PodName, pj.Status.BuildID = v1.PendingState, "two", "7"
	})
	zero := int64(0)
	say := func(name, text string) corev1.Container {
		return corev1.Container{Name: name, Image: "i", Command: []string{"/bin/sh", "-c", "echo " + text + "; sleep 60"}}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "two", Namespace: s.namespace}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: &zero, Containers: []corev1.Container{say("test", "of-test"), say("c", "of-c")},
	}}
	if err := s.jobs.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	got := s.eventually("/log?job=unit&id=7", "of-test")
	if got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Content-Type") != "text/plain; charset=utf-8" || got.body != "of-test\n" {
		t.Errorf("%v %q", got.Header, got.body)
	}
	if got := s.eventually("/log?job=unit&id=7&container=c", "of-c"); got.body != "of-c\n" {
		t.Errorf("container c says %q", got.body)
	}
	for path, want := range map[string]int{"/log?job=unit": 400, "/log?id=7": 400, "/log?job=other&id=7": 404, "/log?job=unit&id=8": 404, "/log?job=unit&id=7&container=none": 404} {
		got := s.get(path)
		if got.StatusCode != want || got.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want)
		}
	}
	contains(t, "the page of container c", s.get(s.view(pj)+"?container=c").body, "of-c", `data-container="c"`, `data-file="c-build-log.txt"`)
	// A live log is searched as well.
	contains(t, "a search of a live log", s.get("/log/search?q=OF-C&container=c&src="+s.src(pj)).body, `"line":1`, `mark\u003eof-c\u003c/mark`, `"complete":true`)
	// Where the pod is gone, storage has it.
	if err := s.jobs.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	s.store(s.dir(pj)+"/c-build-log.txt", "stored of c\n")
	s.eventually("/log?job=unit&id=7&container=c", "stored of c")
}

func TestProbe8LogsFollowTheRuleOfTheList(t *testing.T) {
	s := start(t, Options{TenantIDs: []string{"T"}}, "")
	hide := func(tenant string) func(*v1.ProwJob) {
		return func(pj *v1.ProwJob) {
			pj.Spec.Hidden, pj.Spec.ProwJobDefault = true, &v1.ProwJobDefault{TenantID: tenant}
		}
	}
	mine, other := s.finished("mine", "1", hide("T")), s.finished("other", "2", hide("U"))
	for _, pj := range []*v1.ProwJob{mine, other} {
		s.store(s.dir(pj)+"/build-log.txt", "secret words\n")
	}
	for _, path := range []string{"/log?job=%s&id=%s", "/log/lines?count=5&src=prowjob/%s/%s", "/log/search?q=secret&src=prowjob/%s/%s"} {
		contains(t, path, s.eventually(fmt.Sprintf(path, "mine", "1"), "secret").body, "secret")
		if got := s.get(fmt.Sprintf(path, "other", "2")); got.StatusCode != 404 || strings.Contains(got.body, "words") {
			t.Errorf("%s: a job of another tenant: %d %q", path, got.StatusCode, got.body)
		}
	}
	for _, path := range []string{"/log/lines?count=5&src=", "/log/search?q=secret&src="} {
		if got := s.get(path + s.src(other)); got.StatusCode != 404 {
			t.Errorf("%s by its place: %d %q", path, got.StatusCode, got.body)
		}
	}
}

func TestLogsOfOtherAgents(t *testing.T) {
	asked := make(chan string, 100)
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		switch r.URL.Path {
		case "/broken":
			http.Error(w, "a page of errors", http.StatusBadGateway)
		case "/moved":
			http.Redirect(w, r, "/special/x", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			fmt.Fprintf(w, "log at %s\n%s", r.URL.Path, numbered(3000))
		}
	}))
	defer stub.Close()
	s := start(t, Options{}, deckWith(fmt.Sprintf(`external_agent_logs:
  - {agent: jenkins, selector: "kind=special", url_template: "%[1]s/special/{{.Spec.Job}}"}
  - {agent: jenkins, selector: "kind=broken", url_template: "%[1]s/broken"}
  - {agent: jenkins, selector: "kind=moved", url_template: "%[1]s/moved"}
  - {agent: jenkins, selector: "kind=loop", url_template: "%[1]s/loop"}
  - {agent: jenkins, selector: "kind=file", url_template: "file:///etc/passwd"}
  - {agent: jenkins, selector: "kind in (a, b)", url_template: "%[1]s/all/{{.Status.BuildID}}"}`, stub.URL)))
	for i, kind := range []string{"special", "broken", "moved", "loop", "file", "a", "none"} {
		s.finished("on-"+kind, fmt.Sprint(i+1), func(pj *v1.ProwJob) {
			pj.Spec.Agent, pj.Spec.PodSpec, pj.Labels = v1.JenkinsAgent, nil, map[string]string{"kind": kind}
			pj.Status.State, pj.Status.CompletionTime = v1.PendingState, nil
			pj.Spec.Hidden = kind == "hidden"
		})
	}
	s.eventually("/log?job=on-special&id=1", "log at /special/on-special", "line number 3000")
	s.eventually("/log?job=on-moved&id=3", "log at /special/x")
	contains(t, "another entry", s.get("/log?job=on-a&id=6").body, "log at /all/6")
	for build, kind := range map[string]string{"2": "broken", "4": "loop", "5": "file", "7": "none"} {
		if got := s.get("/log?job=on-" + kind + "&id=" + build); got.StatusCode != 404 || strings.Contains(got.body, "errors") || strings.Contains(got.body, "root:") {
			t.Errorf("%s: %d %q", kind, got.StatusCode, got.body)
		}
	}
	page := s.get("/view/prowjob/on-a/6").body
	contains(t, "the page", page, "line number 3000", `id="L3001"`, `href="../../../log?id=6&amp;job=on-a"`)
	lacks(t, "the page", page, "line number 1<")
	contains(t, "a part", s.get("/view/prowjob/on-a/6?from=11").body, `id="L11"`, "line number 10<", `id="L1010"`)
	contains(t, "a search", s.get("/log/search?src=prowjob/on-a/6&q=number+2999").body, `"line":3000`, `"complete":true`)
}

type searchEvent struct {
	Hit *searchHit   `json:"hit"`
	End *searchState `json:"end"`
}

func (s *site) search(params string) (hits []searchHit, end searchState) {
	s.t.Helper()
	got := s.get("/log/search?" + params)
	if got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/x-ndjson" {
		s.t.Fatalf("%s: %s %q", params, got.Status, got.body)
	}
	for line := range strings.Lines(got.body) {
		var e searchEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatal(err)
		}
		if e.Hit != nil {
			hits = append(hits, *e.Hit)
		}
		if e.End != nil {
			end = *e.End
		}
	}
	return hits, end
}

func TestAWholeLogIsSearched(t *testing.T) {
	s := start(t, Options{}, "")
	pj := s.finished("job", "1", nil)
	s.store(s.dir(pj)+"/build-log.txt", numbered(5000)+"\x1b[31mFAIL\x1b[0mED <script>alert(1)</script> at the end\nlast\n")
	src := "src=" + s.src(pj)
	s.eventually(s.view(pj), "last")

	hits, end := s.search(src + "&q=number+4711")
	if len(hits) != 1 || hits[0].Line != 4711 || hits[0].HTML != "line <mark>number 4711</mark>" || !end.Complete || end.Lines != 5002 ||
		strings.Join(append(hits[0].Before, hits[0].After...), "|") != "line number 4709|line number 4710|line number 4712|line number 4713" {
		t.Errorf("%+v %+v", hits, end)
	}
	hits, end = s.search(src + "&q=number")
	if len(hits) != streamHits || end.Complete || end.Next != streamHits {
		t.Errorf("%d hits, %+v", len(hits), end)
	}
	hits, _ = s.search(src + fmt.Sprintf("&q=number&from=%d", end.Next))
	if hits[0].Line != streamHits+1 {
		t.Errorf("searched on from line %d", hits[0].Line)
	}
	hits, _ = s.search(src + "&re=1&q=" + url.QueryEscape(`^failed <.*>`))
	if len(hits) != 1 || hits[0].Line != 5001 || hits[0].HTML != "<mark>FAILED &lt;script&gt;alert(1)&lt;/script&gt;</mark> at the end" {
		t.Errorf("%+v", hits)
	}
	if hits, end = s.search(src + "&case=1&q=failed"); len(hits) != 0 || !end.Complete {
		t.Errorf("%+v %+v", hits, end)
	}
	for params, want := range map[string]int{
		"q=x": 400, src: 400, src + "&q=(&re=1": 400, src + "&q=" + strings.Repeat("x", 1001): 400,
		"q=x&src=file/etc/logs/a/1": 403, "q=x&src=file" + s.bucket + "/logs/no/1": 404, "q=x&src=prowjob/none": 404, "q=x&src=prowjob/job/9": 404,
		"q=x&src=" + strings.TrimSuffix(s.src(pj), "1") + "1/build-log.txt": 404,
	} {
		if got := s.get("/log/search?" + params); got.StatusCode != want || got.body == "" {
			t.Errorf("%.80s: %d, want %d: %s", params, got.StatusCode, want, got.body)
		}
	}
	if got := s.do(http.MethodPost, "/log/lines?"+src); got.StatusCode != 405 {
		t.Errorf("POST: %d", got.StatusCode)
	}

	// Without scripts, the page does it.
	page := s.get(s.view(pj) + "?q=number+47&case=1").body
	contains(t, "the hits of a page", page, "111 lines found, 5002 searched", `href="?line=4711#L4711"`, "<mark>number 47</mark>11", `value="number 47"`)
	page = s.get(s.view(pj) + "?q=number").body
	contains(t, "the hits of a page", page, "200 lines found so far, 200 searched", `href="?after=200&amp;q=number"`)
	contains(t, "the next hits", s.get(s.view(pj)+"?q=number&after=200").body, `href="?line=201#L201"`)
	contains(t, "a bad expression", s.get(s.view(pj)+"?q=(&re=1").body, "This cannot be searched for: the regular expression cannot be read")
	page = s.get(s.view(pj) + "?q=script").body
	contains(t, "a hostile line", page, "FAILED &lt;<mark>script</mark>&gt;alert(1)")
	lacks(t, "a hostile line", page, "<script>alert")
	contains(t, "a line that is gone to", s.get(s.view(pj)+"?line=4711").body, `<div class="l marked" id="L4711">`, `id="L4611"`)
	contains(t, "lines for scripts", s.get("/log/lines?"+src+"&from=10&count=2").body, `{"n":10,"html":"line number 10"},{"n":11,`, `"total":5002`, `"counting":false`)
}

func TestProbe41AndFoldsOnThePage(t *testing.T) {
	s := start(t, Options{}, deckWith(`spyglass:
    lenses:
    - lens: {name: buildlog, config: {highlight_regexes: ["broken pipe", "number 77$"], hide_raw_log: true}}
      required_files: ["build-log.txt"]`))
	pj := s.finished("job", "1", nil)
	s.store(s.dir(pj)+"/build-log.txt", numbered(100)+"FAIL\n")
	page := s.eventually(s.view(pj)+"?view=highlights", "highlighted").body
	contains(t, "what the configuration highlights", page, "1 highlighted line<", `<div class="fold" data-from="1" data-to="71">`, ">71 lines hidden<",
		`<div class="l" id="L72">`, `<div class="l high" id="L77">`, `id="L82"`, `data-from="83" data-to="101"`)
	lacks(t, "what the configuration hides", page, ">Raw<", `id="L71"`, `id="L83"`)

	// Lines that somebody chose for everybody are shown alone.
	bucket, err := filestore.Open(s.bucket)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close() //nolint:errcheck // a test
	chosen := s.finished("chosen", "2", nil)
	if err := bucket.Put(t.Context(), s.dir(chosen)+"/build-log.txt", strings.NewReader(strings.Repeat("word\n", 100)), storage.PutOptions{Metadata: map[string]string{"focus-start": "7", "focus-end": "20"}}); err != nil {
		t.Fatal(err)
	}
	page = s.eventually(s.view(chosen)+"?view=highlights", "highlighted").body
	contains(t, "lines that were chosen", page, `<div class="l" id="L1">`, `<div class="l high" id="L7">`, `<div class="l high" id="L20">`, `<div class="l" id="L25">`, `data-from="26" data-to="100"`)
}

// A log of which nobody has counted the lines is shown all the same.
func TestALogWhoseLinesAreBeingCounted(t *testing.T) {
	dir := t.TempDir()
	text := numbered(20_000)
	if err := os.WriteFile(filepath.Join(dir, "log"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var zipped strings.Builder
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, text); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	bucket, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close() //nolint:errcheck // a test
	if err := bucket.Put(t.Context(), "zipped", strings.NewReader(zipped.String()), storage.PutOptions{ContentEncoding: "gzip"}); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{}, 10)
	count := make(chan struct{})
	var opens atomic.Int32
	s := &server{storage: providers.New(providers.Credentials{})}
	s.lines = newLineIndexes(t.Context(), slog.Default(), func(ctx context.Context, p place) (storage.Bucket, error) {
		opens.Add(1)
		begun <- struct{}{}
		select {
		case <-count:
			return filestore.Open(dir)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	at := func(key string) place { return place{"file", dir, key} }
	for range 3 {
		got, err := s.storedPart(t.Context(), at("log"), 0, pageLines)
		if err != nil || !got.Counting || len(got.Lines) != pageLines || got.Lines[pageLines-1].HTML != "line number 20000" || got.Lines[pageLines-1].Back != 1 || got.Lines[0].Number != 0 {
			t.Fatalf("the end: %d lines, %+v, %v", len(got.Lines), got, err)
		}
	}
	got, err := s.storedPart(t.Context(), at("log"), 5000, pageLines)
	if err != nil || got.Wanted != 5000 || !got.Counting {
		t.Fatalf("a line that was not reached: %+v, %v", got, err)
	}
	if got, err = s.storedPart(t.Context(), at("zipped"), 0, pageLines); err != nil || got.First != 1 || got.Last != pageLines || !got.Counting || got.Later != pageLines+1 {
		t.Fatalf("a compressed log shows %d to %d, %v", got.First, got.Last, err)
	}
	<-begun
	<-begun
	if n := opens.Load(); n != 2 {
		t.Errorf("two logs were begun to be counted %d times", n)
	}
	close(count)
	for _, key := range []string{"log", "zipped"} {
		deadline := time.Now().Add(10 * time.Second)
		for got.Counting = true; got.Counting; {
			if got, err = s.storedPart(t.Context(), at(key), 0, pageLines); err != nil || time.Now().After(deadline) {
				t.Fatalf("%s: %+v, %v", key, got, err)
			}
		}
		if got.First != 19_001 || got.Last != 20_000 || got.Total != 20_000 {
			t.Errorf("%s: the end is %d to %d of %d", key, got.First, got.Last, got.Total)
		}
		if got, err = s.storedPart(t.Context(), at(key), 5000, 10); err != nil || got.First != 5000 || got.Lines[0].HTML != "line number 5000" {
			t.Errorf("%s: line 5000 is %+v, %v", key, got.Lines, err)
		}
	}
}

func TestIndexesAreBounded(t *testing.T) {
	x := newLineIndexes(t.Context(), slog.Default(), nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range 200_000 {
		x.entry(fmt.Sprint(i))
	}
	if x.memory > indexMemory || len(x.known) != x.used.Len() || len(x.known) == 0 {
		t.Errorf("%d bytes, %d known, %d used", x.memory, len(x.known), x.used.Len())
	}
}

func TestHostileLogsAreShown(t *testing.T) {
	s := start(t, Options{}, "")
	for name, text := range map[string]string{
		"no-line-feed": strings.Repeat("x", 40<<20),
		"nul":          strings.Repeat("\x00", 3<<20) + "\nend\n",
		"no-utf8":      strings.Repeat("\xff\xfe<", 1<<20),
		"escapes":      strings.Repeat("\x1b[31m\x1b]8;;javascript:alert(1)\x07<a href=x>\x1b]8;;\x07", 50_000) + "\n" + strings.Repeat("\x1b]", 1<<20),
		"colours":      strings.Repeat("\x1b[1;3;4;35;45ma", 2000) + "\n",
	} {
		pj := s.finished(name, "1", nil)
		s.store(s.dir(pj)+"/build-log.txt", text)
		begun := time.Now()
		got := s.eventually(s.view(pj), `class="l"`)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: the page took %v", name, took)
		}
		if len(got.body) > 4<<20 {
			t.Errorf("%s: the page has %d bytes", name, len(got.body))
		}
		lacks(t, name, got.body, "javascript:", "<a href=x", "\x1b", "\x00")
		s.search("q=nothing&src=" + s.src(pj))
		s.search("re=1&q=" + url.QueryEscape("(x+x+)+y") + "&src=" + s.src(pj))
	}
}

func (s *site) running(name string) *v1.ProwJob {
	s.t.Helper()
	return s.job(name, func(pj *v1.ProwJob) {
		pj.Spec.Job = name
		pj.Status.State, pj.Status.PodName, pj.Status.BuildID = v1.PendingState, name, "1"
	})
}

func TestWatchersAreLimited(t *testing.T) {
	s := start(t, Options{watchers: 2}, "")
	pj := s.running("long")
	s.runPod(pj, "echo begun; sleep 60")
	s.eventually("/log?job=long&id=1", "begun")
	var bodies []io.Closer
	for range 2 {
		resp, err := http.Get(s.url + "/log?job=long&id=1&follow=1")
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "begun\n" {
			t.Fatalf("%q, %v", line, err)
		}
		bodies = append(bodies, resp.Body)
	}
	got := s.get("/log?job=long&id=1&follow=1", "Accept", "text/event-stream")
	if got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "10" || !strings.Contains(got.body, "try again later") {
		t.Errorf("one too many: %d %v %q", got.StatusCode, got.Header, got.body)
	}
	// A place that is given up is free again.
	bodies[0].Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		resp, err := http.Get(s.url + "/log?job=long&id=1&follow=1")
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, resp.Body)
		if resp.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place was never free again")
		}
	}
	for _, b := range bodies {
		b.Close()
	}
}

// A client that takes nothing loses its place, and holds nobody up.
func TestAClientThatTakesNothingIsLetGo(t *testing.T) {
	s := start(t, Options{watchers: 2, patience: 500 * time.Millisecond}, "")
	pj := s.running("flood")
	s.runPod(pj, `i=0; while [ $i -lt 400000 ]; do echo "a line of a flood that nobody reads, number $i"; i=$((i+1)); done; sleep 60`)
	s.eventually("/log?job=flood&id=1", "number 100")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /log?job=flood&id=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.Get(s.url + "/log?job=flood&id=1&follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := bufio.NewScanner(resp.Body)
	for read.Scan() && !strings.HasSuffix(read.Text(), " 399999") {
	}
	if !strings.HasSuffix(read.Text(), " 399999") {
		t.Errorf("the other client came as far as %q", read.Text())
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/log?job=flood&id=1&follow=1", nil)
		again, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		again.Body.Close()
		cancel()
		if again.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the client that takes nothing keeps its place")
		}
	}
}

func TestTheEndOfTheProgramEndsStreams(t *testing.T) {
	ended := make(chan time.Time, 2)
	t.Run("a site", func(t *testing.T) {
		s := start(t, Options{}, "")
		pj := s.running("long")
		s.runPod(pj, "echo begun; sleep 60")
		s.eventually("/log?job=long&id=1", "begun")
		s.job("waiting", func(pj *v1.ProwJob) { pj.Spec.Job, pj.Status.BuildID = "waiting", "2" })
		s.eventually("/prowjobs.js", "waiting")
		for _, query := range []string{"job=long&id=1", "job=waiting&id=2"} {
			resp, err := http.Get(s.url + "/log?follow=1&" + query)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				ended <- time.Now()
			}()
		}
	})
	for range 2 {
		select {
		case <-ended:
		case <-time.After(3 * time.Second):
			t.Fatal("a stream goes on after the end")
		}
	}
}
