package tide

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/tide/executor"
	"prow/internal/tide/planner"
)

// poolWorld is a pool as the executor acts on it.
type poolWorld struct {
	s   *Syncer
	cfg *config.Config
	p   *pool
	// failures are the merges that failed.
	failures []mergeFailure
}

var _ executor.World = &poolWorld{}

// speculative tells whether combinations are tested on top of each other.
func (w *poolWorld) speculative() bool {
	return w.cfg.Tide.Planner(w.p.Org, w.p.Repo, w.p.Branch).Name == config.PlannerSpeculative
}

// planner is the one of the branch.
func (w *poolWorld) planner() planner.Planner {
	if w.speculative() {
		return planner.Speculative
	}
	return w.s.Plan
}

// Base reads the base branch again.
func (w *poolWorld) Base(ctx context.Context) (string, error) {
	return w.s.Provider.Base(ctx, w.p.PRs[0])
}

// Try merges in a work tree.
func (w *poolWorld) Try(ctx context.Context, pulls []planner.Head) (planner.Merged, error) {
	prs, ok := w.p.members(pulls)
	if !ok {
		return planner.Merged{Unknown: true}, nil
	}
	tree, without, err := w.s.mergedTree(ctx, w.p, w.p.BaseSHA, w.p.changes(w.s, w.cfg, pulls), 0)
	if err != nil {
		return planner.Merged{}, err
	}
	out := planner.Merged{Tree: tree, Without: without}
	prs = slices.DeleteFunc(prs, func(pr *PullRequest) bool { return slices.Contains(without, pr.head()) })
	if len(prs) == 0 {
		return out, nil
	}
	req, err := w.s.requirementsOf(ctx, w.cfg, w.p.BaseSHA, prs...)
	if err != nil {
		w.s.Log.WarnContext(ctx, "it is not known what a combination requires; it is left alone", "pool", w.p.key(), "pulls", numbersOf(prs), "error", err)
		out.Unknown = true
	}
	out.Required = req.contexts()
	return out, nil
}

// Pick merges candidates in a work tree.
func (w *poolWorld) Pick(ctx context.Context, candidates []planner.Head, limit int) ([]planner.Head, error) {
	if _, ok := w.p.members(candidates); !ok {
		return nil, errors.New("pick a batch: a candidate is not in the pool")
	}
	_, without, err := w.s.mergedTree(ctx, w.p, w.p.BaseSHA, w.p.changes(w.s, w.cfg, candidates), limit)
	if err != nil {
		return nil, fmt.Errorf("pick a batch: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(candidates), func(h planner.Head) bool { return slices.Contains(without, h) }), nil
}

// Start creates ProwJobs.
func (w *poolWorld) Start(ctx context.Context, start planner.Start) error {
	targets, ok := w.p.members(start.Pulls)
	if !ok || len(targets) == 0 {
		return fmt.Errorf("start jobs for %s: not everyone is in the pool", planner.Key(start.Pulls))
	}
	// A trial of one is a batch too: it must not report, or a flake would throw the
	// pull request out.
	if len(targets) == 1 {
		return w.s.trigger(ctx, w.cfg, w.p, targets, w.p.presubmits(targets[0], start.Contexts), w.speculative())
	}
	req, err := w.s.requirementsOf(ctx, w.cfg, w.p.BaseSHA, targets...)
	if err != nil {
		return fmt.Errorf("find out what a batch requires: %w", err)
	}
	presubmits := req.Presubmits
	if len(start.Contexts) > 0 {
		presubmits = slices.DeleteFunc(slices.Clone(presubmits), func(job *config.Presubmit) bool { return !slices.Contains(start.Contexts, job.Context) })
	}
	return w.s.trigger(ctx, w.cfg, w.p, targets, presubmits, true)
}

// Stop aborts the jobs of a trial that are not over.
func (w *poolWorld) Stop(ctx context.Context, trial string) error {
	var errs []error
	for _, job := range w.p.trialJobs[trial] {
		if job.Complete() || job.Status.State == prowv1.AbortedState {
			continue
		}
		aborted := job.DeepCopy()
		aborted.Status.State = prowv1.AbortedState
		aborted.Status.Description = "Stopped: its outcome is of no use to the merge queue any more."
		if err := w.s.Jobs.Patch(ctx, aborted, client.MergeFrom(job)); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("abort %s: %w", job.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Merge merges one pull request, and remembers where the forge refuses.
func (w *poolWorld) Merge(ctx context.Context, pull planner.Head, all []planner.Head) error {
	prs := w.p.prsOf(all)
	pr := w.p.pr(pull.Number)
	if pr == nil || len(prs) != len(all) {
		return fmt.Errorf("merge #%d: it is not in the pool", pull.Number)
	}
	failure := w.s.mergeOne(ctx, w.cfg, w.p, pr, prs)
	if failure == nil {
		w.s.Log.InfoContext(ctx, "merged", "pr", pr.key(), "sha", pr.HeadRefOID, "base", w.p.BaseSHA)
		w.s.noteMerged([]*PullRequest{pr})
		// Those of other branches that depend on it need not wait until they ask again.
		w.s.standings.note(prName{pr.Org, pr.Repo, pr.Number}, Standing{Merged: true}, w.s.Now())
		return nil
	}
	failure.number = pr.Number
	w.failures = append(w.failures, *failure)
	if answer := (*github.RequestError)(nil); errors.As(failure.err, &answer) && answer.Status < 500 {
		w.s.Board.drop(pr) // it was not merged for sure, so its status says why
	}
	if errors.Is(failure.err, github.ErrUnmergeable) {
		w.s.refusals.note(w.p.key(), pull, failure.said(), w.s.Now())
	}
	if errors.Is(failure.err, errStop) {
		return errors.Join(executor.ErrStop, failure.err)
	}
	return failure.err
}

// Pause gives the forge time.
func (w *poolWorld) Pause(ctx context.Context) error { return w.s.Sleep(ctx, w.s.Provider.Pause()) }

// problem is the error that people are told of merges that failed.
func (w *poolWorld) problem(out *executor.Outcome) error {
	if len(w.failures) == 0 {
		return nil
	}
	e := &MergeError{failures: w.failures}
	for _, h := range out.Targets {
		e.batch = append(e.batch, h.Number)
	}
	for _, h := range out.Merged {
		e.merged = append(e.merged, h.Number)
	}
	return e
}
