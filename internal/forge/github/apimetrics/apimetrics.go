// Package apimetrics measures requests to GitHub's API by what they are about and
// whom they are charged to. A client and a proxy before it tell the same.
package apimetrics

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxBudgets bounds how many budgets are remembered; tokens rotate.
const maxBudgets = 10_000

// Metrics are about requests to GitHub. It is safe for concurrent use.
type Metrics struct {
	paths              *Paths
	usage, reset       *prometheus.GaugeVec
	duration, timeouts *prometheus.HistogramVec
	wait               *prometheus.HistogramVec

	mu sync.Mutex
	// seen is when the request began whose rate limit is shown, for each budget.
	seen map[[3]string]time.Time
}

// New registers the metrics.
func New(r prometheus.Registerer) *Metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return Register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
	}
	return &Metrics{
		paths: NewPaths(), seen: map[[3]string]time.Time{},
		usage:    gauge("github_token_usage", "Requests left of a budget.", "token_hash", "api_version", "ratelimit_resource"),
		reset:    gauge("github_token_reset", "Nanoseconds until a budget is full again.", "token_hash", "api_version", "ratelimit_resource"),
		duration: histogram("github_request_duration", "Seconds a request to GitHub took.", []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "token_hash", "path", "status", "user_agent"),
		wait:     histogram("github_request_wait_duration_seconds", "Seconds a request waited for its time slot.", []float64{.1, .25, .5, 1, 2.5, 5, 7.5, 10, 15, 20, 25, 30, 45, 60, 90, 120, 150, 180}, "token_hash", "request_type", "api"),
		timeouts: histogram("github_request_timeouts", "Seconds until a request to GitHub failed.", []float64{45, 60, 90, 120, 300}, "token_hash", "path", "user_agent"),
	}
}

// Register registers a collector, or returns the equal one that is registered already.
func Register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	var already prometheus.AlreadyRegisteredError
	if errors.As(r.Register(c), &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	return c
}

// About are the labels of a request.
type About struct {
	// Token names what the request is charged to, Path is a template, and Agent who asks.
	Token, Path, Agent string
}

// About are the labels of a request to a path, which is relative to the base of the API.
func (m *Metrics) About(path, userAgent, token string) About {
	agent, _, _ := strings.Cut(userAgent, "/")
	return About{Token: token, Path: m.paths.Template(path), Agent: strings.ToValidUTF8(agent, "")}
}

// Waited records how long a request is held back. The API is v3 or v4, which is GraphQL.
func (m *Metrics) Waited(token, method, api string, wait time.Duration) {
	m.wait.WithLabelValues(token, method, api).Observe(wait.Seconds())
}

// Failed records a request that got no answer.
func (m *Metrics) Failed(a About, took time.Duration) {
	m.timeouts.WithLabelValues(a.Token, a.Path, a.Agent).Observe(took.Seconds())
}

// Answered records an answer of GitHub.
func (m *Metrics) Answered(a About, resp *http.Response, began, now time.Time) {
	m.duration.WithLabelValues(a.Token, a.Path, strconv.Itoa(resp.StatusCode), a.Agent).Observe(now.Sub(began).Seconds())
	remaining, err := strconv.ParseFloat(resp.Header.Get("X-RateLimit-Remaining"), 64)
	if err != nil {
		return
	}
	version := "v3"
	if strings.HasPrefix(a.Path, "/graphql") {
		version = "v4"
	}
	key := [3]string{a.Token, version, strings.ToValidUTF8(resp.Header.Get("X-RateLimit-Resource"), "")}
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, ok := m.seen[key]; ok && last.After(began) {
		return // a later request has told already
	}
	m.seen[key] = began
	m.usage.WithLabelValues(key[:]...).Set(remaining)
	if reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		m.reset.WithLabelValues(key[:]...).Set(float64(time.Unix(reset, 0).Sub(began).Nanoseconds()))
	}
	if len(m.seen) > maxBudgets {
		m.forget(now)
	}
}

// forget drops budgets of tokens that are no longer used.
func (m *Metrics) forget(now time.Time) {
	for key, last := range m.seen {
		if now.Sub(last) > 2*time.Hour {
			delete(m.seen, key)
			m.usage.DeleteLabelValues(key[:]...)
			m.reset.DeleteLabelValues(key[:]...)
		}
	}
}

// HashOf names a credential without telling it.
func HashOf(credential string) string {
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:])
}
