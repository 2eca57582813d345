// Package cherrypicker is the external plugin cherrypicker, which proposes merged
// pull requests for other branches.
//
// What is asked for on an open pull request is done when it is merged: the
// commands and labels are then read from the forge again, so nothing has to be
// remembered. A copy is a branch in the bot's fork whose name follows from the
// pull request and the target, so that it is proposed once.
package cherrypicker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/plugins"
)

// Name of the program; HelpName that of the plugin in lists.
const (
	Name     = "cherrypicker"
	HelpName = "cherrypick"
)

// maxConflict bounds what of a conflict is told, in bytes.
const maxConflict = 8 << 10

// settings are how an installation wants copies.
type settings struct {
	labels                []string
	labelPrefix           string
	assign                bool
	allowAll              bool
	createIssueOnConflict bool
	// identity is as whom the bot commits.
	identity func(bot github.User) git.Identity
}

type plugin struct {
	settings settings
	// turns keep one copy from being made twice at once.
	turns turns
}

func newPlugin(s settings) *plugin {
	return &plugin{settings: s, turns: turns{taken: map[string]chan struct{}{}}}
}

// Describe is the plugin as data.
func Describe() *plugins.Plugin { return newPlugin(settings{labelPrefix: "cherrypick/"}).describe() }

func (p *plugin) describe() *plugins.Plugin {
	who := plugins.Decides("Members of the organisation of the repository.")
	if p.settings.allowAll {
		who = plugins.Anyone()
	}
	return &plugins.Plugin{
		Name: HelpName,
		Description: "The cherrypick plugin proposes a pull request for other branches once it is merged. Commands and labels that begin with '" +
			p.settings.labelPrefix + "' ask for it, before the merge or after.",
		Commands: []plugins.Command{{
			Usage: "/cherrypick <branch> [<branch> ...]", Featured: true, Who: who,
			Description: "Proposes the pull request for the first branch; the further ones are asked for on that copy. /cherry-pick is the same.",
			Examples:    []string{"/cherrypick release-3.9", "/cherry-pick release-1.15", "/cherrypick release-1.6 release-1.5"},
			Match:       commandRe, Scope: plugins.PullRequests,
		}},
		// Commands count in comments at once; in other texts they are read at the merge.
		Handlers: plugins.Handlers{IssueComment: p.comment, PullRequest: p.pullRequest},
	}
}

// pick is a pull request that is to be copied, and where answers go.
type pick struct {
	agent     *plugins.Agent
	org, repo string
	number    int
	log       *slog.Logger
	// since is when the forge says that it was asked for.
	since time.Time
	// answer comments to one who asked.
	answer func(ctx context.Context, r request, text string) error
}

// done tells whether something of the bot's may be from an earlier attempt at the
// same delivery, which died before it told.
func (k *pick) done(created time.Time) bool { return k.agent.Repeated && !created.Before(k.since) }

func (p *plugin) comment(ctx context.Context, a *plugins.Agent, e *github.IssueCommentEvent) error {
	if e.Action != github.ActionCreated || !e.Issue.IsPullRequest() {
		return nil
	}
	requests := requestsIn(e.Comment.Body, e.Comment.User)
	if len(requests) == 0 {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	k := &pick{agent: a, org: org, repo: repo, number: e.Issue.Number, log: a.Log, since: e.Comment.CreatedAt, answer: func(ctx context.Context, _ request, text string) error {
		return a.GitHub.CreateComment(ctx, org, repo, e.Issue.Number, plugins.Reply(e.Comment.Body, e.Comment.HTMLURL, e.Comment.User.Login, text))
	}}
	return p.asked(ctx, k, requests)
}

func (p *plugin) pullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	k := &pick{agent: a, org: org, repo: repo, number: e.Number, log: a.Log, since: e.PullRequest.UpdatedAt, answer: func(ctx context.Context, r request, text string) error {
		reason := "In response to a cherrypick command of this pull request."
		if r.label {
			reason = fmt.Sprintf("In response to the label %q.", p.settings.labelPrefix+r.target)
		}
		return a.GitHub.CreateComment(ctx, org, repo, e.Number, plugins.ReplyWithReason(r.by.Login, text, reason))
	}}
	switch {
	case e.Action == github.ActionLabeled:
		target, ok := strings.CutPrefix(e.Label.Name, p.settings.labelPrefix)
		if !ok || target == "" {
			return nil
		}
		return p.asked(ctx, k, []request{{target: target, by: e.PullRequest.User, label: true}})
	case e.Action == github.ActionClosed && e.PullRequest.Merged && e.PullRequest.MergeSHA != nil:
		return p.merged(ctx, k, &e.PullRequest)
	}
	return nil
}

// asked answers one who asks for branches now.
func (p *plugin) asked(ctx context.Context, k *pick, requests []request) error {
	pr, err := k.agent.GitHub.GetPullRequest(ctx, k.org, k.repo, k.number)
	if err != nil {
		return fmt.Errorf("reading the pull request: %w", err)
	}
	var wanted []request
	for _, r := range requests {
		if r.target != pr.Base.Ref {
			wanted = append(wanted, r)
		}
	}
	if len(wanted) == 0 {
		return k.answer(ctx, requests[0], fmt.Sprintf("base branch (%s) needs to differ from target branch (%s)", code(pr.Base.Ref), code(pr.Base.Ref)))
	}
	if pr.State == "closed" && !pr.Merged {
		return k.answer(ctx, wanted[0], "cannot cherry-pick an unmerged PR")
	}
	member, err := p.mayAsk(ctx, k, wanted[0].by)
	if err != nil {
		return err
	}
	if !member {
		return k.answer(ctx, wanted[0], fmt.Sprintf("only [%s](https://github.com/orgs/%s/people) org members may request cherry picks. If you are already part of the org, make sure to [change](https://github.com/orgs/%s/people?query=%s) your membership to public. Otherwise you can still do the cherry-pick manually.", k.org, k.org, k.org, wanted[0].by.Login))
	}
	if !pr.Merged {
		var targets []string
		for _, r := range wanted {
			targets = append(targets, code(r.target))
		}
		return k.answer(ctx, wanted[0], fmt.Sprintf("once the present PR merges, I will cherry-pick it on top of %s in a new PR and assign it to you.", strings.Join(targets, ", ")))
	}
	return p.all(ctx, k, pr, wanted)
}

// merged does what was asked for while the pull request was open.
func (p *plugin) merged(ctx context.Context, k *pick, pr *github.PullRequest) error {
	comments, err := k.agent.GitHub.ListIssueComments(ctx, k.org, k.repo, k.number)
	if err != nil {
		return fmt.Errorf("listing the comments: %w", err)
	}
	labels, err := k.agent.GitHub.GetIssueLabels(ctx, k.org, k.repo, k.number)
	if err != nil {
		return fmt.Errorf("reading the labels: %w", err)
	}
	members := map[string]bool{}
	requests, err := requestsOf(pr, comments, labels, p.settings.labelPrefix, func(by github.User) (bool, error) {
		may, known := members[by.Login]
		if known {
			return may, nil
		}
		may, err := p.mayAsk(ctx, k, by)
		members[by.Login] = may
		return may, err
	})
	if err != nil {
		return err
	}
	var wanted []request
	for _, r := range requests {
		if r.target != pr.Base.Ref {
			wanted = append(wanted, r)
			continue
		}
		if err := k.answer(ctx, r, fmt.Sprintf("base branch (%s) needs to differ from target branch (%s)", code(pr.Base.Ref), code(r.target))); err != nil {
			return err
		}
	}
	return p.all(ctx, k, pr, wanted)
}

func (p *plugin) mayAsk(ctx context.Context, k *pick, by github.User) (bool, error) {
	if p.settings.allowAll {
		return true, nil
	}
	member, err := k.agent.GitHub.IsMember(ctx, k.org, by.Login)
	if err != nil {
		return false, fmt.Errorf("whether %s is a member of %s: %w", by.Login, k.org, err)
	}
	return member, nil
}

// all makes the copies; one that fails does not stop the others.
func (p *plugin) all(ctx context.Context, k *pick, pr *github.PullRequest, requests []request) error {
	var errs []error
	for _, r := range requests {
		if err := p.one(ctx, k, pr, r); err != nil {
			errs = append(errs, fmt.Errorf("cherry-pick %s/%s#%d to %s: %w", k.org, k.repo, pr.Number, r.target, err))
		}
	}
	return errors.Join(errs...)
}

// one makes a copy and proposes it.
func (p *plugin) one(ctx context.Context, k *pick, pr *github.PullRequest, r request) error {
	leave, err := p.turns.take(ctx, fmt.Sprintf("%s/%s#%d %s", k.org, k.repo, pr.Number, r.target))
	if err != nil {
		return err
	}
	defer leave()
	gh := k.agent.GitHub
	bot, err := gh.BotUser(ctx)
	if err != nil {
		return err
	}
	owner, fork, err := p.home(ctx, k, bot)
	if err != nil {
		return errors.Join(err, k.answer(ctx, r, fmt.Sprintf("cannot fork %s/%s. %s", k.org, k.repo, fence(err.Error()))))
	}
	branch := branchFor(pr.Number, r.target)
	switch there, err := openCopy(ctx, k, owner, branch, r.target); {
	case err != nil:
		return err
	case there != nil && k.done(there.CreatedAt):
		return p.announce(ctx, k, r, there.Number)
	case there != nil:
		return k.answer(ctx, r, fmt.Sprintf("Looks like #%d has already been cherry picked in #%d.", pr.Number, there.Number))
	}
	patch, err := gh.GetPullRequestPatch(ctx, k.org, k.repo, pr.Number)
	if err != nil {
		return errors.Join(err, k.answer(ctx, r, fmt.Sprintf("cannot get the patch of #%d. %s", pr.Number, fence(err.Error()))))
	}
	labels, err := gh.GetIssueLabels(ctx, k.org, k.repo, pr.Number)
	if err != nil {
		return fmt.Errorf("reading the labels: %w", err)
	}
	title := titleFor(pr.Title, pr.Base.Ref, r.target)
	told, err := p.push(ctx, k, bot, git.Push{Org: owner, Repo: fork, Branch: branch, Force: true}, r.target, patch)
	if told != "" {
		return p.conflict(ctx, k, r, title, told)
	}
	if err != nil {
		return err
	}
	return p.propose(ctx, k, pr, r, title, bodyFor(pr, r, labels, p.settings.assign), owner+":"+branch)
}

// home is the repository that gets the branch: the bot's fork, or where the forge
// forbids to fork, the repository itself.
func (p *plugin) home(ctx context.Context, k *pick, bot *github.User) (owner, repo string, err error) {
	fork, err := k.agent.GitHub.EnsureFork(ctx, bot.Login, k.org, k.repo)
	if github.IsForbidden(err) {
		return k.org, k.repo, nil
	}
	return bot.Login, fork, err
}

// openCopy is the open pull request from a branch, nil without one.
func openCopy(ctx context.Context, k *pick, owner, branch, target string) (*github.PullRequest, error) {
	pulls, err := k.agent.GitHub.PullRequestsFrom(ctx, k.org, k.repo, owner, branch)
	if err != nil {
		return nil, fmt.Errorf("looking for an open copy: %w", err)
	}
	for i := range pulls {
		if pulls[i].Base.Ref == target && pulls[i].Head.Ref == branch {
			return &pulls[i], nil
		}
	}
	return nil, nil
}

// push applies the patch to the target and pushes that. told is what one who asked
// is told where that is not possible.
func (p *plugin) push(ctx context.Context, k *pick, bot *github.User, to git.Push, target string, patch []byte) (told string, err error) {
	tree, err := k.agent.Git.Tree(ctx, k.org, k.repo, git.Need{})
	if err != nil {
		return "", err
	}
	defer tree.Close() //nolint:errcheck // what is left is below the cache
	tree.As(p.settings.identity(*bot))
	if err := tree.Checkout(ctx, "origin/"+target); err != nil {
		return fmt.Sprintf("cannot checkout %s. %s", code(target), fence(err.Error())), nil
	}
	if err := tree.CheckoutNewBranch(ctx, to.Branch); err != nil {
		return "", err
	}
	if err := tree.Am(ctx, patch); err != nil {
		var conflict *git.PatchError
		if errors.As(err, &conflict) {
			return fmt.Sprintf("#%d failed to apply on top of branch %s. %s", k.number, code(target), fence(conflict.Output)), nil
		}
		return "", err
	}
	return "", tree.Push(ctx, to)
}

// conflict tells that people have to do it.
func (p *plugin) conflict(ctx context.Context, k *pick, r request, title, told string) error {
	if err := k.answer(ctx, r, told); err != nil {
		return err
	}
	if !p.settings.createIssueOnConflict {
		return nil
	}
	if k.agent.Repeated {
		isBot, err := k.agent.GitHub.BotChecker(ctx)
		if err != nil {
			return err
		}
		issues, err := k.agent.GitHub.ListOpenIssues(ctx, k.org, k.repo)
		if err != nil {
			return fmt.Errorf("looking for an issue that was opened before: %w", err)
		}
		if slices.ContainsFunc(issues, func(i github.Issue) bool { return i.Title == title && isBot(i.User) && k.done(i.CreatedAt) }) {
			return nil
		}
	}
	body := fmt.Sprintf("Manual cherrypick of #%d to %s required.\n\n%s", k.number, code(r.target), told)
	if _, err := k.agent.GitHub.CreateIssue(ctx, k.org, k.repo, github.IssueRequest{Title: title, Body: body, Assignees: []string{r.by.Login}}); err != nil {
		return fmt.Errorf("opening an issue: %w", err)
	}
	return nil
}

// propose opens the pull request of a copy.
func (p *plugin) propose(ctx context.Context, k *pick, pr *github.PullRequest, r request, title, body, head string) error {
	gh := k.agent.GitHub
	number, err := gh.OpenPullRequest(ctx, k.org, k.repo, github.PullRequestOpening{Title: title, Body: body, Head: head, Base: r.target, MaintainerCanModify: true})
	if err != nil {
		return errors.Join(err, k.answer(ctx, r, fmt.Sprintf("new pull request could not be created: %s", fence(err.Error()))))
	}
	return p.announce(ctx, k, r, number)
}

// announce tells of a copy, and gives it its labels and somebody who cares.
func (p *plugin) announce(ctx context.Context, k *pick, r request, number int) error {
	gh := k.agent.GitHub
	if err := k.answer(ctx, r, fmt.Sprintf("new pull request created: #%d", number)); err != nil {
		return err
	}
	if len(p.settings.labels) > 0 {
		if err := gh.AddLabels(ctx, k.org, k.repo, number, p.settings.labels...); err != nil {
			return fmt.Errorf("labeling #%d: %w", number, err)
		}
	}
	if p.settings.assign {
		if err := gh.AssignIssue(ctx, k.org, k.repo, number, []string{r.by.Login}); err != nil {
			k.log.InfoContext(ctx, "who asked cannot be assigned", "author", r.by.Login, "pr", number, "error", err)
		}
	}
	return nil
}

// code shows a text as it is.
func code(text string) string { return "`" + strings.ReplaceAll(text, "`", "'") + "`" }

// fence shows output; it mentions nobody and is no command.
func fence(text string) string {
	if len(text) > maxConflict {
		text = text[:maxConflict] + "\n[...]"
	}
	return "\n```\n" + strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "```", "'''") + "\n```"
}

// turns let one at a time work on a key.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{}
}

// take waits for the turn; leave ends it.
func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	for {
		t.mu.Lock()
		busy := t.taken[key]
		if busy == nil {
			mine := make(chan struct{})
			t.taken[key] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.taken, key)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
