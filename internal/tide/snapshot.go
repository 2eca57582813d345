package tide

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/statusdesc"
	"prow/internal/tide/planner"
)

// stickyMarker is written into a description by an override that holds for every base.
const stickyMarker = "[prow:skip-retest]"

// pool is one branch with the pull requests for it.
type pool struct {
	Org, Repo, Branch string
	BaseSHA           string
	// PRs are candidates, after filtering the pool; sorted by number.
	PRs []*PullRequest
	// Refused are the candidates that did not get into the pool; sorted by number.
	Refused []*PullRequest
	// Verdicts say of every candidate where it is, by number.
	Verdicts map[int]judgement
	// Requirements by number of the pull request.
	Requirements map[int]requirements
	// Jobs are the presubmits and batches on the base.
	Jobs     []prowv1.ProwJob
	Blockers []planner.Blocker

	// trialJobs are the jobs of trials by their IDs.
	trialJobs map[string][]*prowv1.ProwJob
}

func (p *pool) key() string { return poolKey(p.Org, p.Repo, p.Branch) }

// pr returns a member of the pool.
func (p *pool) pr(number int) *PullRequest {
	i := slices.IndexFunc(p.PRs, func(pr *PullRequest) bool { return pr.Number == number })
	if i < 0 {
		return nil
	}
	return p.PRs[i]
}

// tenants are the owners of the pool's jobs.
func (p *pool) tenants() []string {
	out := []string{}
	for i := range p.Jobs {
		id := ""
		if d := p.Jobs[i].Spec.ProwJobDefault; d != nil {
			id = d.TenantID
		}
		out = append(out, id)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// divide sorts candidates into pools, sorted by org, repository and branch.
func divide(prs map[string]*PullRequest) []*pool {
	byKey := map[string]*pool{}
	for _, pr := range prs {
		p := byKey[pr.poolKey()]
		if p == nil {
			p = &pool{Org: pr.Org, Repo: pr.Repo, Branch: pr.BaseRefName, Verdicts: map[int]judgement{}}
			byKey[pr.poolKey()] = p
		}
		p.PRs = append(p.PRs, pr)
	}
	pools := slices.SortedFunc(maps.Values(byKey), func(a, b *pool) int {
		return cmp.Or(cmp.Compare(a.Org, b.Org), cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Branch, b.Branch))
	})
	for _, p := range pools {
		slices.SortFunc(p.PRs, func(a, b *PullRequest) int { return cmp.Compare(a.Number, b.Number) })
	}
	return pools
}

// prepare finds out where the base is, what each candidate requires, and who gets
// into the pool. An error leaves the pool out of this round.
func (s *Syncer) prepare(ctx context.Context, cfg *config.Config, p *pool) error {
	var err error
	if p.BaseSHA, err = s.baseOf(ctx, p); err != nil {
		return err
	}
	if p.Jobs, err = jobs(ctx, s.Jobs, cfg.ProwJobNamespace, indexPool, poolJobsKey(p.Org, p.Repo, p.Branch, p.BaseSHA)); err != nil {
		return err
	}
	p.Requirements = s.requirementsOfAll(ctx, cfg, p.BaseSHA, p.PRs, func(pr *PullRequest, err error) {
		s.Log.WarnContext(ctx, "it is not known what a pull request requires; it is left alone", "pr", pr.key(), "sha", pr.HeadRefOID, "error", err)
		p.Verdicts[pr.Number] = s.unclear(ctx, cfg, p, pr, err)
	})
	verdicts := make([]*judgement, len(p.PRs))
	var group errgroup.Group
	group.SetLimit(requirementWorkers)
	for i, pr := range p.PRs {
		if req, ok := p.Requirements[pr.Number]; ok {
			group.Go(func() error {
				verdicts[i] = s.filter(ctx, cfg, p, pr, req)
				return nil
			})
		}
	}
	_ = group.Wait() // the goroutines report through verdicts
	var kept []*PullRequest
	for i, pr := range p.PRs {
		if verdicts[i] != nil {
			p.Verdicts[pr.Number] = *verdicts[i]
		}
		if _, refused := p.Verdicts[pr.Number]; refused {
			p.Refused = append(p.Refused, pr)
			continue
		}
		kept = append(kept, pr)
	}
	p.PRs = kept
	return ctx.Err()
}

// baseOf is where the branch is. All candidates of a pool are for the same branch: if
// the search tells the same commit for each, nobody need be asked.
func (s *Syncer) baseOf(ctx context.Context, p *pool) (string, error) {
	first := p.PRs[0]
	if first.baseOID != "" && !slices.ContainsFunc(p.PRs, func(pr *PullRequest) bool { return pr.baseOID != first.baseOID }) {
		return first.baseOID, nil
	}
	return s.Provider.Base(ctx, first)
}

// snapshot is the pool as the planner sees it.
func (s *Syncer) snapshot(ctx context.Context, cfg *config.Config, p *pool) (*planner.Snapshot, error) {
	out := &planner.Snapshot{
		Org: p.Org, Repo: p.Repo, Branch: p.Branch, BaseSHA: p.BaseSHA, Blockers: p.Blockers,
		BatchLimit: cfg.Tide.BatchSizeLimit(p.Org, p.Repo), KeepBatches: cfg.Tide.PrioritizeExistingBatches(p.Org, p.Repo),
	}
	settings := cfg.Tide.Planner(p.Org, p.Repo, p.Branch)
	speculative := settings.Name == config.PlannerSpeculative
	for _, entry := range cfg.Tide.Priority {
		out.Priority = append(out.Priority, entry.Labels)
	}
	for _, pr := range p.PRs {
		pull, err := s.pull(ctx, cfg, pr, p.Requirements[pr.Number])
		if err != nil {
			return nil, err
		}
		if speculative {
			pull.DependsOn = s.dependsOn(ctx, cfg, p, pr)
		}
		out.Pulls = append(out.Pulls, pull)
	}
	if speculative {
		var err error
		if out.Speculation, err = s.speculation(ctx, cfg, p, settings); err != nil {
			return nil, err
		}
	}
	groups := map[string]int{}
	for i := range p.Jobs {
		job := &p.Jobs[i]
		state, refs := planner.RunStateOf(string(job.Status.State)), job.Spec.Refs
		heads := headsOf(refs)
		switch {
		case len(heads) == 0:
		case job.Spec.Type == prowv1.PresubmitJob:
			out.Runs = append(out.Runs, planner.Run{Pull: heads[0], Context: job.Spec.Context, State: state})
		case speculative: // batches are trials
		default:
			key := refs.String()
			at, ok := groups[key]
			if !ok {
				batch, current := s.batch(ctx, cfg, p, heads)
				if !current {
					continue
				}
				at = len(out.Batches)
				groups[key], out.Batches = at, append(out.Batches, batch)
			}
			out.Batches[at].Runs = append(out.Batches[at].Runs, planner.BatchRun{Context: job.Spec.Context, State: state})
		}
	}
	return out, nil
}

func headsOf(refs *prowv1.Refs) []planner.Head {
	heads := make([]planner.Head, len(refs.Pulls))
	for i, pull := range refs.Pulls {
		heads[i] = planner.Head{Number: pull.Number, SHA: pull.SHA}
	}
	return heads
}

// members are the pull requests of the pool at these commits; ok only if all are there.
func (p *pool) members(heads []planner.Head) (prs []*PullRequest, ok bool) {
	for _, h := range heads {
		pr := p.pr(h.Number)
		if pr == nil || pr.HeadRefOID != h.SHA {
			return nil, false
		}
		prs = append(prs, pr)
	}
	return prs, true
}

// batch finds out what a batch requires; batches of other commits are of no use.
func (s *Syncer) batch(ctx context.Context, cfg *config.Config, p *pool, heads []planner.Head) (_ planner.Batch, current bool) {
	prs, ok := p.members(heads)
	if !ok {
		return planner.Batch{}, false
	}
	req, err := s.requirementsOf(ctx, cfg, p.BaseSHA, prs...)
	if err != nil {
		s.Log.WarnContext(ctx, "it is not known what a batch requires; it is left alone", "pool", p.key(), "error", err)
	}
	return planner.Batch{Pulls: heads, Required: req.contexts(), Unknown: err != nil}, true
}

// pull is a member of the pool as the planner sees it.
func (s *Syncer) pull(ctx context.Context, cfg *config.Config, pr *PullRequest, req requirements) (planner.Pull, error) {
	contexts, err := s.Provider.Contexts(ctx, cfg, pr)
	if err != nil {
		return planner.Pull{}, err
	}
	retests, err := jobs(ctx, s.Jobs, cfg.ProwJobNamespace, indexRetest, retestKey(pr.Org, pr.Repo, pr.BaseRefName, pr.Number, pr.HeadRefOID))
	if err != nil {
		return planner.Pull{}, err
	}
	out := planner.Pull{Head: pr.head(), Labels: pr.labels(), Required: req.contexts(), Absent: req.Policy.MissingRequiredContexts(contextNames(contexts))}
	for _, c := range contexts {
		out.Contexts = append(out.Contexts, planner.Context{
			Name: c.Context, State: c.State, Optional: req.Policy.IsOptional(c.Context),
			BaseSHA: statusdesc.BaseSHA(c.Description), Sticky: strings.Contains(c.Description, stickyMarker),
			Retested: slices.ContainsFunc(retests, func(j prowv1.ProwJob) bool { return j.Spec.Context == c.Context }),
		})
	}
	return out, nil
}
