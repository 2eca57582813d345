package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

func lower(s string) string { return strings.ToLower(s) }

// Limits of GitHub for texts people write.
const (
	maxTitle = 256
	maxBody  = 65536
)

func checkText(resource, field, text string, max int, required bool) error {
	switch {
	case required && strings.TrimSpace(text) == "":
		return invalid(resource, field, "missing_field", "")
	case len([]rune(text)) > max:
		return invalid(resource, field, "custom", fmt.Sprintf("%s is too long (maximum is %d characters)", field, max))
	}
	return nil
}

// touch notes that an issue changed now.
func (t *txn) touch(i *issue) error {
	i.Updated = t.now
	_, err := t.exec("UPDATE issues SET updated = ? WHERE id = ?", t.now, i.ID)
	return err
}

// record adds an entry to the history of an issue.
func (t *txn) record(i *issue, actor *account, e event) error {
	_, err := t.exec("INSERT INTO events (issue_id, actor_id, event, subject_id, label, color, sha, before, after, created) VALUES (?,?,?,?,?,?,?,?,?,?)",
		i.ID, actor.ID, e.Event, e.SubjectID, e.Label, e.Color, e.SHA, e.Before, e.After, t.now)
	return err
}

// nextNumber takes the next issue number of a repository.
func (t *txn) nextNumber(rp *repo) (int, error) {
	if _, err := t.exec("UPDATE repos SET last_number = last_number + 1 WHERE id = ?", rp.ID); err != nil {
		return 0, err
	}
	return t.count("SELECT last_number FROM repos WHERE id = ?", rp.ID)
}

// newIssue is what a client may say when it opens an issue or pull request.
type newIssue struct {
	Title, Body       string
	Labels, Assignees []string
	Milestone         int
	Pull              *pull
}

// openIssue creates an issue or pull request with its first events.
func (t *txn) openIssue(rp *repo, actor *account, n newIssue) (*issue, error) {
	resource := "Issue"
	if n.Pull != nil {
		resource = "PullRequest"
	}
	if err := errors.Join(checkText(resource, "title", n.Title, maxTitle, true), checkText(resource, "body", n.Body, maxBody, false)); err != nil {
		return nil, err
	}
	number, err := t.nextNumber(rp)
	if err != nil {
		return nil, err
	}
	i := &issue{RepoID: rp.ID, AuthorID: actor.ID, Number: number, Title: n.Title, Body: n.Body, State: "open", Created: t.now, Updated: t.now, Pull: n.Pull}
	if i.ID, err = t.exec("INSERT INTO issues (repo_id, number, is_pull, author_id, title, body, created, updated) VALUES (?,?,?,?,?,?,?,?)",
		rp.ID, number, n.Pull != nil, actor.ID, n.Title, n.Body, t.now, t.now); err != nil {
		return nil, err
	}
	if p := n.Pull; p != nil {
		if _, err := t.exec("INSERT INTO pulls (issue_id, head_repo_id, head_ref, head_sha, base_ref, base_sha, draft, modify, additions, deletions, files, commits) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
			i.ID, p.HeadRepoID, p.HeadRef, p.HeadSHA, p.BaseRef, p.BaseSHA, p.Draft, p.Modify, p.Additions, p.Deletions, p.Files, p.Commits); err != nil {
			return nil, err
		}
	}
	if n.Milestone != 0 {
		if err := t.setMilestone(rp, i, actor, n.Milestone, false); err != nil {
			return nil, err
		}
	}
	if err := t.emitIssue(rp, i, actor, "opened", nil); err != nil {
		return nil, err
	}
	if err := t.addLabels(rp, i, actor, n.Labels); err != nil {
		return nil, err
	}
	_, err = t.assign(rp, i, actor, n.Assignees)
	return i, err
}

// edit changes title, body or base branch; nil leaves a field alone.
func (t *txn) edit(rp *repo, i *issue, actor *account, title, body *string, base *baseChange) error {
	resource := "Issue"
	if i.Pull != nil {
		resource = "PullRequest"
	}
	changes := obj{}
	if title != nil && *title != i.Title {
		if err := checkText(resource, "title", *title, maxTitle, true); err != nil {
			return err
		}
		changes["title"] = obj{"from": i.Title}
		if err := t.record(i, actor, event{Event: "renamed", Before: i.Title, After: *title}); err != nil {
			return err
		}
		i.Title = *title
	}
	if body != nil && *body != i.Body {
		if err := checkText(resource, "body", *body, maxBody, false); err != nil {
			return err
		}
		changes["body"] = obj{"from": i.Body}
		i.Body = *body
	}
	if base != nil && base.Ref != i.Pull.BaseRef {
		changes["base"] = obj{"ref": obj{"from": i.Pull.BaseRef}, "sha": obj{"from": i.Pull.BaseSHA}}
		if err := t.record(i, actor, event{Event: "base_ref_changed", Before: i.Pull.BaseRef, After: base.Ref}); err != nil {
			return err
		}
		i.Pull.BaseRef, i.Pull.BaseSHA = base.Ref, base.SHA
		if err := t.saveStats(i, base.Stats); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE pulls SET base_ref = ?, base_sha = ? WHERE issue_id = ?", base.Ref, base.SHA, i.ID); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if _, err := t.exec("UPDATE issues SET title = ?, body = ? WHERE id = ?", i.Title, i.Body, i.ID); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, "edited", obj{"changes": changes})
}

// baseChange moves a pull request to another base branch.
type baseChange struct {
	Ref, SHA string
	Stats    stats
}

// saveStats stores the size of a pull request.
func (t *txn) saveStats(i *issue, s stats) error {
	p := i.Pull
	p.Additions, p.Deletions, p.Files, p.Commits = s.Additions, s.Deletions, s.Files, s.Commits
	_, err := t.exec("UPDATE pulls SET additions = ?, deletions = ?, files = ?, commits = ? WHERE issue_id = ?", s.Additions, s.Deletions, s.Files, s.Commits, i.ID)
	return err
}

// setState closes or reopens.
func (t *txn) setState(rp *repo, i *issue, actor *account, state, reason string) error {
	if state == i.State {
		return nil
	}
	action := "closed"
	i.State, i.StateReason, i.Closed, i.ClosedBy = state, "", when{}, 0
	if state == "open" {
		action = "reopened"
		if i.Pull == nil {
			i.StateReason = "reopened"
		}
	} else {
		i.Closed, i.ClosedBy = t.now, actor.ID
		if i.Pull == nil {
			if i.StateReason = reason; reason == "" {
				i.StateReason = "completed"
			}
		}
	}
	if _, err := t.exec("UPDATE issues SET state = ?, state_reason = ?, closed = ?, closed_by = ? WHERE id = ?", i.State, i.StateReason, i.Closed, i.ClosedBy, i.ID); err != nil {
		return err
	}
	if err := t.record(i, actor, event{Event: action}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, action, nil)
}

// setDraft marks a pull request as draft or as ready.
func (t *txn) setDraft(rp *repo, i *issue, actor *account, draft bool) error {
	if i.Pull.Draft == draft {
		return nil
	}
	i.Pull.Draft = draft
	action, entry := "ready_for_review", "ready_for_review"
	if draft {
		action, entry = "converted_to_draft", "convert_to_draft"
	}
	if _, err := t.exec("UPDATE pulls SET draft = ? WHERE issue_id = ?", draft, i.ID); err != nil {
		return err
	}
	if err := t.record(i, actor, event{Event: entry}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, action, nil)
}

// defaultColor is what GitHub gives to labels nobody chose a colour for.
const defaultColor = "ededed"

// ensureLabel returns a label of the repository, creating it as GitHub does
// when a label that does not exist is added to an issue.
func (t *txn) ensureLabel(rp *repo, name string) (*label, error) {
	l, err := t.label(rp.ID, name)
	if !errors.Is(err, errNotFound) {
		return l, err
	}
	return t.createLabel(rp, label{Name: name, Color: defaultColor})
}

func (t *txn) createLabel(rp *repo, l label) (*label, error) {
	if err := checkLabel(&l); err != nil {
		return nil, err
	}
	id, err := t.exec("INSERT INTO labels (repo_id, name, color, description) VALUES (?,?,?,?)", rp.ID, l.Name, l.Color, l.Description)
	l.ID, l.RepoID = id, rp.ID
	return &l, err
}

func checkLabel(l *label) error {
	if err := checkText("Label", "name", l.Name, 50, true); err != nil {
		return err
	}
	if strings.ContainsAny(l.Name, "\n\r,") {
		return invalid("Label", "name", "invalid", "")
	}
	if err := checkText("Label", "description", l.Description, 100, false); err != nil {
		return err
	}
	l.Color = lower(strings.TrimPrefix(l.Color, "#"))
	if len(l.Color) != 6 || strings.Trim(l.Color, "0123456789abcdef") != "" {
		return invalid("Label", "color", "invalid", "")
	}
	return nil
}

// addLabels adds those labels that are not there yet.
func (t *txn) addLabels(rp *repo, i *issue, actor *account, names []string) error {
	for _, name := range names {
		l, err := t.ensureLabel(rp, name)
		if err != nil {
			return err
		}
		n, err := t.changed("INSERT OR IGNORE INTO issue_labels (issue_id, label_id) VALUES (?,?)", i.ID, l.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := t.labelEvent(rp, i, actor, l, "labeled"); err != nil {
			return err
		}
	}
	return nil
}

// removeLabel reports whether the label was there.
func (t *txn) removeLabel(rp *repo, i *issue, actor *account, name string) (bool, error) {
	l, err := t.label(rp.ID, name)
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, err := t.changed("DELETE FROM issue_labels WHERE issue_id = ? AND label_id = ?", i.ID, l.ID)
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.labelEvent(rp, i, actor, l, "unlabeled")
}

func (t *txn) labelEvent(rp *repo, i *issue, actor *account, l *label, action string) error {
	if err := t.record(i, actor, event{Event: action, Label: l.Name, Color: l.Color}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, action, obj{"label": t.f.labelJSON(rp, l)})
}

// setLabels makes names the exact set of labels.
func (t *txn) setLabels(rp *repo, i *issue, actor *account, names []string) error {
	have, err := t.issueLabels(i.ID)
	if err != nil {
		return err
	}
	for _, l := range have {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, l.Name) }) {
			if _, err := t.removeLabel(rp, i, actor, l.Name); err != nil {
				return err
			}
		}
	}
	return t.addLabels(rp, i, actor, names)
}

// assignable says whether someone may be assigned: people with a granted
// permission, the author, and those who commented.
func (t *txn) assignable(rp *repo, i *issue, a *account) (bool, error) {
	if a.Kind == kindOrg {
		return false, nil
	}
	if i != nil && a.ID == i.AuthorID {
		return true, nil
	}
	p, err := t.granted(rp, a)
	if err != nil || p >= permRead || i == nil {
		return p >= permRead, err
	}
	n, err := t.count("SELECT count(*) FROM comments WHERE issue_id = ? AND author_id = ?", i.ID, a.ID)
	return n > 0, err
}

// assign adds assignees; like GitHub it silently leaves out those who cannot
// be assigned, and returns their logins.
func (t *txn) assign(rp *repo, i *issue, actor *account, logins []string) (refused []string, err error) {
	for _, login := range logins {
		a, err := t.account(strings.TrimPrefix(login, "@"))
		if errors.Is(err, errNotFound) {
			refused = append(refused, login)
			continue
		}
		if err != nil {
			return nil, err
		}
		ok, err := t.assignable(rp, i, a)
		if err != nil {
			return nil, err
		}
		if !ok {
			refused = append(refused, login)
			continue
		}
		n, err := t.changed("INSERT OR IGNORE INTO assignees (issue_id, user_id) VALUES (?,?)", i.ID, a.ID)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			if err := t.subjectEvent(rp, i, actor, a, "assigned", "assigned", "assignee"); err != nil {
				return nil, err
			}
		}
	}
	return refused, nil
}

func (t *txn) unassign(rp *repo, i *issue, actor *account, logins []string) error {
	for _, login := range logins {
		a, err := t.account(strings.TrimPrefix(login, "@"))
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := t.changed("DELETE FROM assignees WHERE issue_id = ? AND user_id = ?", i.ID, a.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := t.subjectEvent(rp, i, actor, a, "unassigned", "unassigned", "assignee"); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectEvent records and sends an event about a person.
func (t *txn) subjectEvent(rp *repo, i *issue, actor, subject *account, entry, action, field string) error {
	if err := t.record(i, actor, event{Event: entry, SubjectID: subject.ID}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitIssue(rp, i, actor, action, obj{field: t.f.userJSON(subject)})
}

// requestReviews asks people and teams for a review.
func (t *txn) requestReviews(rp *repo, i *issue, actor *account, logins, slugs []string) error {
	for _, login := range logins {
		a, err := t.account(login)
		if err != nil && !errors.Is(err, errNotFound) {
			return err
		}
		ok := err == nil
		if ok && a.ID == i.AuthorID {
			return unprocessable("Review cannot be requested from pull request author.")
		}
		if ok {
			p, err := t.granted(rp, a)
			if err != nil {
				return err
			}
			ok = p >= permRead
		}
		if !ok {
			return unprocessable("Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the " + rp.fullName() + " repository.")
		}
		n, err := t.changed("INSERT OR IGNORE INTO review_requests (issue_id, user_id) VALUES (?,?)", i.ID, a.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := t.subjectEvent(rp, i, actor, a, "review_requested", "review_requested", "requested_reviewer"); err != nil {
				return err
			}
		}
	}
	for _, slug := range slugs {
		tm, err := t.team(rp.Owner.ID, slug)
		if errors.Is(err, errNotFound) {
			return unprocessable("Could not resolve to a node with the global id of '" + slug + "'.")
		}
		if err != nil {
			return err
		}
		n, err := t.changed("INSERT OR IGNORE INTO review_requests (issue_id, team_id) VALUES (?,?)", i.ID, tm.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := t.touch(i); err != nil {
				return err
			}
			if err := t.emitIssue(rp, i, actor, "review_requested", obj{"requested_team": t.f.plainTeamJSON(&rp.Owner, tm)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *txn) unrequestReviews(rp *repo, i *issue, actor *account, logins, slugs []string) error {
	for _, login := range logins {
		a, err := t.account(login)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := t.changed("DELETE FROM review_requests WHERE issue_id = ? AND user_id = ?", i.ID, a.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := t.subjectEvent(rp, i, actor, a, "review_request_removed", "review_request_removed", "requested_reviewer"); err != nil {
				return err
			}
		}
	}
	for _, slug := range slugs {
		tm, err := t.team(rp.Owner.ID, slug)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := t.changed("DELETE FROM review_requests WHERE issue_id = ? AND team_id = ?", i.ID, tm.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := t.emitIssue(rp, i, actor, "review_request_removed", obj{"requested_team": t.f.plainTeamJSON(&rp.Owner, tm)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// setMilestone sets or, with number 0, clears the milestone.
func (t *txn) setMilestone(rp *repo, i *issue, actor *account, number int, announce bool) error {
	var m *milestone
	var id int64
	if number != 0 {
		var err error
		m, err = one(&t.reader, scanMilestone, "SELECT "+milestoneCols+" FROM milestones m WHERE m.repo_id = ? AND m.number = ?", rp.ID, number)
		if errors.Is(err, errNotFound) {
			return invalid("Issue", "milestone", "invalid", "")
		}
		if err != nil {
			return err
		}
		id = m.ID
	}
	if id == i.MilestoneID {
		return nil
	}
	old := i.MilestoneID
	i.MilestoneID = id
	if _, err := t.exec("UPDATE issues SET milestone_id = ? WHERE id = ?", id, i.ID); err != nil {
		return err
	}
	action, shown := "milestoned", id
	if id == 0 {
		action, shown = "demilestoned", old
	}
	mo, err := t.milestoneJSON(rp, shown)
	if err != nil {
		return err
	}
	title := ""
	if o, ok := mo.(obj); ok {
		title, _ = o["title"].(string)
	}
	if err := t.record(i, actor, event{Event: action, After: title}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil || !announce {
		return err
	}
	return t.emitIssue(rp, i, actor, action, obj{"milestone": mo})
}

// addComment adds a comment to the conversation.
func (t *txn) addComment(rp *repo, i *issue, actor *account, body string) (*comment, error) {
	if err := checkText("IssueComment", "body", body, maxBody, true); err != nil {
		return nil, err
	}
	c := &comment{IssueID: i.ID, AuthorID: actor.ID, Body: body, Created: t.now, Updated: t.now}
	var err error
	if c.ID, err = t.exec("INSERT INTO comments (issue_id, author_id, body, created, updated) VALUES (?,?,?,?,?)", i.ID, actor.ID, body, t.now, t.now); err != nil {
		return nil, err
	}
	if err := t.touch(i); err != nil {
		return nil, err
	}
	return c, t.emitComment(rp, i, c, actor, "created", nil)
}

func (t *txn) editComment(rp *repo, i *issue, c *comment, actor *account, body string) error {
	if err := checkText("IssueComment", "body", body, maxBody, true); err != nil {
		return err
	}
	if body == c.Body {
		return nil
	}
	from := c.Body
	c.Body, c.Updated = body, t.now
	if _, err := t.exec("UPDATE comments SET body = ?, updated = ? WHERE id = ?", body, t.now, c.ID); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitComment(rp, i, c, actor, "edited", obj{"changes": obj{"body": obj{"from": from}}})
}

func (t *txn) deleteComment(rp *repo, i *issue, c *comment, actor *account) error {
	if _, err := t.exec("DELETE FROM comments WHERE id = ?", c.ID); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitComment(rp, i, c, actor, "deleted", nil)
}

// newReview is a review as submitted.
type newReview struct {
	Event    string // APPROVE, REQUEST_CHANGES, COMMENT; "" leaves it pending
	Body     string
	SHA      string
	Comments []reviewComment
}

var reviewStates = map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED", "": "PENDING"}

func (t *txn) addReview(rp *repo, i *issue, actor *account, n newReview) (*review, error) {
	state, ok := reviewStates[n.Event]
	if !ok {
		return nil, unprocessable("Variable $event of type PullRequestReviewEvent was provided invalid value")
	}
	if err := checkText("PullRequestReview", "body", n.Body, maxBody, false); err != nil {
		return nil, err
	}
	if actor.ID == i.AuthorID && state == "APPROVED" {
		return nil, unprocessable("Can not approve your own pull request")
	}
	if actor.ID == i.AuthorID && state == "CHANGES_REQUESTED" {
		return nil, unprocessable("Can not request changes on your own pull request")
	}
	if n.Body == "" && len(n.Comments) == 0 && (state == "COMMENTED" || state == "CHANGES_REQUESTED") {
		return nil, unprocessable("Body can't be blank")
	}
	if n.SHA == "" {
		n.SHA = i.Pull.HeadSHA
	}
	v := &review{IssueID: i.ID, AuthorID: actor.ID, State: state, Body: n.Body, SHA: n.SHA, Submitted: t.now}
	var err error
	if v.ID, err = t.exec("INSERT INTO reviews (issue_id, author_id, state, body, sha, submitted) VALUES (?,?,?,?,?,?)", i.ID, actor.ID, state, n.Body, n.SHA, t.now); err != nil {
		return nil, err
	}
	if state != "PENDING" {
		if err := t.submitted(rp, i, v, actor); err != nil {
			return nil, err
		}
	}
	for _, c := range n.Comments {
		c.ReviewID = v.ID
		if _, err := t.addReviewComment(rp, i, actor, c, state != "PENDING"); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// submitted does what follows from a review that became visible.
func (t *txn) submitted(rp *repo, i *issue, v *review, actor *account) error {
	if _, err := t.exec("DELETE FROM review_requests WHERE issue_id = ? AND user_id = ?", i.ID, actor.ID); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitReview(rp, i, v, actor, "submitted", nil)
}

func (t *txn) addReviewComment(rp *repo, i *issue, actor *account, c reviewComment, announce bool) (*reviewComment, error) {
	if err := checkText("PullRequestReviewComment", "body", c.Body, maxBody, true); err != nil {
		return nil, err
	}
	if c.Path == "" {
		return nil, invalid("PullRequestReviewComment", "path", "missing_field", "")
	}
	if c.SHA == "" {
		c.SHA = i.Pull.HeadSHA
	}
	if c.Side == "" {
		c.Side = "RIGHT"
	}
	if c.Subject == "" {
		c.Subject = "line"
	}
	c.IssueID, c.AuthorID, c.Created, c.Updated = i.ID, actor.ID, t.now, t.now
	var err error
	if c.ID, err = t.exec("INSERT INTO review_comments (issue_id, review_id, author_id, path, position, line, side, hunk, sha, reply_to, body, created, updated, start_line, start_side, subject) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		c.IssueID, c.ReviewID, c.AuthorID, c.Path, c.Position, c.Line, c.Side, c.Hunk, c.SHA, c.ReplyTo, c.Body, c.Created, c.Updated, c.StartLine, c.StartSide, c.Subject); err != nil {
		return nil, err
	}
	if err := t.touch(i); err != nil || !announce {
		return &c, err
	}
	return &c, t.emitReviewComment(rp, i, &c, actor, "created", nil)
}

// dismissReview withdraws a review's weight.
func (t *txn) dismissReview(rp *repo, i *issue, v *review, actor *account, message string) error {
	if v.State != "APPROVED" && v.State != "CHANGES_REQUESTED" {
		return unprocessable("Can not dismiss a " + lower(v.State) + " pull request review")
	}
	v.State = "DISMISSED"
	if _, err := t.exec("UPDATE reviews SET state = ? WHERE id = ?", v.State, v.ID); err != nil {
		return err
	}
	if err := t.record(i, actor, event{Event: "review_dismissed", After: message}); err != nil {
		return err
	}
	if err := t.touch(i); err != nil {
		return err
	}
	return t.emitReview(rp, i, v, actor, "dismissed", nil)
}

// maxStatuses is GitHub's limit per commit and context.
const maxStatuses = 1000

var statusStates = []string{"error", "failure", "pending", "success"}

// addStatus records a commit status. c is the commit it is about.
func (t *txn) addStatus(rp *repo, c *commit, actor *account, s status) (*status, error) {
	if !slices.Contains(statusStates, s.State) {
		return nil, invalid("Status", "state", "custom", "state is not included in the list")
	}
	if s.Context == "" {
		s.Context = "default"
	}
	if err := errors.Join(checkText("Status", "context", s.Context, 255, true), checkText("Status", "description", s.Description, 140, false)); err != nil {
		return nil, err
	}
	n, err := t.count("SELECT count(*) FROM statuses WHERE repo_id = ? AND sha = ? AND context = ?", rp.ID, c.SHA, s.Context)
	if err != nil {
		return nil, err
	}
	if n >= maxStatuses {
		return nil, invalid("Status", "base", "custom", "This SHA and context has reached the maximum number of statuses.")
	}
	s.RepoID, s.SHA, s.CreatorID, s.Created = rp.ID, c.SHA, actor.ID, t.now
	if s.ID, err = t.exec("INSERT INTO statuses (repo_id, sha, context, state, description, target_url, creator_id, created) VALUES (?,?,?,?,?,?,?,?)",
		s.RepoID, s.SHA, s.Context, s.State, s.Description, s.TargetURL, s.CreatorID, s.Created); err != nil {
		return nil, err
	}
	co, err := t.commitJSON(rp, c)
	if err != nil {
		return nil, err
	}
	branches, err := list(&t.reader, scalar[string], "SELECT name FROM refs WHERE repo_id = ? AND sha = ? AND name LIKE 'refs/heads/%' ORDER BY name LIMIT 10", rp.ID, c.SHA)
	if err != nil {
		return nil, err
	}
	bo := make([]obj, 0, len(branches))
	for _, b := range branches {
		bo = append(bo, obj{"name": strings.TrimPrefix(b, "refs/heads/"), "commit": obj{"sha": c.SHA, "url": t.f.api("/repos/%s/commits/%s", rp.fullName(), c.SHA)}, "protected": false})
	}
	return &s, t.emit(rp, actor, "status", "", obj{
		"id": s.ID, "sha": s.SHA, "name": rp.fullName(), "target_url": orNull(s.TargetURL), "context": s.Context, "description": orNull(s.Description),
		"state": s.State, "commit": co, "branches": bo, "created_at": s.Created, "updated_at": s.Created,
	})
}
