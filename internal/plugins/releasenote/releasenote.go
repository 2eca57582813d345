// Package releasenote asks for a release note in the body of each pull request, by
// labels: one says that there is none yet, the others of what kind it is.
package releasenote

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
const Name = "release-note"

// marker begins the notice, and finds it again.
const marker = "Adding label: `" + plugins.LabelReleaseNoteNeeded + "`"

// kinds are the labels, of which a pull request has one.
var kinds = []string{plugins.LabelReleaseNoteNeeded, plugins.LabelReleaseNote, plugins.LabelReleaseNoteNone, plugins.LabelReleaseNoteActionRequired}

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The release-note plugin asks for a release note in the body of pull requests, in a block that begins with <code>```release-note</code>, and sets " +
			"one of the labels '" + strings.Join(kinds[1:], "', '") + "'. While there is no note the '" + kinds[0] + "' label keeps the pull request from being merged.",
		Config: func(cfg *pluginconfig.Configuration, _ []string) map[string]string {
			return map[string]string{"": "People are referred to " + cfg.ReleaseNote.GuidelinesURL + "."}
		},
		Snippet:  "release_note:\n  guidelines_url: https://example.com/release-notes\n",
		Commands: commands(),
		Labels: []plugins.ManagedLabel{
			{Name: plugins.LabelReleaseNoteNeeded, Present: "its body has no release note; add a block that begins with ```release-note, or comment /release-note-none"},
			{Name: plugins.LabelReleaseNote, Present: "its body has a release note"},
			{Name: plugins.LabelReleaseNoteNone, Present: "it needs no release note"},
			{Name: plugins.LabelReleaseNoteActionRequired, Present: "its release note asks people to do something"},
		},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

// concerns tells whether an event can change what the label should be.
func concerns(e *github.PullRequestEvent) bool {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionEdited, github.ActionReadyForReview:
		return true
	case github.ActionLabeled:
		return slices.ContainsFunc(kinds, func(k string) bool { return strings.EqualFold(k, e.Label.Name) }) || strings.EqualFold(e.Label.Name, plugins.LabelDeprecation)
	case github.ActionUnlabeled:
		return strings.EqualFold(e.Label.Name, plugins.LabelDeprecation)
	}
	return false
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	if !concerns(e) {
		return nil
	}
	org, repo, pr := e.Repo.Owner.Login, e.Repo.Name, &e.PullRequest
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	s := subject{a, org, repo, e.Number, labels}
	if label := decide(pr.Body, labels); label != plugins.LabelReleaseNoteNeeded {
		return s.settle(ctx, label, "")
	}
	if pr.Merged {
		return nil
	}
	return s.ask(ctx, pr)
}

// subject is a pull request with its labels.
type subject struct {
	*plugins.Agent
	org, repo string
	number    int
	labels    []github.Label
}

// ask deals with a pull request whose body has no note.
func (s *subject) ask(ctx context.Context, pr *github.PullRequest) error {
	var lacking []int
	if parents := parentsOf(pr.Body); len(parents) > 0 && cherryPicks(pr) {
		var err error
		if lacking, err = withoutNote(ctx, s.Agent, s.org, s.repo, parents); err != nil {
			return err
		}
		if len(lacking) == 0 {
			return s.settle(ctx, "", "")
		}
	}
	deprecates := github.HasLabel(plugins.LabelDeprecation, s.labels)
	if !deprecates {
		none, err := s.waived(ctx, pr.User)
		if err != nil {
			return err
		}
		if none {
			return s.settle(ctx, plugins.LabelReleaseNoteNone, "")
		}
	}
	return s.settle(ctx, plugins.LabelReleaseNoteNeeded, notice(s.Plugins.ReleaseNote.GuidelinesURL, deprecates, lacking))
}

// waived tells whether somebody who may has said that no note is needed.
func (s *subject) waived(ctx context.Context, author github.User) (bool, error) {
	comments, err := s.GitHub.ListIssueComments(ctx, s.org, s.repo, s.number)
	if err != nil {
		return false, fmt.Errorf("listing the comments of %s/%s#%d: %w", s.org, s.repo, s.number, err)
	}
	asked := map[string]bool{}
	for _, c := range comments {
		if asked[c.User.Login] || !noneCommandRe.MatchString(plugins.CommandText(c.Body)) {
			continue
		}
		asked[c.User.Login] = true
		if may, err := mayWaive(ctx, s.Agent, s.org, author, c.User); may || err != nil {
			return may, err
		}
	}
	return false, nil
}

// mayWaive tells whether somebody may say that no note is needed.
func mayWaive(ctx context.Context, a *plugins.Agent, org string, author, user github.User) (bool, error) {
	if github.NormLogin(author.Login) == github.NormLogin(user.Login) {
		return true, nil
	}
	member, err := a.GitHub.IsMember(ctx, org, user.Login)
	if err != nil {
		return false, fmt.Errorf("whether %s is a member of %s: %w", user.Login, org, err)
	}
	return member, nil
}

func notice(guidelines string, deprecates bool, lacking []int) string {
	var b strings.Builder
	b.WriteString(marker + " because ")
	if deprecates {
		b.WriteString("the pull request deprecates something (`" + plugins.LabelDeprecation + "`), and so needs a release note.")
	} else {
		b.WriteString("no release note was found in the body of the pull request.")
	}
	fmt.Fprintf(&b, " Please follow the [release note process](%s) to have it removed.", guidelines)
	if len(lacking) > 0 {
		b.WriteString("\n\nA cherry-pick needs no note of its own where each of its parents has one of the labels `" + plugins.LabelReleaseNote + "` and `" +
			plugins.LabelReleaseNoteActionRequired + "`. These have none:\n")
		for _, n := range lacking {
			fmt.Fprintf(&b, "\n- #%d", n)
		}
	}
	return plugins.Say(b.String())
}

// settle makes label the only one of the kinds, and text the notice. Without a label
// the pull request is exempt: only the label that blocks it goes.
func (s *subject) settle(ctx context.Context, label, text string) error {
	var errs []error
	change := text != ""
	for _, kind := range kinds {
		if has := github.HasLabel(kind, s.labels); has != (kind == label) && (label != "" || kind == plugins.LabelReleaseNoteNeeded) {
			change = true
		}
	}
	if !change {
		return nil
	}
	// The labels come last: while they are not as they should be, the notice is looked at.
	errs = append(errs, s.KeepComment(ctx, s.org, s.repo, s.number, marker, text))
	if label != "" {
		errs = append(errs, s.SetLabel(ctx, s.org, s.repo, s.number, s.labels, label, true))
	}
	for _, kind := range kinds {
		if kind != label && (label != "" || kind == plugins.LabelReleaseNoteNeeded) {
			errs = append(errs, s.SetLabel(ctx, s.org, s.repo, s.number, s.labels, kind, false))
		}
	}
	return errors.Join(errs...)
}
