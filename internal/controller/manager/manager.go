// Package manager is prow-controller-manager: the program that hosts the
// controllers which move ProwJobs.
package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/controller/plank"
	"prow/internal/controller/scheduler"
	"prow/internal/forge/github"
	"prow/internal/kube"
	"prow/internal/kube/fleet"
	"prow/internal/pod"
	"prow/internal/pod/buildid"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/wiring"
)

// Name of the component.
const Name = "prow-controller-manager"

// metricsName is the job of its metrics at a push gateway, as dashboards know it.
const metricsName = "plank"

const (
	leaseName = "prow-controller-manager-leader-lock"
	// syncLimit bounds the first listing of all ProwJobs.
	syncLimit = 2 * time.Minute
	// totTimeout bounds one request to tot.
	totTimeout = 30 * time.Second
)

// The controllers that can be enabled.
const (
	plankController     = "plank"
	schedulerController = "scheduler"
)

// Options of the component.
type Options struct {
	Config      config.Options
	Kubernetes  kube.Flags
	TotURL      string
	Controllers []string
	// LabelSelector limits the pods whose events are honoured.
	LabelSelector string
	DryRun        bool
	// NoLeaderElection is for a host that runs one instance and knows it.
	NoLeaderElection bool
	// Credentials are for the bucket of the cluster status file.
	Credentials providers.Credentials
	// Storage opens that bucket. Default: with the credentials.
	Storage *storage.Opener

	// Existing deployments set these; nothing here needs them.
	github            github.Flags
	kubeconfigPolling time.Duration
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	o.github.Bind(fs)
	o.Credentials.Bind(fs)
	fs.StringVar(&o.TotURL, "tot-url", "", "URL of tot, which counts build IDs. Empty: they are made from the time.")
	fs.StringVar(&o.LabelSelector, "label-selector", "", "Selector of pods, beside created-by-prow=true, whose changes are followed. Empty: all.")
	fs.StringArrayVar(&o.Controllers, "enable-controller", []string{plankController}, "Controller to run, repeatable: plank, scheduler.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Change nothing; decisions are logged.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate(), o.github.Validate()}
	if len(o.Controllers) == 0 {
		errs = append(errs, errors.New("--enable-controller: none is enabled"))
	}
	for _, c := range o.Controllers {
		if c != plankController && c != schedulerController {
			errs = append(errs, fmt.Errorf("--enable-controller=%s: there is no such controller", c))
		}
	}
	if _, err := labels.Parse(o.LabelSelector); err != nil {
		errs = append(errs, fmt.Errorf("--label-selector: %w", err))
	}
	if o.TotURL != "" {
		if _, err := buildid.NewTot(o.TotURL, nil); err != nil {
			errs = append(errs, fmt.Errorf("--tot-url: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Command is the program.
func Command() *cobra.Command {
	return service.Frugal(service.Command(Name, "Run ProwJobs as pods",
		"Makes a pod for each ProwJob of the Kubernetes agent, follows it, and records how the job ended.", &Options{}, Run))
}

// Run runs the controllers until ctx ends. It ends as well, without an error,
// when the kubeconfig files reach the service cluster in another way than
// before: a new start uses the new one.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	rt.MetricsName = metricsName
	cfg, err := wiring.Config(ctx, rt, o.Config)
	if err != nil {
		return err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return err
	}
	var controller *plank.Controller
	clusters, err := fleet.New(fleet.Options{
		Load:         func() (kube.Clusters, error) { return o.Kubernetes.Load(rt.Agent(), cfg.Get().DisabledClusters) },
		Stamp:        func() string { return o.Kubernetes.Stamp() + strings.Join(cfg.Get().DisabledClusters, " ") },
		PollInterval: o.kubeconfigPolling,
		Scheme:       scheme, PodNamespace: cfg.Get().PodNamespace, Verbs: plank.Verbs(), DryRun: o.DryRun,
		Select: plank.PodSelector(), Transform: plank.SlimPod(o.LabelSelector != ""),
		OnPod:    func(alias string, pod *corev1.Pod) { controller.OnPod(alias, pod) },
		OnChange: func(alias string) { controller.OnCluster(alias) },
		OnServiceChange: func() {
			rt.Log.Info("the access to the service cluster changed; this process ends, to be started again")
			stop()
		},
		Failures: service.Register(rt.Metrics, fleet.NewFailures()), Log: rt.Log,
	})
	if err != nil {
		return err
	}
	jobs, err := jobCluster(clusters.Service(), scheme, cfg.Get().ProwJobNamespace, o.DryRun)
	if err != nil {
		return err
	}
	newID, err := buildIDs(o.TotURL)
	if err != nil {
		return err
	}
	selector, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return fmt.Errorf("--label-selector: %w", err)
	}
	controller = plank.New(&plank.Reconciler{
		Jobs: jobs.GetClient(), Live: jobs.GetAPIReader(), Clusters: clusters, Config: cfg.Get, NewBuildID: newID,
		Version: service.Version(), DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
		BuildPod: func(job *prowv1.ProwJob) (*corev1.Pod, error) { return pod.Build(job) },
		JobURL:   func(job *prowv1.ProwJob) (string, error) { return jobURL(cfg.Get(), job) },
	}, selector)
	group, ctx := errgroup.WithContext(ctx)
	var leading []func(context.Context) error
	if slices.Contains(o.Controllers, plankController) {
		for _, c := range controller.Metrics() {
			service.Register(rt.Metrics, c)
		}
		if err := controller.Watch(ctx, jobs.GetCache()); err != nil {
			return err
		}
		status := &statusFile{
			statuses: clusters.Statuses, path: func() string { return cfg.Get().Plank.BuildClusterStatusFile },
			storage: o.storage(), log: rt.Log, dryRun: o.DryRun, interval: statusInterval,
		}
		leading = append(leading, controller.Start, status.Start)
		// Every replica knows the clusters, so that it can begin when it leads.
		group.Go(func() error { return clusters.Run(ctx) })
	}
	if slices.Contains(o.Controllers, schedulerController) {
		s := &scheduler.Scheduler{
			Jobs: jobs.GetClient(), Config: func() config.Scheduler { return cfg.Get().Scheduler }, DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
		}
		leading = append(leading, func(ctx context.Context) error { return s.Run(ctx, jobs.GetCache()) })
	}
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error { return jobs.Start(ctx) })
	group.Go(func() error {
		defer stop()
		if err := waitForJobs(ctx, jobs.GetCache(), syncLimit); err != nil || ctx.Err() != nil {
			return err
		}
		rt.SetReady()
		if o.NoLeaderElection || o.DryRun { // a lease is a change as well
			return together(leading)(ctx)
		}
		return service.Lead(ctx, rt, clusters.Service(), service.Lease{Name: leaseName, Namespace: cfg.Get().ProwJobNamespace}, together(leading))
	})
	return group.Wait()
}

// together runs parts until ctx ends or one fails, and waits for all of them.
func together(parts []func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, part := range parts {
			group.Go(func() error { return part(ctx) })
		}
		return group.Wait()
	}
}

// waitForJobs waits until all ProwJobs are known, or ctx ends.
func waitForJobs(ctx context.Context, jobs cache.Cache, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !jobs.WaitForCacheSync(limited) && ctx.Err() == nil {
		return fmt.Errorf("the ProwJobs were not listed within %s", limit)
	}
	return nil
}

// jobCluster is the service cluster. Its cache holds slim ProwJobs, which are
// shared by all readers and not to be changed.
func jobCluster(service *rest.Config, scheme *runtime.Scheme, namespace string, dryRun bool) (cluster.Cluster, error) {
	noCopy := true
	jobs, err := cluster.New(service, func(o *cluster.Options) {
		o.Scheme = scheme
		o.Cache = cache.Options{
			DefaultNamespaces: map[string]cache.Config{namespace: {}},
			ByObject:          map[client.Object]cache.ByObject{&prowv1.ProwJob{}: {Transform: plank.SlimJob, UnsafeDisableDeepCopy: &noCopy}},
		}
		o.Client = client.Options{DryRun: &dryRun}
	})
	if err != nil {
		return nil, fmt.Errorf("reach the service cluster: %w", err)
	}
	return jobs, nil
}

func (o *Options) storage() *storage.Opener {
	if o.Storage != nil {
		return o.Storage
	}
	return providers.New(o.Credentials)
}

func jobURL(cfg *config.Config, job *prowv1.ProwJob) (string, error) {
	return pod.URLs{
		Prefixes: cfg.Plank.JobURLPrefixConfig, OmitProvider: !cfg.Plank.StorageProviderInURL(), Template: cfg.Plank.JobURLTemplateParsed(),
	}.JobURL(job)
}

func buildIDs(totURL string) (func(ctx context.Context, job string) (string, error), error) {
	if totURL != "" {
		tot, err := buildid.NewTot(totURL, &http.Client{Timeout: totTimeout})
		if err != nil {
			return nil, err
		}
		return tot.BuildID, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("tell replicas apart: %w", err)
	}
	ids, err := buildid.NewSnowflake(nodeNumber(host), time.Now)
	if err != nil {
		return nil, err
	}
	return ids.BuildID, nil
}

// nodeNumber tells replicas of a StatefulSet apart by the number at the end of
// their host name, so that two never make the same build ID.
func nodeNumber(host string) int {
	name, digits, found := cutLast(host, "-")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !found || name == "" || err != nil || n > 999 {
		return buildid.DefaultNode
	}
	return buildid.DefaultNode + int(n)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
