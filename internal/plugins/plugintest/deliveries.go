package plugintest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

type delivery struct {
	id, kind string
	payload  []byte
}

// receive takes a webhook.
func (w *World) receive(_ http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, delivery{r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-GitHub-Event"), payload})
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Settle lets the plugin handle everything that has happened, and what that
// causes, until nothing happens any more.
func (w *World) Settle() {
	w.tb.Helper()
	for range 20 {
		if w.handleUntil(w.mark()) == 0 {
			return
		}
	}
	w.tb.Fatalf("the plugin answers its own doings without an end; the last events are %q", w.events[max(0, len(w.events)-20):])
}

// mark sets a status that tells apart what has happened before it: webhooks
// come in order.
func (w *World) mark() string {
	w.tb.Helper()
	w.marks++
	mark := fmt.Sprintf("mark-%d", w.marks)
	if w.first == "" {
		w.first = w.Head("main")
	}
	_, _, err := w.As("boss").Repositories.CreateStatus(w.tb.Context(), Org, Repo, w.first, &gogithub.RepoStatus{State: gogithub.Ptr("success"), Context: &mark})
	must(w.tb, err)
	return mark
}

// handleUntil handles deliveries until the mark, and tells how many there were.
func (w *World) handleUntil(mark string) (handled int) {
	w.tb.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for i, d := range queue {
			if d.kind == github.EventStatus && strings.Contains(string(d.payload), `"`+mark+`"`) {
				w.mu.Lock()
				w.queue = append(slices.Clone(queue[i+1:]), w.queue...)
				w.mu.Unlock()
				return handled
			}
			if d.kind == github.EventStatus && strings.Contains(string(d.payload), `"mark-`) {
				continue
			}
			handled++
			w.Handle(d.id, d.kind, d.payload)
		}
		select {
		case <-w.news:
		case <-deadline:
			w.tb.Fatalf("the forge did not tell of %s", mark)
		}
	}
}

// Handle gives a delivery to the plugin, as hook would.
func (w *World) Handle(id, kind string, payload []byte) {
	w.tb.Helper()
	event, err := github.ParseEvent(kind, id, payload)
	must(w.tb, err)
	if event == nil {
		return
	}
	var peek struct {
		Action string
		Sender struct{ Login string }
	}
	_ = json.Unmarshal(payload, &peek) // only for messages
	w.events = append(w.events, kind+"/"+peek.Action)
	if peek.Sender.Login != "bot" {
		w.last[kind], w.last[kind+"/"+peek.Action] = delivery{id, kind, payload}, delivery{id, kind, payload}
	}
	ctx, agent := w.tb.Context(), w.Agent(id)
	for _, b := range w.opts.Plugin.Bind(w.Config, plugins.Describe(kind, event)) {
		w.note(b.Run(ctx, agent))
	}
}

// note keeps an error of the plugin. Unless the test asks for it, it fails.
func (w *World) note(err error) {
	if err != nil {
		if len(w.errs) == 0 {
			w.tb.Cleanup(func() {
				if len(w.errs) > 0 {
					w.tb.Errorf("the plugin failed: %v", errors.Join(w.errs...))
				}
			})
		}
		w.errs = append(w.errs, err)
	}
}

// Errors are those of the plugin since the last call.
func (w *World) Errors() error {
	err := errors.Join(w.errs...)
	w.errs = nil
	return err
}

// HandleAgain gives the last delivery of a kind, or of a kind and an action
// ("pull_request/opened"), to the plugin once more, as after a crash in the middle
// of it. What the bot itself caused does not count.
func (w *World) HandleAgain(kind string) {
	w.tb.Helper()
	d, ok := w.last[kind]
	if !ok {
		w.tb.Fatalf("there was no delivery of kind %s", kind)
	}
	w.Handle(d.id, d.kind, d.payload)
	w.Settle()
}
