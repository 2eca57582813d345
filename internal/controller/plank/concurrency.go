package plank

import (
	"fmt"

	prowv1 "prow/api/prowjobs/v1"
)

// limits are the configured bounds on how many jobs run at once.
type limits struct {
	// global is plank.max_concurrency; 0 is no limit.
	global int
	// queues are plank.job_queue_capacities: 0 blocks, a negative number is no limit.
	queues map[string]int
}

// mayStart tells whether a triggered job may get a pod among the active
// (pending or triggered) jobs of its agent. Three limits must all allow it:
// the global one, the job's own, and that of its queue. Older jobs go first.
func mayStart(job *prowv1.ProwJob, active []prowv1.ProwJob, l limits) (ok bool, why string, err error) {
	if l.global > 0 {
		pending := 0
		for i := range active {
			if active[i].Status.State == prowv1.PendingState {
				pending++
			}
		}
		if pending >= l.global {
			return false, fmt.Sprintf("%d jobs are running, the limit of all jobs is %d", pending, l.global), nil
		}
	}
	if limit := job.Spec.MaxConcurrency; limit > 0 {
		n := ahead(job, active, func(other *prowv1.ProwJob) bool { return other.Spec.Job == job.Spec.Job })
		if n >= limit {
			return false, fmt.Sprintf("%d runs of this job are ahead, its max_concurrency is %d", n, limit), nil
		}
	}
	if queue := job.Spec.JobQueueName; queue != "" {
		limit, known := l.queues[queue]
		if !known {
			return false, "", fmt.Errorf("job queue %q is not in plank.job_queue_capacities", queue)
		}
		n := ahead(job, active, func(other *prowv1.ProwJob) bool { return other.Spec.JobQueueName == queue })
		if limit >= 0 && n >= limit {
			return false, fmt.Sprintf("%d jobs of queue %s are ahead, its capacity is %d", n, queue, limit), nil
		}
	}
	return true, "", nil
}

// ahead counts other jobs that are pending, or triggered and strictly older.
func ahead(job *prowv1.ProwJob, active []prowv1.ProwJob, same func(*prowv1.ProwJob) bool) int {
	n := 0
	for i := range active {
		other := &active[i]
		if other.UID == job.UID || !same(other) {
			continue
		}
		if other.Status.State == prowv1.PendingState || other.Status.State == prowv1.TriggeredState && other.CreationTimestamp.Before(&job.CreationTimestamp) {
			n++
		}
	}
	return n
}
