package local

import (
	"errors"
	"strings"
)

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
