package gerrittest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"prow/internal/forge/gerrit"
	"prow/internal/git"
)

// Robot is the account that requests with the cookie or the password act as.
const (
	Robot = "prow-robot"
	// Cookie is the value of the cookie "o", and Password that of basic
	// authentication, of the robot.
	Cookie   = "git-prow-robot=secret"
	Password = "secret"
)

// LabelType is a label that changes of a project can be voted on.
type LabelType struct {
	Name     string
	Min, Max int
	// Optional labels are not needed to submit. Others need a vote of Max, and must
	// not have one of Min.
	Optional bool
}

// Project is what the server keeps a repository for.
type Project struct {
	SubmitType string
	Labels     []LabelType
	// Private projects are served to git for the robot only.
	Private bool
	// NoSubmit keeps the robot from submitting.
	NoSubmit bool

	dir string
}

// Server is a running instance.
type Server struct {
	// URL is the address of the instance.
	URL string
	// ComputeMergeable tells of changes whether they can be merged, as an instance
	// does where its administrators want it.
	ComputeMergeable bool
	// MaxPage is the most changes that one answer has, whatever is asked for.
	MaxPage int
	// Intercept may answer in the server's stead, and then returns true. It is set
	// before requests come.
	Intercept func(w http.ResponseWriter, r *http.Request) bool

	t      testing.TB
	dir    string
	runner *git.Runner
	git    http.Handler

	mu       sync.Mutex
	projects map[string]*Project
	changes  []*change
	requests []string
	clock    time.Time
}

// change is a change; its number is its place in the list plus one.
type change struct {
	project, branch, changeID string
	subject                   string
	status                    string
	wip                       bool
	updated                   time.Time
	patchsets                 []patchset
	votes                     map[string]map[string]int // by label and account
	messages                  []gerrit.Message
}

type patchset struct {
	sha, ref string
}

func (c *change) current() patchset { return c.patchsets[len(c.patchsets)-1] }

// Start starts an instance without projects, which ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), MaxPage: 500, projects: map[string]*Project{}, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.runner = git.NewRunner(os.Environ(),
		git.Setting{Key: "user.name", Value: "Gerrit"}, git.Setting{Key: "user.email", Value: "gerrit@example.com"},
		git.Setting{Key: "commit.gpgsign", Value: "false"}, git.Setting{Key: "safe.directory", Value: "*"})
	backend, err := s.runner.Output(context.Background(), s.dir, "--exec-path")
	if err != nil {
		t.Fatal(err)
	}
	s.git = &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(backend), "git-http-backend"), Root: "/",
		Env: append(s.runner.Env(), "GIT_PROJECT_ROOT="+s.dir, "GIT_HTTP_EXPORT_ALL=1"),
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// ServeHTTP answers requests of git and of the REST API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	intercept := s.Intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	if r.URL.Query().Get("service") == "git-upload-pack" || strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
		r = withSuffix(r)
		if s.hidden(r) && !isRobot(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Gerrit"`)
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		s.git.ServeHTTP(w, r)
		return
	}
	s.rest(w, r)
}

// hidden tells whether git asks for a private project.
func (s *Server) hidden(r *http.Request) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[name]
	return p != nil && p.Private
}

// withSuffix is the request for the directory that the repository is in.
func withSuffix(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	for _, end := range []string{"/info/refs", "/git-upload-pack"} {
		if project, ok := strings.CutSuffix(strings.TrimPrefix(out.URL.Path, "/a"), end); ok {
			out.URL.Path = strings.TrimSuffix(project, ".git") + ".git" + end
		}
	}
	return out
}

// Requests are the requests since the last call, by method and address.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// AddProject makes a project whose branch main has one commit. Without labels it
// has Code-Review, and the optional label Prow-Auto-Submit.
func (s *Server) AddProject(name string, p Project) {
	s.t.Helper()
	if p.Labels == nil {
		p.Labels = []LabelType{{Name: "Code-Review", Min: -2, Max: 2}, {Name: "Prow-Auto-Submit", Min: -1, Max: 1, Optional: true}}
	}
	p.dir = filepath.Join(s.dir, name+".git")
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.must(p.dir, "init", "--quiet", "--bare", "--initial-branch=main", ".")
	s.must(p.dir, "config", "uploadpack.allowReachableSHA1InWant", "true")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects[name] = &p
	commit, err := s.commit(&p, "", "Begin", map[string]string{"README": "This is " + name + ".\n"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.must(p.dir, "update-ref", "refs/heads/main", commit)
}

// SetProject changes what is said about a project.
func (s *Server) SetProject(name string, f func(*Project)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.projects[name])
}

// Branch is the commit of a branch; empty where there is none.
func (s *Server) Branch(project, branch string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.branch(project, branch)
}

func (s *Server) branch(project, branch string) string {
	p := s.projects[project]
	if p == nil {
		return ""
	}
	out, err := s.runner.Output(context.Background(), p.dir, "rev-parse", "--verify", "--quiet", "refs/heads/"+branch+"^{commit}")
	if err != nil {
		return ""
	}
	return out
}

// Push commits files right to a branch, which is made if there is none.
func (s *Server) Push(project, branch string, files map[string]string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.projects[project]
	parent := s.branch(project, branch)
	if parent == "" {
		parent = s.branch(project, "main")
	}
	sha, err := s.commit(p, parent, "Push to "+branch, files)
	if err != nil {
		s.t.Fatal(err)
	}
	s.must(p.dir, "update-ref", "refs/heads/"+branch, sha)
	return sha
}

// File is the content of a file at a commit or ref.
func (s *Server) File(project, commit, path string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := s.runner.Output(context.Background(), s.projects[project].dir, "show", commit+":"+path)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *Server) must(dir string, args ...string) string {
	s.t.Helper()
	out, err := s.runner.Output(context.Background(), dir, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// inTree runs git in a work tree at a commit and returns the commit it ends at.
func (s *Server) inTree(p *Project, at string, work func(run func(args ...string) (string, error), dir string) error) (string, error) {
	ctx := context.Background()
	tree, err := os.MkdirTemp(s.dir, "tree-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tree)
	if _, err := s.runner.Output(ctx, p.dir, "worktree", "add", "--quiet", "--force", "--detach", tree, at); err != nil {
		return "", err
	}
	defer func() { _, _ = s.runner.Output(ctx, p.dir, "worktree", "remove", "--force", tree) }()
	run := func(args ...string) (string, error) { return s.runner.Output(ctx, tree, args...) }
	if err := work(run, tree); err != nil {
		return "", err
	}
	return run("rev-parse", "HEAD")
}

// commit commits files on top of a commit, or as the first one.
func (s *Server) commit(p *Project, parent, message string, files map[string]string, author ...string) (string, error) {
	if parent == "" {
		empty, err := s.runner.Output(context.Background(), p.dir, "commit-tree", "-m", message, "4b825dc642cb6eb9a060e54bf8d69288fbee4904")
		if err != nil {
			return "", err
		}
		parent = empty
	}
	return s.inTree(p, parent, func(run func(args ...string) (string, error), dir string) error {
		for name, content := range files {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				return err
			}
		}
		if _, err := run("add", "--all"); err != nil {
			return err
		}
		args := []string{"commit", "--quiet", "--allow-empty", "-m", message}
		if len(author) > 0 {
			args = append(args, "--author="+author[0])
		}
		_, err := run(args...)
		return err
	})
}

// tick is a new time, later than all before. The caller holds s.mu.
func (s *Server) tick() time.Time {
	s.clock = s.clock.Add(time.Second)
	return s.clock
}

func (s *Server) find(number int) (*change, error) {
	if number < 1 || number > len(s.changes) {
		return nil, fmt.Errorf("no change %d", number)
	}
	return s.changes[number-1], nil
}
