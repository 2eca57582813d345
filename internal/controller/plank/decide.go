package plank

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	prowv1 "prow/api/prowjobs/v1"
)

// reporterFinalizer holds a pod until its end has been recorded in storage.
const reporterFinalizer = "prow.x-k8s.io/gcsk8sreporter"

// revivedPodAnnotation names, on a job, the last pod that was counted as stopped
// from outside, so that a pod is counted once however often it is looked at.
const revivedPodAnnotation = "prow.k8s.io/revived-pod"

// Reasons of a pod's status that the kubelet or this project's own node sets.
const (
	reasonEvicted   = "Evicted"
	reasonNodeLost  = "NodeLost"
	reasonOOMKilled = "OOMKilled"
)

// action is what happens to the pod.
type action int

const (
	// The zero action leaves the pod alone.
	_ action = iota
	// createPod makes the pod, or adopts the one that exists.
	createPod
	deletePod
	// revivePod removes the pod so that the next look makes a new one.
	revivePod
)

// Code says in one word why a job is where it is.
type Code string

// The codes of decisions.
const (
	CodeNothing          Code = ""
	CodeStarted          Code = "Started"
	CodeWaiting          Code = "Waiting"
	CodeSucceeded        Code = "Succeeded"
	CodeFailed           Code = "Failed"
	CodeAborted          Code = "Aborted"
	CodeUnfinished       Code = "ContainersUnfinished"
	CodeOOMKilled        Code = "OOMKilled"
	CodeEvicted          Code = "Evicted"
	CodeLost             Code = "NodeLost"
	CodeRevived          Code = "Revived"
	CodeTooManyRevivals  Code = "TooManyRevivals"
	CodeUnscheduled      Code = "SchedulingTimeout"
	CodePendingTimeout   Code = "PendingTimeout"
	CodeRunningTimeout   Code = "RunningTimeout"
	CodePodDeleted       Code = "PodDeleted"
	CodePodMissing       Code = "PodMissing"
	CodePodRefused       Code = "PodRefused"
	CodeUnknownCluster   Code = "UnknownCluster"
	CodeDuplicateAborted Code = "Superseded"
)

// Timeouts bound the phases of a pod.
type Timeouts struct {
	Unscheduled, Pending, Running time.Duration
}

// decision says what follows from a job and its pod.
type decision struct {
	code        Code
	description string
	// state is the new state; empty keeps the old one.
	state    prowv1.ProwJobState
	complete bool
	pod      action
	// after is when to look again even if nothing happens; 0 is never.
	after time.Duration
}

func ended(code Code, state prowv1.ProwJobState, format string, args ...any) decision {
	return decision{code: code, state: state, complete: true, description: fmt.Sprintf(format, args...)}
}

func (d decision) removing() decision {
	d.pod = deletePod
	return d
}

// decide says what follows for an incomplete job. pod is nil where there is none.
// A triggered job without a pod is not decided here: whether it may start depends
// on other jobs, see mayStart.
func decide(job *prowv1.ProwJob, pod *corev1.Pod, t Timeouts, maxRevivals int, now time.Time) decision {
	switch job.Status.State {
	case prowv1.TriggeredState:
		return decision{code: CodeStarted, pod: createPod}
	case prowv1.AbortedState:
		return decision{code: CodeAborted, complete: true, pod: deletePod}
	case prowv1.PendingState:
		if pod == nil {
			return decision{code: CodePodMissing, pod: createPod}
		}
		if d, stopped := unexpectedStop(job, pod, maxRevivals); stopped {
			return d
		}
		d := byPhase(pod, t, now)
		if !d.complete && pod.DeletionTimestamp != nil {
			return ended(CodePodDeleted, prowv1.ErrorState, "The pod was deleted unexpectedly.")
		}
		return d
	}
	return decision{}
}

// unexpectedStop tells what follows where a pod was stopped from outside.
func unexpectedStop(job *prowv1.ProwJob, pod *corev1.Pod, maxRevivals int) (decision, bool) {
	var cause string
	switch {
	case pod.Status.Reason == reasonEvicted:
		if job.Spec.ErrorOnEviction {
			return ended(CodeEvicted, prowv1.ErrorState, "The pod was evicted: %s", orUnsaid(pod.Status.Message)), true
		}
		cause = "evicted"
	case pod.Status.Reason == reasonNodeLost && pod.DeletionTimestamp != nil:
		cause = "unreachable"
	case pod.Status.Phase == corev1.PodRunning && oomKilled(pod) != "":
		return ended(CodeOOMKilled, prowv1.ErrorState, "Container %s was killed because it ran out of memory.", oomKilled(pod)), true
	case pod.Status.Phase == corev1.PodUnknown:
		cause = "unknown"
	default:
		return decision{}, false
	}
	if job.Annotations[revivedPodAnnotation] == string(pod.UID) && pod.UID != "" {
		return decision{code: CodeRevived, pod: revivePod}, true
	}
	if job.Status.PodRevivalCount >= maxRevivals {
		return ended(CodeTooManyRevivals, prowv1.ErrorState, "The pod was stopped %d times, last because it was %s.", job.Status.PodRevivalCount+1, cause), true
	}
	return decision{code: CodeRevived, pod: revivePod}, true
}

func byPhase(pod *corev1.Pod, t Timeouts, now time.Time) decision {
	switch pod.Status.Phase {
	case corev1.PodSucceeded:
		if name := unfinishedContainer(pod); name != "" {
			return ended(CodeUnfinished, prowv1.ErrorState, "The pod succeeded, but container %s did not finish with exit code 0.", name)
		}
		return ended(CodeSucceeded, prowv1.SuccessState, "Job succeeded.")
	case corev1.PodFailed:
		if pod.Status.Reason == reasonNodeLost {
			// The node came back without the pod: the job has no verdict.
			return ended(CodeLost, prowv1.ErrorState, "The node stopped while the job ran: %s", orUnsaid(pod.Status.Message))
		}
		return ended(CodeFailed, prowv1.FailureState, "Job failed%s.", failedBecause(pod))
	case corev1.PodPending:
		if pod.DeletionTimestamp != nil {
			return decision{}
		}
		if pod.Status.StartTime == nil {
			return waiting(now.Sub(pod.CreationTimestamp.Time), t.Unscheduled,
				ended(CodeUnscheduled, prowv1.ErrorState, "Scheduling timeout: no node took the pod within %s%s.", t.Unscheduled, pendingBecause(pod)).removing())
		}
		return waiting(now.Sub(pod.Status.StartTime.Time), t.Pending,
			ended(CodePendingTimeout, prowv1.ErrorState, "Pending timeout: the pod did not start within %s%s.", t.Pending, pendingBecause(pod)).removing())
	case corev1.PodRunning:
		if pod.DeletionTimestamp != nil || pod.Status.StartTime == nil {
			return decision{}
		}
		return waiting(now.Sub(pod.Status.StartTime.Time), t.Running,
			ended(CodeRunningTimeout, prowv1.AbortedState, "Running timeout: the pod ran longer than %s.", t.Running).removing())
	}
	return decision{}
}

// waiting is late once limit has passed, and otherwise asks to look again then.
func waiting(passed, limit time.Duration, late decision) decision {
	if passed >= limit {
		return late
	}
	return decision{code: CodeWaiting, after: limit - passed}
}

// containerStatuses are those of init containers and containers.
func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
}

func oomKilled(pod *corev1.Pod) (container string) {
	for _, c := range containerStatuses(pod) {
		if c.State.Terminated != nil && c.State.Terminated.Reason == reasonOOMKilled {
			return c.Name
		}
	}
	return ""
}

// unfinishedContainer names a container of a succeeded pod that did not end well.
func unfinishedContainer(pod *corev1.Pod) string {
	for _, c := range containerStatuses(pod) {
		if t := c.State.Terminated; t == nil || t.ExitCode != 0 || t.FinishedAt.IsZero() {
			return c.Name
		}
	}
	return ""
}

// failedBecause adds what the pod tells beyond "the test ended with an error".
func failedBecause(pod *corev1.Pod) string {
	if pod.Status.Reason != "" {
		return fmt.Sprintf(" (%s: %s)", pod.Status.Reason, orUnsaid(pod.Status.Message))
	}
	for _, c := range pod.Status.InitContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf(": init container %s ended with exit code %d%s", c.Name, t.ExitCode, lastWords(c.Name, t.Message))
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
			return fmt.Sprintf(": container %s: %s", c.Name, t.Reason)
		}
	}
	return ""
}

// lastWords is what initupload says about code that could not be cloned. What
// Kubernetes reports of other containers is the end of their logs, which belongs
// on no dashboard.
func lastWords(container, message string) string {
	if container != "initupload" || message == "" || strings.HasPrefix(message, "{") || strings.Contains(message, "\n") {
		return ""
	}
	return ": " + message
}

// pendingBecause tells what a pod waits for.
func pendingBecause(pod *corev1.Pod) string {
	for _, c := range containerStatuses(pod) {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			return fmt.Sprintf(" (container %s: %s: %s)", c.Name, w.Reason, orUnsaid(w.Message))
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return fmt.Sprintf(" (%s: %s)", c.Reason, orUnsaid(c.Message))
		}
	}
	return ""
}

func orUnsaid(message string) string {
	if message == "" {
		return "no reason was given"
	}
	return message
}
