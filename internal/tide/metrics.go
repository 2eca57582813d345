package tide

import (
	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/service"
)

// Metrics of the component; their names are a contract.
type Metrics struct {
	pooled, updated                              *prometheus.GaugeVec
	missing, pending, success, batchPending      *prometheus.GaugeVec
	reasons                                      *prometheus.GaugeVec
	merges                                       *prometheus.HistogramVec
	poolErrors, queryResults, heartbeat, retests *prometheus.CounterVec
	syncSeconds, statusSeconds                   prometheus.Gauge
	gauges                                       []*prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	pool := []string{"org", "repo", "branch"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return service.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, pool))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return service.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	seconds := func(name, help string) prometheus.Gauge {
		return service.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
	}
	m := &Metrics{
		pooled:       gauge("pooledprs", "Number of pull requests in each pool."),
		updated:      gauge("updatetime", "Unix time at which each pool was last synced."),
		missing:      gauge("tide_pool_missing_prs", "Number of pull requests that need to be tested on the base."),
		pending:      gauge("tide_pool_pending_prs", "Number of pull requests that are being tested on the base."),
		success:      gauge("tide_pool_successful_prs", "Number of pull requests that passed on the base."),
		batchPending: gauge("tide_pool_batch_pending_prs", "Number of pull requests in the batch that is being tested."),
		reasons: service.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tide_pull_request_reasons", Help: "Number of candidates by where they are.",
		}, append(pool, "code"))),
		merges: service.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "merges", Help: "Number of pull requests merged at once.", Buckets: []float64{1, 2, 3, 4, 5, 7, 10, 15, 25},
		}, pool)),
		poolErrors:    counter("tidepoolerrors", "Number of failed syncs of each pool.", pool...),
		queryResults:  counter("tidequeryresults", "Number of searches by outcome.", "query_index", "org_shard", "result"),
		heartbeat:     counter("tidesyncheartbeat", "Number of finished rounds of each controller.", "controller"),
		retests:       counter("tide_retests_total", "Number of pull requests for which tests were started.", "org", "repo", "branch", "action"),
		syncSeconds:   seconds("syncdur", "Seconds that the last round of the sync controller took."),
		statusSeconds: seconds("statusupdatedur", "Seconds that the last round of the status controller took."),
	}
	m.gauges = []*prometheus.GaugeVec{m.pooled, m.updated, m.missing, m.pending, m.success, m.batchPending}
	return m
}

// forget removes the gauges of a pool that is no more.
func (m *Metrics) forget(org, repo, branch string) {
	for _, g := range m.gauges {
		g.DeleteLabelValues(org, repo, branch)
	}
}
