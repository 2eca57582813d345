// Package crier is the program that hosts the reporters.
//
// Each reporter that is given workers has a controller of its own, so that a place
// that is down keeps no other from being told. All share one cache of slim
// ProwJobs. Of several replicas one reports.
package crier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	gerritforge "prow/internal/forge/gerrit"
	"prow/internal/kube"
	"prow/internal/kube/fleet"
	"prow/internal/report"
	"prow/internal/report/gerrit"
	"prow/internal/report/github"
	"prow/internal/report/kubernetes"
	"prow/internal/report/pubsub"
	"prow/internal/report/resultstore"
	"prow/internal/report/slack"
	reportstorage "prow/internal/report/storage"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "crier"

// leaseName is the lease of the replica that reports.
const leaseName = "crier-leader-lock"

// Command is the program.
func Command() *cobra.Command {
	return service.Frugal(service.Command(Name, "Report ProwJobs",
		"Tells GitHub, Gerrit, Pub/Sub, Slack, blob storage and ResultStore how ProwJobs fare. Each place has a flag for its number of workers; 0, the default, is off.",
		&Options{}, Run))
}

// Run reports until ctx ends. It ends as well, without an error, when the
// kubeconfig files reach the service cluster in another way than before: a new
// start uses the new one.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cfg, err := wiring.Config(ctx, rt, o.Config)
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	clusters, err := o.clusters(rt, cfg.Get, scheme, stop)
	if err != nil {
		return err
	}
	if o.SlackWorkers > 0 && cfg.Get().SlackReporterConfigs == nil {
		return errors.New("--slack-workers needs slack_reporter_configs in the configuration")
	}
	mgr, err := newManager(clusters.Service(), scheme, cfg.Get().ProwJobNamespace)
	if err != nil {
		return err
	}
	h := &host{options: o, rt: rt, config: cfg.Get, mgr: mgr, clusters: clusters, storage: providers.New(o.Storage)}
	defer h.close()
	if err := h.addReporters(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error { return clusters.Run(ctx) })
	group.Go(func() error {
		if o.NoLeaderElection || o.DryRun {
			return h.run(ctx)
		}
		// A replica that waits is as healthy as the one that reports.
		rt.SetReady()
		// Crier used to run without a lease, so an installation may not grant it one.
		lease := service.Lease{Name: leaseName, Namespace: cfg.Get().ProwJobNamespace, Optional: true}
		return service.Lead(ctx, rt, clusters.Service(), lease, h.run)
	})
	return group.Wait()
}

// clusters are the service cluster and, for the reporter that needs them, the build
// clusters. They come and go with the kubeconfig files.
func (o *Options) clusters(rt *service.Runtime, cfg func() *config.Config, scheme *runtime.Scheme, stop func()) (*fleet.Fleet, error) {
	options := fleet.Options{
		Load: func() (kube.Clusters, error) {
			all, err := o.Kubernetes.Load(rt.Agent(), cfg().DisabledClusters)
			if err != nil || o.KubernetesBlobStorageWorkers > 0 {
				return all, err
			}
			return kube.Clusters{kube.ServiceCluster: all.Service()}, nil
		},
		Stamp:        func() string { return o.Kubernetes.Stamp() + strings.Join(cfg().DisabledClusters, " ") },
		PollInterval: o.kubeconfigPolling,
		Scheme:       scheme, PodNamespace: cfg().PodNamespace, DryRun: o.DryRun, NoCache: true,
		OnServiceChange: func() {
			rt.Log.Info("the access to the service cluster changed; this process ends, to be started again")
			stop()
		},
		Failures: service.Register(rt.Metrics, fleet.NewFailures()), Log: rt.Log,
	}
	if o.KubernetesBlobStorageWorkers > 0 {
		options.Verbs = []string{"get", "patch"}
	}
	return fleet.New(options)
}

func newManager(service *rest.Config, scheme *runtime.Scheme, namespace string) (ctrl.Manager, error) {
	mgr, err := ctrl.NewManager(service, ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{namespace: {}},
			ByObject:          map[client.Object]cache.ByObject{&prowv1.ProwJob{}: {Transform: new(report.Slimmer).Slim}},
		},
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager of reporters: %w", err)
	}
	return mgr, nil
}

// host makes the reporters and runs them.
type host struct {
	options  *Options
	rt       *service.Runtime
	config   func() *config.Config
	mgr      ctrl.Manager
	clusters *fleet.Fleet
	storage  *storage.Opener
	closers  []func() error
}

func (h *host) close() {
	for _, c := range h.closers {
		if err := c(); err != nil {
			h.rt.Log.Warn("a connection does not end well", "error", err)
		}
	}
}

// run reports until ctx ends.
func (h *host) run(ctx context.Context) error {
	ended, synced := make(chan error, 1), make(chan bool, 1)
	go func() { ended <- h.mgr.Start(ctx) }()
	go func() { synced <- h.mgr.GetCache().WaitForCacheSync(ctx) }()
	select {
	case err := <-ended:
		return err
	case ok := <-synced:
		if !ok && ctx.Err() != nil {
			// A manager that is told to end before its cache is full goes on to wait for
			// that, for ever if the API server is gone. No worker has begun yet, so there
			// is nothing to wait for.
			return nil
		}
	}
	h.rt.SetReady()
	return <-ended
}

func (h *host) addReporters(ctx context.Context) error {
	if err := report.AddIndex(ctx, h.mgr.GetFieldIndexer()); err != nil {
		return err
	}
	metrics := report.NewMetrics(h.rt.Metrics)
	o := h.options
	for _, entry := range []struct {
		workers int
		make    func() (report.Reporter, error)
	}{
		{o.GitHubWorkers, h.github}, {o.GerritWorkers, h.gerrit}, {o.PubSubWorkers, h.pubsub}, {o.SlackWorkers, h.slack},
		{o.BlobStorageWorkers, h.blobStorage}, {o.KubernetesBlobStorageWorkers, h.kubernetes}, {o.ResultStoreWorkers, h.resultStore},
	} {
		if entry.workers == 0 {
			continue
		}
		reporter, err := entry.make()
		if err != nil {
			return err
		}
		r := &report.Reconciler{
			Jobs: h.mgr.GetClient(), Whole: h.mgr.GetAPIReader(), Reporter: reporter, Record: h.record(reporter.Name()),
			Enabled: o.Enablement.Enabled, DryRun: o.DryRun, Now: time.Now, Log: h.rt.Log, Metrics: metrics,
		}
		if err := r.AddToManager(h.mgr, entry.workers); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) record(reporter string) report.Record {
	return report.Record{Reporter: reporter, Whole: h.mgr.GetAPIReader(), Jobs: h.mgr.GetClient()}
}

func (h *host) github() (report.Reporter, error) {
	h.options.GitHub.Measure(h.rt.Metrics)
	gh, err := h.options.GitHub.Client(h.rt.Agent(), h.options.DryRun, h.rt.Secrets, h.rt.Log)
	if err != nil {
		return nil, err
	}
	return &github.Reporter{
		Forge: gh, Checks: gh, Config: h.config, Jobs: h.mgr.GetClient(), Whole: h.mgr.GetAPIReader(), Failures: h.failures,
		Agent: prowv1.ProwJobAgent(h.options.ReportAgent), Log: h.rt.Log,
	}, nil
}

// failures reads the failed tests of a run from its artifacts.
func (h *host) failures(ctx context.Context, job *prowv1.ProwJob) ([]github.Failure, error) {
	where, ok, err := reportstorage.DestinationOf(h.config(), job)
	if err != nil || !ok || job.Status.BuildID == "" {
		return nil, err
	}
	bucket, err := h.storage.Open(ctx, where.Bucket)
	if err != nil {
		return nil, err
	}
	defer bucket.Close() //nolint:errcheck // it is only read
	return github.ReadFailures(ctx, bucket, where.Dir)
}

func (h *host) gerrit() (report.Reporter, error) {
	o := gerritforge.Options{
		Component: Name, QPS: h.options.GerritMaxQPS, Burst: h.options.GerritMaxBurst,
		Instances: func() []string {
			var orgs []string
			for _, entry := range h.config().Gerrit.OrgReposConfig {
				orgs = append(orgs, entry.Org)
			}
			return orgs
		},
	}
	if path := h.options.CookieFile; path != "" {
		file, err := h.rt.Secrets.File(path, func(content []byte) error {
			h.rt.Secrets.Add(gerritforge.CookieFromFile(string(content)))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("--cookiefile: %w", err)
		}
		o.Cookie = func() secret.Value { return secret.New(gerritforge.CookieFromFile(file().Reveal())) }
	}
	record := h.record(gerrit.Name)
	return &gerrit.Reporter{
		Forge: gerritforge.NewClient(o), Jobs: h.mgr.GetClient(), Whole: h.mgr.GetAPIReader(), Log: h.rt.Log,
		Mark: func(ctx context.Context, job *prowv1.ProwJob) error { return record.Write(ctx, job, "") },
	}, nil
}

// emulatorVariable is how Google's tools tell programs of an emulator.
const emulatorVariable = "PUBSUB_EMULATOR_HOST"

func (h *host) pubsub() (report.Reporter, error) {
	topics := &pubsub.Topics{Emulator: os.Getenv(emulatorVariable), UserAgent: h.rt.Agent()}
	h.closers = append(h.closers, topics.Close)
	return &pubsub.Reporter{Publisher: topics, Config: h.config}, nil
}

func (h *host) slack() (report.Reporter, error) {
	files, err := h.options.slackFiles()
	if err != nil {
		return nil, err
	}
	hosts, http := map[string]slack.Messenger{}, slack.NewHTTPClient()
	for host, path := range files {
		token, err := h.rt.Secrets.File(path, nil)
		if err != nil {
			return nil, fmt.Errorf("the token of Slack workspace %s: %w", host, err)
		}
		hosts[host] = &slack.Client{Token: token, URL: h.options.SlackURL, HTTP: http}
	}
	return &slack.Reporter{Hosts: hosts, Config: h.config}, nil
}

func (h *host) blobStorage() (report.Reporter, error) {
	return &reportstorage.Reporter{Storage: h.storage, Config: h.config, Log: h.rt.Log}, nil
}

func (h *host) kubernetes() (report.Reporter, error) {
	cluster := func(alias string) (client.Client, error) {
		c, standing, err := h.clusters.Cluster(alias)
		if standing != fleet.Up {
			return nil, err
		}
		return c.API, nil
	}
	return &kubernetes.Reporter{
		Cluster: cluster, Storage: h.storage, Config: h.config, Fraction: h.options.KubernetesReportFraction, Log: h.rt.Log,
	}, nil
}

func (h *host) resultStore() (report.Reporter, error) {
	connection := &resultstore.Connection{}
	h.closers = append(h.closers, connection.Close)
	return &resultstore.Reporter{
		Upload: connection.Upload, Storage: h.storage, Config: h.config, ArtifactsDirOnly: h.options.ResultStoreDirOnly, Log: h.rt.Log,
	}, nil
}
