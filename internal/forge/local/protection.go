package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// protection is the stored form of branch protection, in the words of
// GitHub's request body.
type protection struct {
	RequiredStatusChecks           *checkProtection  `json:"required_status_checks"`
	EnforceAdmins                  bool              `json:"enforce_admins"`
	RequiredPullRequestReviews     *reviewProtection `json:"required_pull_request_reviews"`
	Restrictions                   *restrictions     `json:"restrictions"`
	RequiredLinearHistory          bool              `json:"required_linear_history"`
	AllowForcePushes               bool              `json:"allow_force_pushes"`
	AllowDeletions                 bool              `json:"allow_deletions"`
	BlockCreations                 bool              `json:"block_creations"`
	RequiredConversationResolution bool              `json:"required_conversation_resolution"`
	RequiredSignatures             bool              `json:"required_signatures"`
	LockBranch                     bool              `json:"lock_branch"`
	AllowForkSyncing               bool              `json:"allow_fork_syncing"`
}

// checkProtection names statuses and check runs that must have succeeded.
type checkProtection struct {
	Strict   bool       `json:"strict"`
	Contexts []string   `json:"contexts"`
	Checks   []appCheck `json:"checks"`
}

// appCheck is a required check; with an App only what this App reports counts.
type appCheck struct {
	Context string `json:"context"`
	AppID   *int64 `json:"app_id"` // nil or -1 for anybody
}

// settle makes contexts and checks tell the same: clients send one or the other.
func (p *checkProtection) settle() {
	if p.Checks == nil {
		for _, c := range p.Contexts {
			p.Checks = append(p.Checks, appCheck{Context: c})
		}
	}
	p.Contexts = []string{}
	for i := range p.Checks {
		if id := p.Checks[i].AppID; id != nil && *id < 0 {
			p.Checks[i].AppID = nil
		}
		if !slices.Contains(p.Contexts, p.Checks[i].Context) {
			p.Contexts = append(p.Contexts, p.Checks[i].Context)
		}
	}
}

// reviewProtection asks for approvals.
type reviewProtection struct {
	DismissStaleReviews          bool          `json:"dismiss_stale_reviews"`
	RequireCodeOwnerReviews      bool          `json:"require_code_owner_reviews"`
	RequiredApprovingReviewCount int           `json:"required_approving_review_count"`
	RequireLastPushApproval      bool          `json:"require_last_push_approval"`
	DismissalRestrictions        *restrictions `json:"dismissal_restrictions,omitempty"`
	Bypass                       *restrictions `json:"bypass_pull_request_allowances,omitempty"`
}

// restrictions are people, teams and Apps by login and slug.
type restrictions struct {
	Users []string `json:"users"`
	Teams []string `json:"teams"`
	Apps  []string `json:"apps"`
}

// list returns one of the three lists by its name.
func (r *restrictions) list(kind string) *[]string {
	return map[string]*[]string{"users": &r.Users, "teams": &r.Teams, "apps": &r.Apps}[kind]
}

// protection returns the rules of a branch, nil without any.
func (r *reader) protection(repoID int64, branch string) (*protection, error) {
	raw, err := one(r, scalar[string], "SELECT rules FROM protections WHERE repo_id = ? AND branch = ?", repoID, branch)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseProtection(branch, *raw)
}

func parseProtection(branch, raw string) (*protection, error) {
	var p protection
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return nil, fmt.Errorf("protection of branch %s: %w", branch, err)
	}
	if p.RequiredStatusChecks != nil {
		p.RequiredStatusChecks.settle()
	}
	return &p, nil
}

// rules turns branch protection into the form that is enforced.
func (p *protection) rules() *ruleSource {
	s := &ruleSource{Name: "branch protection", Classic: true, NoForce: !p.AllowForcePushes, NoDelete: !p.AllowDeletions, NoCreate: p.BlockCreations, NoUpdate: p.LockBranch,
		Linear: p.RequiredLinearHistory, Push: p.Restrictions, EnforceAdmins: p.EnforceAdmins}
	if c := p.RequiredStatusChecks; c != nil {
		s.Strict, s.Checks, s.HasChecks = c.Strict, c.Checks, true
	}
	if v := p.RequiredPullRequestReviews; v != nil {
		s.Reviews = &reviewRules{Count: v.RequiredApprovingReviewCount, DismissStale: v.DismissStaleReviews, CodeOwners: v.RequireCodeOwnerReviews, LastPush: v.RequireLastPushApproval, Bypass: v.Bypass}
	}
	return s
}
