// Package mergemethodcomment tells authors of pull requests with several commits
// how these will be merged.
package mergemethodcomment

import (
	"context"
	"fmt"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "merge-method-comment"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The merge-method-comment plugin comments on pull requests with more than one commit, once, how they will be merged, " +
			"and which label changes that.",
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

// message tells how several commits are merged, and how to change that.
func message(method config.MergeMethod, mergeLabel, squashLabel string) string {
	const begin = "This PR has multiple commits, and the default merge method is: "
	switch {
	case method == config.MergeSquash && mergeLabel != "":
		return begin + string(method) + ".\nYou can request commits to be merged using the label: " + plugins.Code(mergeLabel)
	case method == config.MergeSquash:
		return begin + string(method) + ".\nCommits will be squashed, as no merge labels are defined."
	case method == config.MergeMerge && squashLabel != "":
		return begin + string(method) + ".\nYou can request commits to be squashed using the label: " + plugins.Code(squashLabel)
	case method == config.MergeMerge:
		return begin + string(method) + ".\nCommits will be merged, as no squash labels are defined."
	}
	return begin + string(method) + "."
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize, github.ActionEdited:
	default:
		return nil
	}
	if e.PullRequest.Commits <= 1 {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	tide := &a.Config.Tide
	text := message(tide.MergeMethod(org, repo, e.PullRequest.Base.Ref), tide.MergeLabel, tide.SquashLabel)
	if err := a.SayOnce(ctx, org, repo, e.Number, plugins.Say(text)); err != nil {
		return fmt.Errorf("telling the merge method: %w", err)
	}
	return nil
}
