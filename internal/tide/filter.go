package tide

import (
	"context"
	"fmt"
	"slices"

	"prow/internal/config"
	"prow/internal/tide/planner"
)

// filter tells why a candidate does not get into the pool; nil if it does. What
// it waits for may only be its own required jobs: otherwise testing it again would
// throw it out.
func (s *Syncer) filter(ctx context.Context, cfg *config.Config, pr *PullRequest, req requirements) *Reason {
	refusal, err := s.Provider.Refusal(ctx, cfg, pr)
	switch {
	case err != nil:
		s.Log.WarnContext(ctx, "it is not known whether a pull request can be merged", "pr", pr.key(), "error", err)
		return &mergeableUnknown
	case refusal != nil:
		return refusal
	}
	contexts, err := s.Provider.Contexts(ctx, cfg, pr)
	if err != nil {
		s.Log.WarnContext(ctx, "the contexts of a pull request cannot be read", "pr", pr.key(), "error", err)
		return &contextsUnknown
	}
	own := req.contexts()
	for _, c := range unsuccessful(contexts, req.Policy) {
		switch {
		case c.State != planner.ContextPending:
			return &Reason{Code: "context", Sentence: fmt.Sprintf("context %s must pass", c.Context)}
		case !slices.Contains(own, c.Context):
			return &Reason{Code: "context-pending", Sentence: fmt.Sprintf("context %s is pending", c.Context)}
		}
	}
	return nil
}
