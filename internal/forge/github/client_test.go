package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// forge serves a handler and returns a client whose waits are recorded instead of waited.
func forge(t *testing.T, handler http.HandlerFunc, tweak ...func(*ClientOptions)) (*Client, *[]time.Duration) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	var waits []time.Duration
	o := ClientOptions{
		Endpoints: []string{server.URL + "/api/v3"}, GraphQLEndpoint: server.URL + "/api/graphql", UserAgent: "test/v1",
		Token: func() (string, error) { return "tok", nil },
		Retry: RetryPolicy{
			Now:    func() time.Time { return time.Unix(1000, 0) },
			Jitter: func(time.Duration) time.Duration { return 0 },
			Sleep:  func(ctx context.Context, d time.Duration) error { waits = append(waits, d); return ctx.Err() },
		},
	}
	for _, f := range tweak {
		f(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, &waits
}

// benchForge is forge for benchmarks.
func benchForge(b *testing.B, handler http.HandlerFunc, tweak ...func(*ClientOptions)) *Client {
	b.Helper()
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	o := ClientOptions{Endpoints: []string{server.URL}}
	for _, f := range tweak {
		f(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// at is a time some seconds after the epoch.
func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

func answer(w http.ResponseWriter, code int, body string, headers ...string) {
	for i := 0; i < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	w.WriteHeader(code)
	fmt.Fprint(w, body)
}

func TestRetries(t *testing.T) {
	second := time.Second
	type reply struct {
		code    int
		headers []string
	}
	for name, tc := range map[string]struct {
		replies []reply
		waits   []time.Duration
		calls   int
		fails   string
	}{
		"a server error is tried again with doubling delays":            {[]reply{{500, nil}, {502, nil}, {200, nil}}, []time.Duration{2 * second, 4 * second}, 3, ""},
		"a resource that is not there yet is waited for twice":          {[]reply{{404, nil}}, []time.Duration{2 * second, 4 * second}, 3, "404"},
		"an exhausted limit is waited for until its reset and a second": {[]reply{{403, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1030"}}, {200, nil}}, []time.Duration{31 * second}, 2, ""},
		"a secondary limit is waited for as long as asked and a second": {[]reply{{403, []string{"Retry-After", "7"}}, {200, nil}}, []time.Duration{8 * second}, 2, ""},
		"too many requests is a limit as well":                          {[]reply{{429, []string{"Retry-After", "7"}}, {200, nil}}, []time.Duration{8 * second}, 2, ""},
		"a wait longer than the limit fails and tells both":             {[]reply{{403, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "9999"}}}, nil, 1, "longer than the limit of 2m0s"},
		"an unreadable reset fails":                                     {[]reply{{403, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "soon"}}}, nil, 1, "X-RateLimit-Reset"},
		"missing scopes are named":                                      {[]reply{{403, []string{"X-Accepted-OAuth-Scopes", "repo, admin:org", "X-OAuth-Scopes", "gist"}}}, nil, 1, "has gist OAuth scopes, but one of repo, admin:org"},
		"a forbidden request is not tried again":                        {[]reply{{403, nil}}, nil, 1, "403"},
		"a bad request is not tried again":                              {[]reply{{422, nil}}, nil, 1, "422"},
		"a server that stays broken is given up after the last attempt": {[]reply{{500, nil}}, []time.Duration{2 * second, 4 * second, 8 * second, 16 * second, 32 * second, 60 * second, 60 * second}, 8, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			c, waits := forge(t, func(w http.ResponseWriter, r *http.Request) {
				reply := tc.replies[min(calls, len(tc.replies)-1)]
				calls++
				answer(w, reply.code, `{"number":5}`, reply.headers...)
			})
			_, err := c.GetPullRequest(t.Context(), "o", "r", 5)
			if calls != tc.calls || !slices.Equal(*waits, tc.waits) {
				t.Errorf("calls %d, waits %v; want %d, %v", calls, *waits, tc.calls, tc.waits)
			}
			if (err == nil) != (tc.fails == "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("error %v, want one with %q", err, tc.fails)
			}
		})
	}
}

func TestWhetherSomethingExistsIsNotWaitedFor(t *testing.T) {
	c, waits := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 404, `{"message":"Not Found"}`) })
	member, err := c.IsMember(t.Context(), "o", "u")
	if member || err != nil || len(*waits) != 0 {
		t.Errorf("member %v, error %v, waits %v", member, err, *waits)
	}
	if _, err := c.GetFile(t.Context(), "o", "r", "OWNERS", ""); !IsNotFound(err) || len(*waits) != 0 {
		t.Errorf("error %v, waits %v", err, *waits)
	}
}

func TestAConnectionErrorMovesToTheNextEndpoint(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v3/repos/o/r" {
			t.Errorf("path %s", r.URL.Path)
		}
		answer(w, 200, `{"name":"r"}`)
	}, func(o *ClientOptions) { o.Endpoints = append([]string{dead.URL + "/proxy"}, o.Endpoints...) })
	if _, err := c.GetRepo(t.Context(), "o", "r"); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsCarryWhatTheForgeExpects(t *testing.T) {
	var got *http.Request
	var body map[string]string
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_ = json.NewDecoder(r.Body).Decode(&body)
		answer(w, 201, `{}`)
	})
	if err := c.CreateStatus(t.Context(), "o", "r", "abc", Status{State: "success", Context: "ci/x", Description: "d"}); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URL.Path != "/api/v3/repos/o/r/statuses/abc" || got.Header.Get("Authorization") != "Bearer tok" ||
		got.Header.Get("X-GitHub-Api-Version") != "2022-11-28" || got.UserAgent() != "test/v1" || body["context"] != "ci/x" {
		t.Errorf("%s %s %v %v", got.Method, got.URL, got.Header, body)
	}
}

func TestListsFollowPagesAtTheEndpointThatWasAsked(t *testing.T) {
	var paths []string
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.String())
		if r.URL.Query().Get("page") == "2" {
			answer(w, 200, `[{"name":"b"}]`)
			return
		}
		answer(w, 200, `[{"name":"a"}]`, "Link", `<https://elsewhere.example/repositories/1/issues/1/labels?page=2&per_page=100>; rel="next", <https://elsewhere.example/x>; rel="last"`)
	})
	labels, err := c.GetIssueLabels(t.Context(), "o", "r", 1)
	if err != nil || len(labels) != 2 || labels[1].Name != "b" {
		t.Errorf("%v %v", labels, err)
	}
	if want := []string{"/api/v3/repos/o/r/issues/1/labels?per_page=100", "/api/v3/repos/o/r/issues/1/labels?page=2&per_page=100"}; !slices.Equal(paths, want) {
		t.Errorf("asked for %v, want %v", paths, want)
	}
}

func TestDryRunReadsButNeverWrites(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("sent %s %s", r.Method, r.URL)
		}
		answer(w, 200, `{"number":1}`)
	}, func(o *ClientOptions) { o.DryRun = true })
	ctx := t.Context()
	for name, err := range map[string]error{
		"comment": c.CreateComment(ctx, "o", "r", 1, "x"), "delete": c.DeleteComment(ctx, "o", "r", 1), "label": c.AddLabels(ctx, "o", "r", 1, "x"),
		"merge": c.Merge(ctx, "o", "r", 1, MergeDetails{}), "assign": c.AssignIssue(ctx, "o", "r", 1, []string{"u"}), "status": c.CreateStatus(ctx, "o", "r", "s", Status{}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.GetPullRequest(ctx, "o", "r", 1); err != nil {
		t.Error(err)
	}
}

func TestMergeRefusalsAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		code int
		text string
		want error
	}{
		"a moved head":              {409, "Head branch was modified. Review and try the merge again.", ErrModifiedHead},
		"a moved base":              {405, "Base branch was modified. Review and try the merge again.", ErrBaseModified},
		"a protected branch":        {405, "You're not authorized to push to this branch. Visit ...", ErrPushUnauthorized},
		"a forbidden method":        {405, "Merge commits are not allowed on this repository.", ErrMergeMethodForbidden},
		"anything else unmergeable": {405, "Pull Request is not mergeable", ErrUnmergeable},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, tc.code, `{"message":"`+tc.text+`"}`) })
			err := c.Merge(t.Context(), "o", "r", 1, MergeDetails{SHA: "x"})
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text[:20]) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRefsThatArePrefixesOfOthers(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, `[{"ref":"refs/heads/release-1","object":{"sha":"bad"}},{"ref":"refs/heads/release","object":{"sha":"good"}}]`)
	})
	if sha, err := c.GetRef(t.Context(), "o", "r", "heads/release"); sha != "good" || err != nil {
		t.Errorf("%q %v", sha, err)
	}
	if _, err := c.GetRef(t.Context(), "o", "r", "heads/rel"); !errors.Is(err, ErrTooManyRefs) {
		t.Error(err)
	}
}

func TestGraphQLGivesPartialDataAndTheError(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, `{"data":{"search":{"issueCount":3}},"errors":[{"message":"something broke"}]}`)
	})
	var out struct{ Search struct{ IssueCount int } }
	err := c.Query(t.Context(), "o", "query {}", nil, &out)
	if err == nil || !strings.Contains(err.Error(), "something broke") || out.Search.IssueCount != 3 {
		t.Errorf("%v %v", out, err)
	}
}

func TestCommentEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		kind, payload string
		want          *CommentEvent
	}{
		"a comment on a pull request": {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{},"user":{"login":"author"}},"comment":{"id":9,"body":"/lgtm","user":{"login":"u"}}}`,
			&CommentEvent{IsPR: true, Number: 3, Action: CommentCreated, Body: "/lgtm", User: User{Login: "u"}, IssueAuthor: User{Login: "author"}}},
		"the body of a new issue":              {"issues", `{"action":"opened","issue":{"number":4,"body":"/help","user":{"login":"u"}}}`, &CommentEvent{Number: 4, Action: CommentCreated, Body: "/help", User: User{Login: "u"}, IssueAuthor: User{Login: "u"}}},
		"a submitted review":                   {"pull_request_review", `{"action":"submitted","pull_request":{"number":5,"user":{"login":"author"}},"review":{"body":"/approve","user":{"login":"r"}}}`, &CommentEvent{IsPR: true, Number: 5, Action: CommentCreated, Body: "/approve", User: User{Login: "r"}, IssueAuthor: User{Login: "author"}}},
		"a dismissed review counts as deleted": {"pull_request_review", `{"action":"dismissed","pull_request":{"number":5},"review":{}}`, &CommentEvent{IsPR: true, Number: 5, Action: CommentDeleted}},
		"a label carries no text":              {"pull_request", `{"action":"labeled","pull_request":{"number":5}}`, nil},
		"a push carries no text":               {"push", `{"ref":"refs/heads/main"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			event, err := ParseEvent(tc.kind, "guid", []byte(tc.payload))
			if err != nil {
				t.Fatal(err)
			}
			got := GeneralizeComment(event)
			if (got == nil) != (tc.want == nil) {
				t.Fatalf("got %+v", got)
			}
			if got != nil && (got.IsPR != tc.want.IsPR || got.Number != tc.want.Number || got.Action != tc.want.Action || got.Body != tc.want.Body || got.User != tc.want.User || got.IssueAuthor != tc.want.IssueAuthor || got.GUID != "guid") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, kind := range []string{"issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment", "push", "status", "ping"} {
		f.Add(kind, []byte(`{"action":"opened","changes":{"base":{"ref":{"from":"x"}}}}`))
	}
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		event, err := ParseEvent(kind, "g", payload)
		if err == nil && event != nil {
			GeneralizeComment(event)
			if pr, ok := event.(*PullRequestEvent); ok {
				pr.BaseRefChanged()
			}
		}
	})
}
