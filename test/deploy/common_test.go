package deploy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"prow/internal/kube/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

var starters = []string{"starters/s3", "starters/gcs", "starters/disk"}

// made are the sets of objects that are checked, made once for all tests, which only read
// them: each starter, each component with the base, what is for large installations
// together, and a build cluster.
var made = sync.OnceValues(func() (map[string][]*unstructured.Unstructured, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "components", "*"))
	if err != nil || len(dirs) == 0 {
		return nil, fmt.Errorf("no components: %w", err)
	}
	scratch, err := os.MkdirTemp("", "deploy-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a directory for temporary files
	out := map[string][]*unstructured.Unstructured{}
	add := func(what, dir string, components ...string) {
		objects, failed := buildWith(scratch, dir, components...)
		out[what], err = objects, errors.Join(err, failed)
	}
	for _, s := range starters {
		add(s, s)
	}
	for _, c := range dirs {
		add(filepath.Base(c), "base", filepath.Base(c))
	}
	add("large", "starters/s3", "postgres", "two-of-each", "ghproxy", "github-app", "build-clusters", "sign-in", "webhooks-page", "config-updater", "node-facts", "webhook-server", "monitoring")
	add("build cluster", "build-cluster")
	return out, err
})

func variants(t testing.TB) map[string][]*unstructured.Unstructured {
	t.Helper()
	out, err := made()
	must(t, err)
	return out
}

func as[T any](t testing.TB, o *unstructured.Unstructured) *T {
	t.Helper()
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, out, true); err != nil {
		t.Fatalf("%s: %v", name(o), err)
	}
	return out
}

func all[T any](t testing.TB, objects []*unstructured.Unstructured, kind string) []*T {
	t.Helper()
	var out []*T
	for _, o := range objects {
		if o.GetKind() == kind {
			out = append(out, as[T](t, o))
		}
	}
	return out
}

func deployments(t testing.TB, objects []*unstructured.Unstructured) []*appsv1.Deployment {
	t.Helper()
	return all[appsv1.Deployment](t, objects, "Deployment")
}
