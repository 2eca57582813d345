package report

import (
	"context"
	"fmt"
	"maps"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
)

// GivenUpAnnotation, followed by the name of a reporter, holds why a state of the
// job was not reported, in the form "<state>: <reason>".
const GivenUpAnnotation = "prow.k8s.io/report-given-up."

// maxReason bounds the reason in an annotation, in bytes.
const maxReason = 1024

// Record writes down in ProwJobs what one reporter has reported.
type Record struct {
	// Reporter is its name.
	Reporter string
	// Whole reads jobs as they are now.
	Whole client.Reader
	Jobs  client.Writer
}

// Write records that the state of a job was reported or, with a reason, given
// up. A state that changed meanwhile differs from the record, and is reported
// again. A job that is gone needs no record.
func (r Record) Write(ctx context.Context, reported *prowv1.ProwJob, reason string) error {
	key, name, state := client.ObjectKeyFromObject(reported), r.Reporter, reported.Status.State
	note := GivenUpAnnotation + name
	err := retry.OnError(retry.DefaultBackoff, apierrors.IsConflict, func() error {
		var job prowv1.ProwJob
		if err := r.Whole.Get(ctx, key, &job); err != nil {
			return err
		}
		if job.Status.PrevReportStates[name] == state && job.Annotations[note] == reason {
			return nil
		}
		after := job.DeepCopy()
		after.Status.PrevReportStates = maps.Clone(job.Status.PrevReportStates)
		if after.Status.PrevReportStates == nil {
			after.Status.PrevReportStates = map[string]prowv1.ProwJobState{}
		}
		after.Status.PrevReportStates[name] = state
		delete(after.Annotations, note)
		if reason != "" {
			if after.Annotations == nil {
				after.Annotations = map[string]string{}
			}
			after.Annotations[note] = cut(reason, maxReason)
		}
		return r.Jobs.Patch(ctx, after, client.MergeFrom(&job))
	})
	if err = client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("record the report of %s: %w", key, err)
	}
	return nil
}

// cut shortens text to at most limit bytes, between characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
