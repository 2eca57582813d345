package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"prow/internal/doctor"
)

// granted are the rights of each service account, one line for each verb.
func granted(t *testing.T, what string, objects []*unstructured.Unstructured) map[string]map[string]bool {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range all[rbacv1.Role](t, objects, "Role") {
		rules[r.Namespace+"/"+r.Name] = r.Rules
	}
	for _, r := range all[rbacv1.ClusterRole](t, objects, "ClusterRole") {
		rules["/"+r.Name] = r.Rules
	}
	out := map[string]map[string]bool{}
	bind := func(namespace string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		key := namespace + "/" + ref.Name
		found, ok := rules[key]
		if !ok {
			t.Errorf("%s: %s %s is bound, but not there", what, ref.Kind, key)
		}
		for _, s := range subjects {
			if s.Kind != rbacv1.ServiceAccountKind || s.Namespace != "prow" {
				t.Errorf("%s: %s is given to %s %s/%s", what, key, s.Kind, s.Namespace, s.Name)
			}
			if out[s.Name] == nil {
				out[s.Name] = map[string]bool{}
			}
			for _, rule := range found {
				if len(rule.NonResourceURLs) > 0 {
					t.Errorf("%s: %s is about URLs", what, key)
				}
				for _, line := range lines(namespace, rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs) {
					out[s.Name][line] = true
				}
			}
		}
	}
	for _, b := range all[rbacv1.RoleBinding](t, objects, "RoleBinding") {
		bind(b.Namespace, b.RoleRef, b.Subjects)
	}
	for _, b := range all[rbacv1.ClusterRoleBinding](t, objects, "ClusterRoleBinding") {
		bind("", b.RoleRef, b.Subjects)
	}
	return out
}

func lines(namespace string, groups, resources, names, verbs []string) (out []string) {
	if len(names) == 0 {
		names = []string{""}
	}
	for _, g := range groups {
		for _, r := range resources {
			for _, n := range names {
				for _, v := range verbs {
					out = append(out, fmt.Sprintf("%s %s %s/%s %s", v, r, g, n, namespace))
				}
			}
		}
	}
	return out
}

// wanted are the same lines of the table of doctor; optional ones only if asked for.
func wanted(rights []doctor.Right, optional bool) map[string]bool {
	out := map[string]bool{}
	for _, r := range rights {
		if r.Optional && !optional {
			continue
		}
		namespace := map[doctor.Where]string{doctor.JobNamespace: "prow", doctor.PodNamespace: "test-pods", doctor.ClusterWide: ""}[r.Where]
		resource := r.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		for _, line := range lines(namespace, []string{r.Group}, []string{resource}, r.Names, r.Verbs) {
			out[line] = true
		}
	}
	return out
}

func TestComponentsMayDoWhatTheyNeedAndNothingElse(t *testing.T) {
	sets := variants(t)
	for _, what := range append(slices.Clone(starters), "large") {
		have := granted(t, what, sets[what])
		for _, d := range deployments(t, sets[what]) {
			want := wanted(doctor.Rights(d.Name), what == "large")
			for line := range want {
				if !have[d.Name][line] {
					t.Errorf("%s: %s may not %s", what, d.Name, line)
				}
			}
			for line := range have[d.Name] {
				if !want[line] {
					t.Errorf("%s: %s may %s, which it does not need", what, d.Name, line)
				}
			}
			delete(have, d.Name)
		}
		if len(have) > 0 {
			t.Errorf("%s: others have rights: %v", what, slices.Sorted(maps.Keys(have)))
		}
	}
	have, want := granted(t, "build cluster", sets["build cluster"])["prow-build"], wanted(doctor.BuildClusterRights(), false)
	if !maps.Equal(have, want) {
		t.Errorf("build cluster: may %v\nneeds %v", slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)))
	}
}

func TestNoRightIsAWildcard(t *testing.T) {
	for what, objects := range variants(t) {
		for account, rights := range granted(t, what, objects) {
			for line := range rights {
				if strings.Contains(line, "*") {
					t.Errorf("%s: %s may %s", what, account, line)
				}
				if strings.Contains(line, "secrets") {
					t.Errorf("%s: %s reads secrets: %s", what, account, line)
				}
			}
		}
	}
}
