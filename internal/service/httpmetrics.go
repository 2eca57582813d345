package service

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxAgents bounds the values of the label user_agent: who asks chooses it.
	maxAgents = 50
	// maxAgentName bounds one of them, in bytes.
	maxAgentName = 64
	// otherLabel stands for all values beyond a bound.
	otherLabel = "other"
	// unmatchedPath is the path of requests that no route is for.
	unmatchedPath = "unmatched"
)

// HTTPMetrics measures what a component serves:
//
//	PREFIX_http_request_duration_seconds{path,method,status,user_agent}
//	PREFIX_http_response_size_bytes{path,method,status,user_agent}
//	PREFIX_error_rate{error}
//
// No label has values without bound, whatever is requested: a path is that of its
// route, with :name for variables; an agent is the name before the version.
type HTTPMetrics struct {
	duration, size *prometheus.HistogramVec
	errors         *prometheus.CounterVec
	now            func() time.Time

	mu     sync.Mutex
	agents map[string]bool
}

// HTTPBuckets are the upper ends of the buckets; those left out are the usual ones.
type HTTPBuckets struct{ Seconds, Bytes []float64 }

// NewHTTPMetrics registers the metrics of a component with this prefix, which is
// its usual name; characters that metrics cannot have become an underscore.
func NewHTTPMetrics(reg prometheus.Registerer, prefix string, buckets HTTPBuckets) *HTTPMetrics {
	if buckets.Seconds == nil {
		buckets.Seconds = append([]float64{0.0001}, prometheus.ExponentialBuckets(1.0/(1<<13), 2, 15)...)
	}
	if buckets.Bytes == nil {
		buckets.Bytes = prometheus.ExponentialBuckets(256, 2, 9)
	}
	prefix = strings.ReplaceAll(prefix, "-", "_")
	labels := []string{"path", "method", "status", "user_agent"}
	return &HTTPMetrics{
		now: time.Now, agents: map[string]bool{},
		duration: Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "_http_request_duration_seconds", Help: "Seconds that requests took.", Buckets: buckets.Seconds,
		}, labels)),
		size: Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "_http_response_size_bytes", Help: "Sizes of the bodies of responses, before compression.", Buckets: buckets.Bytes,
		}, labels)),
		errors: Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "_error_rate", Help: "Number of requests that were answered with an error of the server, by its name.",
		}, []string{"error"})),
	}
}

// Measure measures the routes of a mux.
func (m *HTTPMetrics) Measure(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &countedResponse{ResponseWriter: w, code: http.StatusOK}
		start := m.now()
		defer func() {
			// The mux has noted its pattern in the request. A handler that panics is
			// measured as well.
			labels := prometheus.Labels{
				"path": routeLabel(r.Pattern, r.URL.Path), "method": methodLabel(r.Method),
				"status": strconv.Itoa(counted.code), "user_agent": m.agentLabel(r.UserAgent()),
			}
			m.duration.With(labels).Observe(m.now().Sub(start).Seconds())
			m.size.With(labels).Observe(float64(counted.size))
			if counted.code >= http.StatusInternalServerError {
				m.errors.WithLabelValues(errorLabel(counted.code)).Inc()
			}
		}()
		mux.ServeHTTP(counted, r)
	})
}

// routeLabel is the label of a pattern such as "GET host/vend/{job...}", which
// becomes "/vend/:job". What only the route of everything takes is unmatched.
func routeLabel(pattern, path string) string {
	at := strings.IndexByte(pattern, '/')
	if at < 0 || pattern[at:] == "/" && path != "/" {
		return unmatchedPath
	}
	pattern = strings.TrimSuffix(pattern[at:], "{$}")
	segments := strings.Split(pattern, "/")
	for i, segment := range segments {
		if name, variable := strings.CutPrefix(segment, "{"); variable {
			segments[i] = ":" + strings.TrimSuffix(strings.TrimSuffix(name, "}"), "...")
		}
	}
	return strings.Join(segments, "/")
}

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return otherLabel
}

func errorLabel(code int) string {
	if text := http.StatusText(code); text != "" {
		return text
	}
	return strconv.Itoa(code)
}

// agentLabel is the name of a client without its version. The first ones count.
func (m *HTTPMetrics) agentLabel(agent string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(agent), "/")
	name, _, _ = strings.Cut(name, " ")
	if len(name) > maxAgentName {
		name = name[:maxAgentName]
	}
	if !utf8.ValidString(name) {
		name = strings.ToValidUTF8(name, "")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.agents[name] {
		if len(m.agents) >= maxAgents {
			return otherLabel
		}
		m.agents[name] = true
	}
	return name
}

// countedResponse counts what a handler writes.
type countedResponse struct {
	http.ResponseWriter
	code    int
	size    int64
	started bool
}

func (c *countedResponse) WriteHeader(code int) {
	// Informational answers come before the one that counts.
	if !c.started && code >= http.StatusOK {
		c.code, c.started = code, true
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *countedResponse) Write(b []byte) (int, error) {
	c.started = true
	n, err := c.ResponseWriter.Write(b)
	c.size += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the rest.
func (c *countedResponse) Unwrap() http.ResponseWriter { return c.ResponseWriter }
