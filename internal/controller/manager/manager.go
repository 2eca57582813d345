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
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/config/live"
	"prow/internal/controller/plank"
	"prow/internal/kube"
	"prow/internal/pod"
	"prow/internal/pod/buildid"
	"prow/internal/service"
)

// Name of the component.
const Name = "prow-controller-manager"

const (
	leaseName = "prow-controller-manager-leader-lock"
	// totTimeout bounds one request to tot.
	totTimeout = 30 * time.Second
)

// Options of the component.
type Options struct {
	Config      config.Options
	Kubernetes  kube.Flags
	TotURL      string
	Controllers []string
	DryRun      bool
	// NoLeaderElection is for a host that runs one instance and knows it.
	NoLeaderElection bool
}

// Bind registers the flags.
func (o *Options) Bind(fs *pflag.FlagSet) {
	o.Config.Bind(fs)
	o.Kubernetes.Bind(fs)
	fs.StringVar(&o.TotURL, "tot-url", "", "URL of tot, which counts build IDs. Empty: they are made from the time.")
	fs.StringArrayVar(&o.Controllers, "enable-controller", []string{"plank"}, "Controller to run, repeatable: plank.")
	fs.BoolVar(&o.DryRun, "dry-run", true, "Change nothing; decisions are logged.")
}

// Validate checks the options.
func (o *Options) Validate() error {
	errs := []error{o.Config.Validate(), o.Kubernetes.Validate()}
	if len(o.Controllers) == 0 {
		errs = append(errs, errors.New("--enable-controller: none is enabled"))
	}
	for _, c := range o.Controllers {
		if c != "plank" {
			errs = append(errs, fmt.Errorf("--enable-controller=%s: there is no such controller", c))
		}
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
	return service.Command(Name, "Run ProwJobs as pods",
		"Makes a pod for each ProwJob of the Kubernetes agent, follows it, and records how the job ended.", &Options{}, Run)
}

// Run runs the controllers until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	cfg, err := config.NewWatcher(ctx, o.Config, live.Options{Name: "config", Logger: rt.Log, Level: rt.Level, Observe: live.Metrics(rt.Metrics, "config")})
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
	mgr, err := ctrl.NewManager(clusters.Service(), ctrl.Options{
		Scheme:                  scheme,
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{cfg.Get().ProwJobNamespace: {}}},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		LeaderElection:          !o.NoLeaderElection,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: cfg.Get().ProwJobNamespace,
		// The process ends when this manager does, so the lease may go at once.
		LeaderElectionReleaseOnCancel: true,
		Client:                        client.Options{DryRun: &o.DryRun},
	})
	if err != nil {
		return fmt.Errorf("make the controller manager: %w", err)
	}
	build, err := plank.NewBuildClusters(mgr, clusters, cfg.Get().PodNamespace, o.DryRun)
	if err != nil {
		return err
	}
	newID, err := buildIDs(o.TotURL)
	if err != nil {
		return err
	}
	pods := map[string]client.Client{}
	for alias, c := range build {
		pods[alias] = c.GetClient()
	}
	if slices.Contains(o.Controllers, "plank") {
		reconciler := &plank.Reconciler{
			Jobs: mgr.GetClient(), Pods: pods, Config: cfg.Get, NewBuildID: newID, Version: service.Version(), DryRun: o.DryRun, Now: time.Now, Log: rt.Log,
			BuildPod: func(job *prowv1.ProwJob) (*corev1.Pod, error) { return pod.Build(job) },
			JobURL:   func(job *prowv1.ProwJob) (string, error) { return jobURL(cfg.Get(), job) },
		}
		if err := reconciler.AddToManager(ctx, mgr, build); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error { return mgr.Start(ctx) })
	group.Go(func() error {
		if mgr.GetCache().WaitForCacheSync(ctx) {
			rt.SetReady()
		}
		return nil
	})
	return group.Wait()
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
