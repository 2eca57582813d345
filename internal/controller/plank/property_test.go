package plank

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/kube/fleet"
)

var errKilled = errors.New("killed")

// history is one job with a plank that reads caches which lag, and dies between
// any two writes.
type history struct {
	t   *rapid.T
	now time.Time
	// truth is what the API server has; the caches show copies of earlier moments.
	truth     client.Client
	cachedJob *prowv1.ProwJob
	cachedPod *corev1.Pod
	key       types.NamespacedName
	r         *Reconciler
	// budget is how many writes go through before plank dies; negative is no end.
	budget int
	// after: the deadly write itself has its effect.
	after bool
	// ids are vended, pods were made, and pods were lost by nobody's will.
	ids, made, losses int
	// unknown pods were lost before any write told of them.
	unknown int
	// final is the job as it was when it was first seen complete.
	final *prowv1.ProwJob
	// intrude: somebody aborts the job just before plank's next write.
	intrude, aborted bool
}

// abort is what a user does.
func (h *history) abort() {
	if job := h.job(); !job.Complete() {
		job.Status.State, job.Status.Description, h.aborted = prowv1.AbortedState, "stop", true
		if err := h.truth.Update(context.Background(), job); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *history) Cluster(string) (fleet.Cluster, fleet.Standing, error) {
	return fleet.Cluster{Cached: cachedPods{Client: h.truth, h: h}, API: h.truth}, fleet.Up, nil
}

type cachedPods struct {
	client.Client
	h *history
}

func (c cachedPods) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if c.h.cachedPod == nil {
		return apierrors.NewNotFound(corev1.Resource("pods"), key.Name)
	}
	c.h.cachedPod.DeepCopyInto(o.(*corev1.Pod))
	return nil
}

type cachedJobs struct {
	client.Client
	h *history
}

func (c cachedJobs) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	c.h.cachedJob.DeepCopyInto(o.(*prowv1.ProwJob))
	return nil
}

func newHistory(t *rapid.T) *history {
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	h := &history{t: t, now: noon, budget: -1, key: types.NamespacedName{Namespace: "ns", Name: "job"}}
	write := func(do func() error) error {
		if h.budget == 0 {
			if h.after {
				_ = do()
			}
			return errKilled
		}
		h.budget--
		return do()
	}
	h.truth = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&corev1.Pod{}).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			pod, isPod := o.(*corev1.Pod)
			if !isPod {
				return c.Create(ctx, o, opts...)
			}
			return write(func() error {
				pod.UID, pod.CreationTimestamp = uuid.NewUUID(), metav1.NewTime(h.now)
				if err := c.Create(ctx, pod, opts...); err != nil {
					return err
				}
				h.made++
				return nil
			})
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			if _, isJob := o.(*prowv1.ProwJob); isJob && h.intrude {
				h.intrude = false
				h.abort()
			}
			return write(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return write(func() error {
				var there corev1.Pod
				if err := c.Get(ctx, client.ObjectKeyFromObject(o), &there); err != nil {
					return err
				}
				if there.UID != o.GetUID() {
					return apierrors.NewConflict(corev1.Resource("pods"), o.GetName(), errors.New("another pod"))
				}
				return c.Delete(ctx, &there)
			})
		},
	}).Build()
	job := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Name: h.key.Name, Namespace: h.key.Namespace, UID: "uid"},
		Spec:   prowv1.ProwJobSpec{Agent: prowv1.KubernetesAgent, Type: prowv1.PeriodicJob, Job: "unit", MaxConcurrency: 1, ErrorOnEviction: rapid.Bool().Draw(t, "strict")},
		Status: prowv1.ProwJobStatus{State: prowv1.TriggeredState, StartTime: metav1.NewTime(noon)}}
	if err := h.truth.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	h.restart()
	h.sync()
	return h
}

// restart is a new process.
func (h *history) restart() {
	cfg := &config.Config{}
	cfg.ProwJobNamespace, cfg.PodNamespace = h.key.Namespace, h.key.Namespace
	h.budget = -1
	h.r = &Reconciler{
		Jobs: cachedJobs{Client: h.truth, h: h}, Live: h.truth, Clusters: h, Config: func() *config.Config { return cfg },
		BuildPod: func(j *prowv1.ProwJob) (*corev1.Pod, error) {
			return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: j.Name, Labels: map[string]string{prowv1.CreatedByProwLabel: "true", prowv1.BuildIDLabel: j.Status.BuildID}}}, nil
		},
		NewBuildID: func(context.Context, string) (string, error) { h.ids++; return fmt.Sprint(h.ids), nil },
		JobURL:     func(j *prowv1.ProwJob) (string, error) { return j.Status.BuildID, nil },
		Now:        func() time.Time { return h.now }, Log: slog.New(slog.DiscardHandler),
		ledger: newLedger(), wake: func([]types.NamespacedName) {},
	}
}

func (h *history) job() *prowv1.ProwJob {
	var job prowv1.ProwJob
	if err := h.truth.Get(context.Background(), h.key, &job); err != nil {
		h.t.Fatal(err)
	}
	return &job
}

func (h *history) pod() *corev1.Pod {
	var pod corev1.Pod
	if err := h.truth.Get(context.Background(), h.key, &pod); err != nil {
		return nil
	}
	return &pod
}

func (h *history) sync() {
	h.syncJob()
	h.cachedPod = h.pod()
}

func (h *history) syncJob() {
	h.cachedJob = h.job()
	h.r.ledger.observe(h.cachedJob.DeepCopy(), true)
}

func (h *history) look() {
	_, err := h.r.Reconcile(context.Background(), h.key)
	if errors.Is(err, errKilled) {
		h.restart()
		h.syncJob()
	}
}

// kubelet sets a status; a finished pod stays finished.
func (h *history) kubelet(set func(*corev1.Pod)) {
	pod := h.pod()
	if pod == nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return
	}
	set(pod)
	if err := h.truth.Status().Update(context.Background(), pod); err != nil {
		h.t.Fatal(err)
	}
}

// check holds what must be true at every moment.
func (h *history) check() {
	job := h.job()
	if job.Status.PodRevivalCount > 3 {
		h.t.Fatalf("revived %d times", job.Status.PodRevivalCount)
	}
	if h.made > 1+job.Status.PodRevivalCount+h.unknown {
		h.t.Fatalf("%d pods were made with %d revivals on record", h.made, job.Status.PodRevivalCount)
	}
	if job.Status.PodRevivalCount > h.losses {
		h.t.Fatalf("%d revivals for %d lost pods", job.Status.PodRevivalCount, h.losses)
	}
	switch {
	case h.final == nil && job.Complete():
		h.final = job
	case h.final != nil && (!job.Status.CompletionTime.Equal(h.final.Status.CompletionTime) || job.Status.State != h.final.Status.State || job.Status.Reason != h.final.Status.Reason):
		h.t.Fatalf("the end changed from %+v to %+v", h.final.Status, job.Status)
	}
}

func TestWhateverHappensAJobEndsOnceInOneState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		actions := map[string]func(){
			"look":            h.look,
			"look again":      h.look,
			"caches catch up": h.sync,
			"jobs catch up":   h.syncJob,
			"pods catch up":   func() { h.cachedPod = h.pod() },
			"restart":         func() { h.restart(); h.syncJob() },
			"a minute passes": func() { h.now = h.now.Add(time.Minute) },
			"many hours pass": func() { h.now = h.now.Add(20 * time.Hour) },
			"plank will die": func() {
				h.budget, h.after = rapid.IntRange(0, 3).Draw(t, "writes left"), rapid.Bool().Draw(t, "last has effect")
			},
			"the pod runs": func() {
				h.kubelet(func(p *corev1.Pod) {
					now := metav1.NewTime(h.now)
					p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &now
				})
			},
			"the pod fails":    func() { h.kubelet(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }) },
			"the pod succeeds": func() { h.kubelet(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }) },
			"the pod is evict.": func() {
				h.kubelet(func(p *corev1.Pod) { h.losses++; p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" })
			},
			"the node is off": func() {
				h.kubelet(func(p *corev1.Pod) { h.losses++; p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Terminated" })
			},
			"the pod vanishes": func() {
				if pod := h.pod(); pod != nil {
					if podBuildID(pod) != h.job().Status.BuildID {
						h.unknown++
					}
					left := h.budget
					h.budget = -1
					if err := h.truth.Delete(context.Background(), pod); err != nil {
						t.Fatal(err)
					}
					h.budget = left
					h.losses++
				}
			},
			"somebody aborts":          h.abort,
			"somebody will abort then": func() { h.intrude = true },
		}
		names := make([]string, 0, len(actions))
		for name := range actions {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 60).Draw(t, "history") {
			actions[name]()
			h.check()
		}
		// Then nothing goes wrong any more, and pods run to their end.
		h.restart()
		for range 30 {
			h.sync()
			h.look()
			h.check()
			h.kubelet(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
		}
		job := h.job()
		if !job.Complete() {
			t.Fatalf("the job does not end: %+v", job.Status)
		}
		if h.aborted && job.Status.State != prowv1.AbortedState {
			t.Fatalf("an abort was overwritten: %+v", job.Status)
		}
		if job.Status.Reason == "" || job.Status.State == prowv1.TriggeredState || job.Status.State == prowv1.PendingState {
			t.Fatalf("the end is %+v", job.Status)
		}
	})
}
