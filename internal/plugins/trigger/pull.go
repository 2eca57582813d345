package trigger

import (
	"context"
	"errors"
	"fmt"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// pull is a pull request while one event is handled. What is asked of the forge
// is asked once, and only when something depends on it.
type pull struct {
	agent     *plugins.Agent
	trigger   pluginconfig.Trigger
	org, repo string
	number    int
	// fresh tells that the head is new, so that it has no statuses.
	fresh bool

	pr         *github.PullRequest
	base       string
	jobs       []config.Presubmit
	jobsLoaded bool
	status     *github.CombinedStatus
	files      []string
	filesKnown bool
	// failures are of side effects that do not keep jobs from being started.
	failures []error
}

func newPull(a *plugins.Agent, repo github.Repo, number int) *pull {
	org, name := repo.Owner.Login, repo.Name
	return &pull{agent: a, trigger: a.Plugins.TriggerFor(org, name), org: org, repo: name, number: number}
}

func (p *pull) fullName() string { return p.org + "/" + p.repo }

// result adds the failures that were put off.
func (p *pull) result(err error) error { return errors.Join(append(p.failures, err)...) }

func (p *pull) get(ctx context.Context) (*github.PullRequest, error) {
	if p.pr == nil {
		pr, err := p.agent.GitHub.GetPullRequest(ctx, p.org, p.repo, p.number)
		if err != nil {
			return nil, fmt.Errorf("reading the pull request: %w", err)
		}
		p.pr = pr
	}
	return p.pr, nil
}

// baseSHA is the head of the base branch now; what the pull request records is old.
func (p *pull) baseSHA(ctx context.Context) (string, error) {
	if p.base == "" {
		pr, err := p.get(ctx)
		if err != nil {
			return "", err
		}
		if p.base, err = p.agent.GitHub.GetRef(ctx, p.org, p.repo, "heads/"+pr.Base.Ref); err != nil {
			return "", fmt.Errorf("finding the head of the base branch: %w", err)
		}
	}
	return p.base, nil
}

func (p *pull) headSHA(ctx context.Context) (string, error) {
	pr, err := p.get(ctx)
	if err != nil {
		return "", err
	}
	return pr.Head.SHA, nil
}

// labels are always read anew: what an event says of them is old.
func (p *pull) labels(ctx context.Context) ([]github.Label, error) {
	labels, err := p.agent.GitHub.GetIssueLabels(ctx, p.org, p.repo, p.number)
	if err != nil {
		return nil, fmt.Errorf("reading the labels: %w", err)
	}
	return labels, nil
}

// statuses are those of the head.
func (p *pull) statuses(ctx context.Context) (*github.CombinedStatus, error) {
	if p.status == nil {
		head, err := p.headSHA(ctx)
		if err != nil {
			return nil, err
		}
		status, err := p.agent.GitHub.GetCombinedStatus(ctx, p.org, p.repo, head)
		if err != nil {
			return nil, fmt.Errorf("reading the statuses of %s: %w", head, err)
		}
		p.status = status
	}
	return p.status, nil
}

// contexts sorts the contexts of the head for the filters of comments.
func (p *pull) contexts(ctx context.Context) (failed, all map[string]bool, err error) {
	combined, err := p.statuses(ctx)
	if err != nil {
		return nil, nil, err
	}
	failed, all = map[string]bool{}, map[string]bool{}
	for _, s := range combined.Statuses {
		all[s.Context] = true
		if s.State == github.StatusFailure || s.State == github.StatusError {
			failed[s.Context] = true
		}
	}
	if p.agent.Config.GitHubReporter.CheckRuns(p.org, p.repo) {
		if err := p.checkContexts(ctx, combined.SHA, failed, all); err != nil {
			return nil, nil, err
		}
	}
	return failed, all, nil
}

func (p *pull) changes(ctx context.Context) config.ChangedFiles {
	return func() ([]string, error) {
		if !p.filesKnown {
			changes, err := p.agent.GitHub.GetPullRequestChanges(ctx, p.org, p.repo, p.number)
			if err != nil {
				return nil, fmt.Errorf("listing the changed files: %w", err)
			}
			for _, c := range changes {
				p.files = append(p.files, c.Filename)
			}
			p.filesKnown = true
		}
		return p.files, nil
	}
}

// presubmits are the jobs of the repository at the head of the pull request.
// Where its own cannot be read, its author is told, and the static ones count.
func (p *pull) presubmits(ctx context.Context) []config.Presubmit {
	if p.jobsLoaded {
		return p.jobs
	}
	p.jobsLoaded = true
	p.jobs = p.agent.Config.PresubmitsStatic(p.fullName())
	if !p.agent.Config.InRepoConfig.InRepoEnabled(p.fullName()) {
		return p.jobs
	}
	all, err := p.withOwnJobs(ctx)
	if err == nil {
		p.jobs = all
	} else {
		p.agent.Log.WarnContext(ctx, "the repository's own jobs cannot be read: only the static ones count", "error", err)
	}
	if err := p.reportConfig(ctx, err); err != nil {
		p.failures = append(p.failures, fmt.Errorf("telling about the repository's own jobs: %w", err))
	}
	return p.jobs
}

// withOwnJobs are the static jobs and those of the repository.
func (p *pull) withOwnJobs(ctx context.Context) ([]config.Presubmit, error) {
	pr, err := p.get(ctx)
	if err != nil {
		return nil, err
	}
	return p.agent.InRepo.Presubmits(ctx, p.agent.Config, p.fullName(), pr.Base.Ref, p.baseSHA, p.headSHA)
}

func (p *pull) addLabel(ctx context.Context, label string) error {
	if err := p.agent.GitHub.AddLabels(ctx, p.org, p.repo, p.number, label); err != nil {
		return fmt.Errorf("adding the label %s: %w", label, err)
	}
	return nil
}

func (p *pull) removeLabel(ctx context.Context, label string) error {
	if err := p.agent.GitHub.RemoveLabel(ctx, p.org, p.repo, p.number, label); err != nil {
		return fmt.Errorf("removing the label %s: %w", label, err)
	}
	return nil
}

// sayOnce comments unless the bot has a comment with this marker already, such as
// from handling the same event before the process died.
func (p *pull) sayOnce(ctx context.Context, marker, message string) error {
	isBot, err := p.agent.GitHub.BotChecker(ctx)
	if err != nil {
		return err
	}
	comments, err := p.agent.GitHub.ListIssueComments(ctx, p.org, p.repo, p.number)
	if err != nil {
		return fmt.Errorf("listing comments: %w", err)
	}
	for _, c := range comments {
		if isBot(c.User) && contains(c.Body, marker) {
			return nil
		}
	}
	if err := p.agent.GitHub.CreateComment(ctx, p.org, p.repo, p.number, plugins.Say(message)+"\n"+marker); err != nil {
		return fmt.Errorf("commenting: %w", err)
	}
	return nil
}
