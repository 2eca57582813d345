package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ListReviews lists the reviews of a pull request, oldest first.
func (c *Client) ListReviews(ctx context.Context, org, repo string, number int) ([]Review, error) {
	return list[Review](ctx, c, pullPath(org, repo, number, "reviews"), nil)
}

// GetReview reads a review.
func (c *Client) GetReview(ctx context.Context, org, repo string, number int, id int64) (*Review, error) {
	var out Review
	return &out, c.get(ctx, pullPath(org, repo, number, "reviews", strconv.FormatInt(id, 10)), &out)
}

// What a new review says.
const (
	ReviewApprove        = "APPROVE"
	ReviewRequestChanges = "REQUEST_CHANGES"
	ReviewComments       = "COMMENT"
)

// DraftReview is a new review.
type DraftReview struct {
	// CommitID is the commit that was looked at; "" is the head.
	CommitID string `json:"commit_id,omitempty"`
	Body     string `json:"body"`
	// Event is one of ReviewApprove, ReviewRequestChanges and ReviewComments.
	Event    string               `json:"event,omitempty"`
	Comments []DraftReviewComment `json:"comments,omitempty"`
}

// DraftReviewComment is a comment of a new review.
type DraftReviewComment struct {
	Path string `json:"path"`
	// Position is the line in the diff of the file, counted from 1 below its
	// first "@@" line.
	Position int    `json:"position"`
	Body     string `json:"body"`
}

// CreateReview writes a review.
func (c *Client) CreateReview(ctx context.Context, org, repo string, number int, review DraftReview) error {
	if done, err := c.wroteReview(ctx, org, repo, number, review.Body); done || err != nil {
		return err
	}
	_, err := c.send(ctx, request{
		method: http.MethodPost, path: pullPath(org, repo, number, "reviews"), accept: "application/vnd.github.black-cat-preview+json", body: review,
	}, nil)
	return err
}

// ListPullRequestComments lists the comments on lines of a pull request.
func (c *Client) ListPullRequestComments(ctx context.Context, org, repo string, number int) ([]ReviewComment, error) {
	return list[ReviewComment](ctx, c, pullPath(org, repo, number, "comments"), nil)
}

// GetPullRequestComment reads a comment on a line of a pull request.
func (c *Client) GetPullRequestComment(ctx context.Context, org, repo string, id int64) (*ReviewComment, error) {
	var out ReviewComment
	return &out, c.get(ctx, repoPath(org, repo, "pulls", "comments", strconv.FormatInt(id, 10)), &out)
}

// ReviewCommentRequest is a new comment on a line of a pull request, or an answer to one.
type ReviewCommentRequest struct {
	Body     string `json:"body"`
	CommitID string `json:"commit_id,omitempty"`
	Path     string `json:"path,omitempty"`
	// Line is the line of the file, and Side "LEFT" before or "RIGHT" after the
	// change. Position is the older way to say that; see DraftReviewComment.
	Line     int    `json:"line,omitempty"`
	Side     string `json:"side,omitempty"`
	Position int    `json:"position,omitempty"`
	// InReplyTo is the comment that is answered; then all but Body is ignored.
	InReplyTo int64 `json:"in_reply_to,omitempty"`
}

// CreatePullRequestComment writes a comment on a line of a pull request.
func (c *Client) CreatePullRequestComment(ctx context.Context, org, repo string, number int, comment ReviewCommentRequest) error {
	_, err := c.send(ctx, request{
		method: http.MethodPost, path: pullPath(org, repo, number, "comments"),
		accept: mediaReactions + ", application/vnd.github.comfort-fade-preview+json", body: comment, codes: []int{http.StatusCreated},
	}, nil)
	return err
}

// errForeignTeam is the refusal of a team of another org, which the forge would
// not know. It counts as the forge's own refusal.
var errForeignTeam = errors.New("a team of another org cannot review")

// reviewers are logins as the forge wants them.
type reviewers struct {
	Users []string `json:"reviewers,omitempty"`
	Teams []string `json:"team_reviewers,omitempty"`
}

// reviewersOf sorts logins; those with a slash are teams, org/slug. The org is
// all before the last slash.
func reviewersOf(org string, logins []string) (r reviewers, foreign error) {
	for _, l := range logins {
		i := strings.LastIndex(l, "/")
		switch {
		case i < 0:
			r.Users = append(r.Users, NormLogin(l))
		case strings.EqualFold(strings.TrimPrefix(l[:i], "@"), org):
			r.Teams = append(r.Teams, l[i+1:])
		default:
			foreign = fmt.Errorf("%w: %s is not of %s", errForeignTeam, l, org)
		}
	}
	return r, foreign
}

// RequestReview asks people for a review. A login with a slash is a team, org/slug.
// Where the forge refuses the whole list, each is tried alone and a
// *MissingUsersError names those refused.
func (c *Client) RequestReview(ctx context.Context, org, repo string, number int, logins []string) error {
	refused := func(err error) bool { return IsUnprocessable(err) || errors.Is(err, errForeignTeam) }
	err := c.requestReview(ctx, org, repo, number, logins)
	if !refused(err) {
		return err
	}
	missing := &MissingUsersError{Action: "request a review from"}
	for _, l := range logins {
		if err := c.requestReview(ctx, org, repo, number, []string{l}); refused(err) {
			missing.Users, missing.Err = append(missing.Users, l), err
		} else if err != nil {
			return err
		}
	}
	if len(missing.Users) > 0 {
		return missing
	}
	return nil
}

func (c *Client) requestReview(ctx context.Context, org, repo string, number int, logins []string) error {
	body, foreign := reviewersOf(org, logins)
	if foreign != nil {
		return foreign
	}
	_, err := c.send(ctx, request{
		method: http.MethodPost, path: pullPath(org, repo, number, "requested_reviewers"), accept: mediaLabels, body: body, codes: []int{http.StatusCreated}, repeat: true,
	}, nil)
	return err
}

// UnrequestReview takes requests for a review back; an *ExtraUsersError names
// those who are still asked.
func (c *Client) UnrequestReview(ctx context.Context, org, repo string, number int, logins []string) error {
	body, foreign := reviewersOf(org, logins)
	if len(body.Users)+len(body.Teams) == 0 {
		return foreign
	}
	var pull PullRequest
	_, err := c.send(ctx, request{
		method: http.MethodDelete, path: pullPath(org, repo, number, "requested_reviewers"), accept: mediaLabels, body: body,
	}, &pull)
	if err != nil || c.dryRun {
		return err
	}
	var left []string
	for _, u := range pull.RequestedReviewers {
		if slices.Contains(body.Users, NormLogin(u.Login)) {
			left = append(left, u.Login)
		}
	}
	for _, team := range pull.RequestedTeams {
		if slices.ContainsFunc(body.Teams, func(slug string) bool { return strings.EqualFold(slug, team.Slug) }) {
			left = append(left, org+"/"+team.Slug)
		}
	}
	if len(left) > 0 {
		return &ExtraUsersError{Users: left, Action: "take back the request for a review from"}
	}
	return nil
}
