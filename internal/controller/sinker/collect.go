package sinker

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	corev1 "k8s.io/api/core/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/jobview"
)

// Reasons for which something goes; they are values of the metrics' label reason.
const (
	reasonAged         = "aged"
	reasonAgedPeriodic = "aged-periodic"
	reasonTTLed        = "ttled"
	reasonOrphaned     = "orphaned"
)

const (
	// orphanAge is how old a pod must be before it counts as orphaned: the view
	// of jobs may lag behind the creation of a job and its pod.
	orphanAge = 30 * time.Second
	// reportGrace is how long after its end a job is kept for a reporter that
	// has told of it before and has not told of its end.
	reportGrace = time.Hour
)

// ages are the configured ages at which things go.
type ages struct {
	prowJob, pod, terminatedPod time.Duration
}

func agesOf(s *config.Sinker) ages {
	orElse := func(d *metav1.Duration, fallback time.Duration) time.Duration {
		if d == nil {
			return fallback
		}
		return d.Duration
	}
	a := ages{prowJob: orElse(s.MaxProwJobAge, 7*24*time.Hour), pod: orElse(s.MaxPodAge, 24*time.Hour)}
	a.terminatedPod = orElse(s.TerminatedPodTTL, a.pod)
	return a
}

// removal is something that goes, and why.
type removal[T any] struct {
	object *T
	reason string
}

// collectJobs tells which jobs go: the complete ones that started longer ago
// than the age, unless their end is still to be reported. The newest run of
// each configured periodic stays, so that its next run is still decided by it.
func collectJobs(jobs []*jobview.Job, periodics sets.Set[string], a ages, now time.Time) []removal[jobview.Job] {
	newest := map[string]*jobview.Job{}
	for _, j := range jobs {
		if j.Spec.Type != prowv1.PeriodicJob || !periodics.Has(j.Spec.Job) {
			continue
		}
		if best := newest[j.Spec.Job]; best == nil || best.Status.StartTime.Before(&j.Status.StartTime) ||
			best.Status.StartTime.Equal(&j.Status.StartTime) && best.Name < j.Name {
			newest[j.Spec.Job] = j
		}
	}
	var out []removal[jobview.Job]
	for _, j := range jobs {
		if !j.Complete() || now.Sub(j.Status.StartTime.Time) <= a.prowJob || awaitsReport(j, now) {
			continue
		}
		reason := reasonAged
		if j.Spec.Type == prowv1.PeriodicJob {
			if newest[j.Spec.Job] == j {
				continue
			}
			reason = reasonAgedPeriodic
		}
		out = append(out, removal[jobview.Job]{j, reason})
	}
	return out
}

// awaitsReport tells whether a reporter knows a complete job in another state
// and may still come to tell of its end.
func awaitsReport(j *jobview.Job, now time.Time) bool {
	if now.Sub(j.Status.CompletionTime.Time) > reportGrace {
		return false
	}
	for _, reported := range j.Status.PrevReportStates {
		if reported != j.Status.State {
			return true
		}
	}
	return false
}

// podFate is what becomes of a pod.
type podFate struct {
	// reason for which it goes; empty if it stays.
	reason string
	// ask tells that the job must be looked up at the API server before: the pod
	// goes only if there is none.
	ask bool
}

// decidePod tells what becomes of a pod whose job is job, nil where the view
// has none. A job that goes in this pass is still known to it.
func decidePod(pod *corev1.Pod, job *jobview.Job, a ages, now time.Time) podFate {
	switch {
	case job == nil:
		if now.Sub(pod.CreationTimestamp.Time) > orphanAge {
			return podFate{reason: reasonOrphaned, ask: true}
		}
	case !job.Complete():
		// Its controller would only make it again.
	case pod.Status.StartTime != nil && now.Sub(pod.Status.StartTime.Time) > a.pod:
		return podFate{reason: reasonAged}
	case now.Sub(job.Status.CompletionTime.Time) > a.terminatedPod:
		return podFate{reason: reasonTTLed}
	}
	return podFate{}
}

// reported tells whether the end of a job has been recorded in storage, or will
// never be: nothing needs its pod any more.
func reported(state prowv1.ProwJobState, complete bool, prev map[string]prowv1.ProwJobState) bool {
	return complete && prev[finalizingReporter] == state
}

// jobName is the name of the ProwJob that a pod belongs to.
func jobName(pod *corev1.Pod) string {
	if id := pod.Labels[prowv1.ProwJobIDLabel]; id != "" {
		return id
	}
	return pod.Name
}
