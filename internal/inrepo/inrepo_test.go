package inrepo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prow/internal/config"
	"prow/internal/git"
)

// repository is a git repository on disk with a branch main.
type repository struct {
	t      *testing.T
	dir    string
	runner *git.Runner
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	out, err := r.runner.Output(r.t.Context(), r.dir, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// commit puts files on a branch that starts at from, and returns the commit.
func (r *repository) commit(branch, from string, files map[string]string) string {
	r.t.Helper()
	if from != "" {
		r.git("checkout", "--quiet", "-B", branch, from)
	}
	for name, content := range files {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if target, link := strings.CutPrefix(content, "-> "); link {
			if err := os.Symlink(target, path); err != nil {
				r.t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "--message", branch)
	return r.git("rev-parse", "HEAD")
}

func trees(t *testing.T) (Trees, *repository) {
	t.Helper()
	r := &repository{t: t, dir: t.TempDir(), runner: Runner(os.Environ())}
	r.git("init", "--quiet", "--initial-branch=main")
	mirrors, cleanUp, err := Mirrors("test", "", func(context.Context, string, string) (git.Remote, error) {
		return git.Remote{URL: "file://" + r.dir, Settings: []git.Setting{{Key: "protocol.file.allow", Value: "always"}}}, nil
	}, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cleanUp)
	return Trees{Cache: mirrors}, r
}

func TestChangesAreSeenMergedIntoTheirBase(t *testing.T) {
	trees, r := trees(t)
	base := r.commit("main", "", map[string]string{".prow/base.yaml": "base", "README.md": "x", "deep/file": "not needed"})
	one := r.commit("one", base, map[string]string{".prow/one.yaml": "one"})
	two := r.commit("two", base, map[string]string{".prow/two.yaml": "two"})
	for _, method := range []config.MergeMethod{config.MergeMerge, config.MergeSquash, config.MergeRebase} {
		tree, release, err := trees.OpenTree(t.Context(), config.Revision{Org: "o", Repo: "r", BaseSHA: base, HeadSHAs: []string{one, two}, MergeMethod: method})
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		for name, want := range map[string]string{".prow/base.yaml": "base", ".prow/one.yaml": "one", ".prow/two.yaml": "two", "README.md": "x"} {
			if got, err := fs.ReadFile(tree, name); err != nil || string(got) != want {
				t.Errorf("%s: %s is %q, %v", method, name, got, err)
			}
		}
		release()
	}
}

func TestConflictsAndUnknownCommitsAreErrors(t *testing.T) {
	trees, r := trees(t)
	base := r.commit("main", "", map[string]string{".prow.yaml": "base"})
	one := r.commit("one", base, map[string]string{".prow.yaml": "one"})
	two := r.commit("two", base, map[string]string{".prow.yaml": "two"})
	_, _, err := trees.OpenTree(t.Context(), config.Revision{Org: "o", Repo: "r", BaseSHA: base, HeadSHAs: []string{one, two}})
	if !errors.Is(err, git.ErrConflict) {
		t.Errorf("a conflict is %v", err)
	}
	_, _, err = trees.OpenTree(t.Context(), config.Revision{Org: "o", Repo: "r", BaseSHA: strings.Repeat("1", 40)})
	if err == nil || !strings.Contains(err.Error(), "o/r") {
		t.Errorf("an unknown commit is %v", err)
	}
}

func TestLinksOutOfTheTreeCannotBeFollowed(t *testing.T) {
	trees, r := trees(t)
	base := r.commit("main", "", map[string]string{".prow/passwd.yaml": "-> /etc/passwd", ".prow/up.yaml": "-> ../../../../../../etc/passwd"})
	tree, release, err := trees.OpenTree(t.Context(), config.Revision{Org: "o", Repo: "r", BaseSHA: base})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, name := range []string{".prow/passwd.yaml", ".prow/up.yaml"} {
		if got, err := fs.ReadFile(tree, name); err == nil {
			t.Errorf("%s was followed: %q", name, got)
		}
	}
}
