// Package branchcleaner deletes the branches of merged pull requests.
package branchcleaner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "branchcleaner"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The branchcleaner plugin deletes the branch of a pull request after the merge, if it is in the same repository, " +
			"has not moved on, is not needed by another open pull request, and is not preserved by the configuration.",
		Config:   describeConfig,
		Snippet:  "branch_cleaner:\n  preserved_branches:\n    org:\n    - ^release-\n    org/repo:\n    - staging\n",
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, _, _ := strings.Cut(full, "/")
		preserved := slices.Concat(cfg.BranchCleaner.PreservedBranches[full], cfg.BranchCleaner.PreservedBranches[org])
		slices.Sort(preserved)
		if len(preserved) > 0 {
			out[full] = "Preserved branches: " + strings.Join(slices.Compact(preserved), ", ") + "."
		}
	}
	return out
}

// candidate tells whether the branch of a pull request may go, as far as the event
// and the configuration tell.
func candidate(e *github.PullRequestEvent, cfg *pluginconfig.BranchCleaner) bool {
	pr := &e.PullRequest
	return e.Action == github.ActionClosed && pr.Merged && pr.Head.Ref != "" && pr.Head.Ref != pr.Base.Repo.DefaultBranch &&
		pr.Head.Repo.FullName == pr.Base.Repo.FullName && !cfg.IsPreservedBranch(pr.Base.Repo.Owner.Login, pr.Base.Repo.Name, pr.Head.Ref)
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	if !candidate(e, &a.Plugins.BranchCleaner) {
		return nil
	}
	org, repo, branch := e.Repo.Owner.Login, e.Repo.Name, e.PullRequest.Head.Ref
	failed := func(err error) error {
		return fmt.Errorf("deleting the branch %s of %s/%s: %w", branch, org, repo, err)
	}
	head, err := a.GitHub.GetRef(ctx, org, repo, "heads/"+branch)
	if github.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	if head != e.PullRequest.Head.SHA {
		a.Log.InfoContext(ctx, "the branch stays: it has moved on since", "branch", branch, "head", head)
		return nil
	}
	open, err := a.GitHub.PullRequestsOfBranch(ctx, org, repo, branch)
	if err != nil {
		return failed(err)
	}
	if len(open) > 0 {
		a.Log.InfoContext(ctx, "the branch stays: another pull request needs it", "branch", branch, "needed-by", open[0].Number)
		return nil
	}
	if err := a.GitHub.DeleteRef(ctx, org, repo, "heads/"+branch); err != nil && !github.IsNotFound(err) && !github.IsUnprocessable(err) {
		return failed(err)
	}
	return nil
}
