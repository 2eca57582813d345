package local

import "time"

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
	where, args := "c.issue_id = ?", []any{i.ID}
	if v := c.query("since"); v != "" {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return nil, invalid("IssueComment", "since", "invalid", "")
		}
		where, args = where+" AND c.updated >= ?", append(args, at.UnixMilli())
	}
	all, err := list(c.reader, scanComment, "SELECT "+commentCols+" FROM comments c WHERE "+where+" ORDER BY c.id", args...)
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
