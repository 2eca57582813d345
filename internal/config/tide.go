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
	// MaxGoroutines limits how many pools are handled at once. Default: 20.
	MaxGoroutines int `json:"max_goroutines,omitempty"`
	// Queries say which pull requests are candidates; a load removes duplicates.
	Queries TideQueries `json:"queries,omitempty"`
	// MergeType says how changes are merged. Read MergeMethod instead.
	MergeType map[string]TideOrgMergeType `json:"merge_method,omitempty"`
	// MergeTemplate maps "org/repo" or "org" to the text of merge commits.
	MergeTemplate map[string]TideMergeCommitTemplate `json:"merge_commit_template,omitempty"`
	// TargetURL is the older form of TargetURLs["*"].
	TargetURL string `json:"target_url,omitempty"`
	// TargetURLs are the URLs Tide's status links to.
	TargetURLs map[string]string `json:"target_urls,omitempty"`
	// PRStatusBaseURL is the older form of PRStatusBaseURLs["*"].
	PRStatusBaseURL string `json:"pr_status_base_url,omitempty"`
	// PRStatusBaseURLs are the URLs of the page of a person's pull requests.
	PRStatusBaseURLs map[string]string `json:"pr_status_base_urls,omitempty"`
	// BlockerLabel marks issues that stop merges; empty is off.
	BlockerLabel string `json:"blocker_label,omitempty"`
	// SquashLabel, RebaseLabel and MergeLabel choose the method of one pull
	// request; empty is off.
	SquashLabel string `json:"squash_label,omitempty"`
	RebaseLabel string `json:"rebase_label,omitempty"`
	MergeLabel  string `json:"merge_label,omitempty"`
	// ContextOptions say which contexts matter. Read ContextPolicy instead.
	ContextOptions TideContextPolicyOptions `json:"context_options"`
	// BatchSizeLimitMap limits batches: 0 is no limit, a negative number no
	// batches. Read BatchSizeLimit instead.
	BatchSizeLimitMap map[string]int `json:"batch_size_limit,omitempty"`
	// Priority orders pull requests: the first entry whose labels a pull
	// request carries counts.
	Priority []TidePriority `json:"priority,omitempty"`
	// PrioritizeExistingBatchesMap says whether a finished batch goes before
	// single merges. Read PrioritizeExistingBatches instead.
	PrioritizeExistingBatchesMap map[string]bool `json:"prioritize_existing_batches,omitempty"`
	// DisplayAllQueriesInStatus shows every query that fails in the status, not
	// only the closest.
	DisplayAllQueriesInStatus bool `json:"display_all_tide_queries_in_status,omitempty"`
	// GitHubMergeBlocksPolicyMap says what GitHub's own refusal to merge means.
	// Read GitHubMergeBlocksPolicy instead.
	GitHubMergeBlocksPolicyMap map[string]GitHubMergeBlocksPolicy `json:"github_merge_blocks_policy,omitempty"`
	// Gerrit configures Tide for Gerrit.
	Gerrit *TideGerrit `json:"gerrit,omitempty"`
}

// TidePriority names labels that must all be present.
type TidePriority struct {
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
	Queries []GerritOrgRepos `json:"queries,omitempty"`
	// RateLimit is accepted; Tide reads gerrit.ratelimit. Default: 5.
	RateLimit int `json:"ratelimit,omitempty"`
}

// TideMergeCommitTemplate holds Go templates over the pull request.
type TideMergeCommitTemplate struct {
	TitleTemplate string `json:"title,omitempty"`
	BodyTemplate  string `json:"body,omitempty"`

	// Title and Body are the parsed templates; nil where none is set.
	Title *template.Template `json:"-"`
	Body  *template.Template `json:"-"`
}

// TideQuery says which pull requests are candidates.
type TideQuery struct {
	// Author is a login.
	Author string `json:"author,omitempty"`
	// ExcludedBranches and IncludedBranches limit the base branches; at most
	// one of them is set.
	ExcludedBranches []string `json:"excludedBranches,omitempty"`
	IncludedBranches []string `json:"includedBranches,omitempty"`
	// Labels must be present; an element with commas names alternatives.
	Labels []string `json:"labels,omitempty"`
	// MissingLabels must be absent.
	MissingLabels []string `json:"missingLabels,omitempty"`
	// Milestone is the title of a milestone.
	Milestone string `json:"milestone,omitempty"`
	// ReviewApprovedRequired asks for an approving review.
	ReviewApprovedRequired bool `json:"reviewApprovedRequired,omitempty"`
	// Orgs are whole orgs, without ExcludedRepos.
	Orgs []string `json:"orgs,omitempty"`
	// Repos are "org/repo"s.
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
	// SkipUnknownContexts makes contexts that are named nowhere optional.
	SkipUnknownContexts *bool `json:"skip-unknown-contexts,omitempty"`
	// RequiredContexts must exist and be successful.
	RequiredContexts []string `json:"required-contexts,omitempty"`
	// RequiredIfPresentContexts must be successful if they exist.
	RequiredIfPresentContexts []string `json:"required-if-present-contexts,omitempty"`
	// OptionalContexts never matter.
	OptionalContexts []string `json:"optional-contexts,omitempty"`
	// OptionalRegexContexts are regular expressions of contexts that never matter.
	OptionalRegexContexts []string `json:"optional-regex-contexts,omitempty"`
	// FromBranchProtection adds the contexts branch protection requires.
	FromBranchProtection *bool `json:"from-branch-protection,omitempty"`
	// OverwritePendingContexts lets Tide set its own context although pending.
	OverwritePendingContexts *bool `json:"overwrite-pending-contexts,omitempty"`
}

// TideContextPolicyOptions are policies by level; lists are united, switches
// of the narrower level win.
type TideContextPolicyOptions struct {
	TideContextPolicy

	Orgs map[string]TideOrgContextPolicy `json:"orgs,omitempty"`
}

// TideOrgContextPolicy is the policy of an org and of its repositories.
type TideOrgContextPolicy struct {
	TideContextPolicy

	Repos map[string]TideRepoContextPolicy `json:"repos,omitempty"`
}

// TideRepoContextPolicy is the policy of a repository and of its branches.
type TideRepoContextPolicy struct {
	TideContextPolicy

	Branches map[string]TideContextPolicy `json:"branches,omitempty"`
}
