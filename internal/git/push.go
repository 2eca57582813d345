package git

import (
	"context"
	"fmt"
)

// Push says where a branch goes.
type Push struct {
	// Org and Repo are the repository; where they are empty, it is the one the tree
	// comes from. A fork belongs to the login of the account that pushes.
	Org, Repo string
	Branch    string
	// Force lets it replace what is there.
	Force bool
}

// Push sends a branch of the tree to a branch of the same name. The credentials
// are those for the repository it goes to.
func (t *Tree) Push(ctx context.Context, to Push) error {
	if to.Org == "" {
		to.Org = t.org
	}
	if to.Repo == "" {
		to.Repo = t.repo
	}
	if err := branchName(to.Branch); err != nil {
		return err
	}
	failed := func(err error) error {
		return fmt.Errorf("pushing branch %s to %s/%s: %w", to.Branch, to.Org, to.Repo, err)
	}
	remote, err := t.cache.remotes(ctx, to.Org, to.Repo)
	if err != nil {
		return failed(err)
	}
	args := []string{"push", "--quiet"}
	if to.Force {
		args = append(args, "--force")
	}
	ref := "refs/heads/" + to.Branch
	if _, err := t.cache.talk(ctx, remote, t.dir, append(args, remote.URL, ref+":"+ref)...); err != nil {
		return failed(err)
	}
	return nil
}
