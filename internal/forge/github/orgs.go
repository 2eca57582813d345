package github

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Organization is an org with its settings, as far as they are managed.
type Organization struct {
	Login                        string `json:"login"`
	ID                           int64  `json:"id"`
	NodeID                       string `json:"node_id"`
	BillingEmail                 string `json:"billing_email,omitempty"`
	Company                      string `json:"company,omitempty"`
	Email                        string `json:"email,omitempty"`
	Location                     string `json:"location,omitempty"`
	Name                         string `json:"name,omitempty"`
	Description                  string `json:"description,omitempty"`
	HasOrganizationProjects      bool   `json:"has_organization_projects"`
	HasRepositoryProjects        bool   `json:"has_repository_projects"`
	DefaultRepositoryPermission  string `json:"default_repository_permission,omitempty"`
	MembersCanCreateRepositories bool   `json:"members_can_create_repositories"`
}

// Roles in an org. RoleAll is for lists only.
const (
	RoleAll    = "all"
	RoleAdmin  = "admin"
	RoleMember = "member"
)

// States of a membership.
const (
	MembershipPending = "pending"
	MembershipActive  = "active"
)

// Membership is the place of a user in an org or a team.
type Membership struct {
	Role  string `json:"role"`
	State string `json:"state,omitempty"`
}

// OrgInvitation asks somebody into an org or a team.
type OrgInvitation struct {
	ID int64 `json:"id"`
	// Login is empty where an address was invited.
	Login   string `json:"login"`
	Email   string `json:"email"`
	Inviter User   `json:"inviter"`
	// Role is "direct_member", "admin", "billing_manager" or "reinstate".
	Role         string     `json:"role"`
	FailedAt     *time.Time `json:"failed_at,omitempty"`
	FailedReason string     `json:"failed_reason,omitempty"`
}

// GetOrg reads an org.
func (c *Client) GetOrg(ctx context.Context, org string) (*Organization, error) {
	var out Organization
	return &out, c.get(ctx, path("orgs", org), &out)
}

// EditOrg sets the settings of an org and returns what they are then.
func (c *Client) EditOrg(ctx context.Context, org string, settings Organization) (*Organization, error) {
	out := settings
	return &out, c.change(ctx, http.MethodPatch, path("orgs", org), settings, &out, http.StatusOK)
}

// IsMember tells whether a user is a member of an org. It is an error where the
// asker is none: then the forge tells only of those who show it to everybody.
func (c *Client) IsMember(ctx context.Context, org, user string) (bool, error) {
	if org == user {
		return true, nil
	}
	return c.exists(ctx, path("orgs", org, "members", user), "membership of "+user+" in "+org, http.StatusNoContent)
}

// ListOrgMembers lists the members of an org; role is "all", "admin" or "member".
func (c *Client) ListOrgMembers(ctx context.Context, org, role string) ([]User, error) {
	return list[User](ctx, c, path("orgs", org, "members"), url.Values{"role": {role}})
}

// UpdateOrgMembership makes a user an admin or a member of an org, or invites them.
func (c *Client) UpdateOrgMembership(ctx context.Context, org, user string, admin bool) (*Membership, error) {
	wish := Membership{Role: RoleMember}
	if admin {
		wish.Role = RoleAdmin
	}
	out := wish
	return &out, c.change(ctx, http.MethodPut, path("orgs", org, "memberships", user), wish, &out, http.StatusOK)
}

// RemoveOrgMembership takes a user from an org, or an invitation back.
func (c *Client) RemoveOrgMembership(ctx context.Context, org, user string) error {
	return c.change(ctx, http.MethodDelete, path("orgs", org, "memberships", user), nil, nil, http.StatusNoContent)
}

// ListOrgInvitations lists the invitations into an org that are open.
func (c *Client) ListOrgInvitations(ctx context.Context, org string) ([]OrgInvitation, error) {
	return list[OrgInvitation](ctx, c, path("orgs", org, "invitations"), nil)
}

// ListFailedOrgInvitations lists the invitations into an org that came to nothing.
func (c *Client) ListFailedOrgInvitations(ctx context.Context, org string) ([]OrgInvitation, error) {
	return list[OrgInvitation](ctx, c, path("orgs", org, "failed_invitations"), nil)
}

// DeleteOrgInvitation takes an invitation back; one that is gone already is no error.
func (c *Client) DeleteOrgInvitation(ctx context.Context, org string, id int64) error {
	return c.change(ctx, http.MethodDelete, path("orgs", org, "invitations", strconv.FormatInt(id, 10)), nil, nil, http.StatusNoContent, http.StatusNotFound)
}
