// Package crier is the program that hosts the reporters.
package crier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/config/live"
	forge "prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/report"
	"prow/internal/report/github"
	"prow/internal/service"
)

// Name of the component.
const Name = "crier"

// Options of the component.
type Options struct {
	Config        config.Options
	Kubernetes    kube.Flags
	GitHub        forge.Flags
	GitHubWorkers int
	ReportAgent   string
	DryRun        bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	fs.IntVar(&o.GitHubWorkers, "github-workers", 0, "Number of workers that report to GitHub; 0 is off.")
	fs.StringVar(&o.ReportAgent, "report-agent", "", "Report to GitHub only the jobs of this agent.")
	fs.BoolVar(&o.DryRun, "dry-run", false, "Report nothing.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate()}
	switch {
	case o.GitHubWorkers < 0:
		errs = append(errs, errors.New("--github-workers must not be negative"))
	case o.GitHubWorkers == 0:
		errs = append(errs, errors.New("no reporter is enabled: give --github-workers a positive number"))
	default:
		errs = append(errs, o.GitHub.Validate())
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Report ProwJobs", "Tells GitHub how ProwJobs fare: commit statuses, and a comment that lists failed jobs.", &Options{}, Run)
}

// Run reports until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	cfg, err := config.NewWatcher(ctx, o.Config, live.Options{Name: "config", Logger: rt.Log, Level: rt.Level, Observe: live.Metrics(rt.Metrics, "config")})
	if err != nil {
		return err
	}
	clusters, err := o.Kubernetes.Load(rt.Agent(), nil)
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	gh, err := o.GitHub.Client(rt.Agent(), o.DryRun, rt.Secrets, rt.Log)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(clusters.Service(), ctrl.Options{
		Scheme:  scheme,
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{cfg.Get().ProwJobNamespace: {}}},
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return fmt.Errorf("make the manager of reporters: %w", err)
	}
	metrics := report.NewMetrics(func(c prometheus.Collector) { rt.Metrics.MustRegister(c) })
	r := &report.Reconciler{
		Jobs: mgr.GetClient(), DryRun: o.DryRun, Now: time.Now, Log: rt.Log, Metrics: metrics,
		Reporter: &github.Reporter{Forge: gh, Config: cfg.Get, Jobs: mgr.GetClient(), Agent: prowv1.ProwJobAgent(o.ReportAgent), Log: rt.Log},
	}
	if err := r.AddToManager(mgr, o.GitHubWorkers); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error { return mgr.Start(ctx) })
	group.Go(func() error {
		if mgr.GetCache().WaitForCacheSync(ctx) {
			rt.SetReady()
		}
		return nil
	})
	return group.Wait()
}
