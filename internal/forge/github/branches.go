package github

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// RepoBranch is a branch of a repository.
type RepoBranch struct {
	Name      string `json:"name"`
	Protected bool   `json:"protected"`
	Commit    struct {
		SHA string `json:"sha"`
	} `json:"commit"`
}

// ListBranches lists the branches of a repository that are protected, or those
// that are not.
func (c *Client) ListBranches(ctx context.Context, org, repo string, protected bool) ([]RepoBranch, error) {
	return list[RepoBranch](ctx, c, repoPath(org, repo, "branches"), url.Values{"protected": {strconv.FormatBool(protected)}})
}

// BranchProtection is how a branch is protected.
type BranchProtection struct {
	RequiredStatusChecks       *RequiredStatusChecks `json:"required_status_checks"`
	EnforceAdmins              Switch                `json:"enforce_admins"`
	RequiredPullRequestReviews *RequiredReviews      `json:"required_pull_request_reviews"`
	Restrictions               *Restrictions         `json:"restrictions"`
	RequiredLinearHistory      Switch                `json:"required_linear_history"`
	AllowForcePushes           Switch                `json:"allow_force_pushes"`
	AllowDeletions             Switch                `json:"allow_deletions"`
	RequiredSignatures         Switch                `json:"required_signatures"`
}

// Switch is a setting that is on or off.
type Switch struct {
	Enabled bool `json:"enabled"`
}

// RequiredStatusChecks are the contexts that must have succeeded.
type RequiredStatusChecks struct {
	// Strict wants the head to be up to date with the base.
	Strict   bool     `json:"strict"`
	Contexts []string `json:"contexts"`
}

// RequiredReviews are the reviews that a change needs.
type RequiredReviews struct {
	DismissalRestrictions        *Restrictions `json:"dismissal_restrictions,omitempty"`
	BypassPullRequestAllowances  *Restrictions `json:"bypass_pull_request_allowances,omitempty"`
	DismissStaleReviews          bool          `json:"dismiss_stale_reviews"`
	RequireCodeOwnerReviews      bool          `json:"require_code_owner_reviews"`
	RequiredApprovingReviewCount int           `json:"required_approving_review_count"`
}

// Restrictions are those who may do something.
type Restrictions struct {
	Apps  []App  `json:"apps"`
	Users []User `json:"users"`
	Teams []Team `json:"teams"`
}

// BranchProtectionRequest protects a branch. Null, which is no rule, and an empty
// list, which lets nobody, are different.
type BranchProtectionRequest struct {
	RequiredStatusChecks       *RequiredStatusChecks   `json:"required_status_checks"`
	EnforceAdmins              *bool                   `json:"enforce_admins"`
	RequiredPullRequestReviews *RequiredReviewsRequest `json:"required_pull_request_reviews"`
	Restrictions               *RestrictionsRequest    `json:"restrictions"`
	RequiredLinearHistory      bool                    `json:"required_linear_history"`
	AllowForcePushes           bool                    `json:"allow_force_pushes"`
	AllowDeletions             bool                    `json:"allow_deletions"`
}

// RequiredReviewsRequest sets RequiredReviews.
type RequiredReviewsRequest struct {
	DismissalRestrictions        *RestrictionsRequest `json:"dismissal_restrictions,omitempty"`
	BypassPullRequestAllowances  *RestrictionsRequest `json:"bypass_pull_request_allowances,omitempty"`
	DismissStaleReviews          bool                 `json:"dismiss_stale_reviews"`
	RequireCodeOwnerReviews      bool                 `json:"require_code_owner_reviews"`
	RequiredApprovingReviewCount int                  `json:"required_approving_review_count"`
}

// RestrictionsRequest sets Restrictions, by slugs and logins.
type RestrictionsRequest struct {
	Apps  *[]string `json:"apps,omitempty"`
	Users *[]string `json:"users,omitempty"`
	Teams *[]string `json:"teams,omitempty"`
}

func protectionPath(org, repo, branch string) string {
	return repoPath(org, repo, "branches", branch, "protection")
}

// GetBranchProtection tells how a branch is protected; nil where it is not.
func (c *Client) GetBranchProtection(ctx context.Context, org, repo, branch string) (*BranchProtection, error) {
	var out BranchProtection
	_, err := c.send(ctx, request{method: http.MethodGet, path: protectionPath(org, repo, branch), probe: true}, &out)
	if IsNotFound(err) && message(err) == "Branch not protected" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// UpdateBranchProtection protects a branch anew.
func (c *Client) UpdateBranchProtection(ctx context.Context, org, repo, branch string, protection BranchProtectionRequest) error {
	return c.change(ctx, http.MethodPut, protectionPath(org, repo, branch), protection, nil, http.StatusOK)
}

// RemoveBranchProtection ends the protection of a branch.
func (c *Client) RemoveBranchProtection(ctx context.Context, org, repo, branch string) error {
	return c.change(ctx, http.MethodDelete, protectionPath(org, repo, branch), nil, nil, http.StatusNoContent)
}

// RequireSignatures makes a branch take signed commits only, or again all.
func (c *Client) RequireSignatures(ctx context.Context, org, repo, branch string, required bool) error {
	place := protectionPath(org, repo, branch) + "/required_signatures"
	if required {
		return c.postAgain(ctx, place, nil, nil, http.StatusOK)
	}
	return c.change(ctx, http.MethodDelete, place, nil, nil, http.StatusNoContent)
}
