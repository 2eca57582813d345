package config

import (
	"text/template"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Tide configures the merge automation. Maps by repository know the keys
// "org/repo", "org" and "*", the most specific of which wins.
type Tide struct {
	// SyncPeriod is the time between two rounds. Default: 1m.
	SyncPeriod *metav1.Duration `json:"sync_period,omitempty"`
	// StatusUpdatePeriod is the time between two updates of statuses. Default: SyncPeriod.
	StatusUpdatePeriod *metav1.Duration `json:"status_update_period,omitempty"`
	// MaxGoroutines limits how many pools are handled at once. It must not be
	// negative. Default: 20.
	MaxGoroutines int `json:"max_goroutines,omitempty"`
	// Queries say which pull requests are candidates; a load removes duplicates.
	Queries TideQueries `json:"queries,omitempty"`
	// MergeType says how changes are merged: merge, squash or rebase. A key is
	// "org", "org/repo" or "org/repo@branch" with a method, or "org" with a map of
	// repositories ("*" for the others) to a method or to a map of branch
	// expressions to methods. Read MergeMethod instead. Default: merge.
	MergeType map[string]TideOrgMergeType `json:"merge_method,omitempty"`
	// MergeTemplate maps "org/repo" or "org" to the text of merge commits; an
	// entry of "org/repo" hides that of its org.
	MergeTemplate map[string]TideMergeCommitTemplate `json:"merge_commit_template,omitempty"`
	// TargetURL is the older form of the key "*" of target_urls, which it
	// excludes.
	TargetURL string `json:"target_url,omitempty"`
	// TargetURLs map "org/repo", "org" or "*" to the URL Tide's status links to.
	TargetURLs map[string]string `json:"target_urls,omitempty"`
	// PRStatusBaseURL is the older form of the key "*" of pr_status_base_urls,
	// which it excludes.
	PRStatusBaseURL string `json:"pr_status_base_url,omitempty"`
	// PRStatusBaseURLs map "org/repo", "org" or "*" to the URL of the page of a
	// person's pull requests. If there is any, "*" is required.
	PRStatusBaseURLs map[string]string `json:"pr_status_base_urls,omitempty"`
	// BlockerLabel marks issues that stop merges. Default: empty, which is off.
	BlockerLabel string `json:"blocker_label,omitempty"`
	// SquashLabel makes Tide squash one pull request. Default: empty, which is
	// off.
	SquashLabel string `json:"squash_label,omitempty"`
	// RebaseLabel makes Tide rebase one pull request. Default: empty, which is
	// off.
	RebaseLabel string `json:"rebase_label,omitempty"`
	// MergeLabel makes Tide merge one pull request with a merge commit. Default:
	// empty, which is off.
	MergeLabel string `json:"merge_label,omitempty"`
	// ContextOptions say which contexts matter. Read ContextPolicy instead.
	ContextOptions TideContextPolicyOptions `json:"context_options"`
	// BatchSizeLimitMap limits batches by "org/repo", "org" or "*": 0 is no limit,
	// -1 no batches. Read BatchSizeLimit instead. Default: 0.
	BatchSizeLimitMap map[string]int `json:"batch_size_limit,omitempty"`
	// Priority orders pull requests: the first entry whose labels a pull
	// request carries counts.
	Priority []TidePriority `json:"priority,omitempty"`
	// PrioritizeExistingBatchesMap says by "org/repo", "org" or "*" whether a
	// finished batch goes before single merges. Read PrioritizeExistingBatches
	// instead. Default: true.
	PrioritizeExistingBatchesMap map[string]bool `json:"prioritize_existing_batches,omitempty"`
	// DisplayAllQueriesInStatus shows every query that fails in the status, not
	// only the closest. Default: false.
	DisplayAllQueriesInStatus bool `json:"display_all_tide_queries_in_status,omitempty"`
	// GitHubMergeBlocksPolicyMap says by "org/repo", "org" or "*" what GitHub's
	// own refusal to merge means: ignore, permit or block; others are refused.
	// Read GitHubMergeBlocksPolicy instead. Default: permit.
	GitHubMergeBlocksPolicyMap map[string]GitHubMergeBlocksPolicy `json:"github_merge_blocks_policy,omitempty"`
	// Planners choose by "org/repo@branch", "org/repo", "org" or "*" who decides what
	// is tested and merged next. Read Planner instead. Default: the classic planner.
	Planners map[string]TidePlanner `json:"planners,omitempty"`
	// Gerrit configures Tide for Gerrit.
	Gerrit *TideGerrit `json:"gerrit,omitempty"`
}

// TidePlanner says who decides about a branch, and within which bounds.
type TidePlanner struct {
	// Name is classic or speculative. Default: classic.
	Name PlannerName `json:"name,omitempty"`
	// MaxRuns bounds how many runs the speculative planner has going for one branch.
	// It must be positive. Default: 20.
	MaxRuns int `json:"max_runs,omitempty"`
	// MaxPulls bounds how many pull requests the speculative planner tests together;
	// 0 is no bound. Default: 0.
	MaxPulls int `json:"max_pulls,omitempty"`
	// Deadline is how long a run of the speculative planner may take; what takes
	// longer is stopped and started again. Default: 24h.
	Deadline *metav1.Duration `json:"deadline,omitempty"`
}

// PlannerName names a planner of Tide.
type PlannerName string

// The planners.
const (
	// PlannerClassic tests one batch at a time, and one pull request beside it.
	PlannerClassic PlannerName = "classic"
	// PlannerSpeculative tests many combinations on top of each other.
	PlannerSpeculative PlannerName = "speculative"
)

// TidePriority names labels that must all be present.
type TidePriority struct {
	// Labels are what a pull request must carry, all of them, to have the priority
	// of the entry.
	Labels []string `json:"labels,omitempty"`
}

// GitHubMergeBlocksPolicy says what GitHub's own refusal to merge means.
type GitHubMergeBlocksPolicy string

// The policies.
const (
	// MergeBlocksIgnore looks away.
	MergeBlocksIgnore GitHubMergeBlocksPolicy = "ignore"
	// MergeBlocksPermit tells, but tries.
	MergeBlocksPermit GitHubMergeBlocksPolicy = "permit"
	// MergeBlocksBlock keeps the pull request from the pool.
	MergeBlocksBlock GitHubMergeBlocksPolicy = "block"
)

// TideGerrit configures Tide for Gerrit.
type TideGerrit struct {
	// Queries list the repositories whose changes are merged. A repository that is
	// listed twice has the filters of its last entry.
	Queries []GerritOrgRepos `json:"queries,omitempty"`
	// RateLimit is the number of changes per query. Default: 5.
	RateLimit int `json:"ratelimit,omitempty"`
}

// TideMergeCommitTemplate holds Go templates over the pull request.
type TideMergeCommitTemplate struct {
	// TitleTemplate is a Go template over the pull request for the title. Default:
	// what the forge does.
	TitleTemplate string `json:"title,omitempty"`
	// BodyTemplate is a Go template over the pull request for the body. Default:
	// what the forge does.
	BodyTemplate string `json:"body,omitempty"`

	// Title and Body are the parsed templates; nil where none is set.
	Title *template.Template `json:"-"`
	Body  *template.Template `json:"-"`
}

// TideQuery says which pull requests are candidates.
type TideQuery struct {
	// Author is the login of whose pull requests are candidates. Default: anybody.
	Author string `json:"author,omitempty"`
	// ExcludedBranches are base branches that are left out, by their names. They
	// exclude includedBranches.
	ExcludedBranches []string `json:"excludedBranches,omitempty"`
	// IncludedBranches are the only base branches, by their names. They exclude
	// excludedBranches.
	IncludedBranches []string `json:"includedBranches,omitempty"`
	// Labels must be present; an element with commas names alternatives. A label
	// must not be listed twice, nor in missingLabels.
	Labels []string `json:"labels,omitempty"`
	// MissingLabels must be absent. A label must not be listed twice, nor in
	// labels.
	MissingLabels []string `json:"missingLabels,omitempty"`
	// Milestone is the title of a milestone.
	Milestone string `json:"milestone,omitempty"`
	// ReviewApprovedRequired asks for an approving review. Default: false.
	ReviewApprovedRequired bool `json:"reviewApprovedRequired,omitempty"`
	// Orgs are whole orgs, without excludedRepos. At least one of orgs and repos
	// is set.
	Orgs []string `json:"orgs,omitempty"`
	// Repos are "org/repo"s whose orgs are not in orgs. At least one of orgs and
	// repos is set.
	Repos []string `json:"repos,omitempty"`
	// ExcludedRepos are "org/repo"s of the orgs of the query.
	ExcludedRepos []string `json:"excludedRepos,omitempty"`

	source position
}

// SetPosition is called by the decoder with the place the query starts at.
func (q *TideQuery) SetPosition(line, column int) { q.source.line, q.source.column = line, column }

// TideQueries is a list of queries; a pull request is a candidate if any matches.
type TideQueries []TideQuery

// TideContextPolicy says which contexts of a commit matter.
type TideContextPolicy struct {
	// SkipUnknownContexts makes contexts that are named nowhere optional. Default:
	// false.
	SkipUnknownContexts *bool `json:"skip-unknown-contexts,omitempty"`
	// RequiredContexts must exist and be successful.
	RequiredContexts []string `json:"required-contexts,omitempty"`
	// RequiredIfPresentContexts must be successful if they exist.
	RequiredIfPresentContexts []string `json:"required-if-present-contexts,omitempty"`
	// OptionalContexts never matter.
	OptionalContexts []string `json:"optional-contexts,omitempty"`
	// OptionalRegexContexts are regular expressions of contexts that never matter;
	// they must not match a required one.
	OptionalRegexContexts []string `json:"optional-regex-contexts,omitempty"`
	// FromBranchProtection adds the contexts branch protection requires, and heeds
	// require_manually_triggered_jobs. Default: false.
	FromBranchProtection *bool `json:"from-branch-protection,omitempty"`
	// OverwritePendingContexts lets Tide set its own context although it is
	// pending. Default: false.
	OverwritePendingContexts *bool `json:"overwrite-pending-contexts,omitempty"`
}

// TideContextPolicyOptions are policies by level; lists are united, switches
// of the narrower level win.
type TideContextPolicyOptions struct {
	TideContextPolicy

	// Orgs maps an org to its own policy.
	Orgs map[string]TideOrgContextPolicy `json:"orgs,omitempty"`
}

// TideOrgContextPolicy is the policy of an org and of its repositories.
type TideOrgContextPolicy struct {
	TideContextPolicy

	// Repos maps a repository, without its org, to its own policy.
	Repos map[string]TideRepoContextPolicy `json:"repos,omitempty"`
}

// TideRepoContextPolicy is the policy of a repository and of its branches.
type TideRepoContextPolicy struct {
	TideContextPolicy

	// Branches maps a branch, by its name, to its own policy.
	Branches map[string]TideContextPolicy `json:"branches,omitempty"`
}
