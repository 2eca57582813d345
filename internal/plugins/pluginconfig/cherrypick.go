package pluginconfig

import "regexp"

const (
	defaultCherryPickBranches = `^release-.*$`
	defaultCherryPickComment  = "This pull request is for a release branch and has not been approved for it, so it gets the label " +
		"`do-not-merge/cherry-pick-not-approved`. It can merge once a release manager has set the label `cherry-pick-approved`."
)

// CherryPickApproved says who approves cherry-picks of a repository.
type CherryPickApproved struct {
	// Org is the org of the repository.
	Org string `json:"org,omitempty"`
	// Repo is the repository, without its org.
	Repo string `json:"repo,omitempty"`
	// BranchRegexp says which base branches are release branches. Default: ^release-.*$.
	BranchRegexp string `json:"branchregexp,omitempty"`
	// Approvers are logins.
	Approvers []string `json:"approvers,omitempty"`
	// AllowMissingApprovedLabel acts without the label approved. Default: false.
	AllowMissingApprovedLabel bool `json:"allow_missing_approved_label,omitempty"`
	// AllowMissingLGTMLabel acts without the label lgtm. Default: false.
	AllowMissingLGTMLabel bool `json:"allow_missing_lgtm_label,omitempty"`

	branchRe *regexp.Regexp
}

// BranchRe is BranchRegexp compiled.
func (a *CherryPickApproved) BranchRe() *regexp.Regexp { return a.branchRe }

// CherryPickUnapproved configures the plugin that marks cherry-picks that
// nobody approved.
type CherryPickUnapproved struct {
	// BranchRegexp says which base branches are release branches. Default: ^release-.*$.
	BranchRegexp string `json:"branchregexp,omitempty"`
	// Comment is what people are told. It also marks the comments that are
	// pruned later. Default: names both labels.
	Comment string `json:"comment,omitempty"`

	branchRe *regexp.Regexp
}

// BranchRe is BranchRegexp compiled.
func (u *CherryPickUnapproved) BranchRe() *regexp.Regexp { return u.branchRe }

func (c *Configuration) resolveCherryPicks(r *rules) {
	setDefault(&c.CherryPickUnapproved.BranchRegexp, defaultCherryPickBranches)
	setDefault(&c.CherryPickUnapproved.Comment, defaultCherryPickComment)
	c.CherryPickUnapproved.branchRe = r.regexp("cherry_pick_unapproved.branchregexp", c.CherryPickUnapproved.BranchRegexp)
	for i := range c.CherryPickApproved {
		a := &c.CherryPickApproved[i]
		setDefault(&a.BranchRegexp, defaultCherryPickBranches)
		a.branchRe = r.regexp(element("cherry_pick_approved", i)+".branchregexp", a.BranchRegexp)
	}
}
