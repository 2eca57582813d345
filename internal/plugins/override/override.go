// Package override lets admins and other chosen people declare results of a pull
// request to be success, such as of a check that is broken or never runs.
//
// An override is written where the result is: a status, whose description names the
// base commit so that it lasts until the base moves, or a check run. For a job a
// ProwJob is made as well that has succeeded, since the merge automation looks at
// those. A sticky override lasts until the next push.
package override

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "override"

// Parts of descriptions by which other programs know overrides.
const (
	prefix       = "Overridden by"
	stickyMarker = "[prow:skip-retest]"
)

// New is the plugin.
func New() *plugins.Plugin {
	who := plugins.Decides("Admins of the repository, members of the teams that the configuration allows, and, if it says so, approvers of the root OWNERS file.")
	return &plugins.Plugin{
		Name:        Name,
		Description: "The override plugin lets admins and other chosen people declare failing results of a pull request to be success.",
		Config:      describeConfig,
		Snippet:     "override:\n  allow_top_level_owners: true\n  allowed_github_teams:\n    org/repo:\n    - team-slug\n",
		Commands: []plugins.Command{
			{
				Usage: "/override <context|job|check run>...", Who: who,
				Description: "Sets results to success until the base branch moves. A name with blanks stands in double quotes.",
				Examples:    []string{"/override pull-unit", `/override "test / Unit (linux)" ci/circle`},
				Match:       plainRe, Scope: plugins.OpenPullRequests,
			},
			{
				Usage: "/override-sticky <context|job|check run>...", Who: who,
				Description: "Sets results to success until the next push.",
				Examples:    []string{"/override-sticky pull-unit"},
				Match:       stickyRe, Scope: plugins.OpenPullRequests,
			},
			{
				Usage: "/override-cancel [<context|job|check run>...]", Who: who,
				Description: "Takes overrides back: the named ones or all.",
				Examples:    []string{"/override-cancel", "/override-cancel pull-unit"},
				Match:       cancelRe, Scope: plugins.OpenPullRequests,
			},
		},
		Handlers: plugins.Handlers{Comment: handle, CommentConcerns: concerns},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		says := []string{"Admins of the repository may override."}
		if teams := cfg.Override.TeamsFor(org, repo); len(teams) > 0 {
			says = append(says, "So may members of the teams "+strings.Join(teams, ", ")+".")
		}
		if cfg.Override.AllowTopLevelOwners {
			says = append(says, "So may approvers of the root OWNERS file.")
		}
		out[full] = strings.Join(says, " ")
	}
	return out
}

// concerns tells whether a text holds a command where it counts.
func concerns(_ *config.Config, e *github.CommentEvent) bool {
	return e.Action == github.CommentCreated && e.IsPR && e.IssueState == "open" && read(plugins.CommandText(e.Body)) != (requestOf{})
}

func handle(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) error {
	r := read(plugins.CommandText(e.Body))
	if r.incomplete() {
		return a.Reply(ctx, e, "`/override` needs the name of at least one context, job or check run.")
	}
	p := pull{agent: a, event: e, org: e.Repo.Owner.Login, repo: e.Repo.Name}
	return p.obey(ctx, r)
}

// obey carries a request out: cancel, sticky, plain; an error ends it.
func (p *pull) obey(ctx context.Context, r requestOf) error {
	pr, err := p.agent.GitHub.GetPullRequest(ctx, p.org, p.repo, p.event.Number)
	if err != nil {
		return p.fail(ctx, "The pull request cannot be read", err)
	}
	p.pr, p.base = pr, p.agent.BaseSHA(pr)
	if !p.mayOverride(ctx) {
		return p.agent.Reply(ctx, p.event, p.refusal())
	}
	for _, step := range []struct {
		asked *names
		run   func(context.Context, *names) error
	}{
		{r.cancel, p.cancel},
		{r.sticky, func(ctx context.Context, n *names) error { return p.override(ctx, n, true) }},
		{r.plain, func(ctx context.Context, n *names) error { return p.override(ctx, n, false) }},
	} {
		if step.asked == nil {
			continue
		}
		if err := step.run(ctx, step.asked); err != nil {
			return err
		}
	}
	return nil
}

// fail tells people of an error.
func (p *pull) fail(ctx context.Context, what string, cause error) error {
	err := fmt.Errorf("overriding results of %s/%s#%d: %w", p.org, p.repo, p.event.Number, cause)
	return errors.Join(err, p.agent.Reply(ctx, p.event, what+": "+plugins.Code(cause.Error())))
}
