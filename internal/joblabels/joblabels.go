// Package joblabels derives the labels and annotations by which people and
// programs find a ProwJob and its workload.
//
// Labels are selected on, so they must be valid label values: long names are
// cut and odd ones reduced to their last path element. Annotations carry the
// same facts in full.
package joblabels

import (
	"log/slog"
	"maps"
	"path"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	v1 "prow/api/prowjobs/v1"
)

// For returns the labels and annotations of a ProwJob with the given spec, or
// of a workload made from it. The extras win over every derived value; the
// arguments are not changed.
//
// No label is ever invalid: a value that is not a valid label value gives way
// to its last path element, and where that is not valid either the label is
// dropped with a warning. Annotation values are never altered.
func For(spec v1.ProwJobSpec, extraLabels, extraAnnotations map[string]string) (labels, annotations map[string]string) {
	labels = map[string]string{
		v1.CreatedByProwLabel: "true",
		v1.TypeLabel:          string(spec.Type),
		v1.JobLabel:           truncate(spec.Job),
		v1.ContextLabel:       truncate(spec.Context),
	}
	annotations = map[string]string{
		v1.JobAnnotation:     spec.Job,
		v1.ContextAnnotation: spec.Context,
	}
	if refs := spec.MainRefs(); refs != nil {
		labels[v1.OrgLabel] = refs.Org
		labels[v1.RepoLabel] = refs.Repo
		labels[v1.BaseRefLabel] = refs.BaseRef
		if len(refs.Pulls) > 0 {
			labels[v1.PullLabel] = strconv.Itoa(refs.Pulls[0].Number)
		}
	}
	maps.Copy(labels, extraLabels)
	maps.Copy(annotations, extraAnnotations)
	makeValid(labels)
	return labels, annotations
}

// truncate cuts a name to the length of a label value, and then whatever such
// a value may not end with. Two long names may end up equal: the annotation
// tells them apart.
func truncate(name string) string {
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	return strings.TrimRight(name[:validation.LabelValueMaxLength], "._-")
}

func makeValid(labels map[string]string) {
	for key, value := range labels {
		if isValue(value) {
			continue
		}
		if base := path.Base(value); isValue(base) {
			labels[key] = base
			continue
		}
		slog.Warn("Leaving out a label: its value is not a valid label value.", "label", key, "value", value)
		delete(labels, key)
	}
}

func isValue(value string) bool {
	return len(validation.IsValidLabelValue(value)) == 0
}
