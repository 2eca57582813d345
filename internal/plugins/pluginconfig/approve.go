package pluginconfig

// Approve configures the plugin approve.
type Approve struct {
	// Repos are orgs and "org/repo"s; each may stand in one entry only.
	Repos []string `json:"repos,omitempty"`
	// IssueRequired asks for a linked issue. Default: false.
	IssueRequired bool `json:"issue_required,omitempty"`
	// RequireSelfApproval takes from authors the approval they give by opening.
	// Default: false.
	RequireSelfApproval *bool `json:"require_self_approval,omitempty"`
	// LgtmActsAsApprove makes /lgtm count as /approve. Default: false.
	LgtmActsAsApprove bool `json:"lgtm_acts_as_approve,omitempty"`
	// IgnoreReviewState keeps GitHub's reviews from counting. Default: false.
	IgnoreReviewState *bool `json:"ignore_review_state,omitempty"`
	// CommandHelpLink is linked in the notification. Default: https://go.k8s.io/bot-commands.
	CommandHelpLink string `json:"commandHelpLink,omitempty"`
	// PrProcessLink is linked in the notification. Default: the Kubernetes
	// project's code review process.
	PrProcessLink string `json:"pr_process_link,omitempty"`
}

const (
	defaultCommandHelpLink = "https://go.k8s.io/bot-commands"
	defaultPrProcessLink   = "https://git.k8s.io/community/contributors/guide/owners.md#the-code-review-process"
)

// HasSelfApproval tells whether authors approve their own changes by opening
// the pull request.
func (a Approve) HasSelfApproval() bool {
	return a.RequireSelfApproval == nil || !*a.RequireSelfApproval
}

// ConsiderReviewState tells whether GitHub's reviews count.
func (a Approve) ConsiderReviewState() bool {
	return a.IgnoreReviewState == nil || !*a.IgnoreReviewState
}

func (a *Approve) setDefaults() {
	if a.CommandHelpLink == "" {
		a.CommandHelpLink = defaultCommandHelpLink
	}
	if a.PrProcessLink == "" {
		a.PrProcessLink = defaultPrProcessLink
	}
}

// ApproveFor is the configuration of approve for a repository.
func (c *Configuration) ApproveFor(org, repo string) Approve {
	a, ok := forRepo(c.Approve, func(a *Approve) []string { return a.Repos }, org, repo)
	if !ok {
		a = Approve{Repos: []string{org + "/" + repo}}
	}
	a.setDefaults()
	return a
}
