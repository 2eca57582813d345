package deploy

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"prow/internal/kube/kubetest"
)

// fieldOwner is who applies.
const fieldOwner = client.FieldOwner("deploy-test")

// adminOf is a client with which a field that a type does not have is an error.
func adminOf(t testing.TB, cluster *kubetest.Cluster) client.Client {
	t.Helper()
	c, err := client.New(cluster.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

// foundation is what must be there before other objects can be judged, also by a dry run.
func foundation(o *unstructured.Unstructured) bool {
	return o.GetKind() == "Namespace" || o.GetKind() == "CustomResourceDefinition"
}

// of others are objects of APIs that only some clusters have.
func ofOthers(o *unstructured.Unstructured) bool {
	return strings.HasPrefix(o.GetAPIVersion(), "monitoring.coreos.com/")
}

func apply(t testing.TB, c client.Client, objects []*unstructured.Unstructured, options ...client.ApplyOption) {
	t.Helper()
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, func(a, b *unstructured.Unstructured) int {
		switch {
		case foundation(a) == foundation(b):
			return 0
		case foundation(a):
			return -1
		}
		return 1
	})
	for _, o := range sorted {
		if ofOthers(o) {
			continue
		}
		options := append([]client.ApplyOption{fieldOwner, client.ForceOwnership}, options...)
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o.DeepCopy()), options...); err != nil {
			t.Errorf("%s: %v", name(o), err)
		}
	}
}

func TestTheAPIServerTakesEveryObject(t *testing.T) {
	c := adminOf(t, kubetest.Start(t, "--all-apis"))
	sets := variants(t)
	for _, objects := range sets {
		for _, o := range objects {
			if foundation(o) {
				apply(t, c, []*unstructured.Unstructured{o})
			}
		}
	}
	for what, objects := range sets {
		t.Run(what, func(t *testing.T) { apply(t, c, objects, client.DryRunAll) })
	}
}

func TestAMisspeltFieldIsSeen(t *testing.T) {
	c := adminOf(t, kubetest.Start(t, "--all-apis"))
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "misspelt"}, "spec": map[string]any{"finalizer": "x"}}}
	if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(o), fieldOwner, client.DryRunAll); err == nil {
		t.Error("it was taken")
	}
}
