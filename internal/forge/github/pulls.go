package github

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// under finds a list below a key of an object.
func under[T any](key string) func(json.RawMessage) ([]T, error) {
	return func(raw json.RawMessage) ([]T, error) {
		var page map[string]json.RawMessage
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, err
		}
		var items []T
		if len(page[key]) == 0 {
			return nil, nil
		}
		return items, json.Unmarshal(page[key], &items)
	}
}

// GetPullRequests lists the open pull requests of a repository.
func (c *Client) GetPullRequests(ctx context.Context, org, repo string) ([]PullRequest, error) {
	return list[PullRequest](ctx, c, repoPath(org, repo, "pulls"), nil)
}

// GetPullRequest reads a pull request.
func (c *Client) GetPullRequest(ctx context.Context, org, repo string, number int) (*PullRequest, error) {
	var out PullRequest
	return &out, c.get(ctx, repoPath(org, repo, "pulls", strconv.Itoa(number)), &out)
}

// GetPullRequestChanges lists the files a pull request changes.
func (c *Client) GetPullRequestChanges(ctx context.Context, org, repo string, number int) ([]PullRequestChange, error) {
	return list[PullRequestChange](ctx, c, repoPath(org, repo, "pulls", strconv.Itoa(number), "files"), nil)
}

// ListPullRequestCommits lists the commits of a pull request, oldest first.
func (c *Client) ListPullRequestCommits(ctx context.Context, org, repo string, number int) ([]RepositoryCommit, error) {
	return list[RepositoryCommit](ctx, c, repoPath(org, repo, "pulls", strconv.Itoa(number), "commits"), nil)
}

// ListReviews lists the reviews of a pull request, oldest first.
func (c *Client) ListReviews(ctx context.Context, org, repo string, number int) ([]Review, error) {
	return list[Review](ctx, c, repoPath(org, repo, "pulls", strconv.Itoa(number), "reviews"), nil)
}

// ListPullRequestComments lists the comments on lines of a pull request.
func (c *Client) ListPullRequestComments(ctx context.Context, org, repo string, number int) ([]ReviewComment, error) {
	return list[ReviewComment](ctx, c, repoPath(org, repo, "pulls", strconv.Itoa(number), "comments"), nil)
}

// CreatePullRequest opens a pull request and returns its number, 0 in dry-run.
func (c *Client) CreatePullRequest(ctx context.Context, org, repo, title, body, head, base string) (int, error) {
	var out PullRequest
	err := c.change(ctx, http.MethodPost, repoPath(org, repo, "pulls"), map[string]any{"title": title, "body": body, "head": head, "base": base, "maintainer_can_modify": true}, &out)
	return out.Number, err
}

// Merge merges a pull request. A refusal is one of ErrModifiedHead,
// ErrBaseModified, ErrPushUnauthorized, ErrMergeMethodForbidden and ErrUnmergeable.
func (c *Client) Merge(ctx context.Context, org, repo string, number int, details MergeDetails) error {
	err := c.change(ctx, http.MethodPut, repoPath(org, repo, "pulls", strconv.Itoa(number), "merge"), details, nil)
	if err != nil {
		return mergeError(err)
	}
	return nil
}

// CreateStatus sets the status of a context of a commit.
func (c *Client) CreateStatus(ctx context.Context, org, repo, sha string, s Status) error {
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "statuses", sha), s, nil)
}

// ListStatuses lists all statuses of a commit, newest first, several per context.
func (c *Client) ListStatuses(ctx context.Context, org, repo, ref string) ([]Status, error) {
	return list[Status](ctx, c, repoPath(org, repo, "statuses", ref), nil)
}

// GetCombinedStatus reads the newest status of each context.
func (c *Client) GetCombinedStatus(ctx context.Context, org, repo, ref string) (*CombinedStatus, error) {
	var combined CombinedStatus
	statuses, err := listUnder(ctx, c, repoPath(org, repo, "commits", ref, "status"), nil, func(raw json.RawMessage) ([]Status, error) {
		var page CombinedStatus
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, err
		}
		combined.SHA, combined.State = page.SHA, page.State
		return page.Statuses, nil
	})
	combined.Statuses = statuses
	return &combined, err
}

// ListCheckRuns lists the check runs of a commit.
func (c *Client) ListCheckRuns(ctx context.Context, org, repo, ref string) ([]CheckRun, error) {
	return listUnder(ctx, c, repoPath(org, repo, "commits", ref, "check-runs"), url.Values{}, under[CheckRun]("check_runs"))
}
