// Package needsrebase is the external plugin needs-rebase: the label needs-rebase
// is on the open pull requests that conflict with their base, and on no others.
//
// Events about a pull request have it looked at; now and then all open pull
// requests are, because the conflict often comes from another one's merge.
package needsrebase

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "needs-rebase"

// Label is on pull requests that conflict with their base.
const Label = "needs-rebase"

// notice is by what the comment is found again.
const notice = "PR needs rebase."

// settleTime is how long the forge has to find out whether a pull request that was
// just pushed can be merged.
const settleTime = 5 * time.Second

// dependabot rebases by itself when it is told so in its own words.
const dependabot = "dependabot"

// checked remembers which pull requests were looked at lately.
type checked struct {
	valid time.Duration
	now   func() time.Time

	mu sync.Mutex
	at map[string]time.Time
}

// maxChecked bounds how many are remembered.
const maxChecked = 20_000

func (c *checked) fresh(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.at[key]
	return ok && c.now().Sub(at) < c.valid
}

func (c *checked) note(key string) {
	if c.valid <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.at) >= maxChecked {
		clear(c.at)
	}
	c.at[key] = c.now()
}

func (c *checked) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.at)
}

// plugin holds what handlers share.
type plugin struct {
	checked *checked
	pause   func(context.Context, time.Duration) error
}

func newPlugin(valid time.Duration, now func() time.Time, pause func(context.Context, time.Duration) error) *plugin {
	return &plugin{checked: &checked{valid: valid, now: now, at: map[string]time.Time{}}, pause: pause}
}

// Describe is the plugin as data.
func Describe() *plugins.Plugin { return newPlugin(0, nil, nil).describe() }

func (p *plugin) describe() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The needs-rebase plugin manages the '" + Label + "' label by removing it from pull requests that are mergeable and adding it to " +
			"those which are not. It looks at a pull request when something happens to it, and now and then at all of them.",
		Labels:   []plugins.ManagedLabel{{Name: Label, Present: "it conflicts with its base and needs a rebase"}},
		Handlers: plugins.Handlers{PullRequest: p.pullRequest, IssueComment: p.comment},
	}
}

func (p *plugin) pullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
	default:
		return nil
	}
	if e.PullRequest.State != "open" {
		return nil
	}
	// What the event says is from before; asked at once the forge would not know yet.
	if err := p.pause(ctx, settleTime); err != nil {
		return err
	}
	return p.look(ctx, a, &e.PullRequest, e.Repo.Owner.Login, e.Repo.Name)
}

func (p *plugin) comment(ctx context.Context, a *plugins.Agent, e *github.IssueCommentEvent) error {
	if !e.Issue.IsPullRequest() || e.Issue.State != "open" {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	if p.checked.fresh(key(org, repo, e.Issue.Number)) {
		return nil
	}
	pr, err := a.GitHub.GetPullRequest(ctx, org, repo, e.Issue.Number)
	if err != nil {
		return fmt.Errorf("reading the pull request: %w", err)
	}
	if pr.State != "open" {
		return nil
	}
	if pr.Mergable != nil {
		return p.settle(ctx, a, pr, org, repo, *pr.Mergable)
	}
	return p.look(ctx, a, pr, org, repo)
}

func key(org, repo string, number int) string { return fmt.Sprintf("%s/%s#%d", org, repo, number) }

// look waits until the forge knows whether a pull request can be merged.
func (p *plugin) look(ctx context.Context, a *plugins.Agent, pr *github.PullRequest, org, repo string) error {
	mergeable, err := a.GitHub.IsMergeable(ctx, org, repo, pr.Number, pr.Head.SHA)
	if err != nil {
		return fmt.Errorf("whether %s can be merged: %w", key(org, repo, pr.Number), err)
	}
	return p.settle(ctx, a, pr, org, repo, mergeable)
}

func (p *plugin) settle(ctx context.Context, a *plugins.Agent, pr *github.PullRequest, org, repo string, mergeable bool) error {
	labels, err := a.GitHub.GetIssueLabels(ctx, org, repo, pr.Number)
	if err != nil {
		return fmt.Errorf("reading the labels of %s: %w", key(org, repo, pr.Number), err)
	}
	if err := act(ctx, a.GitHub, a.Log, subject{org, repo, pr.Number, pr.User.Login, mergeable, github.HasLabel(Label, labels)}); err != nil {
		return err
	}
	p.checked.note(key(org, repo, pr.Number))
	return nil
}

// subject is a pull request with what matters here.
type subject struct {
	org, repo string
	number    int
	author    string
	mergeable bool
	labeled   bool
}

// writer is what acting asks of the forge.
type writer interface {
	plugins.PrunerClient
	AddLabels(ctx context.Context, org, repo string, number int, labels ...string) error
	RemoveLabel(ctx context.Context, org, repo string, number int, label string) error
	CreateComment(ctx context.Context, org, repo string, number int, body string) error
}

// act makes label and comment say what is so.
func act(ctx context.Context, gh writer, log *slog.Logger, s subject) error {
	pruner := &plugins.Pruner{Client: gh, Org: s.org, Repo: s.repo, Number: s.number, Log: log}
	prune := func() {
		pruner.Prune(ctx, func(c github.IssueComment) bool { return strings.Contains(c.Body, notice) || c.Body == rebaseCommand })
	}
	switch {
	case !s.mergeable && !s.labeled:
		// The label last: without it the comment is written anew, and the old one goes.
		prune()
		if err := gh.CreateComment(ctx, s.org, s.repo, s.number, text(s.author)); err != nil {
			return fmt.Errorf("telling %s that it needs a rebase: %w", key(s.org, s.repo, s.number), err)
		}
		if err := gh.AddLabels(ctx, s.org, s.repo, s.number, Label); err != nil {
			return fmt.Errorf("labeling %s: %w", key(s.org, s.repo, s.number), err)
		}
	case s.mergeable && s.labeled:
		prune()
		if err := gh.RemoveLabel(ctx, s.org, s.repo, s.number, Label); err != nil {
			return fmt.Errorf("removing the label of %s: %w", key(s.org, s.repo, s.number), err)
		}
	}
	return nil
}

// rebaseCommand is what dependabot understands.
const rebaseCommand = "@dependabot rebase"

func text(author string) string {
	if strings.TrimSuffix(github.NormLogin(author), "[bot]") == dependabot {
		return rebaseCommand
	}
	return plugins.Say(notice)
}
