// Package ownerslabel adds the labels to pull requests that the OWNERS files give to
// the changed files.
package ownerslabel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "owners-label"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The owners-label plugin adds the labels to pull requests that the <code>labels</code> of OWNERS files give to the changed files. It removes none.",
		Handlers:    plugins.Handlers{PullRequest: handle},
	}
}

// decide sorts the labels that are wanted: those to add, and those the repository
// lacks.
func decide(wanted []string, onPull, inRepo []github.Label) (add, missing []string) {
	for _, label := range wanted {
		switch {
		case github.HasLabel(label, onPull):
		case slices.ContainsFunc(inRepo, func(l github.Label) bool { return l.Name == label }):
			add = append(add, label)
		default:
			missing = append(missing, label)
		}
	}
	return add, missing
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
	default:
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	wanted, err := wantedLabels(ctx, a, org, repo, e.Number, e.PullRequest.Base.Ref)
	if err != nil || len(wanted) == 0 {
		return err
	}
	onPull, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(wanted, func(l string) bool { return !github.HasLabel(l, onPull) }) {
		return nil
	}
	inRepo, err := a.GitHub.GetRepoLabels(ctx, org, repo)
	if err != nil {
		return fmt.Errorf("listing the labels of %s/%s: %w", org, repo, err)
	}
	add, missing := decide(wanted, onPull, inRepo)
	if len(missing) > 0 {
		a.Log.WarnContext(ctx, "OWNERS files name labels that the repository lacks", "labels", strings.Join(missing, ", "))
	}
	if len(add) == 0 {
		return nil
	}
	if err := a.GitHub.AddLabels(ctx, org, repo, e.Number, add...); err != nil {
		return fmt.Errorf("adding the labels %q to %s/%s#%d: %w", add, org, repo, e.Number, err)
	}
	return nil
}

// wantedLabels are the labels of the changed files, in order. Labels that OWNERS
// files may not hold, such as that of an approval, do not count.
func wantedLabels(ctx context.Context, a *plugins.Agent, org, repo string, number int, branch string) ([]string, error) {
	index, err := a.Owners.LoadLabels(ctx, org, repo, branch)
	if err != nil {
		return nil, err
	}
	if !index.HasLabels() {
		return nil, nil
	}
	changes, err := a.GitHub.GetPullRequestChanges(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, repo, number, err)
	}
	wanted := sets.New[string]()
	for _, c := range changes {
		wanted.Insert(index.Labels(c.Filename).UnsortedList()...)
	}
	return slices.DeleteFunc(sets.List(wanted), func(label string) bool {
		return slices.ContainsFunc(a.Plugins.Owners.LabelsDenyList, func(denied string) bool { return strings.EqualFold(denied, label) })
	}), nil
}
