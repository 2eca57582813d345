package github

import (
	"context"
	"net/http"
	"strconv"
)

// ListIssueComments lists the comments of an issue or pull request, oldest first.
func (c *Client) ListIssueComments(ctx context.Context, org, repo string, number int) ([]IssueComment, error) {
	return list[IssueComment](ctx, c, issuePath(org, repo, number, "comments"), nil)
}

// CreateComment writes a comment.
func (c *Client) CreateComment(ctx context.Context, org, repo string, number int, body string) error {
	if done, err := c.wroteComment(ctx, org, repo, number, body); done || err != nil {
		return err
	}
	return c.change(ctx, http.MethodPost, issuePath(org, repo, number, "comments"), map[string]string{"body": body}, nil, http.StatusCreated)
}

// EditComment replaces the text of a comment.
func (c *Client) EditComment(ctx context.Context, org, repo string, id int64, body string) error {
	return c.change(ctx, http.MethodPatch, commentPath(org, repo, id), map[string]string{"body": body}, nil, http.StatusOK)
}

// DeleteComment removes a comment; one that is gone already is no error.
func (c *Client) DeleteComment(ctx context.Context, org, repo string, id int64) error {
	return c.change(ctx, http.MethodDelete, commentPath(org, repo, id), nil, nil, http.StatusNoContent, http.StatusNotFound)
}

// DeleteStaleComments removes the comments of an issue for which stale is true.
// Without comments they are listed first. It ends at the first failure.
func (c *Client) DeleteStaleComments(ctx context.Context, org, repo string, number int, comments []IssueComment, stale func(IssueComment) bool) error {
	if comments == nil {
		var err error
		if comments, err = c.ListIssueComments(ctx, org, repo, number); err != nil {
			return err
		}
	}
	for _, comment := range comments {
		if stale(comment) {
			if err := c.DeleteComment(ctx, org, repo, comment.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reactions.
const (
	ReactionThumbsUp   = "+1"
	ReactionThumbsDown = "-1"
	ReactionLaugh      = "laugh"
	ReactionConfused   = "confused"
	ReactionHeart      = "heart"
	ReactionHooray     = "hooray"
)

// CreateCommentReaction reacts to a comment.
func (c *Client) CreateCommentReaction(ctx context.Context, org, repo string, id int64, reaction string) error {
	return c.react(ctx, commentPath(org, repo, id)+"/reactions", reaction, http.StatusCreated, http.StatusOK)
}

// CreateIssueReaction reacts to an issue or pull request.
func (c *Client) CreateIssueReaction(ctx context.Context, org, repo string, number int, reaction string) error {
	return c.react(ctx, issuePath(org, repo, number, "reactions"), reaction, http.StatusCreated, http.StatusOK)
}

// react makes a reaction. The answer is 200 where the account has reacted so before.
func (c *Client) react(ctx context.Context, path, reaction string, codes ...int) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: path, accept: mediaReactions, body: map[string]string{"content": reaction}, codes: codes, repeat: true}, nil)
	return err
}

func commentPath(org, repo string, id int64) string {
	return repoPath(org, repo, "issues", "comments", strconv.FormatInt(id, 10))
}
