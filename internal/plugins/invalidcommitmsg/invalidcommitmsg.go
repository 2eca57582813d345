// Package invalidcommitmsg keeps pull requests from being merged whose commits, or
// whose title, would close issues, or which hold commits that are to be squashed.
package invalidcommitmsg

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "invalidcommitmsg"

// marker is the first line of the notice.
const marker = "<!-- [prow:invalid-commit-message] -->"

var fixupRe = regexp.MustCompile(`^(?:fixup!|amend!|squash!)`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The invalidcommitmsg plugin keeps pull requests from being merged, by the '" + plugins.LabelInvalidCommitMessage +
			"' label, whose title or commits hold words that close an issue, or which hold fixup commits.",
		Config:   describeConfig,
		Snippet:  "invalid_commit_msg:\n- repos:\n  - org/repo\n  checks:\n  - name: fixupPrefix\n    disabled: true\n",
		Labels:   []plugins.ManagedLabel{{Name: plugins.LabelInvalidCommitMessage, Present: "its title or commits hold words that close issues, or commits that are to be squashed; the comment lists them"}},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		c := cfg.InvalidCommitMsgFor(org, repo)
		var off []string
		for _, check := range []string{pluginconfig.CheckFixupPrefix, pluginconfig.CheckIssueClosingKeyword} {
			if !c.Enabled(check) {
				off = append(off, check)
			}
		}
		if len(off) > 0 {
			out[full] = "Switched off: " + strings.Join(off, ", ") + "."
		}
	}
	return out
}

// findings are what is wrong.
type findings struct {
	closing, fixup []github.RepositoryCommit
	title          bool
}

func (f *findings) any() bool { return f.title || len(f.closing)+len(f.fixup) > 0 }

// decide makes the checks that are on.
func decide(title string, commits []github.RepositoryCommit, enabled func(check string) bool) findings {
	var f findings
	closing, fixup := enabled(pluginconfig.CheckIssueClosingKeyword), enabled(pluginconfig.CheckFixupPrefix)
	f.title = closing && plugins.ClosesIssue(title)
	for _, c := range commits {
		if closing && plugins.ClosesIssue(c.Commit.Message) {
			f.closing = append(f.closing, c)
		}
		if fixup && fixupRe.MatchString(plugins.Subject(c.Commit.Message)) {
			f.fixup = append(f.fixup, c)
		}
	}
	return f
}

// notice has a section for each kind of finding.
func (f *findings) notice() string {
	var b strings.Builder
	b.WriteString(marker)
	section := func(text string) { b.WriteString("\n\n" + strings.TrimRight(text, "\n")) }
	if len(f.closing) > 0 {
		section("[Keywords](https://help.github.com/articles/closing-issues-using-keywords) which can automatically close issues are not allowed in commit messages.\n\n" +
			"**The list of commits with invalid commit messages**:\n\n" + plugins.ListCommits(f.closing))
	}
	if len(f.fixup) > 0 {
		section("Commits that are to be squashed (`fixup!`, `amend!`, `squash!`) are not allowed. Squash them with `git rebase --autosquash`.\n\n" +
			"**The list of fixup commits**:\n\n" + plugins.ListCommits(f.fixup))
	}
	if f.title {
		section("[Keywords](https://help.github.com/articles/closing-issues-using-keywords) which can automatically close issues are not allowed in the title of a pull request. " +
			"You can edit the title by commenting `/retitle <new title>`, or by hand.")
	}
	return plugins.Say(b.String())
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize, github.ActionEdited:
	default:
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	cfg := a.Plugins.InvalidCommitMsgFor(org, repo)
	commits, err := a.GitHub.ListPullRequestCommits(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("listing the commits of %s/%s#%d: %w", org, repo, e.Number, err)
	}
	labels, err := a.IssueLabels(ctx, org, repo, e.Number)
	if err != nil {
		return err
	}
	found := decide(e.PullRequest.Title, commits, cfg.Enabled)
	if !found.any() && !github.HasLabel(plugins.LabelInvalidCommitMessage, labels) {
		return nil
	}
	text := ""
	if found.any() {
		text = found.notice()
	}
	// The label comes last: while it is not as it should be, the notice is looked at.
	return errors.Join(a.KeepComment(ctx, org, repo, e.Number, marker, text), a.SetLabel(ctx, org, repo, e.Number, labels, plugins.LabelInvalidCommitMessage, found.any()))
}
