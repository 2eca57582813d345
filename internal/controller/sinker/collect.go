package sinker

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	prowv1 "prow/api/prowjobs/v1"
)

// Reasons for which something goes; they are values of the metrics' label reason.
const (
	reasonAged         = "aged"
	reasonAgedPeriodic = "aged-periodic"
	reasonTTLed        = "ttled"
	reasonOrphaned     = "orphaned"
)

// orphanAge is how old a pod must be before it counts as orphaned: the cache of
// jobs may lag behind the creation of a job and its pod.
const orphanAge = 30 * time.Second

// ages are the configured ages at which things go.
type ages struct {
	prowJob, pod, terminatedPod time.Duration
}

// removal is something that goes, and why.
type removal[T any] struct {
	object *T
	reason string
}

// collectJobs tells which jobs go: the complete ones that started longer ago
// than the age. The newest run of each configured periodic stays, so that its
// next run is still decided by it.
func collectJobs(jobs []prowv1.ProwJob, periodics sets.Set[string], a ages, now time.Time) []removal[prowv1.ProwJob] {
	newest := map[string]*prowv1.ProwJob{}
	for i := range jobs {
		j := &jobs[i]
		if j.Spec.Type != prowv1.PeriodicJob || !periodics.Has(j.Spec.Job) {
			continue
		}
		if best := newest[j.Spec.Job]; best == nil || best.Status.StartTime.Before(&j.Status.StartTime) {
			newest[j.Spec.Job] = j
		}
	}
	var out []removal[prowv1.ProwJob]
	for i := range jobs {
		j := &jobs[i]
		if !j.Complete() || now.Sub(j.Status.StartTime.Time) <= a.prowJob {
			continue
		}
		reason := reasonAged
		if j.Spec.Type == prowv1.PeriodicJob {
			if newest[j.Spec.Job] == j {
				continue
			}
			reason = reasonAgedPeriodic
		}
		out = append(out, removal[prowv1.ProwJob]{j, reason})
	}
	return out
}

// collectPods tells which pods go. jobs are all jobs by name, those that go in
// this pass included. A pod whose job is unknown is only proposed as orphaned:
// the caller asks the API server once more.
func collectPods(pods []corev1.Pod, jobs map[string]*prowv1.ProwJob, a ages, now time.Time) []removal[corev1.Pod] {
	var out []removal[corev1.Pod]
	for i := range pods {
		pod := &pods[i]
		job := jobs[jobName(pod)]
		switch {
		case job == nil:
			if now.Sub(pod.CreationTimestamp.Time) > orphanAge {
				out = append(out, removal[corev1.Pod]{pod, reasonOrphaned})
			}
		case !job.Complete():
		case pod.Status.StartTime != nil && now.Sub(pod.Status.StartTime.Time) > a.pod:
			out = append(out, removal[corev1.Pod]{pod, reasonAged})
		case now.Sub(job.Status.CompletionTime.Time) > a.terminatedPod:
			out = append(out, removal[corev1.Pod]{pod, reasonTTLed})
		}
	}
	return out
}

// jobName is the name of the ProwJob that a pod belongs to.
func jobName(pod *corev1.Pod) string {
	if id := pod.Labels[prowv1.ProwJobIDLabel]; id != "" {
		return id
	}
	return pod.Name
}
