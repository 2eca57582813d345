package gerrit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/gerrit"
	"prow/internal/joblabels"
	"prow/internal/kube"
	"prow/internal/report"
	"prow/internal/secret"
)

// server behaves as Gerrit's REST API does, for one change.
type server struct {
	t  *testing.T
	mu sync.Mutex
	// status of the change; "" is a change that is gone.
	status    string
	revisions []string
	messages  []string
	votes     []string
	// refuseVotes answers as for an account that may not vote.
	refuseVotes bool
	broken      bool
	requests    int
}

const changeID = "team/app~main~I123"

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if c, err := r.Cookie("o"); err != nil || c.Value != "git-user=token" || r.Header.Get("User-Agent") != "prow prow/crier" {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/a/changes/team%2Fapp~main~I123")
	switch {
	case s.broken:
		http.Error(w, "bad gateway", http.StatusBadGateway)
	case !ok || s.status == "":
		http.Error(w, "Not found", http.StatusNotFound)
	case path == "" && r.Method == http.MethodGet:
		s.change(w, r)
	case strings.HasSuffix(path, "/review") && r.Method == http.MethodPost:
		s.review(w, r, strings.TrimSuffix(strings.TrimPrefix(path, "/revisions/"), "/review"))
	default:
		http.Error(w, "Not found", http.StatusNotFound)
	}
}

func (s *server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = w.Write([]byte(")]}'\n"))
	_ = json.NewEncoder(w).Encode(v)
}

func (s *server) change(w http.ResponseWriter, r *http.Request) {
	out := map[string]any{"id": changeID, "_number": 7, "status": s.status}
	if options := r.URL.Query()["o"]; slices.Contains(options, "ALL_REVISIONS") {
		revisions := map[string]any{}
		for i, sha := range s.revisions {
			revisions[sha] = map[string]any{"_number": i + 1}
		}
		out["revisions"] = revisions
		if slices.Contains(options, "MESSAGES") {
			var messages []map[string]any
			for _, m := range s.messages {
				messages = append(messages, map[string]any{"message": m})
			}
			out["messages"] = messages
		}
	}
	s.answer(w, out)
}

func (s *server) review(w http.ResponseWriter, r *http.Request, revision string) {
	var in struct {
		Message string         `json:"message"`
		Labels  map[string]int `json:"labels"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !slices.Contains(s.revisions, revision) {
		http.Error(w, "Not found: "+revision, http.StatusNotFound)
		return
	}
	if s.refuseVotes && len(in.Labels) > 0 {
		http.Error(w, "Applying label is restricted", http.StatusForbidden)
		return
	}
	votes := fmt.Sprint(in.Labels)
	s.messages = append(s.messages, "Patch Set 1: "+votes+"\n\n"+strings.TrimSpace(in.Message))
	s.votes = append(s.votes, votes)
	s.answer(w, map[string]any{"labels": in.Labels})
}

// world is a Gerrit, a cluster and the reporter.
type world struct {
	*server
	url  string
	jobs client.Client
	r    *Reporter
	made int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{server: &server{t: t, status: forge.StatusNew, revisions: []string{"rev1", "rev2"}}}
	ts := httptest.NewServer(w.server)
	t.Cleanup(ts.Close)
	w.url = ts.URL
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme)
	if err := report.AddIndex(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	w.jobs = builder.Build()
	record := report.Record{Reporter: Name, Whole: w.jobs, Jobs: w.jobs}
	w.r = &Reporter{
		Forge: forge.NewClient(forge.Options{
			Instances: func() []string { return []string{ts.URL} }, Component: "crier",
			Cookie: func() secret.Value {
				return secret.New(forge.CookieFromFile("host\tTRUE\t/\tTRUE\t1\to\tgit-user=token\n"))
			},
		}),
		Jobs: w.jobs, Whole: w.jobs, Log: slog.New(slog.DiscardHandler),
		Mark: func(ctx context.Context, j *prowv1.ProwJob) error { return record.Write(ctx, j, "") },
	}
	return w
}

type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.builder.WithIndex(object, field, extract)
	return nil
}

// job makes a job of the change; label nil sets no report label.
func (w *world) job(name string, state prowv1.ProwJobState, label *string, change ...func(*prowv1.ProwJob)) *prowv1.ProwJob {
	w.t.Helper()
	w.made++
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Job: name, Report: true,
		Refs: &prowv1.Refs{Org: w.url, Repo: "team/app", Pulls: []prowv1.Pull{{Number: 7, SHA: "rev1"}}},
	}}
	labels := map[string]string{prowv1.GerritRevisionLabel: "rev1", prowv1.GerritPatchsetLabel: "1"}
	if label != nil {
		labels[prowv1.GerritReportLabel] = *label
	}
	j.Name, j.Namespace, j.UID = fmt.Sprintf("job-%d", w.made), "prow", types.UID(fmt.Sprint(w.made))
	j.CreationTimestamp = metav1.NewTime(time.Unix(int64(1000+w.made), 0))
	j.Status.State, j.Status.URL = state, fmt.Sprintf("https://prow/%d", w.made)
	for _, f := range change {
		f(j)
	}
	j.Labels, j.Annotations = joblabels.For(j.Spec, labels, map[string]string{prowv1.GerritIDAnnotation: changeID, prowv1.GerritInstanceAnnotation: w.url})
	for _, f := range change {
		f(j)
	}
	if err := w.jobs.Create(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
	return j
}

func (w *world) becomes(j *prowv1.ProwJob, state prowv1.ProwJobState) *prowv1.ProwJob {
	w.t.Helper()
	j.Status.State = state
	if err := w.jobs.Update(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
	return j
}

// look does what the loop does with a job.
func (w *world) look(j *prowv1.ProwJob) error {
	var now prowv1.ProwJob
	if err := w.jobs.Get(w.t.Context(), client.ObjectKeyFromObject(j), &now); err != nil {
		return err
	}
	if now.Status.PrevReportStates[Name] == now.Status.State || !w.r.ShouldReport(w.t.Context(), &now) {
		return nil
	}
	_, _, err := w.r.Report(w.t.Context(), &now)
	return err
}

func (w *world) marked(j *prowv1.ProwJob) prowv1.ProwJobState {
	w.t.Helper()
	var now prowv1.ProwJob
	if err := w.jobs.Get(w.t.Context(), client.ObjectKeyFromObject(j), &now); err != nil {
		w.t.Fatal(err)
	}
	return now.Status.PrevReportStates[Name]
}

func (w *world) want(votes ...string) {
	w.t.Helper()
	if !slices.Equal(w.votes, votes) {
		w.t.Errorf("votes %q, want %q; messages %q", w.votes, votes, w.messages)
	}
}

func ptr(s string) *string { return &s }

func TestProbe27JobsOfOneLabelAreOneReview(t *testing.T) {
	w := newWorld(t)
	label := ptr("Verified")
	unit, e2e := w.job("unit", prowv1.SuccessState, label), w.job("e2e", prowv1.PendingState, label)
	if err := w.look(unit); err != nil {
		t.Fatal(err)
	}
	w.want()
	w.becomes(e2e, prowv1.FailureState)
	for range 2 {
		for _, j := range []*prowv1.ProwJob{unit, e2e} {
			if err := w.look(j); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.want("map[Verified:-1]")
	if w.marked(unit) != prowv1.SuccessState || w.marked(e2e) != prowv1.FailureState {
		t.Errorf("marked %s, %s", w.marked(unit), w.marked(e2e))
	}
	if r, _, ok := forge.ParseReport(w.messages[0]); !ok || len(r.Jobs) != 2 || r.Jobs[0].Job != "e2e" {
		t.Errorf("report %+v", r)
	}
}

func TestProbe27AMergedChangeIsNotVotedDown(t *testing.T) {
	w := newWorld(t)
	w.status = forge.StatusMerged
	if err := w.look(w.job("unit", prowv1.FailureState, ptr("Verified"))); err != nil {
		t.Fatal(err)
	}
	w.want("map[Verified:0]")
}

func TestProbe27AnEmptyLabelIsAReviewWithoutAVoteAtOnce(t *testing.T) {
	w := newWorld(t)
	w.job("e2e", prowv1.PendingState, ptr(""))
	if err := w.look(w.job("unit", prowv1.FailureState, ptr(""))); err != nil {
		t.Fatal(err)
	}
	w.want("map[]")
	// Without the label at all the vote is on Code-Review.
	if err := w.look(w.job("lint", prowv1.SuccessState, nil)); err != nil {
		t.Fatal(err)
	}
	w.want("map[]", "map[Code-Review:1]")
}

func TestVotes(t *testing.T) {
	states := func(s ...prowv1.ProwJobState) (out []forge.JobReport) {
		for _, state := range s {
			out = append(out, forge.JobReport{State: state})
		}
		return out
	}
	for name, tc := range map[string]struct {
		told   []forge.JobReport
		typ    prowv1.ProwJobType
		merged bool
		want   string
	}{
		"all succeeded":                  {states("success", "success"), "presubmit", false, "+1"},
		"all succeeded, after the merge": {states("success"), "presubmit", true, "+1"},
		"a failure":                      {states("success", "failure"), "presubmit", false, "-1"},
		"an error":                       {states("error"), "presubmit", false, "-1"},
		"a failure after the merge":      {states("failure"), "presubmit", true, "0"},
		"a failure of a postsubmit":      {states("failure"), "postsubmit", false, "0"},
		"an aborted job has no verdict":  {states("success", "aborted"), "presubmit", false, "0"},
		"a failure beside an abortion":   {states("failure", "aborted"), "presubmit", false, "-1"},
	} {
		if got := decideVote(tc.told, tc.typ, tc.merged); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestWhatIsNotReported(t *testing.T) {
	w := newWorld(t)
	label := ptr("Verified")
	newPatchset := func(j *prowv1.ProwJob) {
		if j.Labels != nil {
			j.Labels[prowv1.GerritRevisionLabel], j.Labels[prowv1.GerritPatchsetLabel] = "rev2", "2"
		}
	}
	old := w.job("unit", prowv1.SuccessState, label)
	if !w.r.ShouldReport(t.Context(), old) {
		t.Error("a job alone is not reported")
	}
	w.job("unit", prowv1.AbortedState, label)
	if w.r.ShouldReport(t.Context(), old) {
		t.Error("a run is reported that has a newer one")
	}
	lint := w.job("lint", prowv1.SuccessState, label)
	w.job("e2e", prowv1.PendingState, label, newPatchset)
	if w.r.ShouldReport(t.Context(), lint) {
		t.Error("a job of an older patch set is reported")
	}
	for name, change := range map[string]func(*prowv1.ProwJob){
		"running":     func(j *prowv1.ProwJob) { j.Status.State = prowv1.PendingState },
		"scheduling":  func(j *prowv1.ProwJob) { j.Status.State = prowv1.SchedulingState },
		"aborted":     func(j *prowv1.ProwJob) { j.Status.State = prowv1.AbortedState },
		"silent":      func(j *prowv1.ProwJob) { j.Spec.Report = false },
		"no id":       func(j *prowv1.ProwJob) { delete(j.Annotations, prowv1.GerritIDAnnotation) },
		"no instance": func(j *prowv1.ProwJob) { delete(j.Annotations, prowv1.GerritInstanceAnnotation) },
		"no revision": func(j *prowv1.ProwJob) { delete(j.Labels, prowv1.GerritRevisionLabel) },
	} {
		j := w.job("other", prowv1.SuccessState, ptr(""))
		change(j)
		if w.r.ShouldReport(t.Context(), j) {
			t.Errorf("%s is reported", name)
		}
	}
}

func TestAnAbortedJobLetsTheOthersBeTold(t *testing.T) {
	w := newWorld(t)
	label := ptr("Verified")
	unit, e2e := w.job("unit", prowv1.SuccessState, label), w.job("e2e", prowv1.PendingState, label)
	_ = w.look(unit)
	w.becomes(e2e, prowv1.AbortedState)
	related := w.r.Related(t.Context(), e2e)
	if len(related) != 1 || related[0].Name != unit.Name {
		t.Fatalf("to be looked at again: %v", related)
	}
	if err := w.look(unit); err != nil {
		t.Fatal(err)
	}
	w.want("map[Verified:0]")
	if w.marked(e2e) != "" {
		t.Error("the aborted job is marked")
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	j := w.job("unit", prowv1.FailureState, ptr("Verified"))
	w.broken = true
	for range 3 {
		if err := w.look(j); err == nil {
			t.Fatal("a Gerrit that is down counts as told")
		}
	}
	w.broken, w.refuseVotes = false, true
	if err := w.look(j); err != nil {
		t.Fatal(err)
	}
	w.want("map[]")
	if !strings.Contains(w.messages[0], "[NOTE FROM PROW: the vote") {
		t.Errorf("message %s", w.messages[0])
	}
	w.refuseVotes, w.revisions = false, []string{"rev2"}
	if err := w.look(w.job("lint", prowv1.FailureState, ptr("Lint"))); err != nil {
		t.Errorf("a revision that is gone: %v", err)
	}
	w.status = ""
	if err := w.look(w.job("docs", prowv1.FailureState, ptr("Docs"))); err != nil {
		t.Errorf("a change that is gone: %v", err)
	}
	w.want("map[]")
}

func TestACrashBeforeTheRecordTellsNothingTwice(t *testing.T) {
	w := newWorld(t)
	j := w.job("unit", prowv1.FailureState, ptr("Verified"))
	mark := w.r.Mark
	w.r.Mark = func(context.Context, *prowv1.ProwJob) error { return fmt.Errorf("killed") }
	_ = w.look(j)
	w.r.Mark = mark
	if err := w.look(j); err != nil {
		t.Fatal(err)
	}
	w.want("map[Verified:-1]")
	if w.marked(j) != prowv1.FailureState {
		t.Error("it is not marked")
	}
}

func TestTheCookieGoesToConfiguredInstancesOnly(t *testing.T) {
	w := newWorld(t)
	before := w.requests
	other := httptest.NewServer(w.server)
	defer other.Close()
	if _, err := w.r.Forge.GetChange(t.Context(), other.URL, changeID); err == nil || w.requests != before {
		t.Errorf("error %v, %d requests", err, w.requests-before)
	}
}

func TestWorkersTellAboutAChangeOnce(t *testing.T) {
	w := newWorld(t)
	label := ptr("Verified")
	jobs := []*prowv1.ProwJob{w.job("a", "success", label), w.job("b", "success", label), w.job("c", "success", label)}
	var running sync.WaitGroup
	for _, j := range jobs {
		running.Go(func() {
			if err := w.look(j); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	w.want("map[Verified:1]")
}
