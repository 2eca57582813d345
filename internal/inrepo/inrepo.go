// Package inrepo reads the configuration that repositories bring themselves, at
// a base commit with changes merged into it, from mirrors of the repositories.
package inrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"prow/internal/config"
	"prow/internal/git"
)

// dir is checked out beside the files at the root.
const dir = ".prow"

// Trees opens the trees of revisions. It implements config.TreeOpener.
type Trees struct {
	Cache *git.Cache
	// Metrics are told how long it takes; nil is nobody.
	Metrics *Metrics
}

// OpenTree checks out the base, merges the heads as Tide would, and gives the
// files: those at the root and below .prow. Links that lead out of the tree
// cannot be followed. A conflict is git.ErrConflict.
func (t Trees) OpenTree(ctx context.Context, rev config.Revision) (tree fs.FS, release func(), err error) {
	start := time.Now()
	work, err := t.Cache.Tree(ctx, rev.Org, rev.Repo, git.Need{Commits: append([]string{rev.BaseSHA}, rev.HeadSHAs...), Sparse: []string{dir}})
	if err != nil {
		return nil, nil, fmt.Errorf("get %s/%s: %w", rev.Org, rev.Repo, err)
	}
	acquired := time.Now()
	t.Metrics.acquired(rev, acquired.Sub(start))
	defer func() { t.Metrics.other(rev, time.Since(acquired)) }()
	if err := work.MergeAndCheckout(ctx, rev.BaseSHA, strategy(rev.MergeMethod), rev.HeadSHAs...); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("merge the changes into %s/%s at %s: %w", rev.Org, rev.Repo, rev.BaseSHA, err), work.Close())
	}
	root, err := os.OpenRoot(work.Dir())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the tree of %s/%s: %w", rev.Org, rev.Repo, err), work.Close())
	}
	return root.FS(), func() {
		// Nothing is left to do where this fails: the next start empties the directory.
		_, _ = root.Close(), work.Close()
	}, nil
}

// strategy is how git merges what Tide merges by a method.
func strategy(m config.MergeMethod) git.MergeStrategy {
	switch m {
	case config.MergeSquash:
		return git.MergeSquash
	case config.MergeRebase:
		return git.MergeRebase
	}
	return git.MergeCommit
}
