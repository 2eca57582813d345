package ghproxy

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/github/apimetrics"
	"prow/internal/service"
)

// metrics are what the proxy tells about itself, and about requests to GitHub.
type metrics struct {
	*apimetrics.Metrics

	age                             *prometheus.HistogramVec
	responses, partitions, misspelt *prometheus.CounterVec
	pending, concurrent             prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return service.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return service.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
	}
	return &metrics{
		Metrics:    apimetrics.New(r),
		age:        histogram("ghcache_cache_entry_age_seconds", "Age of entries that GitHub confirmed.", []float64{5, 900, 1800, 3600, 7200, 14400}, "token_hash", "path", "user_agent"),
		responses:  counter("ghcache_responses", "Answers by where they came from.", "mode", "path", "user_agent", "token_hash"),
		partitions: counter("ghcache_cache_partitions", "Parts of the cache that were begun.", "token_hash"),
		misspelt:   counter("ghcache_cache_parititions", "The same under its older name.", "token_hash"),
		pending:    service.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: "pending_outbound_requests", Help: "Requests that wait to be sent."})),
		concurrent: service.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: "concurrent_outbound_requests", Help: "Requests in flight."})),
	}
}

func (m *metrics) about(req *http.Request, token string) apimetrics.About {
	return m.About(req.URL.Path, req.UserAgent(), token)
}

// hashOf names a credential without telling it.
func hashOf(s string) string { return apimetrics.HashOf(s) }
