package local

import (
	"context"
	"errors"
	"fmt"
)

// updatePull merges the base branch into the head branch.
func (f *Forge) updatePull(ctx context.Context, rp *repo, i *issue, actor *account, expected string) error {
	r := f.read(ctx)
	head, err := r.headRepo(rp, i.Pull)
	if err != nil {
		return err
	}
	if head == nil || i.State != "open" {
		return unprocessable("The head branch no longer exists.")
	}
	perm, err := r.granted(head, actor)
	if err != nil {
		return err
	}
	if perm < permWrite {
		basePerm, err := r.granted(rp, actor)
		if err != nil {
			return err
		}
		if !i.Pull.Modify || basePerm < permWrite {
			return forbidden("Must have push access to the head branch.")
		}
	}
	if expected != "" && expected != i.Pull.HeadSHA {
		return unprocessable("expected head sha didn’t match current head ref.")
	}
	unlock := f.lockRepo(head.ID)
	defer unlock()
	b := f.bare(head.ID)
	tip, err := r.refSHA(rp.ID, "refs/heads/"+i.Pull.BaseRef)
	if err != nil {
		return err
	}
	if head.ID != rp.ID {
		tmp := "refs/pull/incoming/" + tip
		if err := b.fetch(ctx, f.repoDir(rp.ID), tip, tmp); err != nil {
			return err
		}
		defer func() { _ = b.updateRef(context.WithoutCancel(ctx), tmp, "", tip) }()
	}
	if in, err := b.isAncestor(ctx, tip, i.Pull.HeadSHA); err != nil {
		return err
	} else if in {
		return unprocessable("There are no new commits on the base branch.")
	}
	tree, ok, err := b.mergeTrees(ctx, i.Pull.HeadSHA, tip)
	if err != nil {
		return err
	}
	if !ok {
		return unprocessable("merge conflict between base and head")
	}
	sha, err := b.commitTree(ctx, tree, []string{i.Pull.HeadSHA, tip}, f.userSignature(actor), f.forgeSignature(), fmt.Sprintf("Merge branch '%s' into %s\n", i.Pull.BaseRef, i.Pull.HeadRef))
	if err != nil {
		return err
	}
	if err := b.updateRef(ctx, "refs/heads/"+i.Pull.HeadRef, sha, i.Pull.HeadSHA); err != nil {
		if errors.Is(err, errRefMoved) {
			return unprocessable("expected head sha didn’t match current head ref.")
		}
		return err
	}
	return f.syncLocked(ctx, head.ID, actor)
}
