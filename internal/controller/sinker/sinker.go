package sinker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/jobview"
)

const (
	// finalizingReporter holds a pod until its end has been recorded in storage.
	finalizingReporter = "gcsk8sreporter"
	reporterFinalizer  = "prow.x-k8s.io/" + finalizingReporter

	// removers is how many objects of a cluster are removed at a time.
	removers = 8
	// podPage is how many pods are read, and held in memory, at a time.
	podPage = 500
	// clusterLimit bounds what one build cluster may take of a pass.
	clusterLimit = 10 * time.Minute
)

// Sinker deletes what is no longer needed.
type Sinker struct {
	// Jobs is a client of the service cluster that reads the API server itself.
	Jobs client.Client
	// View lists what is known of all ProwJobs; it may lag behind.
	View func() []*jobview.Job
	// Pods are clients of the build clusters, by alias.
	Pods    map[string]client.Client
	Config  func() *config.Config
	DryRun  bool
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
}

// Pass makes one pass. It goes on where one deletion or one cluster fails and
// returns all errors. Build clusters do not wait for each other.
func (s *Sinker) Pass(ctx context.Context) error {
	start := s.Now()
	cfg := s.Config()
	a := agesOf(&cfg.Sinker)
	list := s.View()
	jobs := make(map[string]*jobview.Job, len(list))
	for _, j := range list {
		jobs[j.Name] = j
	}
	periodics := sets.New[string]()
	for i := range cfg.Periodics {
		periodics.Insert(cfg.Periodics[i].Name)
	}
	jobResult, err := s.passJobs(ctx, list, periodics, a, start)
	errs := []error{err}
	podResult := newResult()
	var mu sync.Mutex
	var clusters errgroup.Group
	for alias, pods := range s.Pods {
		if slices.Contains(cfg.Sinker.ExcludeClusters, alias) {
			continue
		}
		clusters.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, clusterLimit)
			defer cancel()
			pass := &podPass{Sinker: s, client: pods, cfg: cfg, jobs: jobs, ages: a, log: s.Log.With("cluster", alias), result: newResult()}
			err := pass.run(limited)
			mu.Lock()
			defer mu.Unlock()
			podResult.add(pass.result)
			if err != nil {
				errs = append(errs, fmt.Errorf("build cluster %q: %w", alias, err))
			}
			return nil
		})
	}
	_ = clusters.Wait() // its functions return nil
	s.Metrics.set(jobResult, podResult, s.Now().Sub(start).Seconds())
	return errors.Join(errs...)
}

func (s *Sinker) passJobs(ctx context.Context, list []*jobview.Job, periodics sets.Set[string], a ages, now time.Time) (*result, error) {
	r := newResult()
	r.existing = len(list)
	remove := newRemoval(s, s.Jobs, s.Log, r)
	for _, gone := range collectJobs(list, periodics, a, now) {
		object := &prowv1.ProwJob{}
		object.Namespace, object.Name, object.UID = gone.object.Namespace, gone.object.Name, gone.object.UID
		remove.start(ctx, object, gone.reason, "job", gone.object.Spec.Job)
	}
	return r, remove.wait()
}

// podPass is a pass over the pods of one build cluster.
type podPass struct {
	*Sinker
	client client.Client
	cfg    *config.Config
	jobs   map[string]*jobview.Job
	ages   ages
	log    *slog.Logger
	result *result
}

func (p *podPass) run(ctx context.Context) error {
	remove := newRemoval(p.Sinker, p.client, p.log, p.result)
	var errs []error
	for next := ""; ; {
		var page corev1.PodList
		err := p.client.List(ctx, &page, client.InNamespace(p.cfg.PodNamespace), client.MatchingLabels{prowv1.CreatedByProwLabel: "true"},
			client.Limit(podPage), client.Continue(next))
		if err != nil {
			errs = append(errs, fmt.Errorf("list pods: %w", err))
			break
		}
		p.result.existing += len(page.Items)
		for i := range page.Items {
			errs = append(errs, p.pod(ctx, &page.Items[i], remove))
		}
		if next = page.Continue; next == "" {
			break
		}
	}
	return errors.Join(append(errs, remove.wait())...)
}

func (p *podPass) pod(ctx context.Context, pod *corev1.Pod, remove *removing) error {
	job := p.jobs[jobName(pod)]
	if err := p.release(ctx, pod, job); err != nil {
		return err
	}
	fate := decidePod(pod, job, p.ages, p.Now())
	if fate.ask {
		found, err := p.lookUp(ctx, jobName(pod))
		if err != nil {
			return fmt.Errorf("pod %s: whether it is orphaned: %w", pod.Name, err)
		}
		if found != nil {
			return nil // the view lags behind; the next pass knows it
		}
	}
	if fate.reason != "" {
		remove.start(ctx, pod, fate.reason)
	}
	return nil
}

// release takes the finalizer of the storage reporter off a pod that nobody
// will come for: its job is gone, or its end has been recorded.
func (p *podPass) release(ctx context.Context, pod *corev1.Pod, job *jobview.Job) error {
	if !controllerutil.ContainsFinalizer(pod, reporterFinalizer) {
		return nil
	}
	if job != nil && !reported(job.Status.State, job.Complete(), job.Status.PrevReportStates) {
		return nil
	}
	// The pod may be younger than the view, which then does not have its job.
	fresh, err := p.lookUp(ctx, jobName(pod))
	if err != nil {
		return fmt.Errorf("pod %s: whether its end has been recorded: %w", pod.Name, err)
	}
	if fresh != nil && !reported(fresh.Status.State, fresh.Complete(), fresh.Status.PrevReportStates) {
		return nil
	}
	if p.DryRun {
		p.log.InfoContext(ctx, "dry-run: the finalizer stays", "pod", pod.Name)
		return nil
	}
	before := pod.DeepCopy()
	controllerutil.RemoveFinalizer(pod, reporterFinalizer)
	if err := p.client.Patch(ctx, pod, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release pod %s: %w", pod.Name, err)
	}
	return nil
}

// lookUp reads a ProwJob from the API server; nil if there is none.
func (p *podPass) lookUp(ctx context.Context, job string) (*prowv1.ProwJob, error) {
	var found prowv1.ProwJob
	err := p.Jobs.Get(ctx, types.NamespacedName{Namespace: p.cfg.ProwJobNamespace, Name: job}, &found)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &found, nil
}
