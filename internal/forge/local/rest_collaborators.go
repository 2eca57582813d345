package local

import (
	"errors"
	"net/http"
	"slices"
)

func collaboratorRoutes() []route {
	const r = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: r + "/collaborators", serve: listCollaborators},
		{method: "GET", pattern: r + "/collaborators/{user}", serve: checkCollaborator},
		{method: "PUT", pattern: r + "/collaborators/{user}", serve: putCollaborator},
		{method: "PATCH", pattern: r + "/collaborators/{user}", serve: putCollaborator},
		{method: "DELETE", pattern: r + "/collaborators/{user}", serve: deleteCollaborator},
		{method: "GET", pattern: r + "/collaborators/{user}/permission", serve: getPermission},
		{method: "GET", pattern: r + "/invitations", serve: listRepoInvitations},
		{method: "PATCH", pattern: r + "/invitations/{id}", serve: editRepoInvitation},
		{method: "DELETE", pattern: r + "/invitations/{id}", serve: deleteRepoInvitation},
		{method: "GET", pattern: r + "/teams", serve: listRepoTeams},
	}
}

// collaborators lists everybody with a granted permission.
func (r *reader) collaborators(rp *repo) ([]account, error) {
	all, err := list(r, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.kind != ? ORDER BY a.login", kindOrg)
	if err != nil {
		return nil, err
	}
	var out []account
	for i := range all {
		p, err := r.granted(rp, &all[i])
		if err != nil {
			return nil, err
		}
		if p >= permRead {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// direct lists those who were given a permission on this repository by name.
func (r *reader) direct(rp *repo) ([]int64, error) {
	return list(r, scalar[int64], "SELECT user_id FROM collaborators WHERE repo_id = ?", rp.ID)
}

// seesPeople requires push access, or membership of the owner, to see who has access.
func (c *call) seesPeople() (*repo, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if err := c.login(); err != nil {
		return nil, err
	}
	if c.perm >= permWrite {
		return rp, nil
	}
	role, err := c.roleIn(&rp.Owner)
	if err == nil && role == "" {
		err = forbidden("Must have push access to view repository collaborators.")
	}
	return rp, err
}

func listCollaborators(c *call) (any, error) {
	rp, err := c.seesPeople()
	if err != nil {
		return nil, err
	}
	all, err := c.collaborators(rp)
	if err != nil {
		return nil, err
	}
	switch affiliation := c.query("affiliation"); affiliation {
	case "", "all":
	case "direct", "outside":
		direct, err := c.direct(rp)
		if err != nil {
			return nil, err
		}
		var kept []account
		for _, a := range all {
			role, err := c.orgRole(rp.Owner.ID, a.ID)
			if err != nil {
				return nil, err
			}
			if slices.Contains(direct, a.ID) && (affiliation == "direct" || role == "") {
				kept = append(kept, a)
			}
		}
		all = kept
	default:
		return nil, invalid("Repository", "affiliation", "invalid", "")
	}
	if want := c.query("permission"); want != "" {
		p, err := parsePermission(want)
		if err != nil {
			return nil, invalid("Repository", "permission", "invalid", "")
		}
		var kept []account
		for i := range all {
			have, err := c.granted(rp, &all[i])
			if err != nil {
				return nil, err
			}
			if have == p {
				kept = append(kept, all[i])
			}
		}
		all = kept
	}
	return each(paginate(c, all), func(a *account) (obj, error) {
		p, err := c.granted(rp, a)
		o := c.f.userJSON(a)
		o["permissions"], o["role_name"] = p.booleans(), p.String()
		return o, err
	})
}

func checkCollaborator(c *call) (any, error) {
	rp, err := c.seesPeople()
	if err != nil {
		return nil, err
	}
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	p, err := c.granted(rp, a)
	if err == nil && p < permRead {
		err = errNotFound
	}
	return noContent, err
}

func getPermission(c *call) (any, error) {
	rp, err := c.seesPeople()
	if err != nil {
		return nil, err
	}
	a, err := c.account(c.params["user"])
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: truncate(c.params["user"], 50) + " is not a user"}
	}
	if err != nil {
		return nil, err
	}
	p, err := c.permission(rp, a)
	if err != nil {
		return nil, err
	}
	user := c.f.userJSON(a)
	user["permissions"], user["role_name"] = p.booleans(), p.String()
	return obj{"permission": p.legacy(), "role_name": p.String(), "user": user}, nil
}

// putCollaborator changes the permission of those who are in, and invites others.
func putCollaborator(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	in := struct{ Permission string }{"push"}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p, err := parsePermission(in.Permission)
	if err != nil || p == permNone {
		return nil, invalid("Repository", "permission", "invalid", "")
	}
	if a.Kind == kindOrg {
		return nil, unprocessable("Organizations cannot be collaborators.")
	}
	if a.ID == rp.Owner.ID {
		return nil, unprocessable("Repository owner cannot be a collaborator")
	}
	role, err := c.orgRole(rp.Owner.ID, a.ID)
	if err != nil {
		return nil, err
	}
	direct, err := c.direct(rp)
	if err != nil {
		return nil, err
	}
	inside := role != "" || slices.Contains(direct, a.ID)
	if c.http.Method == http.MethodPatch && !inside {
		return nil, errNotFound
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if inside {
			return t.addCollaborator(rp, a, c.viewer, p.String())
		}
		if _, err := t.exec("INSERT INTO repo_invitations (repo_id, user_id, permission, inviter_id, created) VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", rp.ID, a.ID, p.String(), c.viewer.ID, t.now); err != nil {
			return err
		}
		v, err := one(&t.reader, scanRepoInvitation, "SELECT "+repoInvitationCols+" FROM repo_invitations n WHERE n.repo_id = ? AND n.user_id = ?", rp.ID, a.ID)
		if err != nil {
			return err
		}
		o, err = t.repoInvitationJSON(v)
		return err
	})
	if err != nil || inside {
		return noContent, err
	}
	return created(o)
}

func deleteCollaborator(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("DELETE FROM repo_invitations WHERE repo_id = ? AND user_id = ?", rp.ID, a.ID); err != nil {
			return err
		}
		n, err := t.changed("DELETE FROM collaborators WHERE repo_id = ? AND user_id = ?", rp.ID, a.ID)
		if err != nil || n == 0 {
			return err
		}
		return t.emit(rp, c.viewer, "member", "removed", obj{"member": t.f.userJSON(a)})
	})
}

func listRepoTeams(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	type teamGrant struct {
		team
		perm string
	}
	all, err := list(c.reader, func(s scanner, g *teamGrant) error {
		return s.Scan(&g.ID, &g.OrgID, &g.Slug, &g.Name, &g.Description, &g.Privacy, &g.ParentID, &g.Permission, &g.perm)
	}, "SELECT "+teamCols+", x.permission FROM teams t JOIN team_repos x ON x.team_id = t.id WHERE x.repo_id = ? ORDER BY t.slug", rp.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(g *teamGrant) (obj, error) {
		o, err := c.teamJSON(&rp.Owner, &g.team)
		if err != nil {
			return nil, err
		}
		p, err := parsePermission(g.perm)
		o["permission"], o["permissions"] = p.teamWord(), p.booleans()
		return o, err
	})
}
