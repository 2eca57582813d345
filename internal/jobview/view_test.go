package jobview_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/jobview"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatal("not within 20 s: " + what)
		case <-tick.C:
		}
	}
}

func TestTheViewHasWhatIsDecidedByAndNothingElse(t *testing.T) {
	cluster := kubetest.Start(t)
	ns := cluster.Namespace(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	start := metav1.NewTime(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	end := metav1.NewTime(start.Add(time.Minute))
	job := &prowv1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "one", Labels: map[string]string{"kind": "mine", prowv1.RerunAttemptLabel: "2"}, Annotations: map[string]string{"long": "text"}},
		Spec: prowv1.ProwJobSpec{Type: prowv1.PeriodicJob, Job: "nightly", Agent: prowv1.KubernetesAgent,
			PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "i"}}}},
		Status: prowv1.ProwJobStatus{State: prowv1.FailureState, StartTime: start, CompletionTime: &end, PrevReportStates: map[string]prowv1.ProwJobState{"r": prowv1.PendingState}},
	}
	other := job.DeepCopy()
	other.Name, other.Labels = "other", nil
	for _, j := range []*prowv1.ProwJob{job, other} {
		if err := c.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	view, err := jobview.New(cluster.Config, ns, "kind=mine")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = view.Run(t.Context()) }()
	if err := view.WaitForSync(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	want := &jobview.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "one", UID: job.UID, ResourceVersion: job.ResourceVersion, CreationTimestamp: job.CreationTimestamp,
			Labels: map[string]string{prowv1.RerunAttemptLabel: "2"}},
		Spec:   jobview.Spec{Type: prowv1.PeriodicJob, Job: "nightly"},
		Status: jobview.Status{State: prowv1.FailureState, StartTime: start, CompletionTime: &end, PrevReportStates: map[string]prowv1.ProwJobState{"r": prowv1.PendingState}},
	}
	if diff := cmp.Diff([]*jobview.Job{want}, view.Jobs()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	// It follows changes.
	before := job.DeepCopy()
	job.Status.PrevReportStates["r"] = prowv1.FailureState
	if err := c.Patch(t.Context(), job, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is seen", func() bool {
		return slices.ContainsFunc(view.Jobs(), func(j *jobview.Job) bool {
			return j.Status.PrevReportStates["r"] == prowv1.FailureState && len(j.Annotations) == 0
		})
	})
	if err := c.Delete(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion is seen", func() bool { return len(view.Jobs()) == 0 })
}

func TestAViewThatCannotBeFilledSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	view, err := jobview.New(&rest.Config{Host: "http://127.0.0.1:1"}, "ns", "")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = view.Run(ctx) }()
	if err := view.WaitForSync(ctx, 50*time.Millisecond); !errors.Is(err, jobview.ErrNotSynced) {
		t.Errorf("got %v, want ErrNotSynced", err)
	}
}
