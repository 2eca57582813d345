package plank

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
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
	client client.Client
	ids    atomic.Int64
}

func newWorld(t *testing.T, configure ...func(*config.Config)) *world {
	t.Helper()
	cluster := kubetest.Start(t)
	w := &world{t: t, ns: cluster.Namespace(t)}
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.client, err = client.New(cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{}
	cfg.ProwJobNamespace, cfg.PodNamespace = w.ns, w.ns
	for _, f := range configure {
		f(cfg)
	}
	mgr, err := ctrl.NewManager(cluster.Config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{w.ns: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	build, err := NewBuildClusters(mgr, kube.Clusters{"": cluster.Config, "default": cluster.Config}, w.ns, false)
	if err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{
		Jobs: mgr.GetClient(), Pods: map[string]client.Client{"default": build["default"].GetClient()}, Config: func() *config.Config { return cfg },
		BuildPod:   func(j *prowv1.ProwJob) (*corev1.Pod, error) { return pod.Build(j) },
		NewBuildID: func(context.Context, string) (string, error) { return fmt.Sprint(w.ids.Add(1)), nil },
		JobURL:     func(j *prowv1.ProwJob) (string, error) { return "https://prow/" + j.Status.BuildID, nil },
		Version:    "v1", Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if err := r.AddToManager(t.Context(), mgr, build); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return w
}

// job makes a ProwJob in the cluster.
func (w *world) job(spec prowv1.ProwJobSpec, tweak ...func(*prowv1.ProwJob)) *prowv1.ProwJob {
	w.t.Helper()
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
	if err := w.client.Create(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
	return j
}

// until waits until the job is as ok wants it.
func (w *world) until(j *prowv1.ProwJob, what string, ok func(*prowv1.ProwJob) bool) *prowv1.ProwJob {
	w.t.Helper()
	var got prowv1.ProwJob
	for deadline := time.Now().Add(20 * time.Second); ; {
		if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(j), &got); err != nil {
			w.t.Fatal(err)
		}
		if ok(&got) {
			return &got
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s: state %s, description %q, complete %v", what, got.Status.State, got.Status.Description, got.Complete())
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

func TestAJobRunsAsAPodAndSucceeds(t *testing.T) {
	w := newWorld(t)
	j := w.job(prowv1.ProwJobSpec{})
	pending := w.until(j, "pending", inState(prowv1.PendingState))
	p := w.pod(j)
	if p == nil || pending.Status.BuildID == "" || pending.Status.PendingTime == nil || pending.Status.PodName != j.Name || pending.Status.URL != "https://prow/"+pending.Status.BuildID {
		t.Fatalf("pod %v, status %+v", p, pending.Status)
	}
	for key, want := range map[string]string{prowv1.ProwJobIDLabel: j.Name, prowv1.BuildIDLabel: pending.Status.BuildID} {
		if p.Labels[key] != want || pending.Labels[key] != want {
			t.Errorf("label %s is %q on the pod and %q on the job, want %q", key, p.Labels[key], pending.Labels[key], want)
		}
	}
	if p.Labels[prowv1.PlankVersionLabel] != "v1" {
		t.Errorf("labels %v", p.Labels)
	}
	w.kubelet(j, phase(corev1.PodRunning, ""))
	w.kubelet(j, phase(corev1.PodSucceeded, ""))
	done := w.until(j, "success", completeIn(prowv1.SuccessState))
	if done.Status.Description == "" {
		t.Error("no description")
	}
}

func TestAPodThatAnEarlierLifeMadeIsAdopted(t *testing.T) {
	w := newWorld(t)
	spec := prowv1.ProwJobSpec{}
	// The pod comes first, as if the job's patch had been lost by a death in between.
	lost := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "11111111-2222-4333-8444-555555555555", Namespace: w.ns, Labels: map[string]string{
		prowv1.CreatedByProwLabel: "true", prowv1.BuildIDLabel: "4711",
	}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "image"}}}}
	if err := w.client.Create(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	j := w.job(spec, func(j *prowv1.ProwJob) { j.Name = lost.Name })
	got := w.until(j, "pending", inState(prowv1.PendingState))
	if got.Status.BuildID != "4711" || w.ids.Load() != 0 || w.pod(j).UID != lost.UID {
		t.Errorf("build id %s, %d ids were vended", got.Status.BuildID, w.ids.Load())
	}
}

func TestALostPodIsMadeAgainButNotForEver(t *testing.T) {
	two := 2
	w := newWorld(t, func(c *config.Config) { c.Plank.MaxRevivals = &two })
	j := w.job(prowv1.ProwJobSpec{})
	var last types.UID
	for n := range 3 {
		j = w.until(j, "a new pod", func(j *prowv1.ProwJob) bool {
			p := w.pod(j)
			return p != nil && p.UID != last && j.Status.PodRevivalCount == n && p.Labels[prowv1.BuildIDLabel] == j.Status.BuildID
		})
		last = w.pod(j).UID
		w.kubelet(j, phase(corev1.PodFailed, "Evicted"))
	}
	done := w.until(j, "an error", completeIn(prowv1.ErrorState))
	if done.Status.PodRevivalCount != 2 {
		t.Errorf("revived %d times", done.Status.PodRevivalCount)
	}
}

func TestAnAbortedJobLosesItsPodFirstAndIsThenComplete(t *testing.T) {
	w := newWorld(t)
	j := w.until(w.job(prowv1.ProwJobSpec{}), "pending", inState(prowv1.PendingState))
	before := j.DeepCopy()
	j.Status.State, j.Status.Description = prowv1.AbortedState, "stop it"
	if err := w.client.Patch(t.Context(), j, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	done := w.until(j, "completion", completeIn(prowv1.AbortedState))
	if done.Status.Description != "stop it" {
		t.Errorf("description %q", done.Status.Description)
	}
	if p := w.pod(j); p != nil && p.DeletionTimestamp == nil {
		t.Error("the pod is still there")
	}
}

func TestANewerRunReplacesAnOlderOne(t *testing.T) {
	w := newWorld(t)
	refs := func(sha string) *prowv1.Refs {
		return &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", Pulls: []prowv1.Pull{{Number: 1, Author: "a", SHA: sha}}}
	}
	old := w.until(w.job(prowv1.ProwJobSpec{Type: prowv1.PresubmitJob, Refs: refs("aa")}, func(j *prowv1.ProwJob) {
		j.Status.StartTime = metav1.NewTime(time.Now().Add(-time.Minute))
	}), "pending", inState(prowv1.PendingState))
	batch := w.job(prowv1.ProwJobSpec{Type: prowv1.BatchJob, Refs: refs("aa")})
	fresh := w.job(prowv1.ProwJobSpec{Type: prowv1.PresubmitJob, Refs: refs("bb")})
	gone := w.until(old, "abortion", completeIn(prowv1.AbortedState))
	if gone.Status.PrevReportStates[prowv1.GitHubReporterName] != prowv1.AbortedState {
		t.Error("the reporter would write over the newer run's status")
	}
	w.until(fresh, "pending", inState(prowv1.PendingState))
	w.until(batch, "pending", inState(prowv1.PendingState))
}

func TestLimitsKeepJobsWaiting(t *testing.T) {
	w := newWorld(t)
	first := w.until(w.job(prowv1.ProwJobSpec{Job: "one-at-a-time", MaxConcurrency: 1}), "pending", inState(prowv1.PendingState))
	second := w.job(prowv1.ProwJobSpec{Job: "one-at-a-time", MaxConcurrency: 1})
	other := w.job(prowv1.ProwJobSpec{Job: "another", MaxConcurrency: 1})
	w.until(other, "pending", inState(prowv1.PendingState))
	if w.pod(second) != nil {
		t.Fatal("the second one has a pod beside the first")
	}
	w.kubelet(first, phase(corev1.PodSucceeded, ""))
	w.until(second, "pending", inState(prowv1.PendingState))
}

func TestWhatCanNeverStartEndsWithItsReason(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		spec prowv1.ProwJobSpec
		says string
	}{
		"an unknown cluster":                {prowv1.ProwJobSpec{Cluster: "moon"}, `there is no build cluster "moon"`},
		"a pod that the API server refuses": {prowv1.ProwJobSpec{PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "Bad Name", Image: "i"}, {Name: "b", Image: "i"}}}}, "cannot be created"},
	} {
		t.Run(name, func(t *testing.T) {
			done := w.until(w.job(tc.spec), "an error", completeIn(prowv1.ErrorState))
			if !strings.Contains(done.Status.Description, tc.says) {
				t.Errorf("description %q", done.Status.Description)
			}
		})
	}
}
