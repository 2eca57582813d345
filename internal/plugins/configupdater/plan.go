package configupdater

import (
	"cmp"
	"crypto/sha256"
	"path"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// target is a ConfigMap.
type target struct{ cluster, namespace, name string }

// update is what becomes of a key.
type update struct {
	key string
	// file is where the value comes from, or came from.
	file string
	// remove tells that the file is there no longer.
	remove bool
	gzip   bool
}

// plan says what a merge changes in which ConfigMaps. The updates of each are in
// order of their keys; where one file leaves a key and another takes it, the key
// stays.
func plan(cfg *pluginconfig.ConfigUpdater, org, repo, jobNamespace string, changes []github.PullRequestChange) map[target][]update {
	match := cfg.Matcher()
	byKey := map[target]map[string]update{}
	note := func(file string, remove bool) {
		spec, ok := match(file)
		if !ok || !spec.Allows(org, repo) {
			return
		}
		u := update{key: keyOf(&spec, file), file: file, remove: remove, gzip: cfg.GZIP}
		if spec.GZIP != nil {
			u.gzip = *spec.GZIP
		}
		for cluster, namespaces := range spec.Clusters {
			for _, namespace := range namespaces {
				t := target{cluster, cmp.Or(namespace, jobNamespace), nameOf(&spec, u.key)}
				if byKey[t] == nil {
					byKey[t] = map[string]update{}
				}
				if old, taken := byKey[t][u.key]; !taken || old.remove {
					byKey[t][u.key] = u
				}
			}
		}
	}
	for _, c := range changes {
		switch c.Status {
		case "removed":
			note(c.Filename, true)
		case "renamed":
			note(c.PreviousFilename, true)
			note(c.Filename, false)
		case "unchanged":
		default: // added, modified, changed, copied
			note(c.Filename, false)
		}
	}
	out := map[target][]update{}
	for t, updates := range byKey {
		for _, u := range updates {
			out[t] = append(out[t], u)
		}
		slices.SortFunc(out[t], func(a, b update) int { return cmp.Compare(a.key, b.key) })
	}
	return out
}

// ordered are the ConfigMaps of a plan in order.
func ordered(p map[target][]update) []target {
	var out []target
	for t := range p {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	return out
}

func keyOf(spec *pluginconfig.ConfigMapSpec, file string) string {
	switch {
	case spec.Key != "":
		return spec.Key
	case spec.UseFullPathAsKey:
		return strings.ReplaceAll(file, "/", "-")
	}
	return path.Base(file)
}

// nameOf is the ConfigMap of a key; of several the hash of the key chooses one.
func nameOf(spec *pluginconfig.ConfigMapSpec, key string) string {
	names := spec.Names()
	if len(names) == 0 {
		return ""
	}
	hash := sha256.Sum256([]byte(key))
	return names[int(hash[0])%len(names)]
}
