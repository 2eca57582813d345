package config

import (
	"cmp"
	"io"
	"maps"
	"slices"

	v1 "prow/api/prowjobs/v1"
)

// SlackReport says where and when jobs of an org or repository are reported to
// Slack.
type SlackReport struct {
	// JobTypesToReport are the types that are reported. Default: none.
	JobTypesToReport []v1.ProwJobType `json:"job_types_to_report,omitempty"`

	v1.SlackReporterConfig
}

// DefaultSlackTemplate is used where none is configured.
const DefaultSlackTemplate = `Job {{.Spec.Job}} of type {{.Spec.Type}} ended with state {{.Status.State}}. <{{.Status.URL}}|View logs>`

func (c *ProwConfig) resolveSlack(s *sectionContext) {
	for _, key := range slices.Sorted(maps.Keys(c.SlackReporterConfigs)) {
		report, field := c.SlackReporterConfigs[key], "slack_reporter_configs."+key
		defaultTo(&report.ReportTemplate, DefaultSlackTemplate)
		if report.Channel == "" {
			s.report(field+".channel", "missing, expected the name of a channel")
		}
		if t := checkTemplate(s.report, field+".report_template", "Slack", report.ReportTemplate, nil); t != nil {
			// An empty ProwJob has no refs: templates must guard against that.
			if err := t.Execute(io.Discard, &v1.ProwJob{}); err != nil {
				s.report(field+".report_template", "the template fails on a job without refs: %v", err)
			}
		}
		c.SlackReporterConfigs[key] = report
	}
}

// SlackReportFor returns what is configured for jobs with the refs; ok is
// false where nothing is.
func (c *ProwConfig) SlackReportFor(refs *v1.Refs) (report SlackReport, ok bool) {
	if refs == nil {
		report, ok = c.SlackReporterConfigs["*"]
		return report, ok
	}
	return byRepo(c.SlackReporterConfigs, refs.Org, refs.Repo)
}

// SlackReportOf returns what is configured for a job: what its own
// reporter_config says, and the rest from the entry of its repository; ok is
// false where there is neither.
func (c *ProwConfig) SlackReportOf(spec *v1.ProwJobSpec) (report SlackReport, ok bool) {
	report, ok = c.SlackReportFor(spec.MainRefs())
	if spec.ReporterConfig == nil || spec.ReporterConfig.Slack == nil {
		return report, ok
	}
	own, global := *spec.ReporterConfig.Slack, report.SlackReporterConfig
	own.Channel = cmp.Or(own.Channel, global.Channel)
	own.Host = cmp.Or(own.Host, global.Host)
	own.ReportTemplate = cmp.Or(own.ReportTemplate, global.ReportTemplate)
	own.Report = cmp.Or(own.Report, global.Report)
	if own.JobStatesToReport == nil {
		own.JobStatesToReport = global.JobStatesToReport
	}
	report.SlackReporterConfig = own
	return report, true
}
