package node

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestThePhaseFollowsFromTheContainers(t *testing.T) {
	waiting := corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	ended := func(code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	again := corev1.ContainerStatus{State: waiting.State, LastTerminationState: ended(1).State}
	yes := true
	side := running
	side.Started = &yes
	always := corev1.ContainerRestartPolicyAlways
	for _, tc := range []struct {
		name     string
		policy   corev1.RestartPolicy
		sidecar  bool
		init, cs []corev1.ContainerStatus
		want     corev1.PodPhase
	}{
		{name: "nothing has started", cs: []corev1.ContainerStatus{waiting}, want: corev1.PodPending},
		{name: "an init container runs", init: []corev1.ContainerStatus{running}, cs: []corev1.ContainerStatus{waiting}, want: corev1.PodPending},
		{name: "an init container has failed", init: []corev1.ContainerStatus{ended(1)}, cs: []corev1.ContainerStatus{waiting}, want: corev1.PodFailed},
		{name: "a failed init container will be restarted", policy: corev1.RestartPolicyOnFailure, init: []corev1.ContainerStatus{ended(1)}, cs: []corev1.ContainerStatus{waiting}, want: corev1.PodPending},
		{name: "init is done, containers wait", init: []corev1.ContainerStatus{ended(0)}, cs: []corev1.ContainerStatus{waiting}, want: corev1.PodPending},
		{name: "one runs, one waits", cs: []corev1.ContainerStatus{running, waiting}, want: corev1.PodPending},
		{name: "one runs, one has ended", cs: []corev1.ContainerStatus{running, ended(1)}, want: corev1.PodRunning},
		{name: "all have succeeded", init: []corev1.ContainerStatus{ended(0)}, cs: []corev1.ContainerStatus{ended(0), ended(0)}, want: corev1.PodSucceeded},
		{name: "one has failed", cs: []corev1.ContainerStatus{ended(0), ended(2)}, want: corev1.PodFailed},
		{name: "a failed one will be restarted", policy: corev1.RestartPolicyOnFailure, cs: []corev1.ContainerStatus{ended(2)}, want: corev1.PodRunning},
		{name: "one waits for its restart", policy: corev1.RestartPolicyAlways, cs: []corev1.ContainerStatus{again}, want: corev1.PodRunning},
		{name: "success is restarted always", policy: corev1.RestartPolicyAlways, cs: []corev1.ContainerStatus{ended(0)}, want: corev1.PodRunning},
		{name: "a side-car that runs does not hold up the pod", sidecar: true, init: []corev1.ContainerStatus{side}, cs: []corev1.ContainerStatus{running}, want: corev1.PodRunning},
		{name: "a side-car that has not started does", sidecar: true, init: []corev1.ContainerStatus{waiting}, cs: []corev1.ContainerStatus{waiting}, want: corev1.PodPending},
		{name: "a side-car's exit code does not count", sidecar: true, init: []corev1.ContainerStatus{ended(143)}, cs: []corev1.ContainerStatus{ended(0)}, want: corev1.PodSucceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := &corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, InitContainers: make([]corev1.Container, len(tc.init))}
			if tc.policy != "" {
				spec.RestartPolicy = tc.policy
			}
			if tc.sidecar {
				spec.InitContainers[0].RestartPolicy = &always
			}
			if got := podPhase(spec, tc.init, tc.cs); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestALostPodKeepsTheResultsItHad(t *testing.T) {
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "done"}, {Name: "ran"}, {Name: "unknown"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "done", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}},
			{Name: "ran", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
		}},
	}
	st := lostStatus(pod, metav1.Now())
	if st.Phase != corev1.PodFailed || st.Reason != "NodeLost" || st.Message == "" {
		t.Errorf("%+v", st)
	}
	for i, want := range []struct {
		code   int32
		reason string
	}{{3, "Error"}, {137, "ContainerStatusUnknown"}, {137, "ContainerStatusUnknown"}} {
		if got := st.ContainerStatuses[i].State.Terminated; got == nil || got.ExitCode != want.code || got.Reason != want.reason {
			t.Errorf("container %d: %+v", i, got)
		}
	}
}

func TestHostPathsAreAllowedByWholeNames(t *testing.T) {
	for _, tc := range []struct {
		path string
		want bool
	}{{"/a", true}, {"/a/b", true}, {"/ab", false}, {"/", false}, {"/a/../b", false}, {"/a/./b/", true}} {
		if got := hostPathAllowed(tc.path, []string{"/a"}); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.path, got, tc.want)
		}
	}
	if !hostPathAllowed("/x", []string{"/"}) {
		t.Error("/ allows everything")
	}
}
