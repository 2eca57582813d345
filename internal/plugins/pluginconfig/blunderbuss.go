package pluginconfig

import "regexp"

// Blunderbuss configures the plugin that asks for reviews.
type Blunderbuss struct {
	// ReviewerCount is how many reviewers are asked. Default: 2.
	ReviewerCount *int `json:"request_count,omitempty"`
	// MaxReviewerCount is how many are asked at most; 0 is no limit.
	MaxReviewerCount int `json:"max_request_count,omitempty"`
	// ExcludeApprovers never asks approvers.
	ExcludeApprovers bool `json:"exclude_approvers,omitempty"`
	// UseStatusAvailability leaves out people whose status says busy.
	UseStatusAvailability bool `json:"use_status_availability,omitempty"`
	// IgnoreDrafts waits until a draft is ready.
	IgnoreDrafts bool `json:"ignore_drafts,omitempty"`
	// IgnoreAuthors are logins whose pull requests are left alone.
	IgnoreAuthors []string `json:"ignore_authors,omitempty"`
	// WaitForStatus asks only after a status appeared.
	WaitForStatus *ContextMatch `json:"wait_for_status,omitempty"`
}

// ContextMatch is a status to wait for.
type ContextMatch struct {
	// Context defaults to tide, State to pending.
	Context string `json:"context,omitempty"`
	State   string `json:"state,omitempty"`
	// Description is a regular expression.
	Description string `json:"description,omitempty"`

	re *regexp.Regexp
}

const defaultWaitDescription = `Not mergeable. (PullRequest is missing sufficient approving GitHub review\(s\)|Needs (lgtm|approved|approved, lgtm) labels?)\.?`

// DescriptionRe is Description compiled.
func (m *ContextMatch) DescriptionRe() *regexp.Regexp { return m.re }

func (b *Blunderbuss) resolve(report reporter) {
	switch {
	case b.ReviewerCount == nil:
		b.ReviewerCount = new(int)
		*b.ReviewerCount = 2
	case *b.ReviewerCount < 1:
		report("blunderbuss.request_count", "found %d, expected at least 1", *b.ReviewerCount)
	}
	if m := b.WaitForStatus; m != nil {
		setDefault(&m.Context, "tide")
		setDefault(&m.State, "pending")
		setDefault(&m.Description, defaultWaitDescription)
		var err error
		if m.re, err = regexp.Compile(m.Description); err != nil {
			report("blunderbuss.wait_for_status.description", "%v", err)
		}
	}
}

func setDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
