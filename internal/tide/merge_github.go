package tide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/statusdesc"
	"prow/internal/tide/planner"
)

const (
	// mergeAttempts and baseModifiedDelay are for merges that meet another one: the
	// delay doubles.
	mergeAttempts     = 3
	baseModifiedDelay = 4 * time.Second
	// reportTag marks comments that list failed tests.
	reportTag = "<!-- test report -->"
)

// Merge merges one pull request of a target: its own context passes before, since
// branch protection may require it.
func (g *GitHubProvider) Merge(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest, target []*PullRequest) *mergeFailure {
	if err := g.passOwnContext(ctx, cfg, pr); err != nil {
		return &mergeFailure{err: fmt.Errorf("set the context %s: %w", planner.OwnContext, err), operator: true}
	}
	if policy := p.Requirements[pr.Number].Policy; policy != nil && policy.Overwrites() {
		if err := g.overwritePending(ctx, p, pr, target); err != nil {
			return &mergeFailure{err: fmt.Errorf("overwrite pending contexts: %w", err), operator: true}
		}
	}
	details := github.MergeDetails{SHA: pr.HeadRefOID, MergeMethod: string(mergeMethod(&cfg.Tide, pr))}
	tmpl := cfg.Tide.MergeCommitTemplate(pr.Org, pr.Repo)
	details.CommitTitle = g.render(ctx, pr, "title", tmpl.Title)
	details.CommitMessage = g.render(ctx, pr, "body", tmpl.Body)
	if err := g.tryMerge(ctx, pr, details); err != nil {
		return &mergeFailure{err: err, user: true}
	}
	return nil
}

// tryMerge sends the merge, again where the base was just modified.
func (g *GitHubProvider) tryMerge(ctx context.Context, pr *PullRequest, details github.MergeDetails) error {
	delay := baseModifiedDelay
	for attempt := 1; ; attempt++ {
		err := g.Forge.Merge(ctx, pr.Org, pr.Repo, pr.Number, details)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, github.ErrBaseModified) && attempt < mergeAttempts:
			if err := g.Sleep(ctx, delay); err != nil {
				return err
			}
			delay *= 2
		case errors.Is(err, github.ErrPushUnauthorized), errors.Is(err, github.ErrMergeMethodForbidden):
			return &stopError{err}
		default:
			return err
		}
	}
}

// passOwnContext makes sure that the own context of a pull request is successful,
// which branch protection may require.
func (g *GitHubProvider) passOwnContext(ctx context.Context, cfg *config.Config, pr *PullRequest) error {
	contexts, err := headContexts(ctx, g.Forge, g.Log, pr)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(contexts, func(c Context) bool {
		return strings.EqualFold(c.Context, planner.OwnContext) && c.State == planner.ContextSuccess
	}) {
		return nil
	}
	return g.Forge.CreateStatus(ctx, pr.Org, pr.Repo, pr.HeadRefOID, github.Status{
		Context: planner.OwnContext, State: github.StatusSuccess, TargetURL: targetURL(&cfg.Tide, pr, g.Log),
	})
}

// overwritePending gives contexts that wait for a run of the pull request by
// itself the result of the batch that is merged.
func (g *GitHubProvider) overwritePending(ctx context.Context, p *pool, pr *PullRequest, target []*PullRequest) error {
	inTarget := map[planner.Head]bool{}
	for _, t := range target {
		inTarget[t.head()] = true
	}
	passed := map[string]*prowv1.ProwJob{}
	for i := range p.Jobs {
		job := &p.Jobs[i]
		if job.Spec.Type == prowv1.BatchJob && job.Status.State == prowv1.SuccessState &&
			!slices.ContainsFunc(headsOf(job.Spec.Refs), func(h planner.Head) bool { return !inTarget[h] }) {
			passed[job.Spec.Context] = job
		}
	}
	overwritten := false
	for i := range p.Jobs {
		job := &p.Jobs[i]
		batch := passed[job.Spec.Context]
		heads := headsOf(job.Spec.Refs)
		if batch == nil || job.Spec.Type != prowv1.PresubmitJob || len(heads) == 0 || heads[0] != pr.head() {
			continue
		}
		if state := planner.RunStateOf(string(job.Status.State)); state != planner.RunPending && state != planner.RunTriggered {
			continue
		}
		delete(passed, job.Spec.Context)
		overwritten = true
		if err := g.Forge.CreateStatus(ctx, pr.Org, pr.Repo, pr.HeadRefOID, github.Status{
			Context: job.Spec.Context, State: github.StatusSuccess, TargetURL: batch.Status.URL,
			Description: statusdesc.Description(batch.Status.Description, p.BaseSHA),
		}); err != nil {
			return err
		}
	}
	if !overwritten {
		return nil
	}
	return g.deleteReports(ctx, pr)
}

// deleteReports deletes the comments that list failed tests.
func (g *GitHubProvider) deleteReports(ctx context.Context, pr *PullRequest) error {
	isBot, err := g.Forge.BotUserChecker(ctx)
	if err != nil {
		return err
	}
	comments, err := g.Forge.ListIssueComments(ctx, pr.Org, pr.Repo, pr.Number)
	if err != nil {
		return err
	}
	for _, c := range comments {
		if isBot(c.User.Login) && strings.Contains(c.Body, reportTag) {
			if err := g.Forge.DeleteComment(ctx, pr.Org, pr.Repo, c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// render fills a template of a merge commit. One that fails leaves the part to the
// forge: a merge does not wait for a mistake in a text.
func (g *GitHubProvider) render(ctx context.Context, pr *PullRequest, part string, tmpl *template.Template) string {
	if tmpl == nil {
		return ""
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, *pr); err != nil {
		g.Log.ErrorContext(ctx, "the template of merge commits failed; the forge's own text is used", "pr", pr.key(), "part", part, "error", err)
		return ""
	}
	return b.String()
}
