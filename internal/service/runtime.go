package service

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/secret"
)

// Runtime is what a component gets from the program that hosts it.
type Runtime struct {
	// Name of the component, such as "hook".
	Name string
	// MetricsName is the job under which metrics are pushed; empty is Name.
	MetricsName string
	// Log carries the field component.
	Log *slog.Logger
	// Level is the level of Log; a component may set it from its configuration.
	Level *slog.LevelVar
	// Metrics is where collectors are registered; see Register.
	Metrics prometheus.Registerer
	// Secrets reads, follows and censors secret files.
	Secrets *secret.Store

	readyOnce sync.Once
	ready     chan struct{}
	gateway   chan PushGateway

	// shutdown is how long the end may take, in nanoseconds.
	shutdown atomic.Int64

	mu     sync.Mutex
	checks []func() error
}

// NewRuntime makes a Runtime for a component.
func NewRuntime(name string, log *slog.Logger, level *slog.LevelVar, metrics prometheus.Registerer, secrets *secret.Store) *Runtime {
	return &Runtime{
		Name: name, Log: log.With("component", name), Level: level, Metrics: metrics, Secrets: secrets,
		ready: make(chan struct{}), gateway: make(chan PushGateway, 1),
	}
}

// SetReady declares that the component has started and serves. It may be called more than once.
func (r *Runtime) SetReady() { r.readyOnce.Do(func() { close(r.ready) }) }

// Ready is closed once the component has declared that it serves.
func (r *Runtime) Ready() <-chan struct{} { return r.ready }

// CheckReady adds a condition of readiness: while it returns an error,
// /healthz/ready answers 503 with its text.
func (r *Runtime) CheckReady(check func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, check)
}

func (r *Runtime) checkReady() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, check := range r.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// ShutdownTakes asks for more time to finish what was accepted than the usual minute.
func (r *Runtime) ShutdownTakes(limit time.Duration) { r.shutdown.Store(int64(limit)) }

// Push has the metrics pushed from now on; what is asked for first counts. It
// does nothing without an endpoint, and where a host of several components
// serves the metrics of all of them.
func (r *Runtime) Push(gateway PushGateway) {
	if gateway.Endpoint == "" {
		return
	}
	select {
	case r.gateway <- gateway:
	default:
	}
}

// Agent is the User-Agent of the component.
func (r *Runtime) Agent() string { return r.Name + "/" + Version() }

// Register registers a collector, or returns the equal one that another
// component of this process has registered already.
func Register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	return c
}
