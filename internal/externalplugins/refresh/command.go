package refresh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/eventserver"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/service"
)

// Options of the program.
type Options struct {
	Server eventserver.Flags
	Config config.Options
	GitHub github.Flags
	// ProwURL is the address of deck.
	ProwURL string
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Server.Bind(fs, Name)
	o.Config.ConfigPath = "/etc/config/config.yaml"
	o.Config.Bind(fs)
	o.GitHub.Bind(fs)
	fs.StringVar(&o.ProwURL, "prow-url", "", "Address of deck, from which jobs are read.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Server.Validate(), o.Config.Validate(), o.GitHub.Validate()}
	if u, err := url.Parse(o.ProwURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("--prow-url=%q is no address that begins with http:// or https://", o.ProwURL))
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Report jobs of pull requests again", "External plugin: reports the jobs of a pull request on GitHub again when a comment asks for it.", &Options{}, Run)
}

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	cfg, err := config.NewWatcher(ctx, o.Config, live.Options{Name: "config", Logger: rt.Log, Level: rt.Level, Observe: live.Metrics(rt.Metrics, "config")})
	if err != nil {
		return err
	}
	gh, err := o.GitHub.Client(rt.Agent(), o.Server.DryRun, rt.Secrets, rt.Log)
	if err != nil {
		return err
	}
	server := &eventserver.Server{
		Plugin: newPlugin(o.ProwURL, &http.Client{}).describe(), Flags: &o.Server, GitHub: gh, Config: cfg.Get, Agent: func() *plugins.Agent { return &plugins.Agent{} },
		Background: func(ctx context.Context) error { return cfg.Run(ctx) },
	}
	return server.Run(ctx, rt)
}
