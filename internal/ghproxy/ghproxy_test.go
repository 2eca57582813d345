package ghproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/spf13/pflag"

	"prow/internal/secret"
	"prow/internal/service"
)

// github is what the proxy asks: a handler that remembers its requests.
type github struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func (g *github) seen() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*http.Request(nil), g.requests...)
}

func newGitHub(t testing.TB, handler http.HandlerFunc) *github {
	t.Helper()
	g := &github{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests = append(g.requests, r.Clone(r.Context()))
		g.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// options are those of the command line.
func options(t testing.TB, args ...string) *Options {
	t.Helper()
	o := &Options{}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	return o
}

type testProxy struct {
	*httptest.Server
	proxy    *Proxy
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func start(t testing.TB, upstream string, args ...string) *testProxy {
	t.Helper()
	p := &testProxy{registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	log := slog.New(slog.NewJSONHandler(&locked{w: p.log}, nil))
	rt := service.NewRuntime(Name, log, new(slog.LevelVar), p.registry, new(secret.Store))
	o := options(t, append([]string{"--upstream=" + upstream}, args...)...)
	var err error
	if p.proxy, err = New(t.Context(), rt, o); err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewServer(p.proxy)
	t.Cleanup(p.Close)
	return p
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

type answer struct {
	*http.Response
	body string
}

// ask sends a request; header fields follow in pairs.
func (p *testProxy) ask(t testing.TB, method, path string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return answer{Response: &http.Response{Header: http.Header{}}}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{resp, string(body)}
}

func (a answer) expect(t testing.TB, what string, status int, mode, body string) {
	t.Helper()
	if a.StatusCode != status || a.Header.Get("X-Cache-Mode") != mode || (body != "" && a.body != body) {
		t.Errorf("%s: %d %s %q, want %d %s %q", what, a.StatusCode, a.Header.Get("X-Cache-Mode"), a.body, status, mode, body)
	}
}

// versioned serves a content whose tag is its version.
type versioned struct{ content atomic.Value }

func (v *versioned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content := v.content.Load().(string)
	tag := `"` + content + `"`
	w.Header().Set("Cache-Control", "private, max-age=60")
	w.Header().Set("Vary", "Accept, Authorization")
	w.Header().Set("Etag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = io.WriteString(w, content)
}

// onEachStore runs a test with a proxy on each kind of store, before a GitHub that
// has one content.
func onEachStore(t *testing.T, test func(t *testing.T, p *testProxy, g *github, v *versioned)) {
	t.Helper()
	for name, args := range map[string][]string{
		"memory": nil,
		"disk":   {"--cache-dir=" + t.TempDir(), "--cache-sizeGB=1"},
		"legacy": {"--cache-dir=" + t.TempDir(), "--cache-sizeGB=1", "--legacy-disable-disk-cache-partitions-by-auth-header"},
		"redis":  redisArgs(t),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "redis" && args == nil {
				t.Skip("redis-server is not installed")
			}
			v := &versioned{}
			v.content.Store("one")
			g := newGitHub(t, v.ServeHTTP)
			test(t, start(t, g.URL, args...), g, v)
		})
	}
}

func TestProbe26ARepeatedReadIsRevalidated(t *testing.T) {
	onEachStore(t, func(t *testing.T, p *testProxy, g *github, _ *versioned) {
		p.ask(t, "GET", "/repos/o/r", "Authorization", "token a").expect(t, "first", 200, modeMiss, "one")
		second := p.ask(t, "GET", "/repos/o/r", "Authorization", "token a")
		second.expect(t, "second", 200, modeRevalidated, "one")
		if second.Header.Get("X-From-Cache") != "1" {
			t.Error("the second answer does not say that it was stored")
		}
		if asked := g.seen(); len(asked) != 2 || asked[1].Header.Get("If-None-Match") != `"one"` {
			t.Errorf("GitHub saw %d requests", len(asked))
		}
		for field := range second.Header {
			if strings.HasPrefix(field, "X-Varied") {
				t.Errorf("the answer has the field %s", field)
			}
		}
	})
}

func TestProbe27WhatHasChangedReplacesWhatWasStored(t *testing.T) {
	onEachStore(t, func(t *testing.T, p *testProxy, _ *github, v *versioned) {
		ask := func() answer { return p.ask(t, "GET", "/repos/o/r", "Authorization", "token a") }
		ask().expect(t, "first", 200, modeMiss, "one")
		ask().expect(t, "second", 200, modeRevalidated, "one")
		v.content.Store("two")
		ask().expect(t, "changed", 200, modeChanged, "two")
		ask().expect(t, "then", 200, modeRevalidated, "two")
		if got := testutil.ToFloat64(p.proxy.metrics.responses.WithLabelValues(modeRevalidated, "/repos/:owner/:repo", "Go-http-client", hashOf("token a"))); got != 2 {
			t.Errorf("%v revalidated answers are counted", got)
		}
	})
}

// The content may be kept for a minute, says versioned, and is asked about all the same.
func TestProbe32GitHubsOwnAgeOfAnAnswerDoesNotCount(t *testing.T) {
	onEachStore(t, func(t *testing.T, p *testProxy, g *github, v *versioned) {
		p.ask(t, "GET", "/repos/o/r").expect(t, "first", 200, modeMiss, "one")
		v.content.Store("two")
		p.ask(t, "GET", "/repos/o/r").expect(t, "a moment later", 200, modeChanged, "two")
		if asked := len(g.seen()); asked != 2 {
			t.Errorf("GitHub saw %d requests", asked)
		}
	})
}

// redisArgs starts a redis; nil where it is not installed.
func redisArgs(t *testing.T) []string {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), binary, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--requirepass", "open sesame")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--redis-address=" + address, "--redis-username=default", "--redis-secret-file=" + password}
}

func TestProbe28ErrorsAreNotStored(t *testing.T) {
	found := atomic.Bool{}
	g := newGitHub(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"x"`)
		if !found.Load() {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	p := start(t, g.URL)
	found.Store(true)
	p.ask(t, "GET", "/x").expect(t, "found", 200, modeMiss, "")
	found.Store(false)
	p.ask(t, "GET", "/x").expect(t, "gone", 404, modeNoStore, "")
	p.ask(t, "GET", "/x").expect(t, "still gone", 404, modeNoStore, "")
	if seen := g.seen(); seen[1].Header.Get("If-None-Match") == "" || seen[2].Header.Get("If-None-Match") != "" {
		t.Error("the third request must be unconditional")
	}
}

func TestProbe29WritesAndGraphQLAreNeverStored(t *testing.T) {
	g := newGitHub(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Etag", `"x"`) })
	p := start(t, g.URL)
	p.ask(t, "POST", "/repos/o/r/issues").expect(t, "POST", 200, modeSkip, "")
	p.ask(t, "POST", "/graphql").expect(t, "POST to GraphQL", 200, modeSkip, "")
	p.ask(t, "GET", "/graphql").expect(t, "GET of GraphQL", 200, modeNoStore, "")
	p.ask(t, "GET", "/graphql").expect(t, "GET of GraphQL again", 200, modeNoStore, "")
}

func TestProbe30EqualRequestsInFlightBecomeOne(t *testing.T) {
	release := make(chan struct{})
	g := newGitHub(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, "for "+r.Header.Get("Authorization"))
	})
	p := start(t, g.URL, "--concurrency=100")
	modes := func(n int, token func(int) string) map[string]int {
		counts := map[string]int{}
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				a := p.ask(t, "GET", "/slow", "Authorization", token(i))
				if a.body != "for "+token(i) {
					t.Errorf("got %q", a.body)
				}
				mu.Lock()
				counts[a.Header.Get("X-Cache-Mode")]++
				mu.Unlock()
			})
		}
		group.Go(func() {
			for {
				p.proxy.coalescer.mu.Lock()
				waiting := 0
				for _, c := range p.proxy.coalescer.calls {
					waiting += c.waiters + 1
				}
				p.proxy.coalescer.mu.Unlock()
				if waiting == n {
					close(release)
					return
				}
			}
		})
		group.Wait()
		return counts
	}
	if counts := modes(10, func(int) string { return "same" }); counts[modeMiss] != 1 || counts[modeCoalesced] != 9 || len(g.seen()) != 1 {
		t.Errorf("one token: %v, %d requests", counts, len(g.seen()))
	}
	release = make(chan struct{})
	if counts := modes(10, func(i int) string { return fmt.Sprint("token ", i) }); counts[modeMiss] != 10 || len(g.seen()) != 11 {
		t.Errorf("ten tokens: %v, %d requests", counts, len(g.seen()))
	}
	release = make(chan struct{})
	if counts := modes(1000, func(int) string { return "same" }); counts[modeCoalesced] != 999 || len(g.seen()) != 12 {
		t.Errorf("a thousand: %v, %d requests", counts, len(g.seen()))
	}
}

func TestProbe31AFailureIsSharedAndCounted(t *testing.T) {
	g := newGitHub(t, nil)
	release := make(chan struct{})
	g.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests = append(g.requests, r)
		g.mu.Unlock()
		<-release
		hijacked, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = hijacked.Close()
		}
	})
	p := start(t, g.URL)
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { p.ask(t, "GET", "/x").expect(t, "failure", 502, "", "") })
	}
	for {
		p.proxy.coalescer.mu.Lock()
		waiting := 0
		for _, c := range p.proxy.coalescer.calls {
			waiting = c.waiters
		}
		p.proxy.coalescer.mu.Unlock()
		if waiting == 9 {
			break
		}
	}
	close(release)
	group.Wait()
	if got := testutil.ToFloat64(p.proxy.metrics.responses.WithLabelValues(modeError, "unmatched", "Go-http-client", hashOf("unknown"))); got != 10 || len(g.seen()) != 1 {
		t.Errorf("%v errors are counted, %d requests were sent", got, len(g.seen()))
	}
}

func TestProbe33ASlowGitHubIsAnswered503(t *testing.T) {
	g := newGitHub(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	p := start(t, g.URL, "--request-timeout=1")
	began := time.Now()
	a := p.ask(t, "GET", "/x")
	if a.StatusCode != 503 || !strings.Contains(a.body, "ghproxy") || !strings.Contains(a.body, "1s") || time.Since(began) > 5*time.Second {
		t.Errorf("%d %q after %s", a.StatusCode, a.body, time.Since(began))
	}
	p.ask(t, "POST", "/x").expect(t, "a write", 503, "", "")
}

func TestProbe34OptionsThatDoNotFit(t *testing.T) {
	for arg, want := range map[string]string{
		"--cache-dir=/x":            "go together",
		"--cache-sizeGB=3":          "go together",
		"--redis-username=x":        "--redis-secret-file",
		"--redis-secret-file=x":     "--redis-address",
		"--upstream=api.github.com": "not an http or https URL",
		"--upstream=http://[":       "--upstream",
		"--concurrency=0":           "--concurrency",
		"--throttling-time-ms=-1":   "--throttling-time-ms",
		"--request-timeout=0":       "--request-timeout",
		"--cache-memory-sizeMB=0":   "--cache-memory-sizeMB",
		"--port=70000":              "--port",
	} {
		o := &Options{}
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		o.Bind(fs)
		if err := fs.Parse([]string{arg}); err != nil {
			t.Fatal(err)
		}
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", arg, err, want)
		}
	}
}

func TestProbe35PartitionsExpire(t *testing.T) {
	v := &versioned{}
	v.content.Store("x")
	g := newGitHub(t, v.ServeHTTP)
	dir := t.TempDir()
	p := start(t, g.URL, "--cache-dir="+dir, "--cache-sizeGB=1")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p.proxy.partitions.now = func() time.Time { return now }
	p.ask(t, "GET", "/app", "Authorization", "Bearer jwt", tokenExpiry, "2026-01-01T02:00:00Z", tokenBudget, "123")
	p.ask(t, "GET", "/repos/o/r/git/refs/heads/main", "Authorization", "Bearer ghs_1", tokenExpiry, "2026-01-01T01:00:00Z", tokenBudget, "app - o")
	count := func() (data, temp int) {
		for name, n := range map[string]*int{"data": &data, "temp": &temp} {
			entries, err := os.ReadDir(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			*n = len(entries)
		}
		return data, temp
	}
	if data, temp := count(); data != 2 || temp != 2 {
		t.Errorf("%d and %d directories, want two of each", data, temp)
	}
	now = now.Add(time.Hour + time.Second)
	if err := p.proxy.partitions.prune(); err != nil {
		t.Fatal(err)
	}
	if data, temp := count(); data != 1 || temp != 1 {
		t.Errorf("%d and %d directories after pruning, want one of each", data, temp)
	}
	// The token of the next hour finds what was stored, and moves the end.
	p.ask(t, "GET", "/repos/o/r", "Authorization", "Bearer ghs_2", tokenExpiry, "2026-01-01T02:30:00Z", tokenBudget, "app - o").expect(t, "second hour", 200, modeMiss, "x")
	p.ask(t, "GET", "/repos/o/r", "Authorization", "Bearer ghs_3", tokenExpiry, "2026-01-01T03:30:00Z", tokenBudget, "app - o").expect(t, "third hour", 200, modeRevalidated, "x")
	now = time.Date(2026, 1, 1, 2, 31, 0, 0, time.UTC)
	if err := p.proxy.partitions.prune(); err != nil {
		t.Fatal(err)
	}
	if data, _ := count(); data != 1 {
		t.Errorf("%d directories, want that of the installation", data)
	}
}

func TestProbe36WritesAreSpaced(t *testing.T) {
	var mu sync.Mutex
	var times []time.Time
	g := newGitHub(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		times = append(times, time.Now())
		mu.Unlock()
	})
	p := start(t, g.URL, "--throttling-time-ms=200", "--get-throttling-time-ms=50")
	for method, spacing := range map[string]time.Duration{"POST": 200 * time.Millisecond, "GET": 50 * time.Millisecond} {
		times = nil
		var group sync.WaitGroup
		for i := range 5 {
			group.Go(func() { p.ask(t, method, fmt.Sprint("/x/", i), "Authorization", method) })
		}
		group.Wait()
		if took := times[4].Sub(times[0]); took < 4*spacing-20*time.Millisecond {
			t.Errorf("five %ss arrived within %s", method, took)
		}
	}
}

func TestProbe37OneTokenForAllWhoAsk(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	g := newGitHub(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token":"t%d","expires_at":%q,"permissions":{"contents":"read"},"other":1}`, n, now.Add(time.Hour).Format(time.RFC3339))
	})
	for _, base := range []string{"", "/api/v3"} {
		n = 0
		p := start(t, g.URL+base)
		token := func() string {
			a := p.ask(t, "POST", "/app/installations/5/access_tokens")
			var out struct{ Token string }
			if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.StatusCode != 201 {
				t.Fatalf("%d %q: %v", a.StatusCode, a.body, err)
			}
			if a.Header.Get("X-PROW-GHPROXY-REPLACED-TOKEN") != "true" {
				t.Error("the answer does not say that its token is the common one")
			}
			return out.Token
		}
		p.proxy.equalizer.now = func() time.Time { return now }
		if a, b := token(), token(); a != "t1" || b != "t1" {
			t.Errorf("with the base %q: %s, %s", base, a, b)
		}
		now = now.Add(59*time.Minute + 30*time.Second)
		if c := token(); c != "t3" {
			t.Errorf("close to the end: %s", c)
		}
	}
}

func TestProbe38MetricsNameTemplates(t *testing.T) {
	g := newGitHub(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "42")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
		w.Header().Set("X-RateLimit-Resource", "core")
	})
	p := start(t, g.URL)
	p.ask(t, "DELETE", "/repos/o/r/issues/1/labels/area/x", "User-Agent", "hook.label/v1", tokenBudget, "app - o")
	metrics := scrape(t, p.registry)
	for _, want := range []string{
		`github_request_duration_count{path="/repos/:owner/:repo/issues/:issueId/labels/:labelId",status="200",token_hash="app - o",user_agent="hook.label"} 1`,
		`github_token_usage{api_version="v3",ratelimit_resource="core",token_hash="app - o"} 42`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("missing: %s in\n%s", want, metrics)
		}
	}
}

func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	service.MetricsHandler(registry).ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	return recorder.Body.String()
}

func TestProbe39AnExpiryThatIsNoTime(t *testing.T) {
	v := &versioned{}
	v.content.Store("x")
	g := newGitHub(t, v.ServeHTTP)
	dir := t.TempDir()
	p := start(t, g.URL, "--cache-dir="+dir, "--cache-sizeGB=1")
	p.ask(t, "GET", "/x", tokenExpiry, "yesterday").expect(t, "answer", 200, modeMiss, "x")
	if !strings.Contains(p.log.String(), "yesterday") {
		t.Error("nothing was logged")
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "*", ".cache_metadata.json"))
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestProbe40TheDiskOutlivesTheProcess(t *testing.T) {
	v := &versioned{}
	v.content.Store("x")
	g := newGitHub(t, v.ServeHTTP)
	dir := "--cache-dir=" + t.TempDir()
	start(t, g.URL, dir, "--cache-sizeGB=1").ask(t, "GET", "/x")
	start(t, g.URL, dir, "--cache-sizeGB=1").ask(t, "GET", "/x").expect(t, "after a restart", 200, modeRevalidated, "x")
}

func TestOneCredentialsAnswerIsNeverAnothers(t *testing.T) {
	g := newGitHub(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Etag", `"x"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "private")
	})
	for _, args := range [][]string{nil, {"--cache-dir=" + t.TempDir(), "--cache-sizeGB=1", "--legacy-disable-disk-cache-partitions-by-auth-header"}} {
		p := start(t, g.URL, args...)
		p.ask(t, "GET", "/x", "Authorization", "Bearer good", tokenBudget, "app - o").expect(t, "owner", 200, modeMiss, "private")
		p.ask(t, "GET", "/x", "Authorization", "Bearer bad", tokenBudget, "app - o").expect(t, "a stranger that names the same budget", 404, modeNoStore, "")
		p.ask(t, "GET", "/x", tokenBudget, "app - o").expect(t, "nobody", 404, modeNoStore, "")
	}
}

func TestPagesAndRedirectsStayAtTheProxy(t *testing.T) {
	var g *github
	g = newGitHub(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v3/repos/o/old" {
			w.Header().Set("Location", g.URL+"/api/v3/repositories/7")
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Link", fmt.Sprintf(`<%s/api/v3/x?page=2>; rel="next", <%s/api/v3/x?page=9>; rel="last"`, g.URL, g.URL))
	})
	p := start(t, g.URL+"/api/v3")
	if got, want := p.ask(t, "GET", "/repos/o/old").Header.Get("Location"), p.URL+"/repositories/7"; got != want {
		t.Errorf("Location %s, want %s", got, want)
	}
	if got, want := p.ask(t, "GET", "/x").Header.Get("Link"), fmt.Sprintf(`<%s/x?page=2>; rel="next", <%s/x?page=9>; rel="last"`, p.URL, p.URL); got != want {
		t.Errorf("Link %s, want %s", got, want)
	}
	p.ask(t, "POST", "/graphql")
	if last := g.seen()[2]; last.URL.Path != "/api/graphql" {
		t.Errorf("GraphQL is asked at %s", last.URL.Path)
	}
}

func TestEscapedNamesReachGitHubAsTheyAre(t *testing.T) {
	g := newGitHub(t, func(http.ResponseWriter, *http.Request) {})
	p := start(t, g.URL)
	for _, path := range []string{"/repos/o/r/branches/feature%2Fx", "/repos/o/r/git/ref/heads/feature/x", "/repos/o/r/labels/a%20b%3F?page=1&q=a%2Fb"} {
		p.ask(t, "GET", path, "X-Forwarded-For", "1.2.3.4", "X-PROW-SECRET", "x", "Connection", "close, X-Odd", "X-Odd", "y")
	}
	for i, want := range []string{"/repos/o/r/branches/feature%2Fx", "/repos/o/r/git/ref/heads/feature/x", "/repos/o/r/labels/a%20b%3F?page=1&q=a%2Fb"} {
		r := g.seen()[i]
		if r.RequestURI != want {
			t.Errorf("GitHub was asked for %s, want %s", r.RequestURI, want)
		}
		for _, field := range []string{"X-Forwarded-For", "X-Prow-Secret", "X-Odd"} {
			if r.Header.Get(field) != "" {
				t.Errorf("GitHub got the field %s", field)
			}
		}
	}
}
