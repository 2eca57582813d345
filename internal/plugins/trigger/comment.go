package trigger

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// The commands, beside those of package config. All are case-sensitive.
var (
	okToTestCancelRe   = regexp.MustCompile(`(?m)^/ok-to-test\s+cancel\s*$`)
	testHelpRe         = regexp.MustCompile(`(?m)^/test[ \t]*\?\s*$`)
	testEmptyRe        = regexp.MustCompile(`(?m)^/test\s*$`)
	testTargetRe       = regexp.MustCompile(`(?m)^/test[ \t]+\S+`)
	testManualRe       = regexp.MustCompile(`(?m)^/test-manual-required\s*$`)
	retestWithTargetRe = regexp.MustCompile(`(?m)^/retest[ \t]+\S+`)
	testOrRetestRe     = regexp.MustCompile(`(?m)^/(?:re)?test\b`)
	commandLineRe      = regexp.MustCompile(`(?m)^/`)
)

// isCommand tells whether a text holds a command that is not a job's own.
func isCommand(text string) bool {
	if config.IsTestAll(text) || config.IsRetest(text) || config.IsOkToTest(text) {
		return true
	}
	for _, re := range []*regexp.Regexp{okToTestCancelRe, testHelpRe, testEmptyRe, testTargetRe, testManualRe, retestWithTargetRe} {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

// mayAsk tells whether a text may ask for jobs at all, without asking the forge.
// Jobs that a repository may bring itself are asked for by lines that begin with a slash.
func mayAsk(text string, static []config.Presubmit, inRepo bool) bool {
	return isCommand(text) || inRepo && commandLineRe.MatchString(text) || matchesSome(text, static)
}

func matchesSome(text string, jobs []config.Presubmit) bool {
	for i := range jobs {
		if jobs[i].TriggerMatches(text) {
			return true
		}
	}
	return false
}

// concerns tells whether a comment may ask for jobs.
func concerns(cfg *config.Config, e *github.CommentEvent) bool {
	fullName := e.Repo.Owner.Login + "/" + e.Repo.Name
	return e.Action == github.CommentCreated && e.IsPR && e.IssueState == "open" &&
		mayAsk(plugins.CommandText(e.Body), cfg.PresubmitsStatic(fullName), cfg.InRepoConfig.InRepoEnabled(fullName))
}

func handleComment(ctx context.Context, a *plugins.Agent, e *github.CommentEvent) error {
	p := newPull(a, e.Repo, e.Number)
	text := plugins.CommandText(e.Body)
	isBot, err := a.GitHub.BotChecker(ctx)
	if err != nil || isBot(e.User) {
		return err
	}
	if !isCommand(text) && !matchesSome(text, p.presubmits(ctx)) {
		return p.result(nil)
	}
	return p.result(p.obey(ctx, e, text))
}

// obey does what a comment with a command asks for.
func (p *pull) obey(ctx context.Context, e *github.CommentEvent, text string) error {
	commenter, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, e.User)
	if err != nil {
		return err
	}
	if !commenter.Trusted {
		pr, err := p.trustOf(ctx, e.IssueAuthor)
		if err != nil {
			return err
		}
		if !pr.trusted {
			return p.agent.Reply(ctx, e, p.refusal(commenter.Reason))
		}
	}
	labels, err := p.labels(ctx)
	if err != nil {
		return err
	}
	hasOk := github.HasLabel(plugins.LabelOkToTest, labels)
	okCounts := hasOk
	if hasOk {
		if okCounts, err = p.vouchedFor(ctx); err != nil {
			return err
		}
	}
	change := decideLabels(labelSituation{
		okToTest: config.IsOkToTest(text) && !p.trigger.IgnoreOkToTest, cancel: okToTestCancelRe.MatchString(text) && !p.trigger.IgnoreOkToTest,
		commenterTrusted: commenter.Trusted,
		hasOk:            hasOk, okCounts: okCounts, hasNeeds: github.HasLabel(plugins.LabelNeedsOkToTest, labels),
	})
	if change.refuse {
		return p.agent.Reply(ctx, e, "Only trusted users can take `/ok-to-test` back: "+commenter.Reason+".")
	}
	if change.vouch {
		if err := p.vouch(ctx, e.User.Login); err != nil {
			return err
		}
	}
	if err := p.changeLabels(ctx, change); err != nil || change.stop {
		return err
	}
	return p.runFor(ctx, e, text)
}

func (p *pull) refusal(reason string) string {
	if p.trigger.IgnoreOkToTest {
		return fmt.Sprintf("Cannot trigger testing: the author of this pull request is not trusted, and in this repository that cannot be changed. Collaborators can use `/test`.\n\n%s.", reason)
	}
	return fmt.Sprintf("Cannot trigger testing until a trusted user reviews the pull request and leaves an `/ok-to-test` message.\n\n%s.", reason)
}

// labelSituation is what the decision about the labels of trust depends on.
type labelSituation struct {
	// okToTest and cancel are what the comment holds, where the repository honours it.
	okToTest, cancel bool
	commenterTrusted bool
	// okCounts: the label that allows tests is set, and about the head.
	hasOk, okCounts, hasNeeds bool
}

// labelChange is that decision.
type labelChange struct {
	// vouch: the commenter allows the tests of the head.
	vouch, addOk, removeOk, addNeeds, removeNeeds bool
	// refuse: the commenter may not do that. stop: there is nothing more to do.
	refuse, stop bool
}

// decideLabels decides about the labels of trust. Where one comment holds both
// commands the careful one wins. The word of untrusted commenters vouches for nobody.
func decideLabels(s labelSituation) labelChange {
	if s.cancel {
		if !s.commenterTrusted {
			return labelChange{refuse: true, stop: true}
		}
		return labelChange{removeOk: s.hasOk, addNeeds: !s.hasNeeds, stop: true}
	}
	vouched := s.okToTest && s.commenterTrusted
	return labelChange{vouch: vouched && !s.okCounts, addOk: vouched && !s.hasOk, removeNeeds: s.hasNeeds && (vouched || s.okCounts)}
}

func (p *pull) changeLabels(ctx context.Context, c labelChange) error {
	var errs []error
	if c.addOk {
		errs = append(errs, p.addLabel(ctx, plugins.LabelOkToTest))
	}
	if c.removeOk {
		errs = append(errs, p.removeLabel(ctx, plugins.LabelOkToTest))
	}
	if c.addNeeds {
		errs = append(errs, p.addLabel(ctx, plugins.LabelNeedsOkToTest))
	}
	if c.removeNeeds {
		errs = append(errs, p.removeLabel(ctx, plugins.LabelNeedsOkToTest))
	}
	return errors.Join(errs...)
}

// runFor starts the jobs a comment asks for, or helps with asking.
func (p *pull) runFor(ctx context.Context, e *github.CommentEvent, text string) error {
	pr, err := p.get(ctx)
	if err != nil {
		return err
	}
	honored := config.IsOkToTest(text) && !p.trigger.IgnoreOkToTest
	if honored && p.trigger.TriggerGitHubWorkflows {
		p.failures = append(p.failures, p.approveWorkflows(ctx, pr))
	}
	jobs := p.presubmits(ctx)
	filter, err := config.FilterForComment(text, !p.trigger.IgnoreOkToTest, func() (failed, all map[string]bool, err error) { return p.contexts(ctx) })
	if err != nil {
		return err
	}
	chosen, err := config.FilterPresubmits(filter, pr.Base.Ref, p.changes(ctx), jobs)
	if err != nil {
		return err
	}
	if note, help := needsHelp(text, len(chosen) > 0); help {
		return p.help(ctx, e, note, jobs)
	}
	if p.trigger.TriggerGitHubWorkflows && (config.IsRetest(text) || config.IsTestAll(text)) {
		p.failures = append(p.failures, p.rerunWorkflows(ctx, pr))
	}
	if testOrRetestRe.MatchString(text) {
		p.pruneHelp(ctx)
	}
	if len(chosen) > 0 && conflicts(pr) {
		return p.agent.Reply(ctx, e, "No job is started: this pull request conflicts with its base branch. Rebase it first.")
	}
	return p.start(ctx, chosen, config.IsRetest(text))
}
