package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A new fork takes a while to appear: seconds mostly, and minutes where the
// repository is large. The pauses double up to the longest.
const (
	forkWait        = time.Second
	forkLongestWait = 30 * time.Second
	forkPolls       = 16
)

// CreateFork forks a repository into the account the client acts under and
// returns the name of the fork, which may differ where the name is taken. The
// fork may not be there yet.
func (c *Client) CreateFork(ctx context.Context, org, repo string) (string, error) {
	out := Repo{Name: repo}
	err := c.postAgain(ctx, repoPath(org, repo, "forks"), nil, &out, http.StatusAccepted)
	return out.Name, err
}

// EnsureFork forks a repository into the account of a user, which is the
// client's own, unless there is a fork, and waits until it is there. It returns
// the name of the fork.
func (c *Client) EnsureFork(ctx context.Context, user, org, repo string) (string, error) {
	failed := func(err error) (string, error) {
		return "", fmt.Errorf("ensure that %s has a fork of %s/%s: %w", user, org, repo, err)
	}
	// Lists of repositories do not tell what a fork is one of: the repository does.
	is, err := c.isFork(ctx, user, repo, org, repo)
	if err != nil {
		return failed(err)
	}
	if is {
		return repo, nil
	}
	name, err := c.CreateFork(ctx, org, repo)
	if err != nil {
		return failed(err)
	}
	if c.dryRun {
		return name, nil
	}
	wait := forkWait
	for range forkPolls {
		if is, err = c.isFork(ctx, user, name, org, repo); is {
			return name, nil
		}
		if err != nil {
			return failed(err)
		}
		if err := c.sleep(ctx, wait); err != nil {
			return failed(err)
		}
		wait = min(2*wait, forkLongestWait)
	}
	return failed(fmt.Errorf("it has not appeared after %d looks", forkPolls))
}

// isFork tells whether a repository is there and a fork of another.
func (c *Client) isFork(ctx context.Context, owner, name, org, repo string) (bool, error) {
	var fork struct {
		Repo
		Parent *Repo `json:"parent"`
		Source *Repo `json:"source"`
	}
	_, err := c.send(ReadFresh(ctx), request{method: http.MethodGet, path: repoPath(owner, name), probe: true}, &fork)
	if IsNotFound(err) {
		return false, nil
	}
	if err != nil || !fork.Fork {
		return false, err
	}
	for _, origin := range []*Repo{fork.Parent, fork.Source} {
		if origin != nil && strings.EqualFold(origin.FullName, org+"/"+repo) {
			return true, nil
		}
	}
	return false, nil
}
