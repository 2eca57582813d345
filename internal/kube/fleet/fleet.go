package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/kube"
)

// departedGrace is how long a cluster that no file names any more is treated as
// one that does not answer: mounted Secrets are replaced in steps.
const departedGrace = time.Minute

// Standing tells what is to be expected of a cluster.
type Standing int

const (
	// Unknown: there is no such cluster.
	Unknown Standing = iota
	// Down: the cluster is known but cannot be worked with at the moment.
	Down
	// Up: the cluster answers, and its cache is complete.
	Up
)

// Options of a Fleet. Times of zero are the defaults.
type Options struct {
	// Load reads the kubeconfig files.
	Load func() (kube.Clusters, error)
	// Stamp changes when Load may have something new; it is asked every PollInterval.
	Stamp func() string
	// PollInterval defaults to two seconds.
	PollInterval time.Duration
	// Scheme knows pods and access reviews.
	Scheme *runtime.Scheme
	// PodNamespace is where pods run, on every cluster.
	PodNamespace string
	// Verbs are those on pods that a cluster must allow.
	Verbs []string
	// Select limits the cached pods; nil is all.
	Select labels.Selector
	// Transform shrinks the cached pods.
	Transform toolscache.TransformFunc
	// NoCache is for those who ask for single pods now and then: Cluster.Cached is
	// nil, and OnPod is not told of anything.
	NoCache bool
	// DryRun: nothing is changed on any cluster.
	DryRun bool
	// OnPod is told of pods that came, changed or went.
	OnPod func(alias string, pod *corev1.Pod)
	// OnChange is told when the standing of a cluster changes.
	OnChange func(alias string)
	// OnServiceChange is told when the access to the service cluster changes; its
	// clients are not this package's.
	OnServiceChange func()
	// Failures counts failed attempts to make a client, by cluster; see NewFailures.
	Failures *prometheus.CounterVec
	Log      *slog.Logger

	departedGrace time.Duration
	reviewHealthy time.Duration
	reviewFailing time.Duration
}

// NewFailures is the metric kubernetes_failed_client_creations.
func NewFailures() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernetes_failed_client_creations",
		Help: "The number of attempts to create a client for a build cluster that failed.",
	}, []string{"cluster"})
}

// Fleet is the set of build clusters.
type Fleet struct {
	opts Options

	mu       sync.Mutex
	members  map[string]*member
	departed map[string]time.Time
	service  *rest.Config
	stamp    string
	running  sync.WaitGroup
}

// New reads the files for the first time; that must succeed. Run then keeps the
// clusters.
func New(opts Options) (*Fleet, error) {
	for limit, value := range map[*time.Duration]time.Duration{
		&opts.PollInterval: 2 * time.Second, &opts.departedGrace: departedGrace, &opts.reviewHealthy: reviewHealthy, &opts.reviewFailing: reviewFailing,
	} {
		if *limit == 0 {
			*limit = value
		}
	}
	f := &Fleet{opts: opts, members: map[string]*member{}, departed: map[string]time.Time{}}
	// Before the files are read, so that a change while they are is not missed.
	f.stamp = opts.Stamp()
	clusters, err := opts.Load()
	if err != nil {
		return nil, err
	}
	f.service = clusters.Service()
	for alias, config := range clusters {
		f.members[alias] = newMember(f, alias, config)
	}
	return f, nil
}

// Service is the configuration of the service cluster as it was first read.
func (f *Fleet) Service() *rest.Config { return f.service }

// Run keeps the clusters until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	f.mu.Lock()
	for _, m := range f.members {
		m.start(ctx)
	}
	f.mu.Unlock()
	defer f.running.Wait()
	ticker := time.NewTicker(f.opts.PollInterval)
	defer ticker.Stop()
	stamp := f.stamp
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		f.expire()
		now := f.opts.Stamp()
		if now == stamp {
			continue
		}
		clusters, err := f.opts.Load()
		if err != nil {
			f.opts.Log.ErrorContext(ctx, "the kubeconfig files cannot be read; the clusters stay as they are", "error", err)
			f.opts.Failures.WithLabelValues("").Inc()
			stamp = now
			continue
		}
		stamp = now
		f.adopt(ctx, clusters)
	}
}

// adopt makes the set of clusters equal to what the files say now.
func (f *Fleet) adopt(ctx context.Context, clusters kube.Clusters) {
	var changed []string
	f.mu.Lock()
	serviceChanged := !sameAccess(f.service, clusters.Service())
	for alias, m := range f.members {
		if config, still := clusters[alias]; still && sameAccess(m.config, config) {
			continue
		} else if !still {
			f.departed[alias] = time.Now()
		}
		m.stop()
		delete(f.members, alias)
		changed = append(changed, alias)
	}
	for alias, config := range clusters {
		if f.members[alias] == nil {
			delete(f.departed, alias)
			f.members[alias] = newMember(f, alias, config)
			f.members[alias].start(ctx)
			changed = append(changed, alias)
		}
	}
	f.mu.Unlock()
	for _, alias := range changed {
		f.opts.Log.InfoContext(ctx, "the access to a build cluster changed", "cluster", alias)
		f.changed(alias)
	}
	if serviceChanged && f.opts.OnServiceChange != nil {
		f.opts.OnServiceChange()
	}
}

// sameAccess tells whether two configurations reach a cluster in the same way. A
// token that comes from a file is read again by the client itself.
func sameAccess(a, b *rest.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	a, b = rest.CopyConfig(a), rest.CopyConfig(b)
	for _, c := range []*rest.Config{a, b} {
		if c.BearerTokenFile != "" {
			c.BearerToken = ""
		}
	}
	return reflect.DeepEqual(a, b)
}

// expire forgets clusters that left long enough ago.
func (f *Fleet) expire() {
	var gone []string
	f.mu.Lock()
	for alias, at := range f.departed {
		if time.Since(at) >= f.opts.departedGrace {
			delete(f.departed, alias)
			gone = append(gone, alias)
		}
	}
	f.mu.Unlock()
	for _, alias := range gone {
		f.changed(alias)
	}
}

func (f *Fleet) changed(alias string) {
	if f.opts.OnChange != nil {
		f.opts.OnChange(alias)
	}
}

// Cluster is a build cluster that can be worked with.
type Cluster struct {
	Alias string
	// Cached reads pods from the cache; they are shared and not to be changed. It is
	// nil with NoCache.
	Cached client.Reader
	// API reads and writes pods, events and nodes at the API server. Requests have a
	// time limit.
	API client.Client
}

// Cluster finds a cluster. Only with Up it can be worked with; otherwise the
// error says what is wrong.
func (f *Fleet) Cluster(alias string) (Cluster, Standing, error) {
	f.mu.Lock()
	m, departed := f.members[alias], f.departed[alias]
	f.mu.Unlock()
	switch {
	case m != nil:
		return m.cluster()
	case !departed.IsZero():
		return Cluster{}, Down, fmt.Errorf("no kubeconfig file names build cluster %q any more", alias)
	}
	return Cluster{}, Unknown, fmt.Errorf("there is no build cluster %q", alias)
}

// Statuses tells how all clusters are doing, by alias; "" is the service cluster.
func (f *Fleet) Statuses() map[string]Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]Status, len(f.members))
	for alias, m := range f.members {
		out[alias] = m.status()
	}
	return out
}
