package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/store"
)

// outcomeStore records which handlers of a delivery have ended.
type outcomeStore interface {
	Outcomes(ctx context.Context, id string) (map[string]store.Outcome, error)
	AddOutcome(ctx context.Context, id string, o store.Outcome) error
}

// dispatcher runs the handlers of deliveries.
type dispatcher struct {
	plugins map[string]*plugins.Plugin
	store   outcomeStore
	// pluginConfig is the current configuration of plugins.
	pluginConfig func() *pluginconfig.Configuration
	// newAgent makes what a handler gets; the log is its own.
	newAgent func(cfg *pluginconfig.Configuration, delivery, plugin string, log *slog.Logger) *plugins.Agent
	now      func() time.Time
	log      *slog.Logger
	metrics  *dispatchMetrics
}

type dispatchMetrics struct {
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
}

// handler is one thing to run for an event.
type handler struct {
	plugin string
	plugins.Bound
}

// key names the handler in the store.
func (h handler) key() string { return h.plugin + "/" + h.Kind }

// handle runs all handlers of a delivery that have not ended, concurrently, and
// returns once all have. What a handler returns, even a panic, is its outcome and
// no error of handle.
func (d *dispatcher) handle(ctx context.Context, delivery store.Delivery) error {
	log := d.log.With("event-type", delivery.Event, "event-GUID", delivery.ID)
	payload, err := github.ParseEvent(delivery.Event, delivery.ID, delivery.Payload)
	if err != nil {
		log.ErrorContext(ctx, "a delivery cannot be read and is dropped", "error", err)
		return nil
	}
	if payload == nil {
		log.DebugContext(ctx, "no plugin handles this kind of event")
		return nil
	}
	e := plugins.Describe(delivery.Event, payload)
	log = log.With(e.Fields...)
	cfg := d.pluginConfig()
	handlers := d.handlers(cfg, e)
	if len(handlers) == 0 {
		return nil
	}
	ended, err := d.store.Outcomes(ctx, delivery.ID)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(handlers))
	for n, h := range handlers {
		if _, done := ended[h.key()]; done {
			continue
		}
		wg.Go(func() {
			errs[n] = d.run(ctx, cfg, delivery.ID, h, log.With("plugin", h.plugin))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (d *dispatcher) run(ctx context.Context, cfg *pluginconfig.Configuration, delivery string, h handler, log *slog.Logger) error {
	start := d.now()
	agent := d.newAgent(cfg, delivery, h.plugin, log)
	err := protect(func() error { return h.Run(ctx, agent) })
	took := d.now().Sub(start)
	labels := []string{h.Kind, h.Action, h.plugin, strconv.FormatBool(agent.GitHub.Used())}
	d.metrics.duration.WithLabelValues(labels...).Observe(took.Seconds())
	outcome := store.Outcome{Handler: h.key(), Finished: d.now()}
	if err != nil {
		if ctx.Err() != nil {
			// Cut off by the shutdown: it has not ended and is run again.
			return fmt.Errorf("%s was interrupted: %w", h.key(), err)
		}
		d.metrics.errors.WithLabelValues(labels...).Inc()
		log.ErrorContext(ctx, "handler failed", "handler", h.Kind, "error", err)
		outcome.Error = err.Error()
	} else {
		log.DebugContext(ctx, "handled", "handler", h.Kind, "duration", took)
	}
	return d.store.AddOutcome(ctx, delivery, outcome)
}

// protect turns a panic into an error with its stack.
func protect(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return run()
}

// handlers are those of the plugins that the event's repository enables.
func (d *dispatcher) handlers(cfg *pluginconfig.Configuration, e *plugins.Event) []handler {
	var out []handler
	names := cfg.EnabledPlugins(e.Org, e.Repo)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p := d.plugins[name]
		if p == nil {
			continue
		}
		for _, b := range p.Bind(e) {
			out = append(out, handler{name, b})
		}
	}
	return out
}
