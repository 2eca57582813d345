package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"prow/internal/config"
	"prow/internal/controller/horologium"
	"prow/internal/controller/manager"
	"prow/internal/controller/sinker"
	"prow/internal/deck"
	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/hook"
	"prow/internal/kube"
	"prow/internal/plugins/all"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/report/crier"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/tide"
	"prow/internal/webhookserver"
	"prow/standalone/controlplane"
	"prow/standalone/node"
	"prow/standalone/node/containerexec"
	"prow/standalone/node/executor"
	"prow/standalone/node/hostexec"
)

const (
	// stopLimit bounds the orderly end of everything.
	stopLimit = 20 * time.Second
	// handlerGrace is how long webhooks may be handled after the end was asked for.
	handlerGrace = 5 * time.Second
	// podNamespace is where jobs run.
	podNamespace = "test-pods"
)

// Up is a running installation.
type Up struct {
	Options *Options
	// Kubeconfig has the administrator's credentials.
	Kubeconfig string
	// ForgeAPI is the base of the forge's REST API.
	ForgeAPI string
	// Approves tells that the repository has owners, so that a merge needs their approval.
	Approves bool
	// Took is the time from the start to ready.
	Took time.Duration
}

// Run runs everything until ctx ends. ready is called once all serves.
func Run(ctx context.Context, o *Options, ready func(context.Context, *Up) error) error {
	began := time.Now()
	for _, dir := range []string{o.Dir, o.path("secrets"), o.path("storage"), o.path("tide"), o.path("cache", "hook"), o.path("cache", "tide")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	repo, err := inspect(ctx, o.RepoPath)
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile(o.path("prow.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer logFile.Close()
	level, secrets := new(slog.LevelVar), new(secret.Store)
	log := service.NewLogger(logFile, level, secrets)
	ctrllog.SetLogger(logr.FromSlogHandler(log.Handler()))

	// The control plane goes first: its lock tells whether the directory is ours.
	cp, err := controlplane.Start(ctx, controlplane.Options{Dir: o.path("kube"), Port: o.KubePort, Namespaces: []string{podNamespace}})
	if err != nil {
		return err
	}
	err = runOn(ctx, o, repo, cp, host{log, level, secrets}, func(ctx context.Context, forgeAPI string) error {
		return ready(ctx, &Up{Options: o, Kubeconfig: cp.KubeconfigPath(), ForgeAPI: forgeAPI, Approves: repo.hasOwners, Took: time.Since(began)})
	})
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return errors.Join(err, cp.Stop(stopCtx))
}

// host makes Runtimes for components of this process.
type host struct {
	log     *slog.Logger
	level   *slog.LevelVar
	secrets *secret.Store
}

// runOn runs the forge, the node and the components on a control plane.
func runOn(ctx context.Context, o *Options, repo source, cp *controlplane.ControlPlane, h host, ready func(ctx context.Context, forgeAPI string) error) error {
	if err := writeConfig(o.path("config"), settings{
		Org: o.Org, Repo: o.Repo, DeckURL: URL(o.DeckPort), ForgeURL: URL(o.ForgePort), Bucket: "file://" + o.path("storage"),
		ImagePrefix: imagePrefix, Branch: repo.branch, Owners: repo.hasOwners,
	}); err != nil {
		return err
	}
	hmac, err := secretFile(o.path("secrets", "hmac"))
	if err != nil {
		return err
	}

	if _, err := secretFile(o.path("secrets", "admin-token")); err != nil {
		return err
	}

	// Each layer ends after the one above it: components, then the node, then the forge.
	group, ctx := errgroup.WithContext(ctx)
	forge, err := local.Open(ctx, local.Options{
		Dir: o.path("forge"), BaseURL: URL(o.ForgePort), AnonymousRead: true, SignIn: true, Logger: h.log.With("component", "forge"),
	})
	if err != nil {
		return err
	}
	defer forge.Close() //nolint:errcheck // its writes are on disk when they are answered
	seed := o.seed(repo, hmac)
	if seed.OAuthApps, err = o.signIn(); err != nil {
		return err
	}
	if err := forge.Apply(ctx, seed); err != nil {
		return fmt.Errorf("seed the forge: %w", err)
	}
	forgeListener, err := listen("forge-port", o.ForgePort)
	if err != nil {
		return err
	}
	group.Go(func() error { return service.Serve(ctx, forgeListener, forge.Handler(), stopLimit/4) })
	group.Go(func() error { return forge.Run(ctx) })
	group.Go(func() error { return h.secrets.Run(ctx, h.log) })
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.MetricsPort != 0 {
		listener, err := listen("metrics-port", o.MetricsPort)
		if err != nil {
			return err
		}
		group.Go(func() error { return service.Serve(ctx, listener, service.MetricsHandler(metrics), stopLimit/4) })
	}

	nodeReady := make(chan struct{})
	group.Go(func() error { return runNode(ctx, o, cp, h.log, func() { close(nodeReady) }) })

	waits := []<-chan struct{}{nodeReady}
	for _, c := range components(o, cp, forge) {
		rt := service.NewRuntime(c.name, h.log, h.level, prometheus.WrapRegistererWith(prometheus.Labels{"component": c.name}, metrics), h.secrets)
		waits = append(waits, rt.Ready())
		group.Go(func() error {
			if err := c.run(ctx, rt); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", c.name, err)
			} else if err == nil && ctx.Err() == nil {
				return fmt.Errorf("%s ended by itself", c.name)
			}
			return nil
		})
	}
	group.Go(func() error {
		select {
		case <-cp.Done():
			return fmt.Errorf("the control plane ended: %w", cp.Err())
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error {
		for _, w := range waits {
			select {
			case <-w:
			case <-ctx.Done():
				return nil
			}
		}
		return ready(ctx, forge.APIURL())
	})
	return group.Wait()
}

func listen(flag string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return l, nil
}

// runNode runs pods on this machine until ctx ends.
func runNode(ctx context.Context, o *Options, cp *controlplane.ControlPlane, log *slog.Logger, ready func()) error {
	dir := o.path("node")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	images := map[string]string{}
	for _, u := range utilities {
		images[imagePrefix+u] = filepath.Join(o.Utilities, u)
	}
	machine, err := hostexec.New(ctx, dir, hostexec.Options{
		Env:  slices.Concat([]string{"PATH=" + os.Getenv("PATH")}, o.JobEnv),
		Hide: []string{o.Dir}, Expose: o.Expose, ImageBinaries: images,
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	defer machine.Close() //nolint:errcheck // what it leaves is found by the next start
	var run executor.Executor = machine
	if o.Executor == ExecutorContainer {
		if run, err = containerexec.New(ctx, machine, containerexec.Options{Program: o.ContainerRuntime, Args: o.RuntimeArgs, Owner: o.Dir}); err != nil {
			return fmt.Errorf("node: %w", err)
		}
	}
	tls, err := cp.NodeTLS()
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return node.Run(ctx, cp.RESTConfig(), node.Options{
		Dir: dir, TLS: tls, Executor: run, HostPaths: []string{o.path("storage")}, LogBytes: o.LogBytes, Ready: ready,
		Logger: log.With("component", "node"),
	})
}

// component is a part of Prow that this process hosts.
type component struct {
	name string
	run  func(context.Context, *service.Runtime) error
}

// components are the parts of Prow, with the settings they have here.
func components(o *Options, cp *controlplane.ControlPlane, forge *local.Forge) []component {
	cfg := config.DefaultOptions()
	cfg.ConfigPath, cfg.JobConfigPath = o.path("config", "config.yaml"), o.path("config", "jobs")
	kubernetes := kube.Flags{Kubeconfig: cp.KubeconfigPath(), NoInClusterConfig: true}
	gh := github.Flags{
		Host: net.JoinHostPort("localhost", strconv.Itoa(o.ForgePort)), Endpoints: []string{forge.APIURL()}, GraphQLEndpoint: forge.GraphQLURL(),
		TokenPath: o.path("secrets", "bot-token"), InitialDelay: 200 * time.Millisecond,
	}
	return []component{
		{hook.Name, func(ctx context.Context, rt *service.Runtime) error {
			return hook.Run(ctx, rt, &hook.Options{
				Config: cfg, Plugins: pluginconfig.Options{Path: o.path("config", "plugins.yaml")}, Kubernetes: kubernetes, GitHub: gh,
				WebhookPath: "/hook", Port: o.HookPort, Address: "127.0.0.1", HMACFile: o.path("secrets", "hmac"), AdminTokenFile: o.path("secrets", "admin-token"), Store: o.path("hook.db"),
				CacheDir: o.path("cache", "hook"), GracePeriod: handlerGrace,
			}, all.Plugins())
		}},
		{manager.Name, func(ctx context.Context, rt *service.Runtime) error {
			return manager.Run(ctx, rt, &manager.Options{Config: cfg, Kubernetes: kubernetes, Controllers: []string{"plank"}, NoLeaderElection: true})
		}},
		{crier.Name, func(ctx context.Context, rt *service.Runtime) error {
			return crier.Run(ctx, rt, &crier.Options{
				Config: cfg, Kubernetes: kubernetes, GitHub: gh, GitHubWorkers: 4, BlobStorageWorkers: 2, NoLeaderElection: true,
			})
		}},
		{horologium.Name, func(ctx context.Context, rt *service.Runtime) error {
			return horologium.Run(ctx, rt, &horologium.Options{Config: cfg, Kubernetes: kubernetes, ListTimeout: time.Minute, NoLeaderElection: true})
		}},
		{tide.Name, func(ctx context.Context, rt *service.Runtime) error {
			return tide.Run(ctx, rt, &tide.Options{
				Config: cfg, Kubernetes: kubernetes, GitHub: gh, Port: o.TidePort, Address: "127.0.0.1", MaxRecords: 1000,
				HistoryURI: "file://" + o.path("tide", "history.json"), StatusURI: "file://" + o.path("tide", "status.yaml"),
				CacheDir: o.path("cache", "tide"), ListingTimeout: time.Minute,
			})
		}},
		{deck.Name, func(ctx context.Context, rt *service.Runtime) error {
			options := &deck.Options{
				Config: cfg, Plugins: pluginconfig.Options{Path: o.path("config", "plugins.yaml")}, Kubernetes: kubernetes, GitHub: gh, Port: o.DeckPort, Address: "127.0.0.1",
				TideURL: URL(o.TidePort), HookURL: URL(o.HookPort) + "/plugin-help", HookAdminTokenFile: o.path("secrets", "admin-token"), Spyglass: true, SyncTimeout: time.Minute,
				OAuthURL: "github-login", OAuthConfigFile: o.path("secrets", "oauth.yaml"), CookieSecretFile: o.path("secrets", "cookie"), RerunCreatesJob: true, AllowInsecure: true,
			}
			if err := options.Validate(); err != nil {
				return err
			}
			return deck.Run(ctx, rt, options)
		}},
		{sinker.Name, func(ctx context.Context, rt *service.Runtime) error {
			return sinker.Run(ctx, rt, &sinker.Options{Config: cfg, Kubernetes: kubernetes, NoLeaderElection: true})
		}},
		{webhookserver.Name, func(ctx context.Context, rt *service.Runtime) error {
			// The API server of this process finds it by the address that is registered at every start.
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return webhookserver.Run(ctx, rt, &webhookserver.Options{
				Config: cfg, Kubernetes: kubernetes, Directory: o.path("secrets", "webhook"), ExpiryYears: 30, Minutes: 1,
				Local: &webhookserver.Local{Listener: listener},
			})
		}},
	}
}

// Welcome prints what runs where and what to do next.
func (u *Up) Welcome(w io.Writer) {
	o := u.Options
	fmt.Fprintf(w, `
Prow is up (%.1f s).

  Prow      %s         jobs, logs, the merge queue; sign in as %s to administer it
  forge     %s         repositories and pull requests of %s
  API       KUBECONFIG=%s
  config    %s     edit it: changes are followed
  log       %s

Next:
  git clone %s/%s     change something, push a branch as %s (token: %s)
  open a pull request on the forge, comment /lgtm as %s and /approve as %s, and watch it merge
`, u.Took.Seconds(), URL(o.DeckPort), Approver, URL(o.ForgePort), o.FullName(), u.Kubeconfig, o.path("config"), o.path("prow.log"),
		URL(o.ForgePort), o.FullName(), Author, o.path("secrets", "token-"+Author), Reviewer, Approver)
}
