package deck

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "prow/api/prowjobs/v1"
)

const browserTests = "../../test/browser"

// needBrowser skips a test, loudly, where there is no browser.
func needBrowser(t *testing.T) {
	t.Helper()
	if os.Getenv("PROW_TEST_BROWSER") == "" {
		t.Skip("NOT TESTED IN A BROWSER: that takes minutes; run `make test-browser`")
	}
	if _, err := os.Stat(filepath.Join(browserTests, "node_modules", "playwright-core")); err != nil {
		t.Skip("NOT TESTED IN A BROWSER: run `make test-browser`, which installs playwright-core")
	}
}

// browse runs files of test/browser with variables for their environment. BROWSER_TEST
// chooses a file, BROWSER_PATTERN tests by their names.
func browse(t *testing.T, env []string, files ...string) {
	t.Helper()
	shots := os.Getenv("SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	args := []string{"--test", "--test-reporter=spec", "--test-concurrency=1", "--test-name-pattern=" + cmp.Or(os.Getenv("BROWSER_PATTERN"), ".")}
	for _, file := range files {
		if chosen := os.Getenv("BROWSER_TEST"); chosen == "" || chosen == file {
			args = append(args, filepath.Join(browserTests, file))
		}
	}
	if len(args) == 4 {
		t.Skip("BROWSER_TEST chooses another file")
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Env = append(append(os.Environ(), "SCREENSHOTS="+shots), env...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

// TestBrowser lets a real browser use the pages. It needs node, chromium and what
// `npm ci` installs in test/browser; `make test-browser` sees to it.
func TestBrowser(t *testing.T) {
	needBrowser(t)
	tide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/history" {
			fmt.Fprint(w, `{"o/r:main":[{"time":"2026-01-02T03:04:05Z","action":"MERGE","baseSHA":"0123456789abcdef","target":[{"number":3,"author":"ann","sha":"aaa","title":"Say hello"}],"tenantids":null},{"time":"2026-01-02T03:00:05Z","action":"MERGE","err":"pull request 2 has a conflict","target":[{"number":2,"author":"bob","sha":"bbb","title":"Rename things"}],"tenantids":null}]}`)
			return
		}
		fmt.Fprint(w, `[{"Org":"o","Repo":"r","Branch":"main","SuccessPRs":[{"Number":11,"Title":"Keep logs for a week"}],"PendingPRs":[{"Number":12,"Title":"Speed up the tests"}],"MissingPRs":[{"Number":13,"Title":"Bump the compiler"}],"Action":"MERGE","Target":[{"Number":10,"Title":"Fix the flaky upload"}],"Blockers":[],"TenantIDs":null,"ActionReason":{"Code":"proven","Sentence":"#10 passed every required job as it will be on the branch."},"Reasons":[{"Number":10,"State":"success","Code":"merged","Sentence":"It was merged."},{"Number":11,"State":"success","Code":"pooled","Sentence":"In merge pool."},{"Number":12,"State":"pending","Code":"in-trial","Sentence":"It is being tested together with #11.","Links":["https://prow.example/view/12"]},{"Number":13,"State":"pending","Code":"queued","Sentence":"It is number 3 of the queue and waits for a run."}],"Refused":[{"Number":14,"Title":"Rename things","State":"error","Code":"conflict","Sentence":"Not mergeable: it has a merge conflict."}]}]`)
	}))
	defer tide.Close()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"AllRepos":["o/r"],"RepoPlugins":{"":["hold","lgtm"],"o":["hold","lgtm"]},"RepoExternalPlugins":{"":[]},"PluginHelp":{"lgtm":{"Description":"Lets reviewers say that a change looks good.","Events":["issue_comment","pull_request"],"Commands":[{"Usage":"/lgtm [cancel]","Featured":true,"Description":"Adds or removes the label lgtm.","Examples":["/lgtm","/lgtm cancel"],"WhoCanUse":"Reviewers of the changed files."}]},"hold":{"Description":"Keeps a pull request from being merged.","Events":["issue_comment"],"Commands":[{"Usage":"/hold [cancel]","Featured":false,"Description":"Adds or removes the label do-not-merge/hold.","Examples":["/hold","/unhold"],"WhoCanUse":"Anyone."}],"Snippet":"plugins:\n  o:\n    plugins: [hold]\n"}}}`)
	}))
	defer hook.Close()
	s := start(t, Options{TideURL: tide.URL, HookURL: hook.URL}, `
tide:
  queries:
  - {repos: [o/r], labels: [lgtm, approved], missingLabels: [do-not-merge/hold]}
`)
	now := time.Now().Truncate(time.Second)
	ended := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }
	for i, state := range []v1.ProwJobState{v1.SuccessState, v1.FailureState, v1.AbortedState, v1.ErrorState, v1.TriggeredState, v1.SuccessState, v1.SuccessState} {
		pj := s.job(fmt.Sprintf("job-%d", i), func(pj *v1.ProwJob) {
			pj.Spec.Job = []string{"unit-tests", "integration", "lint", "publish-images", "verify-generated-code", "unit-tests", "docs"}[i]
			pj.Spec.Refs.Pulls[0].Number, pj.Spec.Refs.Pulls[0].Title = 10+i, "Make the upload of artifacts survive a restart of the node"
			pj.Status.StartTime = metav1.NewTime(now.Add(-time.Duration(i+1) * 17 * time.Minute))
			pj.Status.State, pj.Status.BuildID = state, fmt.Sprint(1986001001000+i)
			pj.Status.Description = map[v1.ProwJobState]string{v1.SuccessState: "Job succeeded.", v1.FailureState: "Job failed.", v1.AbortedState: "Aborted by trigger plugin.", v1.ErrorState: "Pod cannot be made: no such image.", v1.TriggeredState: ""}[state]
			if i == 6 {
				pj.Spec.Type, pj.Spec.Refs.Pulls = v1.PostsubmitJob, nil
			}
			if state != v1.TriggeredState {
				pj.Status.CompletionTime = ended(-time.Duration(i) * 17 * time.Minute)
			}
		})
		if state == v1.FailureState {
			text := "Cloning o/r\n\x1b[32m=== RUN\x1b[0m   TestUpload\n\x1b[31m--- FAIL: TestUpload (0.02s)\x1b[0m\n    upload_test.go:41: got 3 files, \x1b[1mwant 4\x1b[0m\nhttps://example.com/<script>\n" + numbered(3000)
			s.store(s.dir(pj)+"/build-log.txt", text)
			s.store(s.dir(pj)+"/started.json", "{}")
			s.store(s.dir(pj)+"/artifacts/junit_01.xml", "<testsuite/>")
			s.store(s.dir(pj)+"/artifacts/coverage/index.html", "<h1>Coverage</h1>")
		}
	}
	running := s.job("running", func(pj *v1.ProwJob) {
		pj.Status.State, pj.Status.PodName, pj.Status.BuildID, pj.Status.PendingTime = v1.PendingState, "running", "42", ended(0)
		pj.Status.Description = "Job is running."
	})
	s.runPod(running, `for i in $(seq 1 3000); do echo "step $i of a long job"; sleep 0.2; done`)
	s.eventually(s.view(running), "step 3 of")
	s.eventually("/tide", "Fix the flaky upload")

	for i := 1; i <= 30; i++ {
		s.storeBuild(fmt.Sprintf("logs/nightly/%d", 1000+i), now.Unix()-int64(31-i)*3600, []string{"SUCCESS", "SUCCESS", "FAILURE", "ABORTED"}[i%4], nil)
	}
	s.store("logs/nightly/latest-build.txt", "1030")
	browse(t, append(logFixtures(s), "DECK_URL="+s.url, "RUNNING="+s.view(running), "FAILED="+s.view(failed(s)), "JOB_HISTORY=/job-history/file"+s.bucket+"/logs/nightly", "CONFIG="+s.config), "pages.test.js", "log.test.js")
}

func failed(s *site) *v1.ProwJob {
	return &v1.ProwJob{Spec: v1.ProwJobSpec{
		Type: v1.PresubmitJob, Job: "integration", Refs: &v1.Refs{Org: "o", Repo: "r", Pulls: []v1.Pull{{Number: 11}}},
		DecorationConfig: &v1.DecorationConfig{GCSConfiguration: &v1.GCSConfiguration{Bucket: "file://" + s.bucket, PathStrategy: v1.PathStrategyExplicit}},
	}, Status: v1.ProwJobStatus{BuildID: "1986001001001"}}
}
