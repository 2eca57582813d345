package github

import (
	"context"
	"net/http"
)

// GetIssueLabels lists the labels of an issue or pull request.
func (c *Client) GetIssueLabels(ctx context.Context, org, repo string, number int) ([]Label, error) {
	return listAs[Label](ctx, c, mediaLabels, issuePath(org, repo, number, "labels"), nil)
}

// AddLabels adds labels to an issue or pull request.
func (c *Client) AddLabels(ctx context.Context, org, repo string, number int, labels ...string) error {
	return c.postAgain(ctx, issuePath(org, repo, number, "labels"), labels, nil, http.StatusOK)
}

// RemoveLabel takes a label away; one that is not there is no error.
func (c *Client) RemoveLabel(ctx context.Context, org, repo string, number int, label string) error {
	err := c.change(ctx, http.MethodDelete, issuePath(org, repo, number, "labels", label), nil, nil, http.StatusOK, http.StatusNoContent)
	if IsNotFound(err) && message(err) == "Label does not exist" {
		return nil
	}
	return err
}

// WasLabelAddedByHuman tells whether the last one to add a label was somebody
// other than the account the client acts under. The name is compared exactly.
func (c *Client) WasLabelAddedByHuman(ctx context.Context, org, repo string, number int, label string) (bool, error) {
	isBot, err := c.BotUserChecker(ctx)
	if err != nil {
		return false, err
	}
	events, err := c.ListIssueEvents(ctx, org, repo, number)
	if err != nil {
		return false, err
	}
	for i := len(events) - 1; i >= 0; i-- {
		if e := events[i]; e.Event == "labeled" && e.Label.Name == label {
			return !isBot(e.Actor.Login), nil
		}
	}
	return false, nil
}

// GetRepoLabels lists the labels of a repository.
func (c *Client) GetRepoLabels(ctx context.Context, org, repo string) ([]Label, error) {
	return listAs[Label](ctx, c, mediaLabels, repoPath(org, repo, "labels"), nil)
}

// CreateRepoLabel adds a label to those a repository has.
func (c *Client) CreateRepoLabel(ctx context.Context, org, repo string, label Label) error {
	return c.labelChange(ctx, http.MethodPost, repoPath(org, repo, "labels"), label, http.StatusCreated)
}

// UpdateRepoLabel changes a label of a repository, its name as well.
func (c *Client) UpdateRepoLabel(ctx context.Context, org, repo, name string, label Label) error {
	body := map[string]string{"new_name": label.Name, "color": label.Color, "description": label.Description}
	return c.labelChange(ctx, http.MethodPatch, repoPath(org, repo, "labels", name), body, http.StatusOK)
}

// DeleteRepoLabel removes a label from a repository and from all that bear it.
func (c *Client) DeleteRepoLabel(ctx context.Context, org, repo, name string) error {
	return c.labelChange(ctx, http.MethodDelete, repoPath(org, repo, "labels", name), map[string]string{"name": name}, http.StatusNoContent)
}

func (c *Client) labelChange(ctx context.Context, method, path string, body any, code int) error {
	_, err := c.send(ctx, request{method: method, path: path, accept: mediaLabels, body: body, codes: []int{code}}, nil)
	return err
}
