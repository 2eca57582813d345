package sinker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/jobview"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

// room is a namespace of a real API server with a sinker.
type room struct {
	client.Client
	t       *testing.T
	cluster *kubetest.Cluster
	ns      string
	cfg     string
}

func newRoom(t *testing.T, settings string) *room {
	t.Helper()
	cluster := kubetest.Start(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	r := &room{Client: c, t: t, cluster: cluster, ns: cluster.Namespace(t), cfg: filepath.Join(t.TempDir(), "config.yaml")}
	text := "prowjob_namespace: " + r.ns + "\npod_namespace: " + r.ns + "\n" + settings
	if err := os.WriteFile(r.cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *room) job(name, job string, kind prowv1.ProwJobType, age time.Duration, state prowv1.ProwJobState) *prowv1.ProwJob {
	r.t.Helper()
	start := metav1.NewTime(time.Now().Add(-age))
	j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: name}, Spec: prowv1.ProwJobSpec{Type: kind, Job: job, Agent: prowv1.KubernetesAgent}}
	j.Status = prowv1.ProwJobStatus{StartTime: start, State: state}
	if state != prowv1.PendingState {
		end := metav1.NewTime(start.Add(time.Hour))
		j.Status.CompletionTime = &end
	}
	if kind != prowv1.PeriodicJob {
		j.Spec.Refs = &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", BaseSHA: "a"}
	}
	if err := r.Create(r.t.Context(), j); err != nil {
		r.t.Fatal(err)
	}
	return j
}

func (r *room) pod(name string, edit func(*corev1.Pod)) {
	r.t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.ns, Name: name, Labels: map[string]string{prowv1.CreatedByProwLabel: "true"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "i"}}},
	}
	if edit != nil {
		edit(p)
	}
	status := p.Status
	if err := r.Create(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
	if p.Status = status; status.Phase != "" {
		if err := r.Status().Update(r.t.Context(), p); err != nil {
			r.t.Fatal(err)
		}
	}
}

// sinker makes one that lives so much later.
func (r *room) sinker(later time.Duration) *Sinker {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	view, err := jobview.New(r.cluster.Config, r.ns, "")
	if err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = view.Run(ctx) }()
	if err := view.WaitForSync(ctx, time.Minute); err != nil {
		r.t.Fatal(err)
	}
	cfg, err := config.Load(ctx, config.Options{ConfigPath: r.cfg})
	if err != nil {
		r.t.Fatal(err)
	}
	return &Sinker{
		Jobs: r.Client, Pods: map[string]client.Client{"default": r.Client}, View: view.Jobs, Config: func() *config.Config { return cfg },
		Now: func() time.Time { return time.Now().Add(later) }, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(func(prometheus.Collector) {}),
	}
}

func (r *room) names() (jobs, pods []string) {
	r.t.Helper()
	var jobList prowv1.ProwJobList
	var podList corev1.PodList
	if err := r.List(r.t.Context(), &jobList, client.InNamespace(r.ns)); err != nil {
		r.t.Fatal(err)
	}
	if err := r.List(r.t.Context(), &podList, client.InNamespace(r.ns)); err != nil {
		r.t.Fatal(err)
	}
	for _, j := range jobList.Items {
		jobs = append(jobs, j.Name)
	}
	for _, p := range podList.Items {
		pods = append(pods, p.Name)
	}
	return jobs, pods
}

func pass(t *testing.T, s *Sinker) {
	t.Helper()
	if err := s.Pass(t.Context()); err != nil {
		t.Error(err)
	}
}

const nightly = "periodics:\n- name: nightly\n  interval: 24h\n  spec: {containers: [{image: i, command: [c]}]}\n"

func (r *room) oldJobs() {
	day := 24 * time.Hour
	r.job("old", "unit", prowv1.PresubmitJob, 8*day, prowv1.SuccessState)
	r.job("young", "unit", prowv1.PresubmitJob, 6*day, prowv1.FailureState)
	r.job("endless", "unit", prowv1.PresubmitJob, 99*day, prowv1.PendingState)
	r.job("older-nightly", "nightly", prowv1.PeriodicJob, 11*day, prowv1.SuccessState)
	r.job("newest-nightly", "nightly", prowv1.PeriodicJob, 10*day, prowv1.SuccessState)
}

// Probe 17: a complete ProwJob that started 8 days ago is deleted; the newest
// run of a configured periodic is kept, and deleted once the periodic is
// removed; an incomplete one of any age is kept.
func TestProbe17OldProwJobsAreDeleted(t *testing.T) {
	r := newRoom(t, nightly)
	r.oldJobs()
	s := r.sinker(0)
	pass(t, s)
	if jobs, _ := r.names(); !slices.Equal(jobs, []string{"endless", "newest-nightly", "young"}) {
		t.Errorf("left are %q", jobs)
	}
	for reason, want := range map[string]float64{"aged": 1, "aged-periodic": 1} {
		if got := testutil.ToFloat64(s.Metrics.jobsRemoved.WithLabelValues(reason)); got != want {
			t.Errorf("sinker_prow_jobs_cleaned{reason=%q} is %v", reason, got)
		}
	}
	if got := testutil.ToFloat64(s.Metrics.jobsExisting); got != 5 {
		t.Errorf("sinker_prow_jobs_existing is %v", got)
	}
	without := newRoom(t, "")
	without.oldJobs()
	pass(t, without.sinker(0))
	if jobs, _ := without.names(); !slices.Equal(jobs, []string{"endless", "young"}) {
		t.Errorf("left are %q", jobs)
	}
}

// Probe 18: a pod without ProwJob, 10 s old, is kept; 60 s old and running, it
// is deleted and counted as orphaned; in an excluded cluster it is kept.
func TestProbe18OrphanedPodsAreDeleted(t *testing.T) {
	running := func(p *corev1.Pod) {
		now := metav1.Now()
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &now}
	}
	r := newRoom(t, "")
	r.pod("nobodys", running)
	pass(t, r.sinker(10*time.Second))
	if _, pods := r.names(); len(pods) != 1 {
		t.Error("a pod of 10 s was deleted")
	}
	excluded := newRoom(t, "sinker: {exclude_clusters: [default]}")
	excluded.pod("nobodys", running)
	pass(t, excluded.sinker(60*time.Second))
	if _, pods := excluded.names(); len(pods) != 1 {
		t.Error("a pod of an excluded cluster was deleted")
	}
	s := r.sinker(60 * time.Second)
	pass(t, s)
	if _, pods := r.names(); len(pods) != 0 {
		t.Error("a pod of 60 s was kept")
	}
	if got := testutil.ToFloat64(s.Metrics.podsRemoved.WithLabelValues("orphaned")); got != 1 {
		t.Errorf(`sinker_pods_removed{reason="orphaned"} is %v`, got)
	}
	// What the last pass had no case of is not told again.
	pass(t, s)
	if got := testutil.CollectAndCount(s.Metrics.podsRemoved); got != 0 {
		t.Errorf("%d reasons stand after a pass that removed nothing", got)
	}
}

// Probe 19: with --dry-run=true no ProwJob and no pod is deleted. Nothing else
// is changed either, leases included.
func TestProbe19DryRunDeletesNothing(t *testing.T) {
	r := newRoom(t, nightly)
	r.oldJobs()
	r.pod("old", func(p *corev1.Pod) { p.Finalizers = []string{reporterFinalizer} })
	proxy := r.cluster.Proxy(t)
	run := func(dryRun bool) {
		cfg := config.DefaultOptions()
		cfg.ConfigPath = r.cfg
		rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
		o := &Options{Config: cfg, Kubernetes: kube.Flags{Kubeconfig: proxy.KubeconfigPath, NoInClusterConfig: true}, RunOnce: true, DryRun: dryRun}
		if err := Run(t.Context(), rt, o); err != nil {
			t.Error(err)
		}
	}
	run(true)
	if got := proxy.Mutations(); len(got) > 0 {
		t.Errorf("a dry run sent %q", got)
	}
	// With --run-once the program ends after its pass.
	run(false)
	if got := strings.Join(proxy.Mutations(), "\n"); !strings.Contains(got, "DELETE") {
		t.Errorf("without dry-run it sent only %q", got)
	}
}

// A sinker that dies at any of its writes, or whose write is done without an
// answer, leaves a cluster that the next one cleans up; what stays, stays.
func TestASinkerThatDiesAtAnyWriteLeavesWhatTheNextOneCollects(t *testing.T) {
	reported := func(j *prowv1.ProwJob) {
		j.Status.PrevReportStates = map[string]prowv1.ProwJobState{finalizingReporter: j.Status.State}
	}
	var deaths atomic.Int32
	t.Run("after", func(t *testing.T) {
		for n := range 16 {
			writes, effect := n/2, n%2 == 1
			t.Run(fmt.Sprintf("%d writes, effect %t", writes, effect), func(t *testing.T) {
				t.Parallel()
				r := newRoom(t, nightly)
				r.oldJobs()
				done := r.job("reported", "unit", prowv1.PresubmitJob, 30*time.Hour, prowv1.SuccessState)
				before := done.DeepCopy()
				reported(done)
				if err := r.Patch(t.Context(), done, client.MergeFrom(before)); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"old", "reported", "endless"} {
					r.pod(name, func(p *corev1.Pod) { p.Finalizers = []string{reporterFinalizer} })
				}
				proxy := r.cluster.Proxy(t)
				c, err := client.New(proxy.Config, client.Options{Scheme: r.Scheme()})
				if err != nil {
					t.Fatal(err)
				}
				program := func(ctx context.Context) error {
					s := r.sinker(time.Minute)
					s.Jobs, s.Pods = c, map[string]client.Client{"default": c}
					return s.Pass(ctx)
				}
				cut := proxy.CutAfter(writes, effect)
				// It is gone by then, and does not go on trying.
				ctx, die := context.WithCancel(t.Context())
				defer die()
				go func() {
					select {
					case <-cut:
						die()
					case <-ctx.Done():
					}
				}()
				err = program(ctx)
				select {
				case <-cut:
					deaths.Add(1)
					if err == nil {
						t.Errorf("write %d was cut off, and nobody was told", writes)
					}
				default:
				}
				proxy.Heal()
				// The finalizer of a pod whose job nobody has told goes in the pass after the
				// one that deletes the job.
				if err := errors.Join(program(t.Context()), program(t.Context())); err != nil {
					t.Error(err)
				}
				jobs, pods := r.names()
				if want := []string{"endless", "newest-nightly", "reported", "young"}; !slices.Equal(jobs, want) {
					t.Errorf("after write %d, effect %t, left are the jobs %q, want %q", writes, effect, jobs, want)
				}
				if want := []string{"endless"}; !slices.Equal(pods, want) {
					t.Errorf("after write %d, effect %t, left are the pods %q, want %q", writes, effect, pods, want)
				}
			})
		}
	})
	if deaths.Load() < 8 {
		t.Errorf("only %d of them died", deaths.Load())
	}
}

func TestTheReportersFinalizerGoesOnlyWhenNobodyWillComeForThePod(t *testing.T) {
	held := func(p *corev1.Pod) { p.Finalizers = []string{reporterFinalizer} }
	r := newRoom(t, "")
	done := r.job("reported", "unit", prowv1.PresubmitJob, 2*time.Hour, prowv1.SuccessState)
	before := done.DeepCopy()
	done.Status.PrevReportStates = map[string]prowv1.ProwJobState{finalizingReporter: prowv1.SuccessState}
	if err := r.Patch(t.Context(), done, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	r.job("unreported", "unit", prowv1.PresubmitJob, 2*time.Hour, prowv1.SuccessState)
	r.job("running", "unit", prowv1.PresubmitJob, 2*time.Hour, prowv1.PendingState)
	r.pod("reported", held)
	r.pod("unreported", held)
	r.pod("running", held)
	r.pod("unknown", held)
	s := r.sinker(0)
	// This one is younger than the view.
	view := s.View()
	s.View = func() []*jobview.Job { return view }
	r.job("newer", "unit", prowv1.PresubmitJob, 0, prowv1.PendingState)
	r.pod("newer", held)
	pass(t, s)
	var pods corev1.PodList
	if err := r.List(t.Context(), &pods, client.InNamespace(r.ns)); err != nil {
		t.Fatal(err)
	}
	var still []string
	for _, p := range pods.Items {
		if len(p.Finalizers) > 0 {
			still = append(still, p.Name)
		}
	}
	if want := []string{"newer", "running", "unreported"}; !slices.Equal(still, want) {
		t.Errorf("held are %q, want %q", still, want)
	}
}

func TestAnUnreachableClusterDoesNotKeepOthersFromBeingCollected(t *testing.T) {
	r := newRoom(t, "")
	r.pod("nobodys", nil)
	broken := r.cluster.Proxy(t)
	broken.Config.Host = "http://127.0.0.1:1"
	c, err := client.New(broken.Config, client.Options{Scheme: r.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	s := r.sinker(time.Minute)
	s.Pods["broken"] = c
	if err := s.Pass(t.Context()); err == nil || !strings.Contains(err.Error(), `build cluster "broken": list pods`) {
		t.Errorf("got %v", err)
	}
	if _, pods := r.names(); len(pods) != 0 {
		t.Error("the reachable cluster was not collected")
	}
}

func TestMountSizes(t *testing.T) {
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A mount as the kubelet makes it: files in a dated directory, linked to twice.
	mount := func(dir string) {
		write(filepath.Join(dir, "..2026", "jobs.yaml"), "12345")
		for link, target := range map[string]string{"..data": "..2026", "jobs.yaml": "..data/jobs.yaml"} {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	root := t.TempDir()
	mount(filepath.Join(root, "one"))
	write(filepath.Join(root, "plain", "jobs.yaml"), "1")
	got, err := mountSizes(root)
	if err != nil || len(got) != 1 || got["one"] != 5 {
		t.Errorf("got %v, %v", got, err)
	}
	if got := notMounted(root, got); !slices.Equal(got, []string{"plain"}) {
		t.Errorf("not mounted: %q", got)
	}
	single := filepath.Join(t.TempDir(), "job-config")
	mount(single)
	if got, err := mountSizes(single); err != nil || got["job-config"] != 5 || len(notMounted(single, got)) > 0 {
		t.Errorf("got %v, %v", got, err)
	}
}
