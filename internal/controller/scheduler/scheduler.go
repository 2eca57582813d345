// Package scheduler chooses the build cluster of ProwJobs that are made in the
// state "scheduling", and lets them go on as "triggered".
//
// The strategy comes from the configuration as it is at that moment: a table
// (failover), else a service that is asked (external), else the job's own
// cluster. A service that fails keeps no job from running: it then runs where it
// says itself.
package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

// Scheduler moves jobs from "scheduling" to "triggered".
type Scheduler struct {
	// Jobs reads ProwJobs through a cache, whose objects are not to be changed, and writes them.
	Jobs client.Client
	// Config is the current section of the configuration.
	Config func() config.Scheduler
	// DryRun: nothing is changed and nobody asked, decisions are logged.
	DryRun bool
	Now    func() time.Time
	Log    *slog.Logger

	mu       sync.Mutex
	external *external
}

// due tells whether a job waits for this controller.
func due(job *prowv1.ProwJob) bool {
	return job.Status.State == prowv1.SchedulingState && !job.Complete()
}

// Run schedules the jobs of a cache until ctx ends. It is a leader's work.
func (s *Scheduler) Run(ctx context.Context, cached cache.Cache) error {
	unique := true
	// One worker: a job name is asked for once, and the answer serves the jobs behind.
	c, err := controller.NewUnmanaged("scheduler", controller.Options{
		Reconciler: s, MaxConcurrentReconciles: 1, SkipNameValidation: &unique, Logger: logr.FromSlogHandler(s.Log.Handler()),
	})
	if err != nil {
		return fmt.Errorf("make the scheduler: %w", err)
	}
	jobs := source.Kind(cached, &prowv1.ProwJob{}, &handler.TypedEnqueueRequestForObject[*prowv1.ProwJob]{}, predicate.NewTypedPredicateFuncs(due))
	if err := c.Watch(jobs); err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	return c.Start(ctx)
}

// Reconcile chooses the cluster of one job.
func (s *Scheduler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	job := &prowv1.ProwJob{}
	if err := s.Jobs.Get(ctx, req.NamespacedName, job); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !due(job) {
		return reconcile.Result{}, nil
	}
	cluster := job.Spec.Cluster
	switch job.Spec.Agent {
	case prowv1.KubernetesAgent, prowv1.TektonAgent:
		cluster = s.choose(ctx, job)
	}
	log := prowjob.Logger(s.Log, job).With("cluster", job.Spec.Cluster, "scheduled", cluster)
	if s.DryRun {
		log.InfoContext(ctx, "dry run: the job is not scheduled")
		return reconcile.Result{}, nil
	}
	after := job.DeepCopy()
	after.Spec.Cluster, after.Status.State = cluster, prowv1.TriggeredState
	// An abort that comes first must not be overwritten.
	if err := s.Jobs.Patch(ctx, after, client.MergeFromWithOptions(job, client.MergeFromWithOptimisticLock{})); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(fmt.Errorf("schedule job %s: %w", job.Name, err))
	}
	log.InfoContext(ctx, "job scheduled", "from", prowv1.SchedulingState, "to", prowv1.TriggeredState)
	return reconcile.Result{}, nil
}

func (s *Scheduler) choose(ctx context.Context, job *prowv1.ProwJob) string {
	cfg := s.Config()
	switch {
	case cfg.Failover != nil:
		if to, ok := cfg.Failover.ClusterMappings[job.Spec.Cluster]; ok {
			return to
		}
		// A job without a cluster runs on the default one.
		if to, ok := cfg.Failover.ClusterMappings[job.ClusterAlias()]; ok {
			return to
		}
	case cfg.External != nil && !s.DryRun:
		cluster, err := s.asked(cfg.External).cluster(ctx, job.Spec.Job)
		if err != nil {
			prowjob.Logger(s.Log, job).WarnContext(ctx, "the scheduling service gives no answer; the job keeps its own cluster", "error", err)
			break
		}
		return cluster
	}
	return job.Spec.Cluster
}

// asked is the service of the configuration, with the answers it gave as long as
// its section stays the same.
func (s *Scheduler) asked(cfg *config.ExternalScheduling) *external {
	s.mu.Lock()
	defer s.mu.Unlock()
	settings := settingsOf(cfg)
	if s.external == nil || s.external.settings != settings {
		s.external = newExternal(settings, s.Now)
	}
	return s.external
}
