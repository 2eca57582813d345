package ghproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
)

// metrics are what the proxy tells about itself.
type metrics struct {
	paths *simplifier

	usage, reset                    *prometheus.GaugeVec
	duration, wait, timeouts, age   *prometheus.HistogramVec
	responses, partitions, misspelt *prometheus.CounterVec
	pending, concurrent             prometheus.Gauge

	mu sync.Mutex
	// seen is when the request began whose rate limit is shown, for each budget.
	seen map[[3]string]time.Time
}

func newMetrics(r prometheus.Registerer) *metrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return service.Register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return service.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return service.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
	}
	return &metrics{
		paths: newSimplifier(), seen: map[[3]string]time.Time{},
		usage:      gauge("github_token_usage", "Requests left of a budget.", "token_hash", "api_version", "ratelimit_resource"),
		reset:      gauge("github_token_reset", "Nanoseconds until a budget is full again.", "token_hash", "api_version", "ratelimit_resource"),
		duration:   histogram("github_request_duration", "Seconds a request to GitHub took.", []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, "token_hash", "path", "status", "user_agent"),
		wait:       histogram("github_request_wait_duration_seconds", "Seconds a request waited for its time slot.", []float64{.1, .25, .5, 1, 2.5, 5, 7.5, 10, 15, 20, 25, 30, 45, 60, 90, 120, 150, 180}, "token_hash", "request_type", "api"),
		timeouts:   histogram("github_request_timeouts", "Seconds until a request to GitHub failed.", []float64{45, 60, 90, 120, 300}, "token_hash", "path", "user_agent"),
		age:        histogram("ghcache_cache_entry_age_seconds", "Age of entries that GitHub confirmed.", []float64{5, 900, 1800, 3600, 7200, 14400}, "token_hash", "path", "user_agent"),
		responses:  counter("ghcache_responses", "Answers by where they came from.", "mode", "path", "user_agent", "token_hash"),
		partitions: counter("ghcache_cache_partitions", "Parts of the cache that were begun.", "token_hash"),
		misspelt:   counter("ghcache_cache_parititions", "The same under its older name.", "token_hash"),
		pending:    service.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: "pending_outbound_requests", Help: "Requests that wait to be sent."})),
		concurrent: service.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: "concurrent_outbound_requests", Help: "Requests in flight."})),
	}
}

// about are the labels of a request.
type about struct {
	token, path, agent string
}

func (m *metrics) about(req *http.Request, token string) about {
	agent, _, _ := strings.Cut(req.UserAgent(), "/")
	return about{token: token, path: m.paths.simplify(req.URL.Path), agent: strings.ToValidUTF8(agent, "")}
}

// observe records an answer of GitHub.
func (m *metrics) observe(a about, resp *http.Response, began time.Time, now time.Time) {
	m.duration.WithLabelValues(a.token, a.path, strconv.Itoa(resp.StatusCode), a.agent).Observe(now.Sub(began).Seconds())
	remaining, err := strconv.ParseFloat(resp.Header.Get("X-RateLimit-Remaining"), 64)
	if err != nil {
		return
	}
	version := "v3"
	if strings.HasPrefix(a.path, "/graphql") {
		version = "v4"
	}
	key := [3]string{a.token, version, resp.Header.Get("X-RateLimit-Resource")}
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
func (m *metrics) forget(now time.Time) {
	for key, last := range m.seen {
		if now.Sub(last) > 2*time.Hour {
			delete(m.seen, key)
			m.usage.DeleteLabelValues(key[:]...)
			m.reset.DeleteLabelValues(key[:]...)
		}
	}
}

// hashOf names a credential without telling it.
func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
