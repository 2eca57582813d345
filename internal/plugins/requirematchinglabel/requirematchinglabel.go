// Package requirematchinglabel asks for a label of some kind on issues and pull
// requests, by a label that says that it is missing and a comment.
//
// When something is opened, people and other plugins get some time to set labels.
// The handler waits for it: so the event is not done with before it has been looked
// at, whatever happens to the process. The wait is bounded, ends with the context,
// and keeps up no other plugin.
package requirematchinglabel

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "require-matching-label"

// maxWait bounds the time for which labels are waited for.
const maxWait = time.Minute

var commandRe = regexp.MustCompile(`(?mi)^/check-required-labels[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin { return newPlugin(sleep) }

// newPlugin is the plugin with its own way to wait.
func newPlugin(wait func(context.Context, time.Duration) error) *plugins.Plugin {
	w := watcher{wait}
	return &plugins.Plugin{
		Name: Name,
		Description: "The require-matching-label plugin asks for a label that matches an expression, on issues and pull requests for which the configuration wants one: " +
			"as long as there is none it keeps another label on them, and may comment.",
		Config: describeConfig,
		Snippet: "require_matching_label:\n- org: org\n  repo: repo\n  issues: true\n  prs: true\n  regexp: ^kind/\n  missing_label: needs-kind\n" +
			"  missing_comment: Please add a label of the form kind/NAME.\n  grace_period: 5s\n",
		Commands: []plugins.Command{{
			Usage: "/check-required-labels", Who: plugins.Anyone(),
			Description: "Looks again whether the required labels are there.",
			Examples:    []string{"/check-required-labels"},
			Match:       commandRe, Scope: plugins.Open, Run: w.command,
		}},
		Explain:  explain,
		Handlers: plugins.Handlers{Issue: w.issue, PullRequest: w.pullRequest},
	}
}

// sleep waits, or ends with the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		var says []string
		for i := range cfg.RequireMatchingLabel {
			r := &cfg.RequireMatchingLabel[i]
			if r.Org != org || r.Repo != "" && r.Repo != repo {
				continue
			}
			var what []string
			if r.Issues {
				what = append(what, "issues")
			}
			if r.PRs {
				what = append(what, "pull requests")
			}
			where := ""
			if r.Branch != "" {
				where = " to " + r.Branch
			}
			says = append(says, fmt.Sprintf("The label %s is set on %s%s without a label that matches %s.", r.MissingLabel, strings.Join(what, " and "), where, r.Regexp))
		}
		if len(says) > 0 {
			out[full] = strings.Join(says, " ")
		}
	}
	return out
}

// subject is what needs labels.
type subject struct {
	org, repo string
	number    int
	isPR      bool
	// branch is the base of a pull request.
	branch string
	// label is the one an event is about; "" for other events.
	label string
}

// rulesFor are the entries of the configuration that apply.
func rulesFor(all []pluginconfig.RequireMatchingLabel, s subject) []*pluginconfig.RequireMatchingLabel {
	var out []*pluginconfig.RequireMatchingLabel
	for i := range all {
		r := &all[i]
		kind := r.Issues
		if s.isPR {
			kind = r.PRs && (r.Branch == "" || r.Branch == s.branch)
		}
		if kind && r.Org == s.org && (r.Repo == "" || r.Repo == s.repo) && (s.label == "" || r.Re().MatchString(s.label)) {
			out = append(out, r)
		}
	}
	return out
}

// verdict is what labels mean for an entry.
type verdict int

const (
	fine verdict = iota
	nowMissing
	nowThere
)

func decide(r *pluginconfig.RequireMatchingLabel, labels []github.Label) verdict {
	matches := false
	for _, l := range labels {
		matches = matches || r.Re().MatchString(l.Name)
	}
	switch told := github.HasLabel(r.MissingLabel, labels); {
	case matches && told:
		return nowThere
	case !matches && !told:
		return nowMissing
	}
	return fine
}

// explain tells which labels are asked for. What they are called stands in the
// configuration.
func explain(_ context.Context, a *plugins.Agent, pr *github.PullRequest) ([]plugins.Explanation, error) {
	var out []plugins.Explanation
	s := subject{org: pr.Base.Repo.Owner.Login, repo: pr.Base.Repo.Name, isPR: true, branch: pr.Base.Ref}
	for _, r := range rulesFor(a.Plugins.RequireMatchingLabel, s) {
		if github.HasLabel(r.MissingLabel, pr.Labels) {
			out = append(out, plugins.Explanation{Waits: true, Text: "label " + r.MissingLabel + ": it has no label that matches " + r.Regexp + ", or had none when it was looked at"})
		}
	}
	return out, nil
}

// watcher looks for labels.
type watcher struct {
	wait func(context.Context, time.Duration) error
}

func (w watcher) issue(ctx context.Context, a *plugins.Agent, e *github.IssueEvent) error {
	return w.event(ctx, a, e.Action, e.Label.Name, subject{org: e.Repo.Owner.Login, repo: e.Repo.Name, number: e.Issue.Number, isPR: e.Issue.IsPullRequest()})
}

func (w watcher) pullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	return w.event(ctx, a, e.Action, e.Label.Name, subject{org: e.Repo.Owner.Login, repo: e.Repo.Name, number: e.Number, isPR: true, branch: e.PullRequest.Base.Ref})
}

func (w watcher) event(ctx context.Context, a *plugins.Agent, action, label string, s subject) error {
	switch action {
	case github.ActionOpened, github.ActionReopened:
	case github.ActionLabeled, github.ActionUnlabeled:
		s.label = label
	default:
		return nil
	}
	return w.look(ctx, a, s)
}

func (w watcher) command(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	s := subject{org: e.Repo.Owner.Login, repo: e.Repo.Name, number: e.Number, isPR: e.IsPR}
	if e.IsPR {
		pr, err := a.GitHub.GetPullRequest(ctx, s.org, s.repo, s.number)
		if err != nil {
			return fmt.Errorf("reading %s/%s#%d: %w", s.org, s.repo, s.number, err)
		}
		s.branch = pr.Base.Ref
	}
	return w.look(ctx, a, s)
}

// grace is how long to wait before the labels of something new are looked at.
func grace(rules []*pluginconfig.RequireMatchingLabel) time.Duration {
	var longest time.Duration
	for _, r := range rules {
		longest = max(longest, r.GracePeriodDuration())
	}
	return min(longest, maxWait)
}

// look makes label and comment say what is missing.
func (w watcher) look(ctx context.Context, a *plugins.Agent, s subject) error {
	rules := rulesFor(a.Plugins.RequireMatchingLabel, s)
	if len(rules) == 0 {
		return nil
	}
	if s.label == "" {
		if err := w.wait(ctx, grace(rules)); err != nil {
			return fmt.Errorf("waiting for labels of %s/%s#%d: %w", s.org, s.repo, s.number, err)
		}
	}
	labels, err := a.IssueLabels(ctx, s.org, s.repo, s.number)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range rules {
		v := decide(r, labels)
		if v == fine {
			continue
		}
		// The label comes last: while it is not as it should be, the comment is looked at.
		if r.MissingComment != "" {
			text := ""
			if v == nowMissing {
				text = plugins.Say(r.MissingComment)
			}
			errs = append(errs, a.KeepComment(ctx, s.org, s.repo, s.number, r.MissingComment, text))
		}
		errs = append(errs, a.SetLabel(ctx, s.org, s.repo, s.number, labels, r.MissingLabel, v == nowMissing))
	}
	return errors.Join(errs...)
}
