package needsrebase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config/live"
	"prow/internal/eventserver"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
)

// Options of the program.
type Options struct {
	Server  eventserver.Flags
	Plugins pluginconfig.Options
	GitHub  github.Flags
	// UpdatePeriod is how often all open pull requests are looked at.
	UpdatePeriod time.Duration
	// CacheValidTime is for how many seconds a look counts.
	CacheValidTime int
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Server.Bind(fs, Name)
	o.Plugins.Path = "/etc/plugins/plugins.yaml"
	o.Plugins.Bind(fs)
	o.GitHub.HourlyTokens, o.GitHub.AllowedBurst = 360, 360
	o.GitHub.Bind(fs)
	fs.DurationVar(&o.UpdatePeriod, "update-period", 24*time.Hour, "How often all open pull requests are looked at.")
	fs.IntVar(&o.CacheValidTime, "cache-valid-time", 0, "For how many seconds a look at a pull request counts, so that comments lead to none; 0 is not at all.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Server.Validate(), o.GitHub.Validate()}
	if o.UpdatePeriod <= 0 {
		errs = append(errs, fmt.Errorf("--update-period=%s is not positive", o.UpdatePeriod))
	}
	if o.CacheValidTime < 0 {
		errs = append(errs, fmt.Errorf("--cache-valid-time=%d is negative", o.CacheValidTime))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Label pull requests that conflict", "External plugin: keeps the label "+Label+" on open pull requests that conflict with their base.", &Options{}, Run)
}

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	cfg, err := pluginconfig.NewWatcher(ctx, o.Plugins, live.Options{Name: "plugin config", Logger: rt.Log, Observe: live.Metrics(rt.Metrics, "plugin config")})
	if err != nil {
		return err
	}
	gh, err := o.GitHub.Client(rt.Agent(), o.Server.DryRun, rt.Secrets, rt.Log)
	if err != nil {
		return err
	}
	p := newPlugin(time.Duration(o.CacheValidTime)*time.Second, time.Now, pause)
	sweep := &sweeper{forge: gh, config: cfg.Get, checked: p.checked, perOrg: o.GitHub.AppID != "", now: time.Now, log: rt.Log}
	server := &eventserver.Server{
		Plugin: p.describe(), Flags: &o.Server, GitHub: gh, PluginConfig: cfg.Get, Agent: func() *plugins.Agent { return &plugins.Agent{} },
		Background: func(ctx context.Context) error {
			go func() { _ = cfg.Run(ctx) }() // it ends with ctx
			return sweep.run(ctx, o.UpdatePeriod)
		},
	}
	return server.Run(ctx, rt)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
