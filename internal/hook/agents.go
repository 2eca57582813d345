package hook

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/service"
)

// agents makes what handlers get, from what they share.
type agents struct {
	forge      *github.Client
	jobs       client.Client
	clusters   func(name string) (client.Client, error)
	mirrors    *git.Cache
	inRepo     *config.InRepo
	owners     *owners.Cache
	configMaps *prometheus.GaugeVec
}

// agents connects to the cluster and prepares the caches. cleanUp removes what
// must not stay.
func (o *Options) agents(rt *service.Runtime, gh *github.Client, disabled []string) (a *agents, cleanUp func(), err error) {
	contexts, err := o.Kubernetes.Load(rt.Agent(), disabled)
	if err != nil {
		return nil, nil, err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, nil, err
	}
	jobs, err := client.New(contexts.Service(), client.Options{Scheme: scheme, DryRun: &o.DryRun})
	if err != nil {
		return nil, nil, fmt.Errorf("service cluster: %w", err)
	}
	remotes, err := o.GitHub.GitRemotes(rt.Secrets)
	if err != nil {
		return nil, nil, err
	}
	mirrors, cleanUp, err := inrepo.Mirrors(Name, o.CacheDir, remotes, os.Environ())
	if err != nil {
		return nil, nil, err
	}
	mirrors.Bound = o.CacheBound
	inrepo.ObserveGit(rt.Metrics, mirrors)
	return &agents{
		forge: gh, jobs: jobs, clusters: o.clusters(contexts, scheme, jobs), mirrors: mirrors,
		inRepo: config.NewInRepo(inrepo.Trees{Cache: mirrors, Metrics: inrepo.NewMetrics(rt.Metrics)}, config.InRepoOptions{Registerer: rt.Metrics}),
		owners: owners.NewCache(func(ctx context.Context, org, repo, commit string, read func(owners.Tree) error) error {
			return mirrors.Files(ctx, org, repo, commit, func(m *git.Mirror) error { return read(m) })
		}),
		configMaps: service.Register(rt.Metrics, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "prow_configmap_size_bytes", Help: "Bytes of the values of a ConfigMap when it was written last."}, []string{"name", "namespace"})),
	}, cleanUp, nil
}

// clusters makes clients of build clusters when they are asked for.
func (o *Options) clusters(contexts kube.Clusters, scheme *runtime.Scheme, service client.Client) func(string) (client.Client, error) {
	return func(name string) (client.Client, error) {
		if name == "" || name == kube.DefaultBuildCluster {
			return service, nil
		}
		cfg, ok := contexts[name]
		if !ok {
			return nil, fmt.Errorf("there is no build cluster %q in the kubeconfig files", name)
		}
		c, err := client.New(cfg, client.Options{Scheme: scheme, DryRun: &o.DryRun})
		if err != nil {
			return nil, fmt.Errorf("build cluster %s: %w", name, err)
		}
		return c, nil
	}
}

// agent is what a handler gets.
func (a *agents) agent(r run) *plugins.Agent {
	mine := a.forge.For(r.plugin)
	if r.attempt.Repeated {
		mine = mine.Repeating(r.attempt.Received)
	}
	return &plugins.Agent{
		GitHub: mine, ProwJobs: a.jobs, Git: a.mirrors, Cluster: a.clusters, ConfigMapSize: a.configMaps, InRepo: a.inRepo,
		Config: r.config, Plugins: r.plugins, Delivery: r.delivery, Repeated: r.attempt.Repeated, Now: time.Now, Log: r.log,
		Owners: &owners.Client{Cache: a.owners, Forge: mine, Settings: plugins.OwnersSettings(r.config, r.plugins), Log: r.log},
	}
}
