package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMirrorsKeepTheirBound(t *testing.T) {
	u := newUpstream(t)
	old := u.cache(t)
	ctx := t.Context()
	_, err := old.Tree(ctx, "org", "of-an-earlier-process", Need{})
	must(t, err)
	size, err := sizeOf(filepath.Join(old.dir, "org", "of-an-earlier-process.git"))
	must(t, err)

	left := filepath.Join(old.dir, "org", ".new-123")
	must(t, os.MkdirAll(left, 0o755))
	c, err := NewCache(old.dir, old.workDir, old.remotes, u.runner)
	must(t, err)
	if _, err := os.Stat(left); err == nil {
		t.Error("what was not finished stays")
	}
	c.Bound = size*2 + size/2 // two have room
	there := func(sentence string, want ...string) {
		t.Helper()
		for _, name := range []string{"of-an-earlier-process", "a", "b", "c"} {
			_, err := os.Stat(filepath.Join(c.dir, "org", name+".git"))
			wanted := false
			for _, w := range want {
				wanted = wanted || w == name
			}
			if (err == nil) != wanted {
				t.Errorf("%s: %s is there: %v", sentence, name, err == nil)
			}
		}
	}
	use := func(name string, need Need) *Tree {
		t.Helper()
		tree, err := c.Tree(ctx, "org", name, need)
		must(t, err)
		return tree
	}
	tree := use("a", Need{})
	there("two have room", "of-an-earlier-process", "a")
	use("b", Need{})
	there("what nobody of this process has used goes first", "a", "b")
	use("a", Need{Commits: []string{u.sha["base"]}})
	use("c", Need{})
	there("then what was not used for longest", "a", "c")
	must(t, tree.Checkout(ctx, u.sha["base"]))
	if content(t, tree, "README") != "base\n" {
		t.Error("trees outlive their mirror")
	}

	// One that is being read stays, and so does the one that grows.
	must(t, c.Files(ctx, "org", "a", u.sha["base"], func(m *Mirror) error {
		use("c", Need{})
		use("b", Need{})
		if _, err := os.Stat(filepath.Join(c.dir, "org", "a.git")); err != nil {
			return errors.New("it was removed while it was read")
		}
		return m.List(ctx, func(string, string) {})
	}))
	there("in the end", "a", "b")
}

func TestAMirrorThatWasRemovedIsMadeAgain(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	c.Bound = 1
	for _, name := range []string{"a", "b", "a", "b"} {
		tree, err := c.Tree(context.Background(), "org", name, Need{Commits: []string{u.sha["one"]}})
		must(t, err)
		must(t, tree.Checkout(t.Context(), u.sha["one"]))
	}
}
