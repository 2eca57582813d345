// Package cherrypickapproved lets release managers approve pull requests to release
// branches by an approving review.
package cherrypickapproved

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "cherry-pick-approved"

// blocking are labels each of which keeps a pull request from being approved.
var blocking = []string{
	plugins.LabelBlockedPaths, plugins.LabelCLANo, plugins.LabelHold, plugins.LabelInvalidOwnersFile, plugins.LabelInvalidBug,
	plugins.LabelMergeCommits, plugins.LabelNeedsOkToTest, plugins.LabelNeedsRebase, plugins.LabelReleaseNoteNeeded, plugins.LabelWorkInProgress,
}

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The cherry-pick-approved plugin sets the '" + plugins.LabelCherryPickApproved + "' label on a pull request to a release branch when one of the " +
			"configured approvers approves it in a review, unless something else keeps it from being merged.",
		Config: describeConfig,
		Snippet: "cherry_pick_approved:\n- org: org\n  repo: repo\n  branchregexp: ^release-.*$\n  approvers:\n  - release-manager\n" +
			"  allow_missing_lgtm_label: true\n  allow_missing_approved_label: true\n",
		Labels: []plugins.ManagedLabel{
			{Name: plugins.LabelCherryPickApproved, Present: "a release manager has approved it for its release branch"},
			{Name: plugins.LabelCherryPickNotApproved, Present: "a release manager has to approve it in a review"},
		},
		Handlers: plugins.Handlers{Review: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		if c := configFor(cfg, org, repo); c != nil {
			out[full] = fmt.Sprintf("On branches that match %s approve: %s.", c.BranchRegexp, strings.Join(c.Approvers, ", "))
		}
	}
	return out
}

// configFor is the entry for a repository: the last one; nil without one.
func configFor(cfg *pluginconfig.Configuration, org, repo string) *pluginconfig.CherryPickApproved {
	for i := len(cfg.CherryPickApproved) - 1; i >= 0; i-- {
		if c := &cfg.CherryPickApproved[i]; c.Org == org && c.Repo == repo {
			return c
		}
	}
	return nil
}

// approves tells whether a review is an approval that counts.
func approves(c *pluginconfig.CherryPickApproved, e *github.ReviewEvent) bool {
	return c != nil && e.Action == github.ActionSubmitted && strings.EqualFold(e.Review.State, github.ReviewApproved) &&
		c.BranchRe().MatchString(e.PullRequest.Base.Ref) &&
		slices.ContainsFunc(c.Approvers, func(login string) bool { return github.NormLogin(login) == github.NormLogin(e.Review.User.Login) })
}

// refusalByLabels tells why labels keep a pull request from being approved; "" if
// they do not.
func refusalByLabels(c *pluginconfig.CherryPickApproved, labels []github.Label) string {
	switch {
	case !c.AllowMissingLGTMLabel && !github.HasLabel(plugins.LabelLGTM, labels):
		return "it lacks the label " + plugins.LabelLGTM
	case !c.AllowMissingApprovedLabel && !github.HasLabel(plugins.LabelApproved, labels):
		return "it lacks the label " + plugins.LabelApproved
	}
	for _, label := range blocking {
		if github.HasLabel(label, labels) {
			return "it has the label " + label
		}
	}
	return ""
}

// refusalByStatuses is the same of the results of the head.
func refusalByStatuses(results []plugins.Result) string {
	for _, r := range results {
		if r.State == github.StatusFailure || r.State == github.StatusError {
			return "the context " + r.Context + " has failed"
		}
	}
	return ""
}

func handle(ctx context.Context, a *plugins.Agent, e *github.ReviewEvent) error {
	org, repo, pr := e.Repo.Owner.Login, e.Repo.Name, &e.PullRequest
	c := configFor(a.Plugins, org, repo)
	if !approves(c, e) {
		return nil
	}
	labels, err := a.IssueLabels(ctx, org, repo, pr.Number)
	if err != nil {
		return err
	}
	if github.HasLabel(plugins.LabelCherryPickApproved, labels) && !github.HasLabel(plugins.LabelCherryPickNotApproved, labels) {
		return nil
	}
	refusal := refusalByLabels(c, labels)
	if refusal == "" {
		results, err := a.Results(ctx, org, repo, pr.Head.SHA, false)
		if err != nil {
			return err
		}
		refusal = refusalByStatuses(results)
	}
	if refusal != "" {
		a.Log.InfoContext(ctx, "the pull request is not approved for the release", "approver", e.Review.User.Login, "reason", refusal)
		return nil
	}
	return errors.Join(
		a.SetLabel(ctx, org, repo, pr.Number, labels, plugins.LabelCherryPickApproved, true),
		a.SetLabel(ctx, org, repo, pr.Number, labels, plugins.LabelCherryPickNotApproved, false))
}
