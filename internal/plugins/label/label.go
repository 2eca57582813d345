// Package label sets and takes labels as comments say: labels of a few categories
// such as kind/bug, and those that the configuration lists. Some labels only some
// people may set.
package label

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "label"

var (
	categories = []string{"area", "committee", "kind", "language", "priority", "sig", "triage", "wg"}
	// needed are categories of which an issue should have a label: where the last one
	// goes, needs-CATEGORY comes if the repository has it.
	needed = []string{"kind", "priority", "sig", "triage"}

	categoryRe = regexp.MustCompile(`(?m)^/(remove-)?(` + strings.Join(categories, "|") + `)[ \t]+(\S.*?)[ \t]*\r?$`)
	labelRe    = regexp.MustCompile(`(?m)^/(remove-)?label[ \t]+(\S+)[ \t]*\r?$`)
)

// triageAccepted is for members of the org.
const triageAccepted = "triage/accepted"

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The label plugin adds and removes labels: those of the categories " + strings.Join(categories, ", ") +
			", and further ones that the configuration lists. Labels can be reserved for some people.",
		Config: describeConfig,
		Snippet: "label:\n  additional_labels:\n  - api-review\n  restricted_labels:\n    org/repo:\n    - label: tide/merge-method-squash\n" +
			"      allowed_teams: [maintainers]\n      allowed_users: [alice]\n      assign_on:\n      - label: needs-decision\n",
		Commands: []plugins.Command{
			{
				Usage: "/[remove-](" + strings.Join(categories, "|") + ") <name>...", Who: plugins.Decides("Anyone can use this command, but triage/accepted takes membership of the organisation, and restricted labels take what the configuration says."),
				Description: "Adds or removes labels CATEGORY/NAME that the repository has.",
				Examples:    []string{"/kind bug", "/kind bug cleanup", "/remove-area testing", "/triage accepted"},
				Match:       categoryRe,
			},
			{
				Usage: "/[remove-]label <name>", Who: plugins.Decides("Anyone can use this command for the labels of the configuration, but restricted ones take what it says."),
				Description: "Adds or removes a label that the configuration lists.",
				Examples:    []string{"/label api-review", "/remove-label api-review"},
				Match:       labelRe,
			},
		},
		Handlers: plugins.Handlers{Comment: handleComment, CommentConcerns: concerns, PullRequest: handlePullRequest},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		var says []string
		if more := cfg.Label.AdditionalLabels; len(more) > 0 {
			says = append(says, "/label knows: "+strings.Join(more, ", ")+".")
		}
		restricted := cfg.Label.RestrictedLabelsFor(org, repo)
		for _, key := range slices.Sorted(maps.Keys(restricted)) {
			r := restricted[key]
			says = append(says, fmt.Sprintf("%s is for the teams [%s] and the users [%s].", r.Label, strings.Join(r.AllowedTeams, ", "), strings.Join(r.AllowedUsers, ", ")))
		}
		if len(says) > 0 {
			out[full] = strings.Join(says, " ")
		}
	}
	return out
}

// concerns tells whether a text holds a command.
func concerns(_ *config.Config, e *github.CommentEvent) bool {
	return e.Action == github.CommentCreated && !wishOf(plugins.CommandText(e.Body)).empty()
}

func handleComment(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) error {
	w := wishOf(plugins.CommandText(e.Body))
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	restricted := a.Plugins.Label.RestrictedLabelsFor(org, repo)
	inRepo, onIssue := set{}, set{}
	var unsupported []string
	w, unsupported = w.supported(a.Plugins.Label.AdditionalLabels, restricted)
	if !w.empty() {
		labels, err := a.GitHub.GetRepoLabels(ctx, org, repo)
		if err != nil {
			return fmt.Errorf("listing the labels of %s/%s: %w", org, repo, err)
		}
		inRepo = setOf(labels)
		if labels, err = a.LabelsBefore(ctx, e); err != nil {
			return err
		}
		onIssue = setOf(labels)
	}
	p := decide(w, inRepo, onIssue)
	p.unsupported = unsupported
	g := guard{agent: a, event: e, restricted: restricted, known: map[string]bool{}}
	var errs []error
	allowed := func(labels []string, adding bool) (out []string) {
		for _, label := range labels {
			ok, err := g.allows(ctx, label, adding)
			if errs = append(errs, err); ok {
				out = append(out, label)
			}
		}
		return out
	}
	p.add, p.remove = allowed(p.add, true), allowed(p.remove, false)
	// What is missing is said before the last label goes: were it said afterwards,
	// the process could die in between, and nobody would know any more.
	if add := append(p.needs(inRepo, onIssue), p.add...); len(add) > 0 {
		if err := a.GitHub.AddLabels(ctx, org, repo, e.Number, add...); err != nil {
			return fmt.Errorf("adding the labels %q to %s/%s#%d: %w", add, org, repo, e.Number, err)
		}
	}
	for _, label := range p.remove {
		if err := a.GitHub.RemoveLabel(ctx, org, repo, e.Number, label); err != nil {
			errs = append(errs, fmt.Errorf("removing the label %s of %s/%s#%d: %w", label, org, repo, e.Number, err))
		}
	}
	if text := strings.Join(append(g.refusals, p.problems(a.Plugins.Label.AdditionalLabels, restricted)...), "\n\n"); text != "" {
		errs = append(errs, a.Reply(ctx, e, text))
	}
	return errors.Join(errs...)
}

// handlePullRequest assigns those who may set a restricted label when a label says
// that they are needed.
func handlePullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	if e.Action != github.ActionLabeled {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	logins := called(e.Label.Name, a.Plugins.Label.RestrictedLabelsFor(org, repo), e.PullRequest.Assignees)
	if len(logins) == 0 {
		return nil
	}
	if err := a.GitHub.AssignIssue(ctx, org, repo, e.Number, logins); err != nil {
		return fmt.Errorf("assigning those who may decide: %w", err)
	}
	return nil
}

// called are those whom a label calls and who are not assigned yet.
func called(label string, restricted map[string]pluginconfig.RestrictedLabel, assignees []github.User) []string {
	assigned := map[string]bool{}
	for _, u := range assignees {
		assigned[github.NormLogin(u.Login)] = true
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(restricted)) {
		r := restricted[key]
		if !slices.ContainsFunc(r.AssignOn, func(on pluginconfig.AssignOn) bool { return strings.EqualFold(on.Label, label) }) {
			continue
		}
		for _, login := range r.AllowedUsers {
			if norm := github.NormLogin(login); !assigned[norm] {
				assigned[norm] = true
				out = append(out, login)
			}
		}
	}
	return out
}
