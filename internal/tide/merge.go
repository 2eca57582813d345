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
	// betweenMerges lets the forge find out which others can still be merged.
	betweenMerges = 5 * time.Second
	// reportTag marks comments that list failed tests.
	reportTag = "<!-- test report -->"
)

// MergeError says which pull requests could not be merged.
type MergeError struct {
	failures []mergeFailure
	// batch are all that were to be merged, merged those that were.
	batch, merged []int
}

type mergeFailure struct {
	number int
	err    error
	// user and operator say who is told.
	user, operator bool
}

// Error is what people who use the system are told.
func (e *MergeError) Error() string {
	var parts []string
	for _, f := range e.failures {
		text := "an error that the administrators of this system can look up"
		if f.user {
			text = f.err.Error()
		}
		parts = append(parts, fmt.Sprintf("#%d: %s", f.number, text))
	}
	text := "failed to merge " + strings.Join(parts, "; ")
	if len(e.batch) > 1 {
		text += fmt.Sprintf(" (batch %v, merged %v)", e.batch, e.merged)
	}
	return text
}

// Operator is what those who run the system are told; nil where it is nothing of
// their business.
func (e *MergeError) Operator() error {
	var errs []error
	for _, f := range e.failures {
		if f.operator {
			errs = append(errs, fmt.Errorf("#%d: %w", f.number, f.err))
		}
	}
	return errors.Join(errs...)
}

// errStop ends the merging of a target early: no other member would fare better.
var errStop = errors.New("stop")

// merge merges pull requests in order and returns those that were merged. The
// error, where there is one, is a *MergeError.
func (s *Syncer) merge(ctx context.Context, cfg *config.Config, p *pool, prs []*PullRequest) ([]*PullRequest, error) {
	problem := &MergeError{}
	var merged []*PullRequest
	for i, pr := range prs {
		problem.batch = append(problem.batch, pr.Number)
		failure := s.mergeOne(ctx, cfg, p, pr, prs)
		if failure == nil {
			s.Log.InfoContext(ctx, "merged", "pr", pr.key(), "sha", pr.HeadRefOID, "base", p.BaseSHA)
			merged = append(merged, pr)
			problem.merged = append(problem.merged, pr.Number)
			if i+1 < len(prs) {
				if err := s.Sleep(ctx, betweenMerges); err != nil {
					break // the next process finds out what is left
				}
			}
			continue
		}
		failure.number = pr.Number
		problem.failures = append(problem.failures, *failure)
		if errors.Is(failure.err, errStop) || ctx.Err() != nil {
			for _, rest := range prs[i+1:] {
				problem.batch = append(problem.batch, rest.Number)
			}
			break
		}
	}
	if len(problem.failures) == 0 {
		return merged, nil
	}
	return merged, problem
}

// mergeOne merges one pull request of a target.
func (s *Syncer) mergeOne(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest, target []*PullRequest) *mergeFailure {
	method := mergeMethod(&cfg.Tide, pr)
	if method == "" {
		return &mergeFailure{err: errors.New("its labels ask for more than one merge method"), user: true, operator: true}
	}
	s.Board.hold(pr)
	if err := s.passOwnContext(ctx, cfg, pr); err != nil {
		return &mergeFailure{err: fmt.Errorf("set the context %s: %w", planner.OwnContext, err), operator: true}
	}
	if policy := p.Requirements[pr.Number].Policy; policy != nil && policy.Overwrites() {
		if err := s.overwritePending(ctx, p, pr, target); err != nil {
			return &mergeFailure{err: fmt.Errorf("overwrite pending contexts: %w", err), operator: true}
		}
	}
	details := github.MergeDetails{SHA: pr.HeadRefOID, MergeMethod: string(method)}
	tmpl := cfg.Tide.MergeCommitTemplate(pr.Org, pr.Repo)
	details.CommitTitle = s.render(ctx, pr, "title", tmpl.Title)
	details.CommitMessage = s.render(ctx, pr, "body", tmpl.Body)
	if err := s.tryMerge(ctx, pr, details); err != nil {
		return &mergeFailure{err: err, user: true}
	}
	return nil
}

// tryMerge sends the merge, again where the base was just modified.
func (s *Syncer) tryMerge(ctx context.Context, pr *PullRequest, details github.MergeDetails) error {
	delay := baseModifiedDelay
	for attempt := 1; ; attempt++ {
		err := s.Forge.Merge(ctx, pr.Org, pr.Repo, pr.Number, details)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, github.ErrBaseModified) && attempt < mergeAttempts:
			if err := s.Sleep(ctx, delay); err != nil {
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

// stopError is an error after which no other member is tried.
type stopError struct{ err error }

func (e *stopError) Error() string   { return e.err.Error() }
func (e *stopError) Unwrap() []error { return []error{errStop, e.err} }

// passOwnContext makes sure that the own context of a pull request is successful,
// which branch protection may require.
func (s *Syncer) passOwnContext(ctx context.Context, cfg *config.Config, pr *PullRequest) error {
	contexts, err := headContexts(ctx, s.Forge, s.Log, pr)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(contexts, func(c Context) bool {
		return strings.EqualFold(c.Context, planner.OwnContext) && c.State == planner.ContextSuccess
	}) {
		return nil
	}
	return s.Forge.CreateStatus(ctx, pr.Org, pr.Repo, pr.HeadRefOID, github.Status{
		Context: planner.OwnContext, State: github.StatusSuccess, TargetURL: targetURL(&cfg.Tide, pr, s.Log),
	})
}

// overwritePending gives contexts that wait for a run of the pull request by
// itself the result of the batch that is merged.
func (s *Syncer) overwritePending(ctx context.Context, p *pool, pr *PullRequest, target []*PullRequest) error {
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
		if err := s.Forge.CreateStatus(ctx, pr.Org, pr.Repo, pr.HeadRefOID, github.Status{
			Context: job.Spec.Context, State: github.StatusSuccess, TargetURL: batch.Status.URL,
			Description: statusdesc.Description(batch.Status.Description, p.BaseSHA),
		}); err != nil {
			return err
		}
	}
	if !overwritten {
		return nil
	}
	return s.deleteReports(ctx, pr)
}

// deleteReports deletes the comments that list failed tests.
func (s *Syncer) deleteReports(ctx context.Context, pr *PullRequest) error {
	isBot, err := s.Forge.BotUserChecker(ctx)
	if err != nil {
		return err
	}
	comments, err := s.Forge.ListIssueComments(ctx, pr.Org, pr.Repo, pr.Number)
	if err != nil {
		return err
	}
	for _, c := range comments {
		if isBot(c.User.Login) && strings.Contains(c.Body, reportTag) {
			if err := s.Forge.DeleteComment(ctx, pr.Org, pr.Repo, c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// render fills a template of a merge commit. One that fails leaves the part to the
// forge: a merge does not wait for a mistake in a text.
func (s *Syncer) render(ctx context.Context, pr *PullRequest, part string, tmpl *template.Template) string {
	if tmpl == nil {
		return ""
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, *pr); err != nil {
		s.Log.ErrorContext(ctx, "the template of merge commits failed; the forge's own text is used", "pr", pr.key(), "part", part, "error", err)
		return ""
	}
	return b.String()
}
