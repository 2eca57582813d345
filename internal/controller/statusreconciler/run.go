package statusreconciler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/storage/providers"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "status-reconciler"

const (
	defaultConfig  = "/etc/config/config.yaml"
	defaultPlugins = "/etc/plugins/plugins.yaml"
	defaultTokens  = 300
	defaultBurst   = 100
	// loadLimit bounds one reading of the state.
	loadLimit = 30 * time.Second
	// retryAfter is the time after which what failed is dealt with again.
	retryAfter = time.Minute
)

// Options of the component.
type Options struct {
	Config          config.Options
	Plugins         pluginconfig.Options
	Kubernetes      kube.Flags
	GitHub          github.Flags
	Credentials     providers.Credentials
	StatusPath      string
	ContinueOnError bool
	NoTrigger       []string
	Ignored         []string
	HourlyTokens    int
	Burst           int
	DryRun          bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.ConfigPath, o.Plugins.Path = defaultConfig, defaultPlugins
	o.Config.Bind(fs)
	o.Plugins.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	o.Credentials.Bind(fs)
	fs.StringVar(&o.StatusPath, "status-path", "", "File that remembers what has been dealt with: a path, gs:// or s3://. Empty: changes while nothing runs are missed.")
	fs.BoolVar(&o.ContinueOnError, "continue-on-error", false, "Deal with the rest after something failed.")
	fs.StringArrayVar(&o.NoTrigger, "denylist", nil, "Org or org/repo where no added job is started, repeatable.")
	fs.StringArrayVar(&o.Ignored, "denylist-all", nil, "Org or org/repo where nothing is done, repeatable.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Change nothing; decisions are logged.")
	if fs.Lookup("github-hourly-tokens") == nil {
		fs.IntVar(&o.HourlyTokens, "github-hourly-tokens", defaultTokens, "Requests to GitHub an hour; 0 is no limit.")
		fs.IntVar(&o.Burst, "github-allowed-burst", defaultBurst, "Requests to GitHub at once after a pause.")
	}
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.GitHub.Validate()}
	if o.HourlyTokens == 0 {
		o.Burst = 0
	}
	if o.HourlyTokens < 0 || o.Burst < 0 || (o.HourlyTokens == 0) != (o.Burst == 0) || o.Burst > o.HourlyTokens {
		errs = append(errs, fmt.Errorf("--github-hourly-tokens=%d and --github-allowed-burst=%d: both are positive, and the burst is no greater, or the tokens are 0", o.HourlyTokens, o.Burst))
	}
	for _, list := range [][]string{o.NoTrigger, o.Ignored} {
		for _, entry := range list {
			if entry == "" || strings.Count(entry, "/") > 1 {
				errs = append(errs, fmt.Errorf("found %q in a deny list, expected an org or org/repo", entry))
			}
		}
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Carry changes of required jobs to open pull requests",
		"Starts presubmits that are new, and retires or moves the contexts of those that are gone or renamed, on pull requests that are open.", &Options{}, Run)
}

// Run deals with changes until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	base, err := wiring.Start(ctx, rt, o.Config, o.Kubernetes)
	if err != nil {
		return err
	}
	pluginConfig, err := pluginconfig.NewWatcher(ctx, o.Plugins, live.Options{Name: "plugin config", Logger: rt.Log, Observe: live.Metrics(rt.Metrics, "plugins")})
	if err != nil {
		return err
	}
	jobs, err := base.Client()
	if err != nil {
		return err
	}
	o.GitHub.Measure(rt.Metrics)
	gh, err := o.GitHub.Client(rt.Agent(), o.DryRun, rt.Secrets, rt.Log, func(c *github.ClientOptions) {
		c.Priority = github.PriorityBackground
		c.Throttle = github.Rate{PerHour: o.HourlyTokens, Burst: o.Burst}
	})
	if err != nil {
		return err
	}
	r := &Reconciler{
		Forge: gh, Jobs: jobs, Plugins: pluginConfig.Get, Keeper: &memory{}, NoTrigger: o.NoTrigger, Ignored: o.Ignored,
		ContinueOnError: o.ContinueOnError, DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
	}
	if o.StatusPath != "" {
		kept, err := newBlob(providers.New(o.Credentials), o.StatusPath)
		if err != nil {
			return err
		}
		r.Keeper = limited{kept}
	} else {
		r.Keeper = &memory{state: stateOf(base.Config.Get())}
	}
	changes, unsubscribe := base.Config.Subscribe()
	defer unsubscribe()
	return base.Run(ctx, func(ctx context.Context) error {
		follow, stop := context.WithCancel(ctx)
		followed := make(chan error, 1)
		go func() { followed <- pluginConfig.Run(follow) }()
		rt.SetReady()
		r.loop(ctx, base.Config.Get, changes)
		stop()
		return <-followed
	})
}

// loop reconciles at once, at every change, and a while after a failure.
func (r *Reconciler) loop(ctx context.Context, cfg func() *config.Config, changes <-chan live.Delta[config.Config]) {
	retry := time.NewTimer(retryAfter)
	defer retry.Stop()
	for {
		retry.Stop()
		if err := r.Reconcile(ctx, cfg()); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "not everything was dealt with; it is tried again", "after", retryAfter.String(), "error", err)
			retry.Reset(retryAfter)
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		case <-retry.C:
		}
	}
}

// limited bounds the reading of the state.
type limited struct{ Keeper }

func (l limited) Load(ctx context.Context) (*State, error) {
	ctx, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	return l.Keeper.Load(ctx)
}
