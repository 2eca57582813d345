package git

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newRepo(t *testing.T, r *Runner) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := r.Output(t.Context(), dir, "init"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRunnerIgnoresTheMachine(t *testing.T) {
	home := t.TempDir()
	hook := filepath.Join(home, "hooks", "post-checkout")
	for name, content := range map[string]string{
		".gitconfig":          "[user]\n\tname = somebody\n[commit]\n\tgpgsign = true\n",
		"hooks/post-checkout": "#!/bin/sh\ntouch " + home + "/ran\n",
	} {
		file := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := NewRunner([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GIT_DIR=/nowhere", "LC_ALL=de_DE.UTF-8"},
		Setting{"user.name", "a"}, Setting{"user.email", "b"})
	dir := newRepo(t, r)
	if err := os.Rename(hook, filepath.Join(dir, ".git", "hooks", "post-checkout")); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Output(t.Context(), dir, "config", "user.name"); err != nil || got != "a" {
		t.Errorf("user.name: %q, %v", got, err)
	}
	if _, err := r.Output(t.Context(), dir, "commit", "--allow-empty", "-m", "x"); err != nil {
		t.Error(err)
	}
	if _, err := r.Output(t.Context(), dir, "checkout", "-b", "other"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(home + "/ran"); err == nil {
		t.Error("a hook ran")
	}
}

func TestRunnerRefusesCommandsAsTransport(t *testing.T) {
	r := NewRunner(os.Environ())
	dir := newRepo(t, r)
	_, err := r.Output(t.Context(), dir, "fetch", "ext::sh -c touch% "+dir+"/ran")
	if err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir + "/ran"); err == nil {
		t.Error("the command ran")
	}
}

func TestErrorNamesTheCommandAndHidesItsSecrets(t *testing.T) {
	r := NewRunner(os.Environ())
	dir := newRepo(t, r)
	_, err := r.Output(t.Context(), dir, "fetch", "http://user:topsecret@127.0.0.1:1/x.git")
	var gitErr *Error
	if !errors.As(err, &gitErr) {
		t.Fatalf("got %v", err)
	}
	if gitErr.ExitCode != 128 || strings.Contains(err.Error(), "topsecret") || !strings.Contains(err.Error(), "git fetch http://xxxxx@127.0.0.1:1/x.git: exit status 128: fatal:") {
		t.Errorf("exit code %d, %v", gitErr.ExitCode, err)
	}
	if _, err := r.Output(t.Context(), filepath.Join(dir, "missing"), "status"); err == nil {
		t.Error("a missing directory must be an error")
	}
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	r := NewRunner(os.Environ())
	dir := newRepo(t, r)
	pidFile := filepath.Join(dir, "pid")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		// An alias that starts a child which holds the output open.
		alias := `!trap "" TERM; sleep 1000 & echo $! >` + pidFile + `.new; mv ` + pidFile + `.new ` + pidFile + `; wait`
		_, err := r.With(Setting{"alias.hang", alias}).Output(ctx, dir, "hang")
		done <- err
	}()
	pid := 0
	poll(t, "the child to start", func() bool {
		content, err := os.ReadFile(pidFile)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(content)))
		}
		return err == nil
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	poll(t, "the child to end", func() bool {
		state, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || bytes.Contains(state, []byte(") Z ")) || syscall.Kill(pid, 0) != nil
	})
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"fatal: unable to access 'https://token@h/x'":  "fatal: unable to access 'https://xxxxx@h/x'",
		"https://u:p@h/x and http://t:x-oauth-basic@g": "https://xxxxx@h/x and http://xxxxx@g",
		"ssh://git@host/x git@host:x":                  "ssh://git@host/x git@host:x",
		"https://host/path@v1":                         "https://host/path@v1",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
}

func TestBasicAuthIsForOneRepository(t *testing.T) {
	got := BasicAuth("https://host/org/repo.git", "token", "x-oauth-basic")
	if len(got) != 1 || got[0].Key != "http.https://host/org/repo.git.extraHeader" || got[0].Value != "Authorization: Basic dG9rZW46eC1vYXV0aC1iYXNpYw==" {
		t.Errorf("got %+v", got)
	}
	for _, address := range []string{"git@host:org/repo.git", "file:///x", "ssh://git@host/x"} {
		if got := BasicAuth(address, "u", "p"); got != nil {
			t.Errorf("%s: got %+v", address, got)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	b := tail{limit: 5}
	for _, s := range []string{"abc", "defg", "", "0123456789"} {
		if n, err := b.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	}
	if b.String() != "56789" || !b.cut {
		t.Errorf("got %q", b.String())
	}
}

func requireGit(t testing.TB) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}
