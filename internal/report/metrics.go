package report

import (
	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
)

// Metrics tell how reporting fares.
type Metrics struct {
	latency *prometheus.HistogramVec
	results *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	return &Metrics{
		latency: service.Register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "crier_report_latency", Help: "Seconds from the completion of a job to its report.",
			Buckets: []float64{1, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 2700, 3600, 5400, 7200},
		}, []string{"reporter"})),
		results: service.Register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crier_reporting_results", Help: "Number of reports, by reporter and result.",
		}, []string{"reporter", "result"})),
	}
}

func (m *Metrics) result(reporter, result string) { m.results.WithLabelValues(reporter, result).Inc() }
