package crier

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"prow/internal/kube"
)

const (
	// rereadAfter is how old the kubeconfig files may be that are worked with.
	rereadAfter = time.Minute
	// buildClusterLimit bounds one request to a build cluster: one that hangs must
	// not hold the workers.
	buildClusterLimit = 15 * time.Second
)

// buildClusters are the clients of the build clusters. The kubeconfig files are
// read again from time to time, so that clusters may come and change; files that
// cannot be read change nothing.
type buildClusters struct {
	load func() (kube.Clusters, error)
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex
	read    time.Time
	configs kube.Clusters
	clients map[string]kubernetes.Interface
}

// client returns the client of a cluster.
func (b *buildClusters) client(alias string) (kubernetes.Interface, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); now.Sub(b.read) >= rereadAfter {
		b.read = now
		b.reread()
	}
	c, ok := b.clients[alias]
	return c, ok
}

func (b *buildClusters) reread() {
	configs, err := b.load()
	if err != nil {
		b.log.WarnContext(context.Background(), "the kubeconfig files cannot be read, the last ones count", "error", err)
		return
	}
	clients := map[string]kubernetes.Interface{}
	for alias, config := range configs.Build() {
		if old := b.clients[alias]; old != nil && reflect.DeepEqual(b.configs[alias], config) {
			clients[alias] = old
			continue
		}
		limited := rest.CopyConfig(config)
		limited.Timeout = buildClusterLimit
		c, err := kubernetes.NewForConfig(limited)
		if err != nil {
			b.log.WarnContext(context.Background(), "a build cluster cannot be used", "cluster", alias, "error", err)
			continue
		}
		clients[alias] = c
	}
	b.configs, b.clients = configs, clients
}
