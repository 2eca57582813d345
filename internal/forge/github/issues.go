package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// GetIssue reads an issue or pull request as an issue.
func (c *Client) GetIssue(ctx context.Context, org, repo string, number int) (*Issue, error) {
	var out Issue
	return &out, c.get(ctx, repoPath(org, repo, "issues", strconv.Itoa(number)), &out)
}

// ListIssueComments lists the comments of an issue or pull request, oldest first.
func (c *Client) ListIssueComments(ctx context.Context, org, repo string, number int) ([]IssueComment, error) {
	return list[IssueComment](ctx, c, repoPath(org, repo, "issues", strconv.Itoa(number), "comments"), nil)
}

// CreateComment writes a comment.
func (c *Client) CreateComment(ctx context.Context, org, repo string, number int, body string) error {
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "issues", strconv.Itoa(number), "comments"), map[string]string{"body": body}, nil)
}

// EditComment replaces the text of a comment.
func (c *Client) EditComment(ctx context.Context, org, repo string, id int64, body string) error {
	return c.change(ctx, http.MethodPatch, repoPath(org, repo, "issues", "comments", strconv.FormatInt(id, 10)), map[string]string{"body": body}, nil)
}

// DeleteComment removes a comment; one that is gone already is no error.
func (c *Client) DeleteComment(ctx context.Context, org, repo string, id int64) error {
	err := c.change(ctx, http.MethodDelete, repoPath(org, repo, "issues", "comments", strconv.FormatInt(id, 10)), nil, nil)
	if IsNotFound(err) {
		return nil
	}
	return err
}

// GetIssueLabels lists the labels of an issue or pull request.
func (c *Client) GetIssueLabels(ctx context.Context, org, repo string, number int) ([]Label, error) {
	return list[Label](ctx, c, repoPath(org, repo, "issues", strconv.Itoa(number), "labels"), nil)
}

// GetRepoLabels lists the labels of a repository.
func (c *Client) GetRepoLabels(ctx context.Context, org, repo string) ([]Label, error) {
	return list[Label](ctx, c, repoPath(org, repo, "labels"), nil)
}

// AddLabels adds labels to an issue or pull request.
func (c *Client) AddLabels(ctx context.Context, org, repo string, number int, labels ...string) error {
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "issues", strconv.Itoa(number), "labels"), labels, nil)
}

// RemoveLabel takes a label away; one that is not there is no error.
func (c *Client) RemoveLabel(ctx context.Context, org, repo string, number int, label string) error {
	err := c.change(ctx, http.MethodDelete, repoPath(org, repo, "issues", strconv.Itoa(number), "labels", label), nil, nil)
	if IsNotFound(err) && message(err) == "Label does not exist" {
		return nil
	}
	return err
}

// CloseIssue closes an issue; reason is "completed" or "not_planned".
func (c *Client) CloseIssue(ctx context.Context, org, repo string, number int, reason string) error {
	return c.change(ctx, http.MethodPatch, repoPath(org, repo, "issues", strconv.Itoa(number)), map[string]string{"state": "closed", "state_reason": reason}, nil)
}

// ListIssueEvents lists the events of an issue, oldest first.
func (c *Client) ListIssueEvents(ctx context.Context, org, repo string, number int) ([]ListedIssueEvent, error) {
	return list[ListedIssueEvent](ctx, c, repoPath(org, repo, "issues", strconv.Itoa(number), "events"), nil)
}

// FindIssues searches issues and pull requests with GitHub's search syntax.
// sort is "", "created", "updated" or "comments".
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

// MissingUsersError lists the logins to which a request was not applied.
type MissingUsersError struct {
	Users  []string
	Action string
}

func (e *MissingUsersError) Error() string {
	return fmt.Sprintf("could not %s: %s", e.Action, strings.Join(e.Users, ", "))
}

// AssignIssue assigns people; a *MissingUsersError names those the forge left out.
func (c *Client) AssignIssue(ctx context.Context, org, repo string, number int, logins []string) error {
	return c.assignees(ctx, http.MethodPost, org, repo, number, logins)
}

// UnassignIssue takes people off.
func (c *Client) UnassignIssue(ctx context.Context, org, repo string, number int, logins []string) error {
	return c.assignees(ctx, http.MethodDelete, org, repo, number, logins)
}

func (c *Client) assignees(ctx context.Context, method, org, repo string, number int, logins []string) error {
	if c.dryRun {
		return c.change(ctx, method, repoPath(org, repo, "issues", strconv.Itoa(number), "assignees"), nil, nil)
	}
	var issue Issue
	err := c.change(ctx, method, repoPath(org, repo, "issues", strconv.Itoa(number), "assignees"), map[string][]string{"assignees": logins}, &issue)
	if err != nil {
		return err
	}
	assigned := map[string]bool{}
	for _, u := range issue.Assignees {
		assigned[NormLogin(u.Login)] = true
	}
	wish := method == http.MethodPost
	var missing []string
	for _, l := range logins {
		if assigned[NormLogin(l)] != wish {
			missing = append(missing, l)
		}
	}
	if len(missing) > 0 {
		verb := "assign"
		if !wish {
			verb = "unassign"
		}
		return &MissingUsersError{Users: missing, Action: verb}
	}
	return nil
}

// RequestReview asks people for a review. A login with a slash is a team, org/slug.
// Where the forge refuses the whole list, each is tried alone and a
// *MissingUsersError names those refused.
func (c *Client) RequestReview(ctx context.Context, org, repo string, number int, logins []string) error {
	err := c.requestReview(ctx, org, repo, number, logins)
	if !IsUnprocessable(err) {
		return err
	}
	var missing []string
	for _, l := range logins {
		if err := c.requestReview(ctx, org, repo, number, []string{l}); IsUnprocessable(err) {
			missing = append(missing, l)
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return &MissingUsersError{Users: missing, Action: "request a review from"}
	}
	return nil
}

func (c *Client) requestReview(ctx context.Context, org, repo string, number int, logins []string) error {
	body := map[string][]string{}
	for _, l := range logins {
		if i := strings.LastIndex(l, "/"); i >= 0 {
			if !strings.EqualFold(l[:i], org) {
				return errors.New("team " + l + " is not of org " + org)
			}
			body["team_reviewers"] = append(body["team_reviewers"], l[i+1:])
			continue
		}
		body["reviewers"] = append(body["reviewers"], NormLogin(l))
	}
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "pulls", strconv.Itoa(number), "requested_reviewers"), body, nil)
}
