package github

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

func issuePath(org, repo string, number int, elements ...string) string {
	return repoPath(org, repo, append([]string{"issues", strconv.Itoa(number)}, elements...)...)
}

// GetIssue reads an issue or pull request as an issue.
func (c *Client) GetIssue(ctx context.Context, org, repo string, number int) (*Issue, error) {
	var out Issue
	_, err := c.send(ctx, request{method: http.MethodGet, path: issuePath(org, repo, number), accept: mediaLabels}, &out)
	return &out, err
}

// ListOpenIssues lists the open issues of a repository; pull requests are among them.
func (c *Client) ListOpenIssues(ctx context.Context, org, repo string) ([]Issue, error) {
	return list[Issue](ctx, c, repoPath(org, repo, "issues"), nil)
}

// IssueRequest makes an issue; empty fields are left out.
type IssueRequest struct {
	Title     string   `json:"title,omitempty"`
	Body      string   `json:"body,omitempty"`
	Milestone int      `json:"milestone,omitempty"`
	Labels    []string `json:"labels,omitempty"`
	Assignees []string `json:"assignees,omitempty"`
}

// CreateIssue makes an issue and returns its number, 0 in dry-run.
func (c *Client) CreateIssue(ctx context.Context, org, repo string, issue IssueRequest) (int, error) {
	var out Issue
	_, err := c.send(ctx, request{
		method: http.MethodPost, path: repoPath(org, repo, "issues"), accept: mediaGitHubJSON + ", application/vnd.github.shadow-cat-preview",
		body: issue, codes: []int{http.StatusCreated},
	}, &out)
	return out.Number, err
}

// Edit changes an issue or pull request; empty fields stay as they are.
type Edit struct {
	Title string `json:"title,omitempty"`
	Body  string `json:"body,omitempty"`
	// State is "open" or "closed".
	State string `json:"state,omitempty"`
}

// EditIssue changes an issue and returns what it is then; in dry-run that has the
// changed fields only.
func (c *Client) EditIssue(ctx context.Context, org, repo string, number int, edit Edit) (*Issue, error) {
	out := Issue{Number: number, Title: edit.Title, Body: edit.Body, State: edit.State}
	return &out, c.change(ctx, http.MethodPatch, issuePath(org, repo, number), edit, &out, http.StatusOK)
}

// CloseIssue closes an issue; reason is "completed" or "not_planned".
func (c *Client) CloseIssue(ctx context.Context, org, repo string, number int, reason string) error {
	return c.editIssue(ctx, org, repo, number, map[string]any{"state": "closed", "state_reason": reason})
}

// ReopenIssue opens an issue again; where the forge refuses that for good the
// error is ErrStateCannotBeChanged.
func (c *Client) ReopenIssue(ctx context.Context, org, repo string, number int) error {
	return reopenError(c.editIssue(ctx, org, repo, number, map[string]any{"state": "open"}))
}

// ListIssueEvents lists the events of an issue, oldest first.
func (c *Client) ListIssueEvents(ctx context.Context, org, repo string, number int) ([]ListedIssueEvent, error) {
	return list[ListedIssueEvent](ctx, c, issuePath(org, repo, number, "events"), nil)
}

// FindIssues searches issues and pull requests with GitHub's search syntax.
// sort is "", "created", "updated" or "comments". An App needs the org the search
// is about, which is given by WithOrg or FindIssuesWithOrg.
func (c *Client) FindIssues(ctx context.Context, query, sort string, ascending bool) ([]Issue, error) {
	q := url.Values{"q": {query}}
	if sort != "" {
		q.Set("sort", sort)
		if ascending {
			q.Set("order", "asc")
		}
	}
	return listUnder(ctx, c, "search/issues", q, under[Issue]("items"))
}

// FindIssuesWithOrg is FindIssues for an org.
func (c *Client) FindIssuesWithOrg(ctx context.Context, org, query, sort string, ascending bool) ([]Issue, error) {
	return c.FindIssues(WithOrg(ctx, org), query, sort, ascending)
}
