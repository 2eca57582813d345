package github

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"prow/internal/forge/github/budget"
)

func TestWhatMattersLeastStopsFirst(t *testing.T) {
	reg := prometheus.NewRegistry()
	sent := 0
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		sent++
		resource, remaining := "core", "400" // of an hour, of which five minutes are over
		if strings.HasSuffix(r.URL.Path, "/graphql") {
			resource, remaining = "graphql", "4990"
		}
		code, body := 200, `{"data":{}}`
		if r.Method == http.MethodPost && resource == "core" {
			code = 201
		}
		answer(w, code, body, "X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", remaining, "X-RateLimit-Reset", "4300", "X-RateLimit-Resource", resource)
	}, func(o *ClientOptions) { o.Metrics, o.UserAgent = NewMetrics(reg), "test.part/v1" })
	ctx := t.Context()
	if _, err := c.GetRepo(ctx, "O", "r"); err != nil {
		t.Fatal(err)
	}
	sent = 0
	var refused *budget.RefusedError
	for sentence, tc := range map[string]struct {
		err  error
		want bool
	}{
		"a comment":                             {c.CreateComment(ctx, "o", "r", 1, "x"), false},
		"a label":                               {c.AddLabels(ctx, "o", "r", 1, "x"), false},
		"a status":                              {c.CreateStatus(ctx, "o", "r", "s", Status{}), true},
		"a read":                                {drop(c.GetRepo(ctx, "o", "r")), true},
		"a read in the background":              {drop(c.GetRepo(WithPriority(ctx, PriorityBackground), "o", "r")), false},
		"a merge":                               {c.Merge(ctx, "o", "r", 1, MergeDetails{}), true},
		"a comment that a merge waits for":      {c.CreateComment(WithPriority(ctx, PriorityMerging), "o", "r", 1, "x"), true},
		"a question of another budget":          {c.Query(WithPriority(ctx, PriorityBackground), "o", "{ a }", nil, nil), true},
		"another question of the other budget":  {c.Query(WithPriority(ctx, PriorityBackground), "o", "{ a }", nil, nil), true},
		"a question about the app, which knows": {drop(c.GetApp(WithPriority(ctx, PriorityBackground))), true},
	} {
		if (tc.err == nil) != tc.want || !tc.want && !errors.As(tc.err, &refused) {
			t.Errorf("%s: %v", sentence, tc.err)
		}
	}
	if sent != 7 {
		t.Errorf("%d were sent", sent)
	}
	got, err := testutil.GatherAndCount(reg, "github_request_duration", "github_token_usage", "github_token_reset", "github_budget_forecast_remaining", "github_budget_requests_total")
	if err != nil || got < 8 {
		t.Errorf("%d series, %v", got, err)
	}
	m := c.http.Transport.(*retryTransport).next.(*authTransport).next.(*meter).metrics
	if n := testutil.ToFloat64(m.requests.WithLabelValues("test.part", "o", classTalk, "talk", "refused")); n != 2 {
		t.Errorf("%v refusals of talk are counted", n)
	}
	problems, err := testutil.GatherAndLint(reg, "github_budget_forecast_remaining")
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestClasses(t *testing.T) {
	for _, tc := range []struct{ method, path, want string }{
		{"PUT", "/repos/o/r/pulls/1/merge", classMerge},
		{"PUT", "/repos/o/r/pulls/1/update-branch", classMerge},
		{"POST", "/repos/o/r/statuses/abc", classStatus},
		{"PATCH", "/repos/o/r/check-runs/1", classStatus},
		{"POST", "/repos/o/r/actions/runs/1/rerun", classStatus},
		{"DELETE", "/repos/o/r/issues/1/labels/a", classTalk},
		{"POST", "/repos/o/r/pulls/1/requested_reviewers", classTalk},
		{"PUT", "/orgs/o/memberships/u", classChange},
		{"GET", "/repos/o/r/pulls/1/merge", classRead},
		{"POST", "/graphql", classGraphQL},
		{"GET", "/search/issues", classSearch},
		{"POST", "/app/installations/1/access_tokens", classApp},
		{"GET", "/repos/o/r/installation", classApp},
	} {
		if got := classOf(tc.method, tc.path); got != tc.want {
			t.Errorf("%s %s is %s, want %s", tc.method, tc.path, got, tc.want)
		}
	}
}

func TestTheAccountOfATokenIsShown(t *testing.T) {
	reg := prometheus.NewRegistry()
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, `{"login":"robot","email":"r@x"}`) }, func(o *ClientOptions) { o.Metrics = NewMetrics(reg) })
	if _, err := c.BotUser(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("Bearer tok"))
	want := "# HELP github_user_info 1 for the account of each token.\n# TYPE github_user_info gauge\ngithub_user_info{email=\"r@x\",login=\"robot\",token_hash=\"" + hex.EncodeToString(sum[:]) + "\"} 1\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "github_user_info"); err != nil {
		t.Error(err)
	}
}

func TestCollaboratorsFromTheList(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/collaborators") {
			t.Errorf("asked for %s", r.URL)
		}
		answer(w, 200, `[{"login":"Alice"}]`)
	}, func(o *ClientOptions) { o.ListCollaborators = true })
	for login, want := range map[string]bool{"alice": true, "bob": false} {
		if got, err := c.IsCollaborator(t.Context(), "o", "r", login); got != want || err != nil {
			t.Errorf("%s: %v, %v", login, got, err)
		}
	}
}

// BenchmarkMeter is what accounting for a request costs, without the request.
func BenchmarkMeter(b *testing.B) {
	header := http.Header{"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"4000"}, "X-Ratelimit-Reset": {"99999999999"}, "X-Ratelimit-Resource": {"core"}}
	c := benchForge(b, nil, func(o *ClientOptions) {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
		o.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: header}, nil
		})
	})
	m := c.http.Transport.(*retryTransport).next.(*authTransport).next.(*meter)
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://forge/repos/o/r/issues/1/comments", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
