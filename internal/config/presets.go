package config

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// checkPresets refuses two presets that share a label with its value, even if
// their other labels differ: jobs could not tell them apart.
func checkPresets(presets []Preset, ps *problems) {
	first := map[[2]string]*Preset{}
	for i := range presets {
		p := &presets[i]
		for _, key := range slices.Sorted(maps.Keys(p.Labels)) {
			pair := [2]string{key, p.Labels[key]}
			if other, dup := first[pair]; dup {
				ps.add(Problem{
					File: p.source.file, Line: p.source.line, Column: p.source.column,
					Field:   "presets.labels." + key,
					Message: fmt.Sprintf("found the label %s: %s, which the preset at %s:%d has as well", key, pair[1], other.source.file, other.source.line),
				})
				continue
			}
			first[pair] = p
		}
	}
}

// matches tells whether a job with the labels asks for the preset.
func (p *Preset) matches(labels map[string]string) bool {
	for key, value := range p.Labels {
		if have, ok := labels[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// applyPresets returns the spec with the presets that the labels ask for.
// The spec it is given stays as it is. Init containers are left alone.
func applyPresets(spec *corev1.PodSpec, labels map[string]string, presets []Preset, limit *budget, report fieldReporter) *corev1.PodSpec {
	if spec == nil {
		return nil
	}
	copied := false
	for i := range presets {
		p := &presets[i]
		if !p.matches(labels) {
			continue
		}
		if limit != nil && !limit.spend(presetBytes(p, spec)) {
			report("labels", "%v", errOverBudget)
			return spec
		}
		if !copied {
			spec, copied = copyForPresets(spec), true
		}
		p.apply(spec, report)
	}
	return spec
}

// copyForPresets copies as much of a spec as presets change.
func copyForPresets(spec *corev1.PodSpec) *corev1.PodSpec {
	out := *spec
	out.Volumes = slices.Clip(out.Volumes)
	out.Tolerations = slices.Clip(out.Tolerations)
	out.Containers = slices.Clone(out.Containers)
	for i := range out.Containers {
		c := &out.Containers[i]
		c.Env, c.VolumeMounts = slices.Clip(c.Env), slices.Clip(c.VolumeMounts)
	}
	return &out
}

func (p *Preset) apply(spec *corev1.PodSpec, report fieldReporter) {
	clash := func(field, what, name string) {
		report(field, "%s %s of the preset at %s:%d is already there", what, name, p.source.file, p.source.line)
	}
	spec.Tolerations = appendNew(spec.Tolerations, p.Tolerations, keyOfToleration, func(t *corev1.Toleration) {
		clash("spec.tolerations", "the toleration", t.Key)
	})
	spec.Volumes = appendNew(spec.Volumes, p.Volumes, func(v *corev1.Volume) string { return v.Name }, func(v *corev1.Volume) {
		clash("spec.volumes", "the volume", v.Name)
	})
	for i := range spec.Containers {
		c := &spec.Containers[i]
		c.Env = appendNew(c.Env, p.Env, func(e *corev1.EnvVar) string { return e.Name }, func(e *corev1.EnvVar) {
			clash(fmt.Sprintf("spec.containers[%d].env", i), "the variable", e.Name)
		})
		c.VolumeMounts = appendNew(c.VolumeMounts, p.VolumeMounts, func(m *corev1.VolumeMount) string { return m.Name }, func(m *corev1.VolumeMount) {
			clash(fmt.Sprintf("spec.containers[%d].volumeMounts", i), "the mount of", m.Name)
		})
	}
}

// tolerationKey is all of a toleration.
type tolerationKey struct {
	corev1.Toleration
	limited bool
	seconds int64
}

func keyOfToleration(t *corev1.Toleration) tolerationKey {
	key := tolerationKey{Toleration: *t}
	if t.TolerationSeconds != nil {
		key.TolerationSeconds, key.limited, key.seconds = nil, true, *t.TolerationSeconds
	}
	return key
}

// few is how many elements are compared with each other; with more a set is
// made, so that long lists cost no more than their length.
const few = 32

// appendNew appends the elements whose key no element has, and tells the others.
func appendNew[T any, K comparable](have, add []T, key func(*T) K, clash func(*T)) []T {
	if len(have)+len(add) <= few {
		for i := range add {
			if hasKey(have, key, key(&add[i])) {
				clash(&add[i])
				continue
			}
			have = append(have, add[i])
		}
		return have
	}
	seen := make(map[K]bool, len(have)+len(add))
	for i := range have {
		seen[key(&have[i])] = true
	}
	for i := range add {
		k := key(&add[i])
		if seen[k] {
			clash(&add[i])
			continue
		}
		seen[k] = true
		have = append(have, add[i])
	}
	return have
}

func hasKey[T any, K comparable](list []T, key func(*T) K, k K) bool {
	for i := range list {
		if key(&list[i]) == k {
			return true
		}
	}
	return false
}

// nameSet tells quickly whether it has a name, however many there are.
type nameSet struct {
	list []string
	set  map[string]bool
}

func (n *nameSet) add(names ...string) {
	n.list = append(n.list, names...)
	switch {
	case len(n.list) <= few:
		return
	case n.set == nil:
		n.set = make(map[string]bool, len(n.list))
		names = n.list
	}
	for _, name := range names {
		n.set[name] = true
	}
}

func (n *nameSet) has(name string) bool {
	if n.set != nil {
		return n.set[name]
	}
	return slices.Contains(n.list, name)
}
