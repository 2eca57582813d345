package plank

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube/fleet"
)

// Verbs are those on pods that a build cluster must allow.
func Verbs() []string { return []string{"create", "delete", "list", "watch", "get", "patch"} }

// PodSelector selects the pods of ProwJobs.
func PodSelector() labels.Selector {
	return labels.SelectorFromSet(labels.Set{prowv1.CreatedByProwLabel: "true"})
}

// nowhere is the lane of jobs whose cluster is unknown. Aliases are made up by
// people, so they get no lanes of their own.
const nowhere = "(unknown)"

// Controller feeds a Reconciler with events.
type Controller struct {
	r        *Reconciler
	lanes    *lanes
	metrics  *jobMetrics
	loop     *loopMetrics
	selector labels.Selector
	synced   func() bool

	mu sync.Mutex
	// ending are jobs with work for this controller that the ledger does not have:
	// those that were aborted and are not complete.
	ending map[types.NamespacedName]*prowv1.ProwJob
}

// New makes the controller of a reconciler. Only events of pods that selector
// matches are honoured; nil is all.
func New(r *Reconciler, selector labels.Selector) *Controller {
	if selector == nil {
		selector = labels.Everything()
	}
	c := &Controller{r: r, metrics: newJobMetrics(), selector: selector, synced: func() bool { return false }, ending: map[types.NamespacedName]*prowv1.ProwJob{}}
	c.lanes = &lanes{look: r.Reconcile, log: r.Log}
	c.loop = newLoopMetrics(c)
	c.lanes.observe = func(lane string, took time.Duration, err error) {
		outcome := "ok"
		if err != nil {
			outcome = "error"
		}
		c.loop.looks.WithLabelValues(lane, outcome).Observe(took.Seconds())
	}
	r.ledger = newLedger()
	r.wake = func(keys []types.NamespacedName) {
		for _, key := range keys {
			c.look(key)
		}
	}
	return c
}

// Metrics are the controller's collectors.
func (c *Controller) Metrics() []prometheus.Collector {
	return []prometheus.Collector{c.metrics, c.loop}
}

// Watch lets the controller follow the ProwJobs of a cache, also while another
// replica leads, so that it is up to date when its turn comes.
func (c *Controller) Watch(ctx context.Context, jobs cache.Cache) error {
	informer, err := jobs.GetInformer(ctx, &prowv1.ProwJob{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	handle, err := informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(o any, initial bool) { c.came(nil, o.(*prowv1.ProwJob), initial) },
		UpdateFunc: func(old, o any) {
			c.came(old.(*prowv1.ProwJob), o.(*prowv1.ProwJob), false)
		},
		DeleteFunc: func(o any) {
			if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if job, ok := o.(*prowv1.ProwJob); ok {
				c.metrics.change(job, nil, false)
				c.note(job, false)
				c.r.wake(c.r.ledger.forget(job.UID))
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	c.synced = handle.HasSynced
	return nil
}

func (c *Controller) came(old, job *prowv1.ProwJob, initial bool) {
	c.metrics.change(old, job, initial)
	c.r.wake(c.r.ledger.observe(job, true))
	c.note(job, minds(job) && !active(job.Status.State))
	if minds(job) {
		c.enqueue(job)
	}
}

// note remembers whether a job is ending.
func (c *Controller) note(job *prowv1.ProwJob, ending bool) {
	key := types.NamespacedName{Namespace: job.Namespace, Name: job.Name}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ending {
		c.ending[key] = job
	} else {
		delete(c.ending, key)
	}
}

// work are all jobs that may have work for this controller.
func (c *Controller) work() []*prowv1.ProwJob {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.AppendSeq(c.r.ledger.keys(), maps.Values(c.ending))
}

// OnPod takes note of a change of a pod.
func (c *Controller) OnPod(alias string, pod *corev1.Pod) {
	if pod.Labels[prowv1.CreatedByProwLabel] != "true" || !c.selector.Matches(labels.Set(pod.Labels)) {
		return
	}
	key := types.NamespacedName{Namespace: c.r.Config().ProwJobNamespace, Name: pod.Name}
	// A job that is not active any more has no use for news of its pod.
	if job, ok := c.r.ledger.find(key); ok && job.ClusterAlias() == alias {
		c.enqueue(job)
	}
}

// OnCluster takes note of a change of a cluster's standing.
func (c *Controller) OnCluster(alias string) {
	for _, job := range c.work() {
		if job.ClusterAlias() == alias {
			c.enqueue(job)
		}
	}
}

func (c *Controller) look(key types.NamespacedName) {
	if job, ok := c.r.ledger.find(key); ok {
		c.enqueue(job)
	}
}

func (c *Controller) enqueue(job *prowv1.ProwJob) {
	lane := job.ClusterAlias()
	if _, standing, _ := c.r.Clusters.Cluster(lane); standing == fleet.Unknown {
		lane = nowhere
	}
	c.lanes.add(lane, types.NamespacedName{Namespace: job.Namespace, Name: job.Name})
}

// Start moves jobs until ctx ends. It is a leader's work.
func (c *Controller) Start(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), c.synced) {
		if ctx.Err() != nil {
			return nil
		}
		return errors.New("the ProwJobs cannot be listed")
	}
	c.lanes.run(ctx, func() {
		// Events before this moment found no lanes.
		c.sweep()
	})
	return nil
}

// sweep asks for a look at every job with work for this controller.
func (c *Controller) sweep() {
	for _, job := range c.work() {
		if minds(job) {
			c.enqueue(job)
		}
	}
}
