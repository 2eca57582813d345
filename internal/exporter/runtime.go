package exporter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/jobview"
)

// newRuntimes makes the histogram prow_job_runtime_seconds: 30 seconds to 10 hours.
func newRuntimes() *prometheus.HistogramVec {
	buckets := []float64{30, 60, 120, 300, 600, 1800}
	for hour := 1; hour <= 10; hour++ {
		buckets = append(buckets, float64(hour*3600))
	}
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "prow_job_runtime_seconds", Help: "Time that ProwJobs spend in a state.", Buckets: buckets,
	}, []string{"job_namespace", "job_name", "type", "last_state", "state", "org", "repo", "base_ref"})
}

// spent is the time that a job spent in the state that it has left: in
// triggered since it was made, in pending since it became that. Other states
// are not measured.
func spent(before, after *jobview.Job) (time.Duration, bool) {
	if before.Status.State == after.Status.State {
		return 0, false
	}
	var from, to time.Time
	switch before.Status.State {
	case prowv1.TriggeredState:
		from = after.CreationTimestamp.Time
	case prowv1.PendingState:
		if after.Status.PendingTime == nil {
			return 0, false
		}
		from = after.Status.PendingTime.Time
	default:
		return 0, false
	}
	switch {
	case after.Status.State == prowv1.PendingState && after.Status.PendingTime != nil:
		to = after.Status.PendingTime.Time
	case after.Status.CompletionTime != nil:
		to = after.Status.CompletionTime.Time
	default:
		return 0, false
	}
	return to.Sub(from), true
}

// observe measures a change of a job.
func observe(runtimes *prometheus.HistogramVec, before, after *jobview.Job) {
	d, ok := spent(before, after)
	if !ok {
		return
	}
	refs := after.Spec.MainRefs()
	runtimes.WithLabelValues(after.Namespace, after.Spec.Job, string(after.Spec.Type), string(before.Status.State), string(after.Status.State),
		refs.Org, refs.Repo, refs.BaseRef).Observe(d.Seconds())
}
