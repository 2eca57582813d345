package hook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/store"
	"prow/internal/webhook"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "hook"

// Options of the component.
type Options struct {
	Config     config.Options
	Plugins    pluginconfig.Options
	Kubernetes kube.Flags
	GitHub     github.Flags
	Enablement github.EnablementFlags

	WebhookPath string
	Port        int
	Address     string
	HMACFile    string
	// AdminTokenFile holds the token of those who may see deliveries.
	AdminTokenFile string
	// Store is the path of an SQLite file, or the URL of a PostgreSQL database;
	// StoreFile holds it instead, because it may hold a password.
	Store, StoreFile string
	CacheDir         string
	// CacheBound is how many bytes git mirrors may take; 0 is no bound.
	CacheBound  int64
	GracePeriod time.Duration
	SweepEvery  time.Duration
	SweepWindow time.Duration
	DryRun      bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Plugins.Path = "/etc/plugins/plugins.yaml"
	o.Plugins.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	o.Enablement.Bind(fs)
	fs.StringVar(&o.WebhookPath, "webhook-path", "/hook", "Path under which deliveries are accepted.")
	fs.IntVar(&o.Port, "port", 8888, "Port of webhooks and plugin help.")
	fs.StringVar(&o.Address, "bind-address", "", "Address to listen on; empty is all.")
	fs.StringVar(&o.HMACFile, "hmac-secret-file", "/etc/webhook/hmac", "File with the secrets that sign deliveries.")
	fs.StringVar(&o.AdminTokenFile, "admin-token-file", "", "File with the token with which "+DeliveriesPath+" may be read and deliveries replayed. Empty: nobody may.")
	fs.StringVar(&o.Store, "store", "hook.db", "Where deliveries are kept until they are handled: an SQLite file of this process, or a PostgreSQL database (postgres://...) that replicas share.")
	fs.StringVar(&o.StoreFile, "store-file", "", "File that holds the value of --store, which may have a password.")
	fs.StringVar(&o.CacheDir, "cache-dir-base", "", "Directory of git mirrors. Empty: a temporary one.")
	fs.Int64Var(&o.CacheBound, "git-cache-size", 0, "Bytes that git mirrors may take; those of repositories not used for longest go first. 0: they all stay.")
	fs.DurationVar(&o.GracePeriod, "grace-period", 180*time.Second, "How long running handlers may take at shutdown.")
	fs.DurationVar(&o.SweepEvery, "redelivery-interval", 15*time.Minute, "How often the forge is asked for deliveries that failed, to have them delivered again; 0 is never.")
	fs.DurationVar(&o.SweepWindow, "redelivery-window", 72*time.Hour, "How old these may be; the forge remembers them for some days.")
	for _, name := range []string{
		"slack-token-file", "bugzilla-endpoint", "bugzilla-github-external-tracker-id", "bugzilla-api-key-path", "bugzilla-auth-method",
		"jira-endpoint", "jira-bearer-token-file", "jira-username", "jira-password-file",
	} {
		fs.String(name, "", "Accepted, and of no effect while no plugin of this program talks to that service.")
		_ = fs.MarkHidden(name) // the flag exists
	}
	fs.BoolVar(&o.DryRun, "dry-run", true, "Change nothing on GitHub and in the cluster.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.GitHub.Validate(), o.Enablement.Validate()}
	if len(o.WebhookPath) == 0 || o.WebhookPath[0] != '/' {
		errs = append(errs, fmt.Errorf("--webhook-path=%s must begin with /", o.WebhookPath))
	}
	if o.Port < 0 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d is not a port", o.Port))
	}
	if o.SweepEvery < 0 || o.SweepWindow <= 0 || o.SweepWindow > webhook.Keep {
		errs = append(errs, fmt.Errorf("--redelivery-interval=%s must not be negative, and --redelivery-window=%s be positive and at most %s, for so long deliveries are known", o.SweepEvery, o.SweepWindow, webhook.Keep))
	}
	return errors.Join(errs...)
}

// Command is the program, with these plugins.
func Command(all map[string]*plugins.Plugin) *cobra.Command {
	return service.Command(Name, "Receive webhooks", "Receives the webhooks of a forge and runs the plugins that each repository enables.", &Options{},
		func(ctx context.Context, rt *service.Runtime, o *Options) error { return Run(ctx, rt, o, all) })
}

// Run serves webhooks until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options, all map[string]*plugins.Plugin) error {
	cfg, err := wiring.Config(ctx, rt, o.Config)
	if err != nil {
		return err
	}
	pluginCfg, err := pluginconfig.NewWatcher(ctx, o.Plugins, live.Options{Name: "plugin config", Logger: rt.Log, Observe: live.Metrics(rt.Metrics, "plugin config")})
	if err != nil {
		return err
	}
	keys, adminToken, err := o.secrets(rt)
	if err != nil {
		return err
	}
	o.GitHub.Measure(rt.Metrics)
	gh, err := o.GitHub.Client(rt.Agent(), o.DryRun, rt.Secrets, rt.Log)
	if err != nil {
		return err
	}
	agents, cleanUp, err := o.agents(rt, gh, cfg.Get().DisabledClusters)
	if err != nil {
		return err
	}
	defer cleanUp()
	db, err := o.open(ctx, rt)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // every write was committed before it was relied on

	listener, err := net.Listen("tcp", net.JoinHostPort(o.Address, strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("--port: %w", err)
	}
	d := &dispatcher{
		plugins: all, store: db, config: cfg.Get, pluginConfig: pluginCfg.Get, serves: o.Enablement.Enabled, newAgent: agents.agent,
		forward: newForwarder(keys, rt.Metrics), lanes: newLanes(rt.Metrics), now: time.Now, log: rt.Log, metrics: newDispatchMetrics(rt.Metrics),
	}
	box, err := webhook.NewInbox(ctx, db, owner(), d.prepare, time.Now, rt.Log, rt.Metrics)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(o.WebhookPath, webhook.NewAcceptor(keys, box.Take, time.Now, rt.Log, rt.Metrics))
	mux.Handle("/plugin-help", newHelper(all, pluginCfg.Get, gh, time.Now, rt.Log))
	admin := &deliveries{store: db, token: adminToken, replay: box.Rescan, log: rt.Log}
	mux.Handle(DeliveriesPath, admin.handler())
	mux.Handle(DeliveriesPath+"/", admin.handler())
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {}) // the old health check

	handler := service.NewHTTPMetrics(rt.Metrics, Name, service.HTTPBuckets{}).Measure(mux)

	rt.ShutdownTakes(o.GracePeriod + 10*time.Second)
	// The inbox stops after the server, so that what is accepted last is handled too.
	group, groupCtx := errgroup.WithContext(ctx)
	boxCtx, stopBox := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBox()
	group.Go(func() error { return cfg.Run(groupCtx) })
	group.Go(func() error { return pluginCfg.Run(groupCtx) })
	group.Go(func() error {
		defer stopBox()
		return service.Serve(groupCtx, listener, handler, o.GracePeriod)
	})
	group.Go(func() error { return box.Run(boxCtx, o.GracePeriod) })
	if o.SweepEvery > 0 {
		sweep := &sweeper{
			forge: gh, app: o.GitHub.AppID != "", path: o.WebhookPath, config: pluginCfg.Get, serves: o.Enablement.Enabled, has: db.Has,
			every: o.SweepEvery, window: o.SweepWindow, now: time.Now, log: rt.Log,
		}
		group.Go(func() error { return sweep.run(groupCtx) })
	}
	rt.SetReady()
	rt.Log.InfoContext(ctx, "receiving webhooks", "address", listener.Addr().String(), "path", o.WebhookPath)
	return group.Wait()
}

// owner names this process among the replicas that share a store.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()
}

// secrets are the current keys of the webhook and token of administrators.
func (o *Options) secrets(rt *service.Runtime) (keys func() webhook.Keys, adminToken func() string, err error) {
	if keys, err = webhook.FollowKeys(rt.Secrets, o.HMACFile); err != nil {
		return nil, nil, fmt.Errorf("--hmac-secret-file: %w", err)
	}
	adminToken = func() string { return "" }
	if o.AdminTokenFile != "" {
		token, err := rt.Secrets.File(o.AdminTokenFile, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("--admin-token-file: %w", err)
		}
		adminToken = func() string { return token().Reveal() }
	}
	return keys, adminToken, nil
}

func (o *Options) open(ctx context.Context, rt *service.Runtime) (*store.Store, error) {
	dsn := o.Store
	if o.StoreFile != "" {
		read, err := rt.Secrets.File(o.StoreFile, nil)
		if err != nil {
			return nil, fmt.Errorf("--store-file: %w", err)
		}
		dsn = read().Reveal()
	}
	return store.Open(ctx, dsn)
}
