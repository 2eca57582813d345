package trigger

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"prow/internal/plugins/plugintest"
)

// actions answers for GitHub Actions, which the local forge does not have.
type actions struct {
	next http.RoundTripper
	mu   sync.Mutex
	asks []string
}

func (a *actions) RoundTrip(r *http.Request) (*http.Response, error) {
	_, path, found := strings.Cut(r.URL.Path, "/actions/runs")
	if !found {
		return a.next.RoundTrip(r)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asks = append(a.asks, r.Method+" "+path+" "+r.URL.Query().Get("status"))
	status, body := http.StatusCreated, "{}"
	if r.Method == http.MethodGet {
		status, body = http.StatusOK, `{"workflow_runs": [
			{"id": 1, "status": "completed", "conclusion": "failure"}, {"id": 2, "status": "completed", "conclusion": "success"},
			{"id": 3, "status": "completed", "conclusion": "skipped"}, {"id": 4, "status": "in_progress"}]}`
	}
	if path == "/1/approve" {
		status = http.StatusNotFound
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func (a *actions) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.asks
	a.asks = nil
	return slices.Compact(out)
}

func TestGitHubsOwnWorkflows(t *testing.T) {
	forge := &actions{}
	w := newWorld(t, plugintest.Options{
		Plugins:   "triggers: [{repos: [o/r], trigger_github_workflows: true}]",
		Transport: func(next http.RoundTripper) http.RoundTripper { forge.next = next; return forge },
	})
	n := change(w, "eve", "change")
	for comment, want := range map[string][]string{
		"/ok-to-test": {"GET  action_required", "POST /1/approve ", "POST /2/approve ", "POST /3/approve ", "POST /4/approve "},
		"/retest":     {"GET  ", "POST /1/rerun-failed-jobs "},
		"/test all":   {"GET  ", "POST /1/rerun-failed-jobs "},
		"/test a":     nil,
	} {
		w.Comment("alice", n, comment)
		if got := forge.take(); !slices.Equal(got, want) {
			t.Errorf("%s: asked for %q, want %q", comment, got, want)
		}
	}
}
