package local

import (
	"errors"
)

func accountRoutes() []route {
	return []route{
		{method: "GET", pattern: "/", serve: getRoot},
		{method: "GET", pattern: "/meta", serve: getMeta},
		{method: "GET", pattern: "/rate_limit", serve: getRateLimit},
		{method: "GET", pattern: "/user", serve: getMe},
		{method: "GET", pattern: "/user/orgs", serve: listMyOrgs},
		{method: "GET", pattern: "/user/memberships/orgs", serve: listMyMemberships},
		{method: "GET", pattern: "/user/repository_invitations", serve: noEntries},
		{method: "GET", pattern: "/users/{user}", serve: getUser},
		{method: "GET", pattern: "/users/{user}/orgs", serve: listUserOrgs},
		{method: "GET", pattern: "/orgs/{org}", serve: getOrg},
		{method: "PATCH", pattern: "/orgs/{org}", serve: editOrg},
		{method: "GET", pattern: "/orgs/{org}/members", serve: listMembers},
		{method: "GET", pattern: "/orgs/{org}/members/{user}", serve: checkMember},
		{method: "DELETE", pattern: "/orgs/{org}/members/{user}", serve: removeMember},
		{method: "GET", pattern: "/orgs/{org}/public_members", serve: listMembers},
		{method: "GET", pattern: "/orgs/{org}/memberships/{user}", serve: getMembership},
		{method: "PUT", pattern: "/orgs/{org}/memberships/{user}", serve: setMembership},
		{method: "DELETE", pattern: "/orgs/{org}/memberships/{user}", serve: removeMember},
		{method: "GET", pattern: "/orgs/{org}/invitations", serve: noEntries},
		{method: "GET", pattern: "/orgs/{org}/failed_invitations", serve: noEntries},
		{method: "GET", pattern: "/repos/{owner}/{repo}/invitations", serve: noEntries},
		{method: "GET", pattern: "/orgs/{org}/teams", serve: listTeams},
		{method: "POST", pattern: "/orgs/{org}/teams", serve: createTeam},
		{method: "GET", pattern: "/orgs/{org}/teams/{slug}", serve: getTeam},
		{method: "PATCH", pattern: "/orgs/{org}/teams/{slug}", serve: editTeam},
		{method: "DELETE", pattern: "/orgs/{org}/teams/{slug}", serve: deleteTeam},
		{method: "GET", pattern: "/orgs/{org}/teams/{slug}/members", serve: listTeamMembers},
		{method: "GET", pattern: "/orgs/{org}/teams/{slug}/invitations", serve: noEntries},
		{method: "GET", pattern: "/orgs/{org}/teams/{slug}/memberships/{user}", serve: getTeamMembership},
		{method: "PUT", pattern: "/orgs/{org}/teams/{slug}/memberships/{user}", serve: setTeamMembership},
		{method: "DELETE", pattern: "/orgs/{org}/teams/{slug}/memberships/{user}", serve: removeTeamMembership},
		{method: "GET", pattern: "/orgs/{org}/teams/{slug}/repos", serve: listTeamRepos},
		{method: "PUT", pattern: "/orgs/{org}/teams/{slug}/repos/{owner}/{repo}", serve: setTeamRepo},
		{method: "DELETE", pattern: "/orgs/{org}/teams/{slug}/repos/{owner}/{repo}", serve: removeTeamRepo},
		{method: "GET", pattern: "/teams/{id}/members", serve: listTeamMembersByID},
	}
}

func getRoot(c *call) (any, error) {
	return obj{"current_user_url": c.f.api("/user"), "rate_limit_url": c.f.api("/rate_limit"), "repository_url": c.f.api("/repos/{owner}/{repo}")}, nil
}

func getMeta(c *call) (any, error) {
	return obj{"verifiable_password_authentication": false, "installed_version": "3.0.0"}, nil
}

// noEntries answers for lists that are always empty here: membership takes
// effect without an invitation.
func noEntries(c *call) (any, error) { return []obj{}, c.login() }

func getRateLimit(c *call) (any, error) {
	who := "anonymous"
	if c.viewer != nil {
		who = c.viewer.Login
	}
	res := obj{}
	for _, name := range []string{"core", "search", "graphql"} {
		s, _ := c.f.rates.spend(who, name, 0)
		res[name] = s.json()
	}
	return obj{"resources": res, "rate": res["core"]}, nil
}

func getMe(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.f.userFullJSON(c.viewer), nil
}

func getUser(c *call) (any, error) {
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return c.f.userFullJSON(a), nil
}

func (c *call) orgsOf(userID int64) (any, error) {
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN members m ON m.org_id = a.id WHERE m.user_id = ? ORDER BY a.login", userID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(a *account) (obj, error) { return c.f.orgJSON(a), nil })
}

func listMyOrgs(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.orgsOf(c.viewer.ID)
}

func listUserOrgs(c *call) (any, error) {
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return c.orgsOf(a.ID)
}

func listMyMemberships(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	if c.query("state") == "pending" {
		return []obj{}, nil
	}
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN members m ON m.org_id = a.id WHERE m.user_id = ? ORDER BY a.login", c.viewer.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(org *account) (obj, error) {
		role, err := c.orgRole(org.ID, c.viewer.ID)
		return c.membershipJSON(org, c.viewer, role), err
	})
}

func (c *call) membershipJSON(org, user *account, role string) obj {
	return obj{"url": c.f.api("/orgs/%s/memberships/%s", org.Login, user.Login), "state": "active", "role": role, "organization": c.f.orgJSON(org), "user": c.f.userJSON(user)}
}

func getOrg(c *call) (any, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	return c.f.orgFullJSON(org), nil
}

// adminOrg finds the organisation of the path and requires its administrator.
func (c *call) adminOrg() (*account, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	if err := c.login(); err != nil {
		return nil, err
	}
	role, err := c.orgRole(org.ID, c.viewer.ID)
	if err != nil {
		return nil, err
	}
	if role != "admin" && !c.viewer.Admin {
		return nil, forbidden("You must be an admin of this organization.")
	}
	return org, nil
}

// memberOrg finds the organisation of the path and requires a member: as on
// GitHub, teams are not for strangers.
func (c *call) memberOrg() (*account, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	if err := c.login(); err != nil {
		return nil, err
	}
	role, err := c.orgRole(org.ID, c.viewer.ID)
	if err == nil && role == "" && !c.viewer.Admin {
		err = errNotFound
	}
	return org, err
}

func editOrg(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	var in struct {
		Name    *string `json:"name"`
		Email   *string `json:"email"`
		Default *string `json:"default_repository_permission"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	set(&org.Name, in.Name)
	set(&org.Email, in.Email)
	set(&org.DefaultPerm, in.Default)
	if _, err := parsePermission(org.DefaultPerm); err != nil {
		return nil, invalid("Organization", "default_repository_permission", "invalid", "")
	}
	return c.f.orgFullJSON(org), c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("UPDATE accounts SET name = ?, email = ?, default_permission = ? WHERE id = ?", org.Name, org.Email, org.DefaultPerm, org.ID)
		return err
	})
}

func listMembers(c *call) (any, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	role := c.query("role")
	if role == "" {
		role = "all"
	}
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN members m ON m.user_id = a.id WHERE m.org_id = ? AND (m.role = ? OR ? = 'all') ORDER BY a.login", org.ID, role, role)
	if err != nil {
		return nil, err
	}
	return c.f.usersJSON(paginate(c, all)), nil
}

// orgUser finds organisation and account of the path.
func (c *call) orgUser() (org, user *account, role string, err error) {
	if org, err = c.org(c.params["org"]); err != nil {
		return nil, nil, "", err
	}
	if user, err = c.account(c.params["user"]); err != nil {
		return nil, nil, "", err
	}
	role, err = c.orgRole(org.ID, user.ID)
	return org, user, role, err
}

func checkMember(c *call) (any, error) {
	_, _, role, err := c.orgUser()
	if err != nil {
		return nil, err
	}
	if role == "" {
		return nil, errNotFound
	}
	return noContent, nil
}

func getMembership(c *call) (any, error) {
	org, user, role, err := c.orgUser()
	if err != nil {
		return nil, err
	}
	if role == "" {
		return nil, errNotFound
	}
	return c.membershipJSON(org, user, role), nil
}

func setMembership(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	user, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	in := struct{ Role string }{"member"}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Role != "member" && in.Role != "admin" {
		return nil, invalid("Membership", "role", "invalid", "")
	}
	return c.membershipJSON(org, user, in.Role), c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("INSERT INTO members (org_id, user_id, role) VALUES (?,?,?) ON CONFLICT DO UPDATE SET role = excluded.role", org.ID, user.ID, in.Role)
		return err
	})
}

func removeMember(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	user, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		n, err := t.changed("DELETE FROM members WHERE org_id = ? AND user_id = ?", org.ID, user.ID)
		if err == nil && n == 0 {
			err = errNotFound
		}
		if err == nil {
			_, err = t.exec("DELETE FROM team_members WHERE user_id = ? AND team_id IN (SELECT id FROM teams WHERE org_id = ?)", user.ID, org.ID)
		}
		return err
	})
}

func listTeams(c *call) (any, error) {
	org, err := c.memberOrg()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE t.org_id = ? ORDER BY t.slug", org.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(t *team) (obj, error) { return c.f.teamJSON(org, t), nil })
}

// teamEdit is the body of team creation and change.
type teamEdit struct {
	Name        *string  `json:"name"`
	Description *string  `json:"description"`
	Privacy     *string  `json:"privacy"`
	Maintainers []string `json:"maintainers"`
}

func (e teamEdit) apply(t *team) error {
	set(&t.Name, e.Name)
	set(&t.Description, e.Description)
	set(&t.Privacy, e.Privacy)
	if t.Privacy != "closed" && t.Privacy != "secret" {
		return invalid("Team", "privacy", "invalid", "")
	}
	if t.Slug = slugify(t.Name); t.Slug == "" {
		return invalid("Team", "name", "missing_field", "")
	}
	return checkText("Team", "name", t.Name, 255, true)
}

func createTeam(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	var in teamEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	tm := &team{OrgID: org.ID, Privacy: "closed"}
	if err := in.apply(tm); err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.team(org.ID, tm.Slug); err == nil {
			return invalid("Team", "name", "already_exists", "")
		}
		if tm.ID, err = t.exec("INSERT INTO teams (org_id, slug, name, description, privacy) VALUES (?,?,?,?,?)", tm.OrgID, tm.Slug, tm.Name, tm.Description, tm.Privacy); err != nil {
			return err
		}
		for _, login := range in.Maintainers {
			if err := t.joinTeam(org, tm, login, "maintainer"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return created(c.f.teamJSON(org, tm))
}

// joinTeam makes someone a member of a team, and of the organisation.
func (t *txn) joinTeam(org *account, tm *team, login, role string) error {
	a, err := t.account(login)
	if errors.Is(err, errNotFound) {
		return invalid("Team", "members", "invalid", "no user "+truncate(login, 50))
	}
	if err != nil {
		return err
	}
	if _, err := t.exec("INSERT OR IGNORE INTO members (org_id, user_id, role) VALUES (?,?,'member')", org.ID, a.ID); err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO team_members (team_id, user_id, role) VALUES (?,?,?) ON CONFLICT DO UPDATE SET role = excluded.role", tm.ID, a.ID, role)
	return err
}

func (c *call) teamOf(find func() (*account, error)) (*account, *team, error) {
	org, err := find()
	if err != nil {
		return nil, nil, err
	}
	t, err := c.team(org.ID, c.params["slug"])
	return org, t, err
}

func getTeam(c *call) (any, error) {
	org, t, err := c.teamOf(c.memberOrg)
	if err != nil {
		return nil, err
	}
	o := c.f.teamJSON(org, t)
	if o["members_count"], err = c.count("SELECT count(*) FROM team_members WHERE team_id = ?", t.ID); err != nil {
		return nil, err
	}
	o["repos_count"], err = c.count("SELECT count(*) FROM team_repos WHERE team_id = ?", t.ID)
	return o, err
}

func editTeam(c *call) (any, error) {
	org, tm, err := c.teamOf(c.adminOrg)
	if err != nil {
		return nil, err
	}
	var in teamEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := in.apply(tm); err != nil {
		return nil, err
	}
	return c.f.teamJSON(org, tm), c.f.write(c.ctx, func(t *txn) error {
		if other, err := t.team(org.ID, tm.Slug); err == nil && other.ID != tm.ID {
			return invalid("Team", "name", "already_exists", "")
		}
		_, err := t.exec("UPDATE teams SET slug = ?, name = ?, description = ?, privacy = ? WHERE id = ?", tm.Slug, tm.Name, tm.Description, tm.Privacy, tm.ID)
		return err
	})
}

func deleteTeam(c *call) (any, error) {
	_, tm, err := c.teamOf(c.adminOrg)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM teams WHERE id = ?", tm.ID)
		return err
	})
}

func (c *call) teamMembers(t *team) (any, error) {
	role := c.query("role")
	if role == "" {
		role = "all"
	}
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a JOIN team_members m ON m.user_id = a.id WHERE m.team_id = ? AND (m.role = ? OR ? = 'all') ORDER BY a.login", t.ID, role, role)
	if err != nil {
		return nil, err
	}
	return c.f.usersJSON(paginate(c, all)), nil
}

func listTeamMembers(c *call) (any, error) {
	_, t, err := c.teamOf(c.memberOrg)
	if err != nil {
		return nil, err
	}
	return c.teamMembers(t)
}

func listTeamMembersByID(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	t, err := one(c.reader, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE t.id = ?", id)
	if err != nil {
		return nil, err
	}
	org, err := c.accountID(t.OrgID)
	if err != nil {
		return nil, err
	}
	c.params["org"] = org.Login
	if _, err := c.memberOrg(); err != nil {
		return nil, err
	}
	return c.teamMembers(t)
}

func getTeamMembership(c *call) (any, error) {
	_, t, err := c.teamOf(c.memberOrg)
	if err != nil {
		return nil, err
	}
	role, err := one(c.reader, scalar[string], "SELECT m.role FROM team_members m JOIN accounts a ON a.id = m.user_id WHERE m.team_id = ? AND a.login = ?", t.ID, c.params["user"])
	if err != nil {
		return nil, err
	}
	return obj{"role": *role, "state": "active", "url": c.f.api("/orgs/%s/teams/%s/memberships/%s", c.params["org"], t.Slug, c.params["user"])}, nil
}

func setTeamMembership(c *call) (any, error) {
	org, tm, err := c.teamOf(c.adminOrg)
	if err != nil {
		return nil, err
	}
	in := struct{ Role string }{"member"}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Role != "member" && in.Role != "maintainer" {
		return nil, invalid("Membership", "role", "invalid", "")
	}
	return obj{"role": in.Role, "state": "active"}, c.f.write(c.ctx, func(t *txn) error { return t.joinTeam(org, tm, c.params["user"], in.Role) })
}

func removeTeamMembership(c *call) (any, error) {
	_, tm, err := c.teamOf(c.adminOrg)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM team_members WHERE team_id = ? AND user_id = (SELECT id FROM accounts WHERE login = ?)", tm.ID, c.params["user"])
		return err
	})
}

func listTeamRepos(c *call) (any, error) {
	_, t, err := c.teamOf(c.memberOrg)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"JOIN team_repos x ON x.repo_id = r.id WHERE x.team_id = ? ORDER BY r.name", t.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(rp *repo) (obj, error) {
		name, err := one(c.reader, scalar[string], "SELECT permission FROM team_repos WHERE team_id = ? AND repo_id = ?", t.ID, rp.ID)
		if err != nil {
			return nil, err
		}
		p, err := parsePermission(*name)
		o := c.f.repoJSON(rp)
		o["permissions"], o["role_name"] = p.booleans(), p.String()
		return o, err
	})
}

// teamRepo finds team and repository of the path; both need an administrator.
func (c *call) teamRepo() (*team, *repo, error) {
	_, tm, err := c.teamOf(c.adminOrg)
	if err != nil {
		return nil, nil, err
	}
	rp, err := c.theRepo(permAdmin)
	return tm, rp, err
}

func setTeamRepo(c *call) (any, error) {
	tm, rp, err := c.teamRepo()
	if err != nil {
		return nil, err
	}
	in := struct{ Permission string }{"push"}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := parsePermission(in.Permission)
	if err != nil || p == permNone {
		return nil, invalid("Team", "permission", "invalid", "")
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("INSERT INTO team_repos (team_id, repo_id, permission) VALUES (?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", tm.ID, rp.ID, p.String())
		return err
	})
}

func removeTeamRepo(c *call) (any, error) {
	tm, rp, err := c.teamRepo()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM team_repos WHERE team_id = ? AND repo_id = ?", tm.ID, rp.ID)
		return err
	})
}
