// Package hold keeps pull requests from being merged while somebody says so.
package hold

import (
	"context"
	"regexp"
	"slices"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "hold"

// commandRe finds both commands. What follows one on its line is a remark.
var commandRe = regexp.MustCompile(`(?mi)^/(?:(remove-hold|hold[ \t]+cancel|unhold)|hold)(?:[ \t].*)?\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The hold plugin lets anyone keep a pull request from being merged, by adding and removing the '" + plugins.LabelHold + "' label.",
		Labels:      []plugins.ManagedLabel{{Name: plugins.LabelHold, Present: "somebody holds the pull request; /hold cancel releases it"}},
		Commands: []plugins.Command{{
			Usage: "/hold [cancel]", Who: plugins.Anyone(),
			Description: "Adds or removes the '" + plugins.LabelHold + "' label, which keeps the pull request from being merged.",
			Examples:    []string{"/hold", "/hold until the release is out", "/hold cancel", "/unhold", "/remove-hold"},
			Match:       commandRe, Scope: plugins.PullRequests, Run: run,
		}},
	}
}

// releases tells whether a text asks to release: that comes first where it asks for both.
func releases(uses [][]string) bool {
	return slices.ContainsFunc(uses, func(use []string) bool { return use[1] != "" })
}

func run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	return a.WishLabel(ctx, e, plugins.LabelHold, !releases(uses))
}
