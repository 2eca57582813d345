// Package size labels pull requests by how many lines they change. Generated files
// do not count.
package size

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "size"

// prefix of the labels.
const prefix = "size/"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The size plugin keeps one of the labels size/XS to size/XXL on pull requests, by the number of lines they change. " +
			"Files do not count that <code>.generated_files</code> lists, or to which <code>.gitattributes</code> gives <code>linguist-generated=true</code>.",
		Config: func(cfg *pluginconfig.Configuration, _ []string) map[string]string {
			s := cfg.Size.WithDefaults()
			return map[string]string{"": fmt.Sprintf("Labels by changed lines: size/XS below %d, size/S below %d, size/M below %d, size/L below %d, size/XL below %d, size/XXL from there.",
				s.S, s.M, s.L, s.Xl, s.Xxl)}
		},
		Snippet:  "size:\n  s: 10\n  m: 30\n  l: 100\n  xl: 500\n  xxl: 1000\n",
		Labels:   []plugins.ManagedLabel{{Name: prefix + "*", Present: "so many lines are changed"}},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

// labelFor is the label for a number of changed lines.
func labelFor(lines int, s pluginconfig.Size) string {
	switch {
	case lines < s.S:
		return prefix + "XS"
	case lines < s.M:
		return prefix + "S"
	case lines < s.L:
		return prefix + "M"
	case lines < s.Xl:
		return prefix + "L"
	case lines < s.Xxl:
		return prefix + "XL"
	}
	return prefix + "XXL"
}

// count is the number of changed lines in files that people have written.
func count(changes []github.PullRequestChange, generated func(path string) bool) (lines int) {
	for _, c := range changes {
		if !generated(c.Filename) {
			lines += c.Additions + c.Deletions
		}
	}
	return lines
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
	case github.ActionEdited:
		if !e.BaseChanged() {
			return nil // another title or text is no other size
		}
	default:
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	changes, err := a.GitHub.GetPullRequestChanges(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, repo, e.Number, err)
	}
	sources := reader{agent: a, org: org, repo: repo, commit: e.PullRequest.Base.SHA}
	generated, err := sources.generated(ctx)
	if err != nil {
		return err
	}
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	want := labelFor(count(changes, generated), a.Plugins.Size.WithDefaults())
	var errs []error
	for _, l := range labels {
		if strings.HasPrefix(l.Name, prefix) && !strings.EqualFold(l.Name, want) {
			errs = append(errs, a.SetLabel(ctx, org, repo, e.Number, labels, l.Name, false))
		}
	}
	return errors.Join(append(errs, a.SetLabel(ctx, org, repo, e.Number, labels, want, true))...)
}
