// Package milestoneapplier puts pull requests into the milestone of their branch.
package milestoneapplier

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "milestoneapplier"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The milestoneapplier plugin puts pull requests into the milestone that the configuration gives to their base branch, " +
			"when they are merged, and when they are opened for another branch than the default one.",
		Config:   describeConfig,
		Snippet:  "milestone_applier:\n  org/repo:\n    main: v1.10\n    release-1.9: v1.9\n",
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		var says []string
		branches := cfg.MilestoneApplier[full]
		for _, branch := range slices.Sorted(maps.Keys(branches)) {
			says = append(says, branch+" is for "+branches[branch])
		}
		if len(says) > 0 {
			out[full] = "Milestones of branches: " + strings.Join(says, ", ") + "."
		}
	}
	return out
}

// due tells whether the event is the moment to apply a milestone.
func due(e *github.PullRequestEvent) bool {
	switch e.Action {
	case github.ActionClosed:
		return e.PullRequest.Merged
	case github.ActionOpened:
		return e.PullRequest.Base.Ref != e.PullRequest.Base.Repo.DefaultBranch
	}
	return false
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	title := a.Plugins.MilestoneApplier[org+"/"+repo][e.PullRequest.Base.Ref]
	if title == "" || e.PullRequest.Milestone != nil || !due(e) {
		return nil
	}
	failed := func(err error) error {
		return fmt.Errorf("putting %s/%s#%d into the milestone %q: %w", org, repo, e.Number, title, err)
	}
	all, err := a.GitHub.ListMilestones(ctx, org, repo)
	if err != nil {
		return failed(err)
	}
	i := slices.IndexFunc(all, func(m github.Milestone) bool { return m.Title == title })
	if i < 0 {
		a.Log.ErrorContext(ctx, "the configured milestone is not among the open ones of the repository", "milestone", title, "branch", e.PullRequest.Base.Ref)
		return nil
	}
	if err := a.GitHub.SetMilestone(ctx, org, repo, e.Number, all[i].Number); err != nil {
		return failed(err)
	}
	return nil
}
