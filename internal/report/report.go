package report

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/prowjob"
)

const (
	// reportLimit bounds one look at one job.
	reportLimit = 30 * time.Minute
	// firstRetry and lastRetry are the delays of tries after a failure. The last is
	// short enough that a place that heals soon has everything.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Minute
	// retriesPerSecond and retryBurst bound the tries of one reporter together, so
	// that a place that is down is not stormed by all jobs at once.
	retriesPerSecond, retryBurst = 10, 100
	// userErrorAttempts is how often a report is tried that only a person can mend.
	userErrorAttempts = 5
)

// Reporter tells one place about jobs. Its methods may run concurrently for
// different jobs.
type Reporter interface {
	// Name is the key of the reporter in status.prev_report_states.
	Name() string
	// ShouldReport tells whether the reporter speaks about the job at all. It gets a
	// slim job, see Slimmer, and is asked again about the whole one before a report.
	ShouldReport(ctx context.Context, job *prowv1.ProwJob) bool
	// Report tells about the job and returns the jobs it has told about. A
	// positive again asks to be called later; then nothing is recorded. It may be
	// called again for what it has told already, where the record was lost, and must
	// not show that twice. Errors that stay until a person changes a configuration
	// are marked with UserError.
	Report(ctx context.Context, job *prowv1.ProwJob) (reported []*prowv1.ProwJob, again time.Duration, err error)
}

// Relater is a reporter that tells about several jobs together.
type Relater interface {
	// Related are the jobs to be looked at because this one has changed.
	Related(ctx context.Context, job *prowv1.ProwJob) []types.NamespacedName
}

// Reconciler looks at one job for one reporter.
type Reconciler struct {
	// Jobs reads slim jobs, from a cache.
	Jobs client.Reader
	// Whole reads jobs as they are now.
	Whole    client.Reader
	Reporter Reporter
	Record   Record
	// Enabled tells whether a repository is served; a job needs one such among
	// its refs, or no refs. Nil serves all.
	Enabled func(org, repo string) bool
	// DryRun logs what would be reported, and neither reports nor records.
	DryRun  bool
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics

	mu sync.Mutex
	// userErrors counts the failures that only a person can mend.
	userErrors map[reconcile.Request]attempts
}

// attempts counts tries to report one state.
type attempts struct {
	state prowv1.ProwJobState
	count int
}

// AddToManager registers the controller with so many workers.
func (r *Reconciler) AddToManager(mgr ctrl.Manager, workers int) error {
	skip := true
	unrecorded := predicate.NewPredicateFuncs(func(object client.Object) bool {
		job, ok := object.(*prowv1.ProwJob)
		return ok && job.Status.PrevReportStates[r.Reporter.Name()] != job.Status.State
	})
	b := ctrl.NewControllerManagedBy(mgr).Named("crier_"+r.Reporter.Name()).For(&prowv1.ProwJob{}, builder.WithPredicates(unrecorded))
	if relater, ok := r.Reporter.(Relater); ok {
		b = b.Watches(&prowv1.ProwJob{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
			job, ok := object.(*prowv1.ProwJob)
			if !ok {
				return nil
			}
			var requests []reconcile.Request
			for _, key := range relater.Related(ctx, job) {
				requests = append(requests, reconcile.Request{NamespacedName: key})
			}
			return requests
		}))
	}
	err := b.
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter: workqueue.NewTypedMaxOfRateLimiter(
				workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
				&workqueue.TypedBucketRateLimiter[reconcile.Request]{Limiter: rate.NewLimiter(retriesPerSecond, retryBurst)},
			),
			SkipNameValidation: &skip,
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
	slim := &prowv1.ProwJob{}
	if err := r.Jobs.Get(ctx, req.NamespacedName, slim); err != nil {
		r.forget(req)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !r.due(ctx, slim) {
		return reconcile.Result{}, nil
	}
	// The cache may be old, and holds only a part of the job: what is reported is the
	// job as it is now, so a state that is recorded already is never told again.
	job := &prowv1.ProwJob{}
	if err := r.Whole.Get(ctx, req.NamespacedName, job); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !r.due(ctx, job) {
		return reconcile.Result{}, nil
	}
	name := r.Reporter.Name()
	log := prowjob.Logger(r.Log, job).With("reporter", name)
	if r.DryRun {
		log.InfoContext(ctx, "dry-run: would report")
		return reconcile.Result{}, nil
	}
	reported, again, err := r.Reporter.Report(ctx, job.DeepCopy())
	if err != nil {
		return reconcile.Result{}, r.failed(ctx, log, req, job, err)
	}
	r.forget(req)
	if again > 0 {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	r.Metrics.result(name, "SUCCESS")
	for _, j := range reported {
		if err := r.Record.Write(ctx, j, ""); err != nil {
			return reconcile.Result{}, err
		}
	}
	if job.Complete() {
		r.Metrics.latency.WithLabelValues(name).Observe(r.Now().Sub(job.Status.CompletionTime.Time).Seconds())
	}
	log.InfoContext(ctx, "reported", "jobs", len(reported))
	return reconcile.Result{}, nil
}

// due tells whether the state of the job is to be reported.
func (r *Reconciler) due(ctx context.Context, job *prowv1.ProwJob) bool {
	return job.Status.PrevReportStates[r.Reporter.Name()] != job.Status.State && r.enabled(job) && r.Reporter.ShouldReport(ctx, job)
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

// failed decides what becomes of a failed report. The error it returns makes the
// queue try again.
func (r *Reconciler) failed(ctx context.Context, log *slog.Logger, req reconcile.Request, job *prowv1.ProwJob, cause error) error {
	r.Metrics.result(r.Reporter.Name(), "ERROR")
	if !IsUserError(cause) {
		log.ErrorContext(ctx, "report failed, will be tried again", "error", cause)
		return cause
	}
	if n := r.countUserError(req, job.Status.State); n < userErrorAttempts {
		log.DebugContext(ctx, "report failed by its configuration, will be tried again", "error", cause, "attempt", n)
		return cause
	}
	if err := r.Record.Write(ctx, job, fmt.Sprintf("%s: %v", job.Status.State, cause)); err != nil {
		return err
	}
	r.forget(req)
	log.WarnContext(ctx, "report given up: its configuration must be changed", "error", cause, "attempts", userErrorAttempts)
	return nil
}

func (r *Reconciler) countUserError(req reconcile.Request, state prowv1.ProwJobState) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.userErrors == nil {
		r.userErrors = map[reconcile.Request]attempts{}
	}
	a := r.userErrors[req]
	if a.state != state {
		a = attempts{state: state}
	}
	a.count++
	r.userErrors[req] = a
	return a.count
}

func (r *Reconciler) forget(req reconcile.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.userErrors, req)
}
