// Package executor carries out plans: it answers the questions of a planner, has
// its proposals checked, and does the first one that can be done.
//
// It keeps nothing between rounds. Whatever it does can be found out by the next
// snapshot, so that a process may be killed between any two steps.
package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"prow/internal/tide/planner"
)

// World is the branch that a plan is carried out on.
type World interface {
	// Base is the commit the branch points at now.
	Base(ctx context.Context) (string, error)
	// Try tells what comes of merging the pull requests onto the base of the snapshot,
	// leaving out those that conflict.
	Try(ctx context.Context, pulls []planner.Head) (planner.Merged, error)
	// Pick returns the candidates that merge one after the other, at most limit of
	// them where it is not 0.
	Pick(ctx context.Context, candidates []planner.Head, limit int) ([]planner.Head, error)
	// Start starts the jobs with these contexts, all that are required where there
	// are none. A job that was started before is not started again.
	Start(ctx context.Context, start planner.Start) error
	// Stop ends a trial early. One that is over is no error.
	Stop(ctx context.Context, trial string) error
	// Merge merges one pull request of all that are to be merged now. An error that
	// is [ErrStop] tells that no other would fare better.
	Merge(ctx context.Context, pull planner.Head, all []planner.Head) error
	// Pause is called between two merges.
	Pause(ctx context.Context) error
}

// ErrStop ends the merging of several pull requests.
var ErrStop = errors.New("stop")

// maxQuestions bounds how often a planner is asked again in one round.
const maxQuestions = 32

// Failure is a pull request that could not be merged.
type Failure struct {
	Pull planner.Head
	Err  error
}

// Outcome is what came of a plan.
type Outcome struct {
	Plan planner.Plan
	// Action is the one that was carried out.
	Action planner.Action
	// Targets are the pull requests it was about, and Merged those that were merged.
	Targets, Merged []planner.Head
	Failures        []Failure
	// Started are the trials of the action that were started.
	Started []planner.Start
	// Refused are proposals that would have broken an invariant.
	Refused []error
	// Err is what went wrong besides merges.
	Err error
}

// Decide asks the planner until it has no question that can be answered. The
// answers are added to the snapshot.
func Decide(ctx context.Context, w World, s *planner.Snapshot, plan planner.Planner) (planner.Plan, error) {
	for range maxQuestions {
		p := plan(s)
		fresh := false
		for _, pulls := range p.Ask {
			key := planner.Key(pulls)
			if _, known := s.Speculation.Merges[key]; known {
				continue
			}
			m, err := w.Try(ctx, pulls)
			if err != nil {
				return p, fmt.Errorf("find out what comes of merging %s: %w", key, err)
			}
			if s.Speculation.Merges == nil {
				s.Speculation.Merges = map[string]planner.Merged{}
			}
			s.Speculation.Merges[key], fresh = m, true
			if len(m.Without) > 0 {
				rest := slices.DeleteFunc(slices.Clone(pulls), func(h planner.Head) bool { return slices.Contains(m.Without, h) })
				m.Without = nil
				s.Speculation.Merges[planner.Key(rest)] = m
			}
		}
		if !fresh {
			return p, nil
		}
	}
	return planner.Plan{}, fmt.Errorf("the planner has had %d rounds of questions and goes on asking", maxQuestions)
}

// Round decides and acts.
func Round(ctx context.Context, w World, s *planner.Snapshot, plan planner.Planner) Outcome {
	p, err := Decide(ctx, w, s, plan)
	if err != nil {
		return Outcome{Plan: p, Action: wait("undecided", "It could not be found out what to do."), Err: err}
	}
	out := Act(ctx, w, s, p)
	return out
}

// Act carries out the first proposal of a plan that can be.
func Act(ctx context.Context, w World, s *planner.Snapshot, p planner.Plan) Outcome {
	var refused []error
	var failures []Failure
	for i := range p.Proposals {
		a := &p.Proposals[i]
		if err := planner.Check(s, a); err != nil {
			refused = append(refused, fmt.Errorf("%s of %s: %w", a.Kind, planner.Key(a.Targets), err))
			continue
		}
		out, ok := act(ctx, w, s, *a)
		if !ok {
			continue
		}
		failures = append(failures, out.Failures...)
		out.Plan, out.Refused, out.Failures = p, refused, failures
		// A forge that does not merge must not keep others from being tested.
		if a.Exact && len(out.Failures) > 0 && len(out.Merged) == 0 && i+1 < len(p.Proposals) && ctx.Err() == nil {
			continue
		}
		return out
	}
	return Outcome{Plan: p, Refused: refused, Failures: failures, Action: wait(planner.CodeEmpty, "There is nothing to do.")}
}

func wait(code planner.Code, sentence string) planner.Action {
	return planner.Action{Kind: planner.Wait, Code: code, Sentence: sentence}
}

// act is ok unless the proposal turns out to be impossible.
func act(ctx context.Context, w World, s *planner.Snapshot, a planner.Action) (_ Outcome, ok bool) {
	switch a.Kind {
	case planner.Merge, planner.MergeBatch:
		return merge(ctx, w, s, a), true
	case planner.Trigger, planner.TriggerBatch:
		return start(ctx, w, a)
	}
	return Outcome{Action: a}, true
}

// start starts trials, or a batch of what goes together.
func start(ctx context.Context, w World, a planner.Action) (_ Outcome, ok bool) {
	out := Outcome{Action: a, Targets: a.Targets}
	starts := a.Starts
	switch {
	case len(starts) > 0 || len(a.Stops) > 0:
	case a.Kind == planner.Trigger:
		starts = []planner.Start{{Pulls: a.Targets, Contexts: a.Contexts}}
	default:
		if len(a.Targets) == 0 {
			picked, err := w.Pick(ctx, a.Candidates, a.Limit)
			if err != nil {
				return Outcome{Action: wait("batch-failed", "No batch could be made."), Err: err}, true
			}
			out.Targets = picked
		}
		if len(out.Targets) < 2 {
			return Outcome{}, false
		}
		starts = []planner.Start{{Pulls: out.Targets}}
	}
	out.Err = stop(ctx, w, a.Stops)
	for _, st := range starts {
		if err := w.Start(ctx, st); err != nil {
			out.Err = errors.Join(out.Err, err)
			break
		}
		out.Started = append(out.Started, st)
	}
	return out, true
}

// stop stops trials; those that it cannot stop do no harm.
func stop(ctx context.Context, w World, trials []string) error {
	var errs []error
	for _, id := range trials {
		if err := w.Stop(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("stop trial %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// merge merges, unless the base moved since it was read: the forge cannot be told
// which base a merge is meant for.
func merge(ctx context.Context, w World, s *planner.Snapshot, a planner.Action) Outcome {
	base, err := w.Base(ctx)
	if err != nil {
		return Outcome{Action: wait("base-unknown", "The base cannot be read."), Err: err}
	}
	if base != s.BaseSHA {
		return Outcome{Action: wait("base-moved", "The base moved; what was tested on the old one has to be tested again.")}
	}
	return Land(ctx, w, a)
}

// Land merges the targets of an action in order.
func Land(ctx context.Context, w World, a planner.Action) Outcome {
	out := Outcome{Action: a, Targets: a.Targets}
	for i, pull := range a.Targets {
		err := w.Merge(ctx, pull, a.Targets)
		if err == nil {
			out.Merged = append(out.Merged, pull)
			if i+1 < len(a.Targets) && w.Pause(ctx) != nil {
				break // the next round finds out what is left
			}
			continue
		}
		out.Failures = append(out.Failures, Failure{pull, err})
		if errors.Is(err, ErrStop) || ctx.Err() != nil || a.Exact {
			break
		}
	}
	if len(out.Merged) == len(a.Targets) {
		out.Err = stop(ctx, w, a.Stops)
	}
	return out
}
