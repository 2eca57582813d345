package plank

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
)

const (
	workers = 10
	// activeIndex finds the jobs that count for limits and duplicates.
	activeIndex = "active"
	indexed     = "yes"
)

// active tells whether a job competes with others: it is pending or triggered,
// of this agent, and not complete.
func active(job *prowv1.ProwJob) bool {
	return !job.Complete() && job.Spec.Agent == prowv1.KubernetesAgent &&
		(job.Status.State == prowv1.PendingState || job.Status.State == prowv1.TriggeredState)
}

// minds tells whether events of a job matter to this controller.
func minds(job *prowv1.ProwJob) bool {
	return !job.Complete() && job.Spec.Agent == prowv1.KubernetesAgent && job.Status.State != prowv1.SchedulingState
}

// AddToManager registers the controller. mgr's cache must hold the ProwJobs; build
// are the build clusters by alias, already added to mgr.
func (r *Reconciler) AddToManager(ctx context.Context, mgr ctrl.Manager, build map[string]cluster.Cluster) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &prowv1.ProwJob{}, activeIndex, func(o client.Object) []string {
		if active(o.(*prowv1.ProwJob)) {
			return []string{indexed}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index ProwJobs: %w", err)
	}
	unique := true
	c, err := controller.New("plank", mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, 30*time.Second),
		// Several installations of this controller live in one process in tests and on a laptop.
		SkipNameValidation: &unique,
	})
	if err != nil {
		return fmt.Errorf("make the controller: %w", err)
	}
	jobs := source.Kind(mgr.GetCache(), &prowv1.ProwJob{}, &handler.TypedEnqueueRequestForObject[*prowv1.ProwJob]{},
		predicate.NewTypedPredicateFuncs(minds))
	if err := c.Watch(jobs); err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	toJob := handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, pod *corev1.Pod) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: r.Config().ProwJobNamespace, Name: pod.Name}}}
	})
	ours := predicate.NewTypedPredicateFuncs(func(pod *corev1.Pod) bool { return pod.Labels[prowv1.CreatedByProwLabel] == "true" })
	for alias, c2 := range build {
		if err := c.Watch(source.Kind(c2.GetCache(), &corev1.Pod{}, toJob, ours)); err != nil {
			return fmt.Errorf("watch pods of build cluster %q: %w", alias, err)
		}
	}
	return nil
}

// NewBuildClusters makes a cluster with a cache of pods for each configuration.
func NewBuildClusters(mgr ctrl.Manager, clusters kube.Clusters, podNamespace string, dryRun bool) (map[string]cluster.Cluster, error) {
	out := map[string]cluster.Cluster{}
	for alias, config := range clusters.Build() {
		c, err := cluster.New(config, func(o *cluster.Options) {
			o.Scheme = mgr.GetScheme()
			o.Cache.DefaultNamespaces = map[string]cache.Config{podNamespace: {}}
			o.Client.DryRun = &dryRun
		})
		if err != nil {
			return nil, fmt.Errorf("build cluster %q: %w", alias, err)
		}
		if err := mgr.Add(c); err != nil {
			return nil, fmt.Errorf("build cluster %q: %w", alias, err)
		}
		out[alias] = c
	}
	return out, nil
}
