// Package help marks issues with which others, or newcomers, can help.
package help

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "help"

// Texts by which the comments are found again; other programs know them too.
const (
	helpText  = "This request has been marked as needing help from a contributor."
	firstText = "This request has been marked as suitable for new contributors."
)

var (
	helpRe        = regexp.MustCompile(`(?mi)^/help\s*$`)
	removeHelpRe  = regexp.MustCompile(`(?mi)^/remove-help\s*$`)
	firstRe       = regexp.MustCompile(`(?mi)^/good-first-issue\s*$`)
	removeFirstRe = regexp.MustCompile(`(?mi)^/remove-good-first-issue\s*$`)
)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The help plugin adds or removes the '" + plugins.LabelHelpWanted + "' and '" + plugins.LabelGoodFirstIssue +
			"' labels of issues, and tells what they ask for.",
		Config: func(cfg *pluginconfig.Configuration, repos []string) map[string]string {
			out := map[string]string{}
			for _, repo := range repos {
				out[repo] = fmt.Sprintf("Comments link to <a href=%q>these guidelines</a>.", cfg.Help.HelpGuidelinesURL)
			}
			return out
		},
		Snippet: "help:\n  help_guidelines_url: https://git.k8s.io/community/contributors/guide/help-wanted.md\n",
		Commands: []plugins.Command{
			{
				Usage: "/[remove-]help", Who: plugins.Anyone(),
				Description: "Adds or removes the '" + plugins.LabelHelpWanted + "' label.", Examples: []string{"/help", "/remove-help"},
				Match: regexp.MustCompile(`(?mi)^/(?:remove-)?help\s*$`), Scope: plugins.OpenIssues,
			},
			{
				Usage: "/[remove-]good-first-issue", Who: plugins.Anyone(),
				Description: "Adds or removes the '" + plugins.LabelGoodFirstIssue + "' label; adding it adds '" + plugins.LabelHelpWanted + "' as well.",
				Examples:    []string{"/good-first-issue", "/remove-good-first-issue"},
				Match:       regexp.MustCompile(`(?mi)^/(?:remove-)?good-first-issue\s*$`), Scope: plugins.OpenIssues,
			},
		},
		Handlers: plugins.Handlers{Comment: handle, CommentConcerns: concerns},
	}
}

// action is what a text leads to: labels to add and to remove, with the text that
// announces or has announced them.
type action struct {
	add, remove []string
	say         string
	prune       []string
}

// decide finds the first command of a text that changes something.
func decide(text string, hasHelp, hasFirst bool) (action, bool) {
	switch {
	case removeHelpRe.MatchString(text) && hasHelp:
		a := action{remove: []string{plugins.LabelHelpWanted}, prune: []string{helpText}}
		if hasFirst {
			a.remove, a.prune = append(a.remove, plugins.LabelGoodFirstIssue), append(a.prune, firstText)
		}
		return a, true
	case firstRe.MatchString(text) && !hasFirst:
		a := action{say: firstText, add: []string{plugins.LabelGoodFirstIssue}}
		if !hasHelp {
			a.add = append(a.add, plugins.LabelHelpWanted)
		}
		return a, true
	case helpRe.MatchString(text) && !hasHelp:
		return action{say: helpText, add: []string{plugins.LabelHelpWanted}}, true
	case removeFirstRe.MatchString(text) && hasFirst:
		return action{remove: []string{plugins.LabelGoodFirstIssue}, prune: []string{firstText}}, true
	}
	return action{}, false
}

func message(cfg pluginconfig.Help, say string) string {
	anchor, command, guidelines := "", "/remove-help", cfg.HelpGuidelinesSummary
	if say == firstText {
		anchor, command = "#good-first-issue", "/remove-good-first-issue"
	}
	if guidelines != "" {
		guidelines += "\n\n"
	}
	return fmt.Sprintf("%s\n\n%sPlease ensure the request meets the requirements listed [here](%s%s).\n\n"+
		"If this request no longer meets these requirements, the label can be removed by commenting with the `%s` command.",
		say, guidelines, cfg.HelpGuidelinesURL, anchor, command)
}

// concerns tells whether a text holds a command.
func concerns(_ *config.Config, e *github.CommentEvent) bool {
	if e.Action != github.CommentCreated || e.IsPR || e.IssueState != "open" {
		return false
	}
	text := plugins.CommandText(e.Body)
	_, add := decide(text, false, false)
	_, remove := decide(text, true, true)
	return add || remove
}

func handle(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) error {
	text := plugins.CommandText(e.Body)
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	labels, err := a.LabelsBefore(ctx, e)
	if err != nil {
		return err
	}
	act, ok := decide(text, github.HasLabel(plugins.LabelHelpWanted, labels), github.HasLabel(plugins.LabelGoodFirstIssue, labels))
	if !ok {
		return nil
	}
	var errs []error
	pruner := &plugins.Pruner{Client: a.GitHub, Org: org, Repo: repo, Number: e.Number, Log: a.Log}
	for _, label := range act.remove {
		errs = append(errs, a.GitHub.RemoveLabel(ctx, org, repo, e.Number, label))
	}
	if act.say != "" && !a.Repeated {
		// An earlier comment is that of an event whose label was never added.
		act.prune = append(act.prune, act.say)
	}
	pruner.Prune(ctx, func(c github.IssueComment) bool {
		for _, text := range act.prune {
			if strings.Contains(c.Body, text) {
				return true
			}
		}
		return false
	})
	if act.say != "" {
		errs = append(errs, a.GitHub.CreateComment(ctx, org, repo, e.Number, plugins.Reply(e.Body, e.HTMLURL, e.IssueAuthor.Login, message(a.Plugins.Help, act.say))))
	}
	if len(act.add) > 0 {
		errs = append(errs, a.GitHub.AddLabels(ctx, org, repo, e.Number, act.add...))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("answering a call for help: %w", err)
	}
	return nil
}
