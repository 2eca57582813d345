package local

import (
	"net/http"
	"strings"
)

func listReviewRequests(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	o, err := c.pullJSON(rp, i, nil)
	if err != nil {
		return nil, err
	}
	return obj{"users": o["requested_reviewers"], "teams": o["requested_teams"]}, nil
}

func (c *call) changeReviewers(status int, change func(t *txn, rp *repo, i *issue, users, teams []string) error) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	if c.perm < permTriage && c.viewer.ID != i.AuthorID {
		return nil, forbidden("Must have triage access to request reviews.")
	}
	var in struct {
		Reviewers []string `json:"reviewers"`
		Teams     []string `json:"team_reviewers"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := change(t, rp, i, in.Reviewers, in.Teams); err != nil {
			return err
		}
		o, err = t.pullJSON(rp, i, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply{status: status, body: o}, nil
}

func requestReviews(c *call) (any, error) {
	return c.changeReviewers(http.StatusCreated, func(t *txn, rp *repo, i *issue, users, teams []string) error {
		return t.requestReviews(rp, i, c.viewer, users, teams)
	})
}

func unrequestReviews(c *call) (any, error) {
	return c.changeReviewers(http.StatusOK, func(t *txn, rp *repo, i *issue, users, teams []string) error {
		return t.unrequestReviews(rp, i, c.viewer, users, teams)
	})
}

func listReviews(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.reviews(i.ID)
	if err != nil {
		return nil, err
	}
	visible := all[:0]
	for _, v := range all {
		if v.State != "PENDING" || c.viewer != nil && v.AuthorID == c.viewer.ID {
			visible = append(visible, v)
		}
	}
	return each(paginate(c, visible), func(v *review) (obj, error) { return c.reviewJSON(rp, i, v) })
}

// lineComment is a comment on the diff as clients send it.
type lineComment struct {
	Path      string `json:"path"`
	Position  int    `json:"position"`
	Line      int    `json:"line"`
	Side      string `json:"side"`
	StartLine int    `json:"start_line"`
	StartSide string `json:"start_side"`
	Subject   string `json:"subject_type"`
	Body      string `json:"body"`
	SHA       string `json:"commit_id"`
	ReplyTo   int64  `json:"in_reply_to"`
}

// locate turns a line comment into its stored form; the path must be part of
// the pull request.
func (c *call) locate(rp *repo, i *issue, in lineComment, files []change) (reviewComment, error) {
	out := reviewComment{Path: in.Path, Position: in.Position, Line: in.Line, Side: in.Side, SHA: in.SHA, Body: in.Body, ReplyTo: in.ReplyTo, StartLine: in.StartLine, StartSide: in.StartSide, Subject: in.Subject}
	if in.Subject != "" && in.Subject != "line" && in.Subject != "file" {
		return out, invalid("PullRequestReviewComment", "subject_type", "invalid", "")
	}
	if in.Side != "" && in.Side != "LEFT" && in.Side != "RIGHT" {
		return out, invalid("PullRequestReviewComment", "side", "invalid", "")
	}
	if in.ReplyTo != 0 {
		orig, err := c.replyTarget(in.ReplyTo, i.ID)
		if err != nil {
			return out, err
		}
		if orig.ReplyTo != 0 { // threads are flat
			out.ReplyTo = orig.ReplyTo
		}
		out.Path, out.Position, out.Line, out.Side, out.Hunk, out.SHA = orig.Path, orig.Position, orig.Line, orig.Side, orig.Hunk, orig.SHA
		return out, nil
	}
	for _, f := range files {
		if f.Path == in.Path {
			out.Hunk = hunkAt(f.Patch, in.Position)
			return out, nil
		}
	}
	return out, invalid("PullRequestReviewComment", "path", "invalid", "path is not part of the pull request")
}

// hunkAt returns the start of a patch up to a position, at most ten lines.
func hunkAt(patch string, position int) string {
	lines := strings.Split(patch, "\n")
	if position <= 0 || position >= len(lines) {
		position = min(len(lines)-1, 10)
	}
	return strings.Join(lines[max(0, position-10):position+1], "\n")
}

func createReview(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct {
		SHA      string        `json:"commit_id"`
		Body     string        `json:"body"`
		Event    string        `json:"event"`
		Comments []lineComment `json:"comments"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	n := newReview{Event: in.Event, Body: in.Body, SHA: in.SHA}
	if len(in.Comments) > 0 {
		files, err := c.f.pullFiles(c.ctx, rp, i, true)
		if err != nil {
			return nil, err
		}
		for _, lc := range in.Comments {
			rc, err := c.locate(rp, i, lc, files)
			if err != nil {
				return nil, err
			}
			rc.SHA = in.SHA
			n.Comments = append(n.Comments, rc)
		}
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		v, err := t.addReview(rp, i, c.viewer, n)
		if err != nil {
			return err
		}
		o, err = t.reviewJSON(rp, i, v)
		return err
	})
	return o, err
}

func (c *call) reviewOf(need permission) (*repo, *issue, *review, error) {
	rp, i, err := c.pullOf(need)
	if err != nil {
		return nil, nil, nil, err
	}
	id, err := c.id("review")
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := one(c.reader, scanReview, "SELECT "+reviewCols+" FROM reviews v WHERE v.id = ? AND v.issue_id = ?", id, i.ID)
	return rp, i, v, err
}

func getReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	return c.reviewJSON(rp, i, v)
}

func submitReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permRead)
	if err != nil {
		return nil, err
	}
	var in struct{ Body, Event string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	state, ok := reviewStates[in.Event]
	if v.State != "PENDING" || v.AuthorID != c.viewer.ID || !ok || state == "PENDING" {
		return nil, unprocessable("Could not submit the review")
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		v.State, v.Submitted = state, t.now
		if in.Body != "" {
			v.Body = in.Body
		}
		if _, err := t.exec("UPDATE reviews SET state = ?, body = ?, submitted = ? WHERE id = ?", v.State, v.Body, v.Submitted, v.ID); err != nil {
			return err
		}
		if err := t.submitted(rp, i, v, c.viewer); err != nil {
			return err
		}
		o, err = t.reviewJSON(rp, i, v)
		return err
	})
	return o, err
}

func dismissReview(c *call) (any, error) {
	rp, i, v, err := c.reviewOf(permWrite)
	if err != nil {
		return nil, err
	}
	var in struct{ Message string }
	if err := c.body(&in); err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		if err := t.dismissReview(rp, i, v, c.viewer, in.Message); err != nil {
			return err
		}
		o, err = t.reviewJSON(rp, i, v)
		return err
	})
	return o, err
}

func listReviewComments(c *call) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	all, err := c.reviewComments(i.ID)
	if err != nil {
		return nil, err
	}
	return each(paginate(c, all), func(rc *reviewComment) (obj, error) { return c.reviewCommentJSON(rp, i, rc) })
}

func createReviewComment(c *call) (any, error) {
	var in lineComment
	if err := c.body(&in); err != nil {
		return nil, err
	}
	return c.commentOnDiff(in)
}

// commentOnDiff adds one comment to the diff, outside of a review.
func (c *call) commentOnDiff(in lineComment) (any, error) {
	rp, i, err := c.pullOf(permRead)
	if err != nil {
		return nil, err
	}
	files, err := c.f.pullFiles(c.ctx, rp, i, true)
	if err != nil {
		return nil, err
	}
	rc, err := c.locate(rp, i, in, files)
	if err != nil {
		return nil, err
	}
	var o obj
	err = c.f.write(c.ctx, func(t *txn) error {
		// As on GitHub a lone comment is a review of its own, which sends no event.
		id, err := t.exec("INSERT INTO reviews (issue_id, author_id, state, body, sha, submitted) VALUES (?,?,'COMMENTED','',?,?)", i.ID, c.viewer.ID, i.Pull.HeadSHA, t.now)
		if err != nil {
			return err
		}
		rc.ReviewID = id
		made, err := t.addReviewComment(rp, i, c.viewer, rc, true)
		if err != nil {
			return err
		}
		o, err = t.reviewCommentJSON(rp, i, made)
		return err
	})
	if err != nil {
		return nil, err
	}
	return created(o)
}
