package plugins

import (
	"context"
	"regexp"
	"slices"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
)

// Plugin is one feature that reacts to events of a forge.
type Plugin struct {
	// Name is how configurations enable the plugin; never changed once released.
	Name string
	// Description says in a few sentences what the plugin is for. It may hold HTML.
	Description string
	// Config tells what the configuration means for each of the repositories
	// ("org/repo") that enable the plugin, "" being all; nil where nothing can be configured.
	Config func(cfg *pluginconfig.Configuration, repos []string) map[string]string
	// Snippet is an example of the plugin's configuration in YAML; may be empty.
	Snippet string
	// Commands are what people can write.
	Commands []Command
	// Labels are those the plugin manages, with what they mean.
	Labels []ManagedLabel
	// Explain says more about a pull request than its labels do; may be nil.
	Explain Explainer
	// Handlers react to events.
	Handlers Handlers
}

// Handlers are the events a plugin handles; nil ones are not handled.
type Handlers struct {
	Issue         func(context.Context, *Agent, *github.IssueEvent) error
	IssueComment  func(context.Context, *Agent, *github.IssueCommentEvent) error
	PullRequest   func(context.Context, *Agent, *github.PullRequestEvent) error
	Push          func(context.Context, *Agent, *github.PushEvent) error
	Review        func(context.Context, *Agent, *github.ReviewEvent) error
	ReviewComment func(context.Context, *Agent, *github.ReviewCommentEvent) error
	Status        func(context.Context, *Agent, *github.StatusEvent) error
	CheckRun      func(context.Context, *Agent, *github.CheckRunEvent) error
	// Comment takes any text written by a user, wherever it stands.
	Comment func(context.Context, *Agent, *github.CommentEvent) error
	// CommentConcerns tells cheaply, by the text alone, whether Comment has
	// anything to do, so that most texts cost nothing; nil: it may always have.
	CommentConcerns func(*config.Config, *github.CommentEvent) bool
}

// Scope says where a command may be used.
type Scope int

// The scopes.
const (
	// Everywhere is issues and pull requests, open and closed.
	Everywhere Scope = iota
	// PullRequests is pull requests, open and closed.
	PullRequests
	// OpenPullRequests is pull requests that are open.
	OpenPullRequests
	// Issues is issues that are no pull requests, open and closed.
	Issues
	// OpenIssues is issues that are open and no pull requests.
	OpenIssues
	// Open is issues and pull requests that are open.
	Open
)

// String says the scope in words.
func (s Scope) String() string {
	return [...]string{
		"issues and pull requests", "pull requests", "open pull requests", "issues", "open issues", "open issues and pull requests",
	}[s]
}

func (s Scope) includes(e *github.CommentEvent) bool {
	switch s {
	case PullRequests:
		return e.IsPR
	case OpenPullRequests:
		return e.IsPR && e.IssueState == "open"
	case Issues:
		return !e.IsPR
	case OpenIssues:
		return !e.IsPR && e.IssueState == "open"
	case Open:
		return e.IssueState == "open"
	}
	return true
}

// Command is something people can write to make a plugin act.
type Command struct {
	// Usage is the syntax, such as "/hold [cancel]".
	Usage string
	// Description says what it does.
	Description string
	// Featured puts the command to the top of lists.
	Featured bool
	// Who may use it.
	Who Who
	// Examples are whole comments; each is found by Match.
	Examples []string

	// Match finds the command in a text. A command begins in the first column of
	// a line, so expressions begin with (?m)^/.
	Match *regexp.Regexp
	// Scope says where the command may be used; elsewhere it is not looked for.
	Scope Scope
	// Run handles all uses of the command in one new text, as the submatches of
	// Match in order. Edited and deleted texts are no commands. nil: the plugin
	// decides by the whole text, in Handlers.Comment.
	Run func(ctx context.Context, a *Agent, e *github.CommentEvent, uses [][]string) error
}

// Find returns the uses of the command in the CommandText of a new comment, nil
// where there is none.
func (c *Command) Find(e *github.CommentEvent, text string) [][]string {
	if c.Run == nil || e.Action != github.CommentCreated || !c.Scope.includes(e) {
		return nil
	}
	return c.Match.FindAllStringSubmatch(text, -1)
}

// Events are the names of the events the plugin handles, as the plugin help shows them.
func (p *Plugin) Events() (names []string) {
	add := func(handled bool, name string) {
		if handled {
			names = append(names, name)
		}
	}
	h := p.Handlers
	add(h.Issue != nil, "issue")
	add(h.IssueComment != nil, "issue_comment")
	add(h.PullRequest != nil, "pull_request")
	add(h.Push != nil, "push")
	add(h.Review != nil, "pull_request_review")
	add(h.ReviewComment != nil, "pull_request_review_comment")
	add(h.Status != nil, "status")
	add(h.CheckRun != nil, "check_run")
	add(p.handlesText(), "GenericCommentEvent (any event for user text)")
	return names
}

func (p *Plugin) handlesText() bool {
	return p.Handlers.Comment != nil || slices.ContainsFunc(p.Commands, func(c Command) bool { return c.Run != nil })
}
