package local

import (
	"net/http"
	"slices"
)

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
