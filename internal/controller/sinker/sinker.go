package sinker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// reporterFinalizer holds a pod until its end has been recorded in storage.
const reporterFinalizer = "prow.x-k8s.io/gcsk8sreporter"

// Sinker deletes what is no longer needed.
type Sinker struct {
	// Jobs is a client of the service cluster that reads the API server itself.
	Jobs client.Client
	// Pods are clients of the build clusters, by alias.
	Pods    map[string]client.Client
	Config  func() *config.Config
	DryRun  bool
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
}

// Metrics tell what the last pass did.
type Metrics struct {
	podsExisting, jobsExisting, duration        prometheus.Gauge
	podsRemoved, podErrors, jobsRemoved, jobErr *prometheus.GaugeVec
}

// NewMetrics makes the metrics and registers them through register.
func NewMetrics(register func(prometheus.Collector)) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		register(g)
		return g
	}
	vec := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"reason"})
		register(g)
		return g
	}
	return &Metrics{
		podsExisting: gauge("sinker_pods_existing", "Number of pods that the last pass found."),
		duration:     gauge("sinker_loop_duration_seconds", "Time used by the last pass, in seconds."),
		podsRemoved:  vec("sinker_pods_removed", "Number of pods that the last pass removed, by reason."),
		podErrors:    vec("sinker_pod_removal_errors", "Number of pods that the last pass could not remove, by reason."),
		jobsExisting: gauge("sinker_prow_jobs_existing", "Number of ProwJobs that the last pass found."),
		jobsRemoved:  vec("sinker_prow_jobs_cleaned", "Number of ProwJobs that the last pass removed, by reason."),
		jobErr:       vec("sinker_prow_jobs_cleaning_errors", "Number of ProwJobs that the last pass could not remove, by reason."),
	}
}

// Pass makes one pass. It goes on where one deletion or one cluster fails and
// returns all errors.
func (s *Sinker) Pass(ctx context.Context) error {
	start := s.Now()
	for _, vec := range []*prometheus.GaugeVec{s.Metrics.podsRemoved, s.Metrics.podErrors, s.Metrics.jobsRemoved, s.Metrics.jobErr} {
		vec.Reset()
	}
	cfg := s.Config()
	a := ages{prowJob: duration(cfg.Sinker.MaxProwJobAge, 168*time.Hour), pod: duration(cfg.Sinker.MaxPodAge, 24*time.Hour)}
	a.terminatedPod = duration(cfg.Sinker.TerminatedPodTTL, a.pod)

	var list prowv1.ProwJobList
	if err := s.Jobs.List(ctx, &list, client.InNamespace(cfg.ProwJobNamespace)); err != nil {
		return fmt.Errorf("list ProwJobs: %w", err)
	}
	s.Metrics.jobsExisting.Set(float64(len(list.Items)))
	jobs := make(map[string]*prowv1.ProwJob, len(list.Items))
	for i := range list.Items {
		jobs[list.Items[i].Name] = &list.Items[i]
	}
	periodics := sets.New[string]()
	for i := range cfg.Periodics {
		periodics.Insert(cfg.Periodics[i].Name)
	}

	var errs []error
	for _, gone := range collectJobs(list.Items, periodics, a, start) {
		errs = append(errs, s.remove(ctx, s.Jobs, gone.object, gone.reason, s.Metrics.jobsRemoved, s.Metrics.jobErr))
	}
	existing := 0
	for alias, pods := range s.Pods {
		if slices.Contains(cfg.Sinker.ExcludeClusters, alias) {
			continue
		}
		n, err := s.passPods(ctx, pods, cfg, jobs, a)
		if err != nil {
			errs = append(errs, fmt.Errorf("build cluster %q: %w", alias, err))
		}
		existing += n
	}
	s.Metrics.podsExisting.Set(float64(existing))
	s.Metrics.duration.Set(s.Now().Sub(start).Seconds())
	return errors.Join(errs...)
}

func duration(d *metav1.Duration, fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	return d.Duration
}

func (s *Sinker) passPods(ctx context.Context, pods client.Client, cfg *config.Config, jobs map[string]*prowv1.ProwJob, a ages) (int, error) {
	var list corev1.PodList
	if err := pods.List(ctx, &list, client.InNamespace(cfg.PodNamespace), client.MatchingLabels{prowv1.CreatedByProwLabel: "true"}); err != nil {
		return 0, fmt.Errorf("list pods: %w", err)
	}
	var errs []error
	for i := range list.Items {
		if pod := &list.Items[i]; releasable(pod, jobs[jobName(pod)]) {
			errs = append(errs, s.release(ctx, pods, pod, cfg.ProwJobNamespace))
		}
	}
	for _, gone := range collectPods(list.Items, jobs, a, s.Now()) {
		if gone.reason == reasonOrphaned {
			orphaned, err := s.orphaned(ctx, cfg.ProwJobNamespace, jobName(gone.object))
			if err != nil || !orphaned {
				errs = append(errs, err)
				continue
			}
		}
		errs = append(errs, s.remove(ctx, pods, gone.object, gone.reason, s.Metrics.podsRemoved, s.Metrics.podErrors))
	}
	return len(list.Items), errors.Join(errs...)
}

// releasable tells whether nothing will take the reporter's finalizer off a pod
// any more: its job is gone, or its end has been reported.
func releasable(pod *corev1.Pod, job *prowv1.ProwJob) bool {
	if !controllerutil.ContainsFinalizer(pod, reporterFinalizer) {
		return false
	}
	return job == nil || job.Complete() && job.Status.PrevReportStates["gcsk8sreporter"] == job.Status.State
}

func (s *Sinker) release(ctx context.Context, pods client.Client, pod *corev1.Pod, jobNamespace string) error {
	if orphaned, err := s.orphaned(ctx, jobNamespace, jobName(pod)); err != nil {
		return err
	} else if !orphaned && pod.DeletionTimestamp == nil && s.Now().Sub(pod.CreationTimestamp.Time) <= orphanAge {
		return nil
	}
	if s.DryRun {
		return nil
	}
	before := pod.DeepCopy()
	controllerutil.RemoveFinalizer(pod, reporterFinalizer)
	if err := pods.Patch(ctx, pod, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release pod %s: %w", pod.Name, err)
	}
	return nil
}

func (s *Sinker) orphaned(ctx context.Context, namespace, job string) (bool, error) {
	err := s.Jobs.Get(ctx, types.NamespacedName{Namespace: namespace, Name: job}, &prowv1.ProwJob{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

func (s *Sinker) remove(ctx context.Context, c client.Client, o client.Object, reason string, removed, failed *prometheus.GaugeVec) error {
	log := s.Log.With("name", o.GetName(), "kind", fmt.Sprintf("%T", o), "reason", reason)
	if s.DryRun {
		log.InfoContext(ctx, "dry-run: not removed")
		return nil
	}
	// The version pins what was decided on: an object that changed since is decided on again.
	version := o.GetResourceVersion()
	err := c.Delete(ctx, o, client.Preconditions{ResourceVersion: &version})
	switch {
	case err == nil:
		removed.WithLabelValues(reason).Inc()
		log.InfoContext(ctx, "removed")
		return nil
	case apierrors.IsNotFound(err):
		failed.WithLabelValues(string(apierrors.ReasonForError(err))).Inc()
		return nil
	}
	failed.WithLabelValues(string(apierrors.ReasonForError(err))).Inc()
	return fmt.Errorf("remove %s: %w", o.GetName(), err)
}
