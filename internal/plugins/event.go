package plugins

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"prow/internal/config"
	"prow/internal/forge/github"
)

// Event is a parsed webhook with what dispatch needs to know of it.
type Event struct {
	// Kind is the forge's name of the event and Action what happened, "none" for
	// events without one.
	Kind, Action string
	// Payload is what github.ParseEvent returned.
	Payload any
	// Comment is the text the event carries; nil without one.
	Comment *github.CommentEvent
	// Org and Repo decide which plugins are enabled.
	Org, Repo string
	// Number is that of the issue or pull request, 0 without one.
	Number int
	// Fields are keys and values for the log.
	Fields []any

	// text is the CommandText of Comment, "" where it holds no command.
	text string
}

// Describe finds the repository that decides about plugins, and the log fields.
func Describe(kind string, payload any) *Event {
	e := &Event{Kind: kind, Action: "none", Payload: payload, Comment: github.GeneralizeComment(payload)}
	if e.Comment != nil && mayHoldCommand(e.Comment.Body) {
		e.text = CommandText(e.Comment.Body)
	}
	field := func(pairs ...any) { e.Fields = append(e.Fields, pairs...) }
	place := func(r github.Repo) { e.Org, e.Repo = r.Owner.Login, r.Name }
	switch p := payload.(type) {
	case *github.IssueEvent:
		place(p.Repo)
		e.Action = p.Action
		e.Number = p.Issue.Number
		field("pr", p.Issue.Number, "author", p.Issue.User.Login, "url", p.Issue.HTMLURL)
	case *github.IssueCommentEvent:
		place(p.Repo)
		e.Action = p.Action
		e.Number = p.Issue.Number
		field("pr", p.Issue.Number, "author", p.Comment.User.Login, "url", p.Comment.HTMLURL)
	case *github.PullRequestEvent:
		place(p.PullRequest.Base.Repo)
		e.Action = p.Action
		e.Number = p.Number
		field("pr", p.Number, "author", p.PullRequest.User.Login, "url", p.PullRequest.HTMLURL)
	case *github.ReviewEvent:
		place(p.PullRequest.Base.Repo)
		e.Action = p.Action
		e.Number = p.PullRequest.Number
		field("pr", p.PullRequest.Number, "review", p.Review.ID, "reviewer", p.Review.User.Login, "url", p.Review.HTMLURL)
	case *github.ReviewCommentEvent:
		place(p.PullRequest.Base.Repo)
		e.Action = p.Action
		e.Number = p.PullRequest.Number
		field("pr", p.PullRequest.Number, "review", p.Comment.ReviewID, "commenter", p.Comment.User.Login, "url", p.Comment.HTMLURL)
	case *github.PushEvent:
		place(p.Repo)
		if p.Repo.Owner.Name != "" {
			// Pushes carry the login under "name".
			e.Org = p.Repo.Owner.Name
		}
		field("ref", p.Ref, "head", p.After)
	case *github.StatusEvent:
		place(p.Repo)
		field("context", p.Context, "sha", p.SHA, "state", p.State, "id", p.ID)
	case *github.CheckRunEvent:
		place(p.Repo)
		e.Action = p.Action
		field("context", p.CheckRun.Name, "sha", p.CheckRun.HeadSHA, "id", p.CheckRun.ID, "author", p.Sender.Login)
	}
	field("org", e.Org, "repo", e.Repo)
	return e
}

// Subject names the issue or pull request that the event is about; "" without one.
func (e *Event) Subject() string {
	if e.Number == 0 {
		return ""
	}
	return e.Org + "/" + e.Repo + "#" + strconv.Itoa(e.Number)
}

// Bound is one thing a plugin does for an event.
type Bound struct {
	// Kind is the event's, or "comment" for text.
	Kind, Action string
	Run          func(context.Context, *Agent) error
}

// Bind finds what the plugin does for an event: its handler of the very kind of
// event, and what it does about the text.
func (p *Plugin) Bind(cfg *config.Config, e *Event) (all []Bound) {
	if run := p.specific(e); run != nil {
		all = append(all, Bound{Kind: e.Kind, Action: e.Action, Run: run})
	}
	if e.Comment != nil {
		if run := p.textual(cfg, e); run != nil {
			all = append(all, Bound{Kind: "comment", Action: string(e.Comment.Action), Run: run})
		}
	}
	return all
}

func (p *Plugin) specific(e *Event) func(context.Context, *Agent) error {
	h := &p.Handlers
	switch payload := e.Payload.(type) {
	case *github.IssueEvent:
		return bind(h.Issue, payload)
	case *github.IssueCommentEvent:
		return bind(h.IssueComment, payload)
	case *github.PullRequestEvent:
		return bind(h.PullRequest, payload)
	case *github.PushEvent:
		return bind(h.Push, payload)
	case *github.ReviewEvent:
		return bind(h.Review, payload)
	case *github.ReviewCommentEvent:
		return bind(h.ReviewComment, payload)
	case *github.StatusEvent:
		return bind(h.Status, payload)
	case *github.CheckRunEvent:
		return bind(h.CheckRun, payload)
	}
	return nil
}

func bind[E any](h func(context.Context, *Agent, E) error, payload E) func(context.Context, *Agent) error {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, a *Agent) error { return h(ctx, a, payload) }
}

// textual is the plugin's own handler for text, and its commands that the text
// uses, one after the other in the order in which the plugin lists them.
func (p *Plugin) textual(cfg *config.Config, e *Event) func(context.Context, *Agent) error {
	type use struct {
		command *Command
		matches [][]string
	}
	var uses []use
	if e.text != "" {
		for i := range p.Commands {
			if m := p.Commands[i].Find(e.Comment, e.text); m != nil {
				uses = append(uses, use{&p.Commands[i], m})
			}
		}
	}
	own := p.Handlers.Comment != nil && (p.Handlers.CommentConcerns == nil || p.Handlers.CommentConcerns(cfg, e.Comment))
	if !own && len(uses) == 0 {
		return nil
	}
	return func(ctx context.Context, a *Agent) error {
		var errs []error
		if own {
			errs = append(errs, p.Handlers.Comment(ctx, a, e.Comment))
		}
		for _, u := range uses {
			if err := u.command.run(ctx, a, e.Comment, u.matches); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", u.command.Usage, err))
			}
		}
		return errors.Join(errs...)
	}
}

// run runs the command for those who may use it, and tells others why not.
func (c *Command) run(ctx context.Context, a *Agent, e *github.CommentEvent, uses [][]string) error {
	if c.Who.Refuse != nil {
		reason, err := c.Who.Refuse(ctx, a, e)
		if err != nil {
			return err
		}
		if reason != "" {
			return a.Reply(ctx, e, reason)
		}
	}
	return c.Run(ctx, a, e, uses)
}
