package node

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/pod"
)

// FuzzTitlesReachTheTestUnchanged runs the variables of built pods through
// Kubernetes' own expansion: what the author of a pull request writes arrives
// at the test byte by byte, and reveals no other variable.
func FuzzTitlesReachTheTestUnchanged(f *testing.F) {
	for _, title := range []string{"plain", "$(JOB_SPEC)", "$$(BUILD_ID)", "$(", "$$", "$", "$é", "$$$(X)$(BUILD_ID)$", "costs $5"} {
		f.Add(title)
	}
	f.Fuzz(func(t *testing.T, title string) {
		built, err := pod.Build(&prowv1.ProwJob{
			ObjectMeta: metav1.ObjectMeta{Name: "id"}, Status: prowv1.ProwJobStatus{BuildID: "secret"},
			Spec: prowv1.ProwJobSpec{
				Type: prowv1.PresubmitJob, Job: "j", Refs: &prowv1.Refs{Org: "o", Repo: "r", Pulls: []prowv1.Pull{{Number: 1, Title: title}}},
				PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Image: "i"}}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		env := environment{values: map[string]string{}}
		for _, v := range built.Spec.Containers[0].Env {
			env.set(v.Name, env.expand(v.Value))
		}
		if got := env.values["PULL_TITLE"]; got != title {
			t.Errorf("%q became %q", title, got)
		}
	})
}
