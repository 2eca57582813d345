package sinker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/kube"
	"prow/internal/service"
)

// Name of the component.
const Name = "sinker"

// Options of the component.
type Options struct {
	Config     config.Options
	Kubernetes kube.Flags
	RunOnce    bool
	DryRun     bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	fs.BoolVar(&o.RunOnce, "run-once", false, "Make one pass and end.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Remove nothing; what would go is logged.")
}

// Validate checks the options.
func (o *Options) Validate() error { return errors.Join(o.Config.Validate(), o.Kubernetes.Validate()) }

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Collect old ProwJobs and pods", "Deletes ProwJobs and pods that are no longer needed.", &Options{}, Run)
}

// Run makes passes until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	cfg, err := config.NewWatcher(ctx, o.Config, live.Options{Name: "config", Logger: rt.Log, Level: rt.Level, Observe: live.Metrics(rt.Metrics, "config")})
	if err != nil {
		return err
	}
	clusters, err := o.Kubernetes.Load(rt.Agent(), cfg.Get().DisabledClusters)
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	jobs, err := client.New(clusters.Service(), client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("service cluster: %w", err)
	}
	s := &Sinker{
		Jobs: jobs, Pods: map[string]client.Client{}, Config: cfg.Get, DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
		Metrics: NewMetrics(func(c prometheus.Collector) { rt.Metrics.MustRegister(c) }),
	}
	for alias, config := range clusters.Build() {
		if s.Pods[alias], err = client.New(config, client.Options{Scheme: scheme}); err != nil {
			return fmt.Errorf("build cluster %q: %w", alias, err)
		}
	}
	rt.SetReady()
	if o.RunOnce {
		return s.Pass(ctx)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error {
		for {
			if err := s.Pass(ctx); err != nil && ctx.Err() == nil {
				rt.Log.ErrorContext(ctx, "not everything was collected", "error", err)
			}
			pause := time.NewTimer(duration(cfg.Get().Sinker.ResyncPeriod, time.Hour))
			select {
			case <-ctx.Done():
				pause.Stop()
				return nil
			case <-pause.C:
			}
		}
	})
	return group.Wait()
}
