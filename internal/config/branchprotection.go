package config

// BranchProtection configures the protection of branches, and which contexts
// Tide takes from it.
type BranchProtection struct {
	Policy

	// ProtectTestedRepos protects branches that have required jobs. Default:
	// false.
	ProtectTestedRepos *bool `json:"protect-tested-repos,omitempty"`
	// Orgs maps an org to its policy.
	Orgs map[string]BranchProtectionOrg `json:"orgs,omitempty"`
	// AllowDisabledPolicies accepts settings on branches that are not protected.
	// Default: false.
	AllowDisabledPolicies *bool `json:"allow_disabled_policies,omitempty"`
	// AllowDisabledJobPolicies accepts required jobs on branches that are not
	// protected. Default: false.
	AllowDisabledJobPolicies *bool `json:"allow_disabled_job_policies,omitempty"`
	// ProtectReposWithOptionalJobs counts optional jobs as a reason to protect.
	// Default: false.
	ProtectReposWithOptionalJobs *bool `json:"protect_repos_with_optional_jobs,omitempty"`
}

// BranchProtectionOrg is the policy of an org and of its repositories.
type BranchProtectionOrg struct {
	Policy

	// Repos maps a repository, without its org, to its own policy.
	Repos map[string]BranchProtectionRepo `json:"repos,omitempty"`
}

// BranchProtectionRepo is the policy of a repository and of its branches.
type BranchProtectionRepo struct {
	Policy

	// Branches maps a branch, by its name, to its own policy, which must end up
	// with protect set or unmanaged true.
	Branches map[string]BranchProtectionBranch `json:"branches,omitempty"`
}

// BranchProtectionBranch is the policy of one branch.
type BranchProtectionBranch struct {
	Policy
}

// Policy holds the settings of one level; unset ones are inherited.
type Policy struct {
	// Unmanaged leaves the branch alone. Default: inherited, else false.
	Unmanaged *bool `json:"unmanaged,omitempty"`
	// Protect switches the protection on or off. Default: inherited.
	Protect *bool `json:"protect,omitempty"`
	// RequiredStatusChecks name the contexts that must succeed.
	RequiredStatusChecks *StatusChecks `json:"required_status_checks,omitempty"`
	// EnforceAdmins binds administrators as well. Default: inherited.
	EnforceAdmins *bool `json:"enforce_admins,omitempty"`
	// Restrictions say who may push.
	Restrictions *Restrictions `json:"restrictions,omitempty"`
	// RequireManuallyTriggeredJobs requires jobs that only run on request.
	RequireManuallyTriggeredJobs *bool `json:"require_manually_triggered_jobs,omitempty"`
	// RequiredPullRequestReviews say which reviews are needed.
	RequiredPullRequestReviews *ReviewPolicy `json:"required_pull_request_reviews,omitempty"`
	// RequiredLinearHistory refuses merge commits. Default: inherited.
	RequiredLinearHistory *bool `json:"required_linear_history,omitempty"`
	// AllowForcePushes permits force pushes. Default: inherited.
	AllowForcePushes *bool `json:"allow_force_pushes,omitempty"`
	// AllowDeletions permits to delete the branch. Default: inherited.
	AllowDeletions *bool `json:"allow_deletions,omitempty"`
	// RequireSignedCommits refuses commits without a signature. Default:
	// inherited.
	RequireSignedCommits *bool `json:"require_signed_commits,omitempty"`
	// Include are regular expressions of the only branches to protect; united with
	// those of the levels above. At the top it excludes exclude.
	Include []string `json:"include,omitempty"`
	// Exclude are regular expressions of branches to leave out; united with those
	// of the levels above. At the top it excludes include.
	Exclude []string `json:"exclude,omitempty"`
}

// StatusChecks name the contexts that must succeed.
type StatusChecks struct {
	// Contexts are the names of statuses, beside those of required jobs; united
	// with those of the levels above.
	Contexts []string `json:"contexts,omitempty"`
	// Strict asks for branches to be up to date. Default: inherited.
	Strict *bool `json:"strict,omitempty"`
}

// Restrictions say who may push.
type Restrictions struct {
	// Apps are slugs of GitHub Apps; united with those of the levels above.
	Apps []string `json:"apps,omitempty"`
	// Users are logins; united with those of the levels above.
	Users []string `json:"users,omitempty"`
	// Teams are slugs of teams; united with those of the levels above.
	Teams []string `json:"teams,omitempty"`
}

// ReviewPolicy says which reviews are needed.
type ReviewPolicy struct {
	// DismissalRestrictions say who may dismiss reviews.
	DismissalRestrictions *DismissalRestrictions `json:"dismissal_restrictions,omitempty"`
	// DismissStale dismisses reviews when commits are added. Default: inherited.
	DismissStale *bool `json:"dismiss_stale_reviews,omitempty"`
	// RequireOwners asks for a review by a code owner. Default: inherited.
	RequireOwners *bool `json:"require_code_owner_reviews,omitempty"`
	// Approvals is the number of approving reviews. Default: inherited.
	Approvals *int `json:"required_approving_review_count,omitempty"`
	// BypassRestrictions say who may merge without reviews.
	BypassRestrictions *BypassRestrictions `json:"bypass_pull_request_allowances,omitempty"`
}

// DismissalRestrictions say who may dismiss reviews.
type DismissalRestrictions struct {
	// Users are logins; united with those of the levels above.
	Users *[]string `json:"users,omitempty"`
	// Teams are slugs of teams; united with those of the levels above.
	Teams *[]string `json:"teams,omitempty"`
}

// BypassRestrictions say who may merge without reviews.
type BypassRestrictions struct {
	// Users are logins; united with those of the levels above.
	Users *[]string `json:"users,omitempty"`
	// Teams are slugs of teams; united with those of the levels above.
	Teams *[]string `json:"teams,omitempty"`
}

func (bp *BranchProtection) check(s *sectionContext) {
	if len(bp.Include) > 0 && len(bp.Exclude) > 0 {
		s.report("branch-protection.include", "found together with exclude, expected one of them")
	}
}
