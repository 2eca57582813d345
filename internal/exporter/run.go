package exporter

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/jobview"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "exporter"

// syncLimit bounds the first listing of all ProwJobs.
const syncLimit = 2 * time.Minute

// Options of the component.
type Options struct {
	Config     config.Options
	Kubernetes kube.Flags
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
}

// Validate checks the options.
func (o *Options) Validate() error { return errors.Join(o.Config.Validate(), o.Kubernetes.Validate()) }

// Command is the program.
func Command() *cobra.Command {
	return service.Frugal(service.Command(Name, "Export metrics of ProwJobs",
		"Serves labels, annotations and run times of ProwJobs as metrics.", &Options{}, Run))
}

// Run follows ProwJobs until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	base, err := wiring.Start(ctx, rt, o.Config, o.Kubernetes)
	if err != nil {
		return err
	}
	view, err := jobview.New(base.Clusters.Service(), base.Config.Get().ProwJobNamespace, "", jobview.WithMetadata())
	if err != nil {
		return err
	}
	runtimes := newRuntimes()
	if err := view.OnUpdate(func(before, after *jobview.Job) { observe(runtimes, before, after) }); err != nil {
		return err
	}
	if err := errors.Join(rt.Metrics.Register(runtimes), rt.Metrics.Register(metadata{view.Jobs})); err != nil {
		return err
	}
	return base.Run(ctx, view.Run, func(ctx context.Context) error {
		if err := view.WaitForSync(ctx, syncLimit); err != nil || ctx.Err() != nil {
			return err
		}
		rt.SetReady()
		<-ctx.Done()
		return nil
	})
}
