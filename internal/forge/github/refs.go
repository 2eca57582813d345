package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// gitRef is a ref as the REST API shows it.
type gitRef struct {
	Ref    string `json:"ref"`
	Object struct {
		SHA string `json:"sha"`
	} `json:"object"`
}

// refPath is the place of a ref, named without "refs/". Its name is a path of its
// own: its slashes stay slashes.
func refPath(org, repo, ref string) string { return below(repoPath(org, repo, "git", "refs"), ref) }

// GetRef resolves a ref, named without "refs/", to a commit.
func (c *Client) GetRef(ctx context.Context, org, repo, ref string) (string, error) {
	failed := func(err error) (string, error) {
		return "", fmt.Errorf("resolve %s of %s/%s: %w", ref, org, repo, err)
	}
	var raw json.RawMessage
	if err := c.get(ctx, refPath(org, repo, ref), &raw); err != nil {
		return failed(err)
	}
	if one, err := decode[gitRef](raw); err == nil {
		return one.Object.SHA, nil
	}
	several, err := decode[[]gitRef](raw)
	if err != nil {
		return failed(fmt.Errorf("decode the answer: %w", err))
	}
	for _, r := range several {
		if r.Ref == "refs/"+ref {
			return r.Object.SHA, nil
		}
	}
	return failed(fmt.Errorf("%w: there are %d", ErrTooManyRefs, len(several)))
}

// CreateRef makes a ref, named without "refs/".
func (c *Client) CreateRef(ctx context.Context, org, repo, ref, sha string) error {
	body := map[string]string{"ref": "refs/" + strings.TrimPrefix(ref, "refs/"), "sha": sha}
	return c.change(ctx, http.MethodPost, repoPath(org, repo, "git", "refs"), body, nil, http.StatusCreated)
}

// UpdateRef moves a ref, named without "refs/"; force lets it leave commits behind.
func (c *Client) UpdateRef(ctx context.Context, org, repo, ref, sha string, force bool) error {
	return c.change(ctx, http.MethodPatch, refPath(org, repo, ref), map[string]any{"sha": sha, "force": force}, nil, http.StatusOK)
}

// DeleteRef removes a ref, named without "refs/".
func (c *Client) DeleteRef(ctx context.Context, org, repo, ref string) error {
	return c.change(ctx, http.MethodDelete, refPath(org, repo, ref), nil, nil, http.StatusNoContent)
}
