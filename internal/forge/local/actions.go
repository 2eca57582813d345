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
