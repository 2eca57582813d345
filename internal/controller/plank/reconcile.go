package plank

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

const (
	// busyRetry is when a job is looked at again whose lock another worker held.
	busyRetry = time.Second
	// limitRetry is when a job is looked at again that a limit kept from starting.
	limitRetry = 10 * time.Second
	// seenPoll and the limits below wait for a cache to show an own write, so
	// that a stale read makes no second pod and no second start.
	seenPoll     = 100 * time.Millisecond
	jobSeenLimit = 2 * time.Second
	podSeenLimit = 10 * time.Second
)

// startedDescription is what a code host shows while the job runs.
const startedDescription = "Job triggered."

// Reconciler decides about one job at a time and acts.
type Reconciler struct {
	// Jobs reads ProwJobs through a cache and writes them.
	Jobs client.Client
	// Pods are the clients of the build clusters, by alias.
	Pods map[string]client.Client
	// Config is the current configuration.
	Config func() *config.Config
	// BuildPod makes the pod of a job whose build ID is set.
	BuildPod func(*prowv1.ProwJob) (*corev1.Pod, error)
	// NewBuildID names a run.
	NewBuildID func(ctx context.Context, job string) (string, error)
	// JobURL is the URL of a job's page; an error goes with an empty URL and is only logged.
	JobURL func(*prowv1.ProwJob) (string, error)
	// Version is put on pods.
	Version string
	// DryRun tells that the clients change nothing, so that no change is waited for.
	DryRun bool
	Now    func() time.Time
	Log    *slog.Logger

	locks sync.Map
}

// terminalError ends a job: trying again would not help.
type terminalError struct {
	code Code
	err  error
}

func (e *terminalError) Error() string { return e.err.Error() }
func (e *terminalError) Unwrap() error { return e.err }

// Reconcile looks at one job.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	job := &prowv1.ProwJob{}
	if err := r.Jobs.Get(ctx, req.NamespacedName, job); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if job.Complete() || job.Spec.Agent != prowv1.KubernetesAgent {
		return reconcile.Result{}, nil
	}
	result, err := r.reconcile(ctx, job.DeepCopy())
	var terminal *terminalError
	if errors.As(err, &terminal) {
		after := job.DeepCopy()
		finish(after, prowv1.ErrorState, terminal.Error(), r.Now())
		return reconcile.Result{}, r.patch(ctx, job, after, terminal.code)
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, job *prowv1.ProwJob) (reconcile.Result, error) {
	unlock, free := r.lock(job)
	if !free {
		return reconcile.Result{RequeueAfter: busyRetry}, nil
	}
	defer unlock()

	active, err := r.active(ctx, job)
	if err != nil {
		return reconcile.Result{}, err
	}
	if superseded, err := r.abortSuperseded(ctx, job, active); err != nil || superseded {
		return reconcile.Result{}, err
	}

	switch job.Status.State {
	case prowv1.TriggeredState, prowv1.PendingState, prowv1.AbortedState:
	default:
		return reconcile.Result{}, nil
	}
	pods, known := r.Pods[job.ClusterAlias()]
	if !known {
		return reconcile.Result{}, &terminalError{CodeUnknownCluster, fmt.Errorf("there is no build cluster %q", job.ClusterAlias())}
	}
	pod, err := r.pod(ctx, pods, job)
	if err != nil {
		return reconcile.Result{}, err
	}
	cfg := r.Config()
	if job.Status.State == prowv1.TriggeredState && pod == nil {
		ok, why, err := mayStart(job, active, limits{global: cfg.Plank.MaxConcurrency, queues: cfg.Plank.JobQueueCapacities})
		if err != nil {
			return reconcile.Result{}, err
		}
		if !ok {
			prowjob.Logger(r.Log, job).DebugContext(ctx, "job waits", "reason", CodeWaiting, "why", why)
			return reconcile.Result{RequeueAfter: limitRetry}, nil
		}
	}
	d := decide(job, pod, timeouts(job, cfg), maxRevivals(cfg), r.Now())
	return r.act(ctx, pods, job, pod, d)
}

// act does what was decided: first the pod, then the job, so that a death in
// between leaves a job that is decided again.
func (r *Reconciler) act(ctx context.Context, pods client.Client, job *prowv1.ProwJob, pod *corev1.Pod, d decision) (reconcile.Result, error) {
	before := job.DeepCopy()
	switch d.pod {
	case createPod:
		if err := r.startPod(ctx, pods, job, pod); err != nil {
			if refused := apiRefusal(err); refused == nil {
				return reconcile.Result{}, err
			}
			finish(job, prowv1.ErrorState, "The pod cannot be created: "+err.Error(), r.Now())
			return reconcile.Result{}, r.patch(ctx, before, job, CodePodRefused)
		}
		job.Status.PodName = job.Name
		if job.Status.State == prowv1.TriggeredState {
			now := metav1.NewTime(r.Now())
			job.Status.State, job.Status.PendingTime, job.Status.Description = prowv1.PendingState, &now, startedDescription
		}
	case revivePod:
		// The count goes first: a pod that is deleted without being counted could be revived without end.
		if job.Annotations[revivedPodAnnotation] != string(pod.UID) {
			job.Status.PodRevivalCount++
			metav1.SetMetaDataAnnotation(&job.ObjectMeta, revivedPodAnnotation, string(pod.UID))
			if err := r.patch(ctx, before, job, d.code); err != nil {
				return reconcile.Result{}, err
			}
		}
		return reconcile.Result{RequeueAfter: busyRetry}, r.removePod(ctx, pods, pod)
	case deletePod:
		if err := r.removePod(ctx, pods, pod); err != nil {
			return reconcile.Result{}, err
		}
	}
	if d.complete {
		state := job.Status.State
		if d.state != "" {
			state = d.state
		}
		finish(job, state, d.description, r.Now())
	}
	r.setURL(ctx, job)
	return reconcile.Result{RequeueAfter: d.after}, r.patch(ctx, before, job, d.code)
}

// finish completes a job; an empty description keeps the old one.
func finish(job *prowv1.ProwJob, state prowv1.ProwJobState, description string, now time.Time) {
	t := metav1.NewTime(now)
	job.Status.State, job.Status.CompletionTime = state, &t
	if description != "" {
		job.Status.Description = description
	}
}

// startPod makes the pod of a job, or adopts the one that an earlier look made
// before its write was lost. It sets the build ID of the job.
func (r *Reconciler) startPod(ctx context.Context, pods client.Client, job *prowv1.ProwJob, pod *corev1.Pod) error {
	if pod != nil {
		job.Status.BuildID = podBuildID(pod)
		return nil
	}
	id, err := r.NewBuildID(ctx, job.Spec.Job)
	if err != nil {
		return fmt.Errorf("get a build ID: %w", err)
	}
	job.Status.BuildID = id
	pod, err = r.BuildPod(job)
	if err != nil {
		return fmt.Errorf("make the pod: %w", err)
	}
	// The workload's identity is put on the job as well: others select on it.
	metav1.SetMetaDataLabel(&job.ObjectMeta, prowv1.ProwJobIDLabel, job.Name)
	metav1.SetMetaDataLabel(&job.ObjectMeta, prowv1.BuildIDLabel, id)
	pod.Namespace = r.Config().PodNamespace
	metav1.SetMetaDataLabel(&pod.ObjectMeta, prowv1.PlankVersionLabel, labelValue(r.Version))
	if err := pods.Create(ctx, pod); err != nil {
		return fmt.Errorf("create pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	key := client.ObjectKeyFromObject(pod)
	return r.eventually(ctx, podSeenLimit, "pod "+key.String()+" to be seen", func(ctx context.Context) (bool, error) {
		err := pods.Get(ctx, key, &corev1.Pod{})
		return err == nil, client.IgnoreNotFound(err)
	})
}

// labelValue makes a version usable as a label.
func labelValue(version string) string {
	out := []rune(version)
	for i, c := range out {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			out[i] = '-'
		}
	}
	return string(out[:min(len(out), 63)])
}

func podBuildID(pod *corev1.Pod) string {
	if id := pod.Labels[prowv1.BuildIDLabel]; id != "" {
		return id
	}
	if len(pod.Spec.Containers) > 0 {
		for _, env := range pod.Spec.Containers[0].Env {
			if env.Name == "BUILD_ID" {
				return env.Value
			}
		}
	}
	return ""
}

// removePod deletes a pod with the grace it asks for; nil and gone are fine.
func (r *Reconciler) removePod(ctx context.Context, pods client.Client, pod *corev1.Pod) error {
	if pod == nil {
		return nil
	}
	if controllerutil.ContainsFinalizer(pod, reporterFinalizer) && pod.Status.Reason != "" {
		before := pod.DeepCopy()
		controllerutil.RemoveFinalizer(pod, reporterFinalizer)
		if err := pods.Patch(ctx, pod, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("release pod %s: %w", pod.Name, err)
		}
	}
	if pod.DeletionTimestamp != nil {
		return nil
	}
	if err := pods.Delete(ctx, pod); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// apiRefusal is the answer of an API server that will not change by asking again.
func apiRefusal(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500 && !mayRetry(err) {
		return err
	}
	return nil
}

// mayRetry tells of refusals that pass: too many requests, expired credentials,
// and a pod of this name that the cache does not show yet, which is adopted.
func mayRetry(err error) bool {
	return apierrors.IsTooManyRequests(err) || apierrors.IsUnauthorized(err) || apierrors.IsAlreadyExists(err)
}

func (r *Reconciler) setURL(ctx context.Context, job *prowv1.ProwJob) {
	if job.Status.BuildID == "" {
		return
	}
	url, err := r.JobURL(job)
	if err != nil {
		prowjob.Logger(r.Log, job).WarnContext(ctx, "the job has no URL", "error", err)
	}
	job.Status.URL = url
}

// pod reads the pod of a job; nil where there is none.
func (r *Reconciler) pod(ctx context.Context, pods client.Client, job *prowv1.ProwJob) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	key := types.NamespacedName{Namespace: r.Config().PodNamespace, Name: job.Name}
	if err := pods.Get(ctx, key, pod); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read pod %s: %w", key, err)
	}
	return pod.DeepCopy(), nil
}

// active lists the pending and triggered jobs that a job competes with.
func (r *Reconciler) active(ctx context.Context, job *prowv1.ProwJob) ([]prowv1.ProwJob, error) {
	var list prowv1.ProwJobList
	if err := r.Jobs.List(ctx, &list, client.InNamespace(job.Namespace), client.MatchingFields{activeIndex: indexed}); err != nil {
		return nil, fmt.Errorf("list active jobs: %w", err)
	}
	return list.Items, nil
}

// abortSuperseded aborts presubmits that a newer run of the same job on the same
// pull request replaces. It tells whether job itself was one.
func (r *Reconciler) abortSuperseded(ctx context.Context, job *prowv1.ProwJob, active []prowv1.ProwJob) (self bool, err error) {
	same := make([]*prowv1.ProwJob, 0, 4)
	for i := range active {
		if active[i].Spec.Job == job.Spec.Job {
			same = append(same, &active[i])
		}
	}
	// One order for all workers: jobs that started in the same second must not abort each other.
	slices.SortFunc(same, func(a, b *prowv1.ProwJob) int { return strings.Compare(a.Name, b.Name) })
	for _, old := range prowjob.Duplicates(same) {
		after := old.DeepCopy()
		prowjob.Supersede(after)
		if err := r.patch(ctx, old, after, CodeDuplicateAborted); err != nil {
			return false, err
		}
		self = self || old.UID == job.UID
	}
	return self, nil
}

// patch writes the difference and waits until the cache shows a new state.
func (r *Reconciler) patch(ctx context.Context, before, after *prowv1.ProwJob, code Code) error {
	if err := r.Jobs.Patch(ctx, after, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write job %s: %w", after.Name, err)
	}
	if before.Status.State == after.Status.State && before.Complete() == after.Complete() && before.Status.PodRevivalCount == after.Status.PodRevivalCount && before.Status.BuildID == after.Status.BuildID {
		return nil
	}
	prowjob.Logger(r.Log, after).InfoContext(ctx, "job changed", "from", before.Status.State, "to", after.Status.State, "reason", code, "description", after.Status.Description)
	key, want := client.ObjectKeyFromObject(after), after.Status
	return r.eventually(ctx, jobSeenLimit, "job "+key.String()+" to be seen", func(ctx context.Context) (bool, error) {
		var seen prowv1.ProwJob
		if err := r.Jobs.Get(ctx, key, &seen); err != nil {
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
		return seen.Status.State == want.State && (seen.Status.CompletionTime != nil) == (want.CompletionTime != nil) && seen.Status.PodRevivalCount == want.PodRevivalCount, nil
	})
}

func (r *Reconciler) eventually(ctx context.Context, limit time.Duration, what string, ok func(context.Context) (bool, error)) error {
	if r.DryRun {
		return nil
	}
	if err := wait.PollUntilContextTimeout(ctx, seenPoll, limit, true, ok); err != nil {
		return fmt.Errorf("wait for %s: %w", what, err)
	}
	return nil
}

// lock serialises jobs that share a limit, without ever blocking a worker.
func (r *Reconciler) lock(job *prowv1.ProwJob) (unlock func(), free bool) {
	var held []*sync.Mutex
	unlock = func() {
		for _, m := range held {
			m.Unlock()
		}
	}
	var keys []string
	if job.Spec.MaxConcurrency > 0 {
		keys = append(keys, "job/"+job.Spec.Job)
	}
	if job.Spec.JobQueueName != "" {
		keys = append(keys, "queue/"+job.Spec.JobQueueName)
	}
	if r.Config().Plank.MaxConcurrency > 0 {
		keys = append(keys, "all")
	}
	for _, key := range keys {
		m, _ := r.locks.LoadOrStore(key, &sync.Mutex{})
		mutex := m.(*sync.Mutex)
		if !mutex.TryLock() {
			unlock()
			return nil, false
		}
		held = append(held, mutex)
	}
	return unlock, true
}

func maxRevivals(cfg *config.Config) int {
	if cfg.Plank.MaxRevivals == nil {
		return 3
	}
	return *cfg.Plank.MaxRevivals
}

// timeouts are those of the job's decoration config, else those of the configuration.
func timeouts(job *prowv1.ProwJob, cfg *config.Config) Timeouts {
	d := job.Spec.DecorationConfig
	if d == nil {
		d = &prowv1.DecorationConfig{}
	}
	first := func(durations ...*metav1.Duration) time.Duration {
		for _, d := range durations {
			if d != nil {
				return d.Duration
			}
		}
		return 0
	}
	return Timeouts{
		Unscheduled: first(d.PodUnscheduledTimeout, cfg.Plank.PodUnscheduledTimeout, &metav1.Duration{Duration: 5 * time.Minute}),
		Pending:     first(d.PodPendingTimeout, cfg.Plank.PodPendingTimeout, &metav1.Duration{Duration: 10 * time.Minute}),
		Running:     first(d.PodRunningTimeout, cfg.Plank.PodRunningTimeout, &metav1.Duration{Duration: 48 * time.Hour}),
	}
}

var _ reconcile.Reconciler = (*Reconciler)(nil)
