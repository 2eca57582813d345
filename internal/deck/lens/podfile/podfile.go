// Package podfile reads podinfo.json, what the build cluster knew about the pod of a
// run, for the lenses that show it or conclude something from it.
package podfile

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/deck/lens"
	"prow/internal/deck/lens/look"
)

// MaxBytes is the size of a file that is read.
const MaxBytes = 10 << 20

// Info is the content of podinfo.json. Everything in it may be missing.
type Info struct {
	Pod    *corev1.Pod    `json:"pod,omitempty"`
	Events []corev1.Event `json:"events,omitempty"`
	Node   *corev1.Node   `json:"node,omitempty"`
}

// Parse reads the file. Events are sorted, the newest first.
func Parse(raw []byte) (*Info, error) {
	info := &Info{}
	if err := look.JSON(raw, info); err != nil {
		return nil, err
	}
	slices.SortStableFunc(info.Events, func(a, b corev1.Event) int { return LastSeen(&b).Compare(LastSeen(&a)) })
	return info, nil
}

// LastSeen is when an event happened last.
func LastSeen(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	case !e.FirstTimestamp.IsZero():
		return e.FirstTimestamp.Time
	}
	return e.CreationTimestamp.Time
}

// Read reads and parses an artifact.
func Read(ctx context.Context, a lens.Artifact) (*Info, error) {
	raw, err := lens.ReadAll(ctx, a, MaxBytes)
	if err != nil {
		return nil, err
	}
	return Parse(raw)
}

// ReadProwJob reads prowjob.json.
func ReadProwJob(ctx context.Context, a lens.Artifact) (*v1.ProwJob, error) {
	raw, err := lens.ReadAll(ctx, a, MaxBytes)
	if err != nil {
		return nil, err
	}
	return ParseProwJob(raw)
}

// ParseProwJob reads the content of prowjob.json.
func ParseProwJob(raw []byte) (*v1.ProwJob, error) {
	pj := &v1.ProwJob{}
	if err := look.JSON(raw, pj); err != nil {
		return nil, fmt.Errorf("it is no ProwJob: %w", err)
	}
	return pj, nil
}
