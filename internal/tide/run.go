package tide

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/service"
	"prow/internal/storage"
	"prow/internal/storage/providers"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
	"prow/internal/wiring"
)

// shutdownGrace is how long requests may take at shutdown.
const shutdownGrace = 10 * time.Second

// Run syncs until ctx ends. The first round comes before anything is served, so
// that nobody sees a list of pools that was never made.
func Run(ctx context.Context, rt *service.Runtime, o *Options) (err error) {
	cfg, err := wiring.Config(ctx, rt, o.Config)
	if err != nil {
		return err
	}
	on, err := chooseProvider(o.Provider, &cfg.Get().Tide)
	if err != nil {
		return err
	}
	listener := o.Listener
	if listener == nil && !o.RunOnce {
		if listener, err = net.Listen("tcp", net.JoinHostPort(o.Address, strconv.Itoa(o.Port))); err != nil {
			return fmt.Errorf("--port: %w", err)
		}
	}
	if listener != nil {
		defer listener.Close() //nolint:errcheck // the server has closed it already, if there was one
	}
	records, windows, closePlaces, err := o.places(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePlaces()) }()
	past, err := history.New(ctx, o.MaxRecords, records)
	if err != nil {
		return fmt.Errorf("--history-uri: %w", err)
	}
	mgr, err := o.manager(ctx, rt, cfg.Get())
	if err != nil {
		return err
	}
	remotes, err := o.remotes(rt, on)
	if err != nil {
		return err
	}
	mirrors, cleanUp, err := inrepo.Mirrors(Name, o.CacheDir, remotes, os.Environ())
	if err != nil {
		return err
	}
	defer cleanUp()
	mirrors.Bound = o.CacheBound
	inrepo.ObserveGit(rt.Metrics, mirrors)
	inRepo, err := o.openInRepo(ctx, rt, on, mirrors, func() time.Duration { return cfg.Get().Moonraker.ClientTimeout.Duration })
	if err != nil {
		return err
	}
	in := &surroundings{rt: rt, config: cfg.Get, jobs: mgr.GetClient(), inRepo: inRepo, metrics: NewMetrics(rt.Metrics), board: NewBoard()}
	var provider Provider
	var statuses *Statuses
	if on == onGerrit {
		provider, err = o.onGerrit(in)
	} else {
		provider, statuses, err = o.onGitHub(in)
	}
	if err != nil {
		return err
	}
	syncer := &Syncer{
		Provider: provider, Jobs: in.jobs, InRepo: inRepo, Git: mirrors, Changes: NewChanges(provider.ChangedFiles),
		Board: in.board, History: past, Metrics: in.metrics, Plan: planner.Classic, DryRun: o.DryRun, Now: time.Now, Sleep: sleep, Log: in.log("sync"),
	}
	if statuses != nil && !o.DryRun {
		statuses.Place = windows
	}
	requests := service.NewHTTPMetrics(rt.Metrics, Name, service.HTTPBuckets{})
	early := make(chan struct{}, 1)
	if err := watchEnds(ctx, mgr, early); err != nil {
		return err
	}
	syncer.Wake = func() { wake(early) }
	rounds := &loop{sync: syncer, config: cfg.Get, early: early, after: time.After}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return cfg.Run(ctx) })
	group.Go(func() error { return mgr.Start(ctx) })
	if statuses != nil {
		group.Go(func() error { return statuses.Run(ctx) })
	}
	group.Go(func() error {
		if err := waitForJobs(ctx, mgr.GetCache(), o.ListingTimeout); err != nil {
			return err
		}
		start := rounds.once(ctx)
		if o.RunOnce {
			stop()
			return nil
		}
		group.Go(func() error {
			return service.Serve(ctx, listener, requests.Measure(Handler(syncer.Pools, past)), shutdownGrace)
		})
		rt.SetReady()
		rounds.run(ctx, start)
		return nil
	})
	err = group.Wait()
	syncer.flush(context.WithoutCancel(ctx))
	return err
}

// manager makes the manager of the cache of ProwJobs.
func (o *Options) manager(ctx context.Context, rt *service.Runtime, cfg *config.Config) (ctrl.Manager, error) {
	clusters, err := o.Kubernetes.Load(rt.Agent(), cfg.DisabledClusters)
	if err != nil {
		return nil, err
	}
	scheme, err := kube.NewScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(clusters.Service(), ctrl.Options{
		Scheme:  scheme,
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{cfg.ProwJobNamespace: {}}},
		Metrics: metricsserver.Options{BindAddress: "0"},
		Client:  client.Options{DryRun: &o.DryRun},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager of ProwJobs: %w", err)
	}
	return mgr, AddIndexes(ctx, mgr.GetFieldIndexer())
}

// watchEnds puts an element into early when a job ends.
func watchEnds(ctx context.Context, mgr ctrl.Manager, early chan<- struct{}) error {
	informer, err := mgr.GetCache().GetInformer(ctx, &prowv1.ProwJob{}, cache.BlockUntilSynced(false))
	if err == nil {
		_, err = informer.AddEventHandler(whenEnded(func() { wake(early) }))
	}
	if err != nil {
		return fmt.Errorf("watch ProwJobs: %w", err)
	}
	return nil
}

// wake asks for a round that has not been asked for yet.
func wake(early chan<- struct{}) {
	select {
	case early <- struct{}{}:
	default:
	}
}

// waitForJobs waits until all ProwJobs are known.
func waitForJobs(ctx context.Context, c cache.Cache, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !c.WaitForCacheSync(limited) && ctx.Err() == nil {
		return fmt.Errorf("--timeout-listing-prowjobs: the ProwJobs were not listed within %s", limit)
	}
	return nil
}

// places opens where history and windows are kept.
func (o *Options) places(ctx context.Context) (records, windows *history.Place, closeAll func() error, err error) {
	opener := providers.New(o.Credentials)
	var open []storage.Bucket
	closeAll = func() error {
		var errs []error
		for _, b := range open {
			errs = append(errs, b.Close())
		}
		return errors.Join(errs...)
	}
	places := map[string]*history.Place{}
	for flag, uri := range map[string]string{"history-uri": o.HistoryURI, "status-path": o.StatusURI} {
		if uri == "" {
			continue
		}
		dir, key, err := splitObject(uri)
		if err == nil {
			var b storage.Bucket
			if b, err = opener.Open(ctx, dir); err == nil {
				open = append(open, b)
				places[flag] = &history.Place{Bucket: b, Key: key}
			}
		}
		if err != nil {
			return nil, nil, nil, errors.Join(fmt.Errorf("--%s: %w", flag, err), closeAll())
		}
	}
	return places["history-uri"], places["status-path"], closeAll, nil
}

// splitObject splits the URL or path of an object into its bucket or directory and
// the rest.
func splitObject(uri string) (dir, key string, err error) {
	if !strings.Contains(uri, "://") {
		if uri, err = filepath.Abs(uri); err != nil {
			return "", "", err
		}
	}
	at := strings.LastIndex(uri, "/")
	if dir, key = uri[:at], uri[at+1:]; key == "" || dir == "" || strings.HasSuffix(dir, ":/") {
		return "", "", fmt.Errorf("%q names no object", uri)
	}
	return dir, key, nil
}

// sleep waits, or returns the error of the context.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
