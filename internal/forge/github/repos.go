package github

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// GetRepo reads a repository.
func (c *Client) GetRepo(ctx context.Context, org, repo string) (*Repo, error) {
	var out Repo
	return &out, c.get(ctx, repoPath(org, repo), &out)
}

// GetRepos lists the repositories of an org, or of a user.
func (c *Client) GetRepos(ctx context.Context, org string, isUser bool) ([]Repo, error) {
	kind := "orgs"
	if isUser {
		kind = "users"
	}
	return list[Repo](ctx, c, path(kind, org, "repos"), nil)
}

// GetRef resolves a ref, named without "refs/", to a commit.
func (c *Client) GetRef(ctx context.Context, org, repo, ref string) (string, error) {
	type answer struct {
		Ref    string `json:"ref"`
		Object struct {
			SHA string `json:"sha"`
		} `json:"object"`
	}
	var raw json.RawMessage
	// The name of a ref is a path of its own: its slashes stay slashes.
	elements := strings.Split(ref, "/")
	if err := c.get(ctx, repoPath(org, repo, append([]string{"git", "refs"}, elements...)...), &raw); err != nil {
		return "", fmt.Errorf("resolve %s of %s/%s: %w", ref, org, repo, err)
	}
	var one answer
	if err := json.Unmarshal(raw, &one); err == nil {
		return one.Object.SHA, nil
	}
	var several []answer
	if err := json.Unmarshal(raw, &several); err != nil {
		return "", fmt.Errorf("resolve %s of %s/%s: decode the answer: %w", ref, org, repo, err)
	}
	for _, r := range several {
		if r.Ref == "refs/"+ref {
			return r.Object.SHA, nil
		}
	}
	return "", fmt.Errorf("resolve %s of %s/%s: %w", ref, org, repo, ErrTooManyRefs)
}

// GetSingleCommit reads a commit.
func (c *Client) GetSingleCommit(ctx context.Context, org, repo, sha string) (*RepositoryCommit, error) {
	var out RepositoryCommit
	return &out, c.get(ctx, repoPath(org, repo, "commits", sha), &out)
}

// GetFile reads a file at a commit or branch; "" is the default branch. A
// missing file satisfies IsNotFound.
func (c *Client) GetFile(ctx context.Context, org, repo, file, commit string) ([]byte, error) {
	p := repoPath(org, repo, append([]string{"contents"}, strings.Split(file, "/")...)...)
	if commit != "" {
		p += "?" + url.Values{"ref": {commit}}.Encode()
	}
	var out struct {
		Content  string `json:"content"`
		Encoding string `json:"encoding"`
	}
	if err := c.get(expect404(ctx), p, &out); err != nil {
		return nil, fmt.Errorf("read %s of %s/%s: %w", file, org, repo, err)
	}
	if out.Encoding != "base64" {
		return nil, fmt.Errorf("read %s of %s/%s: unknown encoding %q", file, org, repo, out.Encoding)
	}
	content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(out.Content)))
	if err != nil {
		return nil, fmt.Errorf("read %s of %s/%s: %w", file, org, repo, err)
	}
	return content, nil
}

// IsMember tells whether a user is a member of an org.
func (c *Client) IsMember(ctx context.Context, org, user string) (bool, error) {
	if org == user {
		return true, nil
	}
	return c.exists(ctx, path("orgs", org, "members", user), "membership of "+user+" in "+org)
}

// IsCollaborator tells whether a user is a collaborator of a repository.
func (c *Client) IsCollaborator(ctx context.Context, org, repo, user string) (bool, error) {
	if org == user {
		return true, nil
	}
	return c.exists(ctx, repoPath(org, repo, "collaborators", user), "whether "+user+" is a collaborator of "+org+"/"+repo)
}

// exists reads a resource that answers 204 or 404.
func (c *Client) exists(ctx context.Context, p, what string) (bool, error) {
	resp, err := c.do(expect404(ctx), http.MethodGet, p, nil, nil)
	if IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for %s: %w", what, err)
	}
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("ask for %s: status %d", what, resp.StatusCode)
	}
	return true, nil
}

// ListCollaborators lists the collaborators of a repository.
func (c *Client) ListCollaborators(ctx context.Context, org, repo string) ([]User, error) {
	return list[User](ctx, c, repoPath(org, repo, "collaborators"), nil)
}

// ListOrgMembers lists the members of an org; role is "all", "admin" or "member".
func (c *Client) ListOrgMembers(ctx context.Context, org, role string) ([]User, error) {
	return list[User](ctx, c, path("orgs", org, "members"), url.Values{"role": {role}})
}

// GetUserPermission is "admin", "maintain", "write", "triage", "read" or "none".
func (c *Client) GetUserPermission(ctx context.Context, org, repo, user string) (string, error) {
	var out struct {
		Permission string `json:"permission"`
	}
	err := c.get(ctx, repoPath(org, repo, "collaborators", user, "permission"), &out)
	return out.Permission, err
}

// HasPermission tells whether a user has one of the permissions on a repository.
func (c *Client) HasPermission(ctx context.Context, org, repo, user string, permissions ...string) (bool, error) {
	have, err := c.GetUserPermission(ctx, org, repo, user)
	return err == nil && slices.Contains(permissions, have), err
}

// ListTeamMembersBySlug lists the members of a team; role is "all", "member" or "maintainer".
func (c *Client) ListTeamMembersBySlug(ctx context.Context, org, slug, role string) ([]User, error) {
	return list[User](ctx, c, path("orgs", org, "teams", slug, "members"), url.Values{"role": {role}})
}

// TeamBySlugHasMember tells whether a user belongs to a team, or was invited to.
func (c *Client) TeamBySlugHasMember(ctx context.Context, org, slug, user string) (bool, error) {
	return c.exists(ctx, path("orgs", org, "teams", slug, "memberships", user), "membership of "+user+" in team "+org+"/"+slug)
}

// CollaboratorLogins lists the logins of the collaborators of a repository.
func (c *Client) CollaboratorLogins(ctx context.Context, org, repo string) ([]string, error) {
	users, err := c.ListCollaborators(ctx, org, repo)
	logins := make([]string, len(users))
	for i, u := range users {
		logins[i] = u.Login
	}
	return logins, err
}
