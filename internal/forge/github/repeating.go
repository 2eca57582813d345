package github

import (
	"context"
	"strings"
	"time"
)

// clocksDiffer is how far the forge's clock, which dates what is written, may be
// behind that of this machine.
const clocksDiffer = time.Minute

// Repeating derives a client for work that may have been done in part before: a
// process may have died after it wrote something and before it recorded that. What
// cannot be written twice without being seen twice, comments and reviews, is
// first looked for among what the account has written since that time, and is
// not written again where it is there with the same text.
func (c *Client) Repeating(since time.Time) *Client {
	d := c.clone(c.agent)
	d.repeating = since.Add(-clocksDiffer)
	return d
}

// wrote tells whether a text of the account's own, among what a list yields, is
// the one that is about to be written.
func (c *Client) wrote(ctx context.Context, text string, written func() ([]writing, error)) (bool, error) {
	if c.repeating.IsZero() {
		return false, nil
	}
	isBot, err := c.BotChecker(ctx)
	if err != nil {
		return false, err
	}
	all, err := written()
	if err != nil {
		return false, err
	}
	for _, w := range all {
		if isBot(w.by) && !w.at.Before(c.repeating) && sameText(w.text, text) {
			return true, nil
		}
	}
	return false, nil
}

// writing is a text somebody wrote.
type writing struct {
	by   User
	at   time.Time
	text string
}

// sameText compares texts as the forge stores them.
func sameText(a, b string) bool {
	plain := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
	return plain(a) == plain(b)
}

func (c *Client) wroteComment(ctx context.Context, org, repo string, number int, body string) (bool, error) {
	return c.wrote(ctx, body, func() (out []writing, err error) {
		all, err := c.ListIssueComments(ReadFresh(ctx), org, repo, number)
		for _, w := range all {
			out = append(out, writing{w.User, w.CreatedAt, w.Body})
		}
		return out, err
	})
}

func (c *Client) wroteReview(ctx context.Context, org, repo string, number int, body string) (bool, error) {
	return c.wrote(ctx, body, func() (out []writing, err error) {
		all, err := c.ListReviews(ReadFresh(ctx), org, repo, number)
		for _, w := range all {
			out = append(out, writing{w.User, w.SubmittedAt, w.Body})
		}
		return out, err
	})
}
