package github

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Team is a team of an org.
type Team struct {
	ID          int64  `json:"id,omitempty"`
	Name        string `json:"name"`
	Slug        string `json:"slug,omitempty"`
	Description string `json:"description,omitempty"`
	// Privacy is "secret" or "closed".
	Privacy string `json:"privacy,omitempty"`
	// Parent is the team that this one is a part of; nil for none.
	Parent *Team `json:"parent,omitempty"`
}

// RepoTeam is a team that may do something with a repository.
type RepoTeam struct {
	Team
	Permission TeamPermission `json:"permission"`
}

// TeamPermission is what a team may do with a repository, in the words of requests.
type TeamPermission string

// The permissions of teams, from all to the least.
const (
	TeamAdmin    TeamPermission = "admin"
	TeamMaintain TeamPermission = "maintain"
	TeamPush     TeamPermission = "push"
	TeamTriage   TeamPermission = "triage"
	TeamPull     TeamPermission = "pull"
)

// UnmarshalJSON refuses a permission that is unknown.
func (p *TeamPermission) UnmarshalJSON(raw []byte) error {
	return oneOf(raw, p, "team permission", TeamAdmin, TeamMaintain, TeamPush, TeamTriage, TeamPull)
}

// RoleMaintainer is a role in a team, beside RoleMember.
const RoleMaintainer = "maintainer"

// TeamRequest makes or changes a team.
type TeamRequest struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Privacy     string `json:"privacy,omitempty"`
	// ParentTeamID is the team this one becomes a part of; nil for none.
	ParentTeamID *int64 `json:"parent_team_id"`
}

func teamPath(org, slug string, elements ...string) string {
	return path(append([]string{"orgs", org, "teams", slug}, elements...)...)
}

// CreateTeam makes a team.
func (c *Client) CreateTeam(ctx context.Context, org string, team TeamRequest) (*Team, error) {
	if team.Name == "" {
		return nil, errors.New("a new team needs a name")
	}
	out := team.pretend(strings.ReplaceAll(strings.ToLower(team.Name), " ", "-"))
	_, err := c.send(ctx, request{method: http.MethodPost, path: path("orgs", org, "teams"), accept: mediaGitHubJSON, body: team, codes: []int{http.StatusCreated}}, &out)
	return &out, err
}

// EditTeam changes a team; without a parent it becomes a part of none.
func (c *Client) EditTeam(ctx context.Context, org, slug string, team TeamRequest) (*Team, error) {
	if slug == "" {
		return nil, errors.New("the team to be changed needs a slug")
	}
	out := team.pretend(slug)
	_, err := c.send(ctx, request{
		method: http.MethodPatch, path: teamPath(org, slug), accept: mediaGitHubJSON, body: team, codes: []int{http.StatusOK, http.StatusCreated},
	}, &out)
	return &out, err
}

// pretend is the team that dry-run shows.
func (t TeamRequest) pretend(slug string) Team {
	return Team{Name: t.Name, Slug: slug, Description: t.Description, Privacy: t.Privacy}
}

// DeleteTeam removes a team.
func (c *Client) DeleteTeam(ctx context.Context, org, slug string) error {
	return c.change(ctx, http.MethodDelete, teamPath(org, slug), nil, nil, http.StatusNoContent)
}

// ListTeams lists the teams of an org.
func (c *Client) ListTeams(ctx context.Context, org string) ([]Team, error) {
	return listAs[Team](ctx, c, mediaGitHubJSON, path("orgs", org, "teams"), nil)
}

// GetTeamBySlug reads a team.
func (c *Client) GetTeamBySlug(ctx context.Context, org, slug string) (*Team, error) {
	var out Team
	return &out, c.get(ctx, teamPath(org, slug), &out)
}

// ListTeamMembersBySlug lists the members of a team; role is "all", "member" or "maintainer".
func (c *Client) ListTeamMembersBySlug(ctx context.Context, org, slug, role string) ([]User, error) {
	return list[User](ctx, c, teamPath(org, slug, "members"), url.Values{"role": {role}})
}

// ListTeamMembers lists the members of a team that is known by its number only.
// GitHub wants to do without this way. The org is for credentials.
func (c *Client) ListTeamMembers(ctx context.Context, org string, id int64, role string) ([]User, error) {
	c.log.WarnContext(ctx, "A team is looked up by its number, which GitHub is about to end; use its slug.", "org", org, "team", id)
	return listAs[User](WithOrg(ctx, org), c, mediaGitHubJSON, path("teams", strconv.FormatInt(id, 10), "members"), url.Values{"role": {role}})
}

// TeamBySlugHasMember tells whether a user belongs to a team, or was invited to.
func (c *Client) TeamBySlugHasMember(ctx context.Context, org, slug, user string) (bool, error) {
	return c.exists(ctx, teamPath(org, slug, "memberships", user), "membership of "+user+" in team "+org+"/"+slug, http.StatusOK)
}

// UpdateTeamMembership makes a user a member or maintainer of a team, or invites them.
func (c *Client) UpdateTeamMembership(ctx context.Context, org, slug, user string, maintainer bool) (*Membership, error) {
	wish := Membership{Role: RoleMember}
	if maintainer {
		wish.Role = RoleMaintainer
	}
	out := wish
	return &out, c.change(ctx, http.MethodPut, teamPath(org, slug, "memberships", user), wish, &out, http.StatusOK)
}

// RemoveTeamMembership takes a user from a team.
func (c *Client) RemoveTeamMembership(ctx context.Context, org, slug, user string) error {
	return c.change(ctx, http.MethodDelete, teamPath(org, slug, "memberships", user), nil, nil, http.StatusNoContent)
}

// ListTeamRepos lists the repositories for which a team has a permission.
func (c *Client) ListTeamRepos(ctx context.Context, org, slug string) ([]Repo, error) {
	repos, err := list[Repo](ctx, c, teamPath(org, slug, "repos"), nil)
	return slices.DeleteFunc(repos, func(r Repo) bool { return r.Permissions.Level() == PermissionNone }), err
}

// UpdateTeamRepo gives a team a permission on a repository of its org.
func (c *Client) UpdateTeamRepo(ctx context.Context, org, slug, repo string, permission TeamPermission) error {
	return c.change(ctx, http.MethodPut, teamPath(org, slug, "repos", org, repo), map[string]any{"permission": permission}, nil, http.StatusNoContent)
}

// RemoveTeamRepo takes a repository from a team.
func (c *Client) RemoveTeamRepo(ctx context.Context, org, slug, repo string) error {
	return c.change(ctx, http.MethodDelete, teamPath(org, slug, "repos", org, repo), nil, nil, http.StatusNoContent)
}

// ListTeamInvitations lists the open invitations to a team.
func (c *Client) ListTeamInvitations(ctx context.Context, org, slug string) ([]OrgInvitation, error) {
	return list[OrgInvitation](ctx, c, teamPath(org, slug, "invitations"), nil)
}

// ListRepoTeams lists the teams that have a permission on a repository.
func (c *Client) ListRepoTeams(ctx context.Context, org, repo string) ([]RepoTeam, error) {
	return list[RepoTeam](ctx, c, repoPath(org, repo, "teams"), nil)
}
