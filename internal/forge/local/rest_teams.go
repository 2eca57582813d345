package local

import (
	"encoding/json"
	"errors"
)

func teamRoutes() []route {
	routes := []route{
		{method: "GET", pattern: "/orgs/{org}/teams", serve: listTeams},
		{method: "POST", pattern: "/orgs/{org}/teams", serve: createTeam},
	}
	// Every operation exists by slug and, deprecated at GitHub but in use, by id.
	for _, t := range []string{"/orgs/{org}/teams/{slug}", "/teams/{id}", "/organizations/{orgid}/team/{id}"} {
		routes = append(routes,
			route{method: "GET", pattern: t, serve: getTeam},
			route{method: "PATCH", pattern: t, serve: editTeam},
			route{method: "DELETE", pattern: t, serve: deleteTeam},
			route{method: "GET", pattern: t + "/teams", serve: listChildTeams},
			route{method: "GET", pattern: t + "/members", serve: listTeamMembers},
			route{method: "GET", pattern: t + "/members/{user}", serve: checkTeamMember},
			route{method: "GET", pattern: t + "/invitations", serve: listTeamInvitations},
			route{method: "GET", pattern: t + "/memberships/{user}", serve: getTeamMembership},
			route{method: "PUT", pattern: t + "/memberships/{user}", serve: setTeamMembership},
			route{method: "DELETE", pattern: t + "/memberships/{user}", serve: removeTeamMembership},
			route{method: "GET", pattern: t + "/repos", serve: listTeamRepos},
			route{method: "GET", pattern: t + "/repos/{owner}/{repo}", serve: checkTeamRepo},
			route{method: "PUT", pattern: t + "/repos/{owner}/{repo}", serve: setTeamRepo},
			route{method: "DELETE", pattern: t + "/repos/{owner}/{repo}", serve: removeTeamRepo},
		)
	}
	return routes
}

// teamJSON shows a team with its parent.
func (r *reader) teamJSON(org *account, t *team) (obj, error) {
	o := r.f.plainTeamJSON(org, t)
	o["parent"] = nil
	if t.ParentID != 0 {
		parent, err := r.teamID(t.ParentID)
		if err != nil {
			return nil, err
		}
		o["parent"] = r.f.plainTeamJSON(org, parent)
	}
	return o, nil
}

// teamFullJSON adds the counts of a single team.
func (r *reader) teamFullJSON(org *account, t *team) (obj, error) {
	o, err := r.teamJSON(org, t)
	if err != nil {
		return nil, err
	}
	o["organization"] = r.f.orgJSON(org)
	if o["members_count"], err = r.count("SELECT count(*) FROM team_members WHERE team_id = ?", t.ID); err != nil {
		return nil, err
	}
	o["repos_count"], err = r.count("SELECT count(*) FROM team_repos WHERE team_id = ?", t.ID)
	return o, err
}

func (r *reader) teamID(id int64) (*team, error) {
	return one(r, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE t.id = ?", id)
}

func (c *call) listOfTeams(org *account, where string, args ...any) (any, error) {
	all, err := list(c.reader, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE "+where+" ORDER BY t.slug", args...)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(t *team) (obj, error) { return c.teamJSON(org, t) })
}

func listTeams(c *call) (any, error) {
	org, err := c.memberOrg()
	if err != nil {
		return nil, err
	}
	return c.listOfTeams(org, "t.org_id = ?", org.ID)
}

func listChildTeams(c *call) (any, error) {
	org, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	return c.listOfTeams(org, "t.parent_id = ?", tm.ID)
}

// nullableID tells an absent value from null.
type nullableID struct {
	set   bool
	value int64
}

func (n *nullableID) UnmarshalJSON(raw []byte) error {
	n.set = true
	if string(raw) == "null" {
		return nil
	}
	return json.Unmarshal(raw, &n.value)
}

// teamEdit is the body of team creation and change.
type teamEdit struct {
	Name        *string    `json:"name"`
	Description *string    `json:"description"`
	Privacy     *string    `json:"privacy"`
	Permission  *string    `json:"permission"`
	Parent      nullableID `json:"parent_team_id"`
	Maintainers []string   `json:"maintainers"`
	Repos       []string   `json:"repo_names"`
}

func (e teamEdit) apply(t *team) error {
	set(&t.Name, e.Name)
	set(&t.Description, e.Description)
	if e.Privacy != nil && *e.Privacy != "" {
		t.Privacy = *e.Privacy
	}
	if e.Permission != nil && *e.Permission != "" {
		p, err := parsePermission(*e.Permission)
		if err != nil || p == permNone {
			return invalid("Team", "permission", "invalid", "")
		}
		t.Permission = p.teamWord()
	}
	if e.Parent.set {
		t.ParentID = e.Parent.value
	}
	if t.Privacy != "closed" && t.Privacy != "secret" {
		return invalid("Team", "privacy", "invalid", "")
	}
	if t.Slug = slugify(t.Name); t.Slug == "" {
		return invalid("Team", "name", "missing_field", "")
	}
	return checkText("Team", "name", t.Name, 255, true)
}

// checkParent refuses parents of other organisations, circles and secret families.
func (t *txn) checkParent(tm *team) error {
	seen := map[int64]bool{tm.ID: true}
	for id := tm.ParentID; id != 0; {
		p, err := t.teamID(id)
		if errors.Is(err, errNotFound) || err == nil && p.OrgID != tm.OrgID {
			return invalid("Team", "parent_team_id", "invalid", "")
		}
		if err != nil {
			return err
		}
		if seen[p.ID] {
			return invalid("Team", "parent_team_id", "invalid", "A team cannot be its own ancestor.")
		}
		seen[p.ID], id = true, p.ParentID
	}
	if tm.ParentID != 0 && tm.Privacy == "secret" {
		return unprocessable("Team cannot be secret and have a parent team.")
	}
	return nil
}

func createTeam(c *call) (any, error) {
	org, err := c.memberOrg()
	if err != nil {
		return nil, err
	}
	role, err := c.roleIn(org)
	if err != nil {
		return nil, err
	}
	var in teamEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	tm := &team{OrgID: org.ID, Privacy: "secret", Permission: "pull"}
	if in.Parent.value != 0 {
		tm.Privacy = "closed"
	}
	if err := in.apply(tm); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.team(org.ID, tm.Slug); err == nil {
			return invalid("Team", "name", "custom", "Name must be unique for this org")
		}
		if err := t.checkParent(tm); err != nil {
			return err
		}
		if tm.ID, err = t.exec("INSERT INTO teams (org_id, slug, name, description, privacy, parent_id, permission) VALUES (?,?,?,?,?,?,?)", tm.OrgID, tm.Slug, tm.Name, tm.Description, tm.Privacy, tm.ParentID, tm.Permission); err != nil {
			return err
		}
		if err := t.emitOrg(org, c.viewer, "team", "created", obj{"team": t.f.plainTeamJSON(org, tm)}); err != nil {
			return err
		}
		for _, login := range in.Maintainers {
			if _, err := t.joinTeam(org, tm, c.viewer, login, "maintainer"); err != nil {
				return err
			}
		}
		if role != "admin" { // who may not manage all teams maintains their own
			if _, err := t.joinTeam(org, tm, c.viewer, c.viewer.Login, "maintainer"); err != nil {
				return err
			}
		}
		for _, full := range in.Repos {
			if err := t.grantTeam(org, tm, full, tm.Permission); err != nil {
				return err
			}
		}
		o, err = t.teamFullJSON(org, tm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

// grantTeam gives a team a permission on a repository ("owner/name") of its organisation.
func (t *txn) grantTeam(org *account, tm *team, full, perm string) error {
	owner, name, ok := cutRepo(full)
	if !ok {
		return invalid("Team", "repo_names", "invalid", "")
	}
	rp, err := t.repo(owner, name)
	if errors.Is(err, errNotFound) || err == nil && rp.Owner.ID != org.ID {
		return invalid("Team", "repo_names", "invalid", "")
	}
	if err != nil {
		return err
	}
	p, err := parsePermission(perm)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO team_repos (team_id, repo_id, permission) VALUES (?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", tm.ID, rp.ID, p.String())
	return err
}

// joinTeam makes a member of the organisation a member of a team, and invites
// everybody else to both. It returns the state of the membership.
func (t *txn) joinTeam(org *account, tm *team, actor *account, login, role string) (state string, err error) {
	a, err := t.account(login)
	if errors.Is(err, errNotFound) || err == nil && a.Kind == kindOrg {
		return "", invalid("Team", "members", "invalid", "no user "+truncate(login, 50))
	}
	if err != nil {
		return "", err
	}
	have, err := t.orgRole(org.ID, a.ID)
	if err != nil {
		return "", err
	}
	if have == "" {
		v, err := t.pendingInvitation(org.ID, a.ID)
		if errors.Is(err, errNotFound) {
			v, err = t.invite(org, actor, orgInvitation{UserID: a.ID, Role: "direct_member"})
		}
		if err != nil {
			return "", err
		}
		_, err = t.exec("INSERT INTO team_invitations (invitation_id, team_id, role) VALUES (?,?,?) ON CONFLICT DO UPDATE SET role = excluded.role", v.ID, tm.ID, role)
		return "pending", err
	}
	n, err := t.count("SELECT count(*) FROM team_members WHERE team_id = ? AND user_id = ?", tm.ID, a.ID)
	if err != nil {
		return "", err
	}
	if _, err := t.exec("INSERT INTO team_members (team_id, user_id, role) VALUES (?,?,?) ON CONFLICT DO UPDATE SET role = excluded.role", tm.ID, a.ID, role); err != nil || n > 0 {
		return "active", err
	}
	return "active", t.emitOrg(org, actor, "membership", "added", obj{"scope": "team", "member": t.f.userJSON(a), "team": t.f.plainTeamJSON(org, tm)})
}

// teamOf finds the team of the path, by slug or id, for members of its organisation.
func (c *call) teamOf() (*account, *team, error) {
	var tm *team
	if c.params["slug"] == "" {
		id, err := c.id("id")
		if err != nil {
			return nil, nil, err
		}
		if tm, err = c.teamID(id); err != nil {
			return nil, nil, err
		}
		org, err := c.accountID(tm.OrgID)
		if err != nil {
			return nil, nil, err
		}
		c.params["org"] = org.Login
	}
	org, err := c.memberOrg()
	if err != nil {
		return nil, nil, err
	}
	if tm == nil {
		if tm, err = c.team(org.ID, c.params["slug"]); err != nil {
			return nil, nil, err
		}
	}
	if tm.Privacy == "secret" {
		role, err := c.roleIn(org)
		if err != nil {
			return nil, nil, err
		}
		n, err := c.count("SELECT count(*) FROM team_members WHERE team_id = ? AND user_id = ?", tm.ID, c.viewer.ID)
		if err != nil {
			return nil, nil, err
		}
		if role != "admin" && n == 0 {
			return nil, nil, errNotFound
		}
	}
	return org, tm, nil
}

// manageTeam finds the team of the path for owners and maintainers.
func (c *call) manageTeam() (*account, *team, error) {
	org, tm, err := c.teamOf()
	if err != nil {
		return nil, nil, err
	}
	role, err := c.roleIn(org)
	if err != nil || role == "admin" {
		return org, tm, err
	}
	n, err := c.count("SELECT count(*) FROM team_members WHERE team_id = ? AND user_id = ? AND role = 'maintainer'", tm.ID, c.viewer.ID)
	if err == nil && n == 0 {
		err = forbidden("Must have admin rights to Repository.")
	}
	return org, tm, err
}

func getTeam(c *call) (any, error) {
	org, t, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	return c.teamFullJSON(org, t)
}

func editTeam(c *call) (any, error) {
	org, tm, err := c.manageTeam()
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
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if other, err := t.team(org.ID, tm.Slug); err == nil && other.ID != tm.ID {
			return invalid("Team", "name", "custom", "Name must be unique for this org")
		}
		if err := t.checkParent(tm); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE teams SET slug = ?, name = ?, description = ?, privacy = ?, parent_id = ?, permission = ? WHERE id = ?", tm.Slug, tm.Name, tm.Description, tm.Privacy, tm.ParentID, tm.Permission, tm.ID); err != nil {
			return err
		}
		if o, err = t.teamFullJSON(org, tm); err != nil {
			return err
		}
		return t.emitOrg(org, c.viewer, "team", "edited", obj{"team": t.f.plainTeamJSON(org, tm), "changes": obj{}})
	})
	return o, err
}

// deleteTeam deletes a team and, as GitHub does, all teams below it.
func deleteTeam(c *call) (any, error) {
	org, tm, err := c.manageTeam()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("DELETE FROM teams WHERE id IN ("+teamTree+")", tm.ID); err != nil {
			return err
		}
		return t.emitOrg(org, c.viewer, "team", "deleted", obj{"team": t.f.plainTeamJSON(org, tm)})
	})
}

// teamTree selects a team and all below it.
const teamTree = "WITH RECURSIVE tree(id) AS (SELECT ? UNION SELECT s.id FROM teams s JOIN tree ON s.parent_id = tree.id) SELECT id FROM tree"

// teamRole is the role shown for a member m of team t: owners always maintain.
const teamRole = "CASE WHEN EXISTS (SELECT 1 FROM members o WHERE o.org_id = t.org_id AND o.user_id = m.user_id AND o.role = 'admin') THEN 'maintainer' ELSE m.role END"

func listTeamMembers(c *call) (any, error) {
	_, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	role := c.query("role")
	switch role {
	case "":
		role = "all"
	case "all", "member", "maintainer":
	default:
		return nil, invalid("Team", "role", "invalid", "")
	}
	// Members of teams below count as members.
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE EXISTS (SELECT 1 FROM team_members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = a.id AND t.id IN ("+teamTree+") AND ? IN ('all', "+teamRole+")) ORDER BY a.login", tm.ID, role)
	if err != nil {
		return nil, err
	}
	return c.f.usersJSON(paginate(c, all)), nil
}

// memberOfTeam returns the role and state of an account in a team.
func (c *call) memberOfTeam(tm *team) (user *account, role, state string, err error) {
	if user, err = c.account(c.params["user"]); err != nil {
		return nil, "", "", err
	}
	got, err := one(c.reader, scalar[string], "SELECT "+teamRole+" FROM team_members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = ? AND t.id IN ("+teamTree+")", user.ID, tm.ID)
	if err == nil {
		return user, *got, "active", nil
	}
	if !errors.Is(err, errNotFound) {
		return nil, "", "", err
	}
	got, err = one(c.reader, scalar[string], "SELECT x.role FROM team_invitations x JOIN org_invitations n ON n.id = x.invitation_id WHERE x.team_id = ? AND n.user_id = ? AND n.failed = 0", tm.ID, user.ID)
	if err != nil {
		return nil, "", "", err
	}
	return user, *got, "pending", nil
}

func checkTeamMember(c *call) (any, error) {
	_, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	_, _, state, err := c.memberOfTeam(tm)
	if err == nil && state != "active" {
		err = errNotFound
	}
	return noContent, err
}

func (c *call) teamMembershipJSON(org *account, tm *team, user *account, role, state string) obj {
	return obj{"role": role, "state": state, "url": c.f.api("/organizations/%d/team/%d/memberships/%s", org.ID, tm.ID, user.Login)}
}

func getTeamMembership(c *call) (any, error) {
	org, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	user, role, state, err := c.memberOfTeam(tm)
	if err != nil {
		return nil, err
	}
	return c.teamMembershipJSON(org, tm, user, role, state), nil
}

func setTeamMembership(c *call) (any, error) {
	org, tm, err := c.manageTeam()
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
	user, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	if user.Kind == kindOrg {
		return nil, unprocessable("Cannot add an organization as a member.")
	}
	state := ""
	err = c.f.write(c.ctx, func(t *txn) error {
		state, err = t.joinTeam(org, tm, c.viewer, user.Login, in.Role)
		return err
	})
	if err != nil {
		return nil, err
	}
	if role, err := c.orgRole(org.ID, user.ID); err != nil {
		return nil, err
	} else if role == "admin" {
		in.Role = "maintainer"
	}
	return c.teamMembershipJSON(org, tm, user, in.Role, state), nil
}

func removeTeamMembership(c *call) (any, error) {
	org, tm, err := c.manageTeam()
	if err != nil {
		return nil, err
	}
	user, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		n, err := t.changed("DELETE FROM team_members WHERE team_id = ? AND user_id = ?", tm.ID, user.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			return t.emitOrg(org, c.viewer, "membership", "removed", obj{"scope": "team", "member": t.f.userJSON(user), "team": t.f.plainTeamJSON(org, tm)})
		}
		n, err = t.changed("DELETE FROM team_invitations WHERE team_id = ? AND invitation_id IN (SELECT id FROM org_invitations WHERE user_id = ?)", tm.ID, user.ID)
		if err == nil && n == 0 {
			err = errNotFound
		}
		return err
	})
}

func listTeamInvitations(c *call) (any, error) {
	org, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanOrgInvitation, "SELECT "+orgInvitationCols+" FROM org_invitations n JOIN team_invitations x ON x.invitation_id = n.id WHERE x.team_id = ? AND n.failed = 0 ORDER BY n.id", tm.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(v *orgInvitation) (obj, error) { return c.orgInvitationJSON(org, v) })
}

func listTeamRepos(c *call) (any, error) {
	_, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+"JOIN team_repos x ON x.repo_id = r.id WHERE x.team_id = ? ORDER BY r.name", tm.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(rp *repo) (obj, error) { return c.teamRepoJSON(tm, rp) })
}

func (c *call) teamRepoJSON(tm *team, rp *repo) (obj, error) {
	name, err := one(c.reader, scalar[string], "SELECT permission FROM team_repos WHERE team_id = ? AND repo_id = ?", tm.ID, rp.ID)
	if err != nil {
		return nil, err
	}
	p, err := parsePermission(*name)
	o := c.f.repoJSON(rp)
	o["permissions"], o["role_name"] = p.booleans(), p.String()
	return o, err
}

func checkTeamRepo(c *call) (any, error) {
	_, tm, err := c.teamOf()
	if err != nil {
		return nil, err
	}
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	o, err := c.teamRepoJSON(tm, rp)
	if err != nil || !c.accepts("repository") {
		return noContent, err
	}
	return o, nil
}

// teamRepo finds team and repository of the path; both need an administrator.
func (c *call) teamRepo() (*account, *team, *repo, error) {
	org, tm, err := c.teamOf()
	if err != nil {
		return nil, nil, nil, err
	}
	rp, err := c.theRepo(permAdmin)
	if err == nil && rp.Owner.ID != org.ID {
		err = unprocessable("The repository is not owned by the organization.")
	}
	return org, tm, rp, err
}

func setTeamRepo(c *call) (any, error) {
	org, tm, rp, err := c.teamRepo()
	if err != nil {
		return nil, err
	}
	in := struct{ Permission string }{tm.Permission}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := parsePermission(in.Permission)
	if err != nil || p == permNone {
		return nil, invalid("Team", "permission", "invalid", "")
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if err := t.grantTeam(org, tm, rp.fullName(), p.String()); err != nil {
			return err
		}
		return t.emit(rp, c.viewer, "team", "added_to_repository", obj{"team": t.f.plainTeamJSON(org, tm)})
	})
}

func removeTeamRepo(c *call) (any, error) {
	org, tm, rp, err := c.teamRepo()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("DELETE FROM team_repos WHERE team_id = ? AND repo_id = ?", tm.ID, rp.ID); err != nil {
			return err
		}
		return t.emit(rp, c.viewer, "team", "removed_from_repository", obj{"team": t.f.plainTeamJSON(org, tm)})
	})
}
