package plank

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/pod"
)

// Reasons of a pod's status that the kubelet, the pod collector or this
// project's own node sets.
const (
	podEvicted          = "Evicted"
	podNodeLost         = "NodeLost"
	podDeadlineExceeded = "DeadlineExceeded"
	containerOOMKilled  = "OOMKilled"
)

var (
	// shutdownReasons are those of pods that a node ended because it shuts down; the
	// kubelet has changed its word several times.
	shutdownReasons = []string{"Terminated", "NodeShutdown", "Shutdown"}
	preemptReasons  = []string{"Preempting", "Preempted"}
	// refusalReasons are those of pods that a node did not admit: they never ran.
	refusalReasons = []string{"NodeAffinity", "NodeName", "NodePorts", "UnexpectedAdmissionError", "TopologyAffinityError", "TaintToleration"}
	// imageReasons are those of containers whose image cannot be had.
	imageReasons = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
	// containerReasons are those of containers that cannot be made of their specification.
	containerReasons = []string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"}
)

// loss tells why a pod ended without a verdict about the test.
type loss struct {
	reason prowv1.Reason
	// cause completes "The pod ...".
	cause string
	// disruption: error_on_eviction keeps such a job from being started again.
	disruption bool
}

// lossOf tells whether a pod was stopped by its cluster rather than by its test.
// A pod in the phase Unknown, and one out of memory, are judged elsewhere.
func lossOf(pod *corev1.Pod) (loss, bool) {
	reason := pod.Status.Reason
	switch {
	case reason == podEvicted:
		return loss{prowv1.ReasonEvicted, "was evicted" + because(pod.Status.Message), true}, true
	case reason == podNodeLost && pod.DeletionTimestamp != nil:
		return loss{prowv1.ReasonNodeLost, "was on a node that is unreachable", false}, true
	case pod.Status.Phase != corev1.PodFailed && (pod.DeletionTimestamp == nil || pod.Status.Phase == corev1.PodSucceeded):
		return loss{}, false
	}
	if c := condition(pod, corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		switch c.Reason {
		case corev1.PodReasonPreemptionByScheduler:
			return loss{prowv1.ReasonPreempted, "made way for one of a higher priority" + because(c.Message), true}, true
		case "DeletionByTaintManager", "DeletionByPodGC":
			return loss{prowv1.ReasonNodeLost, "was removed with its node" + because(c.Message), true}, true
		case corev1.PodReasonTerminationByKubelet:
			if slices.Contains(shutdownReasons, reason) {
				break
			}
			return loss{prowv1.ReasonEvicted, "was stopped by its node" + because(c.Message), true}, true
		default:
			return loss{prowv1.ReasonEvicted, "was evicted" + because(c.Message), true}, true
		}
	}
	switch {
	case pod.Status.Phase != corev1.PodFailed:
		return loss{}, false
	case slices.Contains(shutdownReasons, reason):
		return loss{prowv1.ReasonNodeShutdown, "was on a node that was shut down" + because(pod.Status.Message), true}, true
	case slices.Contains(preemptReasons, reason):
		return loss{prowv1.ReasonPreempted, "made way for one of a higher priority" + because(pod.Status.Message), true}, true
	case slices.Contains(refusalReasons, reason) || strings.HasPrefix(reason, "OutOf") || strings.HasPrefix(reason, "Outof"):
		return loss{prowv1.ReasonNodeRefused, "was not admitted by its node (" + reason + ")" + because(pod.Status.Message), true}, true
	}
	return loss{}, false
}

// failed judges a pod in the phase Failed that was neither lost nor out of memory.
func failed(p *corev1.Pod) decision {
	switch p.Status.Reason {
	case podNodeLost:
		// The node came back without the pod: the job has no verdict.
		return ended(prowv1.ErrorState, prowv1.ReasonNodeLost, "The node stopped while the job ran: %s", orUnsaid(p.Status.Message))
	case podDeadlineExceeded:
		return ended(prowv1.FailureState, prowv1.ReasonDeadlineExceeded, "The pod outlived its own deadline: %s", orUnsaid(p.Status.Message))
	}
	for _, c := range p.Status.InitContainerStatuses {
		t := c.State.Terminated
		switch {
		case t == nil || t.ExitCode == 0:
		case c.Name == pod.CloneRefsContainer, c.Name == pod.InitUploadContainer && strings.Contains(t.Message, "cloning the code"):
			return ended(prowv1.FailureState, prowv1.ReasonCloneFailed, "The code of the job could not be cloned (init container %s ended with exit code %d)%s.", c.Name, t.ExitCode, whyNotCloned(t.Message))
		default:
			return ended(prowv1.FailureState, prowv1.ReasonInitContainerFailed, "Job failed: init container %s ended with exit code %d.", c.Name, t.ExitCode)
		}
	}
	if p.Status.Reason != "" {
		return ended(prowv1.FailureState, prowv1.ReasonTestFailed, "Job failed (%s: %s).", p.Status.Reason, orUnsaid(p.Status.Message))
	}
	bad := ""
	var why string
	for _, c := range p.Status.ContainerStatuses {
		t := c.State.Terminated
		if t == nil || t.ExitCode == 0 {
			continue
		}
		if bad == "" || bad == pod.SidecarContainer {
			bad = c.Name
		}
		if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" && why == "" {
			why = fmt.Sprintf(": container %s: %s", c.Name, t.Reason)
		}
	}
	if bad == pod.SidecarContainer && len(p.Status.ContainerStatuses) > 1 {
		return ended(prowv1.FailureState, prowv1.ReasonSidecarFailed, "Job failed: its results could not be stored completely (container %s).", bad)
	}
	return ended(prowv1.FailureState, prowv1.ReasonTestFailed, "Job failed%s.", why)
}

// whyNotCloned is what initupload says in one line about code that could not be
// cloned. What Kubernetes reports of other containers is the end of their logs,
// which belongs on no dashboard.
func whyNotCloned(message string) string {
	why, told := strings.CutPrefix(message, "cloning the code of the job failed: ")
	if !told || strings.Contains(why, "\n") {
		return ""
	}
	return ": " + why
}

// waitsFor tells what keeps a pod from going on; nothing for the usual course.
func waitsFor(pod *corev1.Pod) (prowv1.Reason, string) {
	for _, c := range containerStatuses(pod) {
		w := c.State.Waiting
		switch {
		case w == nil:
		case slices.Contains(imageReasons, w.Reason):
			return prowv1.ReasonImagePullFailed, fmt.Sprintf("container %s: %s: %s", c.Name, w.Reason, orUnsaid(w.Message))
		case slices.Contains(containerReasons, w.Reason):
			return prowv1.ReasonContainerConfigFailed, fmt.Sprintf("container %s: %s: %s", c.Name, w.Reason, orUnsaid(w.Message))
		}
	}
	if c := condition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return prowv1.ReasonUnschedulable, fmt.Sprintf("%s: %s", c.Reason, orUnsaid(c.Message))
	}
	return "", ""
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// containerStatuses are those of init containers and containers.
func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

func oomKilled(pod *corev1.Pod) (container string) {
	for _, c := range containerStatuses(pod) {
		if c.State.Terminated != nil && c.State.Terminated.Reason == containerOOMKilled {
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

// goneNow tells of a pod that is deleted without any grace, which nothing holds.
func goneNow(pod *corev1.Pod) bool {
	grace := pod.DeletionGracePeriodSeconds
	return pod.DeletionTimestamp != nil && grace != nil && *grace == 0 && len(pod.Finalizers) == 0
}

// podBuildID is the build ID that a pod was made with; empty where it tells none.
func podBuildID(pod *corev1.Pod) string {
	if id := pod.Labels[prowv1.BuildIDLabel]; id != "" {
		return id
	}
	if len(pod.Spec.Containers) > 0 {
		for _, env := range pod.Spec.Containers[0].Env {
			if env.Name == "BUILD_ID" {
				return env.Value
			}
		}
	}
	return ""
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return " (" + strings.TrimRight(message, ". \n") + ")"
}

func orUnsaid(message string) string {
	if message == "" {
		return "no reason was given"
	}
	return message
}
