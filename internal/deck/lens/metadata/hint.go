package metadata

import (
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"prow/internal/deck/lens/podfile"
)

var mountFailure = regexp.MustCompile(`(?s)^MountVolume\.SetUp failed for volume "([^"]+)" ?: (.+)$`)

// hint concludes from the pod why a run did not get anywhere; the first reason that
// applies counts. Without a reason it is empty.
func hint(info *podfile.Info) []string {
	if info == nil || info.Pod == nil || info.Pod.Status.Phase == corev1.PodSucceeded {
		return nil
	}
	status := &info.Pod.Status
	if why := pullFailure(status); why != "" {
		return []string{why}
	}
	if e := event(info, "FailedMount"); e != nil && status.Phase == corev1.PodPending {
		if m := mountFailure.FindStringSubmatch(e.Message); m != nil {
			return []string{fmt.Sprintf("The pod could not start because the volume %q could not be mounted: %s", m[1], m[2])}
		}
		return []string{"The pod could not start because a volume could not be mounted: " + e.Message}
	}
	if status.Phase == corev1.PodFailed && status.Reason == "MatchNodeSelector" {
		return []string{"The pod could not start because its node did not match its node selector."}
	}
	if e := event(info, "FailedScheduling"); e != nil && status.Phase == corev1.PodPending {
		return []string{"There was no node for the pod: " + e.Message}
	}
	if e := event(info, "FailedCreatePodSandbox", "FailedCreatePodSandBox", "FailedSync"); e != nil {
		return []string{"The node of the pod seems to be unhealthy: " + e.Message}
	}
	return initProblems(status)
}

func pullFailure(status *corev1.PodStatus) string {
	for _, c := range slices.Concat(status.InitContainerStatuses, status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && (w.Reason == "ImagePullBackOff" || w.Reason == "ErrImagePull") {
			return fmt.Sprintf("The container %s could not start because its image %s could not be pulled: %s", c.Name, c.Image, w.Message)
		}
	}
	return ""
}

// event is the newest one with one of these reasons.
func event(info *podfile.Info, reasons ...string) *corev1.Event {
	i := slices.IndexFunc(info.Events, func(e corev1.Event) bool { return slices.Contains(reasons, e.Reason) })
	if i < 0 {
		return nil
	}
	return &info.Events[i]
}

// initProblems has a line for each init container that is not ready.
func initProblems(status *corev1.PodStatus) []string {
	var out []string
	for _, c := range status.InitContainerStatuses {
		if c.Ready {
			continue
		}
		switch s := c.State; {
		case s.Terminated != nil:
			out = append(out, fmt.Sprintf("The init container %s ended: %s", c.Name, because(s.Terminated.Reason, s.Terminated.Message)))
		case s.Waiting != nil:
			out = append(out, fmt.Sprintf("The init container %s waits: %s", c.Name, because(s.Waiting.Reason, s.Waiting.Message)))
		case s.Running != nil:
			out = append(out, fmt.Sprintf("The init container %s still runs.", c.Name))
		}
	}
	return out
}

func because(reason, message string) string {
	switch {
	case reason == "" && message == "":
		return "no reason is known."
	case message == "":
		return reason
	case reason == "":
		return message
	}
	return reason + ": " + message
}
