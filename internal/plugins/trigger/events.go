package trigger

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/prowjob"
)

func handlePullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	handle := reactions[e.Action]
	if handle == nil {
		return nil
	}
	p := newPull(a, e.Repo, e.Number)
	p.pr = &e.PullRequest
	p.fresh = e.Action == github.ActionOpened || e.Action == github.ActionSynchronize
	return p.result(handle(ctx, p, e))
}

// reactions are what pull request events lead to.
var reactions = map[string]func(context.Context, *pull, *github.PullRequestEvent) error{
	github.ActionOpened:         opened,
	github.ActionReopened:       buildIfTrusted,
	github.ActionReadyForReview: buildIfTrusted,
	github.ActionEdited: func(ctx context.Context, p *pull, e *github.PullRequestEvent) error {
		if !e.BaseChanged() {
			return nil
		}
		return buildIfTrusted(ctx, p, e)
	},
	github.ActionSynchronize:      synchronized,
	github.ActionLabeled:          labeled,
	github.ActionClosed:           abort,
	github.ActionConvertedToDraft: abort,
}

func opened(ctx context.Context, p *pull, e *github.PullRequestEvent) error {
	if len(p.presubmits(ctx)) == 0 {
		return nil
	}
	author := e.PullRequest.User
	trust, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, author)
	switch {
	case err != nil:
		return err
	case !trust.Trusted:
		return p.welcome(ctx, author)
	case e.PullRequest.Draft:
		return p.sayOnce(ctx, draftMarker, "Jobs are not started automatically for draft pull requests. To start them, comment `/test all`.")
	}
	return p.startAutomatic(ctx)
}

// draftMarker and welcomeMarker find comments that are made once.
const (
	draftMarker   = "<!-- prow: draft -->"
	welcomeMarker = "<!-- prow: welcome -->"
)

func buildIfTrusted(ctx context.Context, p *pull, e *github.PullRequestEvent) error {
	if len(p.presubmits(ctx)) == 0 {
		return nil
	}
	trust, err := p.trustOf(ctx, e.PullRequest.User)
	if err != nil || !trust.trusted {
		return err
	}
	if github.HasLabel(plugins.LabelNeedsOkToTest, trust.labels) {
		if err := p.removeLabel(ctx, plugins.LabelNeedsOkToTest); err != nil {
			return err
		}
	}
	return p.startAutomatic(ctx)
}

func abort(ctx context.Context, p *pull, _ *github.PullRequestEvent) error { return p.abort(ctx) }

// labeled starts jobs where the label means that somebody has looked at the code.
func labeled(ctx context.Context, p *pull, e *github.PullRequestEvent) error {
	switch e.Label.Name {
	case plugins.LabelLGTM:
		if len(p.presubmits(ctx)) == 0 {
			return nil
		}
		trust, err := p.trustOf(ctx, e.PullRequest.User)
		if err != nil || trust.trusted {
			return err // what is trusted was started before
		}
		return p.startAutomatic(ctx)
	case plugins.LabelOkToTest:
		isBot, err := p.agent.GitHub.BotChecker(ctx)
		if err != nil || isBot(e.Sender) || len(p.presubmits(ctx)) == 0 {
			return err // the bot's comes from a command, which starts jobs itself
		}
		// To be allowed to label is less than to be trusted.
		sender, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, e.Sender)
		if err != nil || !sender.Trusted {
			return err
		}
		if err := p.vouch(ctx, e.Sender.Login); err != nil {
			return err
		}
		return p.startAutomatic(ctx)
	}
	return nil
}

// welcome greets an author whose code does not run yet, and says how it will.
func (p *pull) welcome(ctx context.Context, author github.User) error {
	var errs []error
	if !p.trigger.IgnoreOkToTest {
		labels, err := p.labels(ctx)
		if err == nil && !github.HasLabel(plugins.LabelOkToTest, labels) && !github.HasLabel(plugins.LabelNeedsOkToTest, labels) {
			err = p.addLabel(ctx, plugins.LabelNeedsOkToTest)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, p.sayOnce(ctx, welcomeMarker, p.welcomeText(author.Login, p.isFrequentAuthor(ctx, author))))...)
}

// isFrequentAuthor tells whether an author has had enough changes merged to be
// invited to join. Where that cannot be found out the answer is no.
func (p *pull) isFrequentAuthor(ctx context.Context, author github.User) bool {
	invite := &p.trigger.OrgInvite.Prominent
	if invite.Disabled || author.Type == "Bot" {
		return false
	}
	merged, err := p.agent.GitHub.FindIssues(ctx, fmt.Sprintf("type:pr is:merged org:%s author:%s", p.org, author.Login), "", false)
	if err != nil {
		p.agent.Log.WarnContext(ctx, "the author's merged pull requests cannot be counted", "error", err)
		return false
	}
	return len(merged) >= invite.Threshold()
}

func (p *pull) welcomeText(author string, frequent bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hi @%s. Thanks for your pull request.\n\n", author)
	if p.trigger.IgnoreOkToTest {
		b.WriteString("The jobs of pull requests of authors who are not members of the organisation cannot be started by comments of theirs: only collaborators can start them, with `/test`.\n")
		return b.String()
	}
	orgs := fmt.Sprintf("[%s](https://github.com/orgs/%s/people)", p.org, p.org)
	if other := p.trigger.TrustedOrg; other != "" && other != p.org {
		orgs += fmt.Sprintf(" or [%s](https://github.com/orgs/%s/people)", other, other)
	}
	if frequent {
		message := p.trigger.OrgInvite.Prominent.Message
		if message == "" {
			message = "You have had several pull requests merged here. Please consider [joining the organisation]({join_org_url}): then your jobs start by themselves."
		}
		message = strings.ReplaceAll(message, "{join_org_url}", p.trigger.JoinOrgURL)
		b.WriteString("> [!IMPORTANT]\n> " + strings.ReplaceAll(message, "\n", "\n> ") + "\n\n")
	}
	fmt.Fprintf(&b, "I'm waiting for a member of %s to verify that this pull request is reasonable to test. If it is, they should reply with `/ok-to-test` on its own line. "+
		"Until that is done, jobs are not started by new commits, and you cannot start them.\n\n", orgs)
	if !frequent {
		fmt.Fprintf(&b, "Regular contributors should [join the org](%s) to skip this step.\n\n", p.trigger.JoinOrgURL)
	}
	fmt.Fprintf(&b, "Once the patch is verified, the label `%s` replaces `%s`.\n\nI understand the commands that are listed [here](https://go.k8s.io/bot-commands?repo=%s).\n",
		plugins.LabelOkToTest, plugins.LabelNeedsOkToTest, url.QueryEscape(p.fullName()))
	return b.String()
}

// handlePush starts the postsubmits of a branch or tag that has moved.
func handlePush(ctx context.Context, a *plugins.Agent, e *github.PushEvent) error {
	if e.Deleted || strings.Trim(e.After, "0") == "" {
		return nil
	}
	org := e.Repo.Owner.Name
	if org == "" {
		org = e.Repo.Owner.Login
	}
	full := org + "/" + e.Repo.Name
	jobs, err := a.InRepo.Postsubmits(ctx, a.Config, full, e.Branch(), config.SHA(e.After))
	if err != nil {
		a.Log.WarnContext(ctx, "the repository's own jobs cannot be read: only the static ones count", "error", err)
	}
	refs := prowjob.BranchRefs(org, e.Repo.Name, e.Repo.HTMLURL, e.Branch(), e.After)
	if e.Compare != "" {
		refs.BaseLink = e.Compare
	}
	changes := func() ([]string, error) { return pushedFiles(e), nil }
	var errs []error
	for i := range jobs {
		job := &jobs[i]
		run, err := job.ShouldRun(e.Branch(), changes)
		if err != nil {
			errs = append(errs, fmt.Errorf("deciding about job %s: %w", job.Name, err))
		}
		if run {
			pj := prowjob.NewPostsubmit(job, refs, prowjob.Event{GUID: a.Delivery}, jobOptions(a, "postsubmit "+job.Name)...)
			errs = append(errs, create(ctx, a, pj))
		}
	}
	return errors.Join(errs...)
}

// pushedFiles are the files that the commits of a push touch.
func pushedFiles(e *github.PushEvent) []string {
	var files []string
	seen := map[string]bool{}
	for _, c := range e.Commits {
		for _, list := range [][]string{c.Added, c.Removed, c.Modified} {
			for _, file := range list {
				if !seen[file] {
					seen[file] = true
					files = append(files, file)
				}
			}
		}
	}
	return files
}
