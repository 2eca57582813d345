package deck

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
)

func TestDataOfAnEmptyCluster(t *testing.T) {
	s := start(t, Options{}, "")
	a := s.get("/prowjobs.js")
	if a.body != `{"items":[]}` || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store, must-revalidate" {
		t.Errorf("got %q %v", a.body, a.Header)
	}
	if a := s.get("/prowjobs.js?var=x"); a.body != `var x = {"items":[]};` || a.Header.Get("Content-Type") != "application/javascript" {
		t.Errorf("got %q %v", a.body, a.Header)
	}
	for path, code := range map[string]int{
		"/": 200, "/nope": 404, "/prowjobs.js?var=alert(1)//": 400, "/log?job=a": 400, "/log?job=a&id=1": 404, "/prowjob": 400, "/prowjob?prowjob=missing": 404,
		"/prowjob?prowjob=../x": 404, "/badge.svg": 400, "/config?key=zzz": 500, "/view/": 400, "/view/file/etc/passwd": 400, "/view/file/etc/x/passwd": 403, "/run/none": 404,
		"/command-help": 200, "/plugins": 200, "/tide": 200, "/tide-history": 200, "/plugin-help.js": 404, "/tide.js": 404, "/static/deck.css": 200, "/static/../deck.go": 307,
	} {
		if got := s.get(path).StatusCode; got != code {
			t.Errorf("GET %s: got %d, want %d", path, got, code)
		}
	}
	contains(t, "the list", s.get("/").body, "<title>Prow Status</title>", "No job has run yet")
	contains(t, "an empty badge", s.get("/badge.svg?jobs=*").body, "no results")
	if a := s.get("/config?key=disabled-clusters"); a.body != "- build01\n- build08\n" {
		t.Errorf("disabled clusters: %q", a.body)
	}
}

func TestListAndData(t *testing.T) {
	s := start(t, Options{}, "")
	now := time.Now().Truncate(time.Second)
	s.job("a", func(pj *v1.ProwJob) {
		pj.Spec.PodSpec.Containers = append(pj.Spec.PodSpec.Containers, corev1.Container{Name: "second", Image: "img"})
		pj.Status.StartTime = metav1.NewTime(now.Add(-time.Minute))
	})
	s.job("b", func(pj *v1.ProwJob) {
		pj.Spec.Type, pj.Spec.Job, pj.Spec.Refs, pj.Spec.PodSpec = v1.PeriodicJob, "nightly", nil, nil
		pj.Spec.ExtraRefs = []v1.Refs{{Org: "o", Repo: "x"}}
		pj.Status.StartTime = metav1.NewTime(now.Add(-2 * time.Minute))
		pj.Status.State = v1.FailureState
		pj.Status.CompletionTime = &metav1.Time{Time: now}
	})
	s.job("c", func(pj *v1.ProwJob) {
		pj.Spec.Type, pj.Spec.Job, pj.Spec.Refs = v1.PeriodicJob, "weekly", nil
		pj.Status.StartTime = metav1.NewTime(now.Add(-3 * time.Minute))
	})
	s.job("hidden", func(pj *v1.ProwJob) { pj.Spec.Hidden = true })
	s.job("of-hidden-repo", func(pj *v1.ProwJob) { pj.Spec.Refs.Repo = "secret" })
	s.job("of-tenant", func(pj *v1.ProwJob) { pj.Spec.ProwJobDefault = &v1.ProwJobDefault{TenantID: "tester"} })
	s.eventually("/prowjobs.js", `"name":"a"`, `"name":"b"`, `"name":"c"`)

	for query, want := range map[string][]string{
		"": {"a", "b", "c"}, "?org=o": {"a", "b"}, "?repo=x": {"b"}, "?owner=ann": {"a"}, "?owner=Ann": {}, "?org=o&repo=r": {"a"},
	} {
		if got := names(t, s.get("/prowjobs.js"+query).body); !slices.Equal(got, want) {
			t.Errorf("/prowjobs.js%s: got %q, want %q", query, got, want)
		}
	}
	a := s.get("/prowjobs.js?omit=annotations,labels,decoration_config,pod_spec")
	lacks(t, "the reduced list", a.body, `"labels"`, `"annotations"`, `"decoration_config"`, "managedFields", `"img"`)
	contains(t, "the reduced list", a.body, `"pod_spec":{"containers":[{"name":"","resources":{}},{"name":"","resources":{}}]}`)
	if again := s.get("/prowjobs.js?omit=annotations,labels,decoration_config,pod_spec", "If-None-Match", a.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("an unchanged list is sent again: %s", again.Status)
	}
	data := s.get("/data.js").body
	contains(t, "the legacy list", data, `"refs_key":"main:`+strings.Repeat("b", 40)+`,7:`+strings.Repeat("a", 40)+`"`, `"prow_job":"b"`, `"duration":"2m0s"`, fmt.Sprintf(`"started":"%d"`, now.Add(-time.Minute).Unix()))

	for path, want := range map[string][]string{
		"/": {"unit", "nightly", "weekly"}, "/?pr=7": {"unit"}, "/?pull=7": {"unit"}, "/?author=ANN": {"unit"}, "/?state=failure": {"nightly"},
		"/?job=*ight*": {"nightly"}, "/?type=periodic": {"nightly", "weekly"}, "/?repo=o/x": {"nightly"}, "/?since=90s": {"unit"}, "/?job=none": nil,
	} {
		body := s.get(path).body
		_, table, _ := strings.Cut(body, "<tbody>")
		table, _, _ = strings.Cut(table, "</tbody>")
		for _, job := range []string{"unit", "nightly", "weekly"} {
			if got, want := strings.Contains(table, ">"+job+"<"), slices.Contains(want, job); got != want {
				t.Errorf("%s: %s is listed: %v, want %v", path, job, got, want)
			}
		}
	}
	for _, path := range []string{"/?pull=x", "/?since=soon", "/?after=zzz"} {
		if got := s.get(path).StatusCode; got != 400 {
			t.Errorf("%s: got %d, want 400", path, got)
		}
	}
	contains(t, "the badge", s.get("/badge.svg?jobs=night*,weekly").body, "failing nightly")
	yaml := s.get("/prowjob?prowjob=a")
	if yaml.Header.Get("Content-Type") != "text/plain" {
		t.Error("YAML is", yaml.Header.Get("Content-Type"))
	}
	contains(t, "the YAML", yaml.body, "kind: ProwJob", "job: unit")
	lacks(t, "the YAML", yaml.body, "managedFields")
	for _, hidden := range []string{"hidden", "of-hidden-repo", "of-tenant"} {
		for _, path := range []string{"/prowjob?prowjob=", "/run/"} {
			if got := s.get(path + hidden).StatusCode; got != 404 {
				t.Errorf("%s%s: got %d, want 404", path, hidden, got)
			}
		}
	}
}

func TestRunFromWaitingToForgotten(t *testing.T) {
	s := start(t, Options{}, "")
	pj := s.job("run1", nil)
	s.eventually("/run/run1", "There is no pod for it yet", "waiting")

	follower := make(chan string, 1)
	s.update(pj, func(pj *v1.ProwJob) {
		pj.Status.State, pj.Status.PodName, pj.Status.BuildID, pj.Status.Description = v1.PendingState, "run1", "1001", "Job is running."
		pj.Status.PendingTime = &metav1.Time{Time: time.Now()}
	})
	view := s.view(pj)
	s.eventually(view, "running", "Nothing has been written yet", "The pod does not exist at the moment")
	go func() { follower <- s.get("/log?job=unit&id=1001&follow=1").body }()

	pod := s.runPod(pj, `printf 'hello \033[31mred\033[0m <script>alert(1)</script>\n'; i=1; while [ $i -le 40 ]; do echo "step $i"; sleep 0.1; i=$((i+1)); done; echo done`)
	page := s.eventually(view, "hello")
	contains(t, "the page of a running job", page.body, `id="L1"`, `<span class="fg-red">red</span>`, "&lt;script&gt;", `data-live-log="true"`, "Job is running.")
	lacks(t, "the page of a running job", page.body, "<script>alert", "ZgotmplZ")
	contains(t, "/view/prowjob", s.get("/view/prowjob/unit/1001").body, "hello")

	// Lines come as events while the container writes them.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/log?job=unit&id=1001&follow=1&from=1", nil)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("events are %q", got)
	}
	var events []string
	for scanner := bufio.NewScanner(resp.Body); scanner.Scan(); {
		events = append(events, scanner.Text())
	}
	stream := strings.Join(events, "\n")
	contains(t, "the stream", stream, `"first":2`, "step 40", "event: end", "id: 42")
	lacks(t, "the stream", stream, "hello")
	select {
	case text := <-follower:
		contains(t, "the followed text", text, "hello", "step 1\n", "step 40\ndone\n")
	case <-ctx.Done():
		t.Fatal("the follower was not let go")
	}

	s.store(s.dir(pj)+"/build-log.txt", numbered(5000))
	s.store(s.dir(pj)+"/finished.json", `{"timestamp":1700000100,"passed":false,"result":"FAILURE","revision":"abc"}`)
	s.store(s.dir(pj)+"/started.json", `{"timestamp":1700000000,"repos":{"o/r":"main:123,7:abc"}}`)
	s.store(s.dir(pj)+"/artifacts/évil <img src=x onerror=alert(1)>.html", "<script>alert(1)</script>")
	if err := s.jobs.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	s.update(pj, func(pj *v1.ProwJob) {
		pj.Status.State, pj.Status.Description = v1.FailureState, "Job failed."
		pj.Status.CompletionTime = &metav1.Time{Time: time.Now()}
	})
	page = s.eventually(view, "Job failed.", "line number 5000")
	contains(t, "the page of a finished job", page.body, `id="L4001"`, "lines 4001–5000 of 5000", `data-complete="true"`, "build-log.txt")
	lacks(t, "the page of a finished job", page.body, `id="L4000"`, "<img")
	part := s.get(view + "?from=1000").body
	contains(t, "a part of the log", part, `id="L1000"`, `id="L1999"`, "Earlier", "Later")
	lacks(t, "a part of the log", part, `id="L999"`, `id="L2000"`)
	s.eventually("/log?job=unit&id=1001", "line number 1\n", "line number 5000\n")

	if err := s.jobs.Delete(t.Context(), pj); err != nil {
		t.Fatal(err)
	}
	s.eventually("/prowjobs.js", `{"items":[]}`)
	for _, path := range []string{view, "/run/run1", "/view/prowjob/unit/1001"} {
		contains(t, "the page of a run that has left the cluster, "+path, s.get(path).body, "Job failed.", "line number 5000", "o/r", "#7", `data-complete="true"`)
	}
	contains(t, "its log by job and id", s.get("/log?job=unit&id=1001").body, "line number 1\n", "line number 5000\n")
	if got := s.get("/view/file" + s.bucket + "/pr-logs/pull/o_r/7/unit/9999").StatusCode; got != 404 {
		t.Errorf("a run that never was: got %d", got)
	}
	// The alias of a presubmit leads to its run.
	s.store("pr-logs/directory/unit/1001.txt", "file://"+s.bucket+"/"+s.dir(pj))
	contains(t, "the page by the alias", s.get("/view/file"+s.bucket+"/pr-logs/directory/unit/1001").body, "<title>unit #1001", strings.TrimPrefix(view, "/view/"))
}

func TestArtifactsAreServedSafely(t *testing.T) {
	s := start(t, Options{}, "")
	run := "logs/nightly/12"
	s.store(run+"/finished.json", `{"timestamp":1,"passed":true,"result":"SUCCESS"}`)
	s.store(run+"/build-log.txt", numbered(10))
	s.store(run+"/artifacts/page.html", "<script>alert(1)</script>")
	s.store(run+"/artifacts/data.bin", "\x00\x01\x02")
	s.store("other/secret.txt", "secret")
	s.store("logs/nightly/123/build-log.txt", "another run")
	base := "/artifacts/file" + s.bucket + "/" + run

	a := s.get(base + "/artifacts/page.html")
	if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Security-Policy"), "sandbox;") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a page of a job: %s %v", a.Status, a.Header)
	}
	if a := s.get(base + "/artifacts/data.bin"); !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("data: %v", a.Header)
	}
	if a := s.get(base+"/build-log.txt", "Range", "bytes=5-10"); a.StatusCode != 206 || a.body != "number" {
		t.Errorf("a range: %s %q", a.Status, a.body)
	}
	if a := s.get("/view/file" + s.bucket + "/" + run); strings.Contains(a.body, "another run") || strings.Contains(a.body, "3/build-log") || !strings.Contains(a.body, "passed") {
		t.Errorf("the page of the run shows files of another run:\n%s", a.body)
	}
	for _, path := range []string{
		base + "/../../../other/secret.txt",
		base + "/..%2f..%2f..%2fother/secret.txt",
		base + "/%2e%2e/%2e%2e/%2e%2e/other/secret.txt",
		"/artifacts/file" + s.bucket + "/other/secret.txt",
		"/artifacts/file" + s.config,
		"/artifacts/file/etc/passwd",
		"/artifacts/file" + s.bucket + "/logs/nightly/12/../../../../config.yaml",
		"/artifacts/file" + s.bucket + "%2f..%2fconfig.yaml",
		"/view/file" + s.bucket + "/logs/..%2f..%2f..%2fetc/passwd",
		base + "/.attrs.build-log.txt",
		base + "/nul%00",
	} {
		a := s.get(path)
		if a.StatusCode == 307 { // a path that is not clean
			a = s.get(a.Header.Get("Location"))
		}
		if a.StatusCode < 400 || a.StatusCode >= 500 || a.body == "secret" || strings.Contains(a.body, "prowjob_namespace") || strings.Contains(a.body, "root:") {
			t.Errorf("GET %s: %s %.200q", path, a.Status, a.body)
		}
	}
	if got := s.do(http.MethodPost, base+"/build-log.txt").StatusCode; got != 405 {
		t.Errorf("POST: got %d", got)
	}
}

func TestHiddenRunsStayHiddenEverywhere(t *testing.T) {
	s := start(t, Options{}, `
periodics:
- {name: quiet, interval: 1h, hidden: true, agent: kubernetes, spec: {containers: [{image: i}]}}
`)
	for _, dir := range []string{"pr-logs/pull/o_secret/1/unit/5", "pr-logs/pull/secret-org_x/1/unit/5", "logs/quiet/6", "logs/by-file/7", "logs/by-repo/8"} {
		s.store(dir+"/build-log.txt", "top secret")
	}
	s.store("logs/by-file/7/prowjob.json", `{"spec":{"job":"by-file","hidden":true}}`)
	s.store("logs/by-repo/8/started.json", `{"timestamp":1,"repos":{"o/secret":"main"}}`)
	s.job("h", func(pj *v1.ProwJob) {
		pj.Spec.Hidden, pj.Status.BuildID, pj.Status.PodName, pj.Status.State = true, "9", "h", v1.SuccessState
		pj.Status.CompletionTime = &metav1.Time{Time: time.Now()}
	})
	s.store("pr-logs/pull/o_r/7/unit/9/build-log.txt", "top secret")
	s.job("seen", nil)
	s.eventually("/prowjobs.js", `"seen"`)
	for _, dir := range []string{"pr-logs/pull/o_secret/1/unit/5", "pr-logs/pull/secret-org_x/1/unit/5", "logs/quiet/6", "logs/by-file/7", "logs/by-repo/8", "pr-logs/pull/o_r/7/unit/9"} {
		for _, path := range []string{"/view/file" + s.bucket + "/" + dir, "/artifacts/file" + s.bucket + "/" + dir + "/build-log.txt"} {
			if a := s.get(path); a.StatusCode != 404 || strings.Contains(a.body, "top secret") {
				t.Errorf("GET %s: %s", path, a.Status)
			}
		}
	}
	if got := s.get("/log?job=unit&id=9").StatusCode; got != 404 {
		t.Errorf("/log: %d", got)
	}
	lacks(t, "the configuration", s.get("/config").body, "quiet")
}

func TestPagesAreSafe(t *testing.T) {
	s := start(t, Options{}, "")
	evil := `"><script>alert(1)</script>`
	s.job("evil", func(pj *v1.ProwJob) {
		pj.Spec.Job = "unit-x"
		pj.Spec.Refs.BaseRef = evil
		pj.Spec.Refs.Pulls[0].Title, pj.Spec.Refs.Pulls[0].Author = evil, evil
		pj.Spec.Refs.Pulls[0].Link = "javascript:alert(1)"
		pj.Status.Description = evil
	})
	for _, path := range []string{"/", "/run/evil", "/run/evil/rerun", "/run/evil/abort", "/?job=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"} {
		a := s.eventually(path, "</html>")
		lacks(t, path, a.body, "<script>alert", `href="javascript:`)
		csp := a.Header.Get("Content-Security-Policy")
		contains(t, "the policy of "+path, csp, "default-src 'none'", "script-src 'self'", "frame-ancestors 'none'")
		lacks(t, "the policy of "+path, csp, "unsafe")
		if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
	s.eventually("/", "unit-x")
	lacks(t, "a page under another host", s.get("/", "Host", "evil.example").body, "evil.example")
}

func TestBannerOfABadConfiguration(t *testing.T) {
	s := start(t, Options{}, "")
	lacks(t, "a page", s.get("/").body, "does not load")
	s.configure(`
periodics:
- {name: broken, interval: soon, agent: kubernetes, spec: {containers: [{image: i}]}}
`)
	for _, path := range []string{"/", "/tide", "/plugins", "/run/none"} {
		a := s.eventually(path, "does not load")
		contains(t, path, a.body, "config.yaml:", "broken", "interval")
	}
	families, err := s.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "deck_config_reload_failing" && f.GetMetric()[0].GetGauge().GetValue() != 1 {
			t.Error("the metric does not tell")
		}
	}
	s.configure("")
	deadline := time.Now().Add(20 * time.Second)
	for strings.Contains(s.get("/").body, "does not load") {
		if time.Now().After(deadline) {
			t.Fatal("the banner stays")
		}
	}
}
