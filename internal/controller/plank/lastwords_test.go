package plank

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAFailedCloneIsInTheDescription(t *testing.T) {
	const start = "The code of the job could not be cloned (init container initupload ended with exit code 1)"
	for sentence, c := range map[string]struct{ container, message, want string }{
		"initupload tells why":             {"initupload", "cloning the code of the job failed: o/r: merge conflict: x", start + ": o/r: merge conflict: x."},
		"initupload left nothing but logs": {"initupload", `{"msg":"cloning the code of the job failed: secret"}`, start + "."},
		"the user's own init container":    {"setup", "cloning the code of the job failed: secret", "Job failed: init container setup ended with exit code 1."},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{
			Name: c.container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: c.message}},
		}}}}
		if got := failed(pod).sentence; got != c.want {
			t.Errorf("%s: %q, want %q", sentence, got, c.want)
		}
	}
}
