package doctor

import (
	"maps"
	"slices"
)

// Right is what a component does with objects of a cluster.
type Right struct {
	Group, Resource string
	// Subresource is empty for the objects themselves.
	Subresource string
	// Names are the only objects that it is about; empty is all.
	Names []string
	Verbs []string
	// Where says in which namespaces.
	Where Where
	// Optional rights are for parts that not every installation uses; without them the
	// component works, and says what it leaves out.
	Optional bool
}

// Where is a place of objects.
type Where int

const (
	// JobNamespace is prowjob_namespace of the service cluster.
	JobNamespace Where = iota
	// PodNamespace is pod_namespace, in each build cluster.
	PodNamespace
	// ClusterWide objects have no namespace.
	ClusterWide
)

const (
	prowGroup      = "prow.k8s.io"
	admissionGroup = "admissionregistration.k8s.io"
)

func jobs(verbs ...string) Right { return Right{Group: prowGroup, Resource: "prowjobs", Verbs: verbs} }

func lease() Right {
	return Right{Group: "coordination.k8s.io", Resource: "leases", Verbs: []string{"get", "create", "update"}}
}

func pods(verbs ...string) Right {
	return Right{Resource: "pods", Verbs: verbs, Where: PodNamespace}
}

// rights are what the components of an installation need, and nothing else. The roles
// of the manifests are compared with them.
var rights = map[string][]Right{
	"hook": {
		jobs("create", "get", "list", "update"),
		{Resource: "configmaps", Verbs: []string{"get", "create", "update"}, Optional: true}, // the plugin config-updater
	},
	"prow-controller-manager": {jobs("get", "list", "watch", "patch"), lease(), pods("create", "delete", "get", "list", "patch", "watch")},
	"sinker":                  {jobs("get", "list", "watch", "delete"), lease(), pods("get", "list", "delete", "patch")},
	"horologium":              {jobs("list", "watch", "create"), lease()},
	"crier": {
		jobs("get", "list", "watch", "patch"), lease(), pods("get", "patch"),
		{Resource: "events", Verbs: []string{"list"}, Where: PodNamespace},
		{Resource: "nodes", Verbs: []string{"get"}, Where: ClusterWide, Optional: true}, // for podinfo.json
	},
	"tide": {jobs("create", "get", "list", "watch", "patch")},
	"deck": {
		jobs("get", "list", "watch", "create", "patch"), pods("get"),
		{Resource: "pods", Subresource: "log", Verbs: []string{"get"}, Where: PodNamespace},
		{Resource: "events", Verbs: []string{"list"}, Where: PodNamespace},
	},
	"status-reconciler": {jobs("create")},
	"exporter":          {jobs("list", "watch")},
	"webhook-server": {
		// What is made cannot be limited by its name.
		{Group: admissionGroup, Resource: "mutatingwebhookconfigurations", Verbs: []string{"create"}, Where: ClusterWide},
		{Group: admissionGroup, Resource: "validatingwebhookconfigurations", Verbs: []string{"create"}, Where: ClusterWide},
		{Group: admissionGroup, Resource: "mutatingwebhookconfigurations", Names: []string{"prow-job-mutating-webhook-config.prow.k8s.io"}, Verbs: []string{"get", "patch"}, Where: ClusterWide},
		{Group: admissionGroup, Resource: "validatingwebhookconfigurations", Names: []string{"prow-job-validating-webhook-config.prow.k8s.io"}, Verbs: []string{"get", "patch"}, Where: ClusterWide},
	},
}

// Rights are what a component needs; nil for one that needs nothing of a cluster.
func Rights(component string) []Right { return slices.Clone(rights[component]) }

// BuildClusterRights are what the account of a build cluster's kubeconfig needs there.
func BuildClusterRights() []Right { return buildRights() }

func componentNames() []string { return slices.Sorted(maps.Keys(rights)) }
