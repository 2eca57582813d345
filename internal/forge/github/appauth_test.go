package github

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"prow/internal/git"
	"prow/internal/secret"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// appForge is a forge in which the app "robot" is installed for some orgs.
type appForge struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	tokens   int
	life     time.Duration
	orgs     []string
	revoked  map[string]bool
}

func newAppForge(t *testing.T, base string, orgs ...string) *appForge {
	f := &appForge{life: time.Hour, orgs: orgs, revoked: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.requests = append(f.requests, r)
		path := strings.TrimPrefix(r.URL.Path, base)
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if path == "/app" || strings.HasPrefix(path, "/app/") {
			if strings.Count(token, ".") != 2 {
				http.Error(w, `{"message":"not signed"}`, http.StatusUnauthorized)
				return
			}
		} else if !strings.HasPrefix(token, "ghs_") || f.revoked[token] {
			http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
			return
		}
		switch {
		case path == "/app":
			_, _ = fmt.Fprint(w, `{"slug":"robot","name":"The Robot"}`)
		case path == "/app/installations":
			var list []Installation
			for i, org := range f.orgs {
				list = append(list, Installation{ID: int64(i + 1), Account: User{Login: org}})
			}
			_ = json.NewEncoder(w).Encode(list)
		case strings.HasSuffix(path, "/access_tokens"):
			f.tokens++
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"token":"ghs_%d","expires_at":%q}`, f.tokens, time.Now().Add(f.life).Format(time.RFC3339))
		default:
			_, _ = fmt.Fprint(w, `{}`)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *appForge) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, r := range f.requests {
		out = append(out, r.Method+" "+r.URL.Path)
	}
	return out
}

func (f *appForge) client(t *testing.T, base string) *Client {
	t.Helper()
	c, err := NewClient(ClientOptions{
		Endpoints: []string{f.URL + base}, GraphQLEndpoint: f.URL + "/graphql", UserAgent: "test/v1",
		App:   NewAppAuth("42", func() (*rsa.PrivateKey, error) { return testKey(), nil }, nil),
		Retry: RetryPolicy{Sleep: func(context.Context, time.Duration) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProbe14TheFirstRequestOfAnApp(t *testing.T) {
	for _, base := range []string{"", "/api/v3"} {
		f := newAppForge(t, base, "org")
		if err := f.client(t, base).get(t.Context(), "orgs/org", nil); err != nil {
			t.Fatal(err)
		}
		want := []string{"GET " + base + "/app", "GET " + base + "/app/installations", "POST " + base + "/app/installations/1/access_tokens", "GET " + base + "/orgs/org"}
		if got := f.asked(); !slices.Equal(got, want) {
			t.Fatalf("requests %v, want %v", got, want)
		}
		for _, r := range f.requests[:3] {
			var claims struct{ Iat, Exp int64 }
			raw, err := base64.RawURLEncoding.DecodeString(strings.Split(r.Header.Get("Authorization"), ".")[1])
			if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Exp-claims.Iat != 540 {
				t.Errorf("%s: claims %s, %v", r.URL.Path, raw, err)
			}
		}
		for i, budget := range []string{"42", "robot", "robot", "robot - org"} {
			r := f.requests[i]
			if _, err := time.Parse(time.RFC3339, r.Header.Get(tokenExpiryField)); err != nil || r.Header.Get(tokenBudgetField) != budget {
				t.Errorf("%s: expiry %q, budget %q, want %q", r.URL.Path, r.Header.Get(tokenExpiryField), r.Header.Get(tokenBudgetField), budget)
			}
		}
	}
}

func TestProbe15OneTokenForManyRequests(t *testing.T) {
	f := newAppForge(t, "", "Org")
	c := f.client(t, "")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := c.get(t.Context(), "repos/oRG/repo", nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if f.tokens != 1 {
		t.Errorf("%d tokens were asked for", f.tokens)
	}
}

func TestProbe16AnAppThatIsNotInstalled(t *testing.T) {
	f := newAppForge(t, "", "org")
	c := f.client(t, "")
	err := c.get(t.Context(), "orgs/other", nil)
	if err == nil || !strings.Contains(err.Error(), "other") || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("got %v", err)
	}
	if slices.Contains(f.asked(), "GET /orgs/other") {
		t.Error("the request was sent")
	}
	// Once it is installed, it is found.
	f.mu.Lock()
	f.orgs = append(f.orgs, "other")
	f.mu.Unlock()
	if err := c.get(t.Context(), "orgs/other", nil); err != nil {
		t.Error(err)
	}
}

func TestARequestAboutNoOrgIsNotSent(t *testing.T) {
	f := newAppForge(t, "", "org")
	c := f.client(t, "")
	if err := c.get(t.Context(), "search/issues", nil); err == nil || !strings.Contains(err.Error(), "names no org") || len(f.asked()) > 0 {
		t.Errorf("%v, %v", err, f.asked())
	}
	if err := c.get(WithOrg(t.Context(), "org"), "search/issues", nil); err != nil {
		t.Error(err)
	}
	if err := c.Query(t.Context(), "org", "{x}", nil, &struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestTokensThatEndAreReplaced(t *testing.T) {
	f := newAppForge(t, "", "org")
	f.life = 30 * time.Second // less than what must be left
	c := f.client(t, "")
	for range 2 {
		if err := c.get(t.Context(), "orgs/org", nil); err != nil {
			t.Fatal(err)
		}
	}
	if f.tokens != 2 {
		t.Errorf("%d tokens for two requests, each beyond the end of the last", f.tokens)
	}
	f.life = time.Hour
	_ = c.get(t.Context(), "orgs/org", nil)
	f.mu.Lock()
	f.revoked["ghs_3"] = true
	f.mu.Unlock()
	if err := c.get(t.Context(), "orgs/org", nil); err == nil {
		t.Error("a revoked token was accepted")
	}
	if err := c.get(t.Context(), "orgs/org", nil); err != nil || f.tokens != 4 {
		t.Errorf("after a revoked token: %v, %d tokens", err, f.tokens)
	}
}

func TestTheBotOfAnApp(t *testing.T) {
	f := newAppForge(t, "", "org")
	c := f.client(t, "")
	bot, err := c.BotUser(t.Context())
	if err != nil || bot.Login != "robot" || bot.Name != "The Robot" || bot.Email != "robot@users.noreply.github.com" {
		t.Errorf("%+v, %v", bot, err)
	}
	is, err := c.BotUserChecker(t.Context())
	if err != nil || !is("robot[bot]") || !is("robot") || is("robots") {
		t.Errorf("%v", err)
	}
}

// Where a repository that was renamed is, its path names no org; the credential
// is that of the org all the same.
func TestAnAppFollowsARenamedRepository(t *testing.T) {
	f := newAppForge(t, "", "org")
	c, err := NewClient(ClientOptions{
		Endpoints: []string{f.URL}, UserAgent: "test/v1", App: NewAppAuth("42", func() (*rsa.PrivateKey, error) { return testKey(), nil }, nil),
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/repos/org/old" {
				return &http.Response{StatusCode: http.StatusMovedPermanently, Header: http.Header{"Location": {"/repositories/7"}}, Body: http.NoBody, Request: r}, nil
			}
			return http.DefaultTransport.RoundTrip(r)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetRepo(t.Context(), "org", "old"); err != nil {
		t.Error(err)
	}
	if asked := f.asked(); asked[len(asked)-1] != "GET /repositories/7" {
		t.Errorf("asked %v", asked)
	}
}

func TestNoCredentialFollowsARedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("another host got %q", r.Header.Get("Authorization"))
		}
		_, _ = fmt.Fprint(w, "{}")
	}))
	defer elsewhere.Close()
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/app":
			_, _ = fmt.Fprint(w, `{"slug":"robot"}`)
		case r.URL.Path == "/app/installations":
			_, _ = fmt.Fprint(w, `[{"id":1,"account":{"login":"org"}}]`)
		case strings.HasPrefix(r.URL.Path, "/app/"):
			_, _ = fmt.Fprintf(w, `{"token":"ghs_1","expires_at":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
		default:
			http.Redirect(w, r, elsewhere.URL+"/orgs/org", http.StatusFound)
		}
	}))
	defer redirect.Close()
	for name, o := range map[string]ClientOptions{
		"with a token": {Token: func() (string, error) { return "secret", nil }},
		"as an app":    {App: NewAppAuth("1", func() (*rsa.PrivateKey, error) { return testKey(), nil }, nil)},
	} {
		o.Endpoints, o.UserAgent = []string{redirect.URL}, "test/v1"
		c, err := NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.get(t.Context(), "orgs/org", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProbe20FlagsThatDoNotFit(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey())}), 0o600); err != nil {
		t.Fatal(err)
	}
	app := []string{"--github-app-id=1", "--github-app-private-key-path=" + key}
	for sentence, c := range map[string]struct {
		args []string
		want string
	}{
		"an app":                             {app, ""},
		"an app with limits":                 {append(app, "--github-throttle-org=k:20:10", "--github-hourly-tokens=5", "--github-allowed-burst=5"), ""},
		"a burst beyond the rate of an org":  {append(app, "--github-throttle-org=k:10:20"), "-github-throttle-org=k:10:20"},
		"too many parts":                     {append(app, "--github-throttle-org=kubernetes:10:10:10"), "-github-throttle-org=kubernetes:10:10:10 is not in org:hourlyTokens:burst format"},
		"no number":                          {append(app, "--github-throttle-org=k:x:1"), "hourlyTokens is not an int"},
		"a burst of nothing":                 {append(app, "--github-throttle-org=k:1:0"), "burst must be > 0"},
		"an org twice":                       {append(app, "--github-throttle-org=kubernetes:2:1", "--github-throttle-org=kubernetes:3:1"), "got multiple -github-throttle-org for the kubernetes org"},
		"a limit of an org without an app":   {[]string{"--github-throttle-org=k:2:1"}, "--github-app-id"},
		"token and app":                      {append(app, "--github-token-path=x"), "excludes"},
		"an app without key":                 {[]string{"--github-app-id=1"}, "go together"},
		"a key without app":                  {[]string{"--github-app-private-key-path=x"}, "go together"},
		"a rate without burst":               {[]string{"--github-hourly-tokens=5"}, "--github-allowed-burst"},
		"a burst without rate switches off":  {[]string{"--github-allowed-burst=5"}, ""},
		"a burst beyond the rate":            {[]string{"--github-hourly-tokens=5", "--github-allowed-burst=6"}, "must not be larger"},
		"an endpoint that is no URL":         {[]string{"--github-endpoint=x y"}, "--github-endpoint"},
		"an empty endpoint is the usual one": {[]string{"--github-endpoint="}, ""},
	} {
		var f Flags
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		f.Bind(fs)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		err := f.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", sentence, err, c.want)
		}
	}
}

func TestGitRemotesOfAnApp(t *testing.T) {
	forge := newAppForge(t, "", "org")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey())}), 0o600); err != nil {
		t.Fatal(err)
	}
	f := Flags{AppID: "1", AppKeyPath: key, Endpoints: []string{forge.URL}, Host: "github.example.com"}
	remotes, err := f.GitRemotes(new(secret.Store))
	if err != nil {
		t.Fatal(err)
	}
	remote, err := remotes(t.Context(), "org", "repo")
	if err != nil || remote.URL != "https://github.example.com/org/repo" {
		t.Fatalf("%+v, %v", remote, err)
	}
	want := base64.StdEncoding.EncodeToString([]byte("x-access-token:ghs_1"))
	if !slices.ContainsFunc(remote.Settings, func(s git.Setting) bool { return strings.Contains(s.Value, want) }) {
		t.Errorf("settings %v", remote.Settings)
	}
	if _, err := remotes(t.Context(), "other", "repo"); err == nil {
		t.Error("an org without installation has no remote")
	}
}

func TestProbe17ABurstAndThenAConstantRate(t *testing.T) {
	start := time.Unix(0, 0)
	b := newBucket("*", Rate{3600, 2}, start)
	for i, want := range []time.Duration{0, 0, 3 * time.Second, 4 * time.Second, 5 * time.Second} {
		if got, _ := b.take(start); got != want {
			t.Errorf("request %d waits %s, want %s", i+1, got, want)
		}
	}
}

func TestProbe18FreeAnswersAreNotThrottled(t *testing.T) {
	general, org := 0, 0
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		if orgOf(r.Context(), r.URL.Path) == "k" {
			org++
		} else {
			general++
		}
		return &http.Response{Header: http.Header{cacheMode: {"REVALIDATED"}}}, nil
	})
	transport := throttled(next, Rate{PerHour: 1, Burst: 1}, map[string]Rate{"K": {PerHour: 1, Burst: 1}})
	for range 50 {
		for _, path := range []string{"/repos/k/r", "/repos/o/r"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transport.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}
	}
	if general != 50 || org != 50 {
		t.Errorf("%d and %d requests", general, org)
	}
}
