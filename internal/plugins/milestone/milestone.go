// Package milestone puts issues and pull requests into milestones as maintainers say.
package milestone

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "milestone"

// clearWord takes an issue out of its milestone.
const clearWord = "clear"

var commandRe = regexp.MustCompile(`(?m)^/milestone[ \t]+(\S.*?)[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The milestone plugin lets a configured team set the milestone of issues and pull requests.",
		Config:      plugins.DescribeMaintainers,
		Snippet:     "repo_milestone:\n  \"\":\n    maintainers_team: milestone-maintainers\n  org/repo:\n    maintainers_team: repo-maintainers\n    maintainers_friendly_name: the maintainers\n",
		Commands: []plugins.Command{{
			Usage: "/milestone <title>|clear", Who: plugins.MilestoneMaintainers(),
			Description: "Sets the milestone, which must be open, or clears it.",
			Examples:    []string{"/milestone v1.10", "/milestone clear"},
			Match:       commandRe, Run: run,
		}},
	}
}

// find is the milestone of a title.
func find(all []github.Milestone, title string) (github.Milestone, bool) {
	i := slices.IndexFunc(all, func(m github.Milestone) bool { return m.Title == title })
	if i < 0 {
		return github.Milestone{}, false
	}
	return all[i], true
}

// unknown says which titles there are.
func unknown(title string, all []github.Milestone) string {
	titles := make([]string, len(all))
	for i, m := range all {
		titles[i] = plugins.Code(m.Title)
	}
	slices.Sort(titles)
	there := "There are no open milestones."
	if len(titles) > 0 {
		there = "The open milestones are " + strings.Join(titles, ", ") + "."
	}
	return fmt.Sprintf("This repository has no open milestone %s. %s `/milestone %s` clears the milestone.", plugins.Code(title), there, clearWord)
}

// run obeys the last use of the command.
func run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	failed := func(err error) error {
		return fmt.Errorf("changing the milestone of %s/%s#%d: %w", org, repo, e.Number, err)
	}
	title := uses[len(uses)-1][1]
	if title == clearWord {
		if err := a.GitHub.ClearMilestone(ctx, org, repo, e.Number); err != nil {
			return failed(err)
		}
		return nil
	}
	all, err := a.GitHub.ListMilestones(ctx, org, repo)
	if err != nil {
		return failed(err)
	}
	m, ok := find(all, title)
	if !ok {
		return a.Reply(ctx, e, unknown(title, all))
	}
	if err := a.GitHub.SetMilestone(ctx, org, repo, e.Number, m.Number); err != nil {
		return failed(err)
	}
	return nil
}
