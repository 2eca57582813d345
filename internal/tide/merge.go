package tide

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"prow/internal/config"
	"prow/internal/forge/github"
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

// said is what people are told of the failure.
func (f *mergeFailure) said() string {
	if !f.user {
		return operatorsKnow
	}
	if answer := (*github.RequestError)(nil); errors.As(f.err, &answer) && answer.Message != "" {
		return answer.Message
	}
	return f.err.Error()
}

// operatorsKnow stands for errors that are not for everyone.
const operatorsKnow = "an error that the administrators of this system can look up"

// Error is what people who use the system are told.
func (e *MergeError) Error() string {
	var parts []string
	for _, f := range e.failures {
		text := operatorsKnow
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

// mergeOne merges one pull request of a target.
func (s *Syncer) mergeOne(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest, target []*PullRequest) *mergeFailure {
	if s.Provider.Strategy(cfg, pr) == "" {
		return &mergeFailure{err: errors.New("its labels ask for more than one merge method"), user: true, operator: true}
	}
	s.Board.hold(pr)
	return s.Provider.Merge(ctx, cfg, p, pr, target)
}
