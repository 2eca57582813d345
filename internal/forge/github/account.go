package github

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// The requests of this file are about the account the client acts under. They
// name no org, so an App cannot make them.

// RepoInvitation asks somebody to work on a repository.
type RepoInvitation struct {
	ID         int64      `json:"id"`
	Repository Repo       `json:"repository"`
	Invitee    User       `json:"invitee"`
	Inviter    User       `json:"inviter"`
	Permission Permission `json:"permissions"`
}

// ListUserRepoInvitations lists the invitations of the account to repositories.
func (c *Client) ListUserRepoInvitations(ctx context.Context) ([]RepoInvitation, error) {
	return list[RepoInvitation](ctx, c, "user/repository_invitations", nil)
}

// AcceptUserRepoInvitation accepts one of them.
func (c *Client) AcceptUserRepoInvitation(ctx context.Context, id int64) error {
	return c.change(ctx, http.MethodPatch, path("user", "repository_invitations", strconv.FormatInt(id, 10)), nil, nil, http.StatusNoContent)
}

// UserOrgInvitation is a membership of the account that waits to be accepted.
type UserOrgInvitation struct {
	Membership
	Org User `json:"organization"`
}

// ListUserOrgInvitations lists the orgs that have invited the account.
func (c *Client) ListUserOrgInvitations(ctx context.Context) ([]UserOrgInvitation, error) {
	all, err := list[UserOrgInvitation](ctx, c, "user/memberships/orgs", url.Values{"state": {MembershipPending}})
	return slices.DeleteFunc(all, func(i UserOrgInvitation) bool { return i.State != MembershipPending }), err
}

// AcceptUserOrgInvitation joins an org that has invited the account.
func (c *Client) AcceptUserOrgInvitation(ctx context.Context, org string) error {
	return c.change(ctx, http.MethodPatch, path("user", "memberships", "orgs", org), map[string]string{"state": MembershipActive}, nil, http.StatusOK)
}
