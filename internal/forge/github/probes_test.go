package github

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"prow/internal/secret"
)

// tokenFile is a client as a component builds it, with a token from a file.
func tokenFile(t *testing.T, token string, handler http.HandlerFunc, dryRun bool) (c *Client, file string, secrets *secret.Store) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	file = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var f Flags
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.Bind(fs)
	if err := fs.Parse([]string{"--github-endpoint=" + server.URL, "--github-token-path=" + file}); err != nil {
		t.Fatal(err)
	}
	if err := f.Validate(); err != nil {
		t.Fatal(err)
	}
	secrets = &secret.Store{}
	c, err := f.Client("component/v20260101-abc", dryRun, secrets, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c, file, secrets
}

func TestProbe01WhatARequestCarries(t *testing.T) {
	var got http.Header
	c, _, _ := tokenFile(t, "tok", func(w http.ResponseWriter, r *http.Request) { got = r.Header; answer(w, 200, `{}`) }, false)
	if _, err := c.For("plugin").GetRepo(t.Context(), "o", "r"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer tok", "Accept": "application/vnd.github.v3+json", "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "component.plugin/v20260101-abc",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	req, err := c.newRequest(t.Context(), request{method: http.MethodGet, path: "repos/o/r"})
	if err != nil || !slices.Contains(slices.Collect(maps.Keys(req.Header)), "X-GitHub-Api-Version") || req.Header.Get("User-Agent") != "component/v20260101-abc" {
		t.Errorf("the field is to be written with these capitals, and the parent's agent stays: %v, %v", req.Header, err)
	}
}

func TestProbe02ATokenThatIsReplaced(t *testing.T) {
	var got string
	c, file, secrets := tokenFile(t, "old", func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		answer(w, 200, `{}`)
	}, false)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- secrets.Run(ctx, slog.New(slog.DiscardHandler)) }()
	defer func() { cancel(); <-done }()
	read := func() string {
		if _, err := c.GetRepo(t.Context(), "o", "r"); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if read() != "Bearer old" {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(file, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(30 * time.Second)
	for read() != "Bearer new" {
		select {
		case <-deadline:
			t.Fatal("the new token is not used")
		default:
		}
	}
}

func TestProbe03ErrorsOfTheServer(t *testing.T) {
	for sentence, tc := range map[string]struct {
		replies []int
		calls   int
		want    string
	}{
		"two, then an answer": {[]int{500, 500, 200}, 3, ""},
		"always":              {[]int{500}, 8, "status code 500 not one of"},
	} {
		calls := 0
		c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
			answer(w, tc.replies[min(calls, len(tc.replies)-1)], `{}`)
			calls++
		})
		_, err := c.GetRepo(t.Context(), "o", "r")
		if calls != tc.calls || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %d calls, %v", sentence, calls, err)
		}
	}
}

func TestProbe04WhatIsNotThere(t *testing.T) {
	calls := 0
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { calls++; answer(w, 404, `{"message":"Not Found"}`) })
	if _, err := c.GetPullRequest(t.Context(), "o", "r", 1); !IsNotFound(err) || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func limited(t *testing.T, headers ...string) (calls int, waits []time.Duration, err error) {
	t.Helper()
	c, slept := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 1 {
			answer(w, 403, `{}`, headers...)
			return
		}
		answer(w, 200, `{}`)
	})
	_, err = c.GetRepo(t.Context(), "o", "r")
	return calls, *slept, err
}

func TestProbe05AnExhaustedLimit(t *testing.T) {
	// The clock of the test stands at 1000.
	if calls, waits, err := limited(t, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1001"); calls != 2 || !slices.Equal(waits, []time.Duration{2 * time.Second}) || err != nil {
		t.Errorf("%d calls, waits %v, %v", calls, waits, err)
	}
	if calls, waits, err := limited(t, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "4600"); calls != 1 || waits != nil || err == nil || !strings.Contains(err.Error(), "1h0m1s is longer than the limit of 2m0s") {
		t.Errorf("%d calls, waits %v, %v", calls, waits, err)
	}
}

func TestProbe06ASecondaryLimit(t *testing.T) {
	if calls, waits, err := limited(t, "Retry-After", "1"); calls != 2 || !slices.Equal(waits, []time.Duration{2 * time.Second}) || err != nil {
		t.Errorf("%d calls, waits %v, %v", calls, waits, err)
	}
	if calls, waits, err := limited(t, "Retry-After", "100000"); calls != 1 || waits != nil || err == nil {
		t.Errorf("%d calls, waits %v, %v", calls, waits, err)
	}
	if calls, _, err := limited(t, "Retry-After", "-5"); calls != 1 || err == nil {
		t.Errorf("a time that is none: %d calls, %v", calls, err)
	}
}

func TestProbe07MissingScopes(t *testing.T) {
	calls, _, err := limited(t, "X-Accepted-OAuth-Scopes", "admin:org", "X-OAuth-Scopes", "repo")
	if calls != 1 || err == nil || !strings.Contains(err.Error(), "admin:org") || !strings.Contains(err.Error(), "repo") {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestProbe08TheEndpointsTakeTurns(t *testing.T) {
	var asked []string
	first := true
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 200, `{}`) }, func(o *ClientOptions) {
		o.Endpoints = []string{"http://first.example", "http://second.example/api/v3"}
		o.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			if first = !first; !first {
				return nil, errors.New("connection refused")
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
		})
	})
	for range 2 {
		if _, err := c.GetRepo(t.Context(), "o", "r"); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"http://first.example/repos/o/r", "http://second.example/api/v3/repos/o/r"}
	if !slices.Equal(asked, append(want, want...)) {
		t.Errorf("asked %v", asked)
	}
}

// pages lists labels of which the first page answers with a link, and returns the
// URIs that were asked for.
func pages(t *testing.T, base, link string, redirect map[string]string) (asked []string, got []Label) {
	t.Helper()
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if to := redirect[r.URL.Path]; to != "" {
			http.Redirect(w, r, to+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		if r.URL.Query().Get("page") == "2" {
			answer(w, 200, `[{"name":"b"}]`)
			return
		}
		answer(w, 200, `[{"name":"a"}]`, "Link", strings.ReplaceAll(link, "HOST", r.Host))
	}, func(o *ClientOptions) { o.Endpoints[0] = strings.TrimSuffix(o.Endpoints[0], "/api/v3") + base })
	got, err := c.GetRepoLabels(t.Context(), "o", "r")
	if err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	return asked, got
}

func TestProbe09PagesComeFromTheEndpoint(t *testing.T) {
	asked, _ := pages(t, "", `<http://other-host/x/repos/o/r/labels?page=2>; rel="next"`, nil)
	if want := []string{"/repos/o/r/labels?per_page=100", "/repos/o/r/labels?page=2"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestProbe10TheBaseIsPutInFrontOnce(t *testing.T) {
	asked, _ := pages(t, "/api/v3", `<http://HOST/api/v3/repos/o/r/labels?page=2>; rel="next"`, nil)
	if want := []string{"/api/v3/repos/o/r/labels?per_page=100", "/api/v3/repos/o/r/labels?page=2"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	asked, _ = pages(t, "/api/v3", `<http://HOST/api/v3/repositories/7/labels?page=2>; rel="next"`, map[string]string{"/api/v3/repos/o/r/labels": "/api/v3/repositories/7/labels"})
	if want := []string{"/api/v3/repos/o/r/labels?per_page=100", "/api/v3/repositories/7/labels?per_page=100", "/api/v3/repositories/7/labels?page=2"}; !slices.Equal(asked, want) {
		t.Errorf("of a repository that was renamed: asked %v, want %v", asked, want)
	}
}

func TestProbe11ALabelThatIsNotThere(t *testing.T) {
	for message, want := range map[string]bool{"Label does not exist": true, "Not Found": false} {
		c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 404, `{"message":"`+message+`"}`) })
		if err := c.RemoveLabel(t.Context(), "o", "r", 1, "l"); (err == nil) != want {
			t.Errorf("%s: %v", message, err)
		}
	}
}

func TestProbe12SomebodyWhoCannotBeAssigned(t *testing.T) {
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 201, `{"assignees":[{"login":"a"}]}`) })
	var missing *MissingUsersError
	if err := c.AssignIssue(t.Context(), "o", "r", 1, []string{"@A", "b"}); !errors.As(err, &missing) || !slices.Equal(missing.Users, []string{"b"}) {
		t.Errorf("got %v", err)
	}
}

func TestProbe13MergesThatAreRefused(t *testing.T) {
	for text, tc := range map[string]struct {
		status int
		want   error
	}{
		"Base branch was modified. Review and try the merge again.": {405, ErrBaseModified},
		"Head branch was modified. Review and try the merge again.": {409, ErrModifiedHead},
	} {
		c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { answer(w, tc.status, `{"message":"`+text+`"}`) })
		if err := c.Merge(t.Context(), "o", "r", 1, MergeDetails{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestProbe19DryRunSendsOnlyReads(t *testing.T) {
	var sent []string
	c, _, _ := tokenFile(t, "tok", func(w http.ResponseWriter, r *http.Request) { sent = append(sent, r.Method); answer(w, 200, `[]`) }, true)
	if err := c.CreateComment(t.Context(), "o", "r", 1, "x"); err != nil {
		t.Error(err)
	}
	if _, err := c.ListIssueComments(t.Context(), "o", "r", 1); err != nil || !slices.Equal(sent, []string{"GET"}) {
		t.Errorf("sent %v, %v", sent, err)
	}
}

func TestProbe21ASecretInAComment(t *testing.T) {
	var got, hook string
	c, _, _ := tokenFile(t, "ghp_verysecret", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/hooks") {
			hook = string(body)
		} else {
			got = string(body)
		}
		answer(w, 201, `{}`)
	}, false)
	if err := c.CreateComment(t.Context(), "o", "r", 1, "the token is ghp_verysecret!"); err != nil || got != `{"body":"the token is XXXXXXXXXXXXXX!"}` {
		t.Errorf("sent %s, %v", got, err)
	}
	if _, err := c.CreateOrgHook(t.Context(), "o", HookRequest{Config: &HookConfig{Secret: "ghp_verysecret"}}); err != nil || !strings.Contains(hook, "ghp_verysecret") {
		t.Errorf("the secret of a webhook has to arrive: %s, %v", hook, err)
	}
}

func TestHostileForges(t *testing.T) {
	var calls atomic.Int32
	huge := strings.Repeat("x", 1<<20)
	for sentence, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
		calls   int
	}{
		"pages without end": {func(w http.ResponseWriter, r *http.Request) {
			answer(w, 200, `[]`, "Link", `<http://x/?page=`+strconv.Itoa(int(calls.Load()))+`>; rel="next"`)
		}, "more than 1000 pages", 1000},
		"pages that go round": {func(w http.ResponseWriter, r *http.Request) {
			answer(w, 200, `[]`, "Link", `<http://x/?page=2>; rel="next"`)
		}, "go round in circles", 2},
		"redirects without end": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "more than 10 redirects", 10},
		"a body without end": {func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < 100; i++ {
				if _, err := io.WriteString(w, huge); err != nil {
					return
				}
			}
		}, "larger than 67108864 bytes", 1},
		"a body that drips": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "[")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "deadline exceeded", 1},
		"a body that breaks off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "[")
		}, "unexpected EOF", 1},
		"something else than JSON":    {func(w http.ResponseWriter, r *http.Request) { answer(w, 200, "<html>") }, "decode page", 1},
		"an object instead of a list": {func(w http.ResponseWriter, r *http.Request) { answer(w, 200, `{"a":1}`) }, "decode page", 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			calls.Store(0)
			c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); tc.handler(w, r) }, func(o *ClientOptions) { o.RequestTimeout = 500 * time.Millisecond })
			if strings.Contains(sentence, "without end") {
				c.http.Transport.(*retryTransport).timeout = time.Minute
			}
			_, err := c.GetRepoLabels(t.Context(), "o", "r")
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "repos/o/r/labels") || int(calls.Load()) != tc.calls {
				t.Errorf("%d calls, %v", calls.Load(), err)
			}
		})
	}
}

// A change that is redirected must neither become a read nor carry its text away.
func TestChangesAreNotRedirectedAway(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host got %s %s", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	status, to := 0, ""
	var asked []string
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		if strings.Contains(r.URL.Path, "/repositories/") {
			answer(w, 201, `{}`)
			return
		}
		w.Header().Set("Location", to)
		w.WriteHeader(status)
	})
	for _, status = range []int{301, 302, 307, 308} {
		to = elsewhere.URL + "/x"
		if err := c.CreateComment(t.Context(), "o", "r", 1, "x"); StatusCode(err) != status {
			t.Errorf("%d to another host: %v", status, err)
		}
	}
	asked, status, to = nil, 307, "/api/v3/repositories/7/issues/1/comments"
	if err := c.CreateComment(t.Context(), "o", "r", 1, "x"); err != nil || !slices.Equal(asked, []string{"POST /api/v3/repos/o/r/issues/1/comments", "POST /api/v3/repositories/7/issues/1/comments"}) {
		t.Errorf("asked %v, %v", asked, err)
	}
	asked, status = nil, 301
	if err := c.CreateComment(t.Context(), "o", "r", 1, "x"); StatusCode(err) != 301 || len(asked) != 1 {
		t.Errorf("a change must not become a read: asked %v, %v", asked, err)
	}
}

func FuzzNextQuery(f *testing.F) {
	f.Add(`<https://api.github.com/repositories/1/labels?page=2&per_page=100>; rel="next", <https://x>; rel="last"`)
	f.Add(`<?page=%zz>; rel="next"`)
	f.Fuzz(func(t *testing.T, link string) {
		query := nextQuery(link)
		if query != nil && !strings.Contains(link, "next") {
			t.Errorf("%q has no next page, but %v", link, query)
		}
		// What goes into a URL must come out of it.
		if strings.ContainsAny(query.Encode(), " \n#") {
			t.Errorf("%q gives %q", link, query.Encode())
		}
	})
}

func FuzzEndpoints(f *testing.F) {
	f.Add("repos/o/r/labels/a%2Fb", 1)
	f.Add("../x", 0)
	f.Fuzz(func(t *testing.T, name string, turn int) {
		c, err := NewClient(ClientOptions{Endpoints: []string{"http://first.example/proxy", "https://second.example/api/v3"}})
		if err != nil {
			t.Fatal(err)
		}
		p := repoPath("o", "r", "labels", name)
		if checkPath(p) != nil {
			return
		}
		req, err := c.newRequest(t.Context(), request{method: http.MethodGet, path: p})
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		out := req.Clone(t.Context())
		c.http.Transport.(*retryTransport).direct(out, max(turn, -turn, 0))
		want := "/proxy/" + p
		if out.URL.Host == "second.example" {
			want = "/api/v3/" + p
		}
		if got := out.URL.EscapedPath(); got != want || out.URL.RawQuery != "" || out.URL.Fragment != "" {
			t.Errorf("%q becomes %s, want %s", name, out.URL, want)
		}
	})
}

func FuzzRequestError(f *testing.F) {
	f.Add(422, []byte(`{"message":"m","errors":[{"code":"c"},"text",7]}`))
	f.Add(422, []byte(`{"message":"m","errors":"text"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := newRequestError(status, []int{200}, body)
		if len(e.Error()) > maxErrorBody+100 {
			t.Errorf("an error of %d bytes", len(e.Error()))
		}
		IsNotFound(e)
	})
}
