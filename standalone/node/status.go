package node

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of pods and containers, in the words of a kubelet.
const (
	reasonCompleted         = "Completed"
	reasonError             = "Error"
	reasonOOMKilled         = "OOMKilled"
	reasonPodInitializing   = "PodInitializing"
	reasonContainerCreating = "ContainerCreating"
	reasonCrashLoop         = "CrashLoopBackOff"
	reasonStatusUnknown     = "ContainerStatusUnknown"
	reasonDeadline          = "DeadlineExceeded"
	reasonNodeLost          = "NodeLost"
)

// isSidecar tells whether an init container runs beside the containers.
func isSidecar(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// podPhase is the kubelet's rule: the phase follows from the states of the
// containers and the restart policy.
func podPhase(spec *corev1.PodSpec, init, containers []corev1.ContainerStatus) corev1.PodPhase {
	pendingInit, failedInit := false, false
	for i, s := range init {
		switch {
		case isSidecar(spec.InitContainers[i]):
			if s.Started == nil || !*s.Started {
				pendingInit = pendingInit || s.State.Terminated == nil && s.LastTerminationState.Terminated == nil
			}
		case s.State.Terminated != nil:
			failedInit = failedInit || s.State.Terminated.ExitCode != 0
		case s.LastTerminationState.Terminated != nil && s.State.Running == nil:
			failedInit = failedInit || s.LastTerminationState.Terminated.ExitCode != 0
		default:
			pendingInit = true
		}
	}
	if failedInit && spec.RestartPolicy == corev1.RestartPolicyNever {
		return corev1.PodFailed
	}
	waiting, running, stopped, succeeded := 0, 0, 0, 0
	for _, s := range containers {
		switch {
		case s.State.Running != nil:
			running++
		case s.State.Terminated != nil:
			stopped++
			if s.State.Terminated.ExitCode == 0 {
				succeeded++
			}
		case s.LastTerminationState.Terminated != nil:
			stopped++
		default:
			waiting++
		}
	}
	switch {
	case pendingInit || failedInit || waiting > 0:
		return corev1.PodPending
	case running > 0 || spec.RestartPolicy == corev1.RestartPolicyAlways:
		return corev1.PodRunning
	case stopped == succeeded:
		return corev1.PodSucceeded
	case spec.RestartPolicy == corev1.RestartPolicyNever:
		return corev1.PodFailed
	default: // will be restarted
		return corev1.PodRunning
	}
}

// conditions are the pod's conditions in its present state; times are kept
// where nothing changed.
func conditions(pod *corev1.Pod, old []corev1.PodCondition, volumesReady bool, now metav1.Time) []corev1.PodCondition {
	st := &pod.Status
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	var unfinished []string
	for i, s := range st.InitContainerStatuses {
		done := s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
		if isSidecar(pod.Spec.InitContainers[i]) {
			done = s.Started != nil && *s.Started || s.State.Terminated != nil
		}
		if !done {
			unfinished = append(unfinished, s.Name)
		}
	}
	if len(unfinished) > 0 {
		initialized.Status = corev1.ConditionFalse
		initialized.Reason = "ContainersNotInitialized"
		initialized.Message = fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(unfinished, " "))
	}
	ready := corev1.PodCondition{Status: corev1.ConditionTrue}
	var unready []string
	for _, s := range st.ContainerStatuses {
		if !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	switch {
	case st.Phase == corev1.PodSucceeded:
		ready.Status, ready.Reason = corev1.ConditionFalse, "PodCompleted"
		initialized = corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, Reason: "PodCompleted"}
	case st.Phase == corev1.PodFailed:
		ready.Status, ready.Reason = corev1.ConditionFalse, "PodFailed"
	case len(unready) > 0:
		ready.Status, ready.Reason = corev1.ConditionFalse, "ContainersNotReady"
		ready.Message = fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	podReady, containersReady := ready, ready
	podReady.Type, containersReady.Type = corev1.PodReady, corev1.ContainersReady
	toStart := corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse}
	if volumesReady && !terminal(st.Phase) {
		toStart.Status = corev1.ConditionTrue
	}
	out := []corev1.PodCondition{toStart, initialized, podReady, containersReady,
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	for i := range out {
		out[i].LastTransitionTime = now
		j := slices.IndexFunc(old, func(c corev1.PodCondition) bool { return c.Type == out[i].Type })
		if j >= 0 && old[j].Status == out[i].Status {
			out[i].LastTransitionTime = old[j].LastTransitionTime
		}
	}
	return out
}

// lostStatus is the status of a pod that ran when the program ended.
func lostStatus(pod *corev1.Pod, now metav1.Time) corev1.PodStatus {
	st := *pod.Status.DeepCopy()
	const why = "The program that ran the pod ended, and its containers with it; they were not started again."
	st.Phase, st.Reason, st.Message = corev1.PodFailed, reasonNodeLost, why
	if st.StartTime == nil {
		st.StartTime = &now
	}
	st.InitContainerStatuses = settle(pod.Spec.InitContainers, st.InitContainerStatuses, now, "The container ran when the program ended; how it went is unknown.")
	st.ContainerStatuses = settle(pod.Spec.Containers, st.ContainerStatuses, now, "The container ran when the program ended; how it went is unknown.")
	return st
}

// settle turns every container without a result into a terminated one: nothing
// of a pod that has ended may look as if it still went on.
func settle(specs []corev1.Container, statuses []corev1.ContainerStatus, now metav1.Time, message string) []corev1.ContainerStatus {
	out := make([]corev1.ContainerStatus, 0, len(specs))
	for i, spec := range specs {
		s := corev1.ContainerStatus{Name: spec.Name, Image: spec.Image}
		if i < len(statuses) {
			s = statuses[i]
		}
		if s.State.Terminated == nil {
			t := &corev1.ContainerStateTerminated{ExitCode: 137, Reason: reasonStatusUnknown, Message: message, FinishedAt: now, ContainerID: s.ContainerID}
			if s.State.Running != nil {
				t.StartedAt = s.State.Running.StartedAt
			}
			s.State = corev1.ContainerState{Terminated: t}
		}
		s.Ready, s.Started = false, new(bool)
		out = append(out, s)
	}
	return out
}
