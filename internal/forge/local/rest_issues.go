package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func issueRoutes() []route {
	const r = "/repos/{owner}/{repo}"
	return []route{
		{method: "GET", pattern: r + "/issues", serve: listIssues},
		{method: "POST", pattern: r + "/issues", serve: createIssue},
		{method: "GET", pattern: r + "/issues/{number}", serve: getIssue},
		{method: "PATCH", pattern: r + "/issues/{number}", serve: editIssue},
		{method: "GET", pattern: r + "/issues/comments", serve: listRepoComments},
		{method: "GET", pattern: r + "/issues/comments/{id}", serve: getComment},
		{method: "PATCH", pattern: r + "/issues/comments/{id}", serve: editComment},
		{method: "DELETE", pattern: r + "/issues/comments/{id}", serve: deleteComment},
		{method: "GET", pattern: r + "/issues/comments/{id}/reactions", serve: listCommentReactions},
		{method: "POST", pattern: r + "/issues/comments/{id}/reactions", serve: reactToComment},
		{method: "GET", pattern: r + "/issues/{number}/comments", serve: listComments},
		{method: "POST", pattern: r + "/issues/{number}/comments", serve: createComment},
		{method: "GET", pattern: r + "/issues/{number}/events", serve: listEvents},
		{method: "GET", pattern: r + "/issues/{number}/timeline", serve: listEvents},
		{method: "POST", pattern: r + "/issues/{number}/reactions", serve: reactToIssue},
		{method: "PUT", pattern: r + "/issues/{number}/lock", serve: lockIssue},
		{method: "DELETE", pattern: r + "/issues/{number}/lock", serve: lockIssue},
		{method: "GET", pattern: r + "/assignees", serve: listAssignees},
		{method: "GET", pattern: r + "/assignees/{user}", serve: checkAssignee},
		{method: "POST", pattern: r + "/issues/{number}/assignees", serve: addAssignees},
		{method: "DELETE", pattern: r + "/issues/{number}/assignees", serve: removeAssignees},
		{method: "GET", pattern: r + "/issues/{number}/labels", serve: listIssueLabels},
		{method: "POST", pattern: r + "/issues/{number}/labels", serve: addIssueLabels},
		{method: "PUT", pattern: r + "/issues/{number}/labels", serve: replaceIssueLabels},
		{method: "DELETE", pattern: r + "/issues/{number}/labels", serve: replaceIssueLabels},
		{method: "DELETE", pattern: r + "/issues/{number}/labels/{name...}", serve: removeIssueLabel},
		{method: "GET", pattern: r + "/labels", serve: listLabels},
		{method: "POST", pattern: r + "/labels", serve: createLabel},
		{method: "GET", pattern: r + "/labels/{name...}", serve: getLabel},
		{method: "PATCH", pattern: r + "/labels/{name...}", serve: editLabel},
		{method: "DELETE", pattern: r + "/labels/{name...}", serve: deleteLabel},
		{method: "GET", pattern: r + "/milestones", serve: listMilestones},
		{method: "POST", pattern: r + "/milestones", serve: createMilestone},
		{method: "GET", pattern: r + "/milestones/{number}", serve: getMilestone},
		{method: "PATCH", pattern: r + "/milestones/{number}", serve: editMilestone},
		{method: "DELETE", pattern: r + "/milestones/{number}", serve: deleteMilestone},
		{method: "GET", pattern: "/search/issues", serve: searchIssuesREST},
	}
}

func listIssues(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	where, args := "i.repo_id = ?", []any{rp.ID}
	switch s := c.query("state"); s {
	case "", "open", "closed":
		if s == "" {
			s = "open"
		}
		where, args = where+" AND i.state = ?", append(args, s)
	case "all":
	default:
		return nil, invalid("Issue", "state", "invalid", "")
	}
	if v := c.query("labels"); v != "" {
		for name := range strings.SplitSeq(v, ",") {
			where += " AND EXISTS (SELECT 1 FROM issue_labels x JOIN labels l ON l.id = x.label_id WHERE x.issue_id = i.id AND l.name = ?)"
			args = append(args, strings.TrimSpace(name))
		}
	}
	for param, cond := range map[string]string{
		"creator":  " AND i.author_id = (SELECT id FROM accounts WHERE login = ?)",
		"assignee": " AND EXISTS (SELECT 1 FROM assignees x JOIN accounts a ON a.id = x.user_id WHERE x.issue_id = i.id AND a.login = ?)",
	} {
		if v := c.query(param); v != "" && v != "*" && v != "none" {
			where, args = where+cond, append(args, v)
		}
	}
	if v := c.query("since"); v != "" {
		t, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return nil, invalid("Issue", "since", "invalid", "")
		}
		where, args = where+" AND i.updated >= ?", append(args, t.UnixMilli())
	}
	all, err := list(c.reader, scanIssue, "SELECT "+issueCols+issueFrom+"WHERE "+where+" ORDER BY "+listOrder(c), args...)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(i *issue) (obj, error) { return c.issueJSON(rp, i) })
}

// listOrder turns sort and direction into an ORDER BY clause of fixed words.
func listOrder(c *call) string {
	col := map[string]string{"updated": "i.updated", "comments": "(SELECT count(*) FROM comments c WHERE c.issue_id = i.id)", "popularity": "(SELECT count(*) FROM comments c WHERE c.issue_id = i.id)"}[c.query("sort")]
	if col == "" {
		col = "i.created"
	}
	if c.query("direction") == "asc" {
		return col + " ASC, i.number ASC"
	}
	return col + " DESC, i.number DESC"
}

// labelNames accepts labels as strings or as objects with a name.
type labelNames []string

func (l *labelNames) UnmarshalJSON(raw []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	*l = labelNames{}
	for _, it := range items {
		var s string
		if json.Unmarshal(it, &s) != nil {
			var o struct{ Name string }
			if err := json.Unmarshal(it, &o); err != nil {
				return err
			}
			s = o.Name
		}
		*l = append(*l, s)
	}
	return nil
}

func createIssue(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	var in struct {
		Title     string
		Body      string
		Labels    labelNames
		Assignees []string
		Assignee  string
		Milestone int
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.Assignee != "" {
		in.Assignees = append(in.Assignees, in.Assignee)
	}
	if c.perm < permTriage { // as GitHub: dropped without a word
		in.Labels, in.Assignees, in.Milestone = nil, nil, 0
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		i, err := t.openIssue(rp, c.viewer, newIssue{Title: in.Title, Body: in.Body, Labels: in.Labels, Assignees: in.Assignees, Milestone: in.Milestone})
		if err != nil {
			return err
		}
		o, err = t.issueJSON(rp, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func getIssue(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.issueJSON(rp, i)
}

// nullableInt tells an absent value from null.
type nullableInt struct {
	set   bool
	value int
}

func (n *nullableInt) UnmarshalJSON(raw []byte) error {
	n.set = true
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return json.Unmarshal(raw, &n.value)
}

// issueEdit is the body of PATCH for issues and, in part, pull requests.
type issueEdit struct {
	Title       *string     `json:"title"`
	Body        *string     `json:"body"`
	State       *string     `json:"state"`
	StateReason string      `json:"state_reason"`
	Labels      *labelNames `json:"labels"`
	Assignees   *[]string   `json:"assignees"`
	Milestone   nullableInt `json:"milestone"`
}

func editIssue(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	var in issueEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if i, err = t.issueID(i.ID); err != nil {
			return err
		}
		if err := t.applyEdit(rp, i, c.viewer, c.perm, in, nil); err != nil {
			return err
		}
		o, err = t.issueJSON(rp, i)
		return err
	})
	return o, err
}

// applyEdit checks and makes the changes of a PATCH.
func (t *txn) applyEdit(rp *repo, i *issue, actor *account, perm permission, in issueEdit, base *baseChange) error {
	own := actor.ID == i.AuthorID
	if (in.Title != nil || in.Body != nil || base != nil) && !own && perm < permWrite {
		return forbidden("Must have push access to edit this issue.")
	}
	if err := t.edit(rp, i, actor, in.Title, in.Body, base); err != nil {
		return err
	}
	if in.State != nil && *in.State != i.State {
		if !own && perm < permTriage {
			return forbidden("Must have triage access to change the state of this issue.")
		}
		if *in.State != "open" && *in.State != "closed" {
			return invalid("Issue", "state", "invalid", "")
		}
		if *in.State == "open" && i.Pull != nil {
			if err := t.mayReopen(rp, i); err != nil {
				return err
			}
		}
		if err := t.setState(rp, i, actor, *in.State, in.StateReason); err != nil {
			return err
		}
	}
	if perm < permTriage {
		if in.Labels != nil || in.Assignees != nil || in.Milestone.set {
			return forbidden("Must have triage access to change labels, assignees or the milestone.")
		}
		return nil
	}
	if in.Labels != nil {
		if err := t.setLabels(rp, i, actor, *in.Labels); err != nil {
			return err
		}
	}
	if in.Assignees != nil {
		have, err := t.assignees(i.ID)
		if err != nil {
			return err
		}
		var gone []string
		for _, a := range have {
			if !slices.ContainsFunc(*in.Assignees, func(s string) bool { return strings.EqualFold(s, a.Login) }) {
				gone = append(gone, a.Login)
			}
		}
		if err := t.unassign(rp, i, actor, gone); err != nil {
			return err
		}
		if _, err := t.assign(rp, i, actor, *in.Assignees); err != nil {
			return err
		}
	}
	if in.Milestone.set {
		return t.setMilestone(rp, i, actor, in.Milestone.value, true)
	}
	return nil
}

// mayReopen refuses pull requests that are merged or have lost a branch.
func (t *txn) mayReopen(rp *repo, i *issue) error {
	refuse := func(why string) error {
		return invalid("PullRequest", "state", "invalid", "state cannot be changed. "+why)
	}
	p := i.Pull
	if !p.Merged.IsZero() {
		return refuse("The pull request is already merged.")
	}
	if _, err := t.refSHA(rp.ID, "refs/heads/"+p.BaseRef); errors.Is(err, errNotFound) {
		return refuse(fmt.Sprintf("The %s branch has been deleted.", p.BaseRef))
	} else if err != nil {
		return err
	}
	sha, err := t.refSHA(p.HeadRepoID, "refs/heads/"+p.HeadRef)
	switch {
	case errors.Is(err, errNotFound):
		return refuse(fmt.Sprintf("The %s branch has been deleted.", p.HeadRef))
	case err != nil:
		return err
	case sha != p.HeadSHA:
		return refuse(fmt.Sprintf("The %s branch was force-pushed or recreated.", p.HeadRef))
	}
	n, err := t.count("SELECT count(*) FROM issues i JOIN pulls p ON p.issue_id = i.id WHERE i.repo_id = ? AND i.state = 'open' AND p.head_repo_id = ? AND p.head_ref = ? AND p.base_ref = ?", rp.ID, p.HeadRepoID, p.HeadRef, p.BaseRef)
	if err == nil && n > 0 {
		return refuse("There is already an open pull request for these branches.")
	}
	return err
}

func listRepoComments(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanComment, "SELECT "+commentCols+" FROM comments c JOIN issues i ON i.id = c.issue_id WHERE i.repo_id = ? ORDER BY c.id", rp.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(cm *comment) (obj, error) {
		i, err := c.issueID(cm.IssueID)
		if err != nil {
			return nil, err
		}
		return c.commentJSON(rp, i, cm)
	})
}

func listComments(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE c.issue_id = ? ORDER BY c.id", i.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(cm *comment) (obj, error) { return c.commentJSON(rp, i, cm) })
}

func createComment(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct{ Body string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if i.Locked && c.perm < permWrite {
		return nil, forbidden("Unable to create comment because issue is locked.")
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		cm, err := t.addComment(rp, i, c.viewer, in.Body)
		if err != nil {
			return err
		}
		o, err = t.commentJSON(rp, i, cm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

// commentOf finds a comment; own tells whether the caller wrote it.
func (c *call) commentOf() (rp *repo, cm *comment, i *issue, err error) {
	if rp, err = c.theRepo(permRead); err != nil {
		return nil, nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, nil, err
	}
	cm, i, err = c.comment(rp.ID, id)
	return rp, cm, i, err
}

func getComment(c *call) (any, error) {
	rp, cm, i, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	return c.commentJSON(rp, i, cm)
}

func editComment(c *call) (any, error) {
	rp, cm, i, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	if cm.AuthorID != c.viewer.ID && c.perm < permWrite {
		return nil, forbidden("Must have push access to edit comments of others.")
	}
	var in struct{ Body string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := t.editComment(rp, i, cm, c.viewer, in.Body); err != nil {
			return err
		}
		o, err = t.commentJSON(rp, i, cm)
		return err
	})
	return o, err
}

func deleteComment(c *call) (any, error) {
	rp, cm, i, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	if cm.AuthorID != c.viewer.ID && c.perm < permWrite {
		return nil, forbidden("Must have push access to delete comments of others.")
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error { return t.deleteComment(rp, i, cm, c.viewer) })
}

func (c *call) react(target string, id int64) (any, error) {
	var in struct{ Content string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !slices.Contains(reactionNames, in.Content) {
		return nil, invalid("Reaction", "content", "invalid", "")
	}
	status := http.StatusOK
	var rid int64
	var at when
	err := c.f.write(c.ctx, func(t *txn) error {
		n, err := t.changed("INSERT OR IGNORE INTO reactions (target, target_id, user_id, content, created) VALUES (?,?,?,?,?)", target, id, c.viewer.ID, in.Content, t.now)
		if err != nil {
			return err
		}
		if n > 0 {
			status = http.StatusCreated
		}
		row, err := one(&t.reader, func(s scanner, v *struct {
			id int64
			at when
		}) error {
			return s.Scan(&v.id, &v.at)
		}, "SELECT id, created FROM reactions WHERE target = ? AND target_id = ? AND user_id = ? AND content = ?", target, id, c.viewer.ID, in.Content)
		if err == nil {
			rid, at = row.id, row.at
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply{status: status, body: obj{"id": rid, "node_id": nodeID("REA", rid), "user": c.f.userJSON(c.viewer), "content": in.Content, "created_at": at}}, nil
}

func reactToComment(c *call) (any, error) {
	_, cm, _, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	return c.react("comment", cm.ID)
}

func listCommentReactions(c *call) (any, error) {
	_, cm, _, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	type reaction struct {
		id, user int64
		content  string
		at       when
	}
	all, err := list(c.reader, func(s scanner, v *reaction) error { return s.Scan(&v.id, &v.user, &v.content, &v.at) },
		"SELECT id, user_id, content, created FROM reactions WHERE target = 'comment' AND target_id = ? ORDER BY id", cm.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(v *reaction) (obj, error) {
		u, err := c.userIDJSON(v.user)
		return obj{"id": v.id, "node_id": nodeID("REA", v.id), "user": u, "content": v.content, "created_at": v.at}, err
	})
}

func reactToIssue(c *call) (any, error) {
	_, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.react("issue", i.ID)
}

func lockIssue(c *call) (any, error) {
	_, i, err := c.issueOf(permWrite)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("UPDATE issues SET locked = ? WHERE id = ?", c.http.Method == http.MethodPut, i.ID)
		return err
	})
}

func listEvents(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.events(i.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(e *event) (obj, error) { return c.eventJSON(rp, e) })
}

func (r *reader) eventJSON(rp *repo, e *event) (obj, error) {
	actor, err := r.userIDJSON(e.ActorID)
	if err != nil {
		return nil, err
	}
	o := obj{
		"id": e.ID, "node_id": nodeID("EV", e.ID), "url": r.f.api("/repos/%s/issues/events/%d", rp.fullName(), e.ID), "actor": actor,
		"event": e.Event, "commit_id": orNull(e.SHA), "commit_url": nil, "created_at": e.Created,
	}
	switch e.Event {
	case "labeled", "unlabeled":
		o["label"] = obj{"name": e.Label, "color": e.Color}
	case "renamed":
		o["rename"] = obj{"from": e.Before, "to": e.After}
	case "milestoned", "demilestoned":
		o["milestone"] = obj{"title": e.After}
	}
	if e.SubjectID != 0 {
		subject, err := r.userIDJSON(e.SubjectID)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(e.Event, "review_") {
			o["requested_reviewer"], o["review_requester"] = subject, actor
		} else {
			o["assignee"], o["assigner"] = subject, actor
		}
	}
	return o, nil
}

func listAssignees(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.collaborators(rp)
	if err != nil {
		return nil, err
	}
	return c.f.usersJSON(paginate(c, all)), nil
}

func checkAssignee(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	a, err := c.account(c.params["user"])
	if err != nil {
		return nil, err
	}
	if p, err := c.granted(rp, a); err != nil || p < permRead {
		return nil, errors.Join(err, errNotFound)
	}
	return noContent, nil
}

func addAssignees(c *call) (any, error) {
	return c.changeAssignees(http.StatusCreated, func(t *txn, rp *repo, i *issue, logins []string) error {
		_, err := t.assign(rp, i, c.viewer, logins)
		return err
	})
}

func removeAssignees(c *call) (any, error) {
	return c.changeAssignees(http.StatusOK, func(t *txn, rp *repo, i *issue, logins []string) error {
		return t.unassign(rp, i, c.viewer, logins)
	})
}

func (c *call) changeAssignees(status int, change func(*txn, *repo, *issue, []string) error) (any, error) {
	rp, i, err := c.issueOf(permTriage)
	if err != nil {
		return nil, err
	}
	var in struct{ Assignees []string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := change(t, rp, i, in.Assignees); err != nil {
			return err
		}
		o, err = t.issueJSON(rp, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply{status: status, body: o}, nil
}

func listIssueLabels(c *call) (any, error) {
	rp, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.issueLabels(i.ID)
	if err != nil {
		return nil, err
	}
	return c.f.labelsJSON(rp, paginate(c, all)), nil
}

// labelBody accepts a bare array of names or {"labels": [...]}.
func (c *call) labelBody() ([]string, error) {
	var raw json.RawMessage
	if err := c.body(&raw); err != nil {
		return nil, err
	}
	var names labelNames
	if json.Unmarshal(raw, &names) == nil {
		return names, nil
	}
	var in struct{ Labels labelNames }
	if len(raw) > 0 && json.Unmarshal(raw, &in) != nil {
		return nil, badRequest("Problems parsing JSON")
	}
	return in.Labels, nil
}

func (c *call) changeLabels(change func(*txn, *repo, *issue) error) (any, error) {
	rp, i, err := c.issueOf(permTriage)
	if err != nil {
		return nil, err
	}
	var out []obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := change(t, rp, i); err != nil {
			return err
		}
		all, err := t.issueLabels(i.ID)
		out = c.f.labelsJSON(rp, all)
		return err
	})
	return out, err
}

func addIssueLabels(c *call) (any, error) {
	names, err := c.labelBody()
	if err != nil {
		return nil, err
	}
	return c.changeLabels(func(t *txn, rp *repo, i *issue) error { return t.addLabels(rp, i, c.viewer, names) })
}

func replaceIssueLabels(c *call) (any, error) {
	var names []string
	if c.http.Method == http.MethodPut {
		var err error
		if names, err = c.labelBody(); err != nil {
			return nil, err
		}
	}
	out, err := c.changeLabels(func(t *txn, rp *repo, i *issue) error { return t.setLabels(rp, i, c.viewer, names) })
	if err == nil && c.http.Method == http.MethodDelete {
		return noContent, nil
	}
	return out, err
}

func removeIssueLabel(c *call) (any, error) {
	return c.changeLabels(func(t *txn, rp *repo, i *issue) error {
		ok, err := t.removeLabel(rp, i, c.viewer, c.params["name"])
		if err == nil && !ok {
			err = &apiError{Status: http.StatusNotFound, Message: "Label does not exist"}
		}
		return err
	})
}

func listLabels(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanLabel, "SELECT "+labelCols+" FROM labels l WHERE l.repo_id = ? ORDER BY l.name", rp.ID)
	if err != nil {
		return nil, err
	}
	return c.f.labelsJSON(rp, paginate(c, all)), nil
}

// labelEdit is the body of label creation and change.
type labelEdit struct {
	Name        *string `json:"name"`
	NewName     *string `json:"new_name"`
	Color       *string `json:"color"`
	Description *string `json:"description"`
}

func (e labelEdit) apply(l *label) {
	for _, s := range []struct {
		from *string
		to   *string
	}{{e.Color, &l.Color}, {e.Description, &l.Description}} {
		if s.from != nil {
			*s.to = *s.from
		}
	}
}

func createLabel(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in labelEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	l := label{Color: defaultColor}
	in.apply(&l)
	if in.Name != nil {
		l.Name = *in.Name
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.label(rp.ID, l.Name); err == nil {
			return invalid("Label", "name", "already_exists", "")
		}
		made, err := t.createLabel(rp, l)
		if err == nil {
			o = c.f.labelJSON(rp, made)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) labelOf(need permission) (*repo, *label, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	l, err := c.label(rp.ID, c.params["name"])
	return rp, l, err
}

func getLabel(c *call) (any, error) {
	rp, l, err := c.labelOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.f.labelJSON(rp, l), nil
}

func editLabel(c *call) (any, error) {
	rp, l, err := c.labelOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in labelEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	in.apply(l)
	if in.NewName == nil {
		in.NewName = in.Name
	}
	return c.f.labelJSON(rp, l), c.f.write(c.ctx, func(t *txn) error {
		if in.NewName != nil {
			if other, err := t.label(rp.ID, *in.NewName); err == nil && other.ID != l.ID {
				return invalid("Label", "name", "already_exists", "")
			}
			l.Name = *in.NewName
		}
		if err := checkLabel(l); err != nil {
			return err
		}
		_, err := t.exec("UPDATE labels SET name = ?, color = ?, description = ? WHERE id = ?", l.Name, l.Color, l.Description, l.ID)
		return err
	})
}

func deleteLabel(c *call) (any, error) {
	_, l, err := c.labelOf(permWrite)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		_, err := t.exec("DELETE FROM labels WHERE id = ?", l.ID)
		return err
	})
}

func listMilestones(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	state := c.query("state")
	if state == "" {
		state = "open"
	}
	all, err := list(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? AND (m.state = ? OR ? = 'all') ORDER BY m.number", rp.ID, state, state)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(m *milestone) (obj, error) { return c.milestoneObj(rp, m) })
}

// milestoneEdit is the body of milestone creation and change.
type milestoneEdit struct {
	Title       *string    `json:"title"`
	Description *string    `json:"description"`
	State       *string    `json:"state"`
	Due         *time.Time `json:"due_on"`
}

func (e milestoneEdit) apply(m *milestone, now when) error {
	if e.Title != nil {
		m.Title = *e.Title
	}
	if e.Description != nil {
		m.Description = *e.Description
	}
	if e.Due != nil {
		m.Due = when{*e.Due}
	}
	if e.State != nil && *e.State != m.State {
		if *e.State != "open" && *e.State != "closed" {
			return invalid("Milestone", "state", "invalid", "")
		}
		if m.State, m.Closed = *e.State, (when{}); m.State == "closed" {
			m.Closed = now
		}
	}
	m.Updated = now
	return checkText("Milestone", "title", m.Title, 255, true)
}

func createMilestone(c *call) (any, error) {
	rp, err := c.theRepo(permWrite)
	if err != nil {
		return nil, err
	}
	var in milestoneEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		m := milestone{RepoID: rp.ID, State: "open", CreatorID: c.viewer.ID, Created: t.now}
		if err := in.apply(&m, t.now); err != nil {
			return err
		}
		n, err := t.count("SELECT count(*) FROM milestones WHERE repo_id = ? AND title = ?", rp.ID, m.Title)
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid("Milestone", "title", "already_exists", "")
		}
		if m.Number, err = t.count("SELECT coalesce(max(number),0) + 1 FROM milestones WHERE repo_id = ?", rp.ID); err != nil {
			return err
		}
		if m.ID, err = t.exec("INSERT INTO milestones (repo_id, number, title, description, state, creator_id, created, updated, due, closed) VALUES (?,?,?,?,?,?,?,?,?,?)",
			m.RepoID, m.Number, m.Title, m.Description, m.State, m.CreatorID, m.Created, m.Updated, m.Due, m.Closed); err != nil {
			return err
		}
		o, err = t.milestoneObj(rp, &m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}

func (c *call) milestoneOf(need permission) (*repo, *milestone, error) {
	rp, err := c.theRepo(need)
	if err != nil {
		return nil, nil, err
	}
	n, err := c.number("number")
	if err != nil {
		return nil, nil, err
	}
	m, err := one(c.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? AND m.number = ?", rp.ID, n)
	return rp, m, err
}

func getMilestone(c *call) (any, error) {
	rp, m, err := c.milestoneOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.milestoneObj(rp, m)
}

func editMilestone(c *call) (any, error) {
	rp, m, err := c.milestoneOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in milestoneEdit
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := in.apply(m, t.now); err != nil {
			return err
		}
		_, err := t.exec("UPDATE milestones SET title = ?, description = ?, state = ?, updated = ?, due = ?, closed = ? WHERE id = ?", m.Title, m.Description, m.State, m.Updated, m.Due, m.Closed, m.ID)
		if err != nil {
			return err
		}
		o, err = t.milestoneObj(rp, m)
		return err
	})
	return o, err
}

func deleteMilestone(c *call) (any, error) {
	_, m, err := c.milestoneOf(permWrite)
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("UPDATE issues SET milestone_id = 0 WHERE milestone_id = ?", m.ID); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM milestones WHERE id = ?", m.ID)
		return err
	})
}
