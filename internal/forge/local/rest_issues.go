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
		{method: "GET", pattern: r + "/issues/{number}/comments", serve: listComments},
		{method: "POST", pattern: r + "/issues/{number}/comments", serve: createComment},
		{method: "GET", pattern: r + "/issues/{number}/events", serve: listEvents},
		{method: "GET", pattern: r + "/issues/{number}/timeline", serve: listTimeline},
		{method: "GET", pattern: r + "/issues/events", serve: listRepoEvents},
		{method: "GET", pattern: r + "/issues/events/{id}", serve: getEvent},
		{method: "GET", pattern: "/issues", serve: listMyIssues},
		{method: "GET", pattern: "/user/issues", serve: listMyIssues},
		{method: "GET", pattern: r + "/milestones/{number}/labels", serve: listMilestoneLabels},
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
	if v := c.query("creator"); v != "" {
		where, args = where+" AND i.author_id = "+byLogin, append(args, v)
	}
	const assigned = "EXISTS (SELECT 1 FROM assignees x WHERE x.issue_id = i.id"
	switch v := c.query("assignee"); v {
	case "":
	case "*":
		where += " AND " + assigned + ")"
	case "none":
		where += " AND NOT " + assigned + ")"
	default:
		where, args = where+" AND "+assigned+" AND x.user_id = "+byLogin+")", append(args, v)
	}
	switch v := c.query("milestone"); v {
	case "":
	case "*":
		where += " AND i.milestone_id != 0"
	case "none":
		where += " AND i.milestone_id = 0"
	default:
		where, args = where+" AND i.milestone_id = (SELECT id FROM milestones WHERE repo_id = i.repo_id AND number = ?)", append(args, v)
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

// listMyIssues lists what the caller is assigned to, or with filter=created
// has opened, in all repositories.
func listMyIssues(c *call) (any, error) {
	if err := c.login(); err != nil {
		return nil, err
	}
	q := "assignee:@me"
	if c.query("filter") == "created" {
		q = "author:@me"
	}
	if c.query("filter") == "all" {
		q = "involves:@me"
	}
	if state := c.query("state"); state == "" || state == "open" || state == "closed" {
		if state == "" {
			state = "open"
		}
		q += " is:" + state
	}
	hits, err := c.search(q, c.viewer, "", "")
	if err != nil {
		return nil, err
	}
	return each(paginate(c, hits), func(h *found) (obj, error) {
		o, err := c.issueJSON(h.repo, &h.issue)
		if err == nil {
			o["repository"] = c.f.repoJSON(h.repo)
		}
		return o, err
	})
}

func createIssue(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	if !rp.Settings.flag(repoDefaults, "has_issues") {
		return nil, &apiError{Status: http.StatusGone, Message: "Issues has been disabled in this repository."}
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
	if in.StateReason != "" && !slices.Contains([]string{"completed", "not_planned", "duplicate", "reopened"}, in.StateReason) {
		return invalid("Issue", "state_reason", "invalid", "")
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

func lockIssue(c *call) (any, error) {
	rp, i, err := c.issueOf(permWrite)
	if err != nil {
		return nil, err
	}
	lock := c.http.Method == http.MethodPut
	var in struct {
		Reason string `json:"lock_reason"`
	}
	if lock {
		if err := c.body(&in); err != nil {
			return nil, err
		}
		if !slices.Contains([]string{"", "off-topic", "too heated", "resolved", "spam"}, in.Reason) {
			return nil, invalid("Issue", "lock_reason", "invalid", "")
		}
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error { return t.setLocked(rp, i, c.viewer, lock, in.Reason) })
}

// setLocked locks or unlocks the conversation.
func (t *txn) setLocked(rp *repo, i *issue, actor *account, lock bool, reason string) error {
	if i.Locked == lock {
		return nil
	}
	i.Locked, i.LockReason = lock, reason
	if _, err := t.exec("UPDATE issues SET locked = ?, lock_reason = ? WHERE id = ?", lock, reason, i.ID); err != nil {
		return err
	}
	action := map[bool]string{true: "locked", false: "unlocked"}[lock]
	if err := t.record(i, actor, event{Event: action}); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, action, nil)
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
