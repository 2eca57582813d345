package git

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// CheckoutNewBranch makes a branch of what is checked out, and checks it out.
func (t *Tree) CheckoutNewBranch(ctx context.Context, branch string) error {
	if err := branchName(branch); err != nil {
		return err
	}
	_, err := t.Run(ctx, "checkout", "--quiet", "--no-track", "-b", branch)
	return err
}

// BranchExists tells whether the repository the tree comes from has a branch now.
func (t *Tree) BranchExists(ctx context.Context, branch string) (bool, error) {
	if err := branchName(branch); err != nil {
		return false, err
	}
	remote, err := t.cache.remotes(ctx, t.org, t.repo)
	if err != nil {
		return false, err
	}
	out, err := t.cache.talk(ctx, remote, t.dir, "ls-remote", "--heads", remote.URL, "refs/heads/"+branch)
	return out != "", err
}

// FetchRef gets what a refspec names from the repository the tree comes from, as
// FETCH_HEAD and wherever the refspec says.
func (t *Tree) FetchRef(ctx context.Context, refspec string) error {
	if strings.HasPrefix(refspec, "-") || refspec == "" {
		return fmt.Errorf("%q is no refspec", refspec)
	}
	remote, err := t.cache.remotes(ctx, t.org, t.repo)
	if err != nil {
		return err
	}
	if _, err := t.cache.talk(ctx, remote, t.dir, "fetch", "--quiet", remote.URL, refspec); err != nil {
		return fmt.Errorf("fetching %s of %s/%s: %w", refspec, t.org, t.repo, err)
	}
	return nil
}

// CheckoutPullRequest gets the head of a pull request and checks it out as a
// branch named pull and its number.
func (t *Tree) CheckoutPullRequest(ctx context.Context, number int) error {
	if err := t.FetchRef(ctx, "pull/"+strconv.Itoa(number)+"/head"); err != nil {
		return err
	}
	if err := t.Checkout(ctx, "FETCH_HEAD"); err != nil {
		return err
	}
	return t.CheckoutNewBranch(ctx, "pull"+strconv.Itoa(number))
}

// ResetHard makes the tree be as a commit: changes, and files that git does not
// know, are gone.
func (t *Tree) ResetHard(ctx context.Context, commitish string) error {
	if err := noFlag(commitish); err != nil {
		return err
	}
	if _, err := t.Run(ctx, "clean", "--quiet", "-df"); err != nil {
		return err
	}
	_, err := t.Run(ctx, "reset", "--quiet", "--hard", commitish, "--")
	return err
}

// IsDirty tells whether the tree differs from what is checked out.
func (t *Tree) IsDirty(ctx context.Context) (bool, error) {
	out, err := t.Run(ctx, "status", "--porcelain")
	return out != "", err
}

// RevParseAll resolves several names at once.
func (t *Tree) RevParseAll(ctx context.Context, commitishes ...string) (map[string]string, error) {
	args := []string{"rev-parse"}
	for _, name := range commitishes {
		if err := noFlag(name); err != nil {
			return nil, err
		}
		args = append(args, name+"^{commit}")
	}
	out, err := t.Run(ctx, args...)
	if err != nil {
		return nil, err
	}
	hashes := strings.Fields(out)
	if len(hashes) != len(commitishes) {
		return nil, fmt.Errorf("git rev-parse answers %d names with %d hashes", len(commitishes), len(hashes))
	}
	found := make(map[string]string, len(hashes))
	for i, name := range commitishes {
		found[name] = hashes[i]
	}
	return found, nil
}

// ShowRef is the hash of a ref; of an annotated tag that of the tag.
func (t *Tree) ShowRef(ctx context.Context, ref string) (string, error) {
	if err := noFlag(ref); err != nil {
		return "", err
	}
	out, err := t.Run(ctx, "show-ref", "--hash", "--", ref)
	first, _, _ := strings.Cut(out, "\n")
	return first, err
}

// ChangedFiles lists the files in which two commits differ.
func (t *Tree) ChangedFiles(ctx context.Context, from, to string) ([]string, error) {
	if err := errors.Join(noFlag(from), noFlag(to)); err != nil {
		return nil, err
	}
	out, err := t.Run(ctx, "diff", "--name-only", "--no-renames", "-z", from, to, "--")
	return split(out), err
}

// split parses a list whose items end with a NUL.
func split(out string) []string {
	out = strings.TrimSuffix(out, "\x00")
	if out == "" {
		return nil
	}
	return strings.Split(out, "\x00")
}

// HasMergeCommits tells whether a head has merge commits that a target has not.
func (t *Tree) HasMergeCommits(ctx context.Context, target, head string) (bool, error) {
	if err := errors.Join(noFlag(target), noFlag(head)); err != nil {
		return false, err
	}
	out, err := t.Run(ctx, "rev-list", "--merges", "--max-count=1", target+".."+head, "--")
	return out != "", err
}

// branchName refuses what is no branch, before git takes it for something else.
func branchName(branch string) error {
	bad := branch == "" || strings.HasPrefix(branch, "-") || strings.HasPrefix(branch, "/") || strings.HasSuffix(branch, "/") ||
		strings.HasSuffix(branch, ".lock") || strings.HasSuffix(branch, ".") ||
		strings.Contains(branch, "..") || strings.Contains(branch, "@{") || strings.Contains(branch, "//") ||
		strings.ContainsAny(branch, " ~^:?*[\\\x7f") || strings.ContainsFunc(branch, func(r rune) bool { return r < ' ' })
	if bad {
		return fmt.Errorf("%q is no name of a branch", branch)
	}
	return nil
}
