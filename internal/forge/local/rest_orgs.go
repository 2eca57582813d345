package local

import (
	"encoding/json"
	"net/http"
)

func orgRoutes() []route {
	return []route{
		{method: "GET", pattern: "/organizations", serve: listOrgs},
		{method: "GET", pattern: "/orgs/{org}", serve: getOrg},
		{method: "PATCH", pattern: "/orgs/{org}", serve: editOrg},
		{method: "GET", pattern: "/orgs/{org}/members", serve: listMembers},
		{method: "GET", pattern: "/orgs/{org}/members/{user}", serve: checkMember},
		{method: "DELETE", pattern: "/orgs/{org}/members/{user}", serve: removeMember},
		{method: "GET", pattern: "/orgs/{org}/public_members", serve: listMembers},
		{method: "GET", pattern: "/orgs/{org}/public_members/{user}", serve: checkMember},
		{method: "GET", pattern: "/orgs/{org}/memberships/{user}", serve: getMembership},
		{method: "PUT", pattern: "/orgs/{org}/memberships/{user}", serve: setMembership},
		{method: "DELETE", pattern: "/orgs/{org}/memberships/{user}", serve: removeMember},
		{method: "GET", pattern: "/orgs/{org}/invitations", serve: listOrgInvitations},
		{method: "POST", pattern: "/orgs/{org}/invitations", serve: createOrgInvitation},
		{method: "DELETE", pattern: "/orgs/{org}/invitations/{id}", serve: cancelOrgInvitation},
		{method: "GET", pattern: "/orgs/{org}/invitations/{id}/teams", serve: listInvitationTeams},
		{method: "GET", pattern: "/orgs/{org}/failed_invitations", serve: listFailedInvitations},
		{method: "GET", pattern: "/orgs/{org}/outside_collaborators", serve: listOutsideCollaborators},
		{method: "PUT", pattern: "/orgs/{org}/outside_collaborators/{user}", serve: convertToOutside},
		{method: "DELETE", pattern: "/orgs/{org}/outside_collaborators/{user}", serve: removeOutside},
		{method: "GET", pattern: "/orgs/{org}/issues", serve: goneFeature},
		{method: "GET", pattern: "/orgs/{org}/projects", serve: goneFeature},
		{method: "GET", pattern: "/repos/{owner}/{repo}/projects", serve: goneFeature},
		{method: "GET", pattern: "/projects/{rest...}", serve: goneFeature},
		{method: "POST", pattern: "/projects/{rest...}", serve: goneFeature},
		{method: "DELETE", pattern: "/projects/{rest...}", serve: goneFeature},
	}
}

// goneFeature answers for classic projects, which GitHub has removed.
func goneFeature(*call) (any, error) {
	return nil, &apiError{Status: http.StatusGone, Message: "Projects (classic) has been deprecated in favor of the new Projects experience, see: https://github.blog/changelog/2024-05-23-sunset-notice-projects-classic/."}
}

func listOrgs(c *call) (any, error) {
	since := 0
	if n, err := parseCount(c.query("since")); err == nil {
		since = n
	}
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.kind = ? AND a.id > ? ORDER BY a.id", kindOrg, since)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(a *account) (obj, error) { return c.f.orgJSON(a), nil })
}

func getOrg(c *call) (any, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	return c.orgFullJSON(org)
}

// orgFullJSON adds what only members and owners see.
func (c *call) orgFullJSON(org *account) (obj, error) {
	o := c.f.orgFullJSON(org)
	role := ""
	if c.viewer != nil {
		var err error
		if role, err = c.roleIn(org); err != nil {
			return nil, err
		}
	}
	if role != "admin" {
		for _, private := range []string{"billing_email", "default_repository_permission", "members_can_create_repositories", "two_factor_requirement_enabled"} {
			delete(o, private)
		}
	}
	var err error
	o["public_repos"], err = c.count("SELECT count(*) FROM repos WHERE owner_id = ? AND NOT private", org.ID)
	if err == nil && role != "" {
		o["total_private_repos"], err = c.count("SELECT count(*) FROM repos WHERE owner_id = ? AND private", org.ID)
		o["owned_private_repos"] = o["total_private_repos"]
	}
	return o, err
}

// roleIn is the caller's role in an organisation: that of an installed App is the owner's, within its permissions.
func (c *call) roleIn(org *account) (string, error) {
	switch {
	case c.viewer == nil:
		return "", nil
	case c.viewer.Admin, c.viewer.grant.covers(org.ID):
		return "admin", nil
	}
	return c.orgRole(org.ID, c.viewer.ID)
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
	role, err := c.roleIn(org)
	if err != nil {
		return nil, err
	}
	if role != "admin" {
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
	role, err := c.roleIn(org)
	if err == nil && role == "" {
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
	var raw map[string]json.RawMessage
	if err := c.body(&raw); err != nil {
		return nil, err
	}
	set(&org.Name, in.Name)
	set(&org.Email, in.Email)
	set(&org.DefaultPerm, in.Default)
	if org.Settings, err = org.Settings.merge(orgDefaults, raw, "Organization"); err != nil {
		return nil, err
	}
	switch org.DefaultPerm {
	case "none", "read", "write", "admin":
	default:
		return nil, invalid("Organization", "default_repository_permission", "invalid", "")
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("UPDATE accounts SET name = ?, email = ?, default_permission = ?, settings = ? WHERE id = ?", org.Name, org.Email, org.DefaultPerm, org.Settings, org.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.orgFullJSON(org)
}

func listMembers(c *call) (any, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	role := c.query("role")
	switch role {
	case "":
		role = "all"
	case "all", "admin", "member":
	default:
		return nil, invalid("Organization", "role", "invalid", "")
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

func (c *call) membershipJSON(org, user *account, role, state string) obj {
	return obj{
		"url": c.f.api("/orgs/%s/memberships/%s", org.Login, user.Login), "state": state, "role": role, "organization_url": c.f.api("/orgs/%s", org.Login),
		"organization": c.f.orgJSON(org), "user": c.f.userJSON(user), "direct_membership": true,
	}
}

func getMembership(c *call) (any, error) {
	org, user, role, err := c.orgUser()
	if err != nil {
		return nil, err
	}
	if role != "" {
		return c.membershipJSON(org, user, role, "active"), nil
	}
	inv, err := c.pendingInvitation(org.ID, user.ID)
	if err != nil {
		return nil, err
	}
	return c.membershipJSON(org, user, inv.memberRole(), "pending"), nil
}

// setMembership changes the role of a member, or invites.
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
	if user.Kind == kindOrg {
		return nil, unprocessable("Organizations cannot be members of organizations.")
	}
	state := "active"
	err = c.f.write(c.ctx, func(t *txn) error {
		role, err := t.orgRole(org.ID, user.ID)
		if err != nil {
			return err
		}
		if role != "" {
			_, err = t.exec("UPDATE members SET role = ? WHERE org_id = ? AND user_id = ?", in.Role, org.ID, user.ID)
			return err
		}
		state = "pending"
		_, err = t.invite(org, c.viewer, orgInvitation{UserID: user.ID, Role: map[string]string{"admin": "admin", "member": "direct_member"}[in.Role]})
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.membershipJSON(org, user, in.Role, state), nil
}

// removeMember ends a membership, or takes an invitation back.
func removeMember(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	user, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error { return t.removeMember(org, user, c.viewer) })
}

func (t *txn) removeMember(org, user, actor *account) error {
	role, err := t.orgRole(org.ID, user.ID)
	if err != nil {
		return err
	}
	if role == "" {
		n, err := t.changed("DELETE FROM org_invitations WHERE org_id = ? AND user_id = ? AND failed = 0", org.ID, user.ID)
		if err == nil && n == 0 {
			err = errNotFound
		}
		return err
	}
	if _, err := t.exec("DELETE FROM members WHERE org_id = ? AND user_id = ?", org.ID, user.ID); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM team_members WHERE user_id = ? AND team_id IN (SELECT id FROM teams WHERE org_id = ?)", user.ID, org.ID); err != nil {
		return err
	}
	return t.emitOrg(org, actor, "organization", "member_removed", obj{"membership": obj{"state": "inactive", "role": "unaffiliated", "user": t.f.userJSON(user), "organization_url": t.f.api("/orgs/%s", org.Login)}})
}

const outsideWhere = " FROM accounts a WHERE EXISTS (SELECT 1 FROM collaborators x JOIN repos r ON r.id = x.repo_id WHERE r.owner_id = ? AND x.user_id = a.id) AND NOT EXISTS (SELECT 1 FROM members m WHERE m.org_id = ? AND m.user_id = a.id) ORDER BY a.login"

func listOutsideCollaborators(c *call) (any, error) {
	org, err := c.memberOrg()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanAccount, "SELECT "+accountCols+outsideWhere, org.ID, org.ID)
	if err != nil {
		return nil, err
	}
	return c.f.usersJSON(paginate(c, all)), nil
}

// convertToOutside ends a membership; what was granted on repositories directly stays.
func convertToOutside(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	_, user, role, err := c.orgUser()
	if err != nil {
		return nil, err
	}
	if role == "" {
		return nil, forbidden(user.Login + " is not a member of the " + org.Login + " organization.")
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error { return t.removeMember(org, user, c.viewer) })
}

func removeOutside(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	_, user, role, err := c.orgUser()
	if err != nil {
		return nil, err
	}
	if role != "" {
		return nil, unprocessable("You cannot specify an organization member to remove as an outside collaborator.")
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM collaborators WHERE user_id = ? AND repo_id IN (SELECT id FROM repos WHERE owner_id = ?)", user.ID, org.ID)
		return err
	})
}
