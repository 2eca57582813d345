package deploy

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

const nameLabel = "app.kubernetes.io/name"

// checkPolicies expects one policy for each component beside the one that refuses all, and
// ports in it that the pods have.
func checkPolicies(t *testing.T, what string, objects []*unstructured.Unstructured, pods map[string]map[string]string) {
	t.Helper()
	policies := all[networkingv1.NetworkPolicy](t, objects, "NetworkPolicy")
	if len(policies) == 0 {
		t.Errorf("%s has no network policies", what)
	}
	seen := map[string]bool{}
	for _, p := range policies {
		if len(p.Spec.PolicyTypes) != 2 {
			t.Errorf("%s: policy %s is not about both directions", what, p.Name)
		}
		component := p.Spec.PodSelector.MatchLabels[nameLabel]
		if component == "" {
			seen[p.Namespace] = true
			continue
		}
		seen[component] = true
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if pods[component][port.Port.String()] == "" {
					t.Errorf("%s: policy %s lets in to port %s, which the pod does not have", what, p.Name, port.Port.String())
				}
			}
		}
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.To {
				checkPeer(t, what, p, to.PodSelector, rule.Ports, pods)
			}
		}
	}
	if !seen["test-pods"] {
		t.Errorf("%s: the pods of jobs have no policy", what)
	}
	if len(pods) > 0 && !seen["prow"] {
		t.Errorf("%s: nothing is refused by default", what)
	}
	for component := range pods {
		if !seen[component] {
			t.Errorf("%s: %s has no policy", what, component)
		}
	}
}

// checkPeer expects that a policy leads out to a component that lets this one in.
func checkPeer(t *testing.T, what string, from *networkingv1.NetworkPolicy, to *metav1.LabelSelector, ports []networkingv1.NetworkPolicyPort, pods map[string]map[string]string) {
	t.Helper()
	if to == nil {
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(to)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for component, has := range pods {
		if !selector.Matches(labels.Set{nameLabel: component}) {
			continue
		}
		found = true
		for _, port := range ports {
			if has[port.Port.String()] == "" {
				t.Errorf("%s: policy %s leads to port %s of %s, which it does not have", what, from.Name, port.Port.String(), component)
			}
		}
	}
	if !found {
		t.Errorf("%s: policy %s leads to nobody: %s", what, from.Name, selector)
	}
}

func checkIngress(t *testing.T, what string, objects []*unstructured.Unstructured, served map[string]bool) {
	t.Helper()
	for _, in := range all[networkingv1.Ingress](t, objects, "Ingress") {
		if len(in.Spec.TLS) == 0 {
			t.Errorf("%s: the ingress has no TLS", what)
		}
		for _, rule := range in.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				if s := path.Backend.Service; !served[s.Name+":"+s.Port.Name] {
					t.Errorf("%s: the ingress leads to %s:%s, which there is not", what, s.Name, s.Port.Name)
				}
			}
		}
	}
}

// What a volume, a variable or a pod refers to is made by the same kustomization.
func TestStartersBringWhatTheirPodsName(t *testing.T) {
	for _, starter := range starters {
		objects := variants(t)[starter]
		there := map[string]bool{}
		for _, o := range objects {
			there[name(o)] = true
		}
		need := func(component, kind, wanted string) {
			if !there[kind+" prow/"+wanted] {
				t.Errorf("%s: %s needs %s %s", starter, component, kind, wanted)
			}
		}
		for _, d := range deployments(t, objects) {
			need(d.Name, "ServiceAccount", d.Spec.Template.Spec.ServiceAccountName)
			if d.Spec.Template.Spec.ServiceAccountName != d.Name {
				t.Errorf("%s: %s runs as %s", starter, d.Name, d.Spec.Template.Spec.ServiceAccountName)
			}
			for _, v := range d.Spec.Template.Spec.Volumes {
				switch {
				case v.ConfigMap != nil:
					need(d.Name, "ConfigMap", v.ConfigMap.Name)
				case v.Secret != nil:
					need(d.Name, "Secret", v.Secret.SecretName)
				case v.PersistentVolumeClaim != nil:
					need(d.Name, "PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName)
				}
			}
		}
		account := all[corev1.ServiceAccount](t, objects, "ServiceAccount")
		for _, a := range account {
			if a.Namespace == "test-pods" && (a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken) {
				t.Errorf("%s: the token of %s is mounted into the pods of jobs", starter, a.Name)
			}
		}
	}
}
