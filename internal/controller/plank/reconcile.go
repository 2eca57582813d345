package plank

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube/fleet"
	"prow/internal/prowjob"
)

const (
	// clusterRetry is when a job is looked at again whose cluster does not answer;
	// it is looked at as well as soon as the cluster does.
	clusterRetry = 30 * time.Second
	// staleRetry is when a job is looked at again that the cache shows as it was;
	// usually the event of what it is comes first.
	staleRetry = time.Second
	// reporterFinalizer holds a pod until its end has been recorded in storage.
	reporterFinalizer = "prow.x-k8s.io/gcsk8sreporter"
	// maxDescription bounds a description, in bytes: messages of pods end up there.
	maxDescription = 1024
)

// Clusters finds build clusters by alias. With a standing other than Up the
// error says what is wrong.
type Clusters interface {
	Cluster(alias string) (fleet.Cluster, fleet.Standing, error)
}

// Reconciler decides about one job at a time and acts.
type Reconciler struct {
	// Jobs reads ProwJobs through a cache, whose objects are shared and slim, and writes them.
	Jobs client.Client
	// Live reads ProwJobs at the API server.
	Live client.Reader
	// Clusters are the build clusters.
	Clusters Clusters
	// Config is the current configuration.
	Config func() *config.Config
	// BuildPod makes the pod of a job whose build ID is set.
	BuildPod func(*prowv1.ProwJob) (*corev1.Pod, error)
	// NewBuildID names a run.
	NewBuildID func(ctx context.Context, job string) (string, error)
	// JobURL is the URL of a job's page; after an error the job keeps the one it has.
	JobURL func(*prowv1.ProwJob) (string, error)
	// Version is put on pods.
	Version string
	// DryRun: nothing is changed, decisions are logged.
	DryRun bool
	Now    func() time.Time
	Log    *slog.Logger

	ledger *ledger
	// wake asks for looks at jobs.
	wake func([]types.NamespacedName)
}

// Reconcile looks at one job. It returns when to look again, 0 for never.
func (r *Reconciler) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	job := &prowv1.ProwJob{}
	if err := r.Jobs.Get(ctx, key, job); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	if !minds(job) {
		return 0, nil
	}
	if err := r.abortSuperseded(ctx, job); err != nil {
		return 0, err
	}
	switch job.Status.State {
	case prowv1.TriggeredState, prowv1.PendingState, prowv1.AbortedState:
	default:
		return 0, nil
	}

	cluster, standing, why := r.Clusters.Cluster(job.ClusterAlias())
	switch {
	case standing == fleet.Up:
	case job.Status.State == prowv1.AbortedState && (standing == fleet.Unknown || job.Status.BuildID == ""):
		// There is no pod, or none that could be reached.
		d := decide(job, nil, r.rules(job), r.Now())
		d.pod = leavePod
		return r.act(ctx, cluster, job, nil, d)
	case standing == fleet.Unknown:
		return r.act(ctx, cluster, job, nil, ended(prowv1.ErrorState, prowv1.ReasonUnknownCluster, "%s", sentence(why)))
	default:
		return clusterRetry, r.wait(ctx, job, prowv1.ReasonWaitingForCluster, fmt.Sprintf("Waiting for build cluster %s: %v", job.ClusterAlias(), why))
	}

	pod, err := r.pod(ctx, cluster, job)
	if err != nil {
		return 0, err
	}
	d := decide(job, pod, r.rules(job), r.Now())
	if d.acts() {
		if job.Status.State == prowv1.TriggeredState && pod == nil {
			if ok, reason, why := r.ledger.reserve(job, r.limits()); !ok {
				// Most waits are short, and telling is a write.
				if r.Now().Sub(job.CreationTimestamp.Time) < limitRetry {
					return limitRetry, nil
				}
				if _, known := r.Config().Plank.JobQueueCapacities[job.Spec.JobQueueName]; reason == prowv1.ReasonWaitingForQueue && !known && reason != job.Status.Reason {
					prowjob.Logger(r.Log, job).ErrorContext(ctx, "a job waits for a queue that is not configured", "queue", job.Spec.JobQueueName)
				}
				return limitRetry, r.wait(ctx, job, reason, why)
			}
		}
		return r.act(ctx, cluster, job, pod, d)
	}
	if job.Status.State == prowv1.PendingState && pod != nil {
		return d.after, r.wait(ctx, job, d.reason, d.sentence)
	}
	return d.after, nil
}

// minds tells whether a job is work for this controller.
func minds(job *prowv1.ProwJob) bool {
	return !job.Complete() && job.Spec.Agent == prowv1.KubernetesAgent && job.Status.State != prowv1.SchedulingState
}

// act does what was decided from cached objects. It reads the job again, and
// decides again if it is not the same: caches lag.
func (r *Reconciler) act(ctx context.Context, cluster fleet.Cluster, seen *prowv1.ProwJob, pod *corev1.Pod, d decision) (time.Duration, error) {
	kept := false
	defer func() {
		if !kept {
			r.wake(r.ledger.release(seen.UID))
		}
	}()
	if r.DryRun {
		prowjob.Logger(r.Log, seen).InfoContext(ctx, "dry run: nothing is changed", "pod", d.pod.String(), "to", d.state, "complete", d.complete, "reason", d.reason, "description", d.sentence)
		return 0, nil
	}
	job := &prowv1.ProwJob{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(seen), job); apierrors.IsNotFound(err) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("read job %s: %w", seen.Name, err)
	}
	if differs(seen, job) {
		// The event of the newer one is on its way; it is looked at from the start.
		if slim, err := SlimJob(job); err == nil {
			r.wake(r.ledger.observe(slim.(*prowv1.ProwJob), false))
		}
		return staleRetry, nil
	}
	before := job.DeepCopy()

	switch d.pod {
	case startPod:
		if err := r.start(ctx, cluster, job, pod); err != nil {
			return r.startFailed(ctx, before, job, err)
		}
		// From here on it holds its place, even if the job cannot be written at once.
		kept = true
		started(job, r.Now())
	case countPod:
		// The count goes first: a pod that is replaced without being counted could be replaced without end.
		job.Status.PodRevivalCount++
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, revivedAnnotation, buildIDMark(job))
		job.Status.Reason, job.Status.Description = d.reason, clip(d.sentence)
		if err := r.patch(ctx, before, job); err != nil {
			return 0, err
		}
		if pod != nil {
			if err := r.release(ctx, cluster, pod); err != nil {
				return 0, err
			}
			return goneRetry, r.remove(ctx, cluster, pod)
		}
		return staleRetry, nil
	case deletePod:
		if counted(job) && !d.complete {
			if err := r.release(ctx, cluster, pod); err != nil {
				return 0, err
			}
		}
		if err := r.remove(ctx, cluster, pod); err != nil {
			return 0, err
		}
		if !d.complete {
			return d.after, nil
		}
	}
	if d.complete {
		finish(job, d, r.Now())
	}
	r.setURL(ctx, job)
	err := r.patch(ctx, before, job)
	if apierrors.IsConflict(err) && d.pod == startPod && pod == nil {
		return 0, errors.Join(err, r.dropIfComplete(ctx, cluster, job))
	}
	return 0, err
}

// differs tells whether a job went on since a cache showed it, in anything that
// decisions read.
func differs(seen, job *prowv1.ProwJob) bool {
	return seen.UID != job.UID || seen.Status.State != job.Status.State || seen.Complete() != job.Complete() ||
		seen.Status.BuildID != job.Status.BuildID || seen.Status.PodRevivalCount != job.Status.PodRevivalCount ||
		seen.Annotations[revivedAnnotation] != job.Annotations[revivedAnnotation] || seen.Spec.Cluster != job.Spec.Cluster
}

// started records that the job has a pod.
func started(job *prowv1.ProwJob, now time.Time) {
	job.Status.PodName, job.Status.Reason, job.Status.Description = job.Name, "", startedDescription
	if job.Status.State == prowv1.TriggeredState {
		t := metav1.NewTime(now)
		job.Status.State, job.Status.PendingTime = prowv1.PendingState, &t
	}
	// The workload's identity is put on the job as well: others select on it.
	metav1.SetMetaDataLabel(&job.ObjectMeta, prowv1.ProwJobIDLabel, job.Name)
	metav1.SetMetaDataLabel(&job.ObjectMeta, prowv1.BuildIDLabel, job.Status.BuildID)
}

// finish completes a job; without a sentence it keeps its description.
func finish(job *prowv1.ProwJob, d decision, now time.Time) {
	t := metav1.NewTime(now)
	job.Status.CompletionTime, job.Status.Reason = &t, d.reason
	if d.state != "" {
		job.Status.State = d.state
	}
	if d.sentence != "" {
		job.Status.Description = clip(d.sentence)
	}
}

// start makes the pod of a job, or adopts the one that an earlier look made
// before its write was lost. It sets the build ID of the job.
func (r *Reconciler) start(ctx context.Context, cluster fleet.Cluster, job *prowv1.ProwJob, pod *corev1.Pod) error {
	if pod != nil {
		return r.adopt(ctx, job, pod)
	}
	id, err := r.NewBuildID(ctx, job.Spec.Job)
	if err != nil {
		return fmt.Errorf("get a build ID: %w", err)
	}
	job.Status.BuildID = id
	pod, err = r.BuildPod(job)
	if err != nil {
		return &invalidJobError{err}
	}
	pod.Namespace = r.Config().PodNamespace
	metav1.SetMetaDataLabel(&pod.ObjectMeta, prowv1.PlankVersionLabel, labelValue(r.Version))
	err = cluster.API.Create(ctx, pod)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("create pod %s/%s: %w", pod.Namespace, pod.Name, err)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	// The cache does not show it yet, or it is somebody else's.
	there := &corev1.Pod{}
	if err := cluster.API.Get(ctx, client.ObjectKeyFromObject(pod), there); err != nil {
		return fmt.Errorf("read pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if there.Labels[prowv1.CreatedByProwLabel] != "true" {
		return &refusedError{fmt.Errorf("%w, and it is not a pod of Prow", err)}
	}
	if podBuildID(there) == job.Annotations[revivedAnnotation] {
		return fmt.Errorf("the pod of the run before still exists: %w", err)
	}
	return r.adopt(ctx, job, there)
}

func (r *Reconciler) adopt(ctx context.Context, job *prowv1.ProwJob, pod *corev1.Pod) error {
	id := podBuildID(pod)
	if id == "" {
		prowjob.Logger(r.Log, job).WarnContext(ctx, "the pod of the job tells no build ID")
	}
	job.Status.BuildID = id
	return nil
}

// refusedError marks a pod that will not be accepted by asking again.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// invalidJobError marks a job that no pod can be made of.
type invalidJobError struct{ error }

func (e *invalidJobError) Unwrap() error { return e.error }

// startFailed records why a job has no pod: for good where the API server refuses
// it, else as what the job waits for.
func (r *Reconciler) startFailed(ctx context.Context, before, job *prowv1.ProwJob, cause error) (time.Duration, error) {
	var refused *refusedError
	var invalid *invalidJobError
	switch {
	case errors.As(cause, &refused), isRefusal(cause):
		finish(job, ended(prowv1.ErrorState, prowv1.ReasonPodRefused, "The pod cannot be created: %v", cause), r.Now())
		return 0, r.patch(ctx, before, job)
	case errors.As(cause, &invalid):
		return 0, errors.Join(cause, r.wait(ctx, before, prowv1.ReasonInvalidJob, "No pod can be made of the job: "+cause.Error()))
	}
	reason := prowv1.ReasonPodCreationFailing
	var status apierrors.APIStatus
	if !errors.As(cause, &status) {
		reason = prowv1.ReasonWaitingForCluster
	}
	return 0, errors.Join(cause, r.wait(ctx, before, reason, "The pod cannot be created yet: "+cause.Error()))
}

// isRefusal tells of an answer of the API server that will not change by asking
// again. Too many requests, expired credentials, a conflict with another write
// and a request that took too long pass.
func isRefusal(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	default:
		return code >= 400 && code < 500
	}
}

// dropIfComplete removes the pod that was made for a job that meanwhile ended:
// nothing would look at it any more.
func (r *Reconciler) dropIfComplete(ctx context.Context, cluster fleet.Cluster, job *prowv1.ProwJob) error {
	now := &prowv1.ProwJob{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(job), now)
	if err != nil && !apierrors.IsNotFound(err) || err == nil && !now.Complete() {
		return client.IgnoreNotFound(err)
	}
	pod := &corev1.Pod{}
	if err := cluster.API.Get(ctx, r.podKey(job), pod); err != nil {
		return client.IgnoreNotFound(err)
	}
	if podBuildID(pod) != job.Status.BuildID {
		return nil
	}
	return r.remove(ctx, cluster, pod)
}

// release takes the reporter's hold off a lost pod: it would keep the name of the
// pod that replaces it.
func (r *Reconciler) release(ctx context.Context, cluster fleet.Cluster, pod *corev1.Pod) error {
	if pod == nil || !controllerutil.ContainsFinalizer(pod, reporterFinalizer) {
		return nil
	}
	free := pod.DeepCopy()
	controllerutil.RemoveFinalizer(free, reporterFinalizer)
	if err := cluster.API.Patch(ctx, free, client.MergeFromWithOptions(pod, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release pod %s: %w", pod.Name, err)
	}
	return nil
}

// remove deletes a pod, and only this one, with the grace it asks for; nil and
// gone are fine.
func (r *Reconciler) remove(ctx context.Context, cluster fleet.Cluster, pod *corev1.Pod) error {
	if pod == nil || pod.DeletionTimestamp != nil {
		return nil
	}
	if err := cluster.API.Delete(ctx, pod, client.Preconditions{UID: &pod.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// setURL computes the URL again. A job that has one keeps it if that fails.
func (r *Reconciler) setURL(ctx context.Context, job *prowv1.ProwJob) {
	if job.Status.BuildID == "" {
		return
	}
	url, err := r.JobURL(job)
	if err != nil {
		prowjob.Logger(r.Log, job).WarnContext(ctx, "the URL of the job cannot be computed", "error", err)
		return
	}
	job.Status.URL = url
}

func (r *Reconciler) podKey(job *prowv1.ProwJob) types.NamespacedName {
	return types.NamespacedName{Namespace: r.Config().PodNamespace, Name: job.Name}
}

// pod reads the pod of a job; nil where there is none. Before a pod is taken for
// lost, or for another run's, the API server is asked: caches lag.
func (r *Reconciler) pod(ctx context.Context, cluster fleet.Cluster, job *prowv1.ProwJob) (*corev1.Pod, error) {
	key := r.podKey(job)
	for i, reader := range []client.Reader{cluster.Cached, cluster.API} {
		cached := i == 0
		pod := &corev1.Pod{}
		err := reader.Get(ctx, key, pod)
		switch {
		case err == nil:
			if !cached || job.Status.State == prowv1.TriggeredState || podBuildID(pod) == job.Status.BuildID && !counted(job) {
				return pod, nil
			}
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("read pod %s: %w", key, err)
		case job.Status.State == prowv1.TriggeredState:
			// If there is one after all, its creation tells.
			return nil, nil
		}
	}
	return nil, nil
}

// abortSuperseded aborts presubmits that a newer run of the same job on the same
// pull request replaces; the one being looked at may be one of them.
func (r *Reconciler) abortSuperseded(ctx context.Context, job *prowv1.ProwJob) error {
	if r.DryRun {
		return nil
	}
	var errs []error
	for _, old := range r.ledger.duplicates(job) {
		after := old.DeepCopy()
		prowjob.Supersede(after)
		after.Status.Reason = prowv1.ReasonSuperseded
		// One that cannot be written keeps no other from being aborted.
		if err := r.patch(ctx, old, after); client.IgnoreNotFound(err) != nil {
			errs = append(errs, err)
		}
		if old.UID == job.UID {
			job.Status = after.Status
		}
	}
	return errors.Join(errs...)
}

// wait records what a job waits for, if that is something else than before.
func (r *Reconciler) wait(ctx context.Context, job *prowv1.ProwJob, reason prowv1.Reason, why string) error {
	if r.DryRun || job.Status.Reason == reason || job.Complete() || job.Status.State == prowv1.AbortedState {
		return nil
	}
	after := job.DeepCopy()
	after.Status.Reason, after.Status.Description = reason, clip(why)
	if reason == "" {
		after.Status.Description = startedDescription
	}
	return r.patch(ctx, job, after)
}

// patch writes the difference between two versions of a job, unless somebody else
// wrote in between.
func (r *Reconciler) patch(ctx context.Context, before, after *prowv1.ProwJob) error {
	written := after.DeepCopy()
	if err := r.Jobs.Patch(ctx, written, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("write job %s: %w", after.Name, err)
	}
	if before.Status.State != written.Status.State || before.Complete() != written.Complete() || before.Status.Reason != written.Status.Reason {
		prowjob.Logger(r.Log, written).InfoContext(ctx, "job changed", "from", before.Status.State, "to", written.Status.State,
			"complete", written.Complete(), "reason", written.Status.Reason, "description", written.Status.Description)
	}
	if slim, err := SlimJob(written); err == nil {
		r.wake(r.ledger.observe(slim.(*prowv1.ProwJob), false))
	}
	return nil
}

func (r *Reconciler) rules(job *prowv1.ProwJob) rules {
	cfg := r.Config()
	return rules{timeouts: timeouts(job, cfg), maxRevivals: maxRevivals(cfg)}
}

func (r *Reconciler) limits() limits {
	cfg := r.Config()
	return limits{global: cfg.Plank.MaxConcurrency, queues: cfg.Plank.JobQueueCapacities}
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

// labelValue makes a version usable as a label.
func labelValue(version string) string {
	out := []rune(version)
	for i, c := range out {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			out[i] = '-'
		}
	}
	return strings.Trim(string(out[:min(len(out), 63)]), "-._")
}

// sentence is an error as one.
func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// clip bounds a description.
func clip(s string) string {
	if len(s) <= maxDescription {
		return s
	}
	return strings.ToValidUTF8(s[:maxDescription-len("…")], "") + "…"
}
