package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v75/github"
)

// world is a running forge with a small cast:
//
//	acme      organisation; boss owns it, dev is a member, robot is an admin bot
//	acme/app  public repository; writer is a collaborator, stranger is nobody
//	acme/safe private repository
type world struct {
	t      *testing.T
	dir    string
	addr   string
	forge  *Forge
	ln     *keptListener
	server *http.Server
	stop   context.CancelFunc
	done   chan struct{}
	hook   *receiver
	opts   func(*Options)
}

func token(login string) string { return "token-of-" + login }

func newWorld(t *testing.T, opts ...func(*Options)) *world {
	t.Helper()
	t.Parallel() // each world has its own directory and port
	w := &world{t: t, dir: t.TempDir(), hook: newReceiver(t)}
	if len(opts) > 0 {
		w.opts = opts[0]
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = ln.Addr().String()
	w.ln = &keptListener{ln.(*net.TCPListener)}
	t.Cleanup(func() { _ = ln.Close() })
	w.start()
	seed := Seed{
		Users: []User{
			{Login: "boss", Email: "boss@example.com"}, {Login: "dev", Name: "Dev Eloper", Email: "dev@example.com"},
			{Login: "writer"}, {Login: "stranger"}, {Login: "robot", Bot: true},
		},
		Orgs: []SeedOrg{{
			Org:     Org{Login: "acme", Name: "Acme Corp"},
			Members: map[string]string{"boss": "admin", "dev": "member", "robot": "admin"},
			Teams:   []Team{{Name: "Core Team", Maintainers: []string{"boss"}, Members: []string{"dev"}, Repos: map[string]string{"app": "triage"}}},
		}},
		Repos: []SeedRepo{
			{Repo: Repo{Owner: "acme", Name: "app", Description: "An app"}, Collaborators: map[string]string{"writer": "write"}},
			{Repo: Repo{Owner: "acme", Name: "safe", Private: true}},
		},
		Hooks: []Hook{{Owner: "acme", URL: w.hook.url, Secret: hookSecret}},
	}
	for _, u := range seed.Users {
		seed.Tokens = append(seed.Tokens, SeedToken{Login: u.Login, Token: token(u.Login)})
	}
	for range 2 { // seeding twice is the same as once
		if err := w.forge.Apply(t.Context(), seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { w.halt() })
	return w
}

// keptListener stays open when a server closes it, so that no other test gets
// the port between two lives of a forge.
type keptListener struct{ *net.TCPListener }

func (k *keptListener) Close() error { return k.SetDeadline(time.Unix(1, 0)) }

// start opens the forge in its directory and serves it.
func (w *world) start() {
	w.t.Helper()
	if err := w.ln.SetDeadline(time.Time{}); err != nil {
		w.t.Fatal(err)
	}
	o := Options{Dir: w.dir, BaseURL: "http://" + w.addr, AnonymousRead: true, SignIn: true}
	if w.opts != nil {
		w.opts(&o)
	}
	f, err := Open(context.Background(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.forge, w.stop, w.done = f, cancel, make(chan struct{})
	server := &http.Server{Handler: f.Handler()}
	w.server = server
	go func() { _ = server.Serve(w.ln) }()
	go func() {
		defer close(w.done)
		if err := f.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
}

func (w *world) halt() {
	_ = w.server.Close()
	w.stop()
	<-w.done
	if err := w.forge.Close(); err != nil {
		w.t.Error(err)
	}
}

// restart stops the forge and opens it again in the same place.
func (w *world) restart() {
	w.t.Helper()
	w.halt()
	w.start()
}

// as returns a GitHub client for a login; "" is anonymous.
func (w *world) as(login string) *github.Client {
	w.t.Helper()
	c := github.NewClient(&http.Client{Timeout: 30 * time.Second})
	if login != "" {
		c = c.WithAuthToken(token(login))
	}
	c, err := c.WithEnterpriseURLs("http://"+w.addr, "http://"+w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// clone clones a repository with the credentials of a login.
func (w *world) clone(login, name string) *checkout {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "clone")
	u := "http://" + w.addr + "/" + name + ".git"
	if login != "" {
		u = "http://" + login + ":" + token(login) + "@" + w.addr + "/" + name + ".git"
	}
	c := &checkout{w: w, dir: filepath.Dir(dir)}
	c.git("clone", "--quiet", u, dir)
	c.dir = dir
	return c
}

// checkout is a working tree of a real git.
type checkout struct {
	w   *world
	dir string
}

func (c *checkout) try(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Dev", "GIT_AUTHOR_EMAIL=dev@example.com", "GIT_COMMITTER_NAME=Dev", "GIT_COMMITTER_EMAIL=dev@example.com")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (c *checkout) git(args ...string) string {
	c.w.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// commit writes a file and commits it, returning the commit.
func (c *checkout) commit(file, content, message string) string {
	c.w.t.Helper()
	p := filepath.Join(c.dir, file)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		c.w.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		c.w.t.Fatal(err)
	}
	c.git("add", "--all")
	c.git("commit", "--quiet", "-m", message)
	return c.git("rev-parse", "HEAD")
}

// branch makes a branch from main with one commit and pushes it.
func (c *checkout) branch(name, file, content string) string {
	c.w.t.Helper()
	c.git("checkout", "--quiet", "-B", name, "origin/main")
	sha := c.commit(file, content, "Change "+file)
	c.git("push", "--quiet", "--force", "origin", name)
	return sha
}

// pull opens a pull request.
func (w *world) pull(login, repo, head, base, title string) *github.PullRequest {
	w.t.Helper()
	owner, name, _ := strings.Cut(repo, "/")
	pr, _, err := w.as(login).PullRequests.Create(w.t.Context(), owner, name, &github.NewPullRequest{Title: &title, Head: &head, Base: &base, Body: github.Ptr("please")})
	if err != nil {
		w.t.Fatal(err)
	}
	return pr
}

// apiErr returns status code and message of a GitHub error.
func apiErr(err error) (int, string) {
	switch e := err.(type) {
	case *github.ErrorResponse:
		return e.Response.StatusCode, e.Message
	case *github.RateLimitError:
		return e.Response.StatusCode, e.Message
	}
	return 0, fmt.Sprint(err)
}

func wantErr(t *testing.T, err error, code int, message string) {
	t.Helper()
	gotCode, got := apiErr(err)
	if gotCode != code || !strings.Contains(got, message) {
		t.Errorf("got %d %q, want %d %q", gotCode, got, code, message)
	}
}

// raw sends a request without a client library.
func (w *world) raw(login, method, path string, body any, header ...string) (*http.Response, []byte) {
	w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.addr+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if login != "" {
		req.Header.Set("Authorization", "token "+token(login))
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, out
}

const hookSecret = "It's a Secret to Everybody"

// receiver collects webhooks and can be told how to answer.
type receiver struct {
	t   *testing.T
	url string

	mu     sync.Mutex
	got    []received
	answer func(n int) int // status for the n-th request
	news   chan struct{}
}

type received struct {
	event, guid, action string
	header              http.Header
	body                []byte
}

func (r received) payload(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, news: make(chan struct{}, 1)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + ln.Addr().String() + "/hook"
	srv := &http.Server{Handler: r}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var m struct{ Action string }
	_ = json.Unmarshal(body, &m)
	r.mu.Lock()
	n := len(r.got)
	r.got = append(r.got, received{req.Header.Get("X-GitHub-Event"), req.Header.Get("X-GitHub-Delivery"), m.Action, req.Header, body})
	code := http.StatusOK
	if r.answer != nil {
		code = r.answer(n)
	}
	r.mu.Unlock()
	w.WriteHeader(code)
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

// wait returns the first delivery that matches "event/action" ("event" alone
// where there is no action) after the first skip ones.
func (r *receiver) wait(name string, skip int) received {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		n := 0
		for _, g := range r.all() {
			if strings.TrimSuffix(g.event+"/"+g.action, "/") == name {
				if n++; n > skip {
					return g
				}
			}
		}
		select {
		case <-r.news:
		case <-deadline:
			var names []string
			for _, g := range r.all() {
				names = append(names, g.event+"/"+g.action)
			}
			r.t.Fatalf("no webhook %s; got %v", name, names)
		}
	}
}

// eventually asks again until ok, for what the forge does after it has answered.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}
