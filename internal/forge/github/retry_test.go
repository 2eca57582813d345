package github

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What may have taken effect is not done twice; what changes nothing the second
// time is.
func TestWhatIsMadeTwice(t *testing.T) {
	hangUp := -1 // the connection ends without an answer
	for sentence, tc := range map[string]struct {
		call   func(context.Context, *Client) error
		status int
		header []string
		times  int
	}{
		"a comment, after an error of the server":      {func(ctx context.Context, c *Client) error { return c.CreateComment(ctx, "o", "r", 1, "x") }, 502, nil, 1},
		"a comment, after a broken connection":         {func(ctx context.Context, c *Client) error { return c.CreateComment(ctx, "o", "r", 1, "x") }, hangUp, nil, 1},
		"a comment, when the server asks to come back": {func(ctx context.Context, c *Client) error { return c.CreateComment(ctx, "o", "r", 1, "x") }, 503, []string{"Retry-After", "1"}, 3},
		"a comment, beyond the limit":                  {func(ctx context.Context, c *Client) error { return c.CreateComment(ctx, "o", "r", 1, "x") }, 403, []string{"Retry-After", "1"}, 3},
		"a pull request": {func(ctx context.Context, c *Client) error {
			return drop(c.CreatePullRequest(ctx, "o", "r", "t", "b", "h", "m"))
		}, 500, nil, 1},
		"an issue":                          {func(ctx context.Context, c *Client) error { return drop(c.CreateIssue(ctx, "o", "r", IssueRequest{})) }, 500, nil, 1},
		"a review":                          {func(ctx context.Context, c *Client) error { return c.CreateReview(ctx, "o", "r", 1, DraftReview{}) }, 500, nil, 1},
		"a merge":                           {func(ctx context.Context, c *Client) error { return c.Merge(ctx, "o", "r", 1, MergeDetails{}) }, 502, nil, 1},
		"a mutation":                        {func(ctx context.Context, c *Client) error { return c.PinIssue(ctx, "o", "id") }, 502, nil, 1},
		"a query":                           {func(ctx context.Context, c *Client) error { return drop(c.UserIsBusy(ctx, "o", "u")) }, 502, nil, 3},
		"a status":                          {func(ctx context.Context, c *Client) error { return c.CreateStatus(ctx, "o", "r", "s", Status{}) }, 500, nil, 3},
		"labels":                            {func(ctx context.Context, c *Client) error { return c.AddLabels(ctx, "o", "r", 1, "l") }, 500, nil, 3},
		"an edit":                           {func(ctx context.Context, c *Client) error { return c.EditComment(ctx, "o", "r", 1, "x") }, 500, nil, 3},
		"a read, after a broken connection": {func(ctx context.Context, c *Client) error { return drop(c.GetRepo(ctx, "o", "r")) }, hangUp, nil, 3},
		"a comment on what is not there yet, which had no effect": {func(ctx context.Context, c *Client) error { return c.CreateComment(ctx, "o", "r", 1, "x") }, 404, nil, 3},
	} {
		t.Run(sentence, func(t *testing.T) {
			var made atomic.Int32 // who broke the connection may still be at it
			c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
				made.Add(1)
				if tc.status == hangUp {
					panic(http.ErrAbortHandler)
				}
				answer(w, tc.status, `{}`, tc.header...)
			}, func(o *ClientOptions) {
				o.Retry.MaxRetries = 3
				o.Transport = &http.Transport{DisableKeepAlives: true} // or a read on a connection that broke is tried again below us
			})
			if err := tc.call(t.Context(), c); err == nil || int(made.Load()) != tc.times {
				t.Errorf("made %d times, want %d; %v", made.Load(), tc.times, err)
			}
		})
	}
}

func TestWhatNeverArrivedIsMadeElsewhere(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	comments := 0
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { comments++; answer(w, 201, `{}`) }, func(o *ClientOptions) {
		o.Endpoints = append([]string{dead.URL}, o.Endpoints...)
	})
	if err := c.CreateComment(t.Context(), "o", "r", 1, "x"); err != nil || comments != 1 {
		t.Errorf("%d comments, %v", comments, err)
	}
}

func TestGraphQLFallsBackToTheNextEndpoint(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	var path, token string
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		path, token = r.URL.Path, r.Header.Get("Authorization")
		answer(w, 200, `{"data":{}}`)
	}, func(o *ClientOptions) {
		o.Endpoints = append([]string{dead.URL}, o.Endpoints...)
		o.GraphQLEndpoint = dead.URL + "/graphql"
	})
	if err := c.Query(t.Context(), "o", "{ a }", nil, nil); err != nil || path != "/api/graphql" || token != "Bearer tok" {
		t.Errorf("path %q, token %q, %v", path, token, err)
	}
}

func TestLimitsWithoutATime(t *testing.T) {
	n := 0
	c, waits := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			answer(w, 403, `{"message":"You have exceeded a secondary rate limit. Please wait."}`)
			return
		}
		answer(w, 200, `{}`)
	})
	if _, err := c.GetRepo(t.Context(), "o", "r"); err != nil || !slices.Equal(*waits, []time.Duration{time.Minute}) {
		t.Errorf("waits %v, %v", *waits, err)
	}
	c, waits = forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 403, `{"message":"Resource not accessible"}`) })
	if _, err := c.GetRepo(t.Context(), "o", "r"); !IsForbidden(err) || !strings.Contains(err.Error(), "Resource not accessible") || len(*waits) != 0 {
		t.Errorf("waits %v, %v", *waits, err)
	}
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	calls := 0
	handler := func(w http.ResponseWriter, r *http.Request) { calls++; answer(w, 500, `{}`) }
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { handler(w, r); cancel() }, func(o *ClientOptions) { o.Retry.Sleep = nil })
	if _, err := c.GetRepo(ctx, "o", "r"); !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c, waits := forge(t, handler)
	if _, err := c.GetRepo(ctx, "o", "r"); !errors.Is(err, context.DeadlineExceeded) || len(*waits) != 0 {
		t.Errorf("who would be gone before the next try is told at once: waits %v, %v", *waits, err)
	}
}

func TestWaitsAreSpread(t *testing.T) {
	c, waits := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 500, `{}`) }, func(o *ClientOptions) {
		o.Retry.MaxRetries, o.Retry.Jitter = 3, func(d time.Duration) time.Duration { return d }
	})
	_, _ = c.GetRepo(t.Context(), "o", "r")
	if want := []time.Duration{2500 * time.Millisecond, 5 * time.Second}; !slices.Equal(*waits, want) {
		t.Errorf("waits %v, want %v", *waits, want)
	}
}
