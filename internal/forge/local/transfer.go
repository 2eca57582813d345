package local

import (
	"errors"
	"net/http"
	"strings"
)

// transferIssue moves an issue to another repository of the owner: it gets the
// next number there and keeps those labels that exist there.
func (t *txn) transferIssue(from, to *repo, i *issue, actor *account) error {
	before, err := t.issueJSON(from, i)
	if err != nil {
		return err
	}
	number, err := t.nextNumber(to)
	if err != nil {
		return err
	}
	labels, err := t.issueLabels(i.ID)
	if err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM issue_labels WHERE issue_id = ?", i.ID); err != nil {
		return err
	}
	for _, l := range labels {
		if _, err := t.exec("INSERT OR IGNORE INTO issue_labels (issue_id, label_id) SELECT ?, id FROM labels WHERE repo_id = ? AND name = ?", i.ID, to.ID, l.Name); err != nil {
			return err
		}
	}
	if _, err := t.exec("INSERT INTO issue_redirects (repo_id, number, issue_id) VALUES (?,?,?)", from.ID, i.Number, i.ID); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE issues SET repo_id = ?, number = ?, milestone_id = 0, pinned = 0, updated = ? WHERE id = ?", to.ID, number, t.now, i.ID); err != nil {
		return err
	}
	i.RepoID, i.Number, i.MilestoneID, i.Pinned, i.Updated = to.ID, number, 0, when{}, t.now
	if err := t.record(i, actor, event{Event: "transferred", Before: from.fullName()}); err != nil {
		return err
	}
	after, err := t.issueJSON(to, i)
	if err != nil {
		return err
	}
	return t.emit(from, actor, "issues", "transferred", obj{"issue": before, "changes": obj{"new_issue": after, "new_repository": t.f.repoJSON(to)}})
}

// deleteIssue removes an issue for good; its number stays taken.
func (t *txn) deleteIssue(rp *repo, i *issue, actor *account) error {
	if err := t.emitIssue(rp, i, actor, "deleted", nil); err != nil {
		return err
	}
	if _, err := t.exec("INSERT INTO issue_redirects (repo_id, number, issue_id) VALUES (?,?,0)", rp.ID, i.Number); err != nil {
		return err
	}
	_, err := t.exec("DELETE FROM issues WHERE id = ?", i.ID)
	return err
}

// movedIssue is the answer for an issue that is not in the repository of the path any more.
func (c *call) movedIssue(rp *repo, number int) error {
	id, err := one(c.reader, scalar[int64], "SELECT issue_id FROM issue_redirects WHERE repo_id = ? AND number = ?", rp.ID, number)
	if err != nil {
		return err
	}
	if *id == 0 {
		return &apiError{Status: http.StatusGone, Message: "This issue was deleted"}
	}
	i, err := c.issueID(*id)
	if err != nil {
		return err
	}
	to, err := c.repoID(i.RepoID)
	if err != nil {
		return err
	}
	if p, err := c.permission(to, c.viewer); err != nil || p < permRead {
		return errors.Join(err, errNotFound)
	}
	_, rest, ok := strings.Cut(c.http.URL.EscapedPath(), "/issues/"+itoa(number))
	if !ok {
		return errNotFound
	}
	return &movedError{c.f.api("/repositories/%d/issues/%d", to.ID, i.Number) + rest}
}
