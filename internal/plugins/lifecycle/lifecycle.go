// Package lifecycle closes and reopens issues and pull requests as comments say,
// and keeps the labels that tell whether somebody still cares for them.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "lifecycle"

// The labels, of which an issue has one at most.
const (
	prefix = "lifecycle/"
	frozen = prefix + "frozen"
	stale  = prefix + "stale"
	rotten = prefix + "rotten"
)

var labels = []string{prefix + "active", frozen, stale, rotten}

var (
	reopenRe = regexp.MustCompile(`(?mi)^/reopen[ \t]*\r?$`)
	closeRe  = regexp.MustCompile(`(?mi)^/close([ \t]+not-planned)?[ \t]*\r?$`)
	labelRe  = regexp.MustCompile(`(?mi)^/(remove-)?lifecycle[ \t]+(active|frozen|stale|rotten)[ \t]*\r?$`)
)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The lifecycle plugin closes, reopens, and flags issues and pull requests as active, stale, rotten or frozen.",
		Labels:      []plugins.ManagedLabel{{Name: frozen, Present: "it is kept open"}, {Name: stale, Present: "nobody seems to care for it; anybody may close it, /remove-lifecycle stale takes that back"}, {Name: rotten, Present: "nobody has cared for it for long; anybody may close it, /remove-lifecycle rotten takes that back"}},
		Commands: []plugins.Command{
			{
				Usage: "/reopen", Who: plugins.Decides("Authors and collaborators."),
				Description: "Reopens what is closed.", Examples: []string{"/reopen"},
				Match: reopenRe, Run: reopen,
			},
			{
				Usage: "/close [not-planned]", Who: plugins.Decides("Authors and collaborators; anybody where the label lifecycle/stale or lifecycle/rotten is set."),
				Description: "Closes an issue or pull request; not-planned is for issues.", Examples: []string{"/close", "/close not-planned"},
				Match: closeRe, Scope: plugins.Open, Run: closeItem,
			},
			{
				Usage: "/[remove-]lifecycle <active|frozen|stale|rotten>", Who: plugins.Anyone(),
				Description: "Adds or removes the label; of these labels there is one at a time. Pull requests cannot be frozen.",
				Examples:    []string{"/lifecycle frozen", "/remove-lifecycle stale"},
				Match:       labelRe, Run: flag,
			},
		},
	}
}

// mayChange tells whether somebody is the author or a collaborator. Where that
// cannot be found out they are not.
func mayChange(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) bool {
	if github.NormLogin(e.User.Login) == github.NormLogin(e.IssueAuthor.Login) {
		return true
	}
	is, err := a.GitHub.IsCollaborator(ctx, e.Repo.Owner.Login, e.Repo.Name, e.User.Login)
	if err != nil {
		a.Log.ErrorContext(ctx, "whether the commenter is a collaborator is not known, so they count as none", "error", err)
	}
	return is && err == nil
}

func reopen(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	if e.IssueState != "closed" {
		return nil
	}
	if !mayChange(ctx, a, e) {
		return a.Reply(ctx, e, "You can't reopen this unless you wrote it or are a collaborator.")
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	reopen := a.GitHub.ReopenIssue
	if e.IsPR {
		reopen = a.GitHub.ReopenPullRequest
	}
	err := reopen(ctx, org, repo, e.Number)
	if errors.Is(err, github.ErrStateCannotBeChanged) {
		return a.Reply(ctx, e, "The forge does not reopen this: "+plugins.Code(err.Error()))
	}
	if err != nil {
		return fmt.Errorf("reopening %s/%s#%d: %w", org, repo, e.Number, err)
	}
	return a.Reply(ctx, e, "Reopened this "+kind(e)+".")
}

func kind(e *github.CommentEvent) string {
	if e.IsPR {
		return "PR"
	}
	return "issue"
}

// abandoned tells whether nobody seems to care any more, so that anybody may close.
// Where the labels cannot be read somebody may still care.
func abandoned(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) bool {
	has, err := a.LabelsBefore(ctx, e)
	if err != nil {
		a.Log.ErrorContext(ctx, "the issue counts as active", "error", err)
		return false
	}
	return github.HasLabel(stale, has) || github.HasLabel(rotten, has)
}

func closeItem(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	notPlanned := slices.ContainsFunc(uses, func(use []string) bool { return use[1] != "" })
	if !mayChange(ctx, a, e) && !abandoned(ctx, a, e) {
		return a.Reply(ctx, e, "You can't close an active "+kind(e)+" unless you wrote it or are a collaborator.")
	}
	if e.IsPR && notPlanned {
		return a.Reply(ctx, e, "PRs cannot be closed as not planned; `/close` closes them.")
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	var err error
	says := "Closed this " + kind(e) + "."
	switch {
	case e.IsPR:
		err = a.GitHub.ClosePullRequest(ctx, org, repo, e.Number)
	case notPlanned:
		says = "Closed this issue as not planned."
		err = a.GitHub.CloseIssue(ctx, org, repo, e.Number, "not_planned")
	default:
		err = a.GitHub.CloseIssue(ctx, org, repo, e.Number, "completed")
	}
	if err != nil {
		return fmt.Errorf("closing %s/%s#%d: %w", org, repo, e.Number, err)
	}
	return a.Reply(ctx, e, says)
}

// decide applies the uses of the command, in order, to the labels that are set.
// Setting one takes the others away.
func decide(uses [][]string, isPR bool, set []string) (want []string, frozenPR bool) {
	want = slices.Clone(set)
	for _, use := range uses {
		label := prefix + strings.ToLower(use[2])
		switch {
		case use[1] != "":
			want = slices.DeleteFunc(want, func(l string) bool { return l == label })
		case isPR && label == frozen:
			frozenPR = true
		default:
			want = []string{label}
		}
	}
	return want, frozenPR
}

func flag(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	has, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	set := slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return !github.HasLabel(l, has) })
	want, frozenPR := decide(uses, e.IsPR, set)
	var errs []error
	for _, label := range labels {
		errs = append(errs, a.SetLabel(ctx, org, repo, e.Number, has, label, slices.Contains(want, label)))
	}
	if frozenPR {
		errs = append(errs, a.Reply(ctx, e, "The `"+frozen+"` label cannot be applied to PRs."))
	}
	return errors.Join(errs...)
}
