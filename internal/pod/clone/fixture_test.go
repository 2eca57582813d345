package clone

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/git"
	"prow/internal/pod/options"
)

// server serves one real repository, with these commits:
//
//	main:  base -- second
//	             \
//	pull/1/head:  first pull (1.txt)
//	pull/2/head:  second pull (2.txt)
//	pull/3/head:  conflicts with 1
type server struct {
	url string
	dir string
	git *git.Runner
	sha map[string]string

	mu   sync.Mutex
	auth []string // what was presented with each request
	seen []string // its path
	sent int64    // bytes of all answers
	// answer, if set, gives the status to refuse a request with; 0 serves it.
	answer func(*http.Request) int
}

// bytes are those that f makes the server send.
func (s *server) bytes(f func()) int64 {
	s.mu.Lock()
	before := s.sent
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent - before
}

func (s *server) refuse(answer func(*http.Request) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// countingWriter counts the bytes of an answer.
type countingWriter struct {
	http.ResponseWriter
	s *server
}

func (w countingWriter) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	w.s.sent += int64(len(p))
	w.s.mu.Unlock()
	return w.ResponseWriter.Write(p)
}

// publish makes a bare repository of a work tree, as the server has it at path.
func (s *server) publish(t testing.TB, work, path string) string {
	t.Helper()
	bare := filepath.Join(s.dir, "root", filepath.FromSlash(path))
	s.run(t, s.dir, "clone", "-q", "--mirror", work, bare)
	for _, setting := range []string{"uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"} {
		s.run(t, bare, "config", setting, "true")
	}
	return bare
}

// repository makes and publishes another repository.
func (s *server) repository(t testing.TB, path string, files map[string]string) (work string) {
	t.Helper()
	work = filepath.Join(t.TempDir(), "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(t, work, "init", "-q", "-b", "main")
	s.commit(t, work, "base", files)
	s.publish(t, work, path)
	return work
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), sha: map[string]string{}}
	s.git = git.NewRunner(os.Environ(), git.Setting{Key: "user.name", Value: "a"}, git.Setting{Key: "user.email", Value: "b@c"}).
		WithEnv("GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000")
	work := filepath.Join(s.dir, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(t, work, "init", "-b", "main")
	s.commit(t, work, "base", map[string]string{"Makefile": "all:\n", "dir/file": "base\n", "1.txt": "zero\n"})
	s.run(t, work, "tag", "v1")
	s.commit(t, work, "second", map[string]string{"dir/file": "second\n"})
	for number, files := range []map[string]string{1: {"1.txt": "one\n"}, 2: {"2.txt": "two\n"}, 3: {"1.txt": "three\n"}} {
		if number == 0 {
			continue
		}
		s.run(t, work, "checkout", "-q", "-b", fmt.Sprint("pull", number), "main")
		s.commit(t, work, fmt.Sprint("pull ", number), files)
		s.run(t, work, "update-ref", fmt.Sprintf("refs/pull/%d/head", number), "HEAD")
		s.sha[fmt.Sprint(number)] = s.run(t, work, "rev-parse", "HEAD")
	}
	s.run(t, work, "checkout", "-q", "main")
	s.sha["main"] = s.run(t, work, "rev-parse", "main")
	s.sha["base"] = s.run(t, work, "rev-parse", "v1")
	s.publish(t, work, "org/repo.git")
	s.serve(t)
	return s
}

func (s *server) serve(t testing.TB) {
	backend := &cgi.Handler{
		Path: strings.TrimSpace(s.run(t, s.dir, "--exec-path")) + "/git-http-backend",
		// What clients do to it on purpose need not be told.
		Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Join(s.dir, "root"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.auth = append(s.auth, r.Header.Get("Authorization"))
		s.seen = append(s.seen, r.URL.Path)
		answer := s.answer
		s.mu.Unlock()
		w = countingWriter{w, s}
		if answer != nil {
			if status := answer(r); status != 0 {
				http.Error(w, http.StatusText(status), status)
				return
			}
		}
		if strings.HasPrefix(r.URL.Path, "/private/") {
			if _, _, ok := r.BasicAuth(); !ok {
				w.Header().Set("WWW-Authenticate", "Basic")
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/private")
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	s.url = web.URL
}

func (s *server) run(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := s.git.Output(t.Context(), dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *server) commit(t testing.TB, dir, message string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, dir, "add", ".")
	s.run(t, dir, "commit", "-q", "-m", message)
}

func (s *server) refs(pulls ...v1.Pull) v1.Refs {
	return v1.Refs{Org: "org", Repo: "repo", RepoLink: s.url + "/org/repo", PathAlias: "example.com/repo", BaseRef: "main", BaseSHA: s.sha["main"], Pulls: pulls}
}

// clone runs a cloner, and returns its records and the directory of the first refs.
func (s *server) clone(t testing.TB, change func(*options.Clone), refs ...v1.Refs) ([]artifacts.CloneRecord, string) {
	t.Helper()
	dir := t.TempDir()
	opts := &options.Clone{SrcRoot: dir, Log: filepath.Join(dir, "clone.json"), GitUserName: "ci-robot", GitUserEmail: "ci-robot@k8s.io", Refs: refs}
	if change != nil {
		change(opts)
	}
	if err := Validate(opts, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	cloner := New(opts, os.Environ(), slog.New(slog.DiscardHandler))
	cloner.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	cloner.knownHosts = knownHosts{file: filepath.Join(dir, "known_hosts"), pinned: filepath.Join(dir, "pinned")}
	if err := cloner.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(opts.Log)
	if err != nil {
		t.Fatal(err)
	}
	var records []artifacts.CloneRecord
	if err := json.Unmarshal(content, &records); err != nil {
		t.Fatal(err)
	}
	return records, refs[0].ClonePath(dir)
}

func commands(record artifacts.CloneRecord) string {
	var lines []string
	for _, c := range record.Commands {
		_, command, _ := strings.Cut(c.Command, "  ")
		lines = append(lines, command)
	}
	return strings.Join(lines, "\n")
}

func discard(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
