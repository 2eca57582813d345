package refresh

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/plugins/plugintest"
	"prow/internal/report"
)

var began = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// job is a presubmit's run on o/r#1 that began so many minutes after the others.
func job(name, run, sha string, state prowv1.ProwJobState, minute int) prowv1.ProwJob {
	pj := prowv1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: run, Namespace: "ns", CreationTimestamp: metav1.NewTime(began.Add(time.Duration(minute) * time.Minute))},
		Spec: prowv1.ProwJobSpec{
			Type: prowv1.PresubmitJob, Job: name, Context: "ci/" + name, Report: true, RerunCommand: "/test " + name,
			Refs: &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", BaseSHA: strings.Repeat("b", 40), Pulls: []prowv1.Pull{{Number: 1, SHA: sha, Author: "eve"}}},
		},
		Status: prowv1.ProwJobStatus{State: state, Description: "It is " + string(state) + ".", URL: "https://prow.example.com/" + run},
	}
	if state != prowv1.PendingState {
		pj.Status.CompletionTime = &metav1.Time{Time: began.Add(time.Hour)}
	}
	return pj
}

func TestTheNewestRunsOfTheHeadAreChosen(t *testing.T) {
	with := func(pj prowv1.ProwJob, change func(*prowv1.ProwJob)) prowv1.ProwJob {
		change(&pj)
		return pj
	}
	var got []string
	for _, pj := range choose([]prowv1.ProwJob{
		job("b", "older", "head", prowv1.FailureState, 1), job("b", "newer", "head", prowv1.SuccessState, 2), job("a", "other", "head", prowv1.SuccessState, 1),
		job("a", "of-old-head", "old", prowv1.SuccessState, 5),
		with(job("quiet", "quiet", "head", prowv1.SuccessState, 1), func(pj *prowv1.ProwJob) { pj.Spec.Report = false }),
		with(job("batch", "batch", "head", prowv1.SuccessState, 1), func(pj *prowv1.ProwJob) { pj.Spec.Type = prowv1.BatchJob }),
	}, "head") {
		got = append(got, pj.Name)
	}
	if strings.Join(got, " ") != "other newer" {
		t.Error(got)
	}
}

func TestOnlyJobsOfThePullRequestAreKept(t *testing.T) {
	p := pull{"o", "r", 1}
	mine := job("a", "a", "head", prowv1.SuccessState, 1)
	if !p.has(&mine) {
		t.Error("its own job is not kept")
	}
	for name, change := range map[string]func(*prowv1.Refs){
		"another org":     func(r *prowv1.Refs) { r.Org = "x" },
		"another repo":    func(r *prowv1.Refs) { r.Repo = "x" },
		"another number":  func(r *prowv1.Refs) { r.Pulls[0].Number = 2 },
		"no pull request": func(r *prowv1.Refs) { r.Pulls = nil },
		"a batch":         func(r *prowv1.Refs) { r.Pulls = append(r.Pulls, r.Pulls[0]) },
	} {
		pj := job("a", "a", "head", prowv1.SuccessState, 1)
		change(pj.Spec.Refs)
		if p.has(&pj) {
			t.Errorf("%s is kept", name)
		}
	}
	if p.has(&prowv1.ProwJob{}) {
		t.Error("a periodic job is kept")
	}
}

func TestListsAreRead(t *testing.T) {
	all := func(*prowv1.ProwJob) bool { return true }
	for text, want := range map[string]int{
		`{"items":[]}`: 0, `{"kind":"x","items":[{"metadata":{"name":"a"}},{}],"more":{"items":[{}]}}`: 2, `{}`: 0,
		``: -1, `[]`: -1, `{"items":{}}`: -1, `{"items":[{}`: -1, `{"items":[1]}`: -1, `<html>`: -1, `{"items":[]`: -1,
	} {
		jobs, err := readJobs(strings.NewReader(text), all)
		if (err != nil) != (want < 0) || err == nil && len(jobs) != want {
			t.Errorf("%q: %d jobs, %v", text, len(jobs), err)
		}
	}
}

func TestTheReaderAnswersAsTheClusterWould(t *testing.T) {
	other := job("c", "c", "head", prowv1.SuccessState, 1)
	other.Spec.Refs.Pulls[0].Number = 2
	r := reader{job("a", "a", "head", prowv1.SuccessState, 1), job("b", "b", "head", prowv1.SuccessState, 1), other}
	same, err := report.SameSubject(t.Context(), r, &r[0])
	if err != nil || len(same) != 2 {
		t.Errorf("%d jobs, %v", len(same), err)
	}
	var list prowv1.ProwJobList
	if err := r.List(t.Context(), &list, client.InNamespace("elsewhere")); err != nil || len(list.Items) != 0 {
		t.Errorf("%d jobs, %v", len(list.Items), err)
	}
	var pj prowv1.ProwJob
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "b"}, &pj); err != nil || pj.Spec.Job != "b" {
		t.Errorf("%s, %v", pj.Spec.Job, err)
	}
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "x"}, &pj); !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	if err := errors.Join(r.Get(t.Context(), client.ObjectKey{}, &corev1.Pod{}), r.List(t.Context(), &corev1.PodList{})); !errors.Is(err, errUnsupported) {
		t.Error(err)
	}
}

// serve is a deck with jobs; asked counts its requests.
func serve(t *testing.T, jobs func() []prowv1.ProwJob, asked *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/prowjobs.js" || r.URL.Query().Get("org") != "o" || r.URL.Query().Get("repo") != "r" {
			http.NotFound(w, r)
			return
		}
		if err := json.NewEncoder(w).Encode(prowv1.ProwJobList{Items: jobs()}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestProbe39_JobsAreReportedAgain(t *testing.T) {
	t.Parallel()
	var jobs []prowv1.ProwJob
	var asked atomic.Int64
	p := newPlugin(serve(t, func() []prowv1.ProwJob { return jobs }, &asked)+"/", &http.Client{})
	w := plugintest.New(t, plugintest.Options{Plugin: p.describe()})
	old := w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	head := w.Push("change", map[string]string{"x": "z"})
	elsewhere := job("elsewhere", "elsewhere", head, prowv1.SuccessState, 1)
	elsewhere.Spec.Refs.Repo = "other"
	jobs = []prowv1.ProwJob{
		job("good", "good", head, prowv1.SuccessState, 1), job("bad", "bad-old", head, prowv1.SuccessState, 1), job("bad", "bad", head, prowv1.FailureState, 2),
		job("waits", "waits", head, prowv1.PendingState, 1), job("was", "was", old, prowv1.FailureState, 1), elsewhere, {},
	}
	if n != 1 {
		t.Fatal(n)
	}
	w.Comment("eve", n, "Please\r\n/refresh\r\n")
	suffix := strings.Repeat("b", 40)
	got := w.Statuses(head)
	for context, want := range map[string]string{"ci/good": "success: It is success.", "ci/bad": "failure: It is failure.", "ci/waits": "pending: It is pending."} {
		if !strings.HasPrefix(got[context], want) || !strings.HasSuffix(got[context], suffix) {
			t.Errorf("%s: %q", context, got[context])
		}
	}
	if len(got) != 3 || len(w.Statuses(old)) != 0 {
		t.Errorf("statuses %q, of the old head %q", got, w.Statuses(old))
	}
	w.WantComments(n, "https://prow.example.com/bad")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "https://prow.example.com/bad")
	before := asked.Load()
	w.Comment("eve", n, "refresh\n/refreshed")
	w.CloseIssue("eve", n)
	w.Comment("eve", n, "/refresh")
	if asked.Load() != before {
		t.Error("deck is asked for nothing")
	}
}

func TestADeckThatIsOutOfOrderIsAnError(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) }))
	t.Cleanup(s.Close)
	w := plugintest.New(t, plugintest.Options{Plugin: newPlugin(s.URL, &http.Client{}).describe()})
	head := w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.Comment("eve", n, "/refresh")
	if err := w.Errors(); err == nil || !strings.Contains(err.Error(), "502 Bad Gateway") {
		t.Error(err)
	}
	w.WantComments(n)
	w.WantStatuses(head, map[string]string{})
}

func TestTheAddressOfDeckIsNeeded(t *testing.T) {
	for address, want := range map[string]bool{"https://prow.example.com": true, "http://deck/prow": true, "": false, "prow.example.com": false, "ftp://x": false, "http://": false} {
		o := &Options{ProwURL: address}
		err := o.Validate()
		if got := err == nil || !strings.Contains(err.Error(), "--prow-url"); got != want {
			t.Errorf("%q: %v", address, err)
		}
	}
}
