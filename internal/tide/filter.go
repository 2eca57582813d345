package tide

import (
	"context"
	"slices"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/tide/planner"
)

// filter tells why a candidate does not get into the pool; nil if it does. What
// it waits for may only be its own required jobs: otherwise testing it again would
// throw it out.
func (s *Syncer) filter(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest, req requirements) *judgement {
	if refusal := s.refusal(ctx, cfg, pr); refusal != nil {
		return refusal
	}
	contexts, err := s.Provider.Contexts(ctx, cfg, pr)
	if err != nil {
		s.Log.WarnContext(ctx, "the contexts of a pull request cannot be read", "pr", pr.key(), "error", err)
		return judged(notMergeable(github.StatusPending, contextsUnknown))
	}
	failing, own := unsuccessful(contexts, req.Policy), req.contexts()
	if !slices.ContainsFunc(failing, func(c Context) bool {
		return c.State != planner.ContextPending || !slices.Contains(own, c.Context)
	}) {
		return nil
	}
	if len(p.Blockers) > 0 {
		return judged(blockedBy(p.Blockers))
	}
	reason := waitsForContexts(&cfg.Tide, pr, failing)
	if reason.Code == codeContexts {
		reason.Links = p.failedRuns(pr, failing)
	}
	return judged(notMergeable(github.StatusPending, reason))
}

// refusal tells why the forge would not merge a candidate; nil if it would.
func (s *Syncer) refusal(ctx context.Context, cfg *config.Config, pr *PullRequest) *judgement {
	refusal, err := s.Provider.Refusal(ctx, cfg, pr)
	switch {
	case err != nil:
		s.Log.WarnContext(ctx, "it is not known whether a pull request can be merged", "pr", pr.key(), "error", err)
		return judged(notMergeable(github.StatusPending, mergeableUnknown))
	case refusal != nil:
		return judged(notMergeable(github.StatusError, *refusal))
	}
	return nil
}

// unclear is the judgement of a candidate of which it is not known what it requires.
func (s *Syncer) unclear(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest, err error) judgement {
	if refusal := s.refusal(ctx, cfg, pr); refusal != nil {
		return *refusal
	}
	if len(p.Blockers) > 0 {
		return blockedBy(p.Blockers)
	}
	reason := requirementReason(err)
	if reason.isTrouble() {
		return notMergeable(github.StatusPending, reason)
	}
	return notMergeable(github.StatusError, reason)
}

// waitsForContexts is the reason of a pull request with contexts that do not pass.
func waitsForContexts(tide *config.Tide, pr *PullRequest, failing []Context) Reason {
	if reason, fulfilled := unfulfilled(tide, pr, failing); !fulfilled && reason.Code != codeNoQuery {
		return reason
	}
	_, reason := difference(tide, pr, failing, &config.TideQuery{}) // a change on Gerrit
	return reason
}

func judged(j judgement) *judgement { return &j }
