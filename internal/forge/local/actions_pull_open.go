package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// newPull is the body of pull request creation.
type newPull struct {
	Title    string `json:"title"`
	Body     string `json:"body"`
	Head     string `json:"head"`
	HeadRepo string `json:"head_repo"`
	Base     string `json:"base"`
	Draft    bool   `json:"draft"`
	Modify   *bool  `json:"maintainer_can_modify"`
	Issue    int    `json:"issue"`
}

// openPull opens a pull request for an existing branch of the repository or of
// one of its forks ("owner:branch").
func (f *Forge) openPull(ctx context.Context, rp *repo, actor *account, in newPull) (*issue, error) {
	r := f.read(ctx)
	head, branch := rp, in.Head
	if owner, b, ok := strings.Cut(in.Head, ":"); ok {
		branch = b
		if !strings.EqualFold(owner, rp.Owner.Login) {
			fork, err := one(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE a.login = ? AND (r.parent_id = ? OR r.id = ?)", owner, rp.ID, rp.ParentID)
			if errors.Is(err, errNotFound) {
				return nil, invalid("PullRequest", "head", "invalid", "")
			}
			if err != nil {
				return nil, err
			}
			head = fork
		}
	}
	if perm, err := r.permission(head, actor); err != nil {
		return nil, err
	} else if perm < permRead {
		return nil, invalid("PullRequest", "head", "invalid", "")
	}
	base := strings.TrimPrefix(in.Base, "refs/heads/")
	branch = strings.TrimPrefix(branch, "refs/heads/")
	unlock := f.lockRepo(rp.ID)
	defer unlock()
	baseSHA, err := r.refSHA(rp.ID, "refs/heads/"+base)
	if errors.Is(err, errNotFound) {
		return nil, invalid("PullRequest", "base", "invalid", "")
	}
	if err != nil {
		return nil, err
	}
	headSHA, err := r.refSHA(head.ID, "refs/heads/"+branch)
	if errors.Is(err, errNotFound) {
		return nil, invalid("PullRequest", "head", "invalid", "")
	}
	if err != nil {
		return nil, err
	}
	b := f.bare(rp.ID)
	if head.ID != rp.ID { // bring the objects; the number and so the final ref are not known yet
		tmp := "refs/pull/incoming/" + headSHA
		if err := b.fetch(ctx, f.repoDir(head.ID), headSHA, tmp); err != nil {
			return nil, err
		}
		defer func() {
			if err := b.updateRef(context.WithoutCancel(ctx), tmp, "", headSHA); err != nil {
				f.log.Debug("Removing a temporary ref failed.", "error", err)
			}
		}()
	}
	if in, err := b.isAncestor(ctx, headSHA, baseSHA); err != nil {
		return nil, err
	} else if in {
		return nil, invalid("PullRequest", "", "custom", fmt.Sprintf("No commits between %s:%s and %s:%s", rp.Owner.Login, base, head.Owner.Login, branch))
	}
	mb, err := b.mergeBase(ctx, baseSHA, headSHA)
	if err != nil {
		return nil, err
	}
	if mb == "" {
		return nil, invalid("PullRequest", "", "custom", fmt.Sprintf("The %s branch has no history in common with %s", branch, base))
	}
	size, err := b.stats(ctx, baseSHA, headSHA)
	if err != nil {
		return nil, err
	}
	p := &pull{
		HeadRepoID: head.ID, HeadRef: branch, HeadSHA: headSHA, BaseRef: base, BaseSHA: baseSHA, Draft: in.Draft, Modify: in.Modify == nil || *in.Modify,
		Additions: size.Additions, Deletions: size.Deletions, Files: size.Files, Commits: size.Commits,
	}
	// The ref is placed before the transaction: whoever hears of the pull
	// request can fetch it. Numbers are given under the repository's lock only
	// to pull requests, so a concurrent issue may take ours; then try the next.
	for {
		next, err := r.count("SELECT last_number + 1 FROM repos WHERE id = ?", rp.ID)
		if err != nil {
			return nil, err
		}
		if err := b.setRef(ctx, pullRef(next), headSHA); err != nil {
			return nil, err
		}
		var i *issue
		taken := false
		err = f.write(ctx, func(t *txn) error {
			if n, err := t.count("SELECT last_number + 1 FROM repos WHERE id = ?", rp.ID); err != nil || n != next {
				taken = err == nil
				return err
			}
			n, err := t.count("SELECT count(*) FROM issues i JOIN pulls p ON p.issue_id = i.id WHERE i.repo_id = ? AND i.state = 'open' AND p.head_repo_id = ? AND p.head_ref = ? AND p.base_ref = ?", rp.ID, head.ID, branch, base)
			if err != nil {
				return err
			}
			if n > 0 {
				return invalid("PullRequest", "", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", head.Owner.Login, branch))
			}
			i, err = t.openIssue(rp, actor, newIssue{Title: in.Title, Body: in.Body, Pull: p})
			return err
		})
		if taken {
			continue
		}
		if err != nil {
			if derr := b.updateRef(context.WithoutCancel(ctx), pullRef(next), "", headSHA); derr != nil {
				f.log.Debug("Removing an unused ref failed.", "error", derr)
			}
			return nil, err
		}
		return i, nil
	}
}

// newBase prepares the move of a pull request to another base branch; nil
// when none is asked for.
func (f *Forge) newBase(r *reader, rp *repo, i *issue, name *string) (*baseChange, error) {
	if name == nil || i.Pull == nil || *name == i.Pull.BaseRef {
		return nil, nil
	}
	if i.State != "open" {
		return nil, unprocessable("Cannot change the base branch of a closed pull request.")
	}
	sha, err := r.refSHA(rp.ID, "refs/heads/"+*name)
	if errors.Is(err, errNotFound) {
		return nil, invalid("PullRequest", "base", "invalid", fmt.Sprintf("Proposed base branch '%s' was not found", truncate(*name, 100)))
	}
	if err != nil {
		return nil, err
	}
	size, err := f.bare(rp.ID).stats(r.ctx, sha, i.Pull.HeadSHA)
	if err != nil {
		return nil, err
	}
	return &baseChange{*name, sha, size}, nil
}
