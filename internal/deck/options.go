package deck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/deck/lens"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/store"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "deck"

// defaultKeepRuns is how many runs are kept.
const defaultKeepRuns = 100_000

// shutdownGrace is how long running requests may take at shutdown.
const shutdownGrace = 5 * time.Second

// Options of the component.
type Options struct {
	Config     config.Options
	Plugins    pluginconfig.Options
	Kubernetes kube.Flags
	GitHub     github.Flags

	Port    int
	Address string
	// TideURL and HookURL are where Tide's pools and hook's plugin help are; empty
	// switches off what needs them.
	TideURL string
	HookURL string
	// HookAdminTokenFile holds the token with which hook tells its deliveries.
	// Administrators see them and may have them handled again; where nobody can sign
	// in, everybody who sees the pages is one.
	HookAdminTokenFile string
	// OAuthURL lets people sign in if it is not empty; OAuthConfigFile says where.
	OAuthURL, OAuthConfigFile string
	// CookieSecretFile holds the secret of sessions and tokens, in base64.
	CookieSecretFile string
	// RedirectHTTPTo is the host to which plain HTTP is led.
	RedirectHTTPTo string
	// RerunCreatesJob starts jobs from here; otherwise they are only shown.
	RerunCreatesJob bool
	// AllowInsecure lets cookies and redirects use plain HTTP.
	AllowInsecure bool
	// StaticFiles is a directory of the operator whose files are served before the own ones.
	StaticFiles string
	// GCSCookieAuth lets links into Google's storage use the visitor's session there.
	GCSCookieAuth bool
	// PregeneratedData is a directory whose data stand for a cluster; empty uses one.
	PregeneratedData string
	// DryRun keeps the client of GitHub from changing anything.
	DryRun bool
	// HiddenOnly, ShowHidden and TenantIDs say which jobs are shown.
	HiddenOnly bool
	ShowHidden bool
	TenantIDs  []string
	// Spyglass shows runs with their logs and artifacts.
	Spyglass    bool
	SyncTimeout time.Duration
	// Store is where runs are kept that have ended: the path of an SQLite file, or the
	// URL of a PostgreSQL database. Empty: only as long as the process lives.
	Store string
	// storeGiven tells whether somebody asked for the store; nil is yes.
	storeGiven func() bool
	// lookEvery is the time between looks at what others wrote to the store.
	lookEvery time.Duration
	// KeepRunsFor and KeepRuns say how long they are kept, and how many; 0 is for ever.
	// KeepRuns is bounded in any case, by memory: 0 is its default.
	KeepRunsFor time.Duration
	KeepRuns    int

	// Credentials open what is not public in storage.
	Credentials providers.Credentials
	// Storage opens buckets. Default: all providers, with Credentials.
	Storage *storage.Opener

	// watchers is how many clients may follow logs, patience how long they may take
	// for what is sent. Default: maxWatchers, writePatience.
	watchers int
	patience time.Duration
	// Lenses show artifacts of runs. Default: those that are built in.
	Lenses []lens.Lens
}

func (o *Options) lenses() []lens.Lens {
	if o.Lenses == nil {
		return builtinLenses()
	}
	return o.Lenses
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Plugins.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	o.Credentials.Bind(fs)
	fs.IntVar(&o.Port, "port", 8080, "Port of the pages.")
	fs.StringVar(&o.Address, "bind-address", "", "Address to listen on; empty is all.")
	fs.StringVar(&o.TideURL, "tide-url", "", "URL of Tide's pools. Empty: nothing of Tide is shown.")
	fs.StringVar(&o.HookURL, "hook-url", "", "URL of hook's plugin help. Empty: no commands and plugins are shown.")
	fs.StringVar(&o.HookAdminTokenFile, "hook-admin-token-file", "", "File with hook's token of administrators. With it, those whom deck.administrators of the configuration names see the webhooks that hook received, and may have them handled again. Without --oauth-url that is everybody who can reach these pages.")
	fs.StringVar(&o.OAuthURL, "oauth-url", "", "Lets people sign in if it is not empty; the value itself is not used.")
	fs.StringVar(&o.OAuthConfigFile, "github-oauth-config-file", "/etc/github/secret", "YAML or JSON file with the OAuth App of GitHub (client_id, client_secret, redirect_url, scopes), and under oidc a provider of OpenID Connect.")
	fs.StringVar(&o.CookieSecretFile, "cookie-secret", "", "File with the secret of sessions and of tokens against forged requests: at least 32 bytes, in base64.")
	fs.StringVar(&o.RedirectHTTPTo, "redirect-http-to", "", "Host to which requests are led that came by plain HTTP, as X-Forwarded-Proto of a proxy tells.")
	fs.BoolVar(&o.RerunCreatesJob, "rerun-creates-job", false, "Start jobs that people run again. Without it the ProwJob is only shown, for kubectl.")
	fs.BoolVar(&o.AllowInsecure, "allow-insecure", false, "Let cookies and redirects use plain HTTP. For tests and for this machine only.")
	fs.StringVar(&o.StaticFiles, "static-files-location", "", "Directory whose files are served under /static/ before the own ones: logo, favicon, extensions/style.css, extensions/script.js.")
	fs.BoolVar(&o.GCSCookieAuth, "gcs-cookie-auth", false, "Let addresses in Google Cloud Storage be those that use the visitor's own session (storage.cloud.google.com).")
	fs.StringVar(&o.PregeneratedData, "pregenerated-data", "", "Directory with data that stand for a cluster (prowjobs.json, and other files that are served under their names), to try pages out.")
	for _, name := range []string{"template-files-location", "spyglass-files-location"} {
		fs.String(name, "", "Accepted, and of no effect: pages and lenses are part of the program.")
	}
	fs.BoolVar(&o.DryRun, "dry-run", false, "Change nothing on GitHub.")
	fs.BoolVar(&o.HiddenOnly, "hidden-only", false, "Show only hidden jobs.")
	fs.BoolVar(&o.ShowHidden, "show-hidden", false, "Show hidden jobs, too.")
	fs.StringArrayVar(&o.TenantIDs, "tenant-id", nil, "Show only jobs of this tenant. May be repeated.")
	fs.BoolVar(&o.Spyglass, "spyglass", false, "Show runs with their logs and artifacts.")
	fs.StringVar(&o.Store, "store", "deck.db", "Where runs that have ended are kept: an SQLite file of this process, or a PostgreSQL database (postgres://...) that replicas share. Where the default cannot be written, a temporary file is used.")
	o.storeGiven = func() bool { return fs.Changed("store") }
	fs.DurationVar(&o.KeepRunsFor, "keep-runs-for", 90*24*time.Hour, "How long runs that have ended are kept; 0 is as long as their number allows.")
	fs.IntVar(&o.KeepRuns, "keep-runs", defaultKeepRuns, "How many runs that have ended are kept, the newest. Each takes about 250 bytes of memory, and some KB in the store.")
	fs.DurationVar(&o.SyncTimeout, "timeout-listing-prowjobs", 30*time.Second, "How long the first list of ProwJobs may take.")
}

// Validate checks the options and sets what is not given.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.GitHub.Validate()}
	exclusive := 0
	for _, given := range []bool{o.HiddenOnly, o.ShowHidden, len(o.TenantIDs) > 0} {
		if given {
			exclusive++
		}
	}
	if exclusive > 1 {
		errs = append(errs, errors.New("only one of --hidden-only, --show-hidden and --tenant-id may be given"))
	}
	if o.Port < 0 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d is not a port", o.Port))
	}
	for _, u := range []struct{ flag, value string }{{"tide-url", o.TideURL}, {"hook-url", o.HookURL}} {
		if parsed, err := url.Parse(u.value); u.value != "" && (err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https") {
			errs = append(errs, fmt.Errorf("--%s=%q is not an http or https URL", u.flag, u.value))
		}
	}
	if o.PregeneratedData != "" && (o.OAuthURL != "" || o.RerunCreatesJob || o.HookAdminTokenFile != "") {
		errs = append(errs, errors.New("--pregenerated-data stands for a cluster in which nothing can be done: it excludes --oauth-url, --rerun-creates-job and --hook-admin-token-file"))
	}
	if o.OAuthURL != "" && o.OAuthConfigFile == "" {
		errs = append(errs, errors.New("--oauth-url needs --github-oauth-config-file"))
	}
	if o.OAuthURL != "" && o.CookieSecretFile == "" {
		errs = append(errs, errors.New("--oauth-url needs --cookie-secret"))
	}
	if u, err := url.Parse("https://" + o.RedirectHTTPTo); o.RedirectHTTPTo != "" && (err != nil || u.Host != o.RedirectHTTPTo) {
		errs = append(errs, fmt.Errorf("--redirect-http-to=%q is not the name of a host", o.RedirectHTTPTo))
	}
	if o.HookAdminTokenFile != "" && o.HookURL == "" {
		errs = append(errs, errors.New("--hook-admin-token-file needs --hook-url"))
	}
	if o.KeepRunsFor < 0 {
		errs = append(errs, fmt.Errorf("--keep-runs-for=%v is negative", o.KeepRunsFor))
	}
	if o.KeepRuns < 0 {
		errs = append(errs, fmt.Errorf("--keep-runs=%d is negative", o.KeepRuns))
	}
	if o.KeepRuns == 0 {
		o.KeepRuns = defaultKeepRuns
	}
	if o.lookEvery == 0 {
		o.lookEvery = lookInterval
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	cmd := service.Command(Name, "Serve the pages", "Shows ProwJobs, their logs and artifacts, Tide and the commands of plugins.", &Options{}, Run)
	cmd.AddCommand(importCommand())
	return cmd
}

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	cfg, err := wiring.Config(ctx, rt, o.Config, checkLenses(lensMap(o.lenses())))
	if err != nil {
		return err
	}
	clusters := kube.Clusters{kube.ServiceCluster: {Host: "http://127.0.0.1:0"}} // nobody is asked
	if o.PregeneratedData == "" {
		if clusters, err = o.Kubernetes.Load(rt.Agent(), cfg.Get().DisabledClusters); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(o.Address, strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("--port: %w", err)
	}
	return serve(ctx, rt, o, cfg, clusters, listener)
}

// serve closes the listener in any case.
func serve(ctx context.Context, rt *service.Runtime, o *Options, cfg *config.Watcher, clusters kube.Clusters, listener net.Listener) (err error) {
	defer listener.Close() //nolint:errcheck // closed by the server in the regular case
	var kept *store.Store
	closeStore := func() error { return nil }
	if o.PregeneratedData == "" {
		if kept, closeStore, err = openStore(ctx, o, rt.Log); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	group, ctx := errgroup.WithContext(ctx)
	s, err := newServer(ctx, rt, o, cfg, clusters, kept)
	if err != nil {
		return err
	}
	feed, err := s.feed(o, clusters, cfg.Get().ProwJobNamespace)
	if err != nil {
		return err
	}
	group.Go(func() error { return cfg.Run(ctx) })
	if s.access.plugins != nil {
		group.Go(func() error { return s.access.plugins.Run(ctx) })
	}
	if s.tide != nil {
		group.Go(func() error { return s.tide.run(ctx) })
	}
	loaded := make(chan struct{})
	if kept == nil {
		close(loaded)
	} else {
		keeper := &keeper{index: s.index, store: kept, placeOf: s.placeText, age: o.KeepRunsFor, most: o.KeepRuns, look: o.lookEvery, log: rt.Log, now: s.now}
		group.Go(func() error {
			if err := keeper.load(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			close(loaded)
			return keeper.run(ctx)
		})
	}
	if s.spyglass {
		group.Go(func() error { return s.testGrid.run(ctx) })
	}
	synced := make(chan struct{})
	group.Go(func() error { return feed(ctx, synced) })
	group.Go(func() error {
		for _, done := range []<-chan struct{}{loaded, synced} {
			select {
			case <-ctx.Done():
				return nil
			case <-done:
			}
		}
		rt.SetReady()
		rt.Log.InfoContext(ctx, "serving pages", "address", listener.Addr().String(), "runs", s.index.size())
		return service.Serve(ctx, listener, s.handler(), shutdownGrace)
	})
	return group.Wait()
}

// feed is what keeps the index as the cluster has it, or as a directory does.
func (s *server) feed(o *Options, clusters kube.Clusters, namespace string) (func(ctx context.Context, synced chan<- struct{}) error, error) {
	if o.PregeneratedData != "" {
		return func(ctx context.Context, synced chan<- struct{}) error {
			if err := s.pregenerated.fill(s.index); err != nil {
				return err
			}
			close(synced)
			<-ctx.Done()
			return nil
		}, nil
	}
	feeder, err := newFeeder(clusters.Service(), namespace, s.index, s.log)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, synced chan<- struct{}) error { return feeder.run(ctx, o.SyncTimeout, synced) }, nil
}

// placeText is where a run stores its files; empty if nowhere that is shown.
func (s *server) placeText(pj *v1.ProwJob) string {
	where, err := s.placeOf(pj)
	if err != nil {
		return ""
	}
	return where.path()
}
