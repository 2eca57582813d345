package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// MergeStrategy says how commits are brought into a branch.
type MergeStrategy string

// The strategies.
const (
	// MergeCommit always makes a merge commit.
	MergeCommit MergeStrategy = "merge"
	// MergeIfNecessary makes a merge commit only where the branch cannot just move on.
	MergeIfNecessary MergeStrategy = "ifNecessary"
	// MergeSquash makes one ordinary commit.
	MergeSquash MergeStrategy = "squash"
	// MergeRebase puts copies of the commits on top.
	MergeRebase MergeStrategy = "rebase"
)

// ErrConflict says that commits do not go together. The tree is as before.
var ErrConflict = errors.New("merge conflict")

// Tree is a work tree of its own. It must not be used concurrently.
type Tree struct {
	dir       string
	runner    *Runner
	cache     *Cache
	mirror    string
	org, repo string
}

// Dir is the directory with the files.
func (t *Tree) Dir() string { return t.dir }

// Close removes the tree.
func (t *Tree) Close() error { return os.RemoveAll(t.dir) }

func (t *Tree) make(ctx context.Context, need Need) error {
	began := time.Now()
	// Commits that no branch holds are not cloned, but linked with their packs.
	if _, err := t.runner.Output(ctx, t.dir, "clone", "--quiet", "--local", "--no-checkout", t.mirror, "."); err != nil {
		return err
	}
	t.cache.observe(StepClone, t.org, t.repo, began)
	if need.Sparse != nil {
		began := time.Now()
		defer func() { t.cache.observe(StepSparse, t.org, t.repo, began) }()
		args := append([]string{"sparse-checkout", "set", "--cone"}, need.Sparse...)
		if _, err := t.runner.Output(ctx, t.dir, args...); err != nil {
			return err
		}
	}
	return nil
}

// Run runs git in the tree; for what has no method of its own.
func (t *Tree) Run(ctx context.Context, args ...string) (string, error) {
	out, err := t.runner.Output(ctx, t.dir, args...)
	if err != nil {
		t.cache.complain(t.mirror, err)
	}
	return out, err
}

// Checkout checks out a commit or a branch.
func (t *Tree) Checkout(ctx context.Context, commitish string) error {
	if err := noFlag(commitish); err != nil {
		return err
	}
	_, err := t.Run(ctx, "checkout", "--quiet", commitish, "--")
	return err
}

// RevParse returns the hash of a commit.
func (t *Tree) RevParse(ctx context.Context, commitish string) (string, error) {
	if err := noFlag(commitish); err != nil {
		return "", err
	}
	return t.Run(ctx, "rev-parse", "--verify", "--quiet", commitish+"^{commit}")
}

// Merge brings a commit into what is checked out. Where that is not possible the
// error is ErrConflict, and the tree is as before. Other errors say nothing about
// the commits.
func (t *Tree) Merge(ctx context.Context, commitish string, strategy MergeStrategy) error {
	return t.MergeWithMessages(ctx, commitish, strategy)
}

// MergeWithMessages is Merge with the paragraphs of the message of a merge commit,
// "merge" if there are none. Squashed and rebased commits have no use for them.
func (t *Tree) MergeWithMessages(ctx context.Context, commitish string, strategy MergeStrategy, messages ...string) error {
	if len(messages) == 0 {
		messages = []string{"merge"}
	}
	var about []string
	for _, m := range messages {
		about = append(about, "-m", m)
	}
	if err := noFlag(commitish); err != nil {
		return err
	}
	head, err := t.RevParse(ctx, "HEAD")
	if err != nil {
		return err
	}
	var steps [][]string
	switch strategy {
	case MergeCommit:
		steps = [][]string{slices.Concat([]string{"merge", "--no-ff", "--no-stat"}, about, []string{commitish})}
	case MergeIfNecessary:
		steps = [][]string{slices.Concat([]string{"merge", "--ff", "--no-stat"}, about, []string{commitish})}
	case MergeSquash:
		steps = [][]string{{"merge", "--squash", "--no-stat", commitish}, {"commit", "--no-stat", "--allow-empty", "-m", "merge"}}
	case MergeRebase:
		steps = [][]string{{"rebase", "--no-stat", head, commitish}}
	default:
		return fmt.Errorf("merge strategy %q is not supported", strategy)
	}
	if _, err := t.RevParse(ctx, commitish); err != nil {
		return fmt.Errorf("commit %s is not there: %w", commitish, err)
	}
	for _, step := range steps {
		if _, err := t.Run(ctx, step...); err != nil {
			return t.undo(ctx, head, strategy, err)
		}
	}
	return nil
}

// undo takes a failed merge back.
func (t *Tree) undo(ctx context.Context, head string, strategy MergeStrategy, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	if strategy == MergeRebase {
		_, _ = t.Run(ctx, "rebase", "--abort") // there may be none under way
		if err := t.Checkout(ctx, head); err != nil {
			return fmt.Errorf("taking a failed rebase back: %w", errors.Join(err, cause))
		}
	}
	// It also ends a merge that is under way.
	if _, err := t.Run(ctx, "reset", "--quiet", "--hard", head); err != nil {
		return fmt.Errorf("taking a failed merge back: %w", errors.Join(err, cause))
	}
	// Git exits with 1 for conflicts, and with other codes where it could not do its work.
	if gitErr := (*Error)(nil); errors.As(cause, &gitErr) && gitErr.ExitCode == 1 {
		return fmt.Errorf("%w: %w", ErrConflict, cause)
	}
	return cause
}

// MergeAndCheckout checks out the base and merges the heads into it, in order.
func (t *Tree) MergeAndCheckout(ctx context.Context, baseSHA string, strategy MergeStrategy, heads ...string) error {
	if baseSHA == "" {
		return errors.New("baseSHA must be set")
	}
	if err := t.Checkout(ctx, baseSHA); err != nil {
		return err
	}
	for _, head := range heads {
		if err := t.Merge(ctx, head, strategy); err != nil {
			return fmt.Errorf("merging %s into %s: %w", head, baseSHA, err)
		}
	}
	return nil
}

func noFlag(commitish string) error {
	if commitish == "" || slices.Contains([]byte("-:^"), commitish[0]) {
		return fmt.Errorf("%q is no commit", commitish)
	}
	return nil
}
