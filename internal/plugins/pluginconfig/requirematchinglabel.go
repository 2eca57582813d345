package pluginconfig

import (
	"regexp"
	"strings"
	"time"
)

// RequireMatchingLabel asks for a label of some kind.
type RequireMatchingLabel struct {
	// Org is the org.
	Org string `json:"org,omitempty"`
	// Repo is a repository, without its org. Default: all of the org.
	Repo string `json:"repo,omitempty"`
	// Branch is a base branch; it goes with PRs only. Default: all.
	Branch string `json:"branch,omitempty"`
	// PRs asks it of pull requests. Default: false.
	PRs bool `json:"prs,omitempty"`
	// Issues asks it of issues. Default: false.
	Issues bool `json:"issues,omitempty"`
	// Regexp matches the labels one of which is needed.
	Regexp string `json:"regexp,omitempty"`
	// MissingLabel is set where none is found; Regexp must not match it.
	MissingLabel string `json:"missing_label,omitempty"`
	// MissingComment is what people are told. Default: nothing.
	MissingComment string `json:"missing_comment,omitempty"`
	// GracePeriod is how long people have to set labels, as a Go duration.
	// Default: 5s.
	GracePeriod string `json:"grace_period,omitempty"`

	re    *regexp.Regexp
	grace time.Duration
}

// Re is Regexp compiled.
func (m *RequireMatchingLabel) Re() *regexp.Regexp { return m.re }

// GracePeriodDuration is GracePeriod parsed.
func (m *RequireMatchingLabel) GracePeriodDuration() time.Duration { return m.grace }

func (c *Configuration) resolveRequireMatchingLabel(r *rules) {
	for i := range c.RequireMatchingLabel {
		c.RequireMatchingLabel[i].resolve(element("require_matching_label", i), r)
	}
}

func (m *RequireMatchingLabel) resolve(field string, r *rules) {
	setDefault(&m.GracePeriod, "5s")
	var err error
	if m.grace, err = time.ParseDuration(m.GracePeriod); err != nil {
		r.report(field+".grace_period", "found %q, expected a duration such as 5s", m.GracePeriod)
	}
	if m.Regexp == "" {
		r.report(field+".regexp", "missing, expected a regular expression of labels")
	} else if m.re = r.regexp(field+".regexp", m.Regexp); m.re != nil && m.MissingLabel != "" && m.re.MatchString(m.MissingLabel) {
		r.report(field+".regexp", "matches missing_label %q, expected an expression that does not: the label would take itself away", m.MissingLabel)
	}
	if m.Org == "" {
		r.report(field+".org", "missing, expected an org")
	}
	if strings.Contains(m.Repo, "/") {
		r.report(field+".repo", "found %q, expected a name without a slash", m.Repo)
	}
	if m.MissingLabel == "" {
		r.report(field+".missing_label", "missing, expected a label")
	}
	if !m.PRs && !m.Issues {
		r.report(field, "found neither prs nor issues, expected at least one of them")
	}
	if m.Branch != "" && !m.PRs {
		r.report(field+".branch", "found without prs; only pull requests have a branch")
	}
}
