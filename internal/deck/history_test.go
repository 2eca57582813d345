package deck

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
	"prow/internal/storage/providers"
)

const evil = `<script>alert(1)</script>"'&`

// storeBuild writes the files of a build that ended, unless result is empty.
func (s *site) storeBuild(dir string, started int64, result string, spec *v1.ProwJobSpec) {
	s.t.Helper()
	s.store(dir+"/started.json", fmt.Sprintf(`{"timestamp":%d}`, started))
	if result != "" {
		s.store(dir+"/finished.json", fmt.Sprintf(`{"timestamp":%d,"result":%q,"passed":%t,"revision":%q}`, started+65, result, result == "SUCCESS", strings.Repeat("c", 40)))
	}
	if spec != nil {
		raw, err := json.Marshal(v1.ProwJob{Spec: *spec})
		if err != nil {
			s.t.Fatal(err)
		}
		s.store(dir+"/prowjob.json", string(raw))
	}
}

// builds are the ids on a page of a history, in order.
func builds(body string) (out []string) {
	for _, part := range strings.Split(body, `data-build="`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		out = append(out, id)
	}
	return out
}

func TestProbe32JobHistory(t *testing.T) {
	s := start(t, Options{}, "")
	s.job("any", nil)
	for i := 1; i <= 45; i++ {
		result := "SUCCESS"
		if i%5 == 0 {
			result = "FAILURE"
		}
		if i == 45 {
			result = ""
		}
		s.storeBuild(fmt.Sprintf("logs/nightly/%d", 1000+i), 1700000000+int64(i)*3600, result, nil)
	}
	s.store("logs/nightly/latest-build.txt", "1045")
	s.store("logs/nightly/not-a-build/started.json", "{}")
	s.store("logs/nightly/01/started.json", "{}")
	history := "/job-history/file" + s.bucket + "/logs/nightly"
	page := s.get(history)
	ids := builds(page.body)
	if page.StatusCode != http.StatusOK || len(ids) != 20 || ids[0] != "1045" || ids[19] != "1026" || page.Header.Get("Cache-Control") == "" {
		t.Fatalf("%s: %v", page.Status, ids)
	}
	contains(t, "the newest page", page.body, `href="?buildId=1025"`, `<svg viewBox`, "20 of 45 builds", "<b>84%</b>", "(16 of 19)", "1m05s", `class="bar s-failed"`, "view/file"+s.bucket+"/logs/nightly/1045", "running")
	lacks(t, "the newest page", page.body, "Newer", "Latest")
	next := s.get(history + "?buildId=1025")
	if ids := builds(next.body); len(ids) != 20 || ids[0] != "1025" || ids[19] != "1006" {
		t.Errorf("%v", ids)
	}
	contains(t, "the next page", next.body, `href="?buildId=1045"`, `href="?buildId="`, `href="?buildId=1005"`)
	if ids := builds(s.get(history + "?buildId=999999").body); ids[0] != "1045" {
		t.Errorf("a build of the future: %v", ids)
	}
	for query, code := range map[string]int{"-1": 400, "0": 400, "x": 400, "1e3": 400, "": 200, "99999999999999999999999": 400} {
		if got := s.get(history + "?buildId=" + query); got.StatusCode != code {
			t.Errorf("buildId=%s: %s", query, got.Status)
		}
	}
	t.Run("what has ended is not read again until it changes", func(t *testing.T) {
		if err := os.Remove(filepath.Join(s.bucket, "logs/nightly/1044/started.json")); err != nil {
			t.Fatal(err)
		}
		if body := s.get(history).body; strings.Count(body, ">unknown<") != 0 {
			t.Error("a finished build was read again")
		}
		s.store("logs/nightly/1044/finished.json", `{"timestamp":1,"result":"FAILURE"}`)
		if body := s.get(history).body; !strings.Contains(body, "unknown") {
			t.Error("a changed build was not read again")
		}
	})
	t.Run("a history without note of its newest build", func(t *testing.T) {
		s.store("prefix/logs/nightly/7/started.json", `{"timestamp":1700000000}`)
		if ids := builds(s.get("/job-history/file" + s.bucket + "/prefix/logs/nightly").body); len(ids) != 1 || ids[0] != "7" {
			t.Errorf("%v", ids)
		}
	})
	for path, code := range map[string]int{
		"/job-history/file" + s.bucket + "/logs/none": 404, "/job-history/file" + s.bucket + "/logs": 403, "/job-history/": 403, "/job-history/b": 403,
		"/job-history/file/etc/logs/x": 403, "/job-history/file" + s.bucket + "/logs/..%2f..": 403, "/job-history/file" + s.bucket + "/logs/%2e%2e/logs/nightly": 403,
		"/job-history/file" + s.bucket + "/artifacts/nightly": 403, "/job-history/file" + s.bucket + "/logs/nightly/1044": 403,
	} {
		if got := s.get(path); got.StatusCode != code && got.StatusCode != http.StatusMovedPermanently && got.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

func TestHistoryOfPresubmitsFollowsAliasesOnlyToThemselves(t *testing.T) {
	s := start(t, Options{}, "")
	root := "pr-logs/directory/unit"
	alias := func(build, target string) { s.store(root+"/"+build+".txt", target) }
	s.storeBuild("pr-logs/pull/o_r/7/unit/105", 1700000000, "SUCCESS", &v1.ProwJobSpec{Job: "unit", Type: v1.PresubmitJob, Refs: &v1.Refs{Org: "o", Repo: "r", Pulls: []v1.Pull{{Number: 7, Author: evil, Title: evil, SHA: strings.Repeat("a", 40)}}}})
	s.storeBuild("pr-logs/pull/o_r/7/other/104", 1700000000, "FAILURE", nil)
	alias("105", "file://"+s.bucket+"/pr-logs/pull/o_r/7/unit/105\n")
	alias("104", "file://"+s.bucket+"/pr-logs/pull/o_r/7/other/104")
	alias("103", "file:///etc/passwd")
	alias("102", "file://"+s.bucket+"/pr-logs/pull/o_r/7/unit/105")
	alias("101", strings.Repeat("x", 5000))
	alias("100", "gs://other/pr-logs/pull/o_r/7/unit/100")
	s.store(root+"/latest-build.txt", "105")
	got := s.get("/job-history/file" + s.bucket + "/" + root)
	if ids := builds(got.body); len(ids) != 6 || ids[0] != "105" {
		t.Fatalf("%s %v: %s", got.Status, ids, got.body)
	}
	if links := strings.Count(got.body, "view/file"); links != 1 {
		t.Errorf("%d links: %s", links, got.body)
	}
	contains(t, "the page", got.body, "pr-logs/pull/o_r/7/unit/105", "&lt;script&gt;", "#7")
	lacks(t, "the page", got.body, "<script>alert", "passwd", "failed")
}

func TestProbe32BucketsAndAliases(t *testing.T) {
	s := start(t, Options{}, deckWith("skip_storage_path_validation: false\n  spyglass: {bucket_aliases: {short: real}}"))
	for _, path := range []string{"/job-history/evil/logs/j", "/job-history/gs/evil/logs/j", "/job-history/s3/evil/logs/j", "/job-history/short/logs/j"} {
		if got := s.get(path); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	cfg := watchConfig(t, deckWith("spyglass: {bucket_aliases: {short: b}}")).Get()
	for _, path := range []string{"b/logs/j", "gs/b/logs/j", "gcs/b/logs/j", "short/logs/j", "gs/short/logs/j/"} {
		got, err := parseHistoryRoot(cfg, path)
		if err != nil || got.provider != "gs" || got.bucket != "b" || got.key != "logs/j" || got.job != "j" || got.aliases {
			t.Errorf("%s: %+v %v", path, got, err)
		}
	}
	if got, err := parseHistoryRoot(cfg, "s3/b/pr-logs/directory/j"); err != nil || got.provider != "s3" || !got.aliases {
		t.Errorf("%+v %v", got, err)
	}
}

func TestProbe34PullHistory(t *testing.T) {
	s := start(t, Options{}, "\npresubmits:\n  o/r:\n  - {name: unit, spec: {containers: [{name: test, image: x}]}}\n  o/secret:\n  - {name: murky, spec: {containers: [{name: test, image: x}]}}\n")
	refs := func(org, repo string) *v1.ProwJobSpec {
		return &v1.ProwJobSpec{Job: "x", Type: v1.PresubmitJob, Refs: &v1.Refs{Org: org, Repo: repo, Pulls: []v1.Pull{{Number: 7}}}}
	}
	s.storeBuild("pr-logs/pull/o_r/7/unit/105", 1700000000, "SUCCESS", refs("o", "r"))
	s.storeBuild("pr-logs/pull/o_r/7/lint/104", 1700000000, "FAILURE", refs("o", "r"))
	s.storeBuild("pr-logs/pull/o_r/7/in-repo/103", 1700000000, "ABORTED", nil)
	s.storeBuild("pr-logs/pull/o_r/7/another/102", 1700000000, "SUCCESS", refs("o_r", "x"))
	hidden := refs("o", "r")
	hidden.Hidden = true
	s.storeBuild("pr-logs/pull/o_r/7/concealed/101", 1700000000, "SUCCESS", hidden)
	s.storeBuild("pr-logs/pull/o_secret/7/murky/100", 1700000000, "SUCCESS", nil)
	for _, path := range []string{"/pr-history/?org=o&repo=r&pr=7", "/pr-history?org=o&repo=r&pr=7"} {
		got := s.get(path)
		if got.StatusCode != http.StatusOK || strings.Count(got.body, `scope="colgroup"`) != 1 {
			t.Errorf("%s: %s", path, got.body)
		}
		contains(t, path, got.body, ">ccccccc</a>", "http://forge.example/o/r/commit/"+strings.Repeat("c", 40), "http://forge.example/o/r/pull/7",
			"view/file"+s.bucket+"/pr-logs/pull/o_r/7/unit/105", "view/file"+s.bucket+"/pr-logs/pull/o_r/7/lint/104", "in-repo", "job-history/file"+s.bucket+"/pr-logs/directory/unit", "1/2 passed", "s-aborted")
		lacks(t, path, got.body, "concealed", "another")
	}
	for query, code := range map[string]int{
		"?org=o&repo=r&pr=x": 400, "?org=o&repo=r": 400, "?repo=r&pr=7": 400, "?org=o&repo=r&pr=-7": 400, "?org=..&repo=r&pr=7": 400, "?org=o&repo=../../logs&pr=7": 400,
		"?org=o%2f..&repo=r&pr=7": 400, "?org=o&repo=secret&pr=7": 404, "?org=secret-org&repo=x&pr=7": 404, "?org=o&repo=r&pr=8": 200,
	} {
		if got := s.get("/pr-history/" + query); got.StatusCode != code || strings.Contains(got.body, "murky") {
			t.Errorf("%s: %s", query, got.Status)
		}
	}
}

func TestHistoriesShowOnlyWhatMayBeSeen(t *testing.T) {
	jobs := "\nperiodics:\n- {name: murky, interval: 1h, hidden: true, spec: {containers: [{name: test, image: x}]}}\n"
	for name, test := range map[string]struct {
		options Options
		dark    int
		mixed   []string
	}{
		"plain":     {Options{}, 404, []string{"4", "1"}},
		"hidden":    {Options{ShowHidden: true}, 200, []string{"4", "2", "1"}},
		"only":      {Options{HiddenOnly: true}, 200, []string{"2"}},
		"of tenant": {Options{TenantIDs: []string{"t"}}, 404, []string{"3"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, test.options, jobs)
			s.storeBuild("logs/murky/1", 1700000000, "SUCCESS", nil)
			s.storeBuild("logs/mixed/1", 1700000000, "SUCCESS", &v1.ProwJobSpec{Job: "mixed"})
			s.storeBuild("logs/mixed/2", 1700000000, "SUCCESS", &v1.ProwJobSpec{Job: "mixed", Hidden: true})
			s.storeBuild("logs/mixed/3", 1700000000, "SUCCESS", &v1.ProwJobSpec{Job: "mixed", ProwJobDefault: &v1.ProwJobDefault{TenantID: "t"}})
			s.storeBuild("logs/mixed/4", 1700000000, "SUCCESS", &v1.ProwJobSpec{Job: "mixed"})
			if got := s.get("/job-history/file" + s.bucket + "/logs/murky"); got.StatusCode != test.dark {
				t.Errorf("the hidden job: %s", got.Status)
			}
			if ids := builds(s.get("/job-history/file" + s.bucket + "/logs/mixed").body); strings.Join(ids, " ") != strings.Join(test.mixed, " ") {
				t.Errorf("%v", ids)
			}
		})
	}
}

func TestProbe17ConfiguredJobs(t *testing.T) {
	var many strings.Builder
	for i := range 11 {
		fmt.Fprintf(&many, "  many/r%02d:\n  - {name: j%d, spec: {containers: [{name: test, image: x}]}}\n", i, i)
	}
	s := start(t, Options{}, `
presubmits:
  a/b.c:
  - {name: unit, spec: {containers: [{name: test, image: 'x</pre><script>alert(1)</script>'}]}}
  a/murky:
  - {name: murky, hidden: true, spec: {containers: [{name: test, image: x}]}}
  o/secret:
  - {name: secret-job, spec: {containers: [{name: test, image: x}]}}
  https://foo-review.abc/bar:
  - {name: gerrit, spec: {containers: [{name: test, image: x}]}}
`+many.String()+`
postsubmits:
  a/b.c:
  - {name: publish, spec: {containers: [{name: test, image: x}]}}
periodics:
- {name: nightly, interval: 1h, extra_refs: [{org: a, repo: b.c, base_ref: main}], spec: {containers: [{name: test, image: x}]}}
tide:
  queries:
  - {repos: [q/only-tide, secret-org/x]}
`)
	for path, code := range map[string]int{"/configured-jobs/a/b/c": 404, "/configured-jobs/a/none": 404, "/configured-jobs/none": 404, "/configured-jobs/secret-org": 404, "/configured-jobs/o": 404, "/configured-jobs/a/murky": 404, "/configured-jobs/": 200, "/configured-jobs": 200, "/configured-jobs/a/": 200} {
		if got := s.get(path); got.StatusCode != code || strings.Contains(got.body, "murky") && code != 404 || strings.Contains(got.body, "secret") && code != 404 {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
	if got := s.do(http.MethodPost, "/configured-jobs/", "Origin", s.url); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%s", got.Status)
	}
	index := s.get("/configured-jobs/").body
	contains(t, "the index", index, "configured-jobs/a/b.c", "configured-jobs/q/only-tide", "configured-jobs/https:%2F%2Ffoo-review.abc/bar", "many")
	lacks(t, "the index", index, "publish")
	repo := s.get("/configured-jobs/a/b.c").body
	for _, job := range []string{"unit", "publish", "nightly"} {
		contains(t, "the repository", repo, ">"+job+"<")
	}
	contains(t, "the repository", repo, "job-history/file"+s.bucket+"/pr-logs/directory/unit", "job-history/file"+s.bucket+"/logs/publish", "job-history/file"+s.bucket+"/logs/nightly", "&lt;script&gt;")
	lacks(t, "the repository", repo, "<script>alert")
	contains(t, "the repository on Gerrit", s.get("/configured-jobs/https:%2F%2Ffoo-review.abc/bar").body, ">gerrit<")
	big := s.get("/configured-jobs/many").body
	contains(t, "an org with 11 repositories", big, "r10")
	lacks(t, "an org with 11 repositories", big, "j10", "History")
}

func TestProbes15And16Links(t *testing.T) {
	s := start(t, Options{}, "\npresubmits:\n  https://foo-review.abc/bar:\n  - {name: g, spec: {containers: [{name: test, image: x}]}}\n")
	gerrit := "repo='https://foo-review.abc/bar'&"
	for path, want := range map[string]string{
		"/github-link?dest=o/r":                                         "https://github.com/o/r",
		"/github-link?dest=//evil.example":                              "https://github.com/evil.example",
		"/github-link?dest=@evil.example/x":                             "https://github.com/@evil.example/x",
		"/github-link?dest=.evil.example":                               "https://github.com/.evil.example",
		"/git-provider-link?target=pr&repo=o/r&number=2":                "https://github.com/o/r/pull/2",
		"/git-provider-link?target=pr&repo='o/r'&number=2":              "https://github.com/o/r/pull/2",
		"/git-provider-link?target=commit&repo=o/r&commit=abc":          "https://github.com/o/r/commit/abc",
		"/git-provider-link?target=prcommit&repo=o/r&number=2&commit=c": "https://github.com/o/r/pull/2/c",
		"/git-provider-link?target=branch&repo=o/r&branch=a/b":          "https://github.com/o/r/tree/a/b",
		"/git-provider-link?target=author&repo=o/r&author=ann":          "https://github.com/ann",
		"/git-provider-link?" + gerrit + "target=pr&number=2":           "https://foo-review.abc/c/bar/+/2",
		"/git-provider-link?" + gerrit + "target=commit&commit=abc123":  "https://foo.abc/bar/+/abc123",
		"/git-provider-link?" + gerrit + "target=prcommit&commit=abc":   "https://foo.abc/bar/+/abc",
		"/git-provider-link?" + gerrit + "target=branch&branch=main":    "https://foo.abc/bar/+/refs/heads/main",
		"/git-provider-link?" + gerrit + "target=invalid":               "/",
		"/git-provider-link?target=invalid&repo=o/r":                    "/",
		"/git-provider-link?target=pr&repo=\\\\evil.example&number=2":   "https://github.com/%5C%5Cevil.example/pull/2",
		"/git-provider-link?target=author&author=//evil.example":        "https://github.com/%2F%2Fevil.example",
		"/git-provider-link?target=pr&repo=//evil.example&number=1":     "https://github.com/evil.example/pull/1",
	} {
		if got := s.get(path); got.StatusCode != http.StatusFound || got.Header.Get("Location") != want {
			t.Errorf("%s: %s %q", path, got.Status, got.Header.Get("Location"))
		}
	}
	for _, repo := range []string{"https://evil.example/x", "https://foo-review.abc@evil.example/x", "https://foo-review.abc.evil.example/x", "https://evil.example/foo-review.abc"} {
		if got := s.get("/git-provider-link?target=pr&number=1&repo=" + repo); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s to %q", repo, got.Status, got.Header.Get("Location"))
		}
	}
	s = start(t, Options{AllowInsecure: true}, "")
	if got := s.get("/github-link?dest=o/r"); got.Header.Get("Location") != "http://github.com/o/r" {
		t.Errorf("%q", got.Header.Get("Location"))
	}
}

func TestTheRunLeadsToItsHistories(t *testing.T) {
	s := start(t, Options{}, "")
	s.job("p", func(pj *v1.ProwJob) { pj.Status.BuildID = "105" })
	s.eventually("/prowjobs.js", `"p"`)
	contains(t, "the run", s.get("/run/p").body, "job-history/file"+s.bucket+"/pr-logs/directory/unit", "pr-history/?org=o&amp;pr=7&amp;repo=r")
	s.storeBuild("logs/nightly/9", time.Now().Unix()-100, "SUCCESS", nil)
	contains(t, "a run that the cluster has forgotten", s.get("/view/file"+s.bucket+"/logs/nightly/9").body, `job-history/file`+s.bucket+`/logs/nightly"`)
}

// slowBucket lists one page, and never the next.
type slowBucket struct{ storage.Bucket }

func (b slowBucket) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	if o.Token != "" {
		<-ctx.Done()
		return storage.Page{}, ctx.Err()
	}
	o.Limit = 5
	return b.Bucket.List(ctx, o)
}

func TestProbe33ASlowListing(t *testing.T) {
	dir := t.TempDir()
	opener := providers.New(providers.Credentials{})
	bucket, err := opener.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	for i := 1; i <= 9; i++ {
		if err := bucket.Put(t.Context(), fmt.Sprintf("logs/j/%d/started.json", i), strings.NewReader("{}"), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ids, more, err := listBuilds(ctx, slowBucket{bucket}, "logs/j", "/")
	if err != nil || !more || len(ids) != 5 {
		t.Errorf("%v %v %v", ids, more, err)
	}
	if ids, more, err := listBuilds(t.Context(), bucket, "logs/j", "/"); err != nil || more || len(ids) != 9 {
		t.Errorf("%v %v %v", ids, more, err)
	}
}

func TestHostileNamesInHistories(t *testing.T) {
	s := start(t, Options{}, "")
	const job = `<img src=x onerror=alert(1)>"'&`
	name := url.PathEscape(job)
	s.storeBuild("logs/"+job+"/1", 1700000000, "<b>odd</b>", nil)
	s.storeBuild("logs/"+job+"/2", -1<<62, "SUCCESS", &v1.ProwJobSpec{Job: job, Refs: &v1.Refs{BaseRef: evil, Pulls: []v1.Pull{{Title: evil, Author: evil}}}})
	s.store("logs/"+job+"/3/started.json", `{"timestamp":"soon"}`)
	s.store("logs/"+job+"/4/started.json", `{"timestamp":1}`)
	s.store("logs/"+job+"/4/finished.json", `{"timestamp":9223372036854775807,"revision":"`+strings.Repeat("<", 10)+`"}`)
	s.storeBuild("pr-logs/pull/o_r/7/"+job+"/1", 1700000000, "FAILURE", nil)
	for path, want := range map[string]string{
		"/job-history/file" + s.bucket + "/logs/" + name: `data-build="4"`,
		"/pr-history/?org=o&repo=r&pr=7":                 "ccccccc",
		"/view/file" + s.bucket + "/logs/" + name + "/2": "History of this job",
	} {
		got := s.get(path)
		if got.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, got.Status)
		}
		contains(t, path, got.body, want, "&lt;img src=x")
		lacks(t, path, got.body, "<img", "<script>alert", "<b>odd", "<<<")
	}
}
