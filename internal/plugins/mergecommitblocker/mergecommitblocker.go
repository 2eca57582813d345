// Package mergecommitblocker keeps pull requests from being merged that hold merge
// commits.
package mergecommitblocker

import (
	"context"
	"errors"
	"fmt"

	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "mergecommitblocker"

// marker begins the comment, and finds it again.
const marker = "Adding label `" + plugins.LabelMergeCommits + "` because PR contains merge commits, which are not allowed in this repository."

// maxListed is how many commits of a pull request the forge lists; with more, git
// is asked.
const maxListed = 250

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The mergecommitblocker plugin keeps pull requests from being merged that hold merge commits, by the '" + plugins.LabelMergeCommits + "' label.",
		Labels:      []plugins.ManagedLabel{{Name: plugins.LabelMergeCommits, Present: "it holds merge commits; rebase it"}},
		Handlers:    plugins.Handlers{PullRequest: handle},
	}
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
	default:
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	found, err := holdsMerges(ctx, a, e)
	if err != nil {
		return fmt.Errorf("looking for merge commits in %s/%s#%d: %w", org, repo, e.Number, err)
	}
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	if found == github.HasLabel(plugins.LabelMergeCommits, labels) {
		return nil
	}
	text := ""
	if found {
		text = plugins.Say(marker + "\nUse `git rebase` to reapply your commits on top of the target branch. " +
			"Detailed instructions for doing so can be found [here](https://git.k8s.io/community/contributors/guide/github-workflow.md#4-keep-your-branch-in-sync).")
	}
	// The label comes last: while it is not as it should be, the comment is looked at.
	return errors.Join(a.KeepComment(ctx, org, repo, e.Number, marker, text), a.SetLabel(ctx, org, repo, e.Number, labels, plugins.LabelMergeCommits, found))
}

// holdsMerges tells whether a commit of the pull request has several parents.
func holdsMerges(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) (bool, error) {
	org, repo, pr := e.Repo.Owner.Login, e.Repo.Name, &e.PullRequest
	if pr.Commits >= maxListed {
		return gitHoldsMerges(ctx, a.Git, org, repo, pr.Base.SHA, pr.Head.SHA)
	}
	commits, err := a.GitHub.ListPullRequestCommits(ctx, org, repo, e.Number)
	if err != nil {
		return false, err
	}
	for _, c := range commits {
		if len(c.Parents) > 1 {
			return true, nil
		}
	}
	return false, nil
}

func gitHoldsMerges(ctx context.Context, cache *git.Cache, org, repo, base, head string) (bool, error) {
	tree, err := cache.Tree(ctx, org, repo, git.Need{Commits: []string{base, head}})
	if err != nil {
		return false, err
	}
	defer func() { _ = tree.Close() }()
	first, err := tree.Run(ctx, "rev-list", "--merges", "--max-count=1", base+".."+head)
	return first != "", err
}
