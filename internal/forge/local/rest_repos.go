package local

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"sort"
	"strings"
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

type refRow struct{ Name, SHA string }

func scanRef(s scanner, v *refRow) error { return s.Scan(&v.Name, &v.SHA) }

func (r *reader) refsLike(repoID int64, prefix string) ([]refRow, error) {
	return list(r, scanRef, "SELECT name, sha FROM refs WHERE repo_id = ? AND substr(name, 1, length(?)) = ? ORDER BY name", repoID, prefix, prefix)
}

func (c *call) isProtected(rp *repo, branch string) (bool, error) {
	p, err := c.protection(rp.ID, branch)
	return p != nil, err
}

func listBranches(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.refsLike(rp.ID, "refs/heads/")
	if err != nil {
		return nil, err
	}
	var all []obj
	for _, row := range rows {
		name := strings.TrimPrefix(row.Name, "refs/heads/")
		protected, err := c.isProtected(rp, name)
		if err != nil {
			return nil, err
		}
		if want := c.query("protected"); want != "" && (want == "true") != protected {
			continue
		}
		all = append(all, obj{"name": name, "protected": protected, "commit": obj{"sha": row.SHA, "url": c.f.api("/repos/%s/commits/%s", rp.fullName(), row.SHA)}})
	}
	return paginate(c, all), nil
}

// protectionOf splits "branch/protection[/...]" off a branch path. Branch
// names may contain slashes, so the route takes the whole rest.
func protectionOf(p string) (branch, rest string, ok bool) {
	at := strings.LastIndex(p, "/protection")
	if at <= 0 {
		return p, "", false
	}
	rest = p[at+len("/protection"):]
	if rest != "" && rest[0] != '/' {
		return p, "", false
	}
	return p[:at], strings.TrimPrefix(rest, "/"), true
}

func getBranch(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if branch, rest, ok := protectionOf(c.params["branch"]); ok {
		return c.getProtection(rp, branch, rest)
	}
	name := c.params["branch"]
	sha, err := c.refSHA(rp.ID, "refs/heads/"+name)
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Branch not found"}
	}
	if err != nil {
		return nil, err
	}
	cm, err := c.f.bare(rp.ID).commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	co, err := c.commitJSON(rp, cm)
	if err != nil {
		return nil, err
	}
	protected, err := c.isProtected(rp, name)
	u := c.f.api("/repos/%s/branches/%s", rp.fullName(), escapePath(name))
	return obj{"name": name, "commit": co, "protected": protected, "protection_url": u + "/protection", "_links": obj{"self": u, "html": c.f.web("/%s/tree/%s", rp.fullName(), escapePath(name))}}, err
}

func (c *call) getProtection(rp *repo, branch, rest string) (any, error) {
	if err := c.require(rp, permAdmin); err != nil {
		return nil, err
	}
	p, err := c.protection(rp.ID, branch)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Branch not protected"}
	}
	if rest != "" {
		return nil, errNotFound
	}
	return c.protectionJSON(rp, branch, p)
}

func (c *call) protectionJSON(rp *repo, branch string, p *protection) (obj, error) {
	u := c.f.api("/repos/%s/branches/%s/protection", rp.fullName(), escapePath(branch))
	flag := func(v bool) obj { return obj{"enabled": v} }
	o := obj{
		"url": u, "enforce_admins": obj{"url": u + "/enforce_admins", "enabled": p.EnforceAdmins}, "required_linear_history": flag(p.RequiredLinearHistory),
		"allow_force_pushes": flag(p.AllowForcePushes), "allow_deletions": flag(p.AllowDeletions), "required_signatures": obj{"url": u + "/required_signatures", "enabled": false},
	}
	if s := p.RequiredStatusChecks; s != nil {
		checks := make([]obj, 0, len(s.Contexts))
		for _, ctx := range s.Contexts {
			checks = append(checks, obj{"context": ctx, "app_id": nil})
		}
		o["required_status_checks"] = obj{"url": u + "/required_status_checks", "strict": s.Strict, "contexts": orEmpty(s.Contexts), "checks": checks}
	}
	if s := p.RequiredPullRequestReviews; s != nil {
		o["required_pull_request_reviews"] = obj{"url": u + "/required_pull_request_reviews", "dismiss_stale_reviews": s.DismissStaleReviews, "require_code_owner_reviews": s.RequireCodeOwnerReviews, "required_approving_review_count": s.RequiredApprovingReviewCount}
	}
	if s := p.Restrictions; s != nil {
		users := []obj{}
		for _, login := range s.Users {
			if a, err := c.account(login); err == nil {
				users = append(users, c.f.userJSON(a))
			} else if !errors.Is(err, errNotFound) {
				return nil, err
			}
		}
		teams := []obj{}
		for _, slug := range s.Teams {
			if t, err := c.team(rp.Owner.ID, slug); err == nil {
				teams = append(teams, c.f.teamJSON(&rp.Owner, t))
			} else if !errors.Is(err, errNotFound) {
				return nil, err
			}
		}
		o["restrictions"] = obj{"url": u + "/restrictions", "users": users, "teams": teams, "apps": []obj{}}
	}
	return o, nil
}

func changeProtection(c *call) (any, error) {
	branch, rest, ok := protectionOf(c.params["branch"])
	if !ok || rest != "" {
		return nil, errNotFound
	}
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	if c.http.Method == http.MethodDelete {
		return noContent, c.f.write(c.ctx, func(t *txn) error {
			n, err := t.changed("DELETE FROM protections WHERE repo_id = ? AND branch = ?", rp.ID, branch)
			if err == nil && n == 0 {
				err = &apiError{Status: http.StatusNotFound, Message: "Branch not protected"}
			}
			return err
		})
	}
	if _, err := c.refSHA(rp.ID, "refs/heads/"+branch); errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Branch not found"}
	} else if err != nil {
		return nil, err
	}
	var p protection
	if err := c.body(&p); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("INSERT INTO protections (repo_id, branch, rules) VALUES (?,?,?) ON CONFLICT DO UPDATE SET rules = excluded.rules", rp.ID, branch, string(raw))
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.protectionJSON(rp, branch, &p)
}

func listTags(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.refsLike(rp.ID, "refs/tags/")
	if err != nil {
		return nil, err
	}
	sort.Slice(rows, func(i, k int) bool { return rows[i].Name > rows[k].Name })
	return each(paginate(c, rows), func(row *refRow) (obj, error) {
		sha, err := c.f.bare(rp.ID).resolve(c.ctx, row.SHA)
		name := strings.TrimPrefix(row.Name, "refs/tags/")
		return obj{"name": name, "commit": obj{"sha": sha, "url": c.f.api("/repos/%s/commits/%s", rp.fullName(), sha)}, "node_id": "REF_" + sha}, err
	})
}

func (c *call) refJSON(rp *repo, row refRow) (obj, error) {
	kind, _, _, err := c.f.bare(rp.ID).object(c.ctx, row.SHA)
	if err != nil {
		return nil, err
	}
	return obj{
		"ref": row.Name, "node_id": "REF_" + row.Name, "url": c.f.api("/repos/%s/git/%s", rp.fullName(), escapePath(row.Name)),
		"object": obj{"sha": row.SHA, "type": kind, "url": c.f.api("/repos/%s/git/%ss/%s", rp.fullName(), kind, row.SHA)},
	}, nil
}

// findRefs returns all refs under a prefix, those of pull requests included.
func (c *call) findRefs(rp *repo, prefix string) ([]refRow, error) {
	rows, err := c.refsLike(rp.ID, prefix)
	if err != nil || !strings.HasPrefix(prefix, "refs/pull/") {
		return rows, err
	}
	var n int
	if _, err := fmt.Sscanf(prefix, "refs/pull/%d/head", &n); err != nil || prefix != pullRef(n) {
		return nil, nil
	}
	i, err := c.pull(rp.ID, n)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []refRow{{prefix, i.Pull.HeadSHA}}, nil
}

func listRefs(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.refList(rp, "refs/")
}

func matchingRefs(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.refList(rp, "refs/"+c.params["ref"])
}

func (c *call) refList(rp *repo, prefix string) (any, error) {
	rows, err := c.findRefs(rp, prefix)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, rows), func(row *refRow) (obj, error) { return c.refJSON(rp, *row) })
}

func getRef(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.findRefs(rp, "refs/"+c.params["ref"])
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Name == "refs/"+c.params["ref"] {
			return c.refJSON(rp, row)
		}
	}
	return nil, errNotFound
}

// getRefs is the older operation that components use: one object for an exact
// match, else an array of those that begin so.
func getRefs(c *call) (any, error) {
	o, err := getRef(c)
	if !errors.Is(err, errNotFound) {
		return o, err
	}
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rows, err := c.findRefs(rp, "refs/"+c.params["ref"])
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNotFound
	}
	return each(paginate(c, rows), func(row *refRow) (obj, error) { return c.refJSON(rp, *row) })
}

func createRef(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct{ Ref, SHA string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !validRef(in.Ref) {
		return nil, unprocessable("Reference name is invalid")
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, in.Ref, in.SHA, "", true); err != nil {
		return nil, err
	}
	o, err := c.refJSON(rp, refRow{in.Ref, in.SHA})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func updateRef(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	ref := "refs/" + c.params["ref"]
	old, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) || !validRef(ref) {
		return nil, unprocessable("Reference does not exist")
	}
	if err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, ref, in.SHA, old, in.Force); err != nil {
		return nil, err
	}
	return c.refJSON(rp, refRow{ref, in.SHA})
}

func deleteRef(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	ref := "refs/" + c.params["ref"]
	old, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) || !validRef(ref) {
		return nil, unprocessable("Reference does not exist")
	}
	if err != nil {
		return nil, err
	}
	return noContent, c.f.moveRef(c.ctx, rp, c.viewer, ref, "", old, true)
}

func getGitCommit(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if !validSHA(c.params["sha"]) {
		return nil, errNotFound
	}
	cm, err := c.f.bare(rp.ID).commit(c.ctx, c.params["sha"])
	if err != nil {
		return nil, err
	}
	return c.f.gitCommitJSON(rp, cm), nil
}

func getTree(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	name := c.params["sha"]
	if !validSHA(name) {
		if name, err = b.resolve(c.ctx, name); err != nil {
			return nil, err
		}
	}
	kind, sha, _, err := b.object(c.ctx, name+"^{tree}")
	if err != nil || kind != "tree" {
		return nil, errors.Join(err, errNoObject)
	}
	entries, err := b.tree(c.ctx, sha, c.query("recursive") != "")
	if err != nil {
		return nil, err
	}
	const limit = 100_000 // GitHub's
	out := make([]obj, 0, len(entries))
	for _, e := range entries[:min(len(entries), limit)] {
		o := obj{"path": e.Path, "mode": e.Mode, "type": e.Type, "sha": e.SHA, "url": c.f.api("/repos/%s/git/%ss/%s", rp.fullName(), e.Type, e.SHA)}
		if e.Type == "blob" {
			o["size"] = e.Size
		}
		out = append(out, o)
	}
	return obj{"sha": sha, "url": c.f.api("/repos/%s/git/trees/%s", rp.fullName(), sha), "tree": out, "truncated": len(entries) > limit}, nil
}

// maxBlob is the largest file the API hands out.
const maxBlob = 100 << 20

func getBlob(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	if !validSHA(c.params["sha"]) {
		return nil, errNotFound
	}
	kind, sha, size, err := b.object(c.ctx, c.params["sha"])
	if err != nil || kind != "blob" {
		return nil, errors.Join(err, errNoObject)
	}
	if size > maxBlob {
		return nil, forbidden("This API returns blobs up to 100 MB in size.")
	}
	data, err := b.blob(c.ctx, sha, maxBlob)
	if err != nil {
		return nil, err
	}
	if c.accepts("raw") {
		return reply{status: http.StatusOK, raw: orEmpty(data), kind: "application/vnd.github.raw; charset=utf-8"}, nil
	}
	return obj{"sha": sha, "node_id": "B_" + sha, "size": size, "url": c.f.api("/repos/%s/git/blobs/%s", rp.fullName(), sha), "content": wrap64(data), "encoding": "base64"}, nil
}

// wrap64 is base64 in lines of 60 characters, as GitHub sends it.
func wrap64(data []byte) string {
	s := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(s) > 60 {
		b.WriteString(s[:60] + "\n")
		s = s[60:]
	}
	b.WriteString(s + "\n")
	return b.String()
}

func getContents(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return c.contents(rp, c.params["path"])
}

func getReadme(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"README.md", "README", "README.txt", "readme.md"} {
		o, err := c.contents(rp, name)
		if err == nil || !errors.Is(err, errNoObject) {
			return o, err
		}
	}
	return nil, errNotFound
}

func (c *call) contents(rp *repo, file string) (any, error) {
	ref := c.query("ref")
	if ref == "" {
		ref = rp.DefaultBranch
	}
	b := c.f.bare(rp.ID)
	sha, err := b.resolve(c.ctx, ref)
	if err != nil {
		if errors.Is(err, errNoObject) {
			return nil, &apiError{Status: http.StatusNotFound, Message: "No commit found for the ref " + truncate(ref, 100)}
		}
		return nil, err
	}
	file = strings.Trim(path.Clean("/"+file), "/")
	kind, object, size, err := b.pathObject(c.ctx, sha, file)
	if err != nil {
		return nil, err
	}
	entry := func(name, full, kind, sha string, size int64) obj {
		u := c.f.api("/repos/%s/contents/%s?ref=%s", rp.fullName(), escapePath(full), url.QueryEscape(ref))
		typ, web, gitKind := "file", "blob", "blobs"
		switch kind {
		case "tree":
			typ, web, gitKind, size = "dir", "tree", "trees", 0
		case "commit":
			typ = "submodule"
		}
		h := c.f.web("/%s/%s/%s/%s", rp.fullName(), web, escapePath(ref), escapePath(full))
		g := c.f.api("/repos/%s/git/%s/%s", rp.fullName(), gitKind, sha)
		o := obj{"type": typ, "size": size, "name": name, "path": full, "sha": sha, "url": u, "git_url": g, "html_url": h, "download_url": nil, "_links": obj{"self": u, "git": g, "html": h}}
		if typ == "file" {
			o["download_url"] = c.f.web("/%s/raw/%s/%s", rp.fullName(), escapePath(ref), escapePath(full))
		}
		return o
	}
	if kind == "tree" {
		entries, err := b.tree(c.ctx, object, false)
		if err != nil {
			return nil, err
		}
		out := make([]obj, 0, len(entries))
		for _, e := range entries {
			o := entry(e.Path, strings.Trim(file+"/"+e.Path, "/"), e.Type, e.SHA, e.Size)
			if e.Mode == "120000" {
				o["type"] = "symlink"
			}
			out = append(out, o)
		}
		return out, nil
	}
	if kind != "blob" {
		return nil, errNotFound
	}
	if size > maxBlob {
		return nil, forbidden("This API returns blobs up to 100 MB in size.")
	}
	data, err := b.blob(c.ctx, object, maxBlob)
	if err != nil {
		return nil, err
	}
	if c.accepts("raw") {
		return reply{status: http.StatusOK, raw: orEmpty(data), kind: "application/vnd.github.raw; charset=utf-8"}, nil
	}
	o := entry(path.Base(file), file, kind, object, size)
	o["encoding"], o["content"] = "base64", wrap64(data)
	if size > 1<<20 { // as GitHub: larger files only raw
		o["encoding"], o["content"] = "none", ""
	}
	return o, nil
}

func listCommits(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	rev := c.query("sha")
	if rev == "" {
		rev = rp.DefaultBranch
	}
	b := c.f.bare(rp.ID)
	sha, err := b.resolve(c.ctx, rev)
	if err != nil {
		return nil, err
	}
	size, number := c.page()
	commits, err := b.log(c.ctx, sha, logQuery{Path: c.query("path"), Skip: (number - 1) * size, Max: size + 1})
	if err != nil {
		return nil, err
	}
	total := (number-1)*size + len(commits) // enough to know whether there is a next page
	c.links(size, number, total)
	return each(commits[:min(size, len(commits))], func(cm *commit) (obj, error) { return c.commitJSON(rp, cm) })
}

// getCommit serves commits/{ref} and what hangs below it; refs may contain
// slashes, so the known endings are cut off here.
func getCommit(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	ref := c.params["ref"]
	for ending, serve := range map[string]func(*repo, string) (any, error){
		"/status": c.combinedStatus, "/statuses": c.statusesOf, "/check-runs": c.checkRunsOf, "/pulls": c.pullsOf,
	} {
		if base, ok := strings.CutSuffix(ref, ending); ok {
			sha, err := c.f.bare(rp.ID).resolve(c.ctx, base)
			if errors.Is(err, errNoObject) {
				return nil, unprocessable("No commit found for SHA: " + truncate(base, 100))
			}
			if err != nil {
				return nil, err
			}
			return serve(rp, sha)
		}
	}
	b := c.f.bare(rp.ID)
	sha, err := b.resolve(c.ctx, ref)
	if errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + truncate(ref, 100))
	}
	if err != nil {
		return nil, err
	}
	if c.accepts("sha") {
		return reply{status: http.StatusOK, raw: []byte(sha), kind: "application/vnd.github.sha; charset=utf-8"}, nil
	}
	cm, err := b.commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	parent := ""
	if len(cm.Parents) > 0 {
		parent = cm.Parents[0]
	}
	if c.accepts("diff") || c.accepts("patch") {
		text, err := b.patchText(c.ctx, parent, sha)
		return reply{status: http.StatusOK, raw: orEmpty(text), kind: "application/vnd.github.diff; charset=utf-8"}, err
	}
	o, err := c.commitJSON(rp, cm)
	if err != nil {
		return nil, err
	}
	files, err := b.diff(c.ctx, parent, sha, true)
	if err != nil {
		return nil, err
	}
	add, del := 0, 0
	for _, f := range files {
		add, del = add+f.Additions, del+f.Deletions
	}
	o["stats"] = obj{"additions": add, "deletions": del, "total": add + del}
	o["files"], err = each(files[:min(len(files), 300)], func(ch *change) (obj, error) { return c.f.fileJSON(rp, sha, ch), nil })
	return o, err
}

func compare(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	from, to, ok := strings.Cut(c.params["basehead"], "...")
	if !ok {
		return nil, errNotFound
	}
	b := c.f.bare(rp.ID)
	base, err := b.resolve(c.ctx, from)
	if err != nil {
		return nil, err
	}
	head, err := b.resolve(c.ctx, to)
	if err != nil {
		return nil, err
	}
	mb, err := b.mergeBase(c.ctx, base, head)
	if err != nil {
		return nil, err
	}
	if mb == "" {
		return nil, &apiError{Status: http.StatusNotFound, Message: fmt.Sprintf("No common ancestor between %s and %s.", from, to)}
	}
	if c.accepts("diff") || c.accepts("patch") {
		text, err := b.patchText(c.ctx, mb, head)
		return reply{status: http.StatusOK, raw: orEmpty(text), kind: "application/vnd.github.diff; charset=utf-8"}, err
	}
	ahead, err := b.count(c.ctx, head, base)
	if err != nil {
		return nil, err
	}
	behind, err := b.count(c.ctx, base, head)
	if err != nil {
		return nil, err
	}
	commits, err := b.log(c.ctx, head, logQuery{Exclude: base, Reverse: true, Max: 250})
	if err != nil {
		return nil, err
	}
	files, err := b.diff(c.ctx, mb, head, true)
	if err != nil {
		return nil, err
	}
	status := "diverged"
	switch {
	case ahead == 0 && behind == 0:
		status = "identical"
	case behind == 0:
		status = "ahead"
	case ahead == 0:
		status = "behind"
	}
	o := obj{
		"status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": ahead, "url": c.f.api("/repos/%s/compare/%s...%s", rp.fullName(), base, head),
		"html_url": c.f.web("/%s/compare/%s...%s", rp.fullName(), base, head), "diff_url": c.f.web("/%s/compare/%s...%s.diff", rp.fullName(), base, head),
	}
	for key, sha := range map[string]string{"base_commit": base, "merge_base_commit": mb} {
		cm, err := b.commit(c.ctx, sha)
		if err != nil {
			return nil, err
		}
		if o[key], err = c.commitJSON(rp, cm); err != nil {
			return nil, err
		}
	}
	if o["commits"], err = each(commits, func(cm *commit) (obj, error) { return c.commitJSON(rp, cm) }); err != nil {
		return nil, err
	}
	o["files"], err = each(files[:min(len(files), 300)], func(ch *change) (obj, error) { return c.f.fileJSON(rp, head, ch), nil })
	return o, err
}

func mergeBranches(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		Base    string `json:"base"`
		Head    string `json:"head"`
		Message string `json:"commit_message"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	b := c.f.bare(rp.ID)
	ref := "refs/heads/" + in.Base
	tip, err := c.refSHA(rp.ID, ref)
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Base does not exist"}
	}
	if err != nil {
		return nil, err
	}
	head, err := b.resolve(c.ctx, in.Head)
	if errors.Is(err, errNoObject) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Head does not exist"}
	}
	if err != nil {
		return nil, err
	}
	if in, err := b.isAncestor(c.ctx, head, tip); err != nil || in {
		return noContent, err
	}
	tree, ok, err := b.mergeTrees(c.ctx, tip, head)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &apiError{Status: http.StatusConflict, Message: "Merge conflict"}
	}
	if in.Message == "" {
		in.Message = fmt.Sprintf("Merge %s into %s", in.Head, in.Base)
	}
	sha, err := b.commitTree(c.ctx, tree, []string{tip, head}, c.f.userSignature(c.viewer), c.f.forgeSignature(), in.Message+"\n")
	if err != nil {
		return nil, err
	}
	if err := c.f.moveRef(c.ctx, rp, c.viewer, ref, sha, tip, false); err != nil {
		return nil, err
	}
	cm, err := b.commit(c.ctx, sha)
	if err != nil {
		return nil, err
	}
	o, err := c.commitJSON(rp, cm)
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) combinedStatus(rp *repo, sha string) (any, error) {
	all, err := c.latestStatuses(rp.ID, sha)
	if err != nil {
		return nil, err
	}
	state := combinedState(all)
	out, err := each(paginate(c, all), func(s *status) (obj, error) { return c.statusJSON(rp, s) })
	u := c.f.api("/repos/%s/commits/%s", rp.fullName(), sha)
	return obj{"state": state, "sha": sha, "total_count": len(all), "statuses": out, "repository": c.f.repoJSON(rp), "commit_url": u, "url": u + "/status"}, err
}

func (c *call) statusesOf(rp *repo, sha string) (any, error) {
	all, err := list(c.reader, scanStatus, "SELECT "+statusCols+" FROM statuses s WHERE s.repo_id = ? AND s.sha = ? ORDER BY s.id DESC", rp.ID, sha)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(s *status) (obj, error) { return c.statusJSON(rp, s) })
}

func listStatuses(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	sha, err := c.f.bare(rp.ID).resolve(c.ctx, c.params["ref"])
	if err != nil {
		return nil, err
	}
	return c.statusesOf(rp, sha)
}

func (c *call) pullsOf(rp *repo, sha string) (any, error) {
	all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE i.repo_id = ? AND (p.head_sha = ? OR p.merge_sha = ?) ORDER BY i.number DESC", rp.ID, sha, sha)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(i *issue) (obj, error) { return c.pullJSON(rp, i, nil) })
}

func createStatus(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct {
		State       string `json:"state"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
		Context     string `json:"context"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	sha := c.params["sha"]
	if !validSHA(sha) {
		return nil, unprocessable("No commit found for SHA: " + truncate(sha, 100))
	}
	if in.TargetURL != "" {
		if u, err := url.Parse(in.TargetURL); err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
		}
	}
	cm, err := c.f.bare(rp.ID).commit(c.ctx, sha)
	if errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + sha)
	}
	if err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		s, err := t.addStatus(rp, cm, c.viewer, status{State: in.State, TargetURL: in.TargetURL, Description: in.Description, Context: in.Context})
		if err != nil {
			return err
		}
		o, err = t.statusJSON(rp, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) checkRunsOf(rp *repo, sha string) (any, error) {
	var all []checkRun
	var err error
	if c.query("filter") == "all" {
		all, err = list(c.reader, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.repo_id = ? AND k.sha = ? ORDER BY k.id", rp.ID, sha)
	} else {
		all, err = c.latestCheckRuns(rp.ID, sha)
	}
	if err != nil {
		return nil, err
	}
	var kept []checkRun
	for _, k := range all {
		if n := c.query("check_name"); n != "" && n != k.Name {
			continue
		}
		if s := c.query("status"); s != "" && s != k.Status {
			continue
		}
		kept = append(kept, k)
	}
	out, err := each(paginate(c, kept), func(k *checkRun) (obj, error) { return c.checkRunJSON(rp, k) })
	return obj{"total_count": len(kept), "check_runs": out}, err
}

// checkRunEdit is the body of check run creation and change.
type checkRunEdit struct {
	Name       *string         `json:"name"`
	SHA        string          `json:"head_sha"`
	Status     *string         `json:"status"`
	Conclusion *string         `json:"conclusion"`
	DetailsURL *string         `json:"details_url"`
	ExternalID *string         `json:"external_id"`
	Started    *when           `json:"started_at"`
	Completed  *when           `json:"completed_at"`
	Output     json.RawMessage `json:"output"`
}

func (e checkRunEdit) apply(k *checkRun, now when) error {
	set(&k.Name, e.Name)
	set(&k.Status, e.Status)
	set(&k.Conclusion, e.Conclusion)
	set(&k.DetailsURL, e.DetailsURL)
	set(&k.ExternalID, e.ExternalID)
	set(&k.Started, e.Started)
	set(&k.Completed, e.Completed)
	if len(e.Output) > 0 {
		k.Output = string(e.Output)
	}
	if e.Conclusion != nil && *e.Conclusion != "" {
		k.Status = "completed"
	}
	switch k.Status {
	case "queued", "in_progress":
		k.Completed, k.Conclusion = when{}, ""
	case "completed":
		if k.Completed.IsZero() {
			k.Completed = now
		}
		switch k.Conclusion {
		case "success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale":
		default:
			return invalid("CheckRun", "conclusion", "invalid", "")
		}
	default:
		return invalid("CheckRun", "status", "invalid", "")
	}
	return checkText("CheckRun", "name", k.Name, 255, true)
}

func createCheckRun(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in checkRunEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !validSHA(in.SHA) {
		return nil, invalid("CheckRun", "head_sha", "missing_field", "")
	}
	if _, err := c.f.bare(rp.ID).commit(c.ctx, in.SHA); errors.Is(err, errNoObject) {
		return nil, unprocessable("No commit found for SHA: " + in.SHA)
	} else if err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		k := checkRun{RepoID: rp.ID, SHA: in.SHA, Status: "queued", Output: "{}", CreatorID: c.viewer.ID, Started: t.now}
		if err := in.apply(&k, t.now); err != nil {
			return err
		}
		var err error
		if k.ID, err = t.exec("INSERT INTO check_runs (repo_id, sha, name, status, conclusion, details_url, external_id, output, creator_id, started, completed) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
			k.RepoID, k.SHA, k.Name, k.Status, k.Conclusion, k.DetailsURL, k.ExternalID, k.Output, k.CreatorID, k.Started, k.Completed); err != nil {
			return err
		}
		o, err = t.emitCheckRun(rp, c.viewer, &k, "created")
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (t *txn) emitCheckRun(rp *repo, actor *account, k *checkRun, action string) (obj, error) {
	o, err := t.checkRunJSON(rp, k)
	if err != nil {
		return nil, err
	}
	if k.Status == "completed" && action != "created" {
		action = "completed"
	}
	return o, t.emit(rp, actor, "check_run", action, obj{"check_run": o})
}

func (c *call) checkRunOf(need permission) (*repo, *checkRun, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, err
	}
	k, err := one(c.reader, scanCheckRun, "SELECT "+checkRunCols+" FROM check_runs k WHERE k.id = ? AND k.repo_id = ?", id, rp.ID)
	return rp, k, err
}

func getCheckRun(c *call) (any, error) {
	rp, k, err := c.checkRunOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.checkRunJSON(rp, k)
}

func updateCheckRun(c *call) (any, error) {
	rp, k, err := c.checkRunOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in checkRunEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := in.apply(k, t.now); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE check_runs SET name = ?, status = ?, conclusion = ?, details_url = ?, external_id = ?, output = ?, started = ?, completed = ? WHERE id = ?",
			k.Name, k.Status, k.Conclusion, k.DetailsURL, k.ExternalID, k.Output, k.Started, k.Completed, k.ID); err != nil {
			return err
		}
		o, err = t.emitCheckRun(rp, c.viewer, k, "updated")
		return err
	})
	return o, err
}

// listActionRuns answers for a feature this forge does not have: no runs.
func listActionRuns(c *call) (any, error) {
	if _, err := c.theRepo(permRead); err != nil {
		return nil, err
	}
	return obj{"total_count": 0, "workflow_runs": []obj{}}, nil
}
