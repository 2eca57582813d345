package deploy

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// idleMemory is what all components of an installation may take together while they idle.
const idleMemory = 400_000_000

func TestEveryPodFulfillsThePolicyRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for what, objects := range variants(t) {
		for _, d := range deployments(t, objects) {
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec))
			if !result.Allowed {
				t.Errorf("%s: %s: %s", what, d.Name, result.ForbiddenDetail())
			}
		}
	}
	privileged := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &metav1.ObjectMeta{}, &privileged)).Allowed {
		t.Error("the policy takes everything")
	}
}

func TestEveryContainerIsBoundAndWatched(t *testing.T) {
	for what, objects := range variants(t) {
		budgets := map[string]bool{}
		for _, b := range all[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget") {
			budgets[b.Name] = b.Spec.MaxUnavailable != nil && b.Spec.MaxUnavailable.IntValue() == 1
		}
		for _, d := range deployments(t, objects) {
			if !budgets[d.Name] {
				t.Errorf("%s: %s has no disruption budget", what, d.Name)
			}
			spec := d.Spec.Template.Spec
			for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
				for _, problem := range bounds(&c) {
					t.Errorf("%s: %s: container %s: %s", what, d.Name, c.Name, problem)
				}
			}
			for _, c := range spec.Containers {
				if c.StartupProbe == nil || c.LivenessProbe == nil || c.ReadinessProbe == nil {
					t.Errorf("%s: %s: container %s lacks a probe", what, d.Name, c.Name)
				}
				if problem := collects(&c); problem != "" {
					t.Errorf("%s: %s: container %s: %s", what, d.Name, c.Name, problem)
				}
			}
			for _, v := range spec.Volumes {
				if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
					t.Errorf("%s: %s: volume %s has no limit", what, d.Name, v.Name)
				}
			}
		}
	}
}

func bounds(c *corev1.Container) (problems []string) {
	r := c.Resources
	if r.Requests.Memory().IsZero() || r.Requests.Cpu().IsZero() || r.Limits.Memory().IsZero() {
		problems = append(problems, "requests of memory and processors and a limit of memory are missing")
	}
	s := c.SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		problems = append(problems, "its root can be written")
	}
	return problems
}

// collects tells what is wrong with the point from which the runtime collects harder: below
// the limit, or the kernel kills first; not far below, or memory lies idle. Half is left
// where git runs beside.
func collects(c *corev1.Container) string {
	for _, e := range c.Env {
		if e.Name != "GOMEMLIMIT" {
			continue
		}
		at, err := resource.ParseQuantity(strings.TrimSuffix(e.Value, "B"))
		if err != nil {
			return "GOMEMLIMIT: " + err.Error()
		}
		if limit := c.Resources.Limits.Memory().Value(); at.Value() < limit/2 || at.Value() > limit*9/10 {
			return fmt.Sprintf("GOMEMLIMIT is %d, the limit %d", at.Value(), limit)
		}
		return ""
	}
	return "GOMEMLIMIT is not set"
}

func TestTheServiceClusterIdlesWithinItsMemory(t *testing.T) {
	for _, starter := range []string{"starters/s3", "starters/gcs"} {
		objects, err := build(filepath.Join(root, starter))
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		for _, d := range deployments(t, objects) {
			for _, c := range d.Spec.Template.Spec.Containers {
				sum += int64(*d.Spec.Replicas) * c.Resources.Requests.Memory().Value()
			}
		}
		if sum > idleMemory {
			t.Errorf("%s: %d bytes are requested, more than %d", starter, sum, idleMemory)
		}
	}
}

func TestServicesAndPoliciesLeadToPortsThatThereAre(t *testing.T) {
	for what, objects := range variants(t) {
		pods := map[string]map[string]string{} // by label name, then port name or number
		for _, d := range deployments(t, objects) {
			ports := map[string]string{}
			for _, c := range d.Spec.Template.Spec.Containers {
				for _, p := range c.Ports {
					ports[p.Name] = p.Name
					ports[fmt.Sprint(p.ContainerPort)] = p.Name
				}
				for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
					if port := probe.HTTPGet.Port.String(); ports[port] == "" {
						t.Errorf("%s: %s: a probe asks port %s", what, d.Name, port)
					}
				}
			}
			pods[d.Spec.Template.Labels[nameLabel]] = ports
			if !maps.Equal(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
				t.Errorf("%s: %s selects other pods than it makes", what, d.Name)
			}
		}
		served := map[string]bool{}
		for _, s := range all[corev1.Service](t, objects, "Service") {
			ports := pods[s.Spec.Selector[nameLabel]]
			for _, p := range s.Spec.Ports {
				served[s.Name+":"+p.Name] = true
				if ports[p.TargetPort.String()] == "" {
					t.Errorf("%s: service %s: port %s leads to %s, which no pod has", what, s.Name, p.Name, p.TargetPort.String())
				}
			}
		}
		checkPolicies(t, what, objects, pods)
		checkIngress(t, what, objects, served)
	}
}

// The manifest of ProwJobs stands where `make generate` writes it and here, for kustomize
// reads nothing from outside of a directory.
func TestTheDefinitionOfProwJobsIsTheGeneratedOne(t *testing.T) {
	want, err := os.ReadFile("../../api/prowjobs/v1/prowjob_crd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, copied := range []string{"crd/prowjob_crd.yaml", "helm/prow/crds/prowjob_crd.yaml"} {
		got, err := os.ReadFile(filepath.Join(root, copied))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is another one: run `make generate`", copied)
		}
	}
}
