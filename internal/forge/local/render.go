package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// obj is a JSON object. GitHub's shapes are wide and irregular; literals of
// this type show them as they appear on the wire.
type obj = map[string]any

// web builds an address for people, api one for programs. Path elements come
// from validated names or numbers; branches and labels are escaped by callers.
func (f *Forge) web(format string, args ...any) string { return f.base + fmt.Sprintf(format, args...) }
func (f *Forge) api(format string, args ...any) string {
	return f.base + "/api/v3" + fmt.Sprintf(format, args...)
}

func nodeID(kind string, id int64) string { return fmt.Sprintf("%s_%d", kind, id) }

// orNull turns an empty string into null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (f *Forge) userJSON(a *account) obj {
	u := f.api("/users/%s", a.Login)
	return obj{
		"login": a.Login, "id": a.ID, "node_id": nodeID("U", a.ID), "type": a.Kind, "site_admin": a.Admin,
		"avatar_url": f.web("/static/avatar.svg"), "gravatar_id": "", "url": u, "html_url": f.web("/%s", a.Login),
		"followers_url": u + "/followers", "following_url": u + "/following{/other_user}", "gists_url": u + "/gists{/gist_id}",
		"starred_url": u + "/starred{/owner}{/repo}", "subscriptions_url": u + "/subscriptions", "organizations_url": u + "/orgs",
		"repos_url": u + "/repos", "events_url": u + "/events{/privacy}", "received_events_url": u + "/received_events",
		"user_view_type": "public",
	}
}

// userFullJSON is the answer to GET /users/X.
func (r *reader) userFullJSON(a *account) (obj, error) {
	o := r.f.userJSON(a)
	o["name"], o["email"], o["created_at"], o["updated_at"] = orNull(a.Name), orNull(a.Email), a.Created, a.Created
	o["company"], o["blog"], o["location"], o["bio"] = nil, "", nil, nil
	o["public_gists"], o["followers"], o["following"] = 0, 0, 0
	var err error
	o["public_repos"], err = r.count("SELECT count(*) FROM repos WHERE owner_id = ? AND NOT private", a.ID)
	return o, err
}

func (r *reader) userIDJSON(id int64) (obj, error) {
	a, err := r.accountID(id)
	if err != nil {
		return nil, err
	}
	return r.f.userJSON(a), nil
}

func (f *Forge) orgJSON(a *account) obj {
	u := f.api("/orgs/%s", a.Login)
	return obj{
		"login": a.Login, "id": a.ID, "node_id": nodeID("O", a.ID), "url": u, "repos_url": u + "/repos", "events_url": u + "/events",
		"hooks_url": u + "/hooks", "issues_url": u + "/issues", "members_url": u + "/members{/member}",
		"public_members_url": u + "/public_members{/member}", "avatar_url": f.web("/static/avatar.svg"), "description": a.description(),
	}
}

// description is what an organisation says about itself.
func (a *account) description() string {
	if s, ok := a.Settings["description"].(string); ok {
		return s
	}
	return ""
}

func (f *Forge) orgFullJSON(a *account) obj {
	o := f.orgJSON(a)
	o["name"], o["email"], o["type"], o["html_url"] = orNull(a.Name), orNull(a.Email), kindOrg, f.web("/%s", a.Login)
	o["created_at"], o["updated_at"] = a.Created, a.Created
	o["default_repository_permission"] = a.DefaultPerm
	o["two_factor_requirement_enabled"] = false
	a.Settings.show(orgDefaults, o)
	return o
}

func (f *Forge) repoJSON(rp *repo) obj {
	u := f.api("/repos/%s", rp.fullName())
	visibility := "public"
	if rp.Private {
		visibility = "private"
	}
	o := obj{
		"id": rp.ID, "node_id": nodeID("R", rp.ID), "name": rp.Name, "full_name": rp.fullName(), "owner": f.userJSON(&rp.Owner),
		"private": rp.Private, "visibility": visibility, "description": orNull(rp.Description), "fork": rp.ParentID != 0, "archived": rp.Archived,
		"disabled": false, "default_branch": rp.DefaultBranch, "url": u, "html_url": f.web("/%s", rp.fullName()),
		"clone_url": f.web("/%s.git", rp.fullName()), "git_url": f.web("/%s.git", rp.fullName()), "ssh_url": f.web("/%s.git", rp.fullName()),
		"svn_url": f.web("/%s", rp.fullName()), "mirror_url": nil, "language": nil, "license": nil, "topics": []string{},
		"size": 0, "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "forks_count": 0, "forks": 0,
		"open_issues_count": 0, "open_issues": 0, "has_downloads": false, "has_pages": false,
		"created_at": rp.Created, "updated_at": rp.Updated, "pushed_at": rp.Pushed,
	}
	rp.Settings.show(repoDefaults, o)
	if o["homepage"] == "" {
		o["homepage"] = nil
	}
	for key, path := range repoURLs {
		o[key] = u + path
	}
	return o
}

var repoURLs = map[string]string{
	"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}", "branches_url": "/branches{/branch}",
	"collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}", "commits_url": "/commits{/sha}",
	"compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}", "contributors_url": "/contributors",
	"deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks",
	"git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks",
	"issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}", "issues_url": "/issues{/number}",
	"keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges",
	"milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
	"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers",
	"subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}",
}

// repoFullJSON adds what GET of one repository shows: settings and, for known
// visitors, their permissions.
func (r *reader) repoFullJSON(rp *repo, viewer *account) (obj, error) {
	o := r.f.repoJSON(rp)
	o["allow_merge_commit"], o["allow_squash_merge"], o["allow_rebase_merge"] = rp.AllowMerge, rp.AllowSquash, rp.AllowRebase
	o["delete_branch_on_merge"] = rp.DeleteBranch
	n, err := r.count("SELECT count(*) FROM issues WHERE repo_id = ? AND state = 'open'", rp.ID)
	if err != nil {
		return nil, err
	}
	o["open_issues"], o["open_issues_count"] = n, n
	if viewer != nil {
		p, err := r.permission(rp, viewer)
		if err != nil {
			return nil, err
		}
		o["permissions"] = p.booleans()
	}
	if rp.Owner.Kind == kindOrg {
		o["organization"] = r.f.userJSON(&rp.Owner)
	}
	if rp.ParentID != 0 {
		parent, err := r.repoID(rp.ParentID)
		if err == nil {
			o["parent"], o["source"] = r.f.repoJSON(parent), r.f.repoJSON(parent)
		} else if !errors.Is(err, errNotFound) {
			return nil, err
		}
	}
	return o, nil
}

func (f *Forge) labelJSON(rp *repo, l *label) obj {
	return obj{
		"id": l.ID, "node_id": nodeID("LA", l.ID), "url": f.api("/repos/%s/labels/%s", rp.fullName(), url.PathEscape(l.Name)),
		"name": l.Name, "color": l.Color, "description": orNull(l.Description), "default": false,
	}
}

func (f *Forge) labelsJSON(rp *repo, list []label) []obj {
	out := make([]obj, 0, len(list))
	for i := range list {
		out = append(out, f.labelJSON(rp, &list[i]))
	}
	return out
}

func (f *Forge) usersJSON(list []account) []obj {
	out := make([]obj, 0, len(list))
	for i := range list {
		out = append(out, f.userJSON(&list[i]))
	}
	return out
}

func (r *reader) milestoneJSON(rp *repo, id int64) (any, error) {
	if id == 0 {
		return nil, nil
	}
	m, err := one(r, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.id = ?", id)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.milestoneObj(rp, m)
}

func (r *reader) milestoneObj(rp *repo, m *milestone) (obj, error) {
	creator, err := r.userIDJSON(m.CreatorID)
	if err != nil {
		return nil, err
	}
	open, err := r.count("SELECT count(*) FROM issues WHERE milestone_id = ? AND state = 'open'", m.ID)
	if err != nil {
		return nil, err
	}
	closed, err := r.count("SELECT count(*) FROM issues WHERE milestone_id = ? AND state = 'closed'", m.ID)
	if err != nil {
		return nil, err
	}
	return obj{
		"id": m.ID, "node_id": nodeID("MI", m.ID), "number": m.Number, "title": m.Title, "description": orNull(m.Description), "state": m.State,
		"creator": creator, "open_issues": open, "closed_issues": closed, "created_at": m.Created, "updated_at": m.Updated, "due_on": m.Due,
		"closed_at": m.Closed, "url": r.f.api("/repos/%s/milestones/%d", rp.fullName(), m.Number),
		"html_url":   r.f.web("/%s/milestone/%d", rp.fullName(), m.Number),
		"labels_url": r.f.api("/repos/%s/milestones/%d/labels", rp.fullName(), m.Number),
	}, nil
}

// sharedJSON holds what issues and pull requests have in common.
func (r *reader) sharedJSON(rp *repo, i *issue) (obj, error) {
	author, err := r.accountID(i.AuthorID)
	if err != nil {
		return nil, err
	}
	labels, err := r.issueLabels(i.ID)
	if err != nil {
		return nil, err
	}
	assignees, err := r.assignees(i.ID)
	if err != nil {
		return nil, err
	}
	ms, err := r.milestoneJSON(rp, i.MilestoneID)
	if err != nil {
		return nil, err
	}
	comments, err := r.count("SELECT count(*) FROM comments WHERE issue_id = ?", i.ID)
	if err != nil {
		return nil, err
	}
	assoc, err := r.association(rp, author)
	if err != nil {
		return nil, err
	}
	users := r.f.usersJSON(assignees)
	o := obj{
		"number": i.Number, "title": i.Title, "body": orNull(i.Body), "state": i.State, "locked": i.Locked, "active_lock_reason": orNull(i.LockReason),
		"user": r.f.userJSON(author), "labels": r.f.labelsJSON(rp, labels), "assignees": users, "assignee": nil, "milestone": ms,
		"comments": comments, "author_association": assoc, "created_at": i.Created, "updated_at": i.Updated, "closed_at": i.Closed,
	}
	if len(users) > 0 {
		o["assignee"] = users[0]
	}
	return o, nil
}

// association is the author's relation to the repository.
func (r *reader) association(rp *repo, a *account) (string, error) {
	if a.ID == rp.Owner.ID && a.ID != 0 {
		return "OWNER", nil
	}
	if rp.Owner.Kind == kindOrg {
		role, err := r.orgRole(rp.Owner.ID, a.ID)
		if err != nil {
			return "", err
		}
		if role != "" {
			return "MEMBER", nil
		}
	}
	n, err := r.count("SELECT count(*) FROM collaborators WHERE repo_id = ? AND user_id = ?", rp.ID, a.ID)
	if err != nil {
		return "", err
	}
	if n > 0 {
		return "COLLABORATOR", nil
	}
	n, err = r.count("SELECT count(*) FROM issues i JOIN pulls p ON p.issue_id = i.id WHERE i.repo_id = ? AND i.author_id = ? AND p.merged > 0", rp.ID, a.ID)
	if err != nil {
		return "", err
	}
	if n > 0 {
		return "CONTRIBUTOR", nil
	}
	return "NONE", nil
}

// issueJSON shows an issue, or a pull request through the issues API.
func (r *reader) issueJSON(rp *repo, i *issue) (obj, error) {
	o, err := r.sharedJSON(rp, i)
	if err != nil {
		return nil, err
	}
	u := r.f.api("/repos/%s/issues/%d", rp.fullName(), i.Number)
	o["id"], o["node_id"] = i.ID, nodeID("I", i.ID)
	o["url"], o["repository_url"] = u, r.f.api("/repos/%s", rp.fullName())
	o["labels_url"], o["comments_url"], o["events_url"], o["timeline_url"] = u+"/labels{/name}", u+"/comments", u+"/events", u+"/timeline"
	o["html_url"] = r.f.web("/%s/issues/%d", rp.fullName(), i.Number)
	o["state_reason"] = orNull(i.StateReason)
	if i.Pull != nil {
		o["node_id"] = nodeID("PR", i.ID)
		web := r.f.web("/%s/pull/%d", rp.fullName(), i.Number)
		o["html_url"], o["draft"] = web, i.Pull.Draft
		o["pull_request"] = obj{
			"url": r.f.api("/repos/%s/pulls/%d", rp.fullName(), i.Number), "html_url": web,
			"diff_url": web + ".diff", "patch_url": web + ".patch", "merged_at": i.Pull.Merged,
		}
	}
	if o["closed_by"] = nil; i.ClosedBy != 0 {
		if o["closed_by"], err = r.userIDJSON(i.ClosedBy); err != nil {
			return nil, err
		}
	}
	counts, err := r.reactionsJSON("issue", i.ID, u+"/reactions")
	o["reactions"] = counts
	return o, err
}

var reactionNames = []string{"+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"}

func (r *reader) reactionsJSON(target string, id int64, u string) (obj, error) {
	given, err := list(r, scalar[string], "SELECT content FROM reactions WHERE target = ? AND target_id = ?", target, id)
	if err != nil {
		return nil, err
	}
	o := obj{"url": u, "total_count": len(given)}
	for _, n := range reactionNames {
		c := 0
		for _, g := range given {
			if g == n {
				c++
			}
		}
		o[n] = c
	}
	return o, nil
}

func (r *reader) branchJSON(rp *repo, ref, sha string) obj {
	if rp == nil { // the fork is gone
		return obj{"label": "unknown:" + ref, "ref": ref, "sha": sha, "user": nil, "repo": nil}
	}
	return obj{"label": rp.Owner.Login + ":" + ref, "ref": ref, "sha": sha, "user": r.f.userJSON(&rp.Owner), "repo": r.f.repoJSON(rp)}
}

// headRepo returns where the head branch lives; nil when that is gone.
func (r *reader) headRepo(rp *repo, p *pull) (*repo, error) {
	if p.HeadRepoID == rp.ID {
		return rp, nil
	}
	h, err := r.repoID(p.HeadRepoID)
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	return h, err
}

// pullJSON shows a pull request as in lists and webhooks; verdict, when known,
// fills the fields that need git.
func (r *reader) pullJSON(rp *repo, i *issue, v *verdict) (obj, error) {
	o, err := r.sharedJSON(rp, i)
	if err != nil {
		return nil, err
	}
	p := i.Pull
	head, err := r.headRepo(rp, p)
	if err != nil {
		return nil, err
	}
	reviewers, err := r.reviewers(i.ID)
	if err != nil {
		return nil, err
	}
	teams, err := r.reviewTeams(i.ID)
	if err != nil {
		return nil, err
	}
	teamObjs := make([]obj, 0, len(teams))
	for k := range teams {
		teamObjs = append(teamObjs, r.f.plainTeamJSON(&rp.Owner, &teams[k]))
	}
	reviewComments, err := r.count("SELECT count(*) FROM review_comments WHERE issue_id = ?", i.ID)
	if err != nil {
		return nil, err
	}
	u := r.f.api("/repos/%s/pulls/%d", rp.fullName(), i.Number)
	iu := r.f.api("/repos/%s/issues/%d", rp.fullName(), i.Number)
	w := r.f.web("/%s/pull/%d", rp.fullName(), i.Number)
	add := obj{
		"id": i.ID, "node_id": nodeID("PR", i.ID), "url": u, "html_url": w, "diff_url": w + ".diff", "patch_url": w + ".patch",
		"issue_url": iu, "comments_url": iu + "/comments", "commits_url": u + "/commits", "review_comments_url": u + "/comments",
		"review_comment_url": r.f.api("/repos/%s/pulls/comments{/number}", rp.fullName()),
		"statuses_url":       r.f.api("/repos/%s/statuses/%s", rp.fullName(), p.HeadSHA),
		"head":               r.branchJSON(head, p.HeadRef, p.HeadSHA), "base": r.branchJSON(rp, p.BaseRef, p.BaseSHA),
		"draft": p.Draft, "merged": !p.Merged.IsZero(), "merged_at": p.Merged, "merged_by": nil, "merge_commit_sha": orNull(p.MergeSHA),
		"requested_reviewers": r.f.usersJSON(reviewers), "requested_teams": teamObjs, "auto_merge": nil,
		"additions": p.Additions, "deletions": p.Deletions, "changed_files": p.Files, "commits": p.Commits,
		"review_comments": reviewComments, "maintainer_can_modify": p.Modify,
		"mergeable": nil, "mergeable_state": "unknown", "rebaseable": nil,
		"_links": obj{
			"self": obj{"href": u}, "html": obj{"href": w}, "issue": obj{"href": iu}, "comments": obj{"href": iu + "/comments"},
			"commits": obj{"href": u + "/commits"}, "review_comments": obj{"href": u + "/comments"},
			"statuses": obj{"href": r.f.api("/repos/%s/statuses/%s", rp.fullName(), p.HeadSHA)},
		},
	}
	if p.MergedBy != 0 {
		if add["merged_by"], err = r.userIDJSON(p.MergedBy); err != nil {
			return nil, err
		}
	}
	if v != nil && i.State == "open" {
		add["mergeable"], add["mergeable_state"] = v.Mergeable, strings.ToLower(v.State)
		add["rebaseable"] = v.Mergeable
	}
	for k, val := range add {
		o[k] = val
	}
	return o, nil
}

// plainTeamJSON shows a team without its parent.
func (f *Forge) plainTeamJSON(org *account, t *team) obj {
	u := f.api("/orgs/%s/teams/%s", org.Login, t.Slug)
	return obj{
		"id": t.ID, "node_id": nodeID("T", t.ID), "name": t.Name, "slug": t.Slug, "description": orNull(t.Description), "privacy": t.Privacy,
		"permission": t.Permission, "notification_setting": "notifications_enabled", "url": u, "html_url": f.web("/orgs/%s/teams/%s", org.Login, t.Slug),
		"members_url": u + "/members{/member}", "repositories_url": u + "/repos",
	}
}

func (r *reader) commentJSON(rp *repo, i *issue, c *comment) (obj, error) {
	author, err := r.accountID(c.AuthorID)
	if err != nil {
		return nil, err
	}
	assoc, err := r.association(rp, author)
	if err != nil {
		return nil, err
	}
	u := r.f.api("/repos/%s/issues/comments/%d", rp.fullName(), c.ID)
	reactions, err := r.reactionsJSON("comment", c.ID, u+"/reactions")
	if err != nil {
		return nil, err
	}
	return obj{
		"id": c.ID, "node_id": nodeID("IC", c.ID), "url": u, "html_url": r.f.web("/%s/%s/%d#issuecomment-%d", rp.fullName(), i.webKind(), i.Number, c.ID),
		"issue_url": r.f.api("/repos/%s/issues/%d", rp.fullName(), i.Number), "user": r.f.userJSON(author), "body": c.Body,
		"created_at": c.Created, "updated_at": c.Updated, "author_association": assoc, "reactions": reactions, "performed_via_github_app": nil,
	}, nil
}

// webKind is the path element of an issue's page.
func (i *issue) webKind() string {
	if i.Pull != nil {
		return "pull"
	}
	return "issues"
}

func (r *reader) reviewJSON(rp *repo, i *issue, v *review) (obj, error) {
	author, err := r.accountID(v.AuthorID)
	if err != nil {
		return nil, err
	}
	assoc, err := r.association(rp, author)
	if err != nil {
		return nil, err
	}
	w := r.f.web("/%s/pull/%d#pullrequestreview-%d", rp.fullName(), i.Number, v.ID)
	p := r.f.api("/repos/%s/pulls/%d", rp.fullName(), i.Number)
	o := obj{
		"id": v.ID, "node_id": nodeID("PRR", v.ID), "user": r.f.userJSON(author), "body": v.Body, "state": v.State, "html_url": w,
		"pull_request_url": p, "author_association": assoc, "commit_id": v.SHA,
		"_links": obj{"html": obj{"href": w}, "pull_request": obj{"href": p}},
	}
	if v.State != "PENDING" {
		o["submitted_at"] = v.Submitted
	}
	return o, nil
}

func (r *reader) reviewCommentJSON(rp *repo, i *issue, c *reviewComment) (obj, error) {
	author, err := r.accountID(c.AuthorID)
	if err != nil {
		return nil, err
	}
	assoc, err := r.association(rp, author)
	if err != nil {
		return nil, err
	}
	u := r.f.api("/repos/%s/pulls/comments/%d", rp.fullName(), c.ID)
	w := r.f.web("/%s/pull/%d#discussion_r%d", rp.fullName(), i.Number, c.ID)
	p := r.f.api("/repos/%s/pulls/%d", rp.fullName(), i.Number)
	o := obj{
		"id": c.ID, "node_id": nodeID("PRRC", c.ID), "url": u, "html_url": w, "pull_request_url": p, "pull_request_review_id": c.ReviewID,
		"user": r.f.userJSON(author), "body": c.Body, "path": c.Path, "commit_id": c.SHA, "original_commit_id": c.SHA, "diff_hunk": c.Hunk,
		"side": c.Side, "created_at": c.Created, "updated_at": c.Updated, "author_association": assoc, "subject_type": c.Subject,
		"position": nil, "original_position": nil, "line": nil, "original_line": nil, "start_line": nil, "start_side": nil,
		"_links": obj{"self": obj{"href": u}, "html": obj{"href": w}, "pull_request": obj{"href": p}},
	}
	if c.Position > 0 {
		o["position"], o["original_position"] = c.Position, c.Position
	}
	if c.Line > 0 {
		o["line"], o["original_line"] = c.Line, c.Line
	}
	if c.StartLine > 0 {
		o["start_line"], o["original_start_line"], o["start_side"] = c.StartLine, c.StartLine, orNull(c.StartSide)
	}
	if c.ReplyTo != 0 {
		o["in_reply_to_id"] = c.ReplyTo
	}
	o["reactions"], err = r.reactionsJSON("review-comment", c.ID, u+"/reactions")
	return o, err
}

func (r *reader) statusJSON(rp *repo, s *status) (obj, error) {
	creator, err := r.userIDJSON(s.CreatorID)
	if err != nil {
		return nil, err
	}
	return obj{
		"id": s.ID, "node_id": nodeID("SC", s.ID), "url": r.f.api("/repos/%s/statuses/%s", rp.fullName(), s.SHA), "state": s.State,
		"description": orNull(s.Description), "target_url": orNull(s.TargetURL), "context": s.Context, "creator": creator,
		"avatar_url": creator["avatar_url"], "created_at": s.Created, "updated_at": s.Created,
	}, nil
}

func (r *reader) checkRunJSON(rp *repo, k *checkRun) (obj, error) {
	var output obj
	if err := json.Unmarshal([]byte(k.Output), &output); err != nil {
		return nil, fmt.Errorf("check run %d: %w", k.ID, err)
	}
	o := obj{"title": nil, "summary": nil, "text": nil, "annotations_count": 0}
	for key, v := range output {
		if key != "annotations" {
			o[key] = v
		}
	}
	app, err := r.appJSON(k.CreatorID)
	if err != nil {
		return nil, err
	}
	pulls, err := r.pullsAt(rp, k.SHA)
	if err != nil {
		return nil, err
	}
	u := r.f.api("/repos/%s/check-runs/%d", rp.fullName(), k.ID)
	return obj{
		"id": k.ID, "node_id": nodeID("CR", k.ID), "head_sha": k.SHA, "name": k.Name, "status": k.Status, "conclusion": orNull(k.Conclusion),
		"external_id": k.ExternalID, "details_url": orNull(k.DetailsURL), "url": u, "html_url": r.f.web("/%s/commit/%s", rp.fullName(), k.SHA),
		"started_at": k.Started, "completed_at": k.Completed, "output": o, "pull_requests": pulls,
		"check_suite": obj{"id": k.SuiteID}, "app": app,
	}, nil
}

func (r *reader) hookJSON(h *hook) (obj, error) {
	var events []string
	if err := json.Unmarshal([]byte(h.Events), &events); err != nil {
		return nil, fmt.Errorf("hook %d: %w", h.ID, err)
	}
	config := obj{"url": h.URL, "content_type": h.ContentType, "insecure_ssl": "0"}
	if h.Secret != "" {
		config["secret"] = "********"
	}
	o := obj{
		"id": h.ID, "name": "web", "active": h.Active, "events": events, "config": config, "created_at": h.Created, "updated_at": h.Updated,
		"last_response": obj{"code": nil, "status": "unused", "message": nil},
	}
	if h.OrgID != 0 {
		org, err := r.accountID(h.OrgID)
		if err != nil {
			return nil, err
		}
		o["type"], o["url"] = "Organization", r.f.api("/orgs/%s/hooks/%d", org.Login, h.ID)
	} else {
		rp, err := r.repoID(h.RepoID)
		if err != nil {
			return nil, err
		}
		o["type"], o["url"] = "Repository", r.f.api("/repos/%s/hooks/%d", rp.fullName(), h.ID)
	}
	o["ping_url"], o["deliveries_url"] = o["url"].(string)+"/pings", o["url"].(string)+"/deliveries"
	return o, nil
}

func signatureJSON(s signature) obj {
	return obj{"name": s.Name, "email": s.Email, "date": when{s.When}}
}

// userByEmail finds the account behind a git signature, or null.
func (r *reader) userByEmail(email string) (any, error) {
	if email == "" {
		return nil, nil
	}
	login, _, noreply := strings.Cut(email, "@users.noreply.")
	var a *account
	var err error
	if noreply {
		a, err = r.account(login)
	} else {
		a, err = one(r, scanAccount, "SELECT "+accountCols+" FROM accounts a WHERE a.email = ? COLLATE NOCASE AND a.kind != ?", email, kindOrg)
	}
	if errors.Is(err, errNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.f.userJSON(a), nil
}

// gitCommitJSON is the shape of the git data API.
func (f *Forge) gitCommitJSON(rp *repo, c *commit) obj {
	parents := make([]obj, 0, len(c.Parents))
	for _, p := range c.Parents {
		parents = append(parents, obj{"sha": p, "url": f.api("/repos/%s/git/commits/%s", rp.fullName(), p), "html_url": f.web("/%s/commit/%s", rp.fullName(), p)})
	}
	return obj{
		"sha": c.SHA, "node_id": "C_" + c.SHA, "url": f.api("/repos/%s/git/commits/%s", rp.fullName(), c.SHA),
		"html_url": f.web("/%s/commit/%s", rp.fullName(), c.SHA), "author": signatureJSON(c.Author), "committer": signatureJSON(c.Committer),
		"message": c.Message, "tree": obj{"sha": c.Tree, "url": f.api("/repos/%s/git/trees/%s", rp.fullName(), c.Tree)}, "parents": parents,
		"verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil},
	}
}

// commitJSON is the shape of the repository commits API.
func (r *reader) commitJSON(rp *repo, c *commit) (obj, error) {
	author, err := r.userByEmail(c.Author.Email)
	if err != nil {
		return nil, err
	}
	committer, err := r.userByEmail(c.Committer.Email)
	if err != nil {
		return nil, err
	}
	inner := r.f.gitCommitJSON(rp, c)
	parents := make([]obj, 0, len(c.Parents))
	for _, p := range c.Parents {
		parents = append(parents, obj{"sha": p, "url": r.f.api("/repos/%s/commits/%s", rp.fullName(), p), "html_url": r.f.web("/%s/commit/%s", rp.fullName(), p)})
	}
	u := r.f.api("/repos/%s/commits/%s", rp.fullName(), c.SHA)
	o := obj{
		"sha": c.SHA, "node_id": "C_" + c.SHA, "url": u, "html_url": r.f.web("/%s/commit/%s", rp.fullName(), c.SHA), "comments_url": u + "/comments",
		"commit": inner, "author": author, "committer": committer, "parents": parents,
	}
	inner["comment_count"] = 0
	delete(inner, "sha")
	delete(inner, "parents")
	delete(inner, "html_url")
	delete(inner, "node_id")
	return o, nil
}

func (f *Forge) fileJSON(rp *repo, at string, c *change) obj {
	esc := escapePath(c.Path)
	o := obj{
		"sha": c.SHA, "filename": c.Path, "status": c.Status, "additions": c.Additions, "deletions": c.Deletions, "changes": c.Additions + c.Deletions,
		"blob_url": f.web("/%s/blob/%s/%s", rp.fullName(), at, esc), "raw_url": f.web("/%s/raw/%s/%s", rp.fullName(), at, esc),
		"contents_url": f.api("/repos/%s/contents/%s?ref=%s", rp.fullName(), esc, at),
	}
	if c.Patch != "" {
		o["patch"] = c.Patch
	}
	if c.OldPath != "" {
		o["previous_filename"] = c.OldPath
	}
	return o
}

// escapePath escapes each element of a slash-separated path.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
