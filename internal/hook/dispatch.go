package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/service"
	"prow/internal/store"
	"prow/internal/webhook"
)

// handlerLimit is how long a handler may take; its context ends then.
const handlerLimit = 15 * time.Minute

// outcomeStore records which handlers of a delivery have ended.
type outcomeStore interface {
	Outcomes(ctx context.Context, id string) (map[string]store.Outcome, error)
	AddOutcome(ctx context.Context, id string, o store.Outcome) error
}

// run says for what a handler runs.
type run struct {
	config   *config.Config
	plugins  *pluginconfig.Configuration
	delivery string
	plugin   string
	// attempt tells what is known of earlier attempts.
	attempt webhook.Attempt
	log     *slog.Logger
}

// dispatcher finds the handlers of deliveries and runs them.
type dispatcher struct {
	plugins map[string]*plugins.Plugin
	store   outcomeStore
	// config and pluginConfig are the current configurations.
	config       func() *config.Config
	pluginConfig func() *pluginconfig.Configuration
	// serves tells whether this instance serves a repository.
	serves func(org, repo string) bool
	// newAgent makes what a handler gets.
	newAgent func(run) *plugins.Agent
	// forward sends deliveries to external plugins.
	forward *forwarder
	lanes   *lanes
	now     func() time.Time
	log     *slog.Logger
	metrics *dispatchMetrics
}

type dispatchMetrics struct {
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
}

func newDispatchMetrics(reg prometheus.Registerer) *dispatchMetrics {
	labels := []string{"event_type", "action", "plugin", "took_action"}
	return &dispatchMetrics{
		duration: service.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prow_plugin_handle_duration_seconds", Help: "Seconds that a handler took.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640},
		}, labels)),
		errors: service.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prow_plugin_handle_errors", Help: "Number of handlers that failed.",
		}, labels)),
	}
}

// handler is one thing to do for a delivery.
type handler struct {
	// key names it in the store, lane is where it waits.
	key, lane string
	do        func(ctx context.Context, attempt webhook.Attempt) error
}

// work is a delivery with its handlers and the configuration they began with.
type work struct {
	dispatcher *dispatcher
	delivery   string
	// subject is the issue or pull request; "" without one.
	subject  string
	handlers []handler
}

// prepare reads a delivery and finds its handlers; nil where nobody handles it.
func (d *dispatcher) prepare(delivery *store.Delivery) webhook.Work {
	log := d.log.With("event-type", delivery.Event, "event-GUID", delivery.ID)
	payload, err := github.ParseEvent(delivery.Event, delivery.ID, delivery.Payload)
	if err != nil {
		log.Error("a delivery cannot be read and is dropped", "error", err)
		return nil
	}
	w := &work{dispatcher: d, delivery: delivery.ID}
	pc := d.pluginConfig()
	if payload != nil {
		e := plugins.Describe(delivery.Event, payload)
		w.subject = e.Subject()
		w.handlers = d.internal(d.config(), pc, e, delivery.ID, log)
	}
	w.handlers = append(w.handlers, d.forward.handlers(pc, delivery, d.serves, log)...)
	if len(w.handlers) == 0 {
		return nil
	}
	return w
}

// internal are the handlers of the plugins that the event's repository enables.
func (d *dispatcher) internal(cfg *config.Config, pc *pluginconfig.Configuration, e *plugins.Event, delivery string, log *slog.Logger) []handler {
	if !d.serves(e.Org, e.Repo) {
		return nil
	}
	var out []handler
	names := pc.EnabledPlugins(e.Org, e.Repo)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p := d.plugins[name]
		if p == nil {
			continue
		}
		for _, b := range p.Bind(cfg, e) {
			out = append(out, handler{key: name + "/" + b.Kind, lane: name, do: func(ctx context.Context, attempt webhook.Attempt) error {
				return d.call(ctx, b, run{config: cfg, plugins: pc, delivery: delivery, plugin: name, attempt: attempt, log: log.With(e.Fields...).With("plugin", name)})
			}})
		}
	}
	return out
}

// call runs what a plugin does for an event.
func (d *dispatcher) call(ctx context.Context, b plugins.Bound, r run) error {
	agent := d.newAgent(r)
	start := d.now()
	err := plugins.Protect(func() error { return b.Run(ctx, agent) })
	took := d.now().Sub(start)
	labels := []string{b.Kind, b.Action, r.plugin, strconv.FormatBool(agent.GitHub.Used())}
	d.metrics.duration.WithLabelValues(labels...).Observe(took.Seconds())
	if err != nil && ctx.Err() == nil {
		d.metrics.errors.WithLabelValues(labels...).Inc()
		r.log.ErrorContext(ctx, "handler failed", "handler", b.Kind, "error", err)
	} else if err == nil {
		r.log.DebugContext(ctx, "handled", "handler", b.Kind, "duration", took)
	}
	return err
}

// Room tells whether the lane of a handler that has not ended has a place.
func (w *work) Room(ctx context.Context, first bool) bool {
	var ended map[string]store.Outcome
	if !first {
		var err error
		if ended, err = w.dispatcher.store.Outcomes(ctx, w.delivery); err != nil {
			return true // Run will tell
		}
	}
	all := true
	for _, h := range w.handlers {
		if _, done := ended[h.key]; done {
			continue
		}
		all = false
		if w.dispatcher.lanes.room(h.lane) {
			return true
		}
	}
	return all // all have ended: it only has to be recorded
}

// Run runs the handlers that have not ended, concurrently, and returns once all
// have. What a handler returns, even a panic, is its outcome and no error of Run.
func (w *work) Run(ctx context.Context, attempt webhook.Attempt) error {
	var ended map[string]store.Outcome
	if !attempt.First {
		var err error
		if ended, err = w.dispatcher.store.Outcomes(ctx, w.delivery); err != nil {
			return err
		}
	}
	ctx = github.ShareReads(ctx)
	var wg sync.WaitGroup
	errs := make([]error, len(w.handlers))
	for n, h := range w.handlers {
		if _, done := ended[h.key]; done {
			continue
		}
		place := w.dispatcher.lanes.enter(h.lane, w.subject)
		if place == nil {
			errs[n] = fmt.Errorf("%s: %w", h.lane, webhook.ErrLater)
			continue
		}
		wg.Go(func() {
			defer place.leave()
			errs[n] = w.one(ctx, h, place, attempt)
		})
	}
	wg.Wait()
	// A handler that was cut off may have had effects, unlike those that wait.
	cutOff := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return errors.Is(err, webhook.ErrLater) })
	if err := errors.Join(cutOff...); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// one runs a handler when it is its turn and records its outcome.
func (w *work) one(ctx context.Context, h handler, place *place, attempt webhook.Attempt) error {
	if err := place.wait(ctx); err != nil {
		return fmt.Errorf("%s has not begun: %w", h.key, err)
	}
	d := w.dispatcher
	limited, cancel := context.WithTimeoutCause(ctx, handlerLimit, fmt.Errorf("it took longer than %s", handlerLimit))
	defer cancel()
	start := d.now()
	err := plugins.Protect(func() error { return h.do(limited, attempt) })
	if err != nil && ctx.Err() != nil {
		// Cut off by the shutdown: it has not ended and is run again.
		return fmt.Errorf("%s was interrupted: %w", h.key, err)
	}
	outcome := store.Outcome{Handler: h.key, Finished: d.now(), Took: d.now().Sub(start)}
	if err != nil {
		if limited.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(limited), err)
		}
		outcome.Error = err.Error()
		var p *plugins.PanicError
		if errors.As(err, &p) {
			d.log.ErrorContext(ctx, "handler panicked", "handler", h.key, "event-GUID", w.delivery, "error", err, "stack", p.Stack)
		}
	}
	return d.store.AddOutcome(context.WithoutCancel(ctx), w.delivery, outcome)
}
