package tide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/statusdesc"
	"prow/internal/tide/planner"
)

// judgement is the one reason a pull request has, and the state it is shown in.
type judgement struct {
	State string
	Reason
}

// judge tells where pull requests are of which the sync controller has said nothing:
// that is those that no query wants.
type judge struct {
	forge        StatusReader
	jobs         client.Reader
	inRepo       *config.InRepo
	mergeability *Mergeability
	log          *slog.Logger
}

// of judges a pull request. An error means that nothing can be said at the moment.
func (j *judge) of(ctx context.Context, cfg *config.Config, pr *PullRequest, n news, baseSHA func(context.Context) (string, error)) (judgement, error) {
	said, candidate := n.said[pr.key()]
	candidate = candidate && said.sha == pr.HeadRefOID
	if candidate && !said.isTrouble() {
		return said.judgement, nil
	}
	refusal, err := j.mergeability.refusal(ctx, &cfg.Tide, pr)
	if err != nil {
		return judgement{}, err
	}
	if refusal != nil {
		return notMergeable(github.StatusError, *refusal), nil
	}
	contexts, err := headContexts(ctx, j.forge, j.log, pr)
	if err != nil {
		return judgement{}, err
	}
	if issues := n.blockers.of(pr.Org, pr.Repo, pr.BaseRefName); len(issues) > 0 {
		return blockedBy(issues), nil
	}
	base, err := baseSHA(ctx)
	if err != nil {
		return judgement{}, err
	}
	policy, err := j.policy(ctx, cfg, pr, base)
	var unknown *RequirementError
	switch {
	case errors.As(err, &unknown):
		return notMergeable(github.StatusError, unknown.Reason), nil
	case err != nil:
		return judgement{}, err
	}
	reason, fulfilled := unfulfilled(&cfg.Tide, pr, unsuccessful(contexts, policy))
	switch {
	case !fulfilled:
		return notMergeable(github.StatusPending, reason), nil
	case candidate:
		return said.judgement, nil
	}
	return j.inPool(ctx, cfg, pr, contexts, n.bases[pr.poolKey()], append(slices.Clone(policy.RequiredContexts), n.contexts[pr.key()]...), n.contexts[pr.key()])
}

// inPool judges a pull request that waits for nothing but tests on the base. own
// are the contexts of its required jobs, which a run or a status proves for the
// base; others pass if they pass at the head.
func (j *judge) inPool(ctx context.Context, cfg *config.Config, pr *PullRequest, contexts []Context, baseSHA string, required, own []string) (judgement, error) {
	passed := map[string]bool{planner.OwnContext: true}
	if baseSHA != "" {
		runs, err := jobs(ctx, j.jobs, cfg.ProwJobNamespace, indexPassing, passingKey(pr.Org, pr.Repo, baseSHA, pr.HeadRefOID))
		if err != nil {
			return judgement{}, err
		}
		for i := range runs {
			passed[runs[i].Spec.Context] = true
		}
		for _, c := range contexts {
			if c.State == planner.ContextSuccess && (!slices.Contains(own, c.Context) ||
				statusdesc.BaseSHA(c.Description) == baseSHA || strings.Contains(c.Description, stickyMarker)) {
				passed[c.Context] = true
			}
		}
	}
	var waits []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(required))) {
		if !passed[name] {
			waits = append(waits, name)
		}
	}
	switch {
	case len(waits) > 0:
		text := fmt.Sprintf("Waiting for %s on the current base.", strings.Join(waits, ", "))
		if len([]rune(text)) > github.StatusDescriptionLimit {
			text = fmt.Sprintf("Waiting for %d contexts on the current base.", len(waits))
		}
		return judgement{github.StatusPending, Reason{Code: codeTesting, Sentence: text}}, nil
	case pr.GitHub != nil && pr.GitHub.MergeStateStatus == mergeStateBlocked && cfg.Tide.GitHubMergeBlocksPolicy(pr.Org, pr.Repo) == config.MergeBlocksPermit:
		j.log.WarnContext(ctx, "a pull request is in the pool although GitHub blocks it", "pr", pr.key())
		return judgement{github.StatusSuccess, Reason{Code: codePooledBlocked, Sentence: "In merge pool, although GitHub blocks the merge at the moment."}}, nil
	}
	return judgement{github.StatusSuccess, Reason{Code: codePooled, Sentence: "In merge pool."}}, nil
}

// policy is the context policy of a pull request.
func (j *judge) policy(ctx context.Context, cfg *config.Config, pr *PullRequest, baseSHA string) (*config.ContextPolicy, error) {
	all, err := j.inRepo.Presubmits(ctx, cfg, pr.Org+"/"+pr.Repo, pr.BaseRefName, config.SHA(baseSHA), config.SHA(pr.HeadRefOID))
	if err != nil {
		return nil, inRepoError(err)
	}
	return contextPolicy(cfg, pr, all)
}

// contextPolicy is the policy of the branch of a pull request with these jobs.
func contextPolicy(cfg *config.Config, pr *PullRequest, all []config.Presubmit) (*config.ContextPolicy, error) {
	policy, err := cfg.ContextPolicy(pr.Org, pr.Repo, pr.BaseRefName, all)
	if err != nil {
		return nil, &RequirementError{Reason{Code: "context-policy", Sentence: "its required contexts contradict each other"}, err}
	}
	return policy, nil
}

// inRepoError tells mistakes in a repository from trouble with reading it.
func inRepoError(err error) error {
	var trouble *git.Error
	switch {
	case errors.Is(err, git.ErrConflict):
		return &RequirementError{Reason{Code: "conflict", Sentence: "it does not merge with the base"}, err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &trouble):
		return fmt.Errorf("read the jobs of the repository: %w", err)
	}
	return &RequirementError{Reason{Code: "in-repo-config", Sentence: "the jobs in the repository are invalid"}, err}
}

// blockedBy is the judgement of a pull request for a branch that issues stop.
func blockedBy(issues []planner.Blocker) judgement {
	return judgement{github.StatusError, Reason{Code: codeBlocked, Sentence: "Merging is blocked by " + issueList(issues) + ".", Links: issueLinks(issues)}}
}

func issueLinks(issues []planner.Blocker) []string {
	var out []string
	for _, b := range issues {
		if b.URL != "" {
			out = append(out, b.URL)
		}
	}
	return out
}

// notMergeable is a judgement with the reason as part of a sentence.
func notMergeable(state string, r Reason) judgement {
	if r.Sentence == "" {
		r.Sentence = "Not mergeable."
	} else {
		r.Sentence = "Not mergeable: " + r.Sentence + "."
	}
	return judgement{state, r}
}
