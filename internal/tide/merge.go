package tide

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"prow/internal/config"
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

// stopError is an error after which no other member is tried.
type stopError struct{ err error }

func (e *stopError) Error() string   { return e.err.Error() }
func (e *stopError) Unwrap() []error { return []error{errStop, e.err} }

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
				if err := s.Sleep(ctx, s.Provider.Pause()); err != nil {
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
	if s.Provider.Strategy(cfg, pr) == "" {
		return &mergeFailure{err: errors.New("its labels ask for more than one merge method"), user: true, operator: true}
	}
	s.Board.hold(pr)
	return s.Provider.Merge(ctx, cfg, p, pr, target)
}
