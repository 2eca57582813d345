package config

import (
	v1 "prow/api/prowjobs/v1"
)

// SlackReport says where and when jobs of an org or repository are reported to
// Slack.
type SlackReport struct {
	// JobTypesToReport limits the types that are reported.
	JobTypesToReport []v1.ProwJobType `json:"job_types_to_report,omitempty"`

	v1.SlackReporterConfig
}

// DefaultSlackTemplate is used where none is configured.
const DefaultSlackTemplate = `Job {{.Spec.Job}} of type {{.Spec.Type}} ended with state {{.Status.State}}. <{{.Status.URL}}|View logs>`
