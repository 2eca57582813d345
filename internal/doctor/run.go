package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/providers"
)

// errIll is the end of a run that found something bad.
var errIll = errors.New("not all is well")

// Command makes the program.
func Command() *cobra.Command {
	o := &Options{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine a running installation, and say what to mend",
		Long: `Examine an installation from the outside: whether its configuration loads, webhooks come in and are taken, credentials may
do what plugins and Tide do, the cluster knows ProwJobs and lets the components work, build clusters take pods, buckets can
be written and read, and clocks agree.

Run it with the flags of the components, where they run or from a machine that reaches the same. Nothing is changed but an
object in each bucket, which is removed again. The exit status is 1 if anything is bad.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return fmt.Errorf("bad options: %w", err)
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return Run(ctx, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.Bind(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &service.UsageError{Err: err} })
	return cmd
}

// patient is what examinations look at. What could not be opened is nil.
type patient struct {
	*Options
	config  *config.Config
	plugins *pluginconfig.Configuration
	// configErr and pluginErr tell why these are missing.
	configErr, pluginErr error
	clusters             kube.Clusters
	clusterErr           error
	forge                *github.Client
	forgeErr             error
	storage              *storage.Opener
	http                 *http.Client
	now                  func() time.Time
}

// examination is one part of the world and how it is looked at.
type examination struct {
	name string
	// look returns what it found. It looks at everything it can before it ends.
	look func(ctx context.Context, p *patient) []Finding
}

// examinations are told in this order.
var examinations = []examination{
	{"configuration", lookAtConfiguration},
	{"service cluster", lookAtServiceCluster},
	{"rights of the components", lookAtRights},
	{"build clusters", lookAtBuildClusters},
	{"storage", lookAtStorage},
	{"GitHub", lookAtForge},
	{"webhooks", lookAtWebhooks},
	{"clocks", lookAtClocks},
}

// open loads and opens what there is.
func open(ctx context.Context, o *Options, log *slog.Logger) *patient {
	p := &patient{Options: o, storage: providers.New(o.Storage), http: &http.Client{Timeout: o.Timeout}, now: time.Now}
	// A redirect is itself something to tell.
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.config, p.configErr = config.Load(ctx, o.Config)
	if o.Plugins.Path != "" {
		p.plugins, p.pluginErr = pluginconfig.Load(ctx, o.Plugins)
	}
	var disabled []string
	if p.config != nil {
		disabled = p.config.DisabledClusters
	}
	p.clusters, p.clusterErr = o.Kubernetes.Load("prow-doctor", disabled)
	if o.GitHub.TokenPath != "" || o.GitHub.AppID != "" {
		o.GitHub.MaxRetries, o.GitHub.Max404Retries = 1, -1 // what fails is to be told, not tried again
		p.forge, p.forgeErr = o.GitHub.Client("prow-doctor", true, new(secret.Store), log)
	}
	return p
}

// maxLooks is how many examinations go on at the same time.
const maxLooks = 4

// Examine makes all examinations.
func Examine(ctx context.Context, o *Options, log *slog.Logger) *Report {
	p := open(ctx, o, log)
	out := &Report{Results: make([]Result, len(examinations))}
	var group errgroup.Group
	group.SetLimit(maxLooks)
	for i, e := range examinations {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, o.Timeout)
			defer cancel()
			out.Results[i] = Result{e.name, e.look(ctx, p)}
			return nil
		})
	}
	_ = group.Wait() // an examination returns findings
	out.Healthy = out.count(Bad) == 0
	return out
}

// Run examines, and prints the report. The error tells that something is bad.
func Run(ctx context.Context, o *Options, stdout, stderr io.Writer) error {
	report := Examine(ctx, o, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	write := report.writeText
	if o.Output == outputJSON {
		write = report.writeJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	if !report.Healthy {
		return errIll
	}
	return nil
}
