package sinker

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/jobview"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "sinker"

const (
	leaseName = "prow-sinker-leaderlock"
	// syncLimit bounds the first listing of all ProwJobs.
	syncLimit = 2 * time.Minute
)

// Options of the component.
type Options struct {
	Config     config.Options
	Kubernetes kube.Flags
	RunOnce    bool
	DryRun     bool
	// NoLeaderElection is for a host that runs one instance and knows it.
	NoLeaderElection bool
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
	return service.Frugal(service.Command(Name, "Collect old ProwJobs and pods",
		"Deletes ProwJobs and pods that are no longer needed. Of several replicas one works.", &Options{}, Run))
}

// Run makes passes until ctx ends, or one pass if only one is wanted; then it
// returns the errors of that pass.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	base, err := wiring.Start(ctx, rt, o.Config, o.Kubernetes)
	if err != nil {
		return err
	}
	jobs, err := base.Client()
	if err != nil {
		return err
	}
	namespace := base.Config.Get().ProwJobNamespace
	view, err := jobview.New(base.Clusters.Service(), namespace, "")
	if err != nil {
		return err
	}
	s := &Sinker{
		Jobs: jobs, View: view.Jobs, Pods: map[string]client.Client{}, Config: base.Config.Get, DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
		Metrics: NewMetrics(func(c prometheus.Collector) { rt.Metrics.MustRegister(c) }),
	}
	for alias, config := range base.Clusters.Build() {
		c, err := client.New(config, client.Options{Scheme: base.Scheme})
		if err != nil {
			// The others are collected all the same.
			s.Metrics.clusterErrors.WithLabelValues(alias).Inc()
			rt.Log.ErrorContext(ctx, "a build cluster is left out", "cluster", alias, "error", err)
			continue
		}
		s.Pods[alias] = c
	}
	return base.Run(ctx, func(ctx context.Context) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		var group errgroup.Group
		group.Go(func() error { return view.Run(ctx) })
		if info, err := os.Stat(o.Config.JobConfigPath); err == nil && info.IsDir() {
			group.Go(func() error { return s.watchMounts(ctx, o.Config.JobConfigPath) })
		}
		err := s.collect(ctx, rt, base, view, o, namespace)
		stop()
		return errors.Join(err, group.Wait())
	})
}

func (s *Sinker) collect(ctx context.Context, rt *service.Runtime, base *wiring.Base, view *jobview.View, o *Options, namespace string) error {
	if err := view.WaitForSync(ctx, syncLimit); err != nil || ctx.Err() != nil {
		return err
	}
	rt.SetReady()
	work := s.loop
	if o.RunOnce {
		work = s.Pass
	}
	if o.NoLeaderElection || o.DryRun { // a lease is a change as well
		return work(ctx)
	}
	return service.Lead(ctx, rt, base.Clusters.Service(), service.Lease{Name: leaseName, Namespace: namespace}, work)
}

// loop makes passes with a pause in between, which the configuration may change.
func (s *Sinker) loop(ctx context.Context) error {
	for {
		if err := s.Pass(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "not everything was collected", "error", err)
		}
		period := time.Hour
		if d := s.Config().Sinker.ResyncPeriod; d != nil {
			period = d.Duration
		}
		pause := time.NewTimer(period)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}
