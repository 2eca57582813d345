package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// upstream is a repository with a base and three changes: one and two go
// together, and three conflicts with one.
type upstream struct {
	dir    string
	runner *Runner
	sha    map[string]string
	asked  int
	mu     sync.Mutex
}

func newUpstream(t testing.TB) *upstream {
	requireGit(t)
	t.Helper()
	u := &upstream{dir: t.TempDir(), sha: map[string]string{}, runner: NewRunner(os.Environ(), Setting{"user.name", "prow"}, Setting{"user.email", "prow@localhost"}, Setting{"commit.gpgsign", "false"})}
	u.run(t, "init", "-b", "main")
	u.run(t, "config", "uploadpack.allowAnySHA1InWant", "true")
	u.commit(t, "base", map[string]string{"README": "base\n", ".prow/jobs.yaml": "presubmits: {}\n", "src/deep/code": "code\n"})
	for name, files := range map[string]map[string]string{"one": {"README": "one\n"}, "two": {"two": "two\n"}, "three": {"README": "three\n"}} {
		u.run(t, "checkout", "-q", "--detach", u.sha["base"])
		u.commit(t, name, files)
		u.run(t, "update-ref", "refs/pull/"+name+"/head", "HEAD")
	}
	u.run(t, "checkout", "-q", "main")
	return u
}

func (u *upstream) run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := u.runner.Output(t.Context(), u.dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (u *upstream) commit(t testing.TB, name string, files map[string]string) {
	t.Helper()
	for file, content := range files {
		path := filepath.Join(u.dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	u.run(t, "add", ".")
	u.run(t, "commit", "-q", "-m", name)
	u.sha[name] = u.run(t, "rev-parse", "HEAD")
}

func (u *upstream) cache(t testing.TB) *Cache {
	t.Helper()
	dir := t.TempDir()
	c, err := NewCache(filepath.Join(dir, "mirrors"), filepath.Join(dir, "trees"), func(context.Context, string, string) (Remote, error) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.asked++
		return Remote{URL: u.dir}, nil
	}, u.runner)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (u *upstream) tree(t *testing.T, c *Cache, need Need) *Tree {
	t.Helper()
	tree, err := c.Tree(t.Context(), "org", "repo", need)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	return tree
}

func content(t *testing.T, tree *Tree, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(tree.Dir(), name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(content)
}

func TestMergeStrategies(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	for strategy, parents := range map[MergeStrategy]int{MergeCommit: 2, MergeIfNecessary: 2, MergeSquash: 1, MergeRebase: 1} {
		t.Run(string(strategy), func(t *testing.T) {
			tree := u.tree(t, c, Need{Commits: []string{u.sha["base"], u.sha["one"], u.sha["two"], u.sha["three"]}})
			if err := tree.MergeAndCheckout(t.Context(), u.sha["base"], strategy, u.sha["one"], u.sha["two"]); err != nil {
				t.Fatal(err)
			}
			if content(t, tree, "README") != "one\n" || content(t, tree, "two") != "two\n" {
				t.Error("both changes must be there")
			}
			if got, _ := tree.Run(t.Context(), "show", "-s", "--format=%P", "HEAD"); len(strings.Fields(got)) != parents {
				t.Errorf("parents: %s", got)
			}
			before, _ := tree.RevParse(t.Context(), "HEAD")
			if err := tree.Merge(t.Context(), u.sha["three"], strategy); !errors.Is(err, ErrConflict) {
				t.Errorf("a conflict: %v", err)
			}
			after, _ := tree.RevParse(t.Context(), "HEAD")
			status, _ := tree.Run(t.Context(), "status", "--porcelain")
			if before != after || status != "" || content(t, tree, "README") != "one\n" {
				t.Errorf("a conflict must leave nothing behind: %s, %s, %q", before, after, status)
			}
			if err := tree.MergeAndCheckout(t.Context(), u.sha["base"], strategy, u.sha["three"]); err != nil {
				t.Errorf("the tree must be of use after a conflict: %v", err)
			}
		})
	}
}

func TestTreeErrors(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	tree := u.tree(t, c, Need{})
	if err := tree.Checkout(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	for sentence, err := range map[string]error{
		"an unknown strategy": tree.Merge(t.Context(), u.sha["base"], "odd"),
		"no base":             tree.MergeAndCheckout(t.Context(), "", MergeCommit),
		"a flag":              tree.Checkout(t.Context(), "--orphan=x"),
		"an unknown commit":   tree.Merge(t.Context(), strings.Repeat("1", 40), MergeRebase),
	} {
		if err == nil || errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
	for _, name := range []string{"..", "a/../b", "", "-x"} {
		if _, err := c.Tree(t.Context(), "org", name, Need{}); err == nil {
			t.Errorf("repository %q must be refused", name)
		}
	}
	for _, commit := range []string{"main", "--upload-pack=touch x", ""} {
		if _, err := c.Tree(t.Context(), "org", "repo", Need{Commits: []string{commit}}); err == nil {
			t.Errorf("commit %q must be refused", commit)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.workDir, "*")); len(left) != 1 {
		t.Errorf("trees left behind: %v", left)
	}
}

func TestRemoteIsAskedOnlyForWhatIsMissing(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	u.tree(t, c, Need{Commits: []string{u.sha["base"], u.sha["one"]}})
	asked := u.asked
	u.tree(t, c, Need{Commits: []string{u.sha["one"]}})
	if u.asked != asked {
		t.Error("everything was there already")
	}
	u.commit(t, "new", map[string]string{"new": "new\n"})
	tree := u.tree(t, c, Need{Commits: []string{u.sha["new"]}})
	if err := tree.Checkout(t.Context(), u.sha["new"]); err != nil || content(t, tree, "new") != "new\n" {
		t.Errorf("the new commit: %v", err)
	}
	u.commit(t, "newer", map[string]string{"newer": "newer\n"})
	tree = u.tree(t, c, Need{})
	if err := tree.Checkout(t.Context(), "main"); err != nil || content(t, tree, "newer") != "newer\n" {
		t.Errorf("without commits the branches are brought up to date: %v", err)
	}
}

func TestSparseTree(t *testing.T) {
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{Commits: []string{u.sha["base"]}, Sparse: []string{".prow"}})
	if err := tree.Checkout(t.Context(), u.sha["base"]); err != nil {
		t.Fatal(err)
	}
	if content(t, tree, ".prow/jobs.yaml") == "" || content(t, tree, "README") == "" || content(t, tree, "src/deep/code") != "" {
		t.Error("only .prow and the top level are expected")
	}
}

func TestDamagedMirrorIsMadeAnew(t *testing.T) {
	for sentence, damage := range map[string]func(t *testing.T, mirror string){
		"packs that were cut": func(t *testing.T, mirror string) {
			packs, _ := filepath.Glob(filepath.Join(mirror, "objects", "pack", "*.pack"))
			if len(packs) == 0 {
				t.Fatal("no packs")
			}
			for _, pack := range packs {
				if err := os.Chmod(pack, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(pack, 20); err != nil {
					t.Fatal(err)
				}
			}
		},
		"no objects": func(t *testing.T, mirror string) {
			if err := os.RemoveAll(filepath.Join(mirror, "objects")); err != nil {
				t.Fatal(err)
			}
		},
		"no HEAD": func(t *testing.T, mirror string) {
			if err := os.Remove(filepath.Join(mirror, "HEAD")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, need := range []string{"base", ""} {
			t.Run(sentence+" "+need, func(t *testing.T) {
				u := newUpstream(t)
				c := u.cache(t)
				u.tree(t, c, Need{})
				damage(t, filepath.Join(c.dir, "org", "repo.git"))
				n := Need{}
				if need != "" {
					n.Commits = []string{u.sha[need]}
				}
				tree := u.tree(t, c, n)
				if err := tree.Checkout(t.Context(), u.sha["base"]); err != nil || content(t, tree, "README") != "base\n" {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

func TestUnreachableRemoteKeepsTheMirror(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	u.tree(t, c, Need{})
	c.remotes = func(context.Context, string, string) (Remote, error) { return Remote{URL: "/does/not/exist"}, nil }
	if _, err := c.Tree(t.Context(), "org", "repo", Need{}); err == nil || !strings.Contains(err.Error(), "preparing a work tree of org/repo") {
		t.Errorf("got %v", err)
	}
	u.tree(t, c, Need{Commits: []string{u.sha["base"]}})
}

func TestTreesSideBySide(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			need := Need{Commits: []string{u.sha["base"], u.sha[[]string{"one", "two", "three"}[i%3]]}}
			if i%2 == 0 {
				need.Commits = nil
			}
			tree, err := c.Tree(t.Context(), "org", "repo", need)
			if err != nil {
				t.Error(err)
				return
			}
			if err := tree.Checkout(t.Context(), u.sha["base"]); err != nil {
				t.Error(err)
			}
			if err := tree.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(filepath.Join(c.dir, "org", "*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelledTreeLeavesNothing(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Tree(ctx, "org", "repo", Need{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	u.tree(t, c, Need{})
}

func BenchmarkTree(b *testing.B) {
	u := newUpstream(b)
	c := u.cache(b)
	need := Need{Commits: []string{u.sha["base"], u.sha["one"]}}
	for b.Loop() {
		tree, err := c.Tree(b.Context(), "org", "repo", need)
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(tree.MergeAndCheckout(b.Context(), u.sha["base"], MergeCommit, u.sha["one"]), tree.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
