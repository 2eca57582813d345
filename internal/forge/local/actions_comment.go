package local

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
