package plank

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	prowv1 "prow/api/prowjobs/v1"
)

// revivedAnnotation holds, on a job, the build ID of the last run whose pod was
// counted as lost, so that a run is counted once however often it is looked at.
const revivedAnnotation = "prow.k8s.io/revived-build-id"

const (
	// limitRetry is when a job is looked at again that a limit kept from starting.
	limitRetry = 10 * time.Second
	// goneRetry is when a job is looked at again whose lost pod is on its way out;
	// usually the event of its end comes first.
	goneRetry = 5 * time.Second
	// schedulingPatience is how long a new pod may be without a node before that is
	// told: clusters that grow on demand need a moment, and telling is a write.
	schedulingPatience = 10 * time.Second
)

// startedDescription is what a code host shows while the job runs.
const startedDescription = "Job triggered."

// action is what happens to the pod.
type action int

const (
	leavePod action = iota
	// startPod makes the pod, or adopts the one that exists.
	startPod
	deletePod
	// countPod writes down that the run lost its pod; another look then replaces it.
	countPod
)

func (a action) String() string {
	return [...]string{"leave", "start", "delete", "count"}[a]
}

// Timeouts bound the phases of a pod.
type Timeouts struct {
	Unscheduled, Pending, Running time.Duration
}

// rules are what the configuration has to say about a job.
type rules struct {
	timeouts Timeouts
	// maxRevivals is how often a lost pod is made again.
	maxRevivals int
}

// decision says what follows from a job and its pod.
type decision struct {
	// reason and sentence go into the job's status. A decision that neither ends
	// nor starts a job tells with them what the job waits for; empty is nothing.
	reason   prowv1.Reason
	sentence string
	// state is the new state; empty keeps the old one.
	state    prowv1.ProwJobState
	complete bool
	pod      action
	// after is when to look again even if nothing happens; 0 is never.
	after time.Duration
}

// acts tells whether the decision changes more than what the job waits for.
func (d decision) acts() bool { return d.complete || d.pod != leavePod }

func ended(state prowv1.ProwJobState, reason prowv1.Reason, format string, args ...any) decision {
	return decision{reason: reason, state: state, complete: true, sentence: fmt.Sprintf(format, args...)}
}

func (d decision) removing() decision {
	d.pod = deletePod
	return d
}

// decide is the state machine: it tells what follows from a job and its pod, nil
// for none. It is total: whatever they look like, the decision is coherent.
// Whether a limit lets a triggered job start is not decided here, see ledger.
func decide(job *prowv1.ProwJob, pod *corev1.Pod, r rules, now time.Time) decision {
	if job.Complete() {
		return decision{}
	}
	switch job.Status.State {
	case prowv1.TriggeredState:
		return decision{pod: startPod}
	case prowv1.AbortedState:
		return decision{complete: true, pod: deletePod, reason: abortedReason(job)}
	case prowv1.PendingState:
		return pending(job, pod, r, now)
	}
	return decision{}
}

// abortedReason keeps the more telling one.
func abortedReason(job *prowv1.ProwJob) prowv1.Reason {
	if job.Status.Reason == prowv1.ReasonSuperseded {
		return prowv1.ReasonSuperseded
	}
	return prowv1.ReasonAborted
}

func pending(job *prowv1.ProwJob, pod *corev1.Pod, r rules, now time.Time) decision {
	if pod == nil {
		if counted(job) {
			return decision{pod: startPod}
		}
		return lost(job, loss{reason: prowv1.ReasonPodVanished, cause: "is gone without a trace"}, r)
	}
	if id := podBuildID(pod); id != "" && id != job.Status.BuildID {
		// The pod was made, but the write that tells so was lost.
		return decision{pod: startPod}
	}
	if counted(job) {
		if pod.DeletionTimestamp != nil {
			return decision{after: goneRetry}
		}
		return decision{pod: deletePod, after: goneRetry}
	}
	if l, ok := lossOf(pod); ok {
		return lost(job, l, r)
	}
	if container := oomKilled(pod); container != "" && (pod.Status.Phase == corev1.PodRunning || pod.Status.Phase == corev1.PodFailed) {
		return ended(prowv1.ErrorState, prowv1.ReasonOOMKilled, "Container %s was killed because it ran out of memory.", container)
	}
	if pod.Status.Phase == corev1.PodUnknown {
		return lost(job, loss{reason: prowv1.ReasonPodUnknown, cause: "is in an unknown state"}, r)
	}
	d := byPhase(pod, r.timeouts, now)
	if !d.complete && pod.DeletionTimestamp != nil {
		if goneNow(pod) {
			// What is left is the event of its end; it is made again then.
			return decision{after: goneRetry}
		}
		return ended(prowv1.ErrorState, prowv1.ReasonPodDeleted, "The pod was deleted unexpectedly.")
	}
	return d
}

// buildIDMark is what revivedAnnotation holds for the current run.
func buildIDMark(job *prowv1.ProwJob) string {
	if job.Status.BuildID == "" {
		return "none"
	}
	return job.Status.BuildID
}

// counted tells whether the loss of the current run's pod is written down.
func counted(job *prowv1.ProwJob) bool {
	return job.Annotations[revivedAnnotation] == buildIDMark(job)
}

// lost tells what follows where a pod was stopped from outside.
func lost(job *prowv1.ProwJob, l loss, r rules) decision {
	switch n := job.Status.PodRevivalCount; {
	case l.disruption && job.Spec.ErrorOnEviction:
		return ended(prowv1.ErrorState, l.reason, "The pod %s, and the job asks not to be started again.", l.cause)
	case n >= r.maxRevivals:
		return ended(prowv1.ErrorState, l.reason, "The pod %s, after it had been made again %d times.", l.cause, n)
	default:
		return decision{reason: l.reason, pod: countPod, sentence: fmt.Sprintf("The pod %s; it is made again (%d of at most %d times).", l.cause, n+1, r.maxRevivals)}
	}
}

func byPhase(pod *corev1.Pod, t Timeouts, now time.Time) decision {
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		if name := unfinishedContainer(pod); name != "" {
			return ended(prowv1.ErrorState, prowv1.ReasonContainersUnfinished, "The pod succeeded, but container %s did not finish with exit code 0.", name)
		}
		return ended(prowv1.SuccessState, prowv1.ReasonSucceeded, "Job succeeded.")
	case corev1.PodFailed:
		return failed(pod)
	case corev1.PodPending:
		if pod.DeletionTimestamp != nil {
			return decision{}
		}
		reason, why := waitsFor(pod)
		if pod.Status.StartTime == nil {
			age := now.Sub(pod.CreationTimestamp.Time)
			if age >= t.Unscheduled {
				return ended(prowv1.ErrorState, orElse(reason, prowv1.ReasonSchedulingTimeout),
					"Scheduling timeout: no node took the pod within %s%s.", t.Unscheduled, inBrackets(why)).removing()
			}
			if reason != "" && age < schedulingPatience {
				return decision{after: min(schedulingPatience, t.Unscheduled) - age}
			}
			return decision{reason: reason, sentence: why, after: t.Unscheduled - age}
		}
		age := now.Sub(pod.Status.StartTime.Time)
		if age >= t.Pending {
			return ended(prowv1.ErrorState, orElse(reason, prowv1.ReasonPendingTimeout),
				"Pending timeout: the pod did not start within %s%s.", t.Pending, inBrackets(why)).removing()
		}
		return decision{reason: reason, sentence: why, after: t.Pending - age}
	case corev1.PodRunning:
		if pod.DeletionTimestamp != nil {
			return decision{}
		}
		since := pod.CreationTimestamp.Time
		if pod.Status.StartTime != nil {
			since = pod.Status.StartTime.Time
		}
		age := now.Sub(since)
		if age >= t.Running {
			return ended(prowv1.AbortedState, prowv1.ReasonRunningTimeout, "Running timeout: the pod ran longer than %s.", t.Running).removing()
		}
		reason, why := waitsFor(pod)
		return decision{reason: reason, sentence: why, after: t.Running - age}
	}
	return decision{}
}

func orElse(reason, other prowv1.Reason) prowv1.Reason {
	if reason == "" {
		return other
	}
	return reason
}

func inBrackets(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}
