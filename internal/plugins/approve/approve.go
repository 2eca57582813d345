// Package approve keeps the label approved and one comment, the notification, as
// the approvals of a pull request by the owners of its files say.
//
// Events only say that something may have changed. Every evaluation reads the
// whole state from the forge, decides purely (see package approvers), and then
// writes what differs.
package approve

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/approve/approvers"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "approve"

// New is the plugin.
func New() *plugins.Plugin {
	e := &evaluator{running: map[string]*turn{}}
	return &plugins.Plugin{
		Name: Name,
		Description: "The approve plugin implements a pull request approval process that manages the '" + plugins.LabelApproved +
			"' label and an approval notification comment. A pull request is approved when, for every changed file, somebody has approved " +
			"whom an OWNERS file of its directory or of one above names as approver.",
		Config:  describeConfig,
		Snippet: "approve:\n- repos:\n  - org/repo\n  require_self_approval: true\n  ignore_review_state: true\n",
		Labels:  []plugins.ManagedLabel{{Name: plugins.LabelApproved, Present: "owners of all changed files have approved, or a person set the label"}},
		Explain: explain,
		Commands: []plugins.Command{{
			Usage: "/[remove-]approve [no-issue|cancel]", Featured: true, Who: plugins.Decides("Users listed as 'approvers' in appropriate OWNERS files."),
			Description: "Approves a pull request, or takes the approval back.",
			Examples:    []string{"/approve", "/approve no-issue", "/approve cancel", "/remove-approve"},
			// A /lgtm may count as approval.
			Match: regexp.MustCompile(`(?mi)^/(?:(?:remove-)?approve|lgtm)(?:[\t ].*)?\s*$`), Scope: plugins.PullRequests, Run: e.comment,
		}},
		Handlers: plugins.Handlers{Review: e.review, PullRequest: e.pullRequest},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		c := cfg.ApproveFor(org, repo)
		yes := func(b bool, text string) string {
			if b {
				return text + " "
			}
			return ""
		}
		out[full] = strings.TrimSpace(yes(c.IssueRequired, "Pull requests need an associated issue.") +
			yes(c.HasSelfApproval(), "Authors approve their own changes by opening the pull request.") +
			yes(c.LgtmActsAsApprove, "/lgtm counts as approval.") +
			yes(c.ConsiderReviewState(), "Reviews of GitHub count as approvals and their cancellation."))
	}
	return out
}

// evaluator evaluates each pull request once at a time, so that two events do not
// write two notifications.
type evaluator struct {
	mu      sync.Mutex
	running map[string]*turn
}

// turn is waited for by those who want to evaluate one pull request.
type turn struct {
	free    chan struct{} // holds one token while nobody evaluates
	waiting int
}

// acquire waits for the turn; release gives it back.
func (v *evaluator) acquire(ctx context.Context, key string) (release func(), err error) {
	v.mu.Lock()
	t := v.running[key]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		v.running[key] = t
	}
	t.waiting++
	v.mu.Unlock()
	leave := func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(v.running, key)
		}
	}
	select {
	case <-t.free:
		return func() { t.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

func (v *evaluator) comment(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	// The text of a pull request is no approval, and opening it is an event of its own.
	opened := e.HTMLURL == e.IssueHTMLURL
	if e.IssueState == "closed" || opened {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	if len(commandsOf(e.Body, a.Plugins.ApproveFor(org, repo).LgtmActsAsApprove)) == 0 {
		return nil
	}
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil || isBot(e.User) {
		return err
	}
	return v.evaluate(ctx, a, org, repo, e.Number)
}

func (v *evaluator) review(ctx context.Context, a *plugins.Agent, e *github.ReviewEvent) error {
	if e.Action != github.ActionSubmitted && e.Action != github.ActionDismissed || e.Review.User.Type == "Bot" {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	cfg := a.Plugins.ApproveFor(org, repo)
	state := strings.ToUpper(e.Review.State)
	counts := slices.Contains([]string{github.ReviewApproved, github.ReviewChangesRequested, github.ReviewDismissed}, state)
	// A review with a command is a comment as well, and evaluated as that.
	if !counts || !cfg.ConsiderReviewState() || len(commandsOf(e.Review.Body, cfg.LgtmActsAsApprove)) > 0 && e.Action == github.ActionSubmitted {
		return nil
	}
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil || isBot(e.Review.User) {
		return err
	}
	return v.evaluate(ctx, a, org, repo, e.PullRequest.Number)
}

func (v *evaluator) pullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
	case github.ActionEdited:
		// Another base has other owners, and another text may name the issue that was missing.
		if e.PullRequest.State == "closed" || !e.BaseRefChanged() && !a.Plugins.ApproveFor(org, repo).IssueRequired {
			return nil
		}
	case github.ActionLabeled:
		if e.Label.Name != plugins.LabelApproved || e.PullRequest.State == "closed" {
			return nil
		}
		isBot, err := a.GitHub.BotChecker(ctx)
		if err != nil || isBot(e.Sender) {
			return err
		}
	default:
		return nil
	}
	return v.evaluate(ctx, a, org, repo, e.Number)
}

func (v *evaluator) evaluate(ctx context.Context, a *plugins.Agent, org, repo string, number int) error {
	release, err := v.acquire(ctx, fmt.Sprintf("%s/%s#%d", org, repo, number))
	if err != nil {
		return err
	}
	defer release()
	s, err := read(ctx, a, org, repo, number)
	if err != nil {
		return err
	}
	return s.write(ctx, a)
}

// state is everything an evaluation depends on, and its outcome.
type state struct {
	org, repo string
	number    int
	labeled   bool
	old       []github.IssueComment
	notice    notice
}

// read reads the state from the forge and decides.
func read(ctx context.Context, a *plugins.Agent, org, repo string, number int) (*state, error) {
	gh := a.GitHub
	wrap := func(what string, err error) error {
		return fmt.Errorf("%s of %s/%s#%d: %w", what, org, repo, number, err)
	}
	isBot, err := gh.BotChecker(ctx)
	if err != nil {
		return nil, err
	}
	pr, err := gh.GetPullRequest(ctx, org, repo, number)
	if err != nil {
		return nil, wrap("reading the pull request", err)
	}
	changes, err := gh.GetPullRequestChanges(ctx, org, repo, number)
	if err != nil {
		return nil, wrap("listing the changed files", err)
	}
	labels, err := gh.GetIssueLabels(ctx, org, repo, number)
	if err != nil {
		return nil, wrap("reading the labels", err)
	}
	comments, err := gh.ListIssueComments(ctx, org, repo, number)
	if err != nil {
		return nil, wrap("listing the comments", err)
	}
	lines, err := gh.ListPullRequestComments(ctx, org, repo, number)
	if err != nil {
		return nil, wrap("listing the comments on lines", err)
	}
	reviews, err := gh.ListReviews(ctx, org, repo, number)
	if err != nil {
		return nil, wrap("listing the reviews", err)
	}
	index, err := a.Owners.LoadRepoOwners(ctx, org, repo, pr.Base.Ref)
	if err != nil {
		return nil, err
	}
	cfg := a.Plugins.ApproveFor(org, repo)
	issue := issueOf(org, pr.Body)
	change := approvers.Change{
		Files: filesOf(changes, index), NoParentOwners: index.IsNoParentOwners, Number: number,
		Approvals:     collect(pr.User.Login, pr.HTMLURL, remarks(comments, lines, reviews, isBot), cfg),
		IssueRequired: cfg.IssueRequired, HasIssue: issue > 0,
	}
	for _, u := range pr.Assignees {
		change.Assignees = append(change.Assignees, u.Login)
	}
	s := &state{
		org: org, repo: repo, number: number, labeled: github.HasLabel(plugins.LabelApproved, labels), old: notifications(comments, isBot),
		notice: notice{
			org: org, repo: repo, branch: pr.Base.Ref, linkURL: a.Config.GitHub.LinkURLParsed(), ownersFile: index.Filename(),
			cfg: cfg, issue: issue, verdict: approvers.Decide(change),
		},
	}
	if s.labeled && !s.notice.verdict.RequirementsMet {
		s.notice.byHand = labeledByHand(ctx, a, s, isBot)
	}
	return s, nil
}

// filesOf finds the owners of the changed files. A file that was moved is a change
// where it was, too.
func filesOf(changes []github.PullRequestChange, index *owners.Index) []approvers.File {
	var out []approvers.File
	seen := map[string]bool{}
	for _, c := range changes {
		names := []string{c.Filename}
		if c.Status == "renamed" && c.PreviousFilename != "" {
			names = append(names, c.PreviousFilename)
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			f := approvers.File{Path: name, Dir: index.FindApproverOwnersForFile(name)}
			if index.IsAutoApproveUnownedSubfolders(f.Dir) && below(name, f.Dir) {
				f.AutoApproved = true
			} else {
				f.Approvers = approvers.SetOf(index.Approvers(name).Union().UnsortedList()...)
				f.Leaf = approvers.SetOf(index.LeafApprovers(name).UnsortedList()...)
			}
			out = append(out, f)
		}
	}
	return out
}

// below tells whether a file is in a directory below dir, rather than in dir itself.
func below(file, dir string) bool {
	rest := file
	if dir != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(file, dir+"/"); !ok {
			return false
		}
	}
	return strings.Contains(rest, "/")
}

// labeledByHand tells whether a human has set the label that is there. Where that
// cannot be found out the answer is no.
func labeledByHand(ctx context.Context, a *plugins.Agent, s *state, isBot func(github.User) bool) bool {
	events, err := a.GitHub.ListIssueEvents(ctx, s.org, s.repo, s.number)
	if err != nil {
		a.Log.ErrorContext(ctx, "who set the label cannot be found out: it does not count", "error", err)
		return false
	}
	for _, e := range slices.Backward(events) {
		if e.Event == github.ActionLabeled && e.Label.Name == plugins.LabelApproved {
			return !isBot(e.Actor) && e.Actor.Type != "Bot"
		}
	}
	return false
}

// write makes notification and label say what was decided.
func (s *state) write(ctx context.Context, a *plugins.Agent) error {
	var errs []error
	text := s.notice.String()
	if len(s.old) == 0 || !strings.Contains(s.old[len(s.old)-1].Body, text) {
		for _, c := range s.old {
			if err := a.GitHub.DeleteComment(ctx, s.org, s.repo, c.ID); err != nil {
				errs = append(errs, fmt.Errorf("deleting an old notification: %w", err))
			}
		}
		if err := a.GitHub.CreateComment(ctx, s.org, s.repo, s.number, text); err != nil {
			errs = append(errs, fmt.Errorf("writing the notification: %w", err))
		}
	}
	var err error
	switch approved := s.notice.approved(); {
	case approved && !s.labeled:
		err = a.GitHub.AddLabels(ctx, s.org, s.repo, s.number, plugins.LabelApproved)
	case !approved && s.labeled:
		err = a.GitHub.RemoveLabel(ctx, s.org, s.repo, s.number, plugins.LabelApproved)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("changing the label %s: %w", plugins.LabelApproved, err))
	}
	return errors.Join(errs...)
}
