package releasenote

import (
	"context"
	"fmt"
	"regexp"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

var (
	editCommandRe       = regexp.MustCompile(`(?mi)^/release-note-edit[ \t]*\r?$`)
	deprecatedCommandRe = regexp.MustCompile(`(?mi)^/release-note(?:-action-required)?[ \t]*\r?$`)
	noneCommandRe       = regexp.MustCompile(`(?mi)^/release-note-none[ \t]*\r?$`)
)

// howTo is what people are told who do not know how to write a note.
const howTo = "Write the release note into the body of the pull request, in a block that begins with a line ```` ```release-note ```` and ends with a line ```` ``` ````"

func commands() []plugins.Command {
	return []plugins.Command{{
		Usage: "/release-note-edit", Description: "Replaces the release note in the body of the pull request by that of the comment.",
		Who:      plugins.Members("Members of the organisation.", "Only members of the organisation can edit the release note."),
		Examples: []string{"/release-note-edit\r\n```release-note\r\nThe new release note\r\n```"},
		Match:    editCommandRe, Scope: plugins.PullRequests, Run: edit,
	}, {
		Usage: "/release-note-none", Description: "Says that the pull request needs no release note.",
		Who:      plugins.Decides("The author of the pull request, and members of the organisation."),
		Examples: []string{"/release-note-none"},
		Match:    noneCommandRe, Scope: plugins.PullRequests, Run: none,
	}, {
		Usage: "/release-note[-action-required]", Description: "Deprecated: tells how to write a release note.", Who: plugins.Anyone(),
		Examples: []string{"/release-note", "/release-note-action-required"},
		Match:    deprecatedCommandRe, Scope: plugins.PullRequests, Run: explain,
	}}
}

func explain(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	return a.Reply(ctx, e, "The commands `/release-note` and `/release-note-action-required` are deprecated. "+howTo+
		`; where people have to do something, begin it with "action required".`)
}

func edit(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	if _, there := noteOf(e.Body); !there {
		return a.Reply(ctx, e, "The comment has to hold the new release note, in a block that begins with a line ```` ```release-note ```` and ends with a line ```` ``` ````.")
	}
	pr, err := a.GitHub.GetPullRequest(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("reading %s/%s#%d: %w", org, repo, e.Number, err)
	}
	body, ok := replaceNote(pr.Body, e.Body)
	switch {
	case !ok:
		return a.Reply(ctx, e, "The body of the pull request has no release note that could be replaced. "+howTo+".")
	case body == pr.Body:
		return nil
	}
	// What the body means for the labels is decided when the forge tells of the edit.
	if err := a.GitHub.UpdatePullRequest(ctx, org, repo, e.Number, github.PullRequestUpdate{Body: &body}); err != nil {
		return fmt.Errorf("changing the release note of %s/%s#%d: %w", org, repo, e.Number, err)
	}
	return nil
}

// refusal tells why a pull request cannot go without a note; "" if it can.
func refusal(body string, labels []github.Label) string {
	note, _ := noteOf(body)
	switch {
	case realNote(note):
		return "The body of the pull request holds a release note, so it counts. Remove it from the body, or make it `NONE`."
	case github.HasLabel(plugins.LabelDeprecation, labels):
		return "The pull request has the label `" + plugins.LabelDeprecation + "`, and so needs a release note. " + howTo + "."
	}
	return ""
}

func none(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	may, err := mayWaive(ctx, a, org, e.IssueAuthor, e.User)
	if err != nil {
		return err
	}
	if !may {
		return a.Reply(ctx, e, "Only the author of the pull request and members of the organisation can say that no release note is needed.")
	}
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	if why := refusal(e.IssueBody, labels); why != "" {
		return a.Reply(ctx, e, why)
	}
	s := subject{a, org, repo, e.Number, labels}
	return s.settle(ctx, plugins.LabelReleaseNoteNone, "")
}
