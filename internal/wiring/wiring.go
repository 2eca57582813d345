// Package wiring is what every controller starts with: its configuration kept
// current, the clusters it talks to, and its metrics pushed where the
// configuration wants that.
//
//	base, err := wiring.Start(ctx, rt, o.Config, o.Kubernetes)
//	...
//	return base.Run(ctx, func(ctx context.Context) error { ... })
package wiring

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/kube"
	"prow/internal/service"
)

// lookInterval is how often the kubeconfig files are looked at.
const lookInterval = 2 * time.Second

// Base is what a controller works with.
type Base struct {
	Config   *config.Watcher
	Clusters kube.Clusters
	// Scheme knows Kubernetes' own types and ProwJobs.
	Scheme *runtime.Scheme

	rt    *service.Runtime
	kube  kube.Flags
	stamp string
}

// Start loads the configuration and reaches for the clusters. The logger takes
// its level from the configuration.
func Start(ctx context.Context, rt *service.Runtime, o config.Options, k kube.Flags) (*Base, error) {
	cfg, err := Config(ctx, rt, o)
	if err != nil {
		return nil, err
	}
	b := &Base{Config: cfg, rt: rt, kube: k}
	b.stamp = b.kubeStamp()
	if b.Clusters, err = k.Load(rt.Agent(), cfg.Get().DisabledClusters); err != nil {
		return nil, err
	}
	if b.Scheme, err = kube.NewScheme(); err != nil {
		return nil, err
	}
	return b, nil
}

// Config loads the configuration of a component that needs no cluster, and refuses one
// that does not pass the component's checks; the caller runs the watcher.
func Config(ctx context.Context, rt *service.Runtime, o config.Options, checks ...config.Check) (*config.Watcher, error) {
	cfg, err := config.NewWatcher(ctx, o, live.Options{Name: "config", Logger: rt.Log, Level: rt.Level, Observe: live.Metrics(rt.Metrics, "config")}, checks...)
	if err != nil {
		return nil, err
	}
	gateway := cfg.Get().PushGateway
	push := service.PushGateway{Endpoint: gateway.Endpoint, ServeMetrics: gateway.ServesMetrics()}
	if gateway.Interval != nil {
		push.Interval = gateway.Interval.Duration
	}
	rt.Push(push)
	return cfg, nil
}

// Client is a client of the service cluster that reads the API server itself.
func (b *Base) Client() (client.Client, error) {
	c, err := client.New(b.Clusters.Service(), client.Options{Scheme: b.Scheme})
	if err != nil {
		return nil, fmt.Errorf("client of the service cluster: %w", err)
	}
	return c, nil
}

// errKubeconfigChanged ends a run whose clients hold credentials of old.
var errKubeconfigChanged = errors.New("the kubeconfig has changed")

// Run runs the parts, and keeps the configuration current, until ctx ends, a
// part fails, all parts have ended, or a kubeconfig file changes. The last of
// these is no error: whoever runs the program starts it again, and it then
// reads the new files.
func (b *Base) Run(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	background, _ := errgroup.WithContext(ctx)
	group, groupCtx := errgroup.WithContext(ctx)
	background.Go(func() error { return b.Config.Run(groupCtx) })
	background.Go(func() error {
		if b.kubeconfigChanges(groupCtx) {
			b.rt.Log.InfoContext(ctx, "ends, to be started again", "reason", errKubeconfigChanged.Error())
			stop()
		}
		return nil
	})
	for _, part := range parts {
		group.Go(func() error { return part(groupCtx) })
	}
	err := group.Wait()
	stop()
	return errors.Join(err, background.Wait())
}

// kubeconfigChanges waits until a kubeconfig file is written, appears or
// vanishes; it returns false if ctx ended before. A change of permissions is none.
func (b *Base) kubeconfigChanges(ctx context.Context) bool {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if b.kubeStamp() != b.stamp {
				return true
			}
		}
	}
}

func (b *Base) kubeStamp() string {
	var files, dirs []string
	if b.kube.Kubeconfig != "" {
		files = append(files, b.kube.Kubeconfig)
	}
	if b.kube.KubeconfigDir != "" {
		dirs = append(dirs, b.kube.KubeconfigDir)
	}
	if len(files)+len(dirs) == 0 {
		files = filepath.SplitList(os.Getenv("KUBECONFIG"))
	}
	return config.StampOf(files, dirs, b.kube.KubeconfigSuffix)
}
