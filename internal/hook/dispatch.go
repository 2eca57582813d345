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

// event is a parsed delivery with what dispatch needs to know of it.
type event struct {
	kind, action string
	payload      any
	comment      *github.CommentEvent
	org, repo    string
	fields       []any
}

// handler is one thing to run for an event.
type handler struct {
	plugin string
	// kind is the event's, or "comment".
	kind   string
	action string
	run    func(context.Context, *plugins.Agent) error
}

// key names the handler in the store.
func (h handler) key() string { return h.plugin + "/" + h.kind }

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
	e := describe(delivery.Event, payload)
	log = log.With(e.fields...)
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
	err := protect(func() error { return h.run(ctx, agent) })
	took := d.now().Sub(start)
	labels := []string{h.kind, h.action, h.plugin, strconv.FormatBool(agent.GitHub.Used())}
	d.metrics.duration.WithLabelValues(labels...).Observe(took.Seconds())
	outcome := store.Outcome{Handler: h.key(), Finished: d.now()}
	if err != nil {
		if ctx.Err() != nil {
			// Cut off by the shutdown: it has not ended and is run again.
			return fmt.Errorf("%s was interrupted: %w", h.key(), err)
		}
		d.metrics.errors.WithLabelValues(labels...).Inc()
		log.ErrorContext(ctx, "handler failed", "handler", h.kind, "error", err)
		outcome.Error = err.Error()
	} else {
		log.DebugContext(ctx, "handled", "handler", h.kind, "duration", took)
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
func (d *dispatcher) handlers(cfg *pluginconfig.Configuration, e event) []handler {
	var out []handler
	names := cfg.EnabledPlugins(e.org, e.repo)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p := d.plugins[name]
		if p == nil {
			continue
		}
		if run := specific(p, e); run != nil {
			out = append(out, handler{plugin: name, kind: e.kind, action: e.action, run: run})
		}
		if e.comment != nil {
			if run := textual(p, e.comment); run != nil {
				out = append(out, handler{plugin: name, kind: "comment", action: string(e.comment.Action), run: run})
			}
		}
	}
	return out
}

// specific is the handler for the very kind of event.
func specific(p *plugins.Plugin, e event) func(context.Context, *plugins.Agent) error {
	h := p.Handlers
	switch payload := e.payload.(type) {
	case *github.IssueEvent:
		return bind(h.Issue, payload)
	case *github.IssueCommentEvent:
		return bind(h.IssueComment, payload)
	case *github.PullRequestEvent:
		return bind(h.PullRequest, payload)
	case *github.PushEvent:
		return bind(h.Push, payload)
	case *github.ReviewEvent:
		return bind(h.Review, payload)
	case *github.ReviewCommentEvent:
		return bind(h.ReviewComment, payload)
	case *github.StatusEvent:
		return bind(h.Status, payload)
	case *github.CheckRunEvent:
		return bind(h.CheckRun, payload)
	}
	return nil
}

func bind[E any](h func(context.Context, *plugins.Agent, E) error, payload E) func(context.Context, *plugins.Agent) error {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, a *plugins.Agent) error { return h(ctx, a, payload) }
}

// textual is the handler for text: the plugin's own, and its commands that the
// text uses, one after the other.
func textual(p *plugins.Plugin, e *github.CommentEvent) func(context.Context, *plugins.Agent) error {
	type use struct {
		command *plugins.Command
		matches [][]string
	}
	var uses []use
	for i := range p.Commands {
		if m := p.Commands[i].Find(e); m != nil {
			uses = append(uses, use{&p.Commands[i], m})
		}
	}
	if p.Handlers.Comment == nil && len(uses) == 0 {
		return nil
	}
	return func(ctx context.Context, a *plugins.Agent) error {
		var errs []error
		if p.Handlers.Comment != nil {
			errs = append(errs, p.Handlers.Comment(ctx, a, e))
		}
		for _, u := range uses {
			if err := u.command.Run(ctx, a, e, u.matches); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", u.command.Usage, err))
			}
		}
		return errors.Join(errs...)
	}
}

// describe finds the repository that decides about plugins, and the log fields.
func describe(kind string, payload any) event {
	e := event{kind: kind, action: "none", payload: payload, comment: github.GeneralizeComment(payload)}
	field := func(pairs ...any) { e.fields = append(e.fields, pairs...) }
	place := func(r github.Repo) { e.org, e.repo = r.Owner.Login, r.Name }
	switch p := payload.(type) {
	case *github.IssueEvent:
		place(p.Repo)
		e.action = p.Action
		field("pr", p.Issue.Number, "author", p.Issue.User.Login, "url", p.Issue.HTMLURL)
	case *github.IssueCommentEvent:
		place(p.Repo)
		e.action = p.Action
		field("pr", p.Issue.Number, "author", p.Comment.User.Login, "url", p.Comment.HTMLURL)
	case *github.PullRequestEvent:
		place(p.PullRequest.Base.Repo)
		e.action = p.Action
		field("pr", p.Number, "author", p.PullRequest.User.Login, "url", p.PullRequest.HTMLURL)
	case *github.ReviewEvent:
		place(p.PullRequest.Base.Repo)
		e.action = p.Action
		field("pr", p.PullRequest.Number, "review", p.Review.ID, "reviewer", p.Review.User.Login, "url", p.Review.HTMLURL)
	case *github.ReviewCommentEvent:
		place(p.PullRequest.Base.Repo)
		e.action = p.Action
		field("pr", p.PullRequest.Number, "review", p.Comment.ReviewID, "commenter", p.Comment.User.Login, "url", p.Comment.HTMLURL)
	case *github.PushEvent:
		place(p.Repo)
		if p.Repo.Owner.Name != "" {
			// Pushes carry the login under "name".
			e.org = p.Repo.Owner.Name
		}
		field("ref", p.Ref, "head", p.After)
	case *github.StatusEvent:
		place(p.Repo)
		field("context", p.Context, "sha", p.SHA, "state", p.State, "id", p.ID)
	case *github.CheckRunEvent:
		place(p.Repo)
		e.action = p.Action
		field("context", p.CheckRun.Name, "sha", p.CheckRun.HeadSHA, "id", p.CheckRun.ID, "author", p.Sender.Login)
	}
	field("org", e.org, "repo", e.repo)
	return e
}
