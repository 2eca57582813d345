package report

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	prowv1 "prow/api/prowjobs/v1"
)

// place is a reporter that tells what it is told to.
type place struct {
	told  []prowv1.ProwJobState
	err   error
	again time.Duration
	// before is called before the place is told.
	before func(*prowv1.ProwJob)
	refuse bool
}

func (p *place) Name() string                                       { return "place" }
func (p *place) ShouldReport(context.Context, *prowv1.ProwJob) bool { return !p.refuse }
func (p *place) Report(_ context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	if p.before != nil {
		p.before(job)
	}
	if p.err != nil || p.again > 0 {
		return nil, p.again, p.err
	}
	p.told = append(p.told, job.Status.State)
	return []*prowv1.ProwJob{job}, 0, nil
}

// loop is a reconciler with one job, n.
type loop struct {
	t     *testing.T
	place *place
	r     *Reconciler
	jobs  client.Client
	// stale, if set, is what the cache shows.
	stale    *prowv1.ProwJob
	registry *prometheus.Registry
	writes   int
	failing  error
}

func newLoop(t *testing.T) *loop {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := prowv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	l := &loop{t: t, place: &place{}, registry: prometheus.NewRegistry()}
	job := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: "n", Namespace: "ns"}, Spec: prowv1.ProwJobSpec{Refs: &prowv1.Refs{Org: "o", Repo: "r"}}}
	job.Status.State = prowv1.PendingState
	l.jobs = fake.NewClientBuilder().WithScheme(scheme).WithObjects(job).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if l.failing != nil {
				return l.failing
			}
			l.writes++
			return c.Patch(ctx, o, p, opts...)
		},
	}).Build()
	l.r = &Reconciler{
		Jobs: cached{l}, Whole: l.jobs, Reporter: l.place, Record: Record{Reporter: "place", Whole: l.jobs, Jobs: l.jobs},
		Now: func() time.Time { return time.Unix(100, 0) }, Log: slog.New(slog.DiscardHandler),
		Metrics: NewMetrics(l.registry),
	}
	return l
}

// cached reads what the cache shows.
type cached struct{ *loop }

func (c cached) Get(ctx context.Context, key client.ObjectKey, out client.Object, opts ...client.GetOption) error {
	if job, ok := out.(*prowv1.ProwJob); ok && c.stale != nil {
		*job = *c.stale.DeepCopy()
		return nil
	}
	return c.jobs.Get(ctx, key, out, opts...)
}

func (c cached) List(ctx context.Context, out client.ObjectList, opts ...client.ListOption) error {
	return c.jobs.List(ctx, out, opts...)
}

func (l *loop) reconcile() (reconcile.Result, error) {
	return l.r.Reconcile(l.t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "ns", Name: "n"}})
}

func (l *loop) get() *prowv1.ProwJob {
	l.t.Helper()
	var job prowv1.ProwJob
	if err := l.jobs.Get(l.t.Context(), client.ObjectKey{Namespace: "ns", Name: "n"}, &job); err != nil {
		l.t.Fatal(err)
	}
	return &job
}

func (l *loop) becomes(state prowv1.ProwJobState) {
	l.t.Helper()
	job := l.get()
	job.Status.State = state
	if state == prowv1.SuccessState {
		job.Status.CompletionTime = &metav1.Time{Time: time.Unix(40, 0)}
	}
	if err := l.jobs.Update(l.t.Context(), job); err != nil {
		l.t.Fatal(err)
	}
}

func (l *loop) want(told string, recorded prowv1.ProwJobState) {
	l.t.Helper()
	var got []string
	for _, s := range l.place.told {
		got = append(got, string(s))
	}
	if s := strings.Join(got, ","); s != told {
		l.t.Errorf("told %q, want %q", s, told)
	}
	if s := l.get().Status.PrevReportStates["place"]; s != recorded {
		l.t.Errorf("recorded %q, want %q", s, recorded)
	}
}

func (l *loop) count(result string) float64 {
	return testutil.ToFloat64(l.r.Metrics.results.WithLabelValues("place", result))
}

func TestEachStateIsToldOnce(t *testing.T) {
	l := newLoop(t)
	for range 3 {
		if _, err := l.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	l.want("pending", prowv1.PendingState)
	l.becomes(prowv1.SuccessState)
	for range 3 {
		if _, err := l.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	l.want("pending,success", prowv1.SuccessState)
	if l.writes != 2 || l.count("SUCCESS") != 2 || l.count("ERROR") != 0 {
		t.Errorf("%d writes, %v successes", l.writes, l.count("SUCCESS"))
	}
	if n := testutil.CollectAndCount(l.r.Metrics.latency); n != 1 {
		t.Errorf("%d latencies", n)
	}
}

func TestAStaleCacheTellsNothingTwice(t *testing.T) {
	l := newLoop(t)
	l.stale = l.get()
	for range 3 {
		if _, err := l.reconcile(); err != nil {
			t.Fatal(err)
		}
	}
	l.want("pending", prowv1.PendingState)
}

func TestAStateThatChangesMeanwhileIsToldNext(t *testing.T) {
	l := newLoop(t)
	l.place.before = func(*prowv1.ProwJob) { l.place.before = nil; l.becomes(prowv1.SuccessState) }
	_, _ = l.reconcile()
	l.want("pending", prowv1.PendingState)
	_, _ = l.reconcile()
	l.want("pending,success", prowv1.SuccessState)
}

func TestARecordThatIsLostIsWrittenLater(t *testing.T) {
	l := newLoop(t)
	l.failing = errors.New("the API server restarts")
	if _, err := l.reconcile(); err == nil {
		t.Error("no error, so nothing would look again")
	}
	l.want("pending", "")
	l.failing = nil
	_, _ = l.reconcile()
	l.want("pending,pending", prowv1.PendingState)
}

func TestErrorsAreTriedWithoutEnd(t *testing.T) {
	l := newLoop(t)
	l.place.err = errors.New("bad gateway")
	for range 50 {
		if _, err := l.reconcile(); err == nil {
			t.Fatal("given up")
		}
	}
	l.place.err = nil
	if _, err := l.reconcile(); err != nil {
		t.Error(err)
	}
	l.want("pending", prowv1.PendingState)
	if l.count("ERROR") != 50 {
		t.Errorf("%v errors", l.count("ERROR"))
	}
}

func TestWhatAPersonMustMendIsGivenUpWithTheReason(t *testing.T) {
	l := newLoop(t)
	l.place.err = UserError(errors.New("no such topic " + strings.Repeat("ü", 2000)))
	for i := range userErrorAttempts {
		if _, err := l.reconcile(); (err == nil) != (i == userErrorAttempts-1) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	l.want("", prowv1.PendingState)
	reason := l.get().Annotations[GivenUpAnnotation+"place"]
	if !strings.HasPrefix(reason, "pending: no such topic ") || len(reason) > maxReason || !strings.HasSuffix(reason, "ü") {
		t.Errorf("reason %.60q, %d bytes", reason, len(reason))
	}
	_, _ = l.reconcile()
	l.place.err = nil
	l.becomes(prowv1.SuccessState)
	_, _ = l.reconcile()
	l.want("success", prowv1.SuccessState)
	if reason, ok := l.get().Annotations[GivenUpAnnotation+"place"]; ok {
		t.Errorf("the reason stays: %s", reason)
	}
}

func TestDryRunNeitherTellsNorRecords(t *testing.T) {
	l := newLoop(t)
	l.r.DryRun = true
	_, _ = l.reconcile()
	l.want("", "")
	if l.writes != 0 {
		t.Error("a write")
	}
}

func TestADelayRecordsNothing(t *testing.T) {
	l := newLoop(t)
	l.place.again = time.Minute
	if result, err := l.reconcile(); err != nil || result.RequeueAfter != time.Minute {
		t.Errorf("%+v, %v", result, err)
	}
	l.want("", "")
}

func TestARefusedJobIsLookedAtAgain(t *testing.T) {
	l := newLoop(t)
	l.place.refuse = true
	_, _ = l.reconcile()
	l.want("", "")
	l.place.refuse = false
	_, _ = l.reconcile()
	l.want("pending", prowv1.PendingState)
}

func TestAJobThatIsGoneIsDone(t *testing.T) {
	l := newLoop(t)
	l.stale = l.get()
	if err := l.jobs.Delete(t.Context(), l.get()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.reconcile(); err != nil {
		t.Error(err)
	}
	if len(l.place.told) != 0 {
		t.Error("told")
	}
}

func TestEnablement(t *testing.T) {
	a, b := prowv1.Refs{Org: "o", Repo: "a"}, prowv1.Refs{Org: "o", Repo: "b"}
	onlyA := func(org, repo string) bool { return repo == "a" }
	for name, tc := range map[string]struct {
		spec    prowv1.ProwJobSpec
		enabled func(org, repo string) bool
		want    bool
	}{
		"no refs":                            {prowv1.ProwJobSpec{}, onlyA, true},
		"enabled refs":                       {prowv1.ProwJobSpec{Refs: &a}, onlyA, true},
		"other refs":                         {prowv1.ProwJobSpec{Refs: &b}, onlyA, false},
		"other refs, but enabled extra refs": {prowv1.ProwJobSpec{Refs: &b, ExtraRefs: []prowv1.Refs{a}}, onlyA, true},
		"only extra refs, none of them":      {prowv1.ProwJobSpec{ExtraRefs: []prowv1.Refs{b}}, onlyA, false},
		"nothing is limited":                 {prowv1.ProwJobSpec{Refs: &b}, nil, true},
	} {
		if got := (&Reconciler{Enabled: tc.enabled}).enabled(&prowv1.ProwJob{Spec: tc.spec}); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestLocksAreDroppedAndRespectTheContext(t *testing.T) {
	var l Locks
	unlock, err := l.Lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Lock(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	other, err := l.Lock(t.Context(), "y")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
	if len(l.locks) != 0 {
		t.Errorf("%d locks are kept", len(l.locks))
	}
}

func TestSlimKeepsWhatDecides(t *testing.T) {
	yes := true
	job := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{
		Name: "n", Labels: map[string]string{prowv1.GerritReportLabel: "", "mine": "x"}, Annotations: map[string]string{PubSubTopicKey: "t", "mine": "x"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
	}}
	job.Spec.Job, job.Spec.Refs = "j", &prowv1.Refs{Org: "o", Repo: "r", Pulls: []prowv1.Pull{{Number: 1, SHA: "s", Title: "long"}}}
	job.Spec.ReporterConfig = &prowv1.ReporterConfig{Slack: &prowv1.SlackReporterConfig{Channel: "c", ReportTemplate: "t", Report: &yes}}
	job.Spec.ProwJobDefault = &prowv1.ProwJobDefault{ResultStoreConfig: &prowv1.ResultStoreConfig{ProjectID: "p"}}
	job.Spec.DecorationConfig = &prowv1.DecorationConfig{GCSConfiguration: &prowv1.GCSConfiguration{Bucket: "b", PathPrefix: "p"}}
	job.Status.PrevReportStates = map[string]prowv1.ProwJobState{"x": "success"}
	var slimmer Slimmer
	got, err := slimmer.Slim(job)
	if err != nil {
		t.Fatal(err)
	}
	slim := got.(*prowv1.ProwJob)
	if _, ok := slim.Labels[prowv1.GerritReportLabel]; !ok || len(slim.Labels) != 1 || len(slim.Annotations) != 1 || slim.ManagedFields != nil {
		t.Errorf("metadata %+v", slim.ObjectMeta)
	}
	if slim.Spec.Refs.Pulls[0].SHA != "s" || slim.Spec.Refs.Pulls[0].Title != "" || slim.Spec.ReporterConfig.Slack.Channel != "c" || slim.Spec.ReporterConfig.Slack.ReportTemplate != "" ||
		slim.Spec.DecorationConfig.GCSConfiguration.Bucket != "b" || slim.Status.PrevReportStates["x"] != "success" {
		t.Errorf("job %+v", slim)
	}
	if job.Spec.ReporterConfig.Slack.ReportTemplate == "" {
		t.Error("the original was changed")
	}
	if other, err := slimmer.Slim("tombstone"); err != nil || other != "tombstone" {
		t.Error("another kind was changed")
	}
}
