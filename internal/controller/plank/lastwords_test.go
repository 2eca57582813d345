package plank

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAFailedCloneIsInTheDescription(t *testing.T) {
	for sentence, c := range map[string]struct{ container, message, want string }{
		"initupload tells why":             {"initupload", "cloning the code of the job failed: o/r: merge conflict: x", ": init container initupload ended with exit code 1: cloning the code of the job failed: o/r: merge conflict: x"},
		"initupload left nothing but logs": {"initupload", `{"component":"initupload"}`, ": init container initupload ended with exit code 1"},
		"the user's own init container":    {"setup", "secret", ": init container setup ended with exit code 1"},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{
			Name: c.container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: c.message}},
		}}}}
		if got := failedBecause(pod); got != c.want {
			t.Errorf("%s: %q, want %q", sentence, got, c.want)
		}
	}
}
