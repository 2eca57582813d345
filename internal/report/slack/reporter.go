// Package slack reports ProwJobs in channels of Slack, as the configuration of
// the repository and of the job say.
package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/report"
)

// Name is the key of the reporter in status.prev_report_states.
const Name = "slackreporter"

// DefaultHost is the workspace of configurations that name none.
const DefaultHost = "*"

const (
	// reportLimit bounds one report.
	reportLimit = 30 * time.Second
	// maxText is how many bytes of a message are sent; Slack cuts longer ones.
	maxText = 40000
)

// Messenger sends a message to a channel of one workspace.
type Messenger interface {
	Send(ctx context.Context, channel, text string) error
}

// Reporter sends messages about jobs.
type Reporter struct {
	// Hosts are the workspaces by name.
	Hosts  map[string]Messenger
	Config func() *config.Config
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return Name }

// rule is what the configuration says about one job.
type rule struct {
	prowv1.SlackReporterConfig
	types []prowv1.ProwJobType
	// ownChannel tells that the job itself names a channel.
	ownChannel bool
}

// ruleFor joins what a repository and a job say; what the job says wins.
func ruleFor(cfg *config.Config, job *prowv1.ProwJob) rule {
	global, _ := cfg.SlackReportFor(job.Spec.MainRefs())
	out := rule{SlackReporterConfig: global.SlackReporterConfig, types: global.JobTypesToReport}
	if c := job.Spec.ReporterConfig; c != nil && c.Slack != nil {
		own := c.Slack
		out.ownChannel = own.Channel != ""
		if own.Host != "" {
			out.Host = own.Host
		}
		if own.Channel != "" {
			out.Channel = own.Channel
		}
		if own.JobStatesToReport != nil {
			out.JobStatesToReport = own.JobStatesToReport
		}
		if own.Report != nil {
			out.Report = own.Report
		}
		if own.ReportTemplate != "" {
			out.ReportTemplate = own.ReportTemplate
		}
	}
	return out
}

// ShouldReport takes the states that are listed, of jobs whose type is listed or
// that name a channel themselves. Whether the job reports elsewhere does not matter.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	c := ruleFor(r.Config(), job)
	if len(c.JobStatesToReport) == 0 || c.Report != nil && !*c.Report || !slices.Contains(c.JobStatesToReport, job.Status.State) {
		return false
	}
	return c.ownChannel || slices.Contains(c.types, job.Spec.Type)
}

// Report sends the message.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	c := ruleFor(r.Config(), job)
	host := c.Host
	if host == "" {
		host = DefaultHost
	}
	messenger := r.Hosts[host]
	if messenger == nil {
		return nil, 0, report.UserError(fmt.Errorf("there is no Slack token for host %q", host))
	}
	if c.Channel == "" {
		return nil, 0, report.UserError(fmt.Errorf("no Slack channel is configured for job %s", job.Spec.Job))
	}
	text, err := render(c.ReportTemplate, job)
	if err != nil {
		return nil, 0, report.UserError(err)
	}
	if err := messenger.Send(ctx, c.Channel, text); err != nil {
		return nil, 0, fmt.Errorf("send to Slack channel %s: %w", c.Channel, err)
	}
	return []*prowv1.ProwJob{job}, 0, nil
}

func render(text string, job *prowv1.ProwJob) (string, error) {
	if text == "" {
		text = config.DefaultSlackTemplate
	}
	t, err := template.New("slack").Parse(text)
	if err != nil {
		return "", fmt.Errorf("the template of the Slack message: %w", err)
	}
	var b limited
	if err := t.Execute(&b, job); err != nil {
		return "", fmt.Errorf("the template of the Slack message: %w", err)
	}
	return strings.ToValidUTF8(b.String(), ""), nil
}

// limited keeps the beginning of what is written, so that no template fills memory.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxText {
		return 0, fmt.Errorf("the message is longer than %d bytes", maxText)
	}
	return l.Builder.Write(p)
}
