package conformance

import (
	"errors"
	"testing"

	"github.com/google/go-github/v75/github"

	"prow/internal/forge/local"
)

// limited sets the primary limit of the local forge.
func limited(n int) func(*local.Options) {
	return func(o *local.Options) { o.RateLimit = n }
}

func TestPrimaryLimitsAreRecognised(t *testing.T) {
	x := newTarget(t, limited(4), func(o *local.Options) { o.Limits.Search = 1 })
	x.localOnly("a small limit")
	ctx, c := t.Context(), x.as(x.other)
	for range 4 {
		_, _, err := c.Users.Get(ctx, "")
		x.must(err)
	}
	_, resp := x.do(x.other, "GET", "/user", nil)
	if resp == nil {
		t.Fatal("no answer")
	}
	_, _, err := c.Users.Get(ctx, "")
	var limit *github.RateLimitError
	if !errors.As(err, &limit) || limit.Rate.Remaining != 0 || limit.Rate.Limit != 4 {
		t.Errorf("got %v, want a rate limit error", err)
	}
	rates, _, err := x.as(x.other).RateLimit.Get(ctx)
	x.must(err)
	x.same("core left", rates.Core.Remaining, 0)
	x.same("searches left", rates.Search.Remaining, 1)
	_, _, err = x.as(x.owner).Search.Issues(ctx, "is:issue", nil)
	x.must(err)
	_, _, err = x.as(x.owner).Search.Issues(ctx, "is:issue", nil)
	if !errors.As(err, &limit) {
		t.Errorf("got %v, want a rate limit error", err)
	}
	if _, _, err := x.as(x.member).Users.Get(ctx, ""); err != nil {
		t.Errorf("limits of one account hit another: %v", err)
	}
}

func TestSecondaryLimitsAreRecognised(t *testing.T) {
	x := newTarget(t, func(o *local.Options) { o.Limits.Content = 3 })
	x.localOnly("a small limit")
	ctx, c := t.Context(), x.as(x.member)
	name := "own"
	_, _, err := c.Repositories.Create(ctx, "", &github.Repository{Name: &name})
	x.must(err)
	for range 2 {
		_, _, err := c.Issues.Create(ctx, x.member.login, name, &github.IssueRequest{Title: &name})
		x.must(err)
	}
	_, _, err = c.Issues.Create(ctx, x.member.login, name, &github.IssueRequest{Title: &name})
	var abuse *github.AbuseRateLimitError
	if !errors.As(err, &abuse) || abuse.GetRetryAfter() <= 0 || abuse.GetRetryAfter().Minutes() > 1 {
		t.Errorf("got %v, want a secondary limit with a time to wait", err)
	}
	if _, _, err := c.Issues.ListByRepo(ctx, x.member.login, name, nil); err != nil && errors.As(err, &abuse) {
		t.Log("go-github itself holds back after a secondary limit")
	}
	resp, _ := x.do(x.member, "GET", "/user", nil)
	x.same("reading goes on", resp.StatusCode, 200)
}
