package local

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

func repoRoutes() []route {
	const r = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: r, serve: getRepo},
		{method: "PATCH", pattern: r, serve: editRepo},
		{method: "DELETE", pattern: r, serve: deleteRepo},
		{method: "POST", pattern: r + "/transfer", serve: transferRepo},
		{method: "GET", pattern: "/repositories", serve: listPublicRepos},
		{method: "POST", pattern: "/orgs/{org}/repos", serve: createOrgRepo},
		{method: "POST", pattern: "/user/repos", serve: createUserRepo},
		{method: "GET", pattern: "/orgs/{org}/repos", serve: listOwnerRepos},
		{method: "GET", pattern: "/users/{org}/repos", serve: listOwnerRepos},
		{method: "GET", pattern: "/user/repos", serve: listMyRepos},
		{method: "POST", pattern: r + "/forks", serve: forkRepo},
		{method: "GET", pattern: r + "/forks", serve: listForks},
		{method: "GET", pattern: r + "/topics", serve: getTopics},
		{method: "PUT", pattern: r + "/topics", serve: putTopics},
		{method: "GET", pattern: r + "/languages", serve: emptyObject},
		{method: "GET", pattern: r + "/releases", serve: emptyList},
		{method: "GET", pattern: r + "/subscribers", serve: emptyList},
		{method: "GET", pattern: r + "/stargazers", serve: emptyList},
		{method: "GET", pattern: r + "/keys", serve: emptyList},
		{method: "GET", pattern: r + "/deployments", serve: emptyList},
		{method: "GET", pattern: r + "/environments", serve: func(c *call) (any, error) {
			_, err := c.theRepo(permRead)
			return obj{"total_count": 0, "environments": []obj{}}, err
		}},
	}
}

// emptyList and emptyObject answer for features that this forge does not have.
func emptyList(c *call) (any, error) {
	_, err := c.theRepo(permRead)
	return []obj{}, err
}

func emptyObject(c *call) (any, error) {
	_, err := c.theRepo(permRead)
	return obj{}, err
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

	settings map[string]json.RawMessage
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// repoBody reads a repoEdit with the settings in the same object.
func (c *call) repoBody() (e repoEdit, err error) {
	if err := c.body(&e); err != nil {
		return e, err
	}
	return e, c.body(&e.settings)
}

func (e repoEdit) apply(rp *repo) (err error) {
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
		switch *e.Visibility {
		case "public", "private":
			rp.Private = *e.Visibility == "private"
		case "internal":
			return unprocessable("Only organizations associated with an enterprise can set visibility to internal.")
		default:
			return invalid("Repository", "visibility", "invalid", "")
		}
	}
	if rp.Settings, err = rp.Settings.merge(repoDefaults, e.settings, "Repository"); err != nil {
		return err
	}
	if !validRepoName(rp.Name) {
		return invalid("Repository", "name", "invalid", "")
	}
	if !validBranch(rp.DefaultBranch) {
		return invalid("Repository", "default_branch", "invalid", "")
	}
	if !rp.AllowMerge && !rp.AllowRebase && !rp.AllowSquash {
		return invalid("Repository", "merge_commit_allowed", "no_merge_method", "Sorry, you need to allow at least one merge strategy.")
	}
	return checkText("Repository", "description", rp.Description, 350, false)
}

func editRepo(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	in, err := c.repoBody()
	if err != nil {
		return nil, err
	}
	if rp.Archived && (in.Archived == nil || *in.Archived) {
		return nil, forbidden("Repository was archived so is read-only.")
	}
	before := *rp
	if err := in.apply(rp); err != nil {
		return nil, err
	}
	if rp.DefaultBranch != before.DefaultBranch {
		if _, err := c.refSHA(rp.ID, "refs/heads/"+rp.DefaultBranch); err != nil {
			return nil, invalid("Repository", "default_branch", "invalid", "The branch "+truncate(rp.DefaultBranch, 100)+" was not found. Please push that ref first or create it via the Git Data API.")
		}
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		if other, err := t.repo(rp.Owner.Login, rp.Name); err == nil && other.ID != rp.ID {
			return invalid("Repository", "name", "custom", "name already exists on this account")
		}
		rp.Updated = t.now
		action, changes := changeOf(&before, rp)
		if before.Name != rp.Name {
			if err := t.leaveRedirect(&before); err != nil {
				return err
			}
		}
		return t.saveRepo(rp, c.viewer, action, obj{"changes": changes})
	})
	if err != nil {
		return nil, err
	}
	if err := c.f.initBare(c.ctx, rp.ID); err != nil {
		return nil, err
	}
	return c.repoFullJSON(rp, c.viewer)
}

// changeOf names what happened to a repository as its event does.
func changeOf(before, after *repo) (action string, changes obj) {
	changes = obj{}
	if before.Description != after.Description {
		changes["description"] = obj{"from": before.Description}
	}
	if before.DefaultBranch != after.DefaultBranch {
		changes["default_branch"] = obj{"from": before.DefaultBranch}
	}
	switch {
	case before.Name != after.Name:
		changes["repository"] = obj{"name": obj{"from": before.Name}}
		return "renamed", changes
	case before.Archived != after.Archived && after.Archived:
		return "archived", changes
	case before.Archived != after.Archived:
		return "unarchived", changes
	case before.Private != after.Private && after.Private:
		return "privatized", changes
	case before.Private != after.Private:
		return "publicized", changes
	}
	return "edited", changes
}

// leaveRedirect remembers a name that a repository gives up.
func (t *txn) leaveRedirect(old *repo) error {
	_, err := t.exec("INSERT INTO repo_redirects (owner_id, name, repo_id) VALUES (?,?,?) ON CONFLICT DO UPDATE SET repo_id = excluded.repo_id", old.Owner.ID, old.Name, old.ID)
	return err
}

// formerly finds a repository by a name it had.
func (r *reader) formerly(owner, name string) (*repo, error) {
	return one(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.copying = 0 AND r.id = (SELECT x.repo_id FROM repo_redirects x JOIN accounts o ON o.id = x.owner_id WHERE o.login = ? AND x.name = ?)", owner, name)
}

func (t *txn) saveRepo(rp *repo, actor *account, action string, extra obj) error {
	_, err := t.exec("UPDATE repos SET owner_id = ?, name = ?, description = ?, private = ?, archived = ?, default_branch = ?, allow_merge = ?, allow_squash = ?, allow_rebase = ?, delete_branch = ?, settings = ?, updated = ? WHERE id = ?",
		rp.Owner.ID, rp.Name, rp.Description, rp.Private, rp.Archived, rp.DefaultBranch, rp.AllowMerge, rp.AllowSquash, rp.AllowRebase, rp.DeleteBranch, rp.Settings, rp.Updated, rp.ID)
	if err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM repo_redirects WHERE owner_id = ? AND name = ?", rp.Owner.ID, rp.Name); err != nil {
		return err
	}
	return t.emit(rp, actor, "repository", action, extra)
}

func deleteRepo(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	unlock := c.f.lockRepo(rp.ID)
	defer unlock()
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := t.emit(rp, c.viewer, "repository", "deleted", obj{}); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM hooks WHERE repo_id = ?", rp.ID); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM repos WHERE id = ?", rp.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	// A directory that stays behind is removed at the next start.
	return noContent, c.f.removeDir(rp.ID)
}

func transferRepo(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	var in struct {
		Owner string `json:"new_owner"`
		Name  string `json:"new_name"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	owner, err := c.account(in.Owner)
	if errors.Is(err, errNotFound) {
		return nil, invalid("Repository", "new_owner", "invalid", "")
	}
	if err != nil {
		return nil, err
	}
	if role, err := c.roleIn(owner); err != nil || owner.ID != c.viewer.ID && role != "admin" {
		return nil, errors.Join(err, forbidden("You don't have the permission to create repositories on "+owner.Login))
	}
	before := *rp
	rp.Owner = *owner
	if in.Name != "" {
		rp.Name = in.Name
	}
	if !validRepoName(rp.Name) {
		return nil, invalid("Repository", "new_name", "invalid", "")
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.repo(owner.Login, rp.Name); err == nil {
			return invalid("Repository", "name", "custom", "name already exists on this account")
		}
		if err := t.leaveRedirect(&before); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM team_repos WHERE repo_id = ?", rp.ID); err != nil {
			return err
		}
		rp.Updated = t.now
		return t.saveRepo(rp, c.viewer, "transferred", obj{"changes": obj{"owner": obj{"from": obj{lower(before.Owner.Kind): t.f.userJSON(&before.Owner)}}}})
	})
	if err != nil {
		return nil, err
	}
	o, err := c.repoFullJSON(rp, c.viewer)
	return reply{status: http.StatusAccepted, body: o}, err
}

func createOrgRepo(c *call) (any, error) {
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
	if role != "admin" && (role == "" || !org.Settings.flag(orgDefaults, "members_can_create_repositories")) {
		return nil, forbidden("You need admin access to the organization before adding a repository to it.")
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
	in, err := c.repoBody()
	if err != nil {
		return nil, err
	}
	var more struct {
		AutoInit bool  `json:"auto_init"`
		TeamID   int64 `json:"team_id"`
	}
	if err := c.body(&more); err != nil {
		return nil, err
	}
	if in.Name == nil || *in.Name == "" {
		return nil, invalid("Repository", "name", "missing_field", "")
	}
	rp := &repo{Owner: *owner, DefaultBranch: "main", AllowMerge: true, AllowSquash: true, AllowRebase: true}
	if err := in.apply(rp); err != nil {
		return nil, err
	}
	if err := c.f.makeRepo(c.ctx, rp, c.viewer); err != nil {
		return nil, err
	}
	err = c.f.write(c.ctx, func(t *txn) error {
		if more.TeamID != 0 {
			tm, err := one(&t.reader, scanTeam, "SELECT "+teamCols+" FROM teams t WHERE t.id = ? AND t.org_id = ?", more.TeamID, owner.ID)
			if err != nil {
				return err
			}
			return t.grantTeam(owner, tm, rp.fullName(), tm.Permission)
		}
		if role, err := t.orgRole(owner.ID, c.viewer.ID); err != nil || owner.Kind != kindOrg || role != "member" {
			return err
		}
		return t.addCollaborator(rp, c.viewer, c.viewer, "admin") // a member administers what they made
	})
	if err != nil {
		return nil, err
	}
	if more.AutoInit {
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

// repoTypes are the conditions of the parameter type of repository lists.
var repoTypes = map[string]string{
	"": "", "all": "", "owner": "", "sources": " AND r.parent_id = 0", "forks": " AND r.parent_id != 0", "public": " AND NOT r.private", "private": " AND r.private", "member": "",
}

// repoOrder turns sort and direction into an ORDER BY clause of fixed words.
func (c *call) repoOrder() string {
	col := map[string]string{"created": "r.created", "updated": "r.updated", "pushed": "r.pushed"}[c.query("sort")]
	desc := c.query("direction") == "desc" || c.query("direction") == "" && col != ""
	if col == "" {
		col = "r.name"
	}
	if desc {
		return " ORDER BY " + col + " DESC, r.id DESC"
	}
	return " ORDER BY " + col + ", r.id"
}

func listOwnerRepos(c *call) (any, error) {
	owner, err := c.account(c.params["org"])
	if err != nil {
		return nil, err
	}
	kind, ok := repoTypes[c.query("type")]
	if !ok {
		return nil, invalid("Repository", "type", "invalid", "")
	}
	return c.reposWhere("WHERE r.copying = 0 AND r.owner_id = ?"+kind+c.repoOrder(), owner.ID)
}

func listPublicRepos(c *call) (any, error) {
	since := 0
	if n, err := parseCount(c.query("since")); err == nil {
		since = n
	}
	return c.reposWhere("WHERE r.copying = 0 AND NOT r.private AND r.id > ? ORDER BY r.id", since)
}

func listMyRepos(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	where := map[string]string{
		"owner":               "r.owner_id = ?1",
		"collaborator":        "EXISTS (SELECT 1 FROM collaborators x WHERE x.repo_id = r.id AND x.user_id = ?1)",
		"organization_member": "EXISTS (SELECT 1 FROM members m WHERE m.org_id = r.owner_id AND m.user_id = ?1)",
	}
	want := c.query("affiliation")
	if want == "" {
		want = "owner,collaborator,organization_member"
	}
	if c.query("type") == "owner" {
		want = "owner"
	}
	var parts []string
	for name := range strings.SplitSeq(want, ",") {
		part, ok := where[strings.TrimSpace(name)]
		if !ok {
			return nil, invalid("Repository", "affiliation", "invalid", "")
		}
		parts = append(parts, part)
	}
	kind := ""
	switch v := c.query("visibility"); v {
	case "public", "private":
		kind = repoTypes[v]
	}
	return c.reposWhere("WHERE r.copying = 0 AND ("+strings.Join(parts, " OR ")+")"+kind+c.repoOrder(), c.viewer.ID)
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
	return c.reposWhere("WHERE r.copying = 0 AND r.parent_id = ? ORDER BY r.id DESC", rp.ID)
}

func forkRepo(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	rp, err := c.readRepo()
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
		role, err := c.roleIn(owner)
		if err != nil {
			return nil, err
		}
		if role == "" {
			return nil, forbidden("You need admin access to the organization before adding a repository to it.")
		}
	}
	if owner.ID == rp.Owner.ID {
		return nil, forbidden("You cannot fork your own repository.") // GitHub answers with the repository itself
	}
	fork, err := c.f.startFork(c.ctx, rp, owner, c.viewer, in.Name)
	if err != nil {
		return nil, err
	}
	o, err := c.repoFullJSON(fork, c.viewer)
	if err != nil {
		return nil, err
	}
	return reply{status: http.StatusAccepted, body: o}, nil
}

func (rp *repo) topics() []string {
	out := []string{}
	all, _ := rp.Settings["topics"].([]any)
	for _, t := range all {
		if s, ok := t.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func getTopics(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	return obj{"names": rp.topics()}, nil
}

func putTopics(c *call) (any, error) {
	rp, err := c.theRepo(permAdmin)
	if err != nil {
		return nil, err
	}
	var in struct{ Names []string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	names := []any{}
	for _, n := range in.Names {
		if n = lower(n); slugify(n) != n || n == "" || len(n) > 50 || len(names) >= 20 {
			return nil, invalid("Repository", "topics", "invalid", "Topics must start with a lowercase letter or number, consist of 50 characters or less, and can include hyphens.")
		}
		names = append(names, n)
	}
	if rp.Settings == nil {
		rp.Settings = settings{}
	}
	rp.Settings["topics"] = names
	return obj{"names": names}, c.f.write(c.ctx, func(t *txn) error { return t.saveRepo(rp, c.viewer, "edited", obj{"changes": obj{}}) })
}
