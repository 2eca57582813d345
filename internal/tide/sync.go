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
	"prow/internal/tide/executor"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
)

// Trees makes work trees of repositories, in which batches are tried.
type Trees interface {
	Tree(ctx context.Context, org, repo string, need git.Need) (*git.Tree, error)
}

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
	// Plan decides where the configuration does not name another planner.
	Plan planner.Planner
	// DryRun decides, and does nothing.
	DryRun bool
	Now    func() time.Time
	// Sleep waits, or returns the error of the context.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger

	// Wake asks for a round soon; nil where nobody listens.
	Wake func()

	pools     atomic.Pointer[[]Pool]
	trees     trees
	refusals  refusals
	standings standings
	mu        sync.Mutex
	// merged are heads that were merged; searches may show them as open for a while.
	merged map[string]string
	// gauged are the pools of the last round, and told where their candidates were.
	gauged map[string]*pool
	told   map[string]told
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
	s.Board.release(s.dropMerged(prs))
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
	all := pools
	pools = slices.DeleteFunc(slices.Clone(pools), func(p *pool) bool { return len(p.PRs) == 0 })
	shown := make([]Pool, len(pools))
	s.each(pools, limit, func(i int, p *pool) { shown[i] = s.syncPool(ctx, cfg, p) })
	s.tell(ctx, all)
	s.Board.post(newsOf(all, stop))
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

// dropMerged leaves out what was merged already, and tells what that is.
func (s *Syncer) dropMerged(prs map[string]*PullRequest) (dropped map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped = map[string]bool{}
	for key, sha := range s.merged {
		if pr := prs[key]; pr != nil && pr.HeadRefOID == sha {
			delete(prs, key)
			dropped[key] = true
		} else {
			delete(s.merged, key)
		}
	}
	return dropped
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
	w := &poolWorld{s: s, cfg: cfg, p: p}
	snapshot, err := s.snapshot(ctx, cfg, p)
	if err != nil {
		s.poolFailed(ctx, p, &view, err)
		s.conclude(ctx, w, nil, nil)
		view.Reasons, view.Refused = p.reasons(), p.refusals()
		return view
	}
	done := s.decide(ctx, w, snapshot)
	plan := done.Plan
	view.SuccessPRs, view.PendingPRs, view.MissingPRs = p.prs(plan.Success), p.prs(plan.Pending), p.prs(plan.Missing)
	view.BatchPending = p.prs(plan.BatchPending)
	view.Action, view.Target = done.Action.Kind, p.prsOf(done.Targets)
	s.conclude(ctx, w, snapshot, &done)
	view.Reasons, view.Refused, view.ActionReason = p.reasons(), p.refusals(), p.actionReason(&done.Action)
	for _, err := range done.Refused {
		s.Log.ErrorContext(ctx, "a proposal of the planner would break an invariant; it is not carried out", "pool", p.key(), "error", err)
		s.Metrics.poolErrors.WithLabelValues(p.Org, p.Repo, p.Branch).Inc()
	}
	problem := done.Err
	if merging := w.problem(&done); merging != nil {
		problem = errors.Join(merging, done.Err)
	}
	if problem != nil {
		s.poolFailed(ctx, p, &view, problem)
	}
	s.record(p, &view, &done, problem)
	if len(done.Merged) > 0 && done.Action.Exact && s.Wake != nil {
		s.Wake() // what is tested next goes on top of what was merged
	}
	s.Log.InfoContext(ctx, "decided", "pool", p.key(), "base", p.BaseSHA, "action", view.Action, "reason", done.Action.Code, "sentence", done.Action.Sentence,
		"target", numbersOf(view.Target), "success", plan.Success, "pending", plan.Pending, "missing", plan.Missing, "batch-pending", plan.BatchPending)
	return view
}

// decide asks the planner of the branch, and carries out what it proposes.
func (s *Syncer) decide(ctx context.Context, w *poolWorld, snapshot *planner.Snapshot) executor.Outcome {
	plan := w.planner()
	if !s.DryRun {
		return executor.Round(ctx, w, snapshot, plan)
	}
	p, err := executor.Decide(ctx, w, snapshot, plan)
	out := executor.Outcome{Plan: p, Err: err, Action: planner.Action{Kind: planner.Wait, Code: planner.CodeEmpty, Sentence: "There is nothing to do."}}
	if len(p.Proposals) > 0 {
		out.Action, out.Targets = p.Proposals[0], p.Proposals[0].Targets
		s.Log.InfoContext(ctx, "dry-run: nothing is done", "pool", w.p.key(), "action", out.Action.Kind, "sentence", out.Action.Sentence)
	}
	return out
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
func (s *Syncer) record(p *pool, view *Pool, done *executor.Outcome, problem error) {
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
	if len(done.Merged) > 0 {
		m.merges.WithLabelValues(labels...).Observe(float64(len(done.Merged)))
	}
	switch done.Action.Kind {
	case planner.Trigger, planner.TriggerBatch:
		n := len(done.Targets)
		for _, start := range done.Action.Starts {
			n = max(n, len(start.Pulls))
		}
		m.retests.WithLabelValues(append(labels, string(done.Action.Kind))...).Add(float64(n))
	case planner.Merge, planner.MergeBatch:
	default:
		return
	}
	r := history.Record{Time: s.Now().UTC(), Action: string(done.Action.Kind), BaseSHA: p.BaseSHA, TenantIDs: view.TenantIDs}
	if problem != nil {
		r.Err = problem.Error()
	}
	for _, pr := range view.Target {
		r.Target = append(r.Target, prowv1.Pull{Number: pr.Number, Author: pr.AuthorLogin, SHA: pr.HeadRefOID, Title: pr.Title, HeadRef: pr.HeadRefName})
	}
	if len(done.Merged) < len(done.Targets) {
		for _, h := range done.Merged {
			r.Merged = append(r.Merged, h.Number)
		}
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
