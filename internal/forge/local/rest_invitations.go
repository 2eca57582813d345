package local

import (
	"errors"
	"net/http"
)

func listOrgInvitations(c *call) (any, error)    { return c.orgInvitations("n.failed = 0") }
func listFailedInvitations(c *call) (any, error) { return c.orgInvitations("n.failed > 0") }

func (c *call) orgInvitations(where string) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanOrgInvitation, "SELECT "+orgInvitationCols+" FROM org_invitations n WHERE n.org_id = ? AND "+where+" ORDER BY n.id", org.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(v *orgInvitation) (obj, error) { return c.orgInvitationJSON(org, v) })
}

func createOrgInvitation(c *call) (any, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, err
	}
	in := struct {
		InviteeID int64   `json:"invitee_id"`
		Email     string  `json:"email"`
		Role      string  `json:"role"`
		Teams     []int64 `json:"team_ids"`
	}{Role: "direct_member"}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	switch in.Role {
	case "direct_member", "admin", "billing_manager":
	default:
		return nil, invalid("OrganizationInvitation", "role", "invalid", "")
	}
	if (in.InviteeID == 0) == (in.Email == "") {
		return nil, invalid("OrganizationInvitation", "invitee", "missing_field", "Either invitee_id or email must be given.")
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if in.InviteeID != 0 {
			a, err := t.accountID(in.InviteeID)
			if err != nil {
				return err
			}
			if a.ID == 0 || a.Kind == kindOrg {
				return invalid("OrganizationInvitation", "invitee_id", "invalid", "")
			}
			if role, err := t.orgRole(org.ID, a.ID); err != nil || role != "" {
				return errors.Join(err, invalid("OrganizationInvitation", "data", "unprocessable", "Invitee is already a part of this organization"))
			}
		}
		v, err := t.invite(org, c.viewer, orgInvitation{UserID: in.InviteeID, Email: in.Email, Role: in.Role})
		if err != nil {
			return err
		}
		for _, id := range in.Teams {
			if _, err := one(&t.reader, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE t.id = ? AND t.org_id = ?", id, org.ID); err != nil {
				return err
			}
			if _, err := t.exec("INSERT OR IGNORE INTO team_invitations (invitation_id, team_id, role) VALUES (?,?,'member')", v.ID, id); err != nil {
				return err
			}
		}
		o, err = t.orgInvitationJSON(org, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) orgInvitationOf() (*account, *orgInvitation, error) {
	org, err := c.adminOrg()
	if err != nil {
		return nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, err
	}
	v, err := one(c.reader, scanOrgInvitation, "SELECT "+orgInvitationCols+" FROM org_invitations n WHERE n.id = ? AND n.org_id = ?", id, org.ID)
	return org, v, err
}

func cancelOrgInvitation(c *call) (any, error) {
	_, v, err := c.orgInvitationOf()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM org_invitations WHERE id = ?", v.ID)
		return err
	})
}

func listInvitationTeams(c *call) (any, error) {
	org, v, err := c.orgInvitationOf()
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanTeam, "SELECT "+teamCols+" FROM teams t JOIN team_invitations x ON x.team_id = t.id WHERE x.invitation_id = ? ORDER BY t.id", v.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(t *team) (obj, error) { return c.teamJSON(org, t) })
}

func listMyRepoInvitations(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanRepoInvitation, "SELECT "+repoInvitationCols+" FROM repo_invitations n WHERE n.user_id = ? ORDER BY n.id", c.viewer.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), c.repoInvitationJSON)
}

// answerRepoInvitation accepts (PATCH) or declines (DELETE) an invitation of the caller.
func answerRepoInvitation(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		v, err := one(&t.reader, scanRepoInvitation, "SELECT "+repoInvitationCols+" FROM repo_invitations n WHERE n.id = ? AND n.user_id = ?", id, c.viewer.ID)
		if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM repo_invitations WHERE id = ?", v.ID); err != nil || c.http.Method == http.MethodDelete {
			return err
		}
		rp, err := t.repoID(v.RepoID)
		if err != nil {
			return err
		}
		return t.addCollaborator(rp, c.viewer, c.viewer, v.Permission)
	})
}

func listRepoInvitations(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanRepoInvitation, "SELECT "+repoInvitationCols+" FROM repo_invitations n WHERE n.repo_id = ? ORDER BY n.id", rp.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), c.repoInvitationJSON)
}

func (c *call) repoInvitationOf() (*repoInvitation, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	return one(c.reader, scanRepoInvitation, "SELECT "+repoInvitationCols+" FROM repo_invitations n WHERE n.id = ? AND n.repo_id = ?", id, rp.ID)
}

func editRepoInvitation(c *call) (any, error) {
	v, err := c.repoInvitationOf()
	if err != nil {
		return nil, err
	}
	var in struct{ Permissions string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := parsePermission(in.Permissions)
	if err != nil || p == permNone {
		return nil, invalid("RepositoryInvitation", "permissions", "invalid", "")
	}
	v.Permission = p.String()
	err = c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("UPDATE repo_invitations SET permission = ? WHERE id = ?", v.Permission, v.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.repoInvitationJSON(v)
}

func deleteRepoInvitation(c *call) (any, error) {
	v, err := c.repoInvitationOf()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM repo_invitations WHERE id = ?", v.ID)
		return err
	})
}
