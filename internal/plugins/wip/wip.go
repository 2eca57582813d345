// Package wip keeps pull requests from being merged that are not ready: drafts,
// and those whose title says so.
package wip

import (
	"context"
	"regexp"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "wip"

var titleRe = regexp.MustCompile(`(?i)^\W?WIP\W`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The wip (Work In Progress) plugin keeps the '" + plugins.LabelWorkInProgress +
			"' label on pull requests that are drafts or whose title starts with 'WIP', so that they are not merged.",
		Labels:   []plugins.ManagedLabel{{Name: plugins.LabelWorkInProgress, Present: "it is a draft or its title begins with WIP; mark it as ready or change the title"}},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

// unready tells whether a pull request is not ready to be merged.
func unready(title string, draft bool) bool { return draft || titleRe.MatchString(title) }

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionEdited, github.ActionReadyForReview, github.ActionConvertedToDraft:
	default:
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	return a.SetLabel(ctx, org, repo, e.Number, labels, plugins.LabelWorkInProgress, unready(e.PullRequest.Title, e.PullRequest.Draft))
}
