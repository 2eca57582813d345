package github

import (
	"context"
	"net/http"
	"slices"
	"strconv"
)

// Permission is what somebody may do with a repository.
type Permission string

// The permissions, from all to nothing.
const (
	PermissionAdmin    Permission = "admin"
	PermissionMaintain Permission = "maintain"
	PermissionWrite    Permission = "write"
	PermissionTriage   Permission = "triage"
	PermissionRead     Permission = "read"
	PermissionNone     Permission = "none"
)

func permissions() []Permission {
	return []Permission{PermissionAdmin, PermissionMaintain, PermissionWrite, PermissionTriage, PermissionRead, PermissionNone}
}

func (p Permission) known() bool { return slices.Contains(permissions(), p) }

// UnmarshalJSON refuses a permission that is unknown.
func (p *Permission) UnmarshalJSON(raw []byte) error {
	return oneOf(raw, p, "permission", permissions()...)
}

// Permissions are permissions as lists show them; the highest counts.
type Permissions struct {
	Pull     bool `json:"pull"`
	Triage   bool `json:"triage"`
	Push     bool `json:"push"`
	Maintain bool `json:"maintain"`
	Admin    bool `json:"admin"`
}

// Level is the highest permission.
func (p Permissions) Level() Permission {
	switch {
	case p.Admin:
		return PermissionAdmin
	case p.Maintain:
		return PermissionMaintain
	case p.Push:
		return PermissionWrite
	case p.Triage:
		return PermissionTriage
	case p.Pull:
		return PermissionRead
	}
	return PermissionNone
}

func collaboratorPath(org, repo, user string, elements ...string) string {
	return repoPath(org, repo, append([]string{"collaborators", user}, elements...)...)
}

// IsCollaborator tells whether a user is a collaborator of a repository.
func (c *Client) IsCollaborator(ctx context.Context, org, repo, user string) (bool, error) {
	if org == user {
		return true, nil
	}
	if c.listCollaborators {
		users, err := c.ListCollaborators(ctx, org, repo)
		return slices.ContainsFunc(users, func(u User) bool { return NormLogin(u.Login) == NormLogin(user) }), err
	}
	return c.exists(ctx, collaboratorPath(org, repo, user), "whether "+user+" is a collaborator of "+org+"/"+repo, http.StatusNoContent)
}

// ListCollaborators lists the collaborators of a repository.
func (c *Client) ListCollaborators(ctx context.Context, org, repo string) ([]User, error) {
	return listAs[User](ctx, c, mediaGitHubJSON, repoPath(org, repo, "collaborators"), nil)
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

// GetUserPermission is "admin", "maintain", "write", "triage", "read" or "none".
func (c *Client) GetUserPermission(ctx context.Context, org, repo, user string) (string, error) {
	var out struct {
		Permission Permission `json:"permission"`
	}
	err := c.get(ctx, collaboratorPath(org, repo, user, "permission"), &out)
	return string(out.Permission), err
}

// HasPermission tells whether a user has one of the permissions on a repository.
func (c *Client) HasPermission(ctx context.Context, org, repo, user string, permissions ...string) (bool, error) {
	have, err := c.GetUserPermission(ctx, org, repo, user)
	return err == nil && slices.Contains(permissions, have), err
}

// AddCollaborator gives a user a permission on a repository, or invites them.
func (c *Client) AddCollaborator(ctx context.Context, org, repo, user string, permission TeamPermission) error {
	return c.change(ctx, http.MethodPut, collaboratorPath(org, repo, user), map[string]any{"permission": permission}, nil, http.StatusCreated, http.StatusNoContent)
}

// UpdateCollaborator gives a collaborator another permission.
func (c *Client) UpdateCollaborator(ctx context.Context, org, repo, user string, permission TeamPermission) error {
	return c.change(ctx, http.MethodPatch, collaboratorPath(org, repo, user), map[string]any{"permission": permission}, nil, http.StatusOK, http.StatusNoContent)
}

// RemoveCollaborator takes a user from a repository.
func (c *Client) RemoveCollaborator(ctx context.Context, org, repo, user string) error {
	return c.change(ctx, http.MethodDelete, collaboratorPath(org, repo, user), nil, nil, http.StatusNoContent)
}

// ListRepoInvitations lists the open invitations to a repository.
func (c *Client) ListRepoInvitations(ctx context.Context, org, repo string) ([]RepoInvitation, error) {
	return list[RepoInvitation](ctx, c, repoPath(org, repo, "invitations"), nil)
}

func invitationPath(org, repo string, id int64) string {
	return repoPath(org, repo, "invitations", strconv.FormatInt(id, 10))
}

// UpdateRepoInvitation changes what an invitation to a repository offers.
func (c *Client) UpdateRepoInvitation(ctx context.Context, org, repo string, id int64, permission Permission) error {
	return c.change(ctx, http.MethodPatch, invitationPath(org, repo, id), map[string]any{"permissions": permission}, nil, http.StatusOK, http.StatusNoContent)
}

// DeleteRepoInvitation takes an invitation to a repository back.
func (c *Client) DeleteRepoInvitation(ctx context.Context, org, repo string, id int64) error {
	return c.change(ctx, http.MethodDelete, invitationPath(org, repo, id), nil, nil, http.StatusNoContent)
}
