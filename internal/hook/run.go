package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/store"
)

// Name of the component.
const Name = "hook"

// Options of the component.
type Options struct {
	Config     config.Options
	Plugins    pluginconfig.Options
	Kubernetes kube.Flags
	GitHub     github.Flags

	WebhookPath string
	Port        int
	Address     string
	HMACFile    string
	Store       string
	CacheDir    string
	GracePeriod time.Duration
	DryRun      bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Plugins.Path = "/etc/plugins/plugins.yaml"
	o.Plugins.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.GitHub.Bind(fs)
	fs.StringVar(&o.WebhookPath, "webhook-path", "/hook", "Path under which deliveries are accepted.")
	fs.IntVar(&o.Port, "port", 8888, "Port of webhooks and plugin help.")
	fs.StringVar(&o.Address, "bind-address", "", "Address to listen on; empty is all.")
	fs.StringVar(&o.HMACFile, "hmac-secret-file", "/etc/webhook/hmac", "File with the secrets that sign deliveries.")
	fs.StringVar(&o.Store, "store", "hook.db", "SQLite file in which deliveries are kept until they are handled.")
	fs.StringVar(&o.CacheDir, "cache-dir-base", "", "Directory of git mirrors. Empty: a temporary one.")
	fs.DurationVar(&o.GracePeriod, "grace-period", 180*time.Second, "How long running handlers may take at shutdown.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Change nothing on GitHub and in the cluster.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.GitHub.Validate()}
	if len(o.WebhookPath) == 0 || o.WebhookPath[0] != '/' {
		errs = append(errs, fmt.Errorf("--webhook-path=%s must begin with /", o.WebhookPath))
	}
	if o.Port < 0 || o.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port=%d is not a port", o.Port))
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
	cfg, err := config.NewWatcher(ctx, o.Config, live.Options{Name: "config", Logger: rt.Log, Level: rt.Level, Observe: live.Metrics(rt.Metrics, "config")})
	if err != nil {
		return err
	}
	pluginCfg, err := pluginconfig.NewWatcher(ctx, o.Plugins, live.Options{Name: "plugin config", Logger: rt.Log, Observe: live.Metrics(rt.Metrics, "plugin config")})
	if err != nil {
		return err
	}
	var keys atomic.Pointer[Keys]
	if _, err := rt.Secrets.File(o.HMACFile, func(b []byte) error {
		parsed, err := ParseKeys(b)
		if err == nil {
			for _, list := range parsed {
				for _, k := range list {
					rt.Secrets.Add(k.Value)
				}
			}
			keys.Store(&parsed)
		}
		return err
	}); err != nil {
		return fmt.Errorf("--hmac-secret-file: %w", err)
	}
	o.GitHub.Measure(rt.Metrics)
	gh, err := o.GitHub.Client(rt.Agent(), o.DryRun, rt.Secrets, rt.Log)
	if err != nil {
		return err
	}
	clusters, err := o.Kubernetes.Load(rt.Agent(), cfg.Get().DisabledClusters)
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	jobs, err := client.New(clusters.Service(), client.Options{Scheme: scheme, DryRun: &o.DryRun})
	if err != nil {
		return fmt.Errorf("service cluster: %w", err)
	}
	deliveries, err := store.Open(ctx, o.Store)
	if err != nil {
		return err
	}
	defer deliveries.Close() //nolint:errcheck // every write was committed before it was relied on

	listener, err := net.Listen("tcp", net.JoinHostPort(o.Address, strconv.Itoa(o.Port)))
	if err != nil {
		return fmt.Errorf("--port: %w", err)
	}
	mirrors, cleanUp, err := o.mirrors(rt)
	if err != nil {
		return err
	}
	defer cleanUp()
	inrepo.ObserveGit(rt.Metrics, mirrors)
	inRepo := config.NewInRepo(inrepo.Trees{Cache: mirrors, Metrics: inrepo.NewMetrics(rt.Metrics)}, config.InRepoOptions{Registerer: rt.Metrics})
	ownersCache := owners.NewCache(func(ctx context.Context, org, repo, commit string, read func(owners.Tree) error) error {
		return mirrors.Files(ctx, org, repo, commit, func(m *git.Mirror) error { return read(m) })
	})

	d := &dispatcher{
		plugins: all, store: deliveries, pluginConfig: pluginCfg.Get, now: time.Now, log: rt.Log, metrics: newDispatchMetrics(rt.Metrics),
		newAgent: func(pc *pluginconfig.Configuration, delivery, plugin string, log *slog.Logger) *plugins.Agent {
			mine, current := gh.For(plugin), cfg.Get()
			return &plugins.Agent{
				GitHub: mine, ProwJobs: jobs, InRepo: inRepo, Config: current, Plugins: pc, Delivery: delivery, Now: time.Now, Log: log,
				Owners: &owners.Client{Cache: ownersCache, Forge: mine, Settings: plugins.OwnersSettings(current, pc), Log: log},
			}
		},
	}
	box := newInbox(deliveries, d.handle, time.Now, rt.Log)
	mux := http.NewServeMux()
	mux.Handle(o.WebhookPath, &acceptor{
		keys: func() Keys { return *keys.Load() }, take: box.take, now: time.Now, log: rt.Log,
		codes: service.Register(rt.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prow_webhook_response_codes", Help: "Number of answers to webhooks, by status code."}, []string{"response_code"})),
		count: service.Register(rt.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prow_webhook_counter", Help: "Number of valid deliveries, by kind of event."}, []string{"event_type"})),
	})
	mux.Handle("/plugin-help", &helper{plugins: all, config: pluginCfg.Get, repos: gh, now: time.Now, log: rt.Log})
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {}) // the old health check

	// The inbox stops after the server, so that what is accepted last is handled too.
	group, groupCtx := errgroup.WithContext(ctx)
	boxCtx, stopBox := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBox()
	group.Go(func() error { return cfg.Run(groupCtx) })
	group.Go(func() error { return pluginCfg.Run(groupCtx) })
	group.Go(func() error {
		defer stopBox()
		return service.Serve(groupCtx, listener, mux, o.GracePeriod)
	})
	group.Go(func() error { return box.run(boxCtx, o.GracePeriod) })
	rt.SetReady()
	rt.Log.InfoContext(ctx, "receiving webhooks", "address", listener.Addr().String(), "path", o.WebhookPath)
	return group.Wait()
}

// mirrors makes the cache of repositories, in a temporary directory unless one is
// given. cleanUp removes what must not stay.
func (o *Options) mirrors(rt *service.Runtime) (cache *git.Cache, cleanUp func(), err error) {
	remotes, err := o.GitHub.GitRemotes(rt.Secrets)
	if err != nil {
		return nil, nil, err
	}
	return inrepo.Mirrors(Name, o.CacheDir, remotes, os.Environ())
}

func newDispatchMetrics(reg prometheus.Registerer) *dispatchMetrics {
	labels := []string{"event_type", "action", "plugin", "took_action"}
	return &dispatchMetrics{
		duration: service.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prow_plugin_handle_duration_seconds", Help: "Seconds that a handler took.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640},
		}, labels)),
		errors: service.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prow_plugin_handle_errors", Help: "Number of handlers that failed.",
		}, labels)),
	}
}
