package local

import (
	"net/http"
	"slices"
)

func reactionRoutes() []route {
	const r = "/repos/{owner}/{repo}/issues"
	return []route{
		{method: "GET", pattern: r + "/comments/{id}/reactions", serve: listCommentReactions},
		{method: "POST", pattern: r + "/comments/{id}/reactions", serve: reactToComment},
		{method: "DELETE", pattern: r + "/comments/{id}/reactions/{reaction}", serve: deleteCommentReaction},
		{method: "GET", pattern: r + "/{number}/reactions", serve: listIssueReactions},
		{method: "POST", pattern: r + "/{number}/reactions", serve: reactToIssue},
		{method: "DELETE", pattern: r + "/{number}/reactions/{reaction}", serve: deleteIssueReaction},
	}
}

// reaction is one reaction of somebody to an issue or comment.
type reaction struct {
	ID, UserID int64
	Content    string
	Created    when
}

const reactionCols = "e.id, e.user_id, e.content, e.created"

func scanReaction(s scanner, v *reaction) error {
	return s.Scan(&v.ID, &v.UserID, &v.Content, &v.Created)
}

func (r *reader) reactionJSON(v *reaction) (obj, error) {
	u, err := r.userIDJSON(v.UserID)
	return obj{"id": v.ID, "node_id": nodeID("REA", v.ID), "user": u, "content": v.Content, "created_at": v.Created}, err
}

// react adds a reaction; the same one twice is one, answered with 200.
func (c *call) react(target string, id int64) (any, error) {
	var in struct{ Content string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if !slices.Contains(reactionNames, in.Content) {
		return nil, invalid("Reaction", "content", "invalid", "")
	}
	status := http.StatusOK
	var o obj
	err := c.f.write(c.ctx, func(t *txn) error {
		n, err := t.changed("INSERT OR IGNORE INTO reactions (target, target_id, user_id, content, created) VALUES (?,?,?,?,?)", target, id, c.viewer.ID, in.Content, t.now)
		if err != nil {
			return err
		}
		if n > 0 {
			status = http.StatusCreated
		}
		v, err := one(&t.reader, scanReaction, "SELECT "+reactionCols+" FROM reactions e WHERE e.target = ? AND e.target_id = ? AND e.user_id = ? AND e.content = ?", target, id, c.viewer.ID, in.Content)
		if err != nil {
			return err
		}
		o, err = t.reactionJSON(v)
		return err
	})
	return reply{status: status, body: o}, err
}

func (c *call) reactions(target string, id int64) (any, error) {
	content := c.query("content")
	all, err := list(c.reader, scanReaction, "SELECT "+reactionCols+" FROM reactions e WHERE e.target = ? AND e.target_id = ? AND ? IN ('', e.content) ORDER BY e.id", target, id, content)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), c.reactionJSON)
}

// unreact removes a reaction of the caller.
func (c *call) unreact(target string, id int64) (any, error) {
	rid, err := c.id("reaction")
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		n, err := t.changed("DELETE FROM reactions WHERE id = ? AND target = ? AND target_id = ? AND (user_id = ? OR ?)", rid, target, id, c.viewer.ID, c.perm >= permAdmin)
		if err == nil && n == 0 {
			err = errNotFound
		}
		return err
	})
}

func listCommentReactions(c *call) (any, error) {
	_, cm, _, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	return c.reactions("comment", cm.ID)
}

func reactToComment(c *call) (any, error) {
	_, cm, _, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	return c.react("comment", cm.ID)
}

func deleteCommentReaction(c *call) (any, error) {
	_, cm, _, err := c.commentOf()
	if err != nil {
		return nil, err
	}
	return c.unreact("comment", cm.ID)
}

func listIssueReactions(c *call) (any, error) {
	_, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.reactions("issue", i.ID)
}

func reactToIssue(c *call) (any, error) {
	_, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.react("issue", i.ID)
}

func deleteIssueReaction(c *call) (any, error) {
	_, i, err := c.issueOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.unreact("issue", i.ID)
}
