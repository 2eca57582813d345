package tide

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"prow/internal/config"
)

// requirements are what must pass before a pull request, or a batch, is merged.
type requirements struct {
	// Presubmits need a passing result on the base.
	Presubmits []*config.Presubmit
	// Policy judges the contexts of the head.
	Policy *config.ContextPolicy
}

// contexts are those of the presubmits.
func (r requirements) contexts() []string {
	var out []string
	for _, p := range r.Presubmits {
		out = append(out, p.Context)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// RequirementError says which mistake in a repository keeps the requirements of a
// pull request from being known. Other errors are trouble of this system.
type RequirementError struct {
	Reason Reason
	Err    error
}

func (e *RequirementError) Error() string { return e.Reason.Sentence + ": " + e.Err.Error() }
func (e *RequirementError) Unwrap() error { return e.Err }

// requirementsOf finds out what pull requests of one branch require together on
// the base: jobs of the base with all heads merged, and for job filters the files
// that any of them changes.
func (s *Syncer) requirementsOf(ctx context.Context, cfg *config.Config, baseSHA string, prs ...*PullRequest) (requirements, error) {
	if len(prs) == 0 {
		return requirements{}, errors.New("no pull request to find requirements of")
	}
	first := prs[0]
	heads := make([]config.SHAGetter, len(prs))
	for i, pr := range prs {
		heads[i] = config.SHA(pr.HeadRefOID)
	}
	all, err := s.InRepo.Presubmits(ctx, cfg, first.Org+"/"+first.Repo, first.BaseRefName, config.SHA(baseSHA), heads...)
	if err != nil {
		return requirements{}, inRepoError(err)
	}
	policy, err := s.Provider.Policy(cfg, first, all)
	if err != nil {
		return requirements{}, err
	}
	required, err := requiredPresubmits(all, first.BaseRefName, s.Provider.Rule(cfg, first, all), s.Changes.of(ctx, prs))
	if err != nil {
		return requirements{}, err
	}
	return requirements{required, policy}, nil
}

// requiredPresubmits picks the jobs that must have passed before a merge.
func requiredPresubmits(all []config.Presubmit, branch string, rule func(*config.Presubmit) (counts, forced bool), changes config.ChangedFiles) ([]*config.Presubmit, error) {
	var out []*config.Presubmit
	for i := range all {
		p := &all[i]
		counts, forced := rule(p)
		if !counts {
			continue
		}
		run, err := p.ShouldRun(branch, changes, forced, false)
		if err != nil {
			return nil, fmt.Errorf("decide whether job %s runs: %w", p.Name, err)
		}
		if run {
			out = append(out, p)
		}
	}
	return out, nil
}

// requirementsOfAll asks for each pull request by itself, several at once. What
// cannot be known is missing from the result and told to refuse.
func (s *Syncer) requirementsOfAll(ctx context.Context, cfg *config.Config, baseSHA string, prs []*PullRequest, refuse func(*PullRequest, error)) map[int]requirements {
	results := make([]requirements, len(prs))
	errs := make([]error, len(prs))
	var group errgroup.Group
	group.SetLimit(requirementWorkers)
	for i, pr := range prs {
		group.Go(func() error {
			results[i], errs[i] = s.requirementsOf(ctx, cfg, baseSHA, pr)
			return nil
		})
	}
	_ = group.Wait() // the goroutines report through errs
	out := map[int]requirements{}
	for i, pr := range prs {
		if errs[i] != nil {
			refuse(pr, errs[i])
			continue
		}
		out[pr.Number] = results[i]
	}
	return out
}

// requirementWorkers bounds how many pull requests of a pool are looked at at
// once: each may take a work tree.
const requirementWorkers = 4
