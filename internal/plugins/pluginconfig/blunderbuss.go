package pluginconfig

import (
	"regexp"
	"slices"
	"strings"
)

// Blunderbuss configures the plugins that ask for reviews: blunderbuss, which
// chooses among owners, and rifle, which chooses by blame.
type Blunderbuss struct {
	// ReviewerCount is how many reviewers are asked; at least 1. Default: 2.
	ReviewerCount *int `json:"request_count,omitempty"`
	// MaxReviewerCount is how many are asked at most; 0 is no limit. Default: 0.
	MaxReviewerCount int `json:"max_request_count,omitempty"`
	// ExcludeApprovers never asks approvers. Default: false.
	ExcludeApprovers bool `json:"exclude_approvers,omitempty"`
	// UseStatusAvailability leaves out people whose status says busy. Default: false.
	UseStatusAvailability bool `json:"use_status_availability,omitempty"`
	// IgnoreDrafts waits until a draft is ready. Default: false.
	IgnoreDrafts bool `json:"ignore_drafts,omitempty"`
	// IgnoreAuthors are logins whose pull requests are left alone.
	IgnoreAuthors []string `json:"ignore_authors,omitempty"`
	// WaitForStatus asks only after a status appeared. Default: at once.
	WaitForStatus *ContextMatch `json:"wait_for_status,omitempty"`
}

// ContextMatch is a status to wait for.
type ContextMatch struct {
	// Context is its name. Default: tide.
	Context string `json:"context,omitempty"`
	// State is its state. Default: pending.
	State string `json:"state,omitempty"`
	// Description is a regular expression of its description. Default: what
	// Tide says where only approval is missing.
	Description string `json:"description,omitempty"`

	re *regexp.Regexp
}

const defaultWaitDescription = `Not mergeable. (PullRequest is missing sufficient approving GitHub review\(s\)|Needs (lgtm|approved|approved, lgtm) labels?)\.?`

// DescriptionRe is Description compiled.
func (m *ContextMatch) DescriptionRe() *regexp.Regexp { return m.re }

func (b *Blunderbuss) resolve(section string, r *rules) {
	switch {
	case b.ReviewerCount == nil:
		b.ReviewerCount = new(int)
		*b.ReviewerCount = 2
	case *b.ReviewerCount < 1:
		r.report(section+".request_count", "found %d, expected at least 1", *b.ReviewerCount)
	}
	if m := b.WaitForStatus; m != nil {
		setDefault(&m.Context, "tide")
		setDefault(&m.State, "pending")
		setDefault(&m.Description, defaultWaitDescription)
		m.re = r.regexp(section+".wait_for_status.description", m.Description)
	}
}

// checkReviewers refuses repositories that would use both blunderbuss and
// rifle: each asks for reviews on its own.
func (c *Configuration) checkReviewers(r *rules) {
	const one, other = "blunderbuss", "rifle"
	for _, key := range sortedKeys(c.Plugins) {
		own := c.Plugins[key].Plugins
		if slices.Contains(own, one) && slices.Contains(own, other) {
			r.report("plugins."+key, "found both %s and %s, expected one of them", one, other)
			continue
		}
		org, repo, isRepo := strings.Cut(key, "/")
		if !isRepo || slices.Contains(c.Plugins[org].ExcludedRepos, repo) {
			continue
		}
		ofOrg := c.Plugins[org].Plugins
		for _, pair := range [][2]string{{one, other}, {other, one}} {
			if slices.Contains(own, pair[0]) && slices.Contains(ofOrg, pair[1]) {
				r.report("plugins."+key, "found %s, but the org %s uses %s, expected one of them", pair[0], org, pair[1])
			}
		}
	}
}
