package github

import (
	"context"
	"net/http"
)

// AssignIssue assigns people; a *MissingUsersError names those the forge left out.
func (c *Client) AssignIssue(ctx context.Context, org, repo string, number int, logins []string) error {
	left, err := c.assignees(ctx, http.MethodPost, org, repo, number, logins, http.StatusCreated)
	if err == nil && len(left) > 0 {
		err = &MissingUsersError{Users: left, Action: "assign"}
	}
	return err
}

// UnassignIssue takes people off; an *ExtraUsersError names those who are still there.
func (c *Client) UnassignIssue(ctx context.Context, org, repo string, number int, logins []string) error {
	left, err := c.assignees(ctx, http.MethodDelete, org, repo, number, logins, http.StatusOK)
	if err == nil && len(left) > 0 {
		err = &ExtraUsersError{Users: left, Action: "unassign"}
	}
	return err
}

// assignees changes who is assigned and returns those for whom it came to nothing.
func (c *Client) assignees(ctx context.Context, method, org, repo string, number int, logins []string, code int) ([]string, error) {
	var issue Issue
	_, err := c.send(ctx, request{
		method: method, path: issuePath(org, repo, number, "assignees"), body: map[string][]string{"assignees": logins}, codes: []int{code}, repeat: true,
	}, &issue)
	if err != nil || c.dryRun {
		return nil, err
	}
	assigned := map[string]bool{}
	for _, u := range issue.Assignees {
		assigned[NormLogin(u.Login)] = true
	}
	var left []string
	for _, l := range logins {
		if assigned[NormLogin(l)] != (method == http.MethodPost) {
			left = append(left, l)
		}
	}
	return left, nil
}
