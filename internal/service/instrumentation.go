package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

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
}

// Bind registers the flags.
func (i *Instrumentation) Bind(fs *pflag.FlagSet) {
	fs.IntVar(&i.MetricsPort, "metrics-port", 9090, "Port of /metrics; 0 is off.")
	fs.IntVar(&i.PprofPort, "pprof-port", 6060, "Port of /debug/pprof/; 0 is off.")
	fs.IntVar(&i.HealthPort, "health-port", 8081, "Port of /healthz and /healthz/ready; 0 is off.")
}

// Validate refuses ports that do not exist.
func (i *Instrumentation) Validate() error {
	var errs []error
	for name, port := range map[string]int{"metrics-port": i.MetricsPort, "pprof-port": i.PprofPort, "health-port": i.HealthPort} {
		if port < 0 || port > 65535 {
			errs = append(errs, fmt.Errorf("--%s=%d is not a port", name, port))
		}
	}
	return errors.Join(errs...)
}

func (i *Instrumentation) start(ctx context.Context, group *errgroup.Group, rt *Runtime, metrics prometheus.Gatherer) error {
	for _, server := range []struct {
		flag    string
		port    int
		handler http.Handler
	}{
		{"health-port", i.HealthPort, HealthHandler(rt.Ready())},
		{"metrics-port", i.MetricsPort, MetricsHandler(metrics)},
		{"pprof-port", i.PprofPort, PprofHandler()},
	} {
		if server.port == 0 {
			continue
		}
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(server.port))
		if err != nil {
			return fmt.Errorf("--%s: %w", server.flag, err)
		}
		group.Go(func() error { return Serve(ctx, listener, server.handler, shutdownGrace) })
	}
	return nil
}

// HealthHandler serves /healthz, and /healthz/ready, which is not found until ready is closed.
func HealthHandler(ready <-chan struct{}) http.Handler {
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) }
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", ok)
	mux.HandleFunc("/healthz/ready", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-ready:
			ok(w, r)
		default:
			http.Error(w, "starting", http.StatusNotFound)
		}
	})
	return mux
}

// MetricsHandler serves /metrics.
func MetricsHandler(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

// PprofHandler serves Go's profiles below /debug/pprof/.
func PprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
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
