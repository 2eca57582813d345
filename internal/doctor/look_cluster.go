package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	v1 "prow/api/prowjobs/v1"
)

// crdName is the name of the definition of ProwJobs.
const crdName = "prowjobs.prow.k8s.io"

const (
	mendCRD    = "Apply the manifest of ProwJobs of this version (kubectl apply --server-side -f prowjob_crd.yaml)."
	mendRights = "Apply the roles of the manifests, or have somebody grant what is missing."
)

func lookAtServiceCluster(ctx context.Context, p *patient) []Finding {
	if p.clusterErr != nil {
		return []Finding{bad("Give --kubeconfig, or run this in the cluster.", "No cluster: %v", p.clusterErr)}
	}
	client, err := kubernetes.NewForConfig(p.clusters.Service())
	if err != nil {
		return []Finding{bad("Look at the kubeconfig.", "The service cluster: %v", err)}
	}
	version, err := serverVersion(ctx, client)
	if err != nil {
		return []Finding{bad("Look whether it is up and reached from here, and at the kubeconfig.", "%s does not answer: %v", p.clusters.Service().Host, err)}
	}
	out := []Finding{good("%s answers: Kubernetes %s", p.clusters.Service().Host, version)}
	out = append(out, lookAtCRD(ctx, client)...)
	if p.config == nil {
		return append(out, leftOut("The namespace of ProwJobs: the configuration does not load"))
	}
	return append(out, lookAtNamespace(ctx, client, p.config.ProwJobNamespace, "prowjob_namespace"))
}

func serverVersion(ctx context.Context, client kubernetes.Interface) (string, error) {
	raw, err := client.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", err
	}
	var answer struct {
		GitVersion string `json:"gitVersion"`
	}
	return answer.GitVersion, json.Unmarshal(raw, &answer)
}

func lookAtNamespace(ctx context.Context, client kubernetes.Interface, name, key string) Finding {
	_, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return bad("kubectl create namespace "+name, "Namespace %s (%s) does not exist", name, key)
	case apierrors.IsForbidden(err):
		return leftOut("Namespace %s: this may not be asked", name)
	case err != nil:
		return bad("", "Namespace %s: %v", name, err)
	}
	return good("Namespace %s (%s) exists", name, key)
}

// definition is what of a CustomResourceDefinition matters.
type definition struct {
	Spec struct {
		Versions []struct {
			Name            string
			Served, Storage bool
			Schema          struct {
				OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
			}
		}
	}
}

func (d *definition) schema() map[string]any {
	for _, v := range d.Spec.Versions {
		if v.Name == v1.SchemeGroupVersion.Version && v.Served {
			return v.Schema.OpenAPIV3Schema
		}
	}
	return nil
}

// lookAtCRD compares the definition of ProwJobs with the one of this version: fields that
// it lacks would be dropped by the API server without a word.
func lookAtCRD(ctx context.Context, client kubernetes.Interface) []Finding {
	raw, err := client.Discovery().RESTClient().Get().AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crdName).DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return []Finding{bad(mendCRD, "The cluster does not know ProwJobs")}
	case apierrors.IsForbidden(err):
		return []Finding{leftOut("The definition of ProwJobs: it may not be read with these rights")}
	case err != nil:
		return []Finding{bad("", "The definition of ProwJobs cannot be read: %v", err)}
	}
	var have, want definition
	if err := json.Unmarshal(raw, &have); err != nil {
		return []Finding{bad(mendCRD, "The definition of ProwJobs is malformed: %v", err)}
	}
	if err := yaml.Unmarshal(v1.CRDManifest, &want); err != nil {
		return []Finding{bad("", "The definition of ProwJobs in this program is malformed: %v", err)}
	}
	if have.schema() == nil {
		return []Finding{bad(mendCRD, "The cluster does not serve ProwJobs of version %s", v1.SchemeGroupVersion.Version)}
	}
	missing := missingFields("", have.schema(), want.schema())
	if len(missing) == 0 {
		return []Finding{good("The cluster knows ProwJobs, with all fields of this version")}
	}
	more := ""
	if n := len(missing) - 5; n > 0 {
		missing, more = missing[:5], fmt.Sprintf(" and %d more", n)
	}
	return []Finding{bad(mendCRD, "The definition of ProwJobs is older than this program: the cluster would drop %s%s", strings.Join(missing, ", "), more)}
}

// missingFields are the fields that a schema lacks, by path. Below what keeps everything
// nothing is missing.
func missingFields(at string, have, want map[string]any) []string {
	if keeps, _ := have["x-kubernetes-preserve-unknown-fields"].(bool); keeps {
		return nil
	}
	var out []string
	wanted, _ := want["properties"].(map[string]any)
	had, _ := have["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		path := strings.TrimPrefix(at+"."+name, ".")
		inner, _ := wanted[name].(map[string]any)
		known, ok := had[name].(map[string]any)
		if !ok {
			if at == "" && (name == "apiVersion" || name == "kind" || name == "metadata") {
				continue
			}
			out = append(out, path)
			continue
		}
		out = append(out, missingFields(path, known, inner)...)
	}
	for _, key := range []string{"items", "additionalProperties"} {
		inner, ok := want[key].(map[string]any)
		known, ok2 := have[key].(map[string]any)
		if ok && ok2 {
			out = append(out, missingFields(at+"[]", known, inner)...)
		}
	}
	return out
}

// lookAtRights asks the API server what the service accounts of the components may do.
func lookAtRights(ctx context.Context, p *patient) []Finding {
	if p.clusters == nil || p.config == nil {
		return []Finding{leftOut("There is no cluster, or no configuration that says where")}
	}
	client, err := kubernetes.NewForConfig(p.clusters.Service())
	if err != nil {
		return []Finding{bad("", "The service cluster: %v", err)}
	}
	namespace := p.ServiceAccounts
	if namespace == "" {
		namespace = p.config.ProwJobNamespace
	}
	var out []Finding
	for _, component := range slices.Sorted(slices.Values(p.Components)) {
		_, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, component, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			out = append(out, leftOut("%s: there is no service account %s/%s", component, namespace, component))
			continue
		case apierrors.IsForbidden(err):
			return append(out, leftOut("Service accounts of namespace %s: they may not be read with these rights", namespace))
		case err != nil:
			return append(out, bad("", "Service account %s/%s: %v", namespace, component, err))
		}
		found, ended := lookAtComponent(ctx, p, client, component, "system:serviceaccount:"+namespace+":"+component)
		if out = append(out, found...); ended {
			return out
		}
	}
	return out
}

func lookAtComponent(ctx context.Context, p *patient, client kubernetes.Interface, component, user string) (out []Finding, ended bool) {
	for _, right := range rights[component] {
		if right.Where == PodNamespace && !usesOwnAccount(p) {
			continue // the kubeconfig of the build clusters counts; see there
		}
		var missing []string
		for _, verb := range right.Verbs {
			ask := &authorization.SubjectAccessReview{Spec: authorization.SubjectAccessReviewSpec{User: user, ResourceAttributes: attributes(p, &right, verb)}}
			answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, ask, metav1.CreateOptions{})
			if apierrors.IsForbidden(err) {
				return append(out, leftOut("What the components may do cannot be asked with these rights (create subjectaccessreviews)")), true
			}
			if err != nil {
				return append(out, bad("", "%s: the API server does not say what it may do: %v", component, err)), true
			}
			if !answer.Status.Allowed {
				missing = append(missing, verb)
			}
		}
		if len(missing) == 0 {
			continue
		}
		text := fmt.Sprintf("%s may not %s %s", component, strings.Join(missing, ", "), right.describe(p))
		if right.Optional {
			out = append(out, leftOut("%s, which only some installations need", text))
			continue
		}
		out = append(out, bad(mendRights, "%s", text))
	}
	if !slices.ContainsFunc(out, func(f Finding) bool { return f.Level == Bad }) {
		out = append(out, good("%s may do what it does", component))
	}
	return out, false
}

// usesOwnAccount tells whether jobs run in the service cluster, where the components are
// known by their service accounts.
func usesOwnAccount(p *patient) bool {
	return p.clusters["default"] != nil && p.clusters["default"].Host == p.clusters.Service().Host
}

func attributes(p *patient, r *Right, verb string) *authorization.ResourceAttributes {
	out := &authorization.ResourceAttributes{Namespace: r.namespace(p), Verb: verb, Group: r.Group, Resource: r.Resource, Subresource: r.Subresource}
	if len(r.Names) > 0 {
		out.Name = r.Names[0]
	}
	return out
}

func (r *Right) namespace(p *patient) string {
	switch r.Where {
	case JobNamespace:
		return p.config.ProwJobNamespace
	case PodNamespace:
		return p.config.PodNamespace
	}
	return ""
}

func (r *Right) describe(p *patient) string {
	out := r.Resource
	if r.Subresource != "" {
		out += "/" + r.Subresource
	}
	if ns := r.namespace(p); ns != "" {
		out += " in " + ns
	}
	return out
}

// buildRights are what controllers, deck and crier do in a build cluster.
func buildRights() []Right {
	byResource := map[[2]string][]string{}
	for _, list := range rights {
		for _, r := range list {
			if key := [2]string{r.Resource, r.Subresource}; r.Where == PodNamespace {
				byResource[key] = append(byResource[key], r.Verbs...)
			}
		}
	}
	var out []Right
	for _, key := range slices.SortedFunc(maps.Keys(byResource), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) }) {
		verbs := byResource[key]
		slices.Sort(verbs)
		out = append(out, Right{Resource: key[0], Subresource: key[1], Verbs: slices.Compact(verbs), Where: PodNamespace})
	}
	return out
}

func lookAtBuildClusters(ctx context.Context, p *patient) []Finding {
	if p.clusters == nil || p.config == nil {
		return []Finding{leftOut("There is no cluster, or no configuration that says where")}
	}
	var out []Finding
	build := p.clusters.Build()
	for _, alias := range slices.Sorted(maps.Keys(build)) {
		out = append(out, lookAtBuildCluster(ctx, p, alias, build[alias])...)
	}
	return out
}

func lookAtBuildCluster(ctx context.Context, p *patient, alias string, cfg *rest.Config) []Finding {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return []Finding{bad("Look at the kubeconfig.", "%s: %v", alias, err)}
	}
	version, err := serverVersion(ctx, client)
	if err != nil {
		return []Finding{bad("Look whether it is up and reached from here, and whether the credential of the kubeconfig still holds. disabled_clusters takes a cluster out.", "%s (%s) does not answer: %v", alias, cfg.Host, err)}
	}
	out := []Finding{}
	if f := lookAtNamespace(ctx, client, p.config.PodNamespace, "pod_namespace"); f.Level != Good {
		f.Text = alias + ": " + f.Text
		out = append(out, f)
	}
	for _, right := range buildRights() {
		var missing []string
		for _, verb := range right.Verbs {
			ask := &authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes(p, &right, verb)}}
			answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, ask, metav1.CreateOptions{})
			if err != nil {
				return append(out, bad("", "%s does not say what may be done: %v", alias, err))
			}
			if !answer.Status.Allowed {
				missing = append(missing, verb)
			}
		}
		if len(missing) > 0 {
			out = append(out, bad("Grant that to the account of the kubeconfig, in each build cluster.", "%s: its credential may not %s %s", alias, strings.Join(missing, ", "), right.describe(p)))
		}
	}
	if len(out) == 0 {
		out = append(out, good("%s takes pods: Kubernetes %s", alias, version))
	}
	return out
}
