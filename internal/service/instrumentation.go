package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/felixge/fgprof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// shutdownGrace is how long a server may take to finish its requests.
const shutdownGrace = 5 * time.Second

// Instrumentation is the flag group of health, metrics and profiling. A port of
// 0 switches its server off.
type Instrumentation struct {
	MetricsPort int
	PprofPort   int
	HealthPort  int
	// ProfileMemory writes heap profiles to temporary files.
	ProfileMemory bool
	// ProfileInterval is the time between two of them.
	ProfileInterval time.Duration
}

// Bind registers the flags.
func (i *Instrumentation) Bind(fs *pflag.FlagSet) {
	fs.IntVar(&i.MetricsPort, "metrics-port", 9090, "Port of /metrics; 0 is off.")
	fs.IntVar(&i.PprofPort, "pprof-port", 6060, "Port of /debug/pprof/ and /debug/fgprof; 0 is off.")
	fs.IntVar(&i.HealthPort, "health-port", 8081, "Port of /healthz and /healthz/ready; 0 is off.")
	fs.BoolVar(&i.ProfileMemory, "profile-memory-usage", false, "Write heap profiles to a new directory heap-profiles-* for temporary files.")
	fs.DurationVar(&i.ProfileInterval, "memory-profile-interval", 30*time.Second, "Time between two heap profiles.")
}

// Validate refuses ports that do not exist.
func (i *Instrumentation) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		port int
	}{{"metrics-port", i.MetricsPort}, {"pprof-port", i.PprofPort}, {"health-port", i.HealthPort}} {
		if f.port < 0 || f.port > 65535 {
			errs = append(errs, fmt.Errorf("--%s=%d is not a port", f.name, f.port))
		}
	}
	if i.ProfileMemory && i.ProfileInterval <= 0 {
		errs = append(errs, fmt.Errorf("--memory-profile-interval=%s is not positive", i.ProfileInterval))
	}
	return errors.Join(errs...)
}

// start serves in group until ctx ends. Metrics are served until the
// configuration of the component wants them pushed only.
func (i *Instrumentation) start(ctx context.Context, group *errgroup.Group, rt *Runtime, metrics prometheus.Gatherer) error {
	metricsCtx, stopMetrics := context.WithCancel(ctx)
	context.AfterFunc(ctx, stopMetrics)
	for _, server := range []struct {
		flag    string
		port    int
		ctx     context.Context
		handler http.Handler
	}{
		{"health-port", i.HealthPort, ctx, HealthHandler(rt.Ready(), rt.checkReady)},
		{"metrics-port", i.MetricsPort, metricsCtx, MetricsHandler(metrics)},
		{"pprof-port", i.PprofPort, ctx, PprofHandler()},
	} {
		if server.port == 0 {
			continue
		}
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(server.port))
		if err != nil {
			stopMetrics()
			return fmt.Errorf("--%s: %w", server.flag, err)
		}
		group.Go(func() error { return Serve(server.ctx, listener, server.handler, shutdownGrace) })
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case gateway := <-rt.gateway:
			if !gateway.ServeMetrics {
				stopMetrics()
			}
			gateway.run(ctx, cmp.Or(rt.MetricsName, rt.Name), metrics, rt.Log)
		}
		return nil
	})
	if i.ProfileMemory {
		group.Go(func() error { profileMemory(ctx, i.ProfileInterval, rt.Log); return nil })
	}
	return nil
}

// HealthHandler serves /healthz, and /healthz/ready, which there is not until
// ready is closed; from then on it is what the checks say.
func HealthHandler(ready <-chan struct{}, checks ...func() error) http.Handler {
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) }
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", ok)
	mux.HandleFunc("/healthz/ready", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-ready:
		default:
			http.NotFound(w, r)
			return
		}
		for _, check := range checks {
			if err := check(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		ok(w, r)
	})
	return mux
}

// MetricsHandler serves /metrics.
func MetricsHandler(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

// PprofHandler serves Go's profiles below /debug/pprof/, and /debug/fgprof,
// which tells where time goes on and off the CPU.
func PprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.Handle("/debug/fgprof", fgprof.Handler())
	return mux
}

// Serve serves until ctx ends and then lets running requests finish within
// grace. It always closes the listener.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, grace time.Duration) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := server.Shutdown(limit)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	err := server.Serve(listener)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	return <-stopped
}
