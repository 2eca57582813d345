package plank

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	prowv1 "prow/api/prowjobs/v1"
)

var jobLabels = []string{"job_namespace", "job_name", "type", "state", "org", "repo", "base_ref", "cluster", "retest"}

// labelSet are the values of jobLabels.
type labelSet [9]string

// jobMetrics are the gauge prowjobs and the counter prowjob_state_transitions.
// They are counted as events come, so nothing is gathered from all jobs, and jobs
// that existed when the process started are no transitions.
type jobMetrics struct {
	prowjobs    *prometheus.Desc
	transitions *prometheus.Desc

	mu      sync.Mutex
	present map[labelSet]int
	moved   map[labelSet]int
}

func newJobMetrics() *jobMetrics {
	return &jobMetrics{
		prowjobs:    prometheus.NewDesc("prowjobs", "Number of ProwJobs in the system.", jobLabels, nil),
		transitions: prometheus.NewDesc("prowjob_state_transitions", "Number of ProwJobs that transitioned into a state.", jobLabels, nil),
		present:     map[labelSet]int{}, moved: map[labelSet]int{},
	}
}

func labelsOf(job *prowv1.ProwJob) labelSet {
	out := labelSet{0: job.Namespace, 1: job.Spec.Job, 2: string(job.Spec.Type), 3: string(job.Status.State), 7: job.Spec.Cluster,
		8: strconv.FormatBool(job.Labels[prowv1.RetestLabel] == "true")}
	if refs := job.Spec.MainRefs(); refs != nil {
		out[4], out[5], out[6] = refs.Org, refs.Repo, refs.BaseRef
	}
	return out
}

// change takes note of a job that came (no old one), changed, or went (no new
// one). initial tells that it was there before this process.
func (m *jobMetrics) change(old, job *prowv1.ProwJob, initial bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old != nil && old.Spec.Agent == prowv1.KubernetesAgent {
		labels := labelsOf(old)
		if m.present[labels]--; m.present[labels] <= 0 {
			delete(m.present, labels)
		}
	}
	if job == nil || job.Spec.Agent != prowv1.KubernetesAgent {
		return
	}
	labels := labelsOf(job)
	m.present[labels]++
	if !initial && (old == nil || old.Status.State != job.Status.State) {
		m.moved[labels]++
	}
}

// Describe implements prometheus.Collector.
func (m *jobMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.prowjobs
	ch <- m.transitions
}

// Collect implements prometheus.Collector.
func (m *jobMetrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for labels, n := range m.present {
		ch <- prometheus.MustNewConstMetric(m.prowjobs, prometheus.GaugeValue, float64(n), labels[:]...)
	}
	for labels, n := range m.moved {
		ch <- prometheus.MustNewConstMetric(m.transitions, prometheus.CounterValue, float64(n), labels[:]...)
	}
}

// loopMetrics tell how the controller itself is doing.
type loopMetrics struct {
	looks   *prometheus.HistogramVec
	lengths *prometheus.Desc
	active  *prometheus.Desc
	c       *Controller
}

func newLoopMetrics(c *Controller) *loopMetrics {
	return &loopMetrics{
		c: c,
		looks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plank_reconcile_duration_seconds", Help: "How long looks at a job took, by build cluster and outcome.",
			Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"cluster", "outcome"}),
		lengths: prometheus.NewDesc("plank_queue_length", "How many jobs wait to be looked at, by build cluster.", []string{"cluster"}, nil),
		active:  prometheus.NewDesc("plank_active_jobs", "How many jobs are triggered, pending or being scheduled.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *loopMetrics) Describe(ch chan<- *prometheus.Desc) {
	m.looks.Describe(ch)
	ch <- m.lengths
	ch <- m.active
}

// Collect implements prometheus.Collector.
func (m *loopMetrics) Collect(ch chan<- prometheus.Metric) {
	m.looks.Collect(ch)
	for lane, n := range m.c.lanes.lengths() {
		ch <- prometheus.MustNewConstMetric(m.lengths, prometheus.GaugeValue, float64(n), lane)
	}
	ch <- prometheus.MustNewConstMetric(m.active, prometheus.GaugeValue, float64(m.c.r.ledger.size()))
}
