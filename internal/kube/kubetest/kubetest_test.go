package kubetest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"prow/internal/kube/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

var prowjobs = schema.GroupVersionResource{Group: "prow.k8s.io", Version: "v1", Resource: "prowjobs"}

func prowJob(name string, fields map[string]any) *unstructured.Unstructured {
	obj := map[string]any{
		"apiVersion": "prow.k8s.io/v1",
		"kind":       "ProwJob",
		"metadata":   map[string]any{"name": name},
		"spec":       map[string]any{"job": "unit", "type": "periodic"},
	}
	for path, v := range fields {
		parts := strings.Split(path, ".")
		if v == nil {
			unstructured.RemoveNestedField(obj, parts...)
			continue
		}
		if err := unstructured.SetNestedField(obj, v, parts...); err != nil {
			panic(err)
		}
	}
	return &unstructured.Unstructured{Object: obj}
}

func client(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	cluster := kubetest.Start(t)
	c, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c.Resource(prowjobs).Namespace(cluster.Namespace(t))
}

func TestTheAPIServerAcceptsOnlyValidProwJobs(t *testing.T) {
	jobs := client(t)
	for _, tc := range []struct {
		name   string
		fields map[string]any
		want   string // "" accepted, else part of the rejection
	}{
		{"a minimal job is accepted", nil, ""},
		{"a job without type is rejected", map[string]any{"spec.type": nil}, "spec.type"},
		{"a job of an unknown type is rejected", map[string]any{"spec.type": "nightly"}, "spec.type"},
		{"a negative max_concurrency is rejected", map[string]any{"spec.max_concurrency": int64(-1)}, "spec.max_concurrency"},
		{"success without completion time is rejected", map[string]any{"status.state": "success"}, `"status" must`},
		{"success with completion time is accepted", map[string]any{"status.state": "success", "status.completionTime": "2026-01-02T03:04:05Z"}, ""},
		{"aborted without completion time is accepted, as it is completed later", map[string]any{"status.state": "aborted"}, ""},
		{"a status without state is rejected", map[string]any{"status.url": "http://x"}, "status.state"},
		{"an unknown state is rejected", map[string]any{"status.state": "flaky"}, "status.state"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			obj := prowJob("", tc.fields)
			obj.SetName("")
			obj.SetGenerateName("probe-")
			_, err := jobs.Create(context.Background(), obj, metav1.CreateOptions{})
			if tc.want == "" {
				if err != nil {
					t.Fatalf("rejected: %v", err)
				}
				return
			}
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want a rejection naming %s", err, tc.want)
			}
		})
	}
}

func TestKubectlShowsExactlyTheColumnsPeopleKnow(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Fatal("kubectl is needed:", err)
	}
	cluster := kubetest.Start(t)
	c, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	ns := cluster.Namespace(t)
	if _, err := c.Resource(prowjobs).Namespace(ns).Create(context.Background(), prowJob("one", nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("kubectl", "--kubeconfig", cluster.KubeconfigPath, "-n", ns, "get", "prowjobs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	header, _, _ := strings.Cut(string(out), "\n")
	want := "NAME JOB BUILDID TYPE ORG REPO PULLS STARTTIME COMPLETIONTIME STATE"
	if got := strings.Join(strings.Fields(header), " "); got != want {
		t.Fatalf("columns %q, want %q", got, want)
	}
}

func TestTheStatusIsWrittenThroughTheMainResource(t *testing.T) {
	jobs := client(t)
	ctx := context.Background()
	if _, err := jobs.Create(ctx, prowJob("one", nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"status":{"state":"pending","build_id":"7"}}`)
	if _, err := jobs.Patch(ctx, "one", types.MergePatchType, patch, metav1.PatchOptions{}, "status"); !apierrors.IsNotFound(err) {
		t.Fatalf("patch of the status sub-resource: %v, want not found", err)
	}
	if _, err := jobs.Patch(ctx, "one", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := jobs.Get(ctx, "one", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if state, _, _ := unstructured.NestedString(got.Object, "status", "state"); state != "pending" {
		t.Fatalf("state %q after the patch, want pending", state)
	}
}

func TestANamespaceIsFreshForEachTest(t *testing.T) {
	cluster := kubetest.Start(t)
	if a, b := cluster.Namespace(t), cluster.Namespace(t); a == b {
		t.Fatalf("got %s twice", a)
	}
}
