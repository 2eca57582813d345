package horologium

import (
	"context"
	"errors"
	"time"

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
const Name = "horologium"

// Options of the component.
type Options struct {
	Config      config.Options
	Kubernetes  kube.Flags
	ListTimeout time.Duration
	DryRun      bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	fs.DurationVar(&o.ListTimeout, "timeout-listing-prowjobs", time.Minute, "Time limit of one look at all periodic jobs.")
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
	return service.Command(Name, "Start periodic jobs", "Makes a ProwJob for each periodic job that is due.", &Options{}, Run)
}

// Run looks at the periodics at every tick until ctx ends.
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
	jobs, err := client.New(clusters.Service(), client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	h := &Horologium{Jobs: jobs, Config: cfg.Get, DryRun: o.DryRun, Now: time.Now, Log: rt.Log}
	changes, unsubscribe := cfg.Subscribe()
	defer unsubscribe()

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error {
		ticker := time.NewTicker(cfg.Get().Horologium.Tick())
		defer ticker.Stop()
		for {
			limited, cancel := context.WithTimeout(ctx, o.ListTimeout)
			if err := h.Tick(limited); err != nil && ctx.Err() == nil {
				rt.Log.ErrorContext(ctx, "not all periodics were looked at", "error", err)
			}
			cancel()
			rt.SetReady()
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			case <-changes: // a new periodic need not wait for the tick
			}
		}
	})
	return group.Wait()
}
