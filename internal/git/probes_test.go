package git

import (
	"context"
	"errors"
	"os"
	"testing"
)

func TestProbe23ASquashMergeThatConflictsLeavesTheTree(t *testing.T) {
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{Commits: []string{u.sha["base"], u.sha["one"], u.sha["three"]}})
	ctx := t.Context()
	must(t, tree.Checkout(ctx, u.sha["one"]))
	if err := tree.Merge(ctx, u.sha["three"], MergeSquash); !errors.Is(err, ErrConflict) {
		t.Errorf("not merged is a kind of its own: %v", err)
	}
	head, err1 := tree.RevParse(ctx, "HEAD")
	dirty, err2 := tree.IsDirty(ctx)
	if head != u.sha["one"] || dirty || errors.Join(err1, err2) != nil {
		t.Errorf("head %s, dirty %v, %v %v", head, dirty, err1, err2)
	}
}

func TestProbe24CommitsThatAreThereNeedNoNetwork(t *testing.T) {
	u := newUpstream(t)
	c := u.cache(t)
	need := Need{Commits: []string{u.sha["base"], u.sha["one"]}}
	u.tree(t, c, need)
	must(t, os.Rename(u.dir, u.dir+"-gone"))
	t.Cleanup(func() { _ = os.Rename(u.dir+"-gone", u.dir) })
	c.remotes = func(context.Context, string, string) (Remote, error) {
		return Remote{}, errors.New("nobody may ask for the remote")
	}
	tree := u.tree(t, c, need)
	must(t, tree.MergeAndCheckout(t.Context(), u.sha["base"], MergeCommit, u.sha["one"]))
	if _, err := c.Tree(t.Context(), "org", "repo", Need{}); err == nil {
		t.Error("without commits the remote is needed")
	}
}

func TestProbe25AnEmptySparseListIsTheTopLevel(t *testing.T) {
	u := newUpstream(t)
	tree := u.tree(t, u.cache(t), Need{Commits: []string{u.sha["base"]}, Sparse: []string{}})
	must(t, tree.Checkout(t.Context(), u.sha["base"]))
	if content(t, tree, "README") != "base\n" || content(t, tree, "src/deep/code") != "" || content(t, tree, ".prow/jobs.yaml") != "" {
		t.Error("files of the top level only are expected")
	}
}
