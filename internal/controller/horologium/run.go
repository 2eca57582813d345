package horologium

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/jobview"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "horologium"

const leaseName = "prow-horologium-leaderlock"

// Options of the component.
type Options struct {
	Config      config.Options
	Kubernetes  kube.Flags
	ListTimeout time.Duration
	DryRun      bool
	// NoLeaderElection is for a host that runs one instance and knows it.
	NoLeaderElection bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	fs.DurationVar(&o.ListTimeout, "timeout-listing-prowjobs", time.Minute, "Time limit of the first listing of all periodic ProwJobs.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Start nothing; what is due is logged.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate()}
	if o.ListTimeout <= 0 {
		errs = append(errs, errors.New("--timeout-listing-prowjobs must be positive"))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Frugal(service.Command(Name, "Start periodic jobs",
		"Makes a ProwJob for each periodic job that is due. Of several replicas one works.", &Options{}, Run))
}

// Run looks at the periodics at every tick until ctx ends.
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
	view, err := jobview.New(base.Clusters.Service(), namespace, prowv1.TypeLabel+"="+string(prowv1.PeriodicJob))
	if err != nil {
		return err
	}
	took := prometheus.NewGauge(prometheus.GaugeOpts{Name: "horologium_tick_duration_seconds", Help: "Time used by the last look at all periodics, in seconds."})
	if err := rt.Metrics.Register(took); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return base.Run(ctx, view.Run, func(ctx context.Context) error {
		if err := view.WaitForSync(ctx, o.ListTimeout); err != nil || ctx.Err() != nil {
			return err
		}
		rt.SetReady()
		h := &Horologium{Create: jobs, Runs: view.Jobs, Config: base.Config.Get, DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
			Took: func(d time.Duration) { took.Set(d.Seconds()) }}
		work := func(ctx context.Context) error { return h.run(ctx, base, rt) }
		if o.NoLeaderElection || o.DryRun { // a lease is a change as well
			return work(ctx)
		}
		return service.Lead(ctx, rt, base.Clusters.Service(), service.Lease{
			Name: leaseName, Namespace: namespace, Optional: true,
			Vacated: func(at time.Time) { h.Since = at },
		}, work)
	})
}

// run ticks until ctx ends. A new configuration need not wait for the tick.
func (h *Horologium) run(ctx context.Context, base *wiring.Base, rt *service.Runtime) error {
	changes, unsubscribe := base.Config.Subscribe()
	defer unsubscribe()
	ticker := time.NewTicker(h.Config().Horologium.Tick())
	defer ticker.Stop()
	for {
		if err := h.Tick(ctx); err != nil && ctx.Err() == nil {
			rt.Log.ErrorContext(ctx, "not all periodics were looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-changes:
		}
	}
}
