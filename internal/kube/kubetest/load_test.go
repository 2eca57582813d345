package kubetest_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube/kubetest"
)

func sample(ns string, n int) iter.Seq[ctrlclient.Object] {
	var env []corev1.EnvVar
	for i := range 20 {
		env = append(env, corev1.EnvVar{Name: fmt.Sprint("SETTING_", i), Value: strings.Repeat("value ", 10)})
	}
	return func(yield func(ctrlclient.Object) bool) {
		for i := range n {
			j := &prowv1.ProwJob{
				TypeMeta:   metav1.TypeMeta{APIVersion: "prow.k8s.io/v1", Kind: "ProwJob"},
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("job-%06d", i), Labels: map[string]string{"number": fmt.Sprint(i)}},
				Spec: prowv1.ProwJobSpec{Job: "unit", Type: prowv1.PeriodicJob, Agent: prowv1.KubernetesAgent, PodSpec: &corev1.PodSpec{
					Containers: []corev1.Container{{Name: "test", Image: "image", Command: []string{"make"}, Args: []string{"test"}, Env: env}}}},
				Status: prowv1.ProwJobStatus{State: prowv1.TriggeredState, StartTime: metav1.Now()},
			}
			if !yield(j) {
				return
			}
		}
	}
}

func scheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	out := runtime.NewScheme()
	if err := prowv1.AddToScheme(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLoadedObjectsAreLikeAllOthers(t *testing.T) {
	cluster := kubetest.Start(t)
	ns := cluster.Namespace(t)
	c, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	jobs, ctx := c.Resource(prowjobs).Namespace(ns), context.Background()
	// A watch that began before sees them, too.
	watch, err := jobs.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	cluster.Load(t, prowjobs, sample(ns, 250))
	all, err := jobs.List(ctx, metav1.ListOptions{})
	if err != nil || len(all.Items) != 250 {
		t.Fatalf("%d objects, %v", len(all.Items), err)
	}
	for range 250 {
		<-watch.ResultChan()
	}
	some, err := jobs.List(ctx, metav1.ListOptions{LabelSelector: "number=249"})
	if err != nil || len(some.Items) != 1 {
		t.Fatalf("%d objects by label, %v", len(some.Items), err)
	}
	seen := map[types.UID]bool{}
	for _, o := range all.Items {
		if seen[o.GetUID()] || o.GetUID() == "" || o.GetResourceVersion() == "" || len(o.GetManagedFields()) == 0 {
			t.Fatalf("metadata of %s", o.GetName())
		}
		seen[o.GetUID()] = true
	}
	// It can be changed and deleted, and what is wrong is refused.
	if _, err := jobs.Patch(ctx, "job-000100", types.MergePatchType, []byte(`{"status":{"state":"pending"}}`), metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := jobs.Patch(ctx, "job-000100", types.MergePatchType, []byte(`{"status":{"state":"odd"}}`), metav1.PatchOptions{}); err == nil {
		t.Error("a state that does not exist is accepted")
	}
	if err := jobs.Delete(ctx, "job-000100", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// BenchmarkFill tells how fast ProwJobs come into a cluster, through the API
// server and by Load.
func BenchmarkFill(b *testing.B) {
	cluster := kubetest.Start(b)
	b.Run("api", func(b *testing.B) {
		for b.Loop() {
			ns := cluster.Namespace(b)
			c, err := ctrlclient.New(cluster.Config, ctrlclient.Options{Scheme: scheme(b)})
			if err != nil {
				b.Fatal(err)
			}
			var group errgroup.Group
			group.SetLimit(24)
			for o := range sample(ns, 500) {
				group.Go(func() error { return c.Create(context.Background(), o.(*prowv1.ProwJob)) })
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			cluster.Load(b, prowjobs, sample(cluster.Namespace(b), 5000))
		}
		b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	})
}
