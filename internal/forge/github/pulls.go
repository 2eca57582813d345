package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

func pullPath(org, repo string, number int, elements ...string) string {
	return repoPath(org, repo, append([]string{"pulls", strconv.Itoa(number)}, elements...)...)
}

// GetPullRequests lists the open pull requests of a repository.
func (c *Client) GetPullRequests(ctx context.Context, org, repo string) ([]PullRequest, error) {
	return listAs[PullRequest](ctx, c, mediaPulls, repoPath(org, repo, "pulls"), nil)
}

// GetPullRequest reads a pull request.
func (c *Client) GetPullRequest(ctx context.Context, org, repo string, number int) (*PullRequest, error) {
	var out PullRequest
	_, err := c.send(ctx, request{method: http.MethodGet, path: pullPath(org, repo, number), accept: mediaPulls}, &out)
	return &out, err
}

// GetPullRequestDiff is a pull request as a diff.
func (c *Client) GetPullRequestDiff(ctx context.Context, org, repo string, number int) ([]byte, error) {
	return c.pullAs(ctx, org, repo, number, "application/vnd.github.diff")
}

// GetPullRequestPatch is a pull request as a mailbox of patches.
func (c *Client) GetPullRequestPatch(ctx context.Context, org, repo string, number int) ([]byte, error) {
	return c.pullAs(ctx, org, repo, number, "application/vnd.github.patch")
}

func (c *Client) pullAs(ctx context.Context, org, repo string, number int, accept string) (raw []byte, err error) {
	_, err = c.send(ctx, request{method: http.MethodGet, path: pullPath(org, repo, number), accept: accept}, &raw)
	return raw, err
}

// GetPullRequestChanges lists the files a pull request changes.
func (c *Client) GetPullRequestChanges(ctx context.Context, org, repo string, number int) ([]PullRequestChange, error) {
	return list[PullRequestChange](ctx, c, pullPath(org, repo, number, "files"), nil)
}

// ListPullRequestCommits lists the commits of a pull request, oldest first.
func (c *Client) ListPullRequestCommits(ctx context.Context, org, repo string, number int) ([]RepositoryCommit, error) {
	return list[RepositoryCommit](ctx, c, pullPath(org, repo, number, "commits"), nil)
}

// CreatePullRequest opens a pull request, into which maintainers may push, and
// returns its number, 0 in dry-run.
func (c *Client) CreatePullRequest(ctx context.Context, org, repo, title, body, head, base string) (int, error) {
	return c.OpenPullRequest(ctx, org, repo, PullRequestOpening{Title: title, Body: body, Head: head, Base: base, MaintainerCanModify: true})
}

// PullRequestOpening is a new pull request.
type PullRequestOpening struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	// Head is a branch, of another repository as owner:branch; Base is the branch
	// it is to be merged into.
	Head string `json:"head"`
	Base string `json:"base"`
	// MaintainerCanModify lets those who may push to the base push to the head.
	MaintainerCanModify bool `json:"maintainer_can_modify"`
}

// OpenPullRequest opens a pull request and returns its number, 0 in dry-run.
func (c *Client) OpenPullRequest(ctx context.Context, org, repo string, pull PullRequestOpening) (int, error) {
	var out PullRequest
	_, err := c.send(ctx, request{method: http.MethodPost, path: repoPath(org, repo, "pulls"), accept: mediaPulls, body: pull, codes: []int{http.StatusCreated}}, &out)
	return out.Number, err
}

// PullRequestUpdate changes a pull request; nil fields stay as they are.
type PullRequestUpdate struct {
	State               *string `json:"state,omitempty"`
	Title               *string `json:"title,omitempty"`
	Body                *string `json:"body,omitempty"`
	Base                *string `json:"base,omitempty"`
	MaintainerCanModify *bool   `json:"maintainer_can_modify,omitempty"`
}

// UpdatePullRequest changes a pull request.
func (c *Client) UpdatePullRequest(ctx context.Context, org, repo string, number int, update PullRequestUpdate) error {
	_, err := c.send(ctx, request{method: http.MethodPatch, path: pullPath(org, repo, number), accept: mediaPulls, body: update}, nil)
	return err
}

// EditPullRequest changes a pull request and returns what it is then; in dry-run
// that has the changed fields only.
func (c *Client) EditPullRequest(ctx context.Context, org, repo string, number int, edit Edit) (*PullRequest, error) {
	out := PullRequest{Number: number, Title: edit.Title, Body: edit.Body, State: edit.State}
	return &out, c.change(ctx, http.MethodPatch, pullPath(org, repo, number), edit, &out, http.StatusOK)
}

// ClosePullRequest closes a pull request.
func (c *Client) ClosePullRequest(ctx context.Context, org, repo string, number int) error {
	return c.change(ctx, http.MethodPatch, pullPath(org, repo, number), map[string]string{"state": "closed"}, nil, http.StatusOK)
}

// ReopenPullRequest opens a pull request again; where the forge refuses that for
// good, as for a branch that is gone, the error is ErrStateCannotBeChanged.
func (c *Client) ReopenPullRequest(ctx context.Context, org, repo string, number int) error {
	return reopenError(c.change(ctx, http.MethodPatch, pullPath(org, repo, number), map[string]string{"state": "open"}, nil, http.StatusOK))
}

// UpdatePullRequestBranch merges the base into a pull request's branch, which
// happens after the answer. Where head is not empty and not the branch's head any
// more, the error is ErrHeadMismatch.
func (c *Client) UpdatePullRequestBranch(ctx context.Context, org, repo string, number int, head string) error {
	body := map[string]string{}
	if head != "" {
		body["expected_head_sha"] = head
	}
	_, err := c.send(ctx, request{
		method: http.MethodPut, path: pullPath(org, repo, number, "update-branch"), accept: "application/vnd.github.lydian-preview+json",
		body: body, codes: []int{http.StatusAccepted},
	}, nil)
	if IsUnprocessable(err) {
		return &kindError{kind: ErrHeadMismatch, err: err}
	}
	return err
}

// Merge merges a pull request. A refusal is one of ErrModifiedHead,
// ErrBaseModified, ErrPushUnauthorized, ErrMergeMethodForbidden and ErrUnmergeable.
func (c *Client) Merge(ctx context.Context, org, repo string, number int, details MergeDetails) error {
	// Made twice, the second would be refused, and the first taken for a failure.
	_, err := c.send(ctx, request{method: http.MethodPut, path: pullPath(org, repo, number, "merge"), body: details, once: true}, nil)
	if err != nil {
		return mergeError(err)
	}
	return nil
}

// mergeabilityWait is how long the forge gets before it is asked again whether a
// pull request can be merged; the wait doubles.
const (
	mergeabilityWait  = 3 * time.Second
	mergeabilityPolls = 3
)

// IsMergeable tells whether a pull request can be merged, at a head. The forge
// finds out when it is asked, so it is asked up to three times. It is an error
// where the head is another, or where the pull request has been merged.
func (c *Client) IsMergeable(ctx context.Context, org, repo string, number int, head string) (bool, error) {
	failed := func(err error) (bool, error) {
		return false, fmt.Errorf("ask whether %s/%s#%d can be merged: %w", org, repo, number, err)
	}
	wait := mergeabilityWait
	for poll := range mergeabilityPolls {
		if poll > 0 {
			if err := c.sleep(ctx, wait); err != nil {
				return failed(err)
			}
			wait *= 2
		}
		pull, err := c.GetPullRequest(ReadFresh(ctx), org, repo, number)
		switch {
		case err != nil:
			return failed(err)
		case pull.Head.SHA != head:
			return failed(fmt.Errorf("%w: it is %s, not %s", ErrHeadMismatch, pull.Head.SHA, head))
		case pull.Merged:
			return failed(errors.New("it has been merged"))
		case pull.Mergable != nil:
			return *pull.Mergable, nil
		}
	}
	return failed(errors.New("the forge has not found out yet"))
}

// PullRequestsOfBranch lists the open pull requests that are from or into a branch
// of a repository.
func (c *Client) PullRequestsOfBranch(ctx context.Context, org, repo, branch string) ([]PullRequest, error) {
	var out []PullRequest
	for _, query := range []url.Values{{"head": {org + ":" + branch}}, {"base": {branch}}} {
		pulls, err := listAs[PullRequest](ctx, c, mediaPulls, repoPath(org, repo, "pulls"), query)
		if err != nil {
			return nil, err
		}
		out = append(out, pulls...)
	}
	return out, nil
}

// PullRequestsFrom lists the open pull requests from a branch of an owner's
// repository.
func (c *Client) PullRequestsFrom(ctx context.Context, org, repo, owner, branch string) ([]PullRequest, error) {
	return listAs[PullRequest](ctx, c, mediaPulls, repoPath(org, repo, "pulls"), url.Values{"head": {owner + ":" + branch}})
}
