// Package milestonestatus labels issues and pull requests with how far they are on
// the way into a release.
package milestonestatus

import (
	"context"
	"errors"
	"regexp"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "milestonestatus"

const prefix = "status/"

// words are what can be set.
var words = []string{"approved-for-milestone", "in-progress", "in-review"}

var commandRe = regexp.MustCompile(`(?m)^/status[ \t]+(approved-for-milestone|in-progress|in-review)[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The milestonestatus plugin lets the team for milestones label issues and pull requests with a status.",
		Config:      plugins.DescribeMaintainers,
		Snippet:     "repo_milestone:\n  org/repo:\n    maintainers_team: milestone-maintainers\n",
		Commands: []plugins.Command{{
			Usage: "/status <approved-for-milestone|in-progress|in-review>", Who: plugins.MilestoneMaintainers(),
			Description: "Sets the label status/NAME, and takes the others away.",
			Examples:    []string{"/status approved-for-milestone", "/status in-review"},
			Match:       commandRe, Run: run,
		}},
	}
}

// run sets the last status of a text.
func run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	want := uses[len(uses)-1][1]
	var errs []error
	for _, word := range words {
		errs = append(errs, a.SetLabel(ctx, org, repo, e.Number, labels, prefix+word, word == want))
	}
	return errors.Join(errs...)
}
