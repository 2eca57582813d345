// Package retitle lets trusted people change the titles of issues and pull requests.
package retitle

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "retitle"

var commandRe = regexp.MustCompile(`(?mi)^/retitle(?:[ \t]+(.*))?\r?$`)

// who may use the command; asked only where the command counts.
var who = plugins.Trusted("Users whom the plugin trigger trusts: members of the organisation, and collaborators unless only members are trusted.",
	"Only trusted users can change titles:")

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The retitle plugin lets trusted users change the titles of issues and pull requests.",
		Config: func(cfg *pluginconfig.Configuration, _ []string) map[string]string {
			if cfg.Retitle.AllowClosedIssues {
				return map[string]string{"": "What is closed can be retitled, too."}
			}
			return map[string]string{"": "Only what is open can be retitled."}
		},
		Snippet: "retitle:\n  allow_closed_issues: true\n",
		Commands: []plugins.Command{{
			Usage: "/retitle <title>", Featured: true, Who: plugins.Decides(who.Sentence),
			Description: "Changes the title of an issue or pull request.",
			Examples:    []string{"/retitle New title"},
			Match:       commandRe, Run: run,
		}},
	}
}

// maxTitle is how many characters a title may have.
const maxTitle = 256

// decide tells why a title cannot be used; "" if it can.
func decide(title string) (refusal string) {
	switch {
	case title == "":
		return "A title cannot be empty."
	case plugins.ClosesIssue(title):
		return "A title cannot hold words that would close an issue."
	case len([]rune(title)) > maxTitle:
		return fmt.Sprintf("A title cannot have more than %d characters.", maxTitle)
	}
	return ""
}

// run uses the first title of a text.
func run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, uses [][]string) error {
	if e.IssueState != "open" && !a.Plugins.Retitle.AllowClosedIssues {
		return nil
	}
	refusal, err := who.Refuse(ctx, a, e)
	if err != nil {
		return err
	}
	title := strings.TrimSpace(uses[0][1])
	if refusal == "" {
		refusal = decide(title)
	}
	if refusal != "" {
		return a.Reply(ctx, e, refusal)
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	edit := github.Edit{Title: title}
	if e.IsPR {
		_, err = a.GitHub.EditPullRequest(ctx, org, repo, e.Number, edit)
	} else {
		_, err = a.GitHub.EditIssue(ctx, org, repo, e.Number, edit)
	}
	if err != nil {
		return fmt.Errorf("changing the title of %s/%s#%d: %w", org, repo, e.Number, err)
	}
	return nil
}
