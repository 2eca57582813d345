package plank

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/kube/fleet"
	"prow/internal/kube/kubetest"
	"prow/internal/pod"
	"prow/internal/prowjob"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(kubetest.Run(m))
}

// world is a control plane with a plank and a namespace of its own. The test
// plays the kubelet.
type world struct {
	t      *testing.T
	ns     string
	cfg    *config.Config
	client client.Client
	ids    atomic.Int64
	// service and build are how plank reaches the clusters.
	service *rest.Config
	build   map[string]*rest.Config
	now     func() time.Time
	dryRun  bool
	metrics *jobMetrics
	// log has what is logged as an error.
	log lockedLog
}

type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newWorld makes the namespace; start lets plank run in it.
func newWorld(t *testing.T, configure ...func(*world)) *world {
	t.Helper()
	cluster := kubetest.Start(t)
	w := &world{t: t, ns: cluster.Namespace(t), cfg: &config.Config{}, now: time.Now, service: cluster.Config, build: map[string]*rest.Config{"default": cluster.Config}}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.client, err = client.New(cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	w.cfg.ProwJobNamespace, w.cfg.PodNamespace = w.ns, w.ns
	for _, f := range configure {
		f(w)
	}
	return w
}

// start runs plank until the test or the returned function ends it.
func (w *world) start() (stop func()) {
	t := w.t
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	mgr, err := ctrl.NewManager(w.service, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{w.ns: {}},
			ByObject:          map[client.Object]cache.ByObject{&prowv1.ProwJob{}: {Transform: SlimJob, UnsafeDisableDeepCopy: &yes}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelError}))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(io.MultiWriter(&w.log, t.Output()), nil))
	}
	var c *Controller
	clusters := kube.Clusters{"": w.service}
	for alias, config := range w.build {
		clusters[alias] = config
	}
	f, err := fleet.New(fleet.Options{
		Load: func() (kube.Clusters, error) { return clusters, nil }, Stamp: func() string { return "" },
		Scheme: scheme, PodNamespace: w.ns, Verbs: Verbs(), Select: PodSelector(), Transform: SlimPod(false), Failures: fleet.NewFailures(), Log: log,
		OnPod:    func(alias string, p *corev1.Pod) { c.OnPod(alias, p) },
		OnChange: func(alias string) { c.OnCluster(alias) },
	})
	if err != nil {
		t.Fatal(err)
	}
	c = New(&Reconciler{
		Jobs: mgr.GetClient(), Live: mgr.GetAPIReader(), Clusters: f, Config: func() *config.Config { return w.cfg },
		BuildPod: func(j *prowv1.ProwJob) (*corev1.Pod, error) {
			bare := j.DeepCopy()
			bare.Spec.DecorationConfig = nil // here it only carries limits of time
			return pod.Build(bare)
		},
		NewBuildID: func(context.Context, string) (string, error) { return fmt.Sprint(w.ids.Add(1)), nil },
		JobURL:     func(j *prowv1.ProwJob) (string, error) { return "https://prow/" + j.Status.BuildID, nil },
		Version:    "v1", Now: w.now, Log: log, DryRun: w.dryRun,
	}, nil)
	w.metrics = c.metrics
	if err := c.Watch(t.Context(), mgr.GetCache()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(mgr.Add(c), mgr.Add(runnable(f.Run))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

type runnable func(context.Context) error

func (r runnable) Start(ctx context.Context) error { return r(ctx) }
func (runnable) NeedLeaderElection() bool          { return false }

// job makes a ProwJob in the cluster.
func (w *world) job(spec prowv1.ProwJobSpec, tweak ...func(*prowv1.ProwJob)) *prowv1.ProwJob {
	w.t.Helper()
	j := w.newJob(spec, tweak...)
	if err := w.client.Create(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
	return j
}

func (w *world) newJob(spec prowv1.ProwJobSpec, tweak ...func(*prowv1.ProwJob)) *prowv1.ProwJob {
	if spec.Type == "" {
		spec.Type = prowv1.PeriodicJob
	}
	if spec.Job == "" {
		spec.Job = "unit"
	}
	spec.Agent = prowv1.KubernetesAgent
	if spec.PodSpec == nil {
		spec.PodSpec = &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "image", Command: []string{"true"}}}}
	}
	j := prowjob.New(spec, nil, nil, prowjob.InNamespace(w.ns))
	for _, f := range tweak {
		f(j)
	}
	return j
}

func (w *world) get(j *prowv1.ProwJob) *prowv1.ProwJob {
	w.t.Helper()
	var got prowv1.ProwJob
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(j), &got); err != nil {
		w.t.Fatal(err)
	}
	return &got
}

// until waits until the job is as ok wants it.
func (w *world) until(j *prowv1.ProwJob, what string, ok func(*prowv1.ProwJob) bool) *prowv1.ProwJob {
	w.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; {
		got := w.get(j)
		if ok(got) {
			return got
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s: state %s, reason %q, description %q, complete %v", what, got.Status.State, got.Status.Reason, got.Status.Description, got.Complete())
		}
		<-time.After(20 * time.Millisecond)
	}
}

func inState(s prowv1.ProwJobState) func(*prowv1.ProwJob) bool {
	return func(j *prowv1.ProwJob) bool { return j.Status.State == s }
}

func completeIn(s prowv1.ProwJobState) func(*prowv1.ProwJob) bool {
	return func(j *prowv1.ProwJob) bool { return j.Status.State == s && j.Complete() }
}

func because1(reason prowv1.Reason) func(*prowv1.ProwJob) bool {
	return func(j *prowv1.ProwJob) bool { return j.Status.Reason == reason }
}

func (w *world) pod(j *prowv1.ProwJob) *corev1.Pod {
	w.t.Helper()
	var p corev1.Pod
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(j), &p); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		w.t.Fatal(err)
	}
	return &p
}

// newPod waits for a pod of the job other than the one with this UID.
func (w *world) newPod(j *prowv1.ProwJob, last *corev1.Pod) *corev1.Pod {
	w.t.Helper()
	var p *corev1.Pod
	w.until(j, "a new pod", func(j *prowv1.ProwJob) bool {
		p = w.pod(j)
		return p != nil && (last == nil || p.UID != last.UID) && p.Labels[prowv1.BuildIDLabel] == j.Status.BuildID && j.Status.State == prowv1.PendingState
	})
	return p
}

// kubelet sets the status of the pod of a job.
func (w *world) kubelet(j *prowv1.ProwJob, set func(*corev1.PodStatus)) {
	w.t.Helper()
	p := w.pod(j)
	if p == nil {
		w.t.Fatalf("job %s has no pod", j.Name)
	}
	set(&p.Status)
	if err := w.client.Status().Update(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
}

func phase(p corev1.PodPhase, reason string) func(*corev1.PodStatus) {
	return func(s *corev1.PodStatus) {
		now := metav1.Now()
		s.Phase, s.Reason, s.StartTime = p, reason, &now
	}
}

func (w *world) abort(j *prowv1.ProwJob, description string) {
	w.t.Helper()
	before := w.get(j)
	after := before.DeepCopy()
	after.Status.State, after.Status.Description = prowv1.AbortedState, description
	if err := w.client.Patch(w.t.Context(), after, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// kill deletes the pod of a job at once, as if it had never been.
func (w *world) kill(j *prowv1.ProwJob) {
	w.t.Helper()
	if err := w.client.Delete(w.t.Context(), w.pod(j), client.GracePeriodSeconds(0)); err != nil {
		w.t.Fatal(err)
	}
}
