package github

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	forge "prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/joblabels"
	"prow/internal/kube"
	"prow/internal/report"
)

// world is a running forge with one pull request, o/r#1, and a reporter.
type world struct {
	t        *testing.T
	api      string
	head     string
	base     string
	reporter *Reporter
	config   *config.Config
	jobs     client.Client
	bot      *forge.Client
	breaker  *breaker
	made     int
}

// breaker answers for a forge that is out of order.
type breaker struct {
	next http.RoundTripper

	mu sync.Mutex
	// answer, if set, decides per request: 0 lets it through.
	answer   func(*http.Request) (code int, body string)
	requests []string
}

func (b *breaker) RoundTrip(req *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.requests = append(b.requests, req.Method+" "+req.URL.Path)
	answer := b.answer
	b.mu.Unlock()
	if answer != nil {
		if code, body := answer(req); code != 0 {
			return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: req}, nil
		}
	}
	return b.next.RoundTrip(req)
}

func (b *breaker) breakWith(answer func(*http.Request) (int, string)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// count tells how many requests there were with the prefix, since the last count.
func (b *breaker) count(prefix string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	b.requests = nil
	return n
}

func newWorld(t *testing.T, configYAML string) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, breaker: &breaker{next: http.DefaultTransport}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	address := listener.Addr().String()
	f, err := local.Open(context.Background(), local.Options{Dir: t.TempDir(), BaseURL: "http://" + address, AnonymousRead: true})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = f.Serve(ctx, listener) })
	running.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = f.Close()
	})
	w.must(f.Apply(t.Context(), local.Seed{
		Users:  []local.User{{Login: "dev"}, {Login: "bot", Bot: true}},
		Orgs:   []local.SeedOrg{{Org: local.Org{Login: "o"}, Members: map[string]string{"dev": "admin", "bot": "admin"}}},
		Repos:  []local.SeedRepo{{Repo: local.Repo{Owner: "o", Name: "r"}}},
		Tokens: []local.SeedToken{{Login: "dev", Token: "dev-token"}, {Login: "bot", Token: "bot-token"}},
	}))
	w.api = f.APIURL()
	w.push("http://dev:dev-token@" + address + "/o/r")
	w.bot, err = forge.NewClient(forge.ClientOptions{
		Endpoints: []string{w.api}, GraphQLEndpoint: f.GraphQLURL(), UserAgent: "crier/test", Transport: w.breaker,
		Token: func() (string, error) { return "bot-token", nil }, Retry: forge.RetryPolicy{MaxRetries: 2, Max404Retries: -1, InitialDelay: time.Millisecond},
	})
	w.must(err)
	opts := config.DefaultOptions()
	opts.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	w.must(os.WriteFile(opts.ConfigPath, []byte(configYAML), 0o600))
	w.config, err = config.Load(t.Context(), opts)
	w.must(err)
	scheme, err := kube.NewScheme()
	w.must(err)
	builder := fake.NewClientBuilder().WithScheme(scheme)
	w.must(report.AddIndex(t.Context(), indexer{builder}))
	w.jobs = builder.Build()
	w.reporter = &Reporter{
		Forge: w.bot, Checks: w.bot, Config: func() *config.Config { return w.config }, Jobs: w.jobs, Whole: w.jobs, Log: slog.New(slog.DiscardHandler),
	}
	return w
}

// indexer gives the fake client the indexes of the cache.
type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.builder.WithIndex(object, field, extract)
	return nil
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// push makes the branches and the pull request.
func (w *world) push(url string) {
	dir := w.t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-c", "user.name=dev", "-c", "user.email=dev@localhost", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("clone", "-q", url, ".")
	git("commit", "-q", "--allow-empty", "-m", "first")
	w.base = git("rev-parse", "HEAD")
	git("push", "-q", url, "HEAD:main")
	git("checkout", "-q", "-b", "change")
	git("commit", "-q", "--allow-empty", "-m", "second")
	w.head = git("rev-parse", "HEAD")
	git("push", "-q", url, "change")
	req, err := http.NewRequest(http.MethodPost, w.api+"/repos/o/r/pulls", strings.NewReader(`{"title":"t","head":"change","base":"main"}`))
	w.must(err)
	req.Header.Set("Authorization", "Bearer dev-token")
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		w.t.Fatalf("the pull request is refused: %s", resp.Status)
	}
}

// job makes a ProwJob, each a second younger than the one before.
func (w *world) job(context string, state prowv1.ProwJobState) *prowv1.ProwJob {
	w.t.Helper()
	w.made++
	j := ended(context, state)
	j.Name, j.Namespace, j.UID = fmt.Sprintf("job-%d", w.made), "prow", types.UID(fmt.Sprintf("uid-%d", w.made))
	j.Spec.Refs.BaseSHA, j.Spec.Refs.Pulls[0].SHA = w.base, w.head
	j.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, w.made, 0, time.UTC))
	j.Status.StartTime, j.Status.BuildID = j.CreationTimestamp, fmt.Sprint(w.made)
	j.Status.URL = fmt.Sprintf("https://prow/%s/%d", context, w.made)
	j.Status.Description = "It is " + string(state) + "."
	j.Labels, _ = joblabels.For(j.Spec, j.Labels, nil)
	w.finish(j, state)
	w.must(w.jobs.Create(w.t.Context(), j))
	return j
}

func (w *world) finish(j *prowv1.ProwJob, state prowv1.ProwJobState) {
	j.Status.State, j.Status.CompletionTime = state, nil
	if state != prowv1.PendingState && state != prowv1.TriggeredState {
		done := metav1.NewTime(j.CreationTimestamp.Add(time.Minute))
		j.Status.CompletionTime = &done
	}
}

// becomes moves a job to another state.
func (w *world) becomes(j *prowv1.ProwJob, state prowv1.ProwJobState) *prowv1.ProwJob {
	w.t.Helper()
	w.finish(j, state)
	w.must(w.jobs.Update(w.t.Context(), j))
	return j
}

func (w *world) report(j *prowv1.ProwJob) error {
	_, _, err := w.reporter.Report(w.t.Context(), j.DeepCopy())
	return err
}

// statuses are the newest statuses of the head, as context:state.
func (w *world) statuses() string {
	w.t.Helper()
	combined, err := w.bot.GetCombinedStatus(w.t.Context(), "o", "r", w.head)
	w.must(err)
	var out []string
	for _, s := range combined.Statuses {
		out = append(out, s.Context+":"+s.State)
	}
	return strings.Join(out, ",")
}

func (w *world) comments() []forge.IssueComment {
	w.t.Helper()
	comments, err := w.bot.ListIssueComments(w.t.Context(), "o", "r", 1)
	w.must(err)
	return comments
}

func (w *world) rows() string {
	w.t.Helper()
	var contexts []string
	for _, c := range w.comments() {
		for _, r := range tableRows(c.Body) {
			contexts = append(contexts, firstCell(r))
		}
	}
	return strings.Join(contexts, ",")
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestProbe23AnErrorIsAStatusAndAFailureARowThatALaterSuccessTakesAway(t *testing.T) {
	w := newWorld(t, "")
	w.must(w.report(w.job("lint", prowv1.ErrorState)))
	w.want("statuses", w.statuses(), "lint:error")
	if c := w.comments(); len(c) != 0 {
		t.Errorf("an error is commented: %s", c[0].Body)
	}
	failed := w.job("unit", prowv1.FailureState)
	w.must(w.report(failed))
	c := w.comments()
	if len(c) != 1 || !strings.Contains(c[0].Body, "unit | "+w.head+" | [link](https://prow/unit/2) | false | `/test unit`") && !strings.Contains(c[0].Body, "| true |") || !strings.HasSuffix(c[0].Body, commentTag) {
		t.Fatalf("comments %+v", c)
	}
	w.must(w.report(w.job("unit", prowv1.SuccessState)))
	if c := w.comments(); len(c) != 0 {
		t.Errorf("the comment stays: %s", c[0].Body)
	}
}

func TestProbe25ACommitThatTakesNoStatusIsNotTriedAgain(t *testing.T) {
	for name, answer := range map[string]struct {
		code int
		body string
		gone bool
	}{
		"unknown repository":      {404, `{"message":"Not Found"}`, true},
		"unknown commit":          {422, `{"message":"No commit found for SHA: abc"}`, true},
		"too many statuses":       {422, `{"message":"Validation Failed","errors":[{"message":"This SHA and context has reached the maximum number of statuses."}]}`, true},
		"something else is wrong": {422, `{"message":"Validation Failed"}`, false},
		"no permission":           {403, `{"message":"Resource not accessible by integration"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.breaker.breakWith(func(req *http.Request) (int, string) {
				if strings.Contains(req.URL.Path, "/statuses/") {
					return answer.code, answer.body
				}
				return 0, ""
			})
			if err := w.report(w.job("unit", prowv1.FailureState)); (err == nil) != answer.gone {
				t.Errorf("error %v", err)
			}
			if c := w.comments(); len(c) != 0 {
				t.Error("a comment follows a status that failed")
			}
		})
	}
}

func TestTheSameTextsFromCommentsAreTriedAgain(t *testing.T) {
	w := newWorld(t, "")
	w.breaker.breakWith(func(req *http.Request) (int, string) {
		if strings.Contains(req.URL.Path, "/comments") {
			return 404, `{"message":"Not Found"}`
		}
		return 0, ""
	})
	if err := w.report(w.job("unit", prowv1.FailureState)); err == nil {
		t.Error("a comment that is refused counts as reported")
	}
}

func TestRefusalsThatLastAreThePersonsToMend(t *testing.T) {
	w := newWorld(t, "")
	j := w.job("unit", prowv1.FailureState)
	for name, tc := range map[string]struct {
		code   int
		body   string
		person bool
	}{
		"a locked conversation":    {403, `{"message":"Unable to create comment because issue is locked."}`, true},
		"an issue that is deleted": {410, `{"message":"This issue was deleted"}`, true},
		"no permission, for now":   {403, `{"message":"Resource not accessible by integration"}`, false},
		"an outage":                {502, "", false},
	} {
		w.breaker.breakWith(func(req *http.Request) (int, string) {
			if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/comments") {
				return tc.code, tc.body
			}
			return 0, ""
		})
		if err := w.report(j); err == nil || report.IsUserError(err) != tc.person {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProbe26ASummaryWaitsForAllJobs(t *testing.T) {
	w := newWorld(t, "github_reporter: {summary_comment_repos: [o/r]}")
	running, done := w.job("e2e", prowv1.PendingState), w.job("unit", prowv1.SuccessState)
	w.must(w.report(done))
	if c := w.comments(); len(c) != 0 {
		t.Fatalf("a summary while a job runs: %s", c[0].Body)
	}
	w.must(w.report(w.becomes(running, prowv1.SuccessState)))
	c := w.comments()
	if len(c) != 1 || !strings.Contains(c[0].Body, "passed") {
		t.Fatalf("comments %+v", c)
	}
	w.must(w.report(done))
	if again := w.comments(); len(again) != 1 || again[0].ID != c[0].ID {
		t.Errorf("the summary is told again: %+v", again)
	}
	w.must(w.report(w.job("e2e", prowv1.AbortedState)))
	if c := w.comments(); len(c) != 0 {
		t.Errorf("a summary with an aborted job: %s", c[0].Body)
	}
}

func TestRepositoriesMayWantNoComments(t *testing.T) {
	w := newWorld(t, "github_reporter: {no_comment_repos: [o]}")
	w.must(w.report(w.job("unit", prowv1.FailureState)))
	w.want("statuses", w.statuses(), "unit:failure")
	if c := w.comments(); len(c) != 0 {
		t.Error("a comment")
	}
}

func TestTheReportTemplateIsRendered(t *testing.T) {
	w := newWorld(t, "plank: {report_templates: {'*': 'no', o/r: 'Logs of {{.Spec.Job}} on {{(index .Spec.Refs.Pulls 0).Number}}.'}}")
	w.must(w.report(w.job("unit", prowv1.FailureState)))
	if c := w.comments(); len(c) != 1 || !strings.Contains(c[0].Body, "\n\nLogs of unit on 1.\n") {
		t.Errorf("comments %+v", c)
	}
}

func TestTheNewestRunHasTheLastWord(t *testing.T) {
	w := newWorld(t, "")
	older := w.job("unit", prowv1.PendingState)
	newer := w.job("unit", prowv1.PendingState)
	w.must(w.report(older))
	w.want("before", w.statuses(), "")
	w.must(w.report(w.becomes(newer, prowv1.SuccessState)))
	w.must(w.report(w.becomes(older, prowv1.FailureState)))
	w.want("statuses", w.statuses(), "unit:success")
	w.want("rows", w.rows(), "")
}

// TestAForgeThatIsDownForLong answers 403 and 502 in turn for as many attempts as
// ten minutes have, and heals.
func TestAForgeThatIsDownForLong(t *testing.T) {
	w := newWorld(t, "")
	jobs := []*prowv1.ProwJob{w.job("a", prowv1.FailureState), w.job("b", prowv1.SuccessState), w.job("c", prowv1.PendingState), w.job("a", prowv1.FailureState)}
	turn := 0
	w.breaker.breakWith(func(*http.Request) (int, string) {
		turn++
		if turn%2 == 0 {
			return 403, `{"message":"You have exceeded a secondary rate limit."}`
		}
		return 502, "bad gateway"
	})
	for range 10 {
		for _, j := range jobs {
			if err := w.report(j); err == nil && j != jobs[0] { // a newer run speaks for the first
				t.Fatalf("%s counts as reported while the forge is down", j.Name)
			}
		}
	}
	w.becomes(jobs[2], prowv1.SuccessState)
	// It heals step by step: first statuses, then comments, then deletions.
	for _, broken := range []string{"/comments", "DELETE", "nothing"} {
		w.breaker.breakWith(func(req *http.Request) (int, string) {
			if strings.Contains(req.Method+" "+req.URL.Path, broken) {
				return 502, "bad gateway"
			}
			return 0, ""
		})
		for _, j := range jobs {
			_ = w.report(j)
		}
	}
	w.breaker.count("")
	for _, j := range jobs {
		w.must(w.report(j))
	}
	w.want("rows", w.rows(), "a")
	if got := w.statuses(); !strings.Contains(got, "a:failure") || !strings.Contains(got, "b:success") || !strings.Contains(got, "c:success") {
		t.Errorf("statuses %s", got)
	}
	if c := w.comments(); len(c) != 1 || !strings.Contains(c[0].Body, "https://prow/a/4") {
		t.Errorf("comments %+v, want one about the newest run", c)
	}
	if n := w.breaker.count("POST /api/v3/repos/o/r/issues"); n != 0 {
		t.Errorf("%d comments are made anew", n)
	}
}

func TestStatusesOfPostsubmitsAreOnTheBase(t *testing.T) {
	w := newWorld(t, "")
	j := w.job("post", prowv1.SuccessState)
	j.Spec.Type, j.Spec.Refs.Pulls = prowv1.PostsubmitJob, nil
	w.must(w.report(j))
	combined, err := w.bot.GetCombinedStatus(t.Context(), "o", "r", w.base)
	if err != nil || len(combined.Statuses) != 1 || combined.Statuses[0].Context != "post" {
		t.Errorf("%+v, %v", combined, err)
	}
}

func TestProbe24ADescriptionEndsWithTheBaseCommit(t *testing.T) {
	w := newWorld(t, "")
	for _, text := range []string{"", "short", strings.Repeat("long ", 60), strings.Repeat("ü", 90)} {
		j := w.job("unit", prowv1.SuccessState)
		j.Status.Description = text
		w.must(w.report(j))
		combined, err := w.bot.GetCombinedStatus(t.Context(), "o", "r", w.head)
		w.must(err)
		if got := combined.Statuses[0].Description; len(got) > 140 || !strings.HasSuffix(got, " BaseSHA:"+w.base) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	}
}

func TestWhatIsReported(t *testing.T) {
	base := ended("unit", prowv1.SuccessState)
	for name, tc := range map[string]struct {
		change func(*prowv1.ProwJob)
		agent  prowv1.ProwJobAgent
		want   bool
	}{
		"a presubmit":                        {func(*prowv1.ProwJob) {}, "", true},
		"a postsubmit":                       {func(j *prowv1.ProwJob) { j.Spec.Type = prowv1.PostsubmitJob }, "", true},
		"a hidden job":                       {func(j *prowv1.ProwJob) { j.Spec.Hidden = true }, "", true},
		"an optional job":                    {func(j *prowv1.ProwJob) { j.Labels = map[string]string{prowv1.IsOptionalLabel: "true"} }, "", true},
		"no batch":                           {func(j *prowv1.ProwJob) { j.Spec.Type = prowv1.BatchJob }, "", false},
		"no periodic":                        {func(j *prowv1.ProwJob) { j.Spec.Type = prowv1.PeriodicJob }, "", false},
		"no job that does not report":        {func(j *prowv1.ProwJob) { j.Spec.Report = false }, "", false},
		"no job of Gerrit":                   {func(j *prowv1.ProwJob) { j.Labels = map[string]string{prowv1.GerritReportLabel: "x"} }, "", false},
		"a job with an empty Gerrit label":   {func(j *prowv1.ProwJob) { j.Labels = map[string]string{prowv1.GerritReportLabel: ""} }, "", true},
		"no job that waits for its cluster":  {func(j *prowv1.ProwJob) { j.Status.State = prowv1.SchedulingState }, "", false},
		"a job of the chosen agent":          {func(j *prowv1.ProwJob) { j.Spec.Agent = "kubernetes" }, "kubernetes", true},
		"no job of another than that agent":  {func(j *prowv1.ProwJob) { j.Spec.Agent = "jenkins" }, "kubernetes", false},
		"no job without refs, which is none": {func(j *prowv1.ProwJob) { j.Spec.Refs = nil }, "", false},
	} {
		j := base.DeepCopy()
		tc.change(j)
		if got := (&Reporter{Agent: tc.agent}).ShouldReport(t.Context(), j); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestCheckRuns(t *testing.T) {
	w := newWorld(t, "github_reporter: {check_run_repos: [o/r]}")
	var failures []Failure
	for i := range 120 {
		failures = append(failures, Failure{Test: fmt.Sprintf("Test%d", i), File: "a_test.go", Line: i + 1, Message: "boom"})
	}
	w.reporter.Failures = func(context.Context, *prowv1.ProwJob) ([]Failure, error) { return failures, nil }
	runs := func() []forge.CheckRun {
		t.Helper()
		runs, err := w.bot.ListCheckRunsNamed(t.Context(), "o", "r", w.head, "unit")
		w.must(err)
		return runs
	}
	j := w.job("unit", prowv1.TriggeredState)
	for _, step := range []struct {
		state                   prowv1.ProwJobState
		wantStatus, wantVerdict string
	}{{prowv1.TriggeredState, "queued", ""}, {prowv1.PendingState, "in_progress", ""}, {prowv1.FailureState, "completed", "failure"}, {prowv1.FailureState, "completed", "failure"}} {
		w.must(w.report(w.becomes(j, step.state)))
		got := runs()
		if len(got) != 1 || got[0].Status != step.wantStatus || got[0].Conclusion != step.wantVerdict || got[0].ExternalID != j.Name || got[0].DetailsURL != j.Status.URL {
			t.Fatalf("%s: %+v", step.state, got)
		}
	}
	got := runs()[0]
	if got.Output.AnnotationsCount != maxAnnotations {
		t.Errorf("%d annotations, want %d, each once", got.Output.AnnotationsCount, maxAnnotations)
	}
	if !strings.Contains(got.Output.Summary, "120 tests failed") || !strings.Contains(got.Output.Summary, "- and 70 more") || !strings.Contains(got.Output.Summary, "`/test unit`") {
		t.Errorf("summary %s", got.Output.Summary)
	}
	w.want("statuses", w.statuses(), "")
	w.want("rows", w.rows(), "unit")

	again := w.job("unit", prowv1.AbortedState)
	w.must(w.report(again))
	if got := runs(); len(got) != 2 || got[1].Conclusion != "cancelled" {
		t.Errorf("a second run of the job: %+v", got)
	}
}
