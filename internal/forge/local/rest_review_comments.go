package local

import (
	"errors"
	"net/http"
	"slices"
)

// reviewRoutes are the operations on reviews and on the comments of the diff
// beyond those that create and list them.
func reviewRoutes() []route {
	const r = "/repos/{owner}/{repo}/pulls"
	return []route{
		{method: "PUT", pattern: r + "/{number}/reviews/{review}", serve: editReview},
		{method: "DELETE", pattern: r + "/{number}/reviews/{review}", serve: deleteReview},
		{method: "GET", pattern: r + "/{number}/reviews/{review}/comments", serve: listCommentsOfReview},
		{method: "POST", pattern: r + "/{number}/comments/{id}/replies", serve: replyToReviewComment},
		{method: "GET", pattern: r + "/comments", serve: listRepoReviewComments},
		{method: "GET", pattern: r + "/comments/{id}", serve: getReviewComment},
		{method: "PATCH", pattern: r + "/comments/{id}", serve: editReviewComment},
		{method: "DELETE", pattern: r + "/comments/{id}", serve: deleteReviewComment},
		{method: "GET", pattern: r + "/comments/{id}/reactions", serve: listReviewCommentReactions},
		{method: "POST", pattern: r + "/comments/{id}/reactions", serve: reactToReviewComment},
		{method: "DELETE", pattern: r + "/comments/{id}/reactions/{reaction}", serve: deleteReviewCommentReaction},
	}
}

func editReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	if v.AuthorID != c.viewer.ID {
		return nil, forbidden("You can only edit your own reviews.")
	}
	var in struct{ Body string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := checkText("PullRequestReview", "body", in.Body, maxBody, true); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		from := v.Body
		v.Body = in.Body
		if _, err := t.exec("UPDATE reviews SET body = ? WHERE id = ?", v.Body, v.ID); err != nil {
			return err
		}
		if o, err = t.reviewJSON(rp, i, v); err != nil || v.State == "PENDING" {
			return err
		}
		return t.emitReview(rp, i, v, c.viewer, "edited", obj{"changes": obj{"body": obj{"from": from}}})
	})
	return o, err
}

func deleteReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	if v.State != "PENDING" || v.AuthorID != c.viewer.ID {
		return nil, unprocessable("Can not delete a non-pending pull request review")
	}
	o, err := c.reviewJSON(rp, i, v)
	if err != nil {
		return nil, err
	}
	return o, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("DELETE FROM review_comments WHERE review_id = ?", v.ID); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM reviews WHERE id = ?", v.ID)
		return err
	})
}

func listCommentsOfReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.reviewComments(i.ID)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(rc reviewComment) bool { return rc.ReviewID != v.ID })
	return each(paginate(c, all), func(rc *reviewComment) (obj, error) { return c.reviewCommentJSON(rp, i, rc) })
}

func replyToReviewComment(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	var in struct{ Body string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	return c.commentOnDiff(lineComment{Body: in.Body, ReplyTo: id})
}

func listRepoReviewComments(c *call) (any, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, err
	}
	all, err := list(c.reader, scanReviewComment, "SELECT "+reviewCommentCols+" FROM review_comments w JOIN issues i ON i.id = w.issue_id WHERE i.repo_id = ? ORDER BY w.id", rp.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(rc *reviewComment) (obj, error) {
		i, err := c.issueID(rc.IssueID)
		if err != nil {
			return nil, err
		}
		return c.reviewCommentJSON(rp, i, rc)
	})
}

func (c *call) reviewCommentOf() (*repo, *issue, *reviewComment, error) {
	rp, err := c.theRepo(permRead)
	if err != nil {
		return nil, nil, nil, err
	}
	id, err := c.id("id")
	if err != nil {
		return nil, nil, nil, err
	}
	rc, err := one(c.reader, scanReviewComment, "SELECT "+reviewCommentCols+" FROM review_comments w JOIN issues i ON i.id = w.issue_id WHERE w.id = ? AND i.repo_id = ?", id, rp.ID)
	if err != nil {
		return nil, nil, nil, err
	}
	i, err := c.issueID(rc.IssueID)
	return rp, i, rc, err
}

func getReviewComment(c *call) (any, error) {
	rp, i, rc, err := c.reviewCommentOf()
	if err != nil {
		return nil, err
	}
	return c.reviewCommentJSON(rp, i, rc)
}

// ownReviewComment is reviewCommentOf for its author and people with write access.
func (c *call) ownReviewComment() (*repo, *issue, *reviewComment, error) {
	rp, i, rc, err := c.reviewCommentOf()
	if err == nil && rc.AuthorID != c.viewer.ID && c.perm < permWrite {
		err = forbidden("Must have push access to change comments of others.")
	}
	return rp, i, rc, err
}

func editReviewComment(c *call) (any, error) {
	rp, i, rc, err := c.ownReviewComment()
	if err != nil {
		return nil, err
	}
	var in struct{ Body string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if err := checkText("PullRequestReviewComment", "body", in.Body, maxBody, true); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		from := rc.Body
		rc.Body, rc.Updated = in.Body, t.now
		if _, err := t.exec("UPDATE review_comments SET body = ?, updated = ? WHERE id = ?", rc.Body, rc.Updated, rc.ID); err != nil {
			return err
		}
		if o, err = t.reviewCommentJSON(rp, i, rc); err != nil {
			return err
		}
		return t.emitReviewComment(rp, i, rc, c.viewer, "edited", obj{"changes": obj{"body": obj{"from": from}}})
	})
	return o, err
}

func deleteReviewComment(c *call) (any, error) {
	rp, i, rc, err := c.ownReviewComment()
	if err != nil {
		return nil, err
	}
	return noContent, c.f.write(c.ctx, func(t *txn) error {
		if _, err := t.exec("DELETE FROM review_comments WHERE id = ?", rc.ID); err != nil {
			return err
		}
		return t.emitReviewComment(rp, i, rc, c.viewer, "deleted", nil)
	})
}

func listReviewCommentReactions(c *call) (any, error) {
	_, _, rc, err := c.reviewCommentOf()
	if err != nil {
		return nil, err
	}
	return c.reactions("review-comment", rc.ID)
}

func reactToReviewComment(c *call) (any, error) {
	_, _, rc, err := c.reviewCommentOf()
	if err != nil {
		return nil, err
	}
	return c.react("review-comment", rc.ID)
}

func deleteReviewCommentReaction(c *call) (any, error) {
	_, _, rc, err := c.reviewCommentOf()
	if err != nil {
		return nil, err
	}
	return c.unreact("review-comment", rc.ID)
}

// replyTarget finds the comment of a pull request that a reply is about.
func (r *reader) replyTarget(id, issueID int64) (*reviewComment, error) {
	orig, err := one(r, scanReviewComment, "SELECT "+reviewCommentCols+" FROM review_comments w WHERE w.id = ? AND w.issue_id = ?", id, issueID)
	if errors.Is(err, errNotFound) {
		return nil, &apiError{Status: http.StatusNotFound, Message: "Parent comment not found"}
	}
	return orig, err
}
