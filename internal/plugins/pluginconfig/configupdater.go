package pluginconfig

import (
	"fmt"
	"path"
)

// maxPartitions is how many ConfigMaps one pattern can be spread over: the
// partition of a file is chosen by one byte.
const maxPartitions = 256

// ConfigUpdater configures the plugin that writes merged files to ConfigMaps.
type ConfigUpdater struct {
	// Maps maps globs of paths (** and {a,b} are known) to where the files go.
	// Default where the key is absent: config/prow/config.yaml goes to config
	// and config/prow/plugins.yaml to plugins.
	Maps map[string]ConfigMapSpec `json:"maps,omitempty"`
	// GZIP stores files compressed. Default: false.
	GZIP bool `json:"gzip,omitempty"`
	// ClusterGroups maps a name to clusters and namespaces that entries of
	// Maps can name together.
	ClusterGroups map[string]ClusterGroup `json:"cluster_groups,omitempty"`
}

// ClusterGroup names every pair of one of its clusters and namespaces.
type ClusterGroup struct {
	// Clusters are contexts of build clusters.
	Clusters []string `json:"clusters,omitempty"`
	// Namespaces are namespaces in each of them.
	Namespaces []string `json:"namespaces,omitempty"`
}

// ConfigMapSpec says where the files of a glob go.
type ConfigMapSpec struct {
	// Name names the ConfigMap; either it or PartitionedNames is set.
	Name string `json:"name,omitempty"`
	// PartitionedNames are ConfigMaps over which the files are spread; at most 256.
	PartitionedNames []string `json:"partitioned_names,omitempty"`
	// Key is the key in the ConfigMap. Default: the base name of the file.
	Key string `json:"key,omitempty"`
	// GZIP stores the files compressed. Default: that of ConfigUpdater.
	GZIP *bool `json:"gzip,omitempty"`
	// Clusters maps contexts of clusters to namespaces, where "" is that of
	// the ProwJobs. After a load it has the clusters of ClusterGroups.
	// Default: {default: [""]}.
	Clusters map[string][]string `json:"clusters,omitempty"`
	// ClusterGroups name groups instead of Clusters.
	ClusterGroups []string `json:"cluster_groups,omitempty"`
	// UseFullPathAsKey makes the key from the path, with - for /. Default: false.
	UseFullPathAsKey bool `json:"use_full_path_as_key,omitempty"`
	// AllowedRepos are the orgs and "org/repo"s that may change the ConfigMap.
	// Default: all that DeniedRepos does not name.
	AllowedRepos []string `json:"allowed_repos,omitempty"`
	// DeniedRepos are orgs and "org/repo"s that may not; they go before
	// AllowedRepos.
	DeniedRepos []string `json:"denied_repos,omitempty"`
}

// Names are the ConfigMaps the files may go to.
func (s *ConfigMapSpec) Names() []string {
	if s.Name != "" {
		return []string{s.Name}
	}
	return s.PartitionedNames
}

// Allows tells whether merges to a repository may change the ConfigMap.
func (s *ConfigMapSpec) Allows(org, repo string) bool {
	if listed(s.DeniedRepos, org, repo) {
		return false
	}
	return len(s.AllowedRepos) == 0 || listed(s.AllowedRepos, org, repo)
}

func (u *ConfigUpdater) resolve(r *rules) {
	if u.Maps == nil {
		u.Maps = map[string]ConfigMapSpec{
			"config/prow/config.yaml":  {Name: "config"},
			"config/prow/plugins.yaml": {Name: "plugins"},
		}
	}
	// A target is a key of a ConfigMap in a namespace of a cluster.
	type target struct{ key, name, namespace, cluster string }
	targets := map[target]string{}
	for _, glob := range sortedKeys(u.Maps) {
		field, spec := "config_updater.maps."+glob, u.Maps[glob]
		switch {
		case spec.Name != "" && len(spec.PartitionedNames) > 0:
			r.report(field+".name", "found together with partitioned_names, expected one of them")
		case spec.Name == "" && len(spec.PartitionedNames) == 0:
			r.report(field+".name", "missing, expected name or partitioned_names")
		case len(spec.PartitionedNames) > maxPartitions:
			r.report(field+".partitioned_names", "found %d names, expected at most %d", len(spec.PartitionedNames), maxPartitions)
		}
		switch {
		case len(spec.Clusters) > 0 && len(spec.ClusterGroups) > 0:
			r.report(field+".clusters", "found together with cluster_groups, expected one of them")
		case len(spec.ClusterGroups) > 0:
			spec.Clusters = u.clustersOf(spec.ClusterGroups, field, r)
		case len(spec.Clusters) == 0:
			spec.Clusters = map[string][]string{"default": {""}}
		}
		u.Maps[glob] = spec

		key := spec.Key
		if key == "" {
			key = path.Base(glob)
		}
		for _, name := range spec.Names() {
			for _, cluster := range sortedKeys(spec.Clusters) {
				for _, namespace := range spec.Clusters[cluster] {
					t := target{key, name, namespace, cluster}
					if first, clash := targets[t]; clash && first != glob {
						r.report(field, "goes to the key %q of ConfigMap %s in namespace %q of cluster %q, as %s does; they would overwrite each other",
							key, name, namespace, cluster, first)
						continue
					}
					targets[t] = glob
				}
			}
		}
	}
}

// clustersOf are the clusters and namespaces of groups.
func (u *ConfigUpdater) clustersOf(groups []string, field string, r *rules) map[string][]string {
	out := map[string][]string{}
	for i, name := range groups {
		group, ok := u.ClusterGroups[name]
		if !ok {
			r.report(fmt.Sprintf("%s.cluster_groups[%d]", field, i), "there is no cluster group %q, expected one of %q", name, sortedKeys(u.ClusterGroups))
			continue
		}
		for _, cluster := range group.Clusters {
			out[cluster] = appendNew(out[cluster], group.Namespaces)
		}
	}
	return out
}
