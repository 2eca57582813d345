// Package deploy checks what is in deploy/: that kustomize and Helm make the same objects
// of it, that a real API server takes them, that the components run with exactly the flags,
// files and rights that stand there, and that what is watched exists. It is a module of its
// own, for kustomize, Helm and Prometheus bring many dependencies.
package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// root is the directory deploy of this checkout, seen from a test.
const root = "../../deploy"

// build makes the objects of a kustomization.
func build(dir string) ([]*unstructured.Unstructured, error) {
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsRootOnly
	made, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	out := make([]*unstructured.Unstructured, 0, made.Size())
	for _, r := range made.Resources() {
		o := &unstructured.Unstructured{}
		raw, err := r.MarshalJSON()
		if err == nil {
			err = o.UnmarshalJSON(raw)
		}
		if err != nil {
			return nil, fmt.Errorf("kustomize build %s: %s: %w", dir, r.CurId(), err)
		}
		out = append(out, o)
	}
	return out, nil
}

// buildWith makes the objects of a starter, or another directory below deploy, with
// components beside. scratch is an empty directory.
func buildWith(scratch, dir string, components ...string) ([]*unstructured.Unstructured, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if scratch, err = filepath.EvalSymlinks(scratch); err != nil {
		return nil, err
	}
	up, err := filepath.Rel(scratch, abs)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s]\n", filepath.Join(up, dir))
	if len(components) > 0 {
		text.WriteString("components:\n")
	}
	for _, c := range components {
		fmt.Fprintf(&text, "- %s\n", filepath.Join(up, "components", c))
	}
	if err := os.WriteFile(filepath.Join(scratch, "kustomization.yaml"), []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	return build(scratch)
}

// name tells which object it is.
func name(o *unstructured.Unstructured) string {
	return strings.TrimPrefix(fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()), "/")
}
