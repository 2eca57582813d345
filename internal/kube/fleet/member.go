package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/kube"
)

// member is a cluster and its keeper.
type member struct {
	fleet  *Fleet
	alias  string
	config *rest.Config
	stop   context.CancelFunc

	mu     sync.Mutex
	api    client.Client
	cached cache.Cache
	asked  bool
	everUp bool
	err    error
}

func newMember(f *Fleet, alias string, config *rest.Config) *member {
	return &member{fleet: f, alias: alias, config: config, stop: func() {}, err: fmt.Errorf("build cluster %q has not been asked yet", alias)}
}

func (m *member) start(ctx context.Context) {
	ctx, m.stop = context.WithCancel(ctx)
	m.fleet.running.Go(func() { m.keep(ctx) })
}

// keep asks the cluster now and then whether it can be worked with.
func (m *member) keep(ctx context.Context) {
	var caches sync.WaitGroup
	defer caches.Wait()
	for {
		err := m.check(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil && m.alias != kube.ServiceCluster && !m.fleet.opts.NoCache {
			err = m.fill(ctx, &caches)
		}
		m.note(ctx, err)
		pause := m.fleet.opts.reviewHealthy
		if err != nil {
			pause = m.fleet.opts.reviewFailing
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// check makes the client at the first time, and asks for the needed permissions.
func (m *member) check(ctx context.Context) error {
	if m.api == nil {
		api, err := m.client()
		if err != nil {
			return fmt.Errorf("make a client for build cluster %q: %w", m.alias, err)
		}
		m.mu.Lock()
		m.api = api
		m.mu.Unlock()
	}
	if err := review(ctx, m.api, m.fleet.opts.PodNamespace, m.fleet.opts.Verbs); err != nil {
		return fmt.Errorf("build cluster %q: %w", m.alias, err)
	}
	return nil
}

func (m *member) client() (client.Client, error) {
	config := rest.CopyConfig(m.config)
	config.Timeout = requestLimit
	return client.New(config, client.Options{Scheme: m.fleet.opts.Scheme, Mapper: mapper(), DryRun: &m.fleet.opts.DryRun})
}

// mapper knows the kinds that are used, so that no cluster is asked what it serves
// before it can be worked with.
func mapper() meta.RESTMapper {
	out := meta.NewDefaultRESTMapper(nil)
	out.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	out.Add(corev1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	out.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	out.Add(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"), meta.RESTScopeRoot)
	return out
}

// fill starts the cache of pods at the first time, and waits for it a while.
func (m *member) fill(ctx context.Context, caches *sync.WaitGroup) error {
	if m.cached == nil {
		pods, err := m.newCache(ctx)
		if err != nil {
			return fmt.Errorf("make a cache of pods for build cluster %q: %w", m.alias, err)
		}
		m.mu.Lock()
		m.cached = pods
		m.mu.Unlock()
		caches.Go(func() {
			if err := pods.Start(ctx); err != nil && ctx.Err() == nil {
				m.fleet.opts.Log.ErrorContext(ctx, "the cache of pods ended", "cluster", m.alias, "error", err)
			}
		})
	}
	limit, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	if !m.cached.WaitForCacheSync(limit) {
		return fmt.Errorf("the pods of build cluster %q cannot be listed within %s", m.alias, requestLimit)
	}
	return nil
}

func (m *member) newCache(ctx context.Context) (cache.Cache, error) {
	o := m.fleet.opts
	noCopy := true
	pods, err := cache.New(m.config, cache.Options{
		Scheme: o.Scheme, Mapper: mapper(), DefaultNamespaces: map[string]cache.Config{o.PodNamespace: {}},
		DefaultUnsafeDisableDeepCopy: &noCopy,
		ByObject:                     map[client.Object]cache.ByObject{&corev1.Pod{}: {Transform: o.Transform, Label: o.Select}},
	})
	if err != nil {
		return nil, err
	}
	informer, err := pods.GetInformer(ctx, &corev1.Pod{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	tell := func(o any) {
		if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = gone.Obj
		}
		if pod, ok := o.(*corev1.Pod); ok && m.fleet.opts.OnPod != nil {
			m.fleet.opts.OnPod(m.alias, pod)
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: tell, UpdateFunc: func(_, pod any) { tell(pod) }, DeleteFunc: tell,
	})
	return pods, err
}

// note takes the outcome of a look down, and tells if the standing changed by it.
func (m *member) note(ctx context.Context, err error) {
	m.mu.Lock()
	was, asked := m.err == nil, m.asked
	m.err, m.asked = err, true
	if err == nil {
		m.everUp = true
	}
	first := !m.everUp
	m.mu.Unlock()
	if err != nil && first && ctx.Err() == nil {
		m.fleet.opts.Failures.WithLabelValues(m.alias).Inc()
	}
	if asked && was == (err == nil) {
		return
	}
	if err != nil {
		m.fleet.opts.Log.WarnContext(ctx, "a build cluster cannot be worked with", "cluster", m.alias, "error", err)
	} else {
		m.fleet.opts.Log.InfoContext(ctx, "a build cluster can be worked with", "cluster", m.alias)
	}
	m.fleet.changed(m.alias)
}

func (m *member) cluster() (Cluster, Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil || m.cached == nil && !m.fleet.opts.NoCache {
		return Cluster{}, Down, m.err
	}
	out := Cluster{Alias: m.alias, API: m.api}
	if m.cached != nil {
		out.Cached = m.cached
	}
	return out, Up, nil
}

func (m *member) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return statusOf(m.err, m.everUp)
}
