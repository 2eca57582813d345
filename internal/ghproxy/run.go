package ghproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"prow/internal/forge/httpcache"
	"prow/internal/service"
)

// Command is the program.
func Command() *cobra.Command {
	return service.Command(Name, "Cache the API of GitHub", `Answers requests for the API of GitHub from a cache, after GitHub has confirmed at no cost that the answer is
still true. It holds no credentials of its own; it stores answers about private repositories and must be reached by
trusted components only.`, &Options{}, Run)
}

// pruneInterval is the time between two looks for expired parts of the cache.
const pruneInterval = time.Hour

// Run serves until ctx ends.
func Run(ctx context.Context, rt *service.Runtime, o *Options) error {
	level, err := service.ParseLevel(o.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	rt.Level.Set(level)
	rt.Push(service.PushGateway{Endpoint: o.PushGateway, Interval: o.PushInterval, ServeMetrics: o.ServeMetrics})
	proxy, err := New(ctx, rt, o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(o.Port))
	if err != nil {
		return err
	}
	if o.halfThrottled() {
		rt.Log.Warn("Requests are not spaced: both --throttling-time-ms and --get-throttling-time-ms must be set.")
	}
	rt.SetReady()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return service.Serve(ctx, listener, proxy, time.Duration(o.RequestTimeoutSeconds)*time.Second)
	})
	group.Go(func() error { return proxy.maintain(ctx, o) })
	return group.Wait()
}

// New makes the proxy of the options, which must be valid.
func New(ctx context.Context, rt *service.Runtime, o *Options) (*Proxy, error) {
	base := strings.TrimSuffix(o.upstream.Path, "/")
	m := newMetrics(rt.Metrics)
	parts := &partitions{metrics: m, now: time.Now, log: rt.Log, known: map[string]*partition{}, legacy: o.Legacy}
	switch {
	case o.RedisAddress != "":
		store, err := openRedis(ctx, rt, o)
		if err != nil {
			return nil, err
		}
		parts.shared = store
	case o.CacheDir != "":
		bound := o.diskBound
		if bound == 0 {
			bound = int64(o.CacheSizeGB) * 1_000_000_000
		}
		disk, err := httpcache.NewDisk(o.CacheDir, bound, rt.Log)
		if err != nil {
			return nil, fmt.Errorf("--cache-dir: %w", err)
		}
		parts.disk = disk
	default:
		parts.shared = httpcache.NewMemory(int64(o.MemorySizeMB) * 1_000_000)
	}

	network := http.DefaultTransport.(*http.Transport).Clone()
	network.MaxIdleConnsPerHost, network.MaxIdleConns = o.Concurrency, 0
	network.DisableCompression = true // the asker's own wish is passed on
	tokens := newEqualizer(network, base, time.Now)
	up := &upstream{
		next: tokens, inFlight: make(semaphore, o.Concurrency), metrics: m, now: time.Now,
	}
	if rest, v4 := o.spacings(); rest.on() {
		up.rest, up.v4 = newSpacer(rest, time.Now), newSpacer(v4, time.Now)
	}
	cache := &httpcache.Transport{Next: up, Store: parts}
	return &Proxy{
		upstream: o.upstream, timeout: time.Duration(o.RequestTimeoutSeconds) * time.Second, partitions: parts,
		coalescer: newCoalescer(cache), equalizer: tokens, metrics: m, log: rt.Log, base: strings.TrimSuffix(o.upstream.String(), "/"), registry: rt.Metrics,
	}, nil
}

// maintain prunes the cache and tells how full its disk is.
func (p *Proxy) maintain(ctx context.Context, o *Options) error {
	prune := o.prune
	if prune == 0 {
		prune = pruneInterval
	}
	ticker := time.NewTicker(prune)
	defer ticker.Stop()
	gauges := time.NewTicker(time.Minute)
	defer gauges.Stop()
	disk := newDiskGauges(p, o)
	disk.observe()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-gauges.C:
			disk.observe()
		case <-ticker.C:
			if err := p.partitions.prune(); err != nil {
				p.log.Warn("The cache was not pruned.", "error", err)
			}
		}
	}
}
