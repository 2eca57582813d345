package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	prowjobv1 "prow/api/prowjobs/v1"
)

const pollInterval = 50 * time.Millisecond

// waitReady polls the server's own readiness check.
func waitReady(ctx context.Context, client kubernetes.Interface) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		var status int
		result := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status)
		last = result.Error()
		return last == nil && status == http.StatusOK, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w (last answer: %w)", err, last)
	}
	return err
}

func ensureNamespaces(ctx context.Context, client kubernetes.Interface, names []string) error {
	for _, name := range append([]string{metav1.NamespaceDefault}, names...) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make namespace %q: %w", name, err)
		}
	}
	return nil
}

// ensureCRD applies the ProwJob resource of this program and waits until it can
// be used. An older one in the state directory is brought up to date.
func ensureCRD(ctx context.Context, cfg *rest.Config) error {
	client, err := apiextensions.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("client for resource definitions: %w", err)
	}
	manifest, err := yaml.YAMLToJSON(prowjobv1.CRDManifest)
	if err != nil {
		return fmt.Errorf("read the ProwJob resource definition: %w", err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(manifest, &crd); err != nil {
		return fmt.Errorf("read the ProwJob resource definition: %w", err)
	}
	force := true
	crds := client.CustomResourceDefinitions()
	if _, err := crds.Patch(ctx, crd.Name, types.ApplyPatchType, manifest, metav1.PatchOptions{FieldManager: "prow-standalone", Force: &force}); err != nil {
		return fmt.Errorf("install %s: %w", crd.Name, err)
	}
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		got, err := crds.Get(ctx, crd.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range got.Status.Conditions {
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s to be established: %w", crd.Name, err)
	}
	// Established comes a moment before the resource is really served.
	served := client.RESTClient().Get().AbsPath("/apis", crd.Spec.Group, crd.Spec.Versions[0].Name, crd.Spec.Names.Plural).Param("limit", "1")
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		err := served.Do(ctx).Error()
		if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("wait for %s to be served: %w", crd.Name, err)
	}
	return nil
}
