package gitmirror

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/git"
	"prow/internal/secret"
	"prow/internal/service"
)

// world is a forge with org/a and org/b, and a directory for mirrors.
type world struct {
	t        *testing.T
	git      *git.Runner
	work     string
	root     string
	endpoint string
	dir      string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, work: t.TempDir(), root: t.TempDir(), dir: filepath.Join(t.TempDir(), "mirrors")}
	w.git = git.NewRunner(os.Environ(), git.Setting{Key: "user.name", Value: "a"}, git.Setting{Key: "user.email", Value: "b@c"}, git.Setting{Key: "safe.directory", Value: "*"})
	w.run(w.work, "init", "-q", "-b", "main")
	for _, repo := range []string{"a", "b"} {
		w.run(w.root, "init", "-q", "--bare", "org/"+repo+".git")
		w.commit(repo)
	}
	server := httptest.NewServer(&cgi.Handler{
		Path: w.run(w.root, "--exec-path") + "/git-http-backend", Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + w.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	})
	t.Cleanup(server.Close)
	w.endpoint = server.URL
	return w
}

func (w *world) run(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.git.Output(w.t.Context(), dir, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// commit adds a commit to the main branch of a repository, and returns it.
func (w *world) commit(repo string) string {
	w.t.Helper()
	w.run(w.work, "commit", "-q", "--allow-empty", "-m", "change of "+repo)
	w.run(w.work, "push", "-q", "--force", filepath.Join(w.root, "org", repo+".git"), "main")
	return w.run(w.work, "rev-parse", "main")
}

func (w *world) host() string { return strings.TrimPrefix(w.endpoint, "http://") }

func (w *world) mirror(repo string) string { return filepath.Join(w.dir, w.host(), "org", repo+".git") }

func (w *world) options(repos ...string) *Options {
	args := []string{"--dir=" + w.dir, "--github-host=" + w.host(), "--github-endpoint=" + w.endpoint, "--interval=1ms", "--run-once"}
	for _, repo := range repos {
		args = append(args, "--repo="+repo)
	}
	return parsed(w.t, args...)
}

func parsed(t *testing.T, args ...string) *Options {
	t.Helper()
	o := &Options{}
	flags := pflag.NewFlagSet(Name, pflag.ContinueOnError)
	o.Bind(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

func (w *world) round(ctx context.Context, repos ...string) error {
	w.t.Helper()
	o := w.options(repos...)
	if err := o.Validate(); err != nil {
		w.t.Fatal(err)
	}
	return Run(ctx, w.runtime(), o)
}

func (w *world) runtime() *service.Runtime {
	return service.NewRuntime(Name, slog.New(slog.DiscardHandler), &slog.LevelVar{}, prometheus.NewRegistry(), new(secret.Store))
}

func (w *world) tip(repo, ref string) string {
	w.t.Helper()
	return w.run(w.mirror(repo), "--git-dir=.", "for-each-ref", "--format=%(objectname)", ref)
}

func TestARoundBringsMirrorsUpToDate(t *testing.T) {
	w := newWorld(t)
	head := w.commit("a")
	w.run(w.work, "push", "-q", filepath.Join(w.root, "org", "a.git"), "main:gone", "main:refs/pull/1/head")
	if err := w.round(t.Context(), "org/a", w.endpoint+"/org/b.git"); err != nil {
		t.Fatal(err)
	}
	if w.tip("a", "refs/heads/main") != head || w.tip("a", "refs/heads/gone") != head || w.tip("a", "refs/pull") != "" || w.tip("b", "refs/heads/main") == "" {
		t.Errorf("refs:\n%s", w.run(w.mirror("a"), "--git-dir=.", "for-each-ref"))
	}
	head = w.commit("a")
	w.run(w.work, "push", "-q", filepath.Join(w.root, "org", "a.git"), ":gone")
	if err := w.round(t.Context(), "org/a"); err != nil {
		t.Fatal(err)
	}
	if w.tip("a", "refs/heads/main") != head || w.tip("a", "refs/heads/gone") != "" {
		t.Error("a later round brought nothing")
	}
}

func TestWhatAKilledProcessLeftIsMended(t *testing.T) {
	w := newWorld(t)
	if err := w.round(t.Context(), "org/a"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"} {
		if err := os.WriteFile(filepath.Join(w.mirror("a"), name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unfinished := filepath.Join(filepath.Dir(w.mirror("a")), ".new-1")
	if err := os.MkdirAll(filepath.Join(unfinished, "objects"), 0o755); err != nil {
		t.Fatal(err)
	}
	head := w.commit("a")
	if err := w.round(t.Context(), "org/a"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{unfinished, filepath.Join(w.mirror("a"), "objects/pack/tmp_pack_x")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if w.tip("a", "refs/heads/main") != head {
		t.Error("the mirror was not updated")
	}
	// One that is damaged is made anew.
	packs, _ := filepath.Glob(filepath.Join(w.mirror("a"), "objects", "pack", "*.pack"))
	for _, pack := range packs {
		if err := os.Remove(pack); err != nil {
			t.Fatal(err)
		}
	}
	head = w.commit("a")
	if err := w.round(t.Context(), "org/a"); err != nil {
		t.Fatal(err)
	}
	if got := w.tip("a", "refs/heads/main"); got != head {
		t.Errorf("after damage: %s", got)
	}
	w.run(w.mirror("a"), "--git-dir=.", "fsck")
}

func TestOneRepositoryThatFailsHoldsUpNoOther(t *testing.T) {
	w := newWorld(t)
	err := w.round(t.Context(), "org/missing", "org/a", "org/b")
	if err == nil || !strings.Contains(err.Error(), "org/missing") || strings.Contains(err.Error(), "org/a") {
		t.Errorf("error: %v", err)
	}
	if w.tip("a", "refs/heads/main") == "" || w.tip("b", "refs/heads/main") == "" {
		t.Error("the others were not mirrored")
	}
}

func TestOnlyOneProcessUpdates(t *testing.T) {
	w := newWorld(t)
	release, err := own(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.round(t.Context(), "org/a"); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("error: %v", err)
	}
	release()
	if err := w.round(t.Context(), "org/a"); err != nil {
		t.Error(err)
	}
}

func TestPacksArePutTogether(t *testing.T) {
	w := newWorld(t)
	for range 25 {
		w.commit("a")
		if err := w.round(t.Context(), "org/a"); err != nil {
			t.Fatal(err)
		}
	}
	packs, _ := filepath.Glob(filepath.Join(w.mirror("a"), "objects", "pack", "*.pack"))
	if len(packs) > 21 || len(packs) == 0 {
		t.Errorf("%d packs", len(packs))
	}
	w.run(w.mirror("a"), "--git-dir=.", "fsck")
}

func TestItEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := w.options("org/a")
	o.RunOnce = false
	rt := w.runtime()
	done := make(chan error)
	go func() { done <- Run(ctx, rt, o) }()
	<-rt.Ready()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTargets(t *testing.T) {
	yes, no := true, false
	job := func(decorate *bool, change func(*config.UtilityConfig)) config.JobBase {
		u := config.UtilityConfig{Decorate: decorate}
		if change != nil {
			change(&u)
		}
		return config.JobBase{UtilityConfig: u}
	}
	cfg := &config.Config{}
	cfg.PresubmitsByRepo = map[string][]config.Presubmit{
		"org/whole":    {{JobBase: job(&yes, nil)}},
		"org/plain":    {{JobBase: job(&no, nil)}, {}},
		"org/shallow":  {{JobBase: job(&yes, func(u *config.UtilityConfig) { u.CloneDepth = 1 })}},
		"org/blobless": {{JobBase: job(&yes, func(u *config.UtilityConfig) { u.DecorationConfig = &v1.DecorationConfig{BloblessFetch: &yes} })}},
		"org/sparse": {{JobBase: job(&yes, func(u *config.UtilityConfig) {
			u.DecorationConfig = &v1.DecorationConfig{SparseCheckout: []string{"x"}}
		})}},
		"org/itself":           {{JobBase: job(&yes, func(u *config.UtilityConfig) { u.DecorationConfig = &v1.DecorationConfig{SkipCloning: &yes} })}},
		"org/elsewhere":        {{JobBase: job(&yes, func(u *config.UtilityConfig) { u.CloneURI = "https://other/x/y.git" })}},
		"https://gerrit/a/b/c": {{JobBase: job(&yes, nil)}},
	}
	cfg.PostsubmitsByRepo = map[string][]config.Postsubmit{"org/post": {{JobBase: job(&yes, nil)}}}
	cfg.Periodics = []config.Periodic{{JobBase: job(&yes, func(u *config.UtilityConfig) {
		u.ExtraRefs = []v1.Refs{{Org: "org", Repo: "extra"}, {Org: "org", Repo: "deep", CloneDepth: 3}, {Org: "o", Repo: "r", CloneURI: "git@host:o/r.git"}}
	})}}
	want := map[string]string{
		"github.com/org/named.git": "https://github.com/org/named",
		"github.com/org/whole.git": "https://github.com/org/whole",
		"other/x/y.git":            "https://other/x/y.git",
		"gerrit/a/b/c.git":         "https://gerrit/a/b/c",
		"github.com/org/post.git":  "https://github.com/org/post",
		"github.com/org/extra.git": "https://github.com/org/extra",
		"host/o/r.git":             "git@host:o/r.git",
	}
	if diff := cmp.Diff(want, targets("github.com", []string{"org/named"}, cfg)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyTheForgeGetsItsToken(t *testing.T) {
	m := &mirrors{host: "github.com", fromGitHub: func(_ context.Context, org, repo string) (git.Remote, error) {
		return git.Remote{URL: "https://github.com/" + org + "/" + repo, Settings: []git.Setting{{Key: "token"}}}, nil
	}}
	for address, want := range map[string]string{
		"https://github.com/org/repo":     "https://github.com/org/repo token",
		"https://GitHub.com/org/repo.git": "https://github.com/org/repo token",
		"https://other/org/repo.git":      "https://other/org/repo.git",
		"git@github.com:org/repo.git":     "git@github.com:org/repo.git",
		"https://u:p@other/org/repo.git":  "https://other/org/repo.git http.https://other/org/repo.git.extraHeader",
	} {
		remote, err := m.remote(t.Context(), address)
		got := remote.URL
		for _, s := range remote.Settings {
			got += " " + s.Key
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for text, args := range map[string][]string{
		"":                      {"--repo=org/repo", "--repo=https://host/a/b.git", "--dir=/m"},
		"absolute path":         {"--repo=org/repo", "--dir=m"},
		"nothing is to be":      {"--dir=/m"},
		"--repo=repo":           {"--repo=repo", "--dir=/m"},
		"--repo=../x":           {"--repo=../x", "--dir=/m"},
		"--interval=0s":         {"--repo=org/repo", "--dir=/m", "--interval=0"},
		"--parallel=0":          {"--repo=org/repo", "--dir=/m", "--parallel=0"},
		"without --config-path": {"--repo=org/repo", "--dir=/m", "--job-config-path=/x"},
	} {
		if err := parsed(t, args...).Validate(); (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
