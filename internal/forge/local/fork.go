package local

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// reserveFork creates the row of a fork, which nobody sees until its content
// is there; an existing fork is returned with done set.
func (f *Forge) reserveFork(ctx context.Context, rp *repo, owner, actor *account, name string) (fork *repo, done bool, err error) {
	r := f.read(ctx)
	old, err := one(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.owner_id = ? AND r.parent_id = ?", owner.ID, rp.ID)
	if err == nil || !errors.Is(err, errNotFound) {
		return old, true, err
	}
	if name == "" {
		name = rp.Name
		for n := 1; ; n++ {
			taken, err := r.count("SELECT count(*) FROM repos WHERE owner_id = ? AND name = ?", owner.ID, name)
			if err != nil {
				return nil, false, err
			}
			if taken == 0 {
				break
			}
			name = fmt.Sprintf("%s-%d", rp.Name, n)
		}
	}
	if !validRepoName(name) {
		return nil, false, invalid("Repository", "name", "invalid", "")
	}
	fork = &repo{Owner: *owner, Name: name, Description: rp.Description, Private: rp.Private, DefaultBranch: rp.DefaultBranch, ParentID: rp.ID, AllowMerge: true, AllowSquash: true, AllowRebase: true}
	return fork, false, f.makeRepo(ctx, fork, actor)
}

// fillFork copies the content of the parent and then shows the fork. It may be repeated.
func (f *Forge) fillFork(ctx context.Context, parent, fork *repo, actor *account) error {
	if err := f.initBare(ctx, fork.ID); err != nil {
		return err
	}
	if _, err := f.bare(fork.ID).run(ctx, "fetch", "--quiet", "--no-write-fetch-head", "--end-of-options", f.repoDir(parent.ID), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return fmt.Errorf("copying %s: %w", parent.fullName(), err)
	}
	if err := f.syncRefs(ctx, fork.ID, actor); err != nil {
		return err
	}
	return f.write(ctx, func(t *txn) error {
		n, err := t.changed("UPDATE repos SET copying = 0 WHERE id = ? AND copying = 1", fork.ID)
		if err != nil || n == 0 {
			return err
		}
		return t.emit(parent, actor, "fork", "", obj{"forkee": t.f.repoJSON(fork)})
	})
}

// fork copies a repository to another owner; an existing fork is returned.
func (f *Forge) fork(ctx context.Context, rp *repo, owner, actor *account, name string) (*repo, error) {
	fork, done, err := f.reserveFork(ctx, rp, owner, actor, name)
	if err != nil || done {
		return fork, err
	}
	return fork, f.fillFork(ctx, rp, fork, actor)
}

// startFork answers at once and copies afterwards, as GitHub does. A copy that
// was cut off is finished at the next start.
func (f *Forge) startFork(ctx context.Context, rp *repo, owner, actor *account, name string) (*repo, error) {
	fork, done, err := f.reserveFork(ctx, rp, owner, actor, name)
	if err != nil || done {
		return fork, err
	}
	f.background.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		stop := context.AfterFunc(f.closing, cancel)
		defer stop()
		if err := f.fillFork(ctx, rp, fork, actor); err != nil && f.closing.Err() == nil {
			f.log.Error("Copying a fork failed; it is tried again at the next start.", "repo", fork.fullName(), "error", err)
		}
	})
	return fork, nil
}

// finishForks completes copies that were cut off.
func (f *Forge) finishForks(ctx context.Context) error {
	r := f.read(ctx)
	all, err := list(r, scanRepo, "SELECT "+repoCols+repoFrom+"WHERE r.copying = 1")
	if err != nil {
		return err
	}
	for i := range all {
		fork := &all[i]
		parent, err := r.repoID(fork.ParentID)
		if errors.Is(err, errNotFound) {
			err = f.write(ctx, func(t *txn) error {
				_, err := t.exec("DELETE FROM repos WHERE id = ?", fork.ID)
				return err
			})
			if err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		actor, err := r.accountID(fork.PusherID)
		if err != nil {
			return err
		}
		if err := f.fillFork(ctx, parent, fork, actor); err != nil {
			return err
		}
	}
	return nil
}

// removeDir deletes the git side of a repository.
func (f *Forge) removeDir(id int64) error {
	if err := os.RemoveAll(f.repoDir(id)); err != nil {
		return fmt.Errorf("removing the directory of a deleted repository: %w", err)
	}
	return nil
}

// removeOrphans deletes directories whose repositories are gone.
func (f *Forge) removeOrphans(known []int64) error {
	entries, err := os.ReadDir(f.opts.Dir + "/repos")
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, id := range known {
		keep[fmt.Sprintf("%d.git", id)] = true
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := os.RemoveAll(f.opts.Dir + "/repos/" + e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
