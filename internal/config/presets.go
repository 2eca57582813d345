package config

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
	clash := func(field, what string) {
		report(field, "%s of the preset at %s:%d is already there", what, p.source.file, p.source.line)
	}
	for _, t := range p.Tolerations {
		if slices.ContainsFunc(spec.Tolerations, func(have corev1.Toleration) bool { return equality.Semantic.DeepEqual(have, t) }) {
			clash("spec.tolerations", fmt.Sprintf("the toleration %s", t.Key))
			continue
		}
		spec.Tolerations = append(spec.Tolerations, t)
	}
	for _, v := range p.Volumes {
		if slices.ContainsFunc(spec.Volumes, func(have corev1.Volume) bool { return have.Name == v.Name }) {
			clash("spec.volumes", fmt.Sprintf("the volume %s", v.Name))
			continue
		}
		spec.Volumes = append(spec.Volumes, v)
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		for _, e := range p.Env {
			if slices.ContainsFunc(c.Env, func(have corev1.EnvVar) bool { return have.Name == e.Name }) {
				clash(fmt.Sprintf("spec.containers[%d].env", i), fmt.Sprintf("the variable %s", e.Name))
				continue
			}
			c.Env = append(c.Env, e)
		}
		for _, m := range p.VolumeMounts {
			if slices.ContainsFunc(c.VolumeMounts, func(have corev1.VolumeMount) bool { return have.Name == m.Name }) {
				clash(fmt.Sprintf("spec.containers[%d].volumeMounts", i), fmt.Sprintf("the mount of %s", m.Name))
				continue
			}
			c.VolumeMounts = append(c.VolumeMounts, m)
		}
	}
}
