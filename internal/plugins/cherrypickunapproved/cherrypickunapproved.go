// Package cherrypickunapproved keeps pull requests to release branches from being
// merged until somebody has approved them for the release.
package cherrypickunapproved

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "cherry-pick-unapproved"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The cherry-pick-unapproved plugin keeps pull requests to release branches from being merged, by the '" + plugins.LabelCherryPickNotApproved +
			"' label, until they have the '" + plugins.LabelCherryPickApproved + "' label.",
		Config: func(cfg *pluginconfig.Configuration, _ []string) map[string]string {
			return map[string]string{"": "Release branches match " + cfg.CherryPickUnapproved.BranchRegexp + "."}
		},
		Snippet: "cherry_pick_unapproved:\n  branchregexp: ^release-.*$\n  comment: A release manager has to approve this.\n",
		Labels: []plugins.ManagedLabel{{
			Name:    plugins.LabelCherryPickNotApproved,
			Present: "it goes to a release branch and has not been approved for it; a release manager has to set the label " + plugins.LabelCherryPickApproved,
		}, {
			Name: plugins.LabelCherryPickApproved, Present: "it is approved for its release branch",
		}},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

// verdict is what an event means for labels and comment.
type verdict int

const (
	nothing verdict = iota
	// judge: by the label of the approval.
	judge
	// forget: the pull request has left the release branches.
	forget
)

// decide tells what an event means.
func decide(e *github.PullRequestEvent, releases *regexp.Regexp) verdict {
	in := releases.MatchString(e.PullRequest.Base.Ref)
	concerns := false
	switch e.Action {
	case github.ActionOpened, github.ActionReopened:
		concerns = true
	case github.ActionLabeled, github.ActionUnlabeled:
		concerns = strings.EqualFold(e.Label.Name, plugins.LabelCherryPickApproved) || strings.EqualFold(e.Label.Name, plugins.LabelCherryPickNotApproved)
	case github.ActionEdited:
		before := e.BaseRefBefore()
		was := before != "" && releases.MatchString(before)
		if was && !in {
			return forget
		}
		// An approval is of the change for a release; between releases it stays.
		concerns = before != "" && !was
	}
	if concerns && in {
		return judge
	}
	return nothing
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	cfg := &a.Plugins.CherryPickUnapproved
	v := decide(e, cfg.BranchRe())
	if v == nothing {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	blocked := v == judge && !github.HasLabel(plugins.LabelCherryPickApproved, labels)
	var errs []error
	// Whoever approves may take the other label away as well, as the plugin
	// cherry-pick-approved does, but the comment is of this one.
	answered := !blocked && e.Action == github.ActionLabeled
	if answered || blocked != github.HasLabel(plugins.LabelCherryPickNotApproved, labels) {
		text := ""
		if blocked {
			text = plugins.Say(cfg.Comment)
		}
		// The label comes last: while it is not as it should be, the comment is looked at.
		errs = append(errs, a.KeepComment(ctx, org, repo, e.Number, cfg.Comment, text),
			a.SetLabel(ctx, org, repo, e.Number, labels, plugins.LabelCherryPickNotApproved, blocked))
	}
	if v == forget {
		errs = append(errs, a.SetLabel(ctx, org, repo, e.Number, labels, plugins.LabelCherryPickApproved, false))
	}
	return errors.Join(errs...)
}
