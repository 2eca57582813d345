package github

import (
	"context"
	"encoding/json"
	"net/http"
)

// CreateStatus sets the status of a context of a commit.
func (c *Client) CreateStatus(ctx context.Context, org, repo, sha string, s Status) error {
	return c.postAgain(ctx, repoPath(org, repo, "statuses", sha), s, nil, http.StatusCreated)
}

// ListStatuses lists all statuses of a commit, newest first, several per context.
func (c *Client) ListStatuses(ctx context.Context, org, repo, ref string) ([]Status, error) {
	return list[Status](ctx, c, repoPath(org, repo, "statuses", ref), nil)
}

// GetCombinedStatus reads the newest status of each context.
func (c *Client) GetCombinedStatus(ctx context.Context, org, repo, ref string) (*CombinedStatus, error) {
	var combined CombinedStatus
	statuses, err := listUnder(ctx, c, repoPath(org, repo, "commits", ref, "status"), nil, func(raw json.RawMessage) ([]Status, error) {
		page, err := decode[CombinedStatus](raw)
		combined.SHA, combined.State = page.SHA, page.State
		return page.Statuses, err
	})
	combined.Statuses = statuses
	return &combined, err
}
