package deck

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/service"
)

type metrics struct {
	duration, size *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, cfg *config.Watcher) *metrics {
	labels := []string{"path", "method", "status", "user_agent"}
	service.Register(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deck_config_reload_failing", Help: "1 while the configuration in the files does not load and an older one is served.",
	}, func() float64 {
		if cfg.Status().Err != nil {
			return 1
		}
		return 0
	}))
	seconds := []float64{0.005}
	for b := 1.0 / 128; b <= 16; b *= 2 {
		seconds = append(seconds, b)
	}
	return &metrics{
		duration: service.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "deck_http_request_duration_seconds", Help: "Seconds that requests took.", Buckets: append(seconds, 20),
		}, labels)),
		size: service.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "deck_http_response_size_bytes", Help: "Sizes of the bodies of responses, before compression.", Buckets: prometheus.ExponentialBuckets(16384, 2, 12),
		}, labels)),
	}
}

// measured measures a handler. Every label has few values, whatever is requested.
func (m *metrics) measured(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counter := &counter{ResponseWriter: w, code: http.StatusOK}
		start := time.Now()
		next.ServeHTTP(counter, r)
		labels := prometheus.Labels{"path": path, "method": methodLabel(r.Method), "status": strconv.Itoa(counter.code), "user_agent": agentLabel(r.UserAgent())}
		m.duration.With(labels).Observe(time.Since(start).Seconds())
		m.size.With(labels).Observe(float64(counter.size))
	})
}

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}

// agentLabel is the family of a client: the names that clients give are without bound.
func agentLabel(agent string) string {
	for _, family := range []string{"Mozilla", "curl", "Go-http-client", "kube-probe", "Prometheus"} {
		if strings.HasPrefix(agent, family) {
			return family
		}
	}
	return "other"
}

// counter counts what a handler writes.
type counter struct {
	http.ResponseWriter
	code    int
	size    int64
	started bool
}

func (c *counter) WriteHeader(code int) {
	if !c.started {
		c.code, c.started = code, true
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *counter) Write(b []byte) (int, error) {
	c.started = true
	n, err := c.ResponseWriter.Write(b)
	c.size += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the rest.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
