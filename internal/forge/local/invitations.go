package local

import "errors"

// orgInvitation asks somebody to join an organisation, and teams of it.
type orgInvitation struct {
	ID, OrgID, UserID int64
	Email, Role       string
	InviterID         int64
	Created, Failed   when
	Reason            string
}

const orgInvitationCols = "n.id, n.org_id, n.user_id, n.email, n.role, n.inviter_id, n.created, n.failed, n.reason"

func scanOrgInvitation(s scanner, v *orgInvitation) error {
	return s.Scan(&v.ID, &v.OrgID, &v.UserID, &v.Email, &v.Role, &v.InviterID, &v.Created, &v.Failed, &v.Reason)
}

// memberRole is the role that accepting gives.
func (v *orgInvitation) memberRole() string {
	if v.Role == "admin" {
		return "admin"
	}
	return "member"
}

func (r *reader) pendingInvitation(orgID, userID int64) (*orgInvitation, error) {
	return one(r, scanOrgInvitation, "SELECT "+orgInvitationCols+" FROM org_invitations n WHERE n.org_id = ? AND n.user_id = ? AND n.failed = 0", orgID, userID)
}

func (r *reader) orgInvitationJSON(org *account, v *orgInvitation) (obj, error) {
	inviter, err := r.userIDJSON(v.InviterID)
	if err != nil {
		return nil, err
	}
	teams, err := r.count("SELECT count(*) FROM team_invitations WHERE invitation_id = ?", v.ID)
	if err != nil {
		return nil, err
	}
	o := obj{
		"id": v.ID, "node_id": nodeID("OIN", v.ID), "login": nil, "email": orNull(v.Email), "role": v.Role, "created_at": v.Created, "inviter": inviter,
		"team_count": teams, "invitation_teams_url": r.f.api("/orgs/%s/invitations/%d/teams", org.Login, v.ID), "invitation_source": "member",
		"failed_at": v.Failed, "failed_reason": orNull(v.Reason),
	}
	if v.UserID != 0 {
		a, err := r.accountID(v.UserID)
		if err != nil {
			return nil, err
		}
		o["login"] = a.Login
	}
	return o, nil
}

// invite creates an invitation, or changes the role of the one there is.
func (t *txn) invite(org, actor *account, v orgInvitation) (*orgInvitation, error) {
	if v.UserID != 0 {
		have, err := t.pendingInvitation(org.ID, v.UserID)
		if err == nil {
			have.Role = v.Role
			_, err = t.exec("UPDATE org_invitations SET role = ? WHERE id = ?", v.Role, have.ID)
			return have, err
		}
		if !errors.Is(err, errNotFound) {
			return nil, err
		}
	}
	v.OrgID, v.InviterID, v.Created = org.ID, actor.ID, t.now
	var err error
	if v.ID, err = t.exec("INSERT INTO org_invitations (org_id, user_id, email, role, inviter_id, created) VALUES (?,?,?,?,?,?)", v.OrgID, v.UserID, v.Email, v.Role, v.InviterID, v.Created); err != nil {
		return nil, err
	}
	o, err := t.orgInvitationJSON(org, &v)
	if err != nil {
		return nil, err
	}
	payload := obj{"invitation": o}
	if v.UserID != 0 {
		if payload["user"], err = t.userIDJSON(v.UserID); err != nil {
			return nil, err
		}
	}
	return &v, t.emitOrg(org, actor, "organization", "member_invited", payload)
}

// acceptOrg turns an invitation into memberships of the organisation and its teams.
func (t *txn) acceptOrg(org, user *account) (role string, err error) {
	v, err := t.pendingInvitation(org.ID, user.ID)
	if err != nil {
		return "", err
	}
	role = v.memberRole()
	if _, err := t.exec("INSERT INTO members (org_id, user_id, role) VALUES (?,?,?) ON CONFLICT DO UPDATE SET role = excluded.role", org.ID, user.ID, role); err != nil {
		return "", err
	}
	if _, err := t.exec("INSERT INTO team_members (team_id, user_id, role) SELECT team_id, ?, role FROM team_invitations WHERE invitation_id = ? ON CONFLICT DO NOTHING", user.ID, v.ID); err != nil {
		return "", err
	}
	if _, err := t.exec("DELETE FROM org_invitations WHERE id = ?", v.ID); err != nil {
		return "", err
	}
	return role, t.emitOrg(org, user, "organization", "member_added", obj{"membership": obj{"state": "active", "role": role, "user": t.f.userJSON(user), "organization_url": t.f.api("/orgs/%s", org.Login)}})
}

// repoInvitation asks somebody to collaborate on a repository.
type repoInvitation struct {
	ID, RepoID, UserID int64
	Permission         string
	InviterID          int64
	Created            when
}

const repoInvitationCols = "n.id, n.repo_id, n.user_id, n.permission, n.inviter_id, n.created"

func scanRepoInvitation(s scanner, v *repoInvitation) error {
	return s.Scan(&v.ID, &v.RepoID, &v.UserID, &v.Permission, &v.InviterID, &v.Created)
}

func (r *reader) repoInvitationJSON(v *repoInvitation) (obj, error) {
	rp, err := r.repoID(v.RepoID)
	if err != nil {
		return nil, err
	}
	invitee, err := r.userIDJSON(v.UserID)
	if err != nil {
		return nil, err
	}
	inviter, err := r.userIDJSON(v.InviterID)
	if err != nil {
		return nil, err
	}
	return obj{
		"id": v.ID, "node_id": nodeID("RI", v.ID), "repository": r.f.repoJSON(rp), "invitee": invitee, "inviter": inviter, "permissions": v.Permission,
		"created_at": v.Created, "expired": false, "url": r.f.api("/user/repository_invitations/%d", v.ID), "html_url": r.f.web("/%s/invitations", rp.fullName()),
	}, nil
}

// addCollaborator grants a permission and tells the repository's hooks.
func (t *txn) addCollaborator(rp *repo, user, actor *account, perm string) error {
	n, err := t.count("SELECT count(*) FROM collaborators WHERE repo_id = ? AND user_id = ?", rp.ID, user.ID)
	if err != nil {
		return err
	}
	if _, err := t.exec("INSERT INTO collaborators (repo_id, user_id, permission) VALUES (?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", rp.ID, user.ID, perm); err != nil {
		return err
	}
	action := "added"
	if n > 0 {
		action = "edited"
	}
	return t.emit(rp, actor, "member", action, obj{"member": t.f.userJSON(user), "changes": obj{"permission": obj{"to": perm}}})
}
