package local

import (
	"errors"
	"net/http"
)

func repoRoutes() []route {
	const r = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: r, serve: getRepo},
		{method: "PATCH", pattern: r, serve: editRepo},
		{method: "POST", pattern: "/orgs/{org}/repos", serve: createOrgRepo},
		{method: "POST", pattern: "/user/repos", serve: createUserRepo},
		{method: "GET", pattern: "/orgs/{org}/repos", serve: listOwnerRepos},
		{method: "GET", pattern: "/users/{org}/repos", serve: listOwnerRepos},
		{method: "GET", pattern: "/user/repos", serve: listMyRepos},
		{method: "POST", pattern: r + "/forks", serve: forkRepo},
		{method: "GET", pattern: r + "/forks", serve: listForks},
		{method: "GET", pattern: r + "/collaborators", serve: listCollaborators},
		{method: "GET", pattern: r + "/collaborators/{user}", serve: checkCollaborator},
		{method: "PUT", pattern: r + "/collaborators/{user}", serve: putCollaborator},
		{method: "DELETE", pattern: r + "/collaborators/{user}", serve: deleteCollaborator},
		{method: "GET", pattern: r + "/collaborators/{user}/permission", serve: getPermission},
		{method: "GET", pattern: r + "/teams", serve: listRepoTeams},
		{method: "GET", pattern: r + "/branches", serve: listBranches},
		{method: "GET", pattern: r + "/branches/{branch...}", serve: getBranch},
		{method: "PUT", pattern: r + "/branches/{branch...}", serve: changeProtection},
		{method: "DELETE", pattern: r + "/branches/{branch...}", serve: changeProtection},
		{method: "GET", pattern: r + "/tags", serve: listTags},
		{method: "GET", pattern: r + "/git/refs", serve: listRefs},
		{method: "GET", pattern: r + "/git/refs/{ref...}", serve: getRefs},
		{method: "GET", pattern: r + "/git/ref/{ref...}", serve: getRef},
		{method: "GET", pattern: r + "/git/matching-refs/{ref...}", serve: matchingRefs},
		{method: "POST", pattern: r + "/git/refs", serve: createRef},
		{method: "PATCH", pattern: r + "/git/refs/{ref...}", serve: updateRef},
		{method: "DELETE", pattern: r + "/git/refs/{ref...}", serve: deleteRef},
		{method: "GET", pattern: r + "/git/commits/{sha}", serve: getGitCommit},
		{method: "GET", pattern: r + "/git/trees/{sha...}", serve: getTree},
		{method: "GET", pattern: r + "/git/blobs/{sha}", serve: getBlob},
		{method: "GET", pattern: r + "/commits", serve: listCommits},
		{method: "GET", pattern: r + "/commits/{ref...}", serve: getCommit},
		{method: "GET", pattern: r + "/compare/{basehead...}", serve: compare},
		{method: "GET", pattern: r + "/contents", serve: getContents},
		{method: "GET", pattern: r + "/contents/{path...}", serve: getContents},
		{method: "GET", pattern: r + "/readme", serve: getReadme},
		{method: "POST", pattern: r + "/merges", serve: mergeBranches},
		{method: "GET", pattern: r + "/statuses/{ref...}", serve: listStatuses},
		{method: "POST", pattern: r + "/statuses/{sha}", serve: createStatus},
		{method: "POST", pattern: r + "/check-runs", serve: createCheckRun},
		{method: "GET", pattern: r + "/check-runs/{id}", serve: getCheckRun},
		{method: "PATCH", pattern: r + "/check-runs/{id}", serve: updateCheckRun},
		{method: "POST", pattern: r + "/check-runs/{id}/rerequest", serve: rerequestCheckRun},
		{method: "POST", pattern: r + "/check-runs/{id}/requested-action", serve: actOnCheckRun},
		{method: "GET", pattern: r + "/actions/runs", serve: listActionRuns},
	}
}

func getRepo(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.repoFullJSON(rp, c.viewer)
}

// repoEdit is the body of repository creation and change.
type repoEdit struct {
	Name          *string `json:"name"`
	Description   *string `json:"description"`
	Private       *bool   `json:"private"`
	Visibility    *string `json:"visibility"`
	Archived      *bool   `json:"archived"`
	DefaultBranch *string `json:"default_branch"`
	AllowMerge    *bool   `json:"allow_merge_commit"`
	AllowSquash   *bool   `json:"allow_squash_merge"`
	AllowRebase   *bool   `json:"allow_rebase_merge"`
	DeleteBranch  *bool   `json:"delete_branch_on_merge"`
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (e repoEdit) apply(rp *repo) error {
	set(&rp.Name, e.Name)
	set(&rp.Description, e.Description)
	set(&rp.Private, e.Private)
	set(&rp.Archived, e.Archived)
	set(&rp.DefaultBranch, e.DefaultBranch)
	set(&rp.AllowMerge, e.AllowMerge)
	set(&rp.AllowSquash, e.AllowSquash)
	set(&rp.AllowRebase, e.AllowRebase)
	set(&rp.DeleteBranch, e.DeleteBranch)
	if e.Visibility != nil {
		rp.Private = *e.Visibility != "public"
	}
	if !validRepoName(rp.Name) {
		return invalid("Repository", "name", "invalid", "")
	}
	if !validBranch(rp.DefaultBranch) {
		return invalid("Repository", "default_branch", "invalid", "")
	}
	return checkText("Repository", "description", rp.Description, 350, false)
}

func editRepo(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	var in repoEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	before := *rp
	if err := in.apply(rp); err != nil {
		return nil, err
	}
	if rp.DefaultBranch != before.DefaultBranch {
		if _, err := c.refSHA(rp.ID, "refs/heads/"+rp.DefaultBranch); err != nil {
			return nil, invalid("Repository", "default_branch", "invalid", "The branch was not found.")
		}
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		if other, err := t.repo(rp.Owner.Login, rp.Name); err == nil && other.ID != rp.ID {
			return invalid("Repository", "name", "custom", "name already exists on this account")
		}
		rp.Updated = t.now
		return t.saveRepo(rp, c.viewer, "edited", obj{"changes": obj{}})
	})
	if err != nil {
		return nil, err
	}
	if err := c.f.initBare(c.ctx, rp.ID); err != nil {
		return nil, err
	}
	return c.repoFullJSON(rp, c.viewer)
}

func (t *txn) saveRepo(rp *repo, actor *account, action string, extra obj) error {
	_, err := t.exec("UPDATE repos SET name = ?, description = ?, private = ?, archived = ?, default_branch = ?, allow_merge = ?, allow_squash = ?, allow_rebase = ?, delete_branch = ?, updated = ? WHERE id = ?",
		rp.Name, rp.Description, rp.Private, rp.Archived, rp.DefaultBranch, rp.AllowMerge, rp.AllowSquash, rp.AllowRebase, rp.DeleteBranch, rp.Updated, rp.ID)
	if err != nil {
		return err
	}
	return t.emit(rp, actor, "repository", action, extra)
}

func createOrgRepo(c *call) (any, error) {
	org, err := c.org(c.params["org"])
	if err != nil {
		return nil, err
	}
	if err := c.login(); err != nil {
		return nil, err
	}
	if role, err := c.orgRole(org.ID, c.viewer.ID); err != nil || role != "admin" && !c.viewer.Admin {
		return nil, errors.Join(err, forbidden("You need admin access to the organization before adding a repository to it."))
	}
	return c.newRepo(org)
}

func createUserRepo(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.newRepo(c.viewer)
}

func (c *call) newRepo(owner *account) (any, error) {
	in := struct {
		repoEdit
		AutoInit bool `json:"auto_init"`
	}{}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	rp := &repo{Owner: *owner, DefaultBranch: "main", AllowMerge: true, AllowSquash: true, AllowRebase: true}
	if err := in.apply(rp); err != nil {
		return nil, err
	}
	if err := c.f.makeRepo(c.ctx, rp, c.viewer); err != nil {
		return nil, err
	}
	if in.AutoInit {
		if err := c.f.firstCommit(c.ctx, rp, c.viewer); err != nil {
			return nil, err
		}
	}
	o, err := c.repoFullJSON(rp, c.viewer)
	if err != nil {
		return nil, err
	}
	return created(o)
}

func listOwnerRepos(c *call) (any, error) {
	owner, err := c.account(c.params["org"])
	if err != nil {
		return nil, err
	}
	return c.reposWhere("WHERE r.owner_id = ? ORDER BY r.name", owner.ID)
}

func listMyRepos(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	return c.reposWhere("WHERE r.owner_id = ? OR EXISTS (SELECT 1 FROM collaborators x WHERE x.repo_id = r.id AND x.user_id = ?) OR EXISTS (SELECT 1 FROM members m WHERE m.org_id = r.owner_id AND m.user_id = ?) ORDER BY r.name", c.viewer.ID, c.viewer.ID, c.viewer.ID)
}

// visible keeps the repositories that an account may read.
func (r *reader) visible(all []repo, viewer *account) ([]repo, error) {
	var out []repo
	for i := range all {
		p, err := r.permission(&all[i], viewer)
		if err != nil {
			return nil, err
		}
		if p >= permRead {
			out = append(out, all[i])
		}
	}
	return out, nil
}

func (c *call) reposWhere(where string, args ...any) (any, error) {
	all, err := list(c.reader, scanRepo, "SELECT "+repoCols+repoFrom+where, args...)
	if err != nil {
		return nil, err
	}
	if all, err = c.visible(all, c.viewer); err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(rp *repo) (obj, error) {
		o := c.f.repoJSON(rp)
		if c.viewer != nil {
			p, err := c.permission(rp, c.viewer)
			if err != nil {
				return nil, err
			}
			o["permissions"] = p.booleans()
		}
		return o, nil
	})
}

func listForks(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.reposWhere("WHERE r.parent_id = ? ORDER BY r.id DESC", rp.ID)
}

func forkRepo(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	var in struct{ Organization, Name string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	owner := c.viewer
	if in.Organization != "" {
		if owner, err = c.org(in.Organization); err != nil {
			return nil, err
		}
		if role, err := c.orgRole(owner.ID, c.viewer.ID); err != nil || role != "admin" {
			return nil, errors.Join(err, forbidden("You need admin access to the organization before adding a repository to it."))
		}
	}
	fork, err := c.f.fork(c.ctx, rp, owner, c.viewer, in.Name)
	if err != nil {
		return nil, err
	}
	o, err := c.repoFullJSON(fork, c.viewer)
	if err != nil {
		return nil, err
	}
	return reply{status: http.StatusAccepted, body: o}, nil
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

func listCollaborators(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if c.viewer == nil {
		return nil, errRequiresAuth
	}
	all, err := c.collaborators(rp)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(a *account) (obj, error) {
		p, err := c.granted(rp, a)
		o := c.f.userJSON(a)
		o["permissions"], o["role_name"] = p.booleans(), p.String()
		return o, err
	})
}

// collaboratorOf finds the account of the path and what it was granted.
func (c *call) collaboratorOf(need permission) (*repo, *account, permission, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, permNone, err
	}
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, nil, permNone, err
	}
	p, err := c.granted(rp, a)
	return rp, a, p, err
}

func checkCollaborator(c *call) (any, error) {
	_, _, p, err := c.collaboratorOf(permRead)
	if err != nil {
		return nil, err
	}
	if p < permRead {
		return nil, errNotFound
	}
	return noContent, nil
}

func getPermission(c *call) (any, error) {
	rp, a, _, err := c.collaboratorOf(permRead)
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

func putCollaborator(c *call) (any, error) {
	rp, a, _, err := c.collaboratorOf(permAdmin)
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
	// No invitations here: the account is a collaborator at once.
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("INSERT INTO collaborators (repo_id, user_id, permission) VALUES (?,?,?) ON CONFLICT DO UPDATE SET permission = excluded.permission", rp.ID, a.ID, p.String())
		return err
	})
}

func deleteCollaborator(c *call) (any, error) {
	rp, a, _, err := c.collaboratorOf(permAdmin)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM collaborators WHERE repo_id = ? AND user_id = ?", rp.ID, a.ID)
		return err
	})
}

func listRepoTeams(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	type grant struct {
		team
		perm string
	}
	all, err := list(c.reader, func(s scanner, g *grant) error {
		return s.Scan(&g.ID, &g.OrgID, &g.Slug, &g.Name, &g.Description, &g.Privacy, &g.ParentID, &g.perm)
	}, "SELECT "+teamCols+", x.permission FROM teams t JOIN team_repos x ON x.team_id = t.id WHERE x.repo_id = ? ORDER BY t.slug", rp.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(g *grant) (obj, error) {
		o := c.f.teamJSON(&rp.Owner, &g.team)
		p, err := parsePermission(g.perm)
		o["permission"], o["permissions"] = map[permission]string{permRead: "pull", permWrite: "push"}[p], p.booleans()
		if o["permission"] == "" {
			o["permission"] = p.String()
		}
		return o, err
	})
}
