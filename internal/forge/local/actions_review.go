package local

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
