package cla

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestDecision(t *testing.T) {
	for state, want := range map[string]verdict{"success": signed, "failure": unsigned, "error": unsigned, "pending": unknown, "": unknown} {
		if got := decide([]plugins.Result{{Context: "ci", State: "success"}, {Context: statusContext, State: state}}); got != want {
			t.Errorf("%q: %d", state, got)
		}
	}
	if decide(nil) != unknown {
		t.Error("without a status nothing is known")
	}
}

// counting counts requests.
type counting struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestLabelsSayWhatTheStatusSays(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Transport: func(next http.RoundTripper) http.RoundTripper { return counting{next, &requests} }})
	old := w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.Status(old, statusContext, "pending")
	w.Status(old, "ci", "failure")
	if requests.Load() != 0 {
		t.Errorf("%d requests for what does not matter", requests.Load())
	}
	w.Status(old, statusContext, "failure")
	w.WantLabels(n, plugins.LabelCLANo)
	w.Status(old, statusContext, "success")
	w.WantLabels(n, plugins.LabelCLAYes)
	w.HandleAgain("status")
	w.WantLabels(n, plugins.LabelCLAYes)
	w.Status(old, statusContext, "error")
	w.WantLabels(n, plugins.LabelCLANo)

	head := w.Push("change", map[string]string{"x": "z"})
	w.Status(old, statusContext, "success")
	w.Comment("eve", n, "/check-cla\r\n")
	w.WantLabels(n, plugins.LabelCLANo) // the head has no status yet
	w.Status(head, statusContext, "success")
	w.WantLabels(n, plugins.LabelCLAYes)
	w.RemoveLabel("boss", n, plugins.LabelCLAYes)
	w.Status(old, statusContext, "failure")
	// A search may find the pull request by any of its commits.
	if err := check(t.Context(), w.Agent("search"), "o", "r", n, old); err != nil {
		t.Error(err)
	}
	w.WantLabels(n, "") // what is told of another commit is no matter
	w.Comment("eve", n, "/check-cla\r\n")
	w.WantLabels(n, plugins.LabelCLAYes)
	w.WantComments(n)
}

func TestAnEventThatComesLateChangesNothing(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	head := w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.Status(head, statusContext, "success")
	e := &github.StatusEvent{SHA: head, Context: statusContext, State: "failure"}
	e.Repo.Owner.Login, e.Repo.Name = "o", "r"
	if err := handle(t.Context(), w.Agent("late"), e); err != nil {
		t.Error(err)
	}
	w.WantLabels(n, plugins.LabelCLAYes)
	e.State = ""
	if err := handle(t.Context(), w.Agent("empty"), e); err == nil || !strings.Contains(err.Error(), "has no state") {
		t.Error(err)
	}
}
