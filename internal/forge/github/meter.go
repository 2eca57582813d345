package github

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github/apimetrics"
	"prow/internal/forge/github/budget"
)

// Priority says how much a request matters when the forge's limit is about to be
// reached; what matters least then waits or fails first, with a
// *budget.RefusedError.
type Priority = budget.Priority

// The priorities; see package budget.
const (
	PriorityBackground = budget.Background
	PriorityTalk       = budget.Talk
	PriorityProgress   = budget.Progress
	PriorityMerging    = budget.Merging
)

type priorityKey struct{}

// WithPriority returns a context whose requests have a priority, whatever they
// are. Without one that of the client counts, and without that what they do:
// merging, setting statuses and reading, or talking.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// Metrics measure the requests of clients, and what becomes of them. Clients of
// one process share them.
type Metrics struct {
	api      *apimetrics.Metrics
	requests *prometheus.CounterVec
	forecast *prometheus.GaugeVec
	users    *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	return &Metrics{
		api: apimetrics.New(reg),
		requests: apimetrics.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "github_budget_requests_total", Help: "Requests to GitHub by who asks, what about, and what became of them.",
		}, []string{"user_agent", "org", "class", "priority", "outcome"})),
		forecast: apimetrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "github_budget_forecast_remaining", Help: "Requests that will be left of a budget when it is full again, if it goes on like this.",
		}, []string{"token_hash", "ratelimit_resource"})),
		users: apimetrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "github_user_info", Help: "1 for the account of each token.",
		}, []string{"token_hash", "login", "email"})),
	}
}

// meter accounts for requests that are on their way to the forge, and lets them
// go by their priority.
type meter struct {
	next     http.RoundTripper
	bases    []*url.URL
	broker   *budget.Broker
	metrics  *Metrics // nil where nobody measures
	priority Priority
	now      func() time.Time
	log      *slog.Logger
}

// Outcomes of requests beside those of the broker.
const (
	outcomeFree   = "free"   // the forge does not count it
	outcomeFailed = "failed" // it got no answer
)

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	path := m.path(req.URL)
	class := classOf(req.Method, path)
	priority := m.priorityOf(req.Context(), class)
	key := budget.Key{Credential: credentialOf(req), Resource: resourceOf(path)}
	outcome := string(budget.Allowed)
	// What is only asked whether it is still true usually costs nothing.
	if class != classApp && req.Header.Get("If-None-Match") == "" && req.Header.Get("If-Modified-Since") == "" {
		got, err := m.broker.Admit(req.Context(), key, priority)
		if err != nil {
			m.count(req, path, class, priority, string(got))
			return nil, err
		}
		outcome = string(got)
	}
	if m.log.Enabled(req.Context(), slog.LevelDebug) {
		m.log.DebugContext(req.Context(), "request", "command", curl(req))
	}
	began := m.now()
	resp, err := m.next.RoundTrip(req)
	now := m.now()
	if err != nil {
		m.count(req, path, class, priority, outcomeFailed)
		if m.metrics != nil {
			m.metrics.api.Failed(m.metrics.api.About(path, req.UserAgent(), key.Credential), now.Sub(began))
		}
		return nil, err
	}
	if costsNothing(resp) {
		outcome = outcomeFree
	}
	m.count(req, path, class, priority, outcome)
	if m.metrics != nil {
		m.metrics.api.Answered(m.metrics.api.About(path, req.UserAgent(), key.Credential), resp, began, now)
	}
	m.learn(key, resp)
	return resp, nil
}

// learn takes the state of the budget from an answer.
func (m *meter) learn(key budget.Key, resp *http.Response) {
	w, resource, ok := windowOf(resp.Header)
	if !ok {
		return
	}
	if resource != "" {
		key.Resource = resource
	}
	outlook := m.broker.Learn(key, w)
	if m.metrics != nil {
		m.metrics.forecast.WithLabelValues(key.Credential, strings.ToValidUTF8(key.Resource, "")).Set(outlook.Forecast(m.now()))
	}
}

// windowOf reads the state of a budget.
func windowOf(h http.Header) (w budget.Window, resource string, ok bool) {
	limit, err1 := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	remaining, err2 := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	reset, err3 := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if errors.Join(err1, err2, err3) != nil {
		return budget.Window{}, "", false
	}
	return budget.Window{Limit: limit, Remaining: remaining, Reset: time.Unix(reset, 0)}, h.Get("X-RateLimit-Resource"), true
}

func (m *meter) count(req *http.Request, path, class string, p Priority, outcome string) {
	if m.metrics == nil {
		return
	}
	agent, _, _ := strings.Cut(req.UserAgent(), "/")
	m.metrics.requests.WithLabelValues(agent, strings.ToLower(orgOf(req.Context(), path)), class, p.String(), outcome).Inc()
}

// path is the path of a request, relative to the base of its endpoint.
func (m *meter) path(u *url.URL) string {
	if strings.HasSuffix(u.Path, "/graphql") {
		return "/graphql"
	}
	for _, b := range m.bases {
		if rest, ok := strings.CutPrefix(u.Path, strings.TrimSuffix(b.Path, "/")); ok && b.Host == u.Host && strings.HasPrefix(rest, "/") {
			return rest
		}
	}
	return u.Path
}

func (m *meter) priorityOf(ctx context.Context, class string) Priority {
	if p, _ := ctx.Value(priorityKey{}).(Priority); p != budget.Unset {
		return p
	}
	if m.priority != budget.Unset {
		return m.priority
	}
	switch class {
	case classMerge:
		return budget.Merging
	case classTalk:
		return budget.Talk
	}
	return budget.Progress
}

// Classes of requests.
const (
	classApp     = "app" // about the app itself: tokens
	classGraphQL = "graphql"
	classSearch  = "search"
	classMerge   = "merge"
	classStatus  = "status"
	classTalk    = "talk"
	classRead    = "read"
	classChange  = "change"
)

// classOf tells what a request does.
func classOf(method, path string) string {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(path+"/", "/"+p+"/") {
				return true
			}
		}
		return false
	}
	switch {
	case path == "/graphql":
		return classGraphQL
	case path == "/app" || strings.HasPrefix(path, "/app/") || ofInstallation.MatchString(path):
		return classApp
	case strings.HasPrefix(path, "/search/"):
		return classSearch
	case method == http.MethodGet || method == http.MethodHead:
		return classRead
	case strings.HasSuffix(path, "/merge") || strings.HasSuffix(path, "/update-branch"):
		return classMerge
	case has("statuses", "check-runs", "actions"):
		return classStatus
	case has("comments", "labels", "reactions", "assignees", "requested_reviewers", "reviews", "issues"):
		return classTalk
	}
	return classChange
}

// resourceOf is the limit that a request counts for, as far as its path tells.
func resourceOf(path string) string {
	switch {
	case path == "/graphql":
		return "graphql"
	case strings.HasPrefix(path, "/search/code"):
		return "code_search"
	case strings.HasPrefix(path, "/search/"):
		return "search"
	}
	return "core"
}
