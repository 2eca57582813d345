package sinker

import (
	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/kube/fleet"
)

// Metrics tell what the last pass did. A reason that the last pass had no case
// of is not there.
type Metrics struct {
	podsExisting, jobsExisting, duration        prometheus.Gauge
	podsRemoved, podErrors, jobsRemoved, jobErr *prometheus.GaugeVec
	clusterErrors                               *prometheus.CounterVec
	configMapSize                               *prometheus.GaugeVec
}

// NewMetrics makes the metrics and registers them through register.
func NewMetrics(register func(prometheus.Collector)) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		register(g)
		return g
	}
	vec := func(name, help, label string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{label})
		register(g)
		return g
	}
	m := &Metrics{
		podsExisting:  gauge("sinker_pods_existing", "Number of pods that the last pass found."),
		duration:      gauge("sinker_loop_duration_seconds", "Time used by the last pass, in seconds."),
		podsRemoved:   vec("sinker_pods_removed", "Number of pods that the last pass removed, by reason.", "reason"),
		podErrors:     vec("sinker_pod_removal_errors", "Number of pods that the last pass could not remove, by reason.", "reason"),
		jobsExisting:  gauge("sinker_prow_jobs_existing", "Number of ProwJobs that the last pass found."),
		jobsRemoved:   vec("sinker_prow_jobs_cleaned", "Number of ProwJobs that the last pass removed, by reason.", "reason"),
		jobErr:        vec("sinker_prow_jobs_cleaning_errors", "Number of ProwJobs that the last pass could not remove, by reason.", "reason"),
		configMapSize: vec("job_configmap_size", "Size of a mounted ConfigMap of jobs, in bytes.", "name"),
		clusterErrors: fleet.NewFailures(),
	}
	register(m.clusterErrors)
	return m
}

// result is what a pass did to objects of one kind.
type result struct {
	existing int
	removed  map[string]int
	failed   map[string]int
}

func newResult() *result { return &result{removed: map[string]int{}, failed: map[string]int{}} }

func (r *result) add(other *result) {
	r.existing += other.existing
	for reason, n := range other.removed {
		r.removed[reason] += n
	}
	for reason, n := range other.failed {
		r.failed[reason] += n
	}
}

// set publishes the results of a pass at once.
func (m *Metrics) set(jobs, pods *result, seconds float64) {
	m.duration.Set(seconds)
	publish := func(r *result, existing prometheus.Gauge, removed, failed *prometheus.GaugeVec) {
		existing.Set(float64(r.existing))
		for vec, counts := range map[*prometheus.GaugeVec]map[string]int{removed: r.removed, failed: r.failed} {
			vec.Reset()
			for reason, n := range counts {
				vec.WithLabelValues(reason).Set(float64(n))
			}
		}
	}
	publish(jobs, m.jobsExisting, m.jobsRemoved, m.jobErr)
	publish(pods, m.podsExisting, m.podsRemoved, m.podErrors)
}
