// Package hold keeps pull requests from being merged while somebody says so.
package hold

import (
	"context"
	"fmt"
	"regexp"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "hold"

// What follows a command on its line is a remark.
var (
	holdRe   = regexp.MustCompile(`(?mi)^/hold(\s.*)?$`)
	cancelRe = regexp.MustCompile(`(?mi)^/(remove-hold|hold\s+cancel|unhold)(\s.*)?$`)
)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The hold plugin lets anyone keep a pull request from being merged, by adding and removing the '" + plugins.LabelHold + "' label.",
		Commands: []plugins.Command{{
			Usage: "/hold [cancel]", WhoCanUse: "Anyone can use the /hold command to add or remove the '" + plugins.LabelHold + "' label.",
			Description: "Adds or removes the '" + plugins.LabelHold + "' label, which keeps the pull request from being merged.",
			Examples:    []string{"/hold", "/hold until the release is out", "/hold cancel", "/unhold", "/remove-hold"},
		}},
		Handlers: plugins.Handlers{Comment: handle},
	}
}

// wish is what a text asks for.
type wish int

const (
	nothing wish = iota
	hold
	release
)

// wishOf reads a text. To release comes first: "/hold cancel" looks like a hold
// with a remark.
func wishOf(text string) wish {
	switch {
	case cancelRe.MatchString(text):
		return release
	case holdRe.MatchString(text):
		return hold
	}
	return nothing
}

func handle(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) error {
	if e.Action != github.CommentCreated || !e.IsPR {
		return nil
	}
	wish := wishOf(e.Body)
	if wish == nothing {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	labels, err := a.GitHub.GetIssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("reading the labels: %w", err)
	}
	held := github.HasLabel(plugins.LabelHold, labels)
	switch {
	case wish == hold && !held:
		err = a.GitHub.AddLabels(ctx, org, repo, e.Number, plugins.LabelHold)
	case wish == release && held:
		err = a.GitHub.RemoveLabel(ctx, org, repo, e.Number, plugins.LabelHold)
	}
	if err != nil {
		return fmt.Errorf("changing the label %s: %w", plugins.LabelHold, err)
	}
	return nil
}
