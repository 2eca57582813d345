package github

import (
	"context"
	"net/http"
)

// ListMilestones lists the open milestones of a repository.
func (c *Client) ListMilestones(ctx context.Context, org, repo string) ([]Milestone, error) {
	return list[Milestone](ctx, c, repoPath(org, repo, "milestones"), nil)
}

// SetMilestone puts an issue or pull request into a milestone.
func (c *Client) SetMilestone(ctx context.Context, org, repo string, number, milestone int) error {
	return c.editIssue(ctx, org, repo, number, map[string]any{"milestone": milestone})
}

// ClearMilestone takes an issue or pull request out of its milestone.
func (c *Client) ClearMilestone(ctx context.Context, org, repo string, number int) error {
	return c.editIssue(ctx, org, repo, number, map[string]any{"milestone": nil})
}

func (c *Client) editIssue(ctx context.Context, org, repo string, number int, fields map[string]any) error {
	return c.change(ctx, http.MethodPatch, issuePath(org, repo, number), fields, nil, http.StatusOK)
}
