package tide

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/git"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
)

// Trees makes work trees of repositories, in which batches are tried.
type Trees interface {
	Tree(ctx context.Context, org, repo string, need git.Need) (*git.Tree, error)
}

// Planner decides about one branch.
type Planner func(*planner.Snapshot) planner.Plan

// Syncer is the sync controller: each [Syncer.Sync] is one round.
type Syncer struct {
	Provider Provider
	Jobs     JobClient
	InRepo   *config.InRepo
	Git      Trees
	Changes  *Changes
	Board    *Board
	History  *history.History
	Metrics  *Metrics
	// Plan decides; Classic unless set.
	Plan Planner
	// DryRun decides, and does nothing.
	DryRun bool
	Now    func() time.Time
	// Sleep waits, or returns the error of the context.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger

	pools atomic.Pointer[[]Pool]
	mu    sync.Mutex
	// merged are heads that were merged; searches may show them as open for a while.
	merged map[string]string
	// gauged are the pools of the last round.
	gauged map[string]*pool
}

// Pools are the pools as of the last round.
func (s *Syncer) Pools() []Pool {
	if p := s.pools.Load(); p != nil {
		return *p
	}
	return nil
}

// Sync makes one round: it searches, divides, filters, and acts on each branch.
// Errors of one branch are logged and counted; what is returned keeps whole
// searches from being made. Rounds must not overlap.
func (s *Syncer) Sync(ctx context.Context, cfg *config.Config) error {
	start := s.Now()
	defer func() {
		s.Changes.rotate()
		s.Metrics.syncSeconds.Set(s.Now().Sub(start).Seconds())
		s.Metrics.heartbeat.WithLabelValues("sync").Inc()
	}()
	prs, queryErr := s.Provider.Candidates(ctx, cfg)
	s.dropMerged(prs)
	var stop blockers
	if len(prs) > 0 {
		var failed map[string]error
		var err error
		if stop, failed, err = s.Provider.Blockers(ctx, cfg); err != nil {
			return errors.Join(queryErr, err)
		}
		if len(failed) > 0 {
			s.Log.WarnContext(ctx, "orgs whose blocking issues are not known are left alone", "error", describeFailed(failed))
		}
		for key, pr := range prs {
			if failed[pr.Org] != nil {
				delete(prs, key)
			}
		}
	}
	pools := divide(prs)
	limit := cfg.Tide.MaxGoroutines
	s.each(pools, limit, func(_ int, p *pool) {
		p.Blockers = stop.of(p.Org, p.Repo, p.Branch)
		if err := s.prepare(ctx, cfg, p); err != nil {
			s.Log.ErrorContext(ctx, "a pool is left out of this round", "pool", p.key(), "error", err)
			s.Metrics.poolErrors.WithLabelValues(p.Org, p.Repo, p.Branch).Inc()
			p.PRs = nil
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	s.Board.post(newsOf(pools, stop))
	pools = slices.DeleteFunc(pools, func(p *pool) bool { return len(p.PRs) == 0 })
	shown := make([]Pool, len(pools))
	s.each(pools, limit, func(i int, p *pool) { shown[i] = s.syncPool(ctx, cfg, p) })
	current := map[string]*pool{}
	for _, p := range pools {
		current[p.key()] = p
	}
	for key, p := range s.gauged {
		if current[key] == nil {
			s.Metrics.forget(p.Org, p.Repo, p.Branch)
		}
	}
	s.gauged = current
	s.pools.Store(&shown)
	s.flush(ctx)
	return queryErr
}

func (s *Syncer) each(pools []*pool, limit int, f func(int, *pool)) {
	var group errgroup.Group
	group.SetLimit(max(limit, 1))
	for i, p := range pools {
		group.Go(func() error {
			f(i, p)
			return nil
		})
	}
	_ = group.Wait() // the function reports its errors itself
}

// noteMerged remembers what was merged.
func (s *Syncer) noteMerged(prs []*PullRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.merged == nil {
		s.merged = map[string]string{}
	}
	for _, pr := range prs {
		s.merged[pr.key()] = pr.HeadRefOID
	}
}

// dropMerged leaves out what was merged already.
func (s *Syncer) dropMerged(prs map[string]*PullRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, sha := range s.merged {
		if pr := prs[key]; pr != nil && pr.HeadRefOID == sha {
			delete(prs, key)
		} else {
			delete(s.merged, key)
		}
	}
}

func (s *Syncer) flush(ctx context.Context) {
	if s.DryRun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := s.History.Flush(ctx); err != nil {
		s.Log.ErrorContext(ctx, "the history is not stored", "error", err)
	}
}

// flushTimeout bounds a write of the history.
const flushTimeout = 30 * time.Second

// syncPool decides about one branch, acts, and shows what it did.
func (s *Syncer) syncPool(ctx context.Context, cfg *config.Config, p *pool) Pool {
	view := Pool{Org: p.Org, Repo: p.Repo, Branch: p.Branch, Action: planner.Wait, Blockers: p.Blockers, TenantIDs: p.tenants()}
	snapshot, err := s.snapshot(ctx, cfg, p)
	if err != nil {
		s.poolFailed(ctx, p, &view, err)
		return view
	}
	plan := s.Plan(snapshot)
	view.SuccessPRs, view.PendingPRs, view.MissingPRs = p.prs(plan.Success), p.prs(plan.Pending), p.prs(plan.Missing)
	view.BatchPending = p.prs(plan.BatchPending)
	done := s.act(ctx, cfg, p, plan)
	view.Action, view.Target = done.action.Kind, done.targets
	view.ActionReason = Reason{Code: string(done.action.Code), Sentence: done.action.Sentence}
	view.Reasons = s.reasons(ctx, cfg, p)
	if done.err != nil {
		s.poolFailed(ctx, p, &view, done.err)
	}
	s.record(p, &view, done)
	s.Log.InfoContext(ctx, "decided", "pool", p.key(), "base", p.BaseSHA, "action", view.Action, "reason", done.action.Code, "sentence", done.action.Sentence,
		"target", numbersOf(view.Target), "success", plan.Success, "pending", plan.Pending, "missing", plan.Missing, "batch-pending", plan.BatchPending)
	return view
}

// outcome is what came of a plan.
type outcome struct {
	action  planner.Action
	targets []*PullRequest
	merged  []*PullRequest
	err     error
}

// act carries out the first proposal that can be.
func (s *Syncer) act(ctx context.Context, cfg *config.Config, p *pool, plan planner.Plan) outcome {
	for _, a := range plan.Proposals {
		if s.DryRun && a.Kind != planner.Wait && a.Kind != planner.Blocked {
			s.Log.InfoContext(ctx, "dry-run: nothing is done", "pool", p.key(), "action", a.Kind, "sentence", a.Sentence)
			return outcome{action: a, targets: p.prsOf(a.Targets)}
		}
		switch a.Kind {
		case planner.Merge, planner.MergeBatch:
			return s.actMerge(ctx, cfg, p, a)
		case planner.Trigger:
			targets := p.prsOf(a.Targets)
			return outcome{action: a, targets: targets, err: s.trigger(ctx, cfg, p, targets, p.presubmits(targets[0], a.Contexts))}
		case planner.TriggerBatch:
			if done, ok := s.actBatch(ctx, cfg, p, a); ok {
				return done
			}
		default:
			return outcome{action: a}
		}
	}
	return outcome{action: planner.Action{Kind: planner.Wait, Code: planner.CodeEmpty, Sentence: "There is nothing to do."}}
}

// actMerge merges, unless the base moved since it was read: the forge cannot be
// told which base a merge is meant for.
func (s *Syncer) actMerge(ctx context.Context, cfg *config.Config, p *pool, a planner.Action) outcome {
	base, err := s.Provider.Base(ctx, p.PRs[0])
	if err != nil {
		return outcome{action: waiting("base-unknown", "The base cannot be read."), err: err}
	}
	if base != p.BaseSHA {
		return outcome{action: waiting("base-moved", "The base moved; what was tested on the old one has to be tested again.")}
	}
	targets := p.prsOf(a.Targets)
	merged, err := s.merge(ctx, cfg, p, targets)
	return outcome{action: a, targets: targets, merged: merged, err: err}
}

// actBatch starts the jobs of a batch; ok is false where there is no batch.
func (s *Syncer) actBatch(ctx context.Context, cfg *config.Config, p *pool, a planner.Action) (_ outcome, ok bool) {
	targets := p.prsOf(a.Targets)
	if len(targets) == 0 {
		var err error
		if targets, err = s.pickBatch(ctx, cfg, p, a.Candidates, a.Limit); err != nil {
			return outcome{action: waiting("batch-failed", "No batch could be made."), err: err}, true
		}
	}
	if len(targets) < 2 {
		return outcome{}, false
	}
	req, err := s.requirementsOf(ctx, cfg, p.BaseSHA, targets...)
	if err != nil {
		return outcome{action: waiting("batch-failed", "It is not known what the batch requires."), err: err}, true
	}
	return outcome{action: a, targets: targets, err: s.trigger(ctx, cfg, p, targets, req.Presubmits)}, true
}

func waiting(code planner.Code, sentence string) planner.Action {
	return planner.Action{Kind: planner.Wait, Code: code, Sentence: sentence}
}

// poolFailed tells everyone what he should know of an error.
func (s *Syncer) poolFailed(ctx context.Context, p *pool, view *Pool, err error) {
	view.Error = err.Error()
	var merge *MergeError
	if errors.As(err, &merge) {
		s.Log.InfoContext(ctx, "not everything was merged", "pool", p.key(), "error", merge.Error())
		if err = merge.Operator(); err == nil {
			return
		}
	}
	s.Log.ErrorContext(ctx, "a pool is in trouble", "pool", p.key(), "error", err)
	s.Metrics.poolErrors.WithLabelValues(p.Org, p.Repo, p.Branch).Inc()
}

// record remembers and counts what was done.
func (s *Syncer) record(p *pool, view *Pool, done outcome) {
	labels := []string{p.Org, p.Repo, p.Branch}
	m := s.Metrics
	m.pooled.WithLabelValues(labels...).Set(float64(len(p.PRs)))
	m.updated.WithLabelValues(labels...).Set(float64(s.Now().Unix()))
	m.missing.WithLabelValues(labels...).Set(float64(len(view.MissingPRs)))
	m.pending.WithLabelValues(labels...).Set(float64(len(view.PendingPRs)))
	m.success.WithLabelValues(labels...).Set(float64(len(view.SuccessPRs)))
	m.batchPending.WithLabelValues(labels...).Set(float64(len(view.BatchPending)))
	if s.DryRun {
		return
	}
	if len(done.merged) > 0 {
		m.merges.WithLabelValues(labels...).Observe(float64(len(done.merged)))
	}
	switch done.action.Kind {
	case planner.Trigger, planner.TriggerBatch:
		m.retests.WithLabelValues(append(labels, string(done.action.Kind))...).Add(float64(len(done.targets)))
	case planner.Merge, planner.MergeBatch:
		s.noteMerged(done.merged)
	default:
		return
	}
	r := history.Record{Time: s.Now().UTC(), Action: string(done.action.Kind), BaseSHA: p.BaseSHA, TenantIDs: view.TenantIDs}
	if done.err != nil {
		r.Err = done.err.Error()
	}
	for _, pr := range done.targets {
		r.Target = append(r.Target, prowv1.Pull{Number: pr.Number, Author: pr.AuthorLogin, SHA: pr.HeadRefOID, Title: pr.Title, HeadRef: pr.HeadRefName})
	}
	s.History.Add(p.key(), r)
}

// presubmits are the required jobs of a pull request that have one of the contexts.
func (p *pool) presubmits(pr *PullRequest, contexts []string) []*config.Presubmit {
	wanted := map[string]bool{}
	for _, c := range contexts {
		wanted[c] = true
	}
	var out []*config.Presubmit
	for _, job := range p.Requirements[pr.Number].Presubmits {
		if wanted[job.Context] {
			out = append(out, job)
		}
	}
	return out
}

// prs returns members of the pool by number.
func (p *pool) prs(numbers []int) []*PullRequest {
	var out []*PullRequest
	for _, n := range numbers {
		if pr := p.pr(n); pr != nil {
			out = append(out, pr)
		}
	}
	return out
}

func (p *pool) prsOf(heads []planner.Head) []*PullRequest {
	prs, _ := p.members(heads)
	return prs
}

func numbersOf(prs []*PullRequest) []int {
	out := make([]int, len(prs))
	for i, pr := range prs {
		out[i] = pr.Number
	}
	return out
}
