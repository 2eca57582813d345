package report

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/prowjob"
)

const (
	// reportLimit bounds one look at one job.
	reportLimit = 30 * time.Minute
	// seenPoll and seenLimit wait for the cache to show a recorded report, so
	// that a stale read makes no second one.
	seenPoll  = 100 * time.Millisecond
	seenLimit = 10 * time.Second
)

// Reporter tells one place about jobs. Its methods may run concurrently for
// different jobs.
type Reporter interface {
	// Name is the key of the reporter in status.prev_report_states.
	Name() string
	// ShouldReport tells whether the reporter speaks about the job at all.
	ShouldReport(ctx context.Context, job *prowv1.ProwJob) bool
	// Report tells about the job and returns the jobs it has told about. A
	// positive again asks to be called later; then nothing is recorded.
	Report(ctx context.Context, job *prowv1.ProwJob) (reported []*prowv1.ProwJob, again time.Duration, err error)
}

// Metrics tell how reporting fares.
type Metrics struct {
	latency *prometheus.HistogramVec
	results *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them through register.
func NewMetrics(register func(prometheus.Collector)) *Metrics {
	m := &Metrics{
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crier_report_latency", Help: "Seconds from the completion of a job to its report.",
			Buckets: []float64{1, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 2700, 3600, 5400, 7200},
		}, []string{"reporter"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crier_reporting_results", Help: "Number of reports, by reporter and result.",
		}, []string{"reporter", "result"}),
	}
	register(m.latency)
	register(m.results)
	return m
}

// Reconciler looks at one job for one reporter.
type Reconciler struct {
	Jobs     client.Client
	Reporter Reporter
	// Enabled tells whether a repository is served; a job needs one such among
	// its refs, or no refs.
	Enabled func(org, repo string) bool
	DryRun  bool
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
}

// AddToManager registers the controller with so many workers.
func (r *Reconciler) AddToManager(mgr ctrl.Manager, workers int) error {
	skip := true
	err := ctrl.NewControllerManagedBy(mgr).Named("crier_" + r.Reporter.Name()).For(&prowv1.ProwJob{}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, 1000*time.Second),
			SkipNameValidation:      &skip,
		}).Complete(r)
	if err != nil {
		return fmt.Errorf("make the controller of %s: %w", r.Reporter.Name(), err)
	}
	return nil
}

// Reconcile reports a job if its state has not been reported yet.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	job := &prowv1.ProwJob{}
	if err := r.Jobs.Get(ctx, req.NamespacedName, job); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	name := r.Reporter.Name()
	if !r.enabled(job) || job.Status.PrevReportStates[name] == job.Status.State || !r.Reporter.ShouldReport(ctx, job) {
		return reconcile.Result{}, nil
	}
	log := prowjob.Logger(r.Log, job).With("reporter", name)
	reported, again, err := r.Reporter.Report(ctx, job.DeepCopy())
	if err != nil {
		r.Metrics.results.WithLabelValues(name, "ERROR").Inc()
		log.WarnContext(ctx, "report failed, will be tried again", "error", err)
		return reconcile.Result{}, err
	}
	if again > 0 {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	r.Metrics.results.WithLabelValues(name, "SUCCESS").Inc()
	if r.DryRun {
		return reconcile.Result{}, nil
	}
	for _, j := range reported {
		if err := r.record(ctx, j); err != nil {
			return reconcile.Result{}, err
		}
	}
	if job.Complete() {
		r.Metrics.latency.WithLabelValues(name).Observe(r.Now().Sub(job.Status.CompletionTime.Time).Seconds())
	}
	log.InfoContext(ctx, "reported", "jobs", len(reported))
	return reconcile.Result{}, nil
}

func (r *Reconciler) enabled(job *prowv1.ProwJob) bool {
	refs := job.Spec.ExtraRefs
	if job.Spec.Refs != nil {
		refs = append([]prowv1.Refs{*job.Spec.Refs}, refs...)
	}
	for _, ref := range refs {
		if r.Enabled == nil || r.Enabled(ref.Org, ref.Repo) {
			return true
		}
	}
	return len(refs) == 0
}

// record writes down which state of a job was reported. A state that changed
// while it was reported differs from it and is reported again.
func (r *Reconciler) record(ctx context.Context, reported *prowv1.ProwJob) error {
	key, name, state := client.ObjectKeyFromObject(reported), r.Reporter.Name(), reported.Status.State
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var job prowv1.ProwJob
		if err := r.Jobs.Get(ctx, key, &job); err != nil {
			return err
		}
		after := job.DeepCopy()
		if after.Status.PrevReportStates == nil {
			after.Status.PrevReportStates = map[string]prowv1.ProwJobState{}
		}
		after.Status.PrevReportStates[name] = state
		return r.Jobs.Patch(ctx, after, client.MergeFrom(&job))
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record the report of %s: %w", key, err)
	}
	err = wait.PollUntilContextTimeout(ctx, seenPoll, seenLimit, true, func(ctx context.Context) (bool, error) {
		var job prowv1.ProwJob
		if err := r.Jobs.Get(ctx, key, &job); err != nil {
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
		return job.Status.PrevReportStates[name] == state, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the recorded report of %s: %w", key, err)
	}
	return nil
}
