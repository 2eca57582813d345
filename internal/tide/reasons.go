package tide

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/forge/github"
	"prow/internal/tide/executor"
	"prow/internal/tide/planner"
)

// maxLinks bounds how many runs a reason leads to.
const maxLinks = 5

// conclude says of every pull request of a pool where it is after what was done in
// this round; snapshot and done are nil where nothing could be decided.
func (s *Syncer) conclude(ctx context.Context, w *poolWorld, snapshot *planner.Snapshot, done *executor.Outcome) {
	p := w.p
	var planned map[int]planner.Reason
	merged := map[int]bool{}
	if done != nil {
		planned = w.afterwards(snapshot, done)
		for _, h := range done.Merged {
			merged[h.Number] = true
		}
	}
	if len(p.Blockers) > 0 {
		planned = nil // all pull requests of the branch have the same reason
	}
	runs := p.trialRuns()
	for _, pr := range p.PRs {
		failure := slices.IndexFunc(w.failures, func(f mergeFailure) bool { return f.number == pr.Number })
		reason, hasReason := planned[pr.Number]
		switch {
		case merged[pr.Number]:
			p.Verdicts[pr.Number] = judgement{github.StatusSuccess, Reason{Code: codeMerged, Sentence: "It was merged."}}
		case failure >= 0 && hasReason && reason.Code != planner.CodeRefused:
			p.Verdicts[pr.Number] = judgement{github.StatusPending, Reason{Code: codeMergeFailed, Sentence: "Merging it failed: " + sentence(w.failures[failure].said())}}
		case hasReason:
			p.Verdicts[pr.Number] = judgement{github.StatusPending, p.reason(pr, reason, runs)}
		default:
			v := s.verdict(ctx, w, pr)
			// The state stays: while it is success the merge needs no other status.
			if failure >= 0 && v.State == github.StatusSuccess {
				v.Reason = Reason{Code: codeMergeFailed, Sentence: "In merge pool, but merging it failed: " + sentence(w.failures[failure].said())}
			}
			p.Verdicts[pr.Number] = v
		}
	}
}

// sentence ends a text as one.
func sentence(text string) string { return strings.TrimRight(text, ". ") + "." }

// verdict is where a pull request is of which the planner says nothing.
func (s *Syncer) verdict(ctx context.Context, w *poolWorld, pr *PullRequest) judgement {
	p := w.p
	contexts, err := s.Provider.Contexts(ctx, w.cfg, pr)
	if err != nil {
		return notMergeable(github.StatusPending, contextsUnknown)
	}
	own := p.Requirements[pr.Number]
	j := judge{jobs: s.Jobs, log: s.Log}
	v, err := j.inPool(ctx, w.cfg, pr, contexts, p.BaseSHA, append(slices.Clone(own.Policy.RequiredContexts), own.contexts()...), own.contexts())
	switch {
	case err != nil:
		s.Log.ErrorContext(ctx, "the reason of a pull request is not known", "pr", pr.key(), "error", err)
		return notMergeable(github.StatusPending, contextsUnknown)
	case len(p.Blockers) > 0:
		v.Reason = Reason{Code: codeBlocked, Sentence: "In merge pool, but merging is blocked by " + issueList(p.Blockers) + ".", Links: issueLinks(p.Blockers)}
	case v.Code == codeTesting:
		v.Links = p.runs(func(job *prowv1.ProwJob) bool { return !job.Complete() && holds(job, pr.head()) })
	}
	return v
}

// afterwards is what the planner says once the outcome of the round is part of the
// snapshot: what was just started is being tested, and what the forge refused is
// refused. It is what the next round would say.
func (w *poolWorld) afterwards(s *planner.Snapshot, done *executor.Outcome) map[int]planner.Reason {
	if done.Plan.Reasons == nil || len(done.Started)+len(done.Failures)+len(done.Action.Stops) == 0 {
		return done.Plan.Reasons
	}
	spec := &s.Speculation
	list := attempts{latest: map[string]int{}}
	for _, t := range spec.Trials {
		if slices.Contains(done.Action.Stops, t.ID) {
			t.Overdue = false
			t.Runs = slices.DeleteFunc(slices.Clone(t.Runs), func(r planner.BatchRun) bool { return r.State != planner.RunSuccess && r.State != planner.RunFailure })
		}
		if len(t.Runs) > 0 {
			list.latest[t.Base+":"+planner.Key(t.Pulls)] = len(list.trials)
			list.trials = append(list.trials, t)
		}
	}
	for _, start := range done.Started {
		fresh := planner.Trial{Base: s.BaseSHA, Pulls: start.Pulls, Required: w.p.required(start.Pulls), Tree: spec.Merges[planner.Key(start.Pulls)].Tree}
		for _, c := range start.Contexts {
			list.add(fresh, planner.BatchRun{Context: c, State: planner.RunTriggered})
		}
	}
	spec.Trials = list.trials
	spec.Refused = w.s.refusals.of(w.p.key(), w.s.Now())
	return w.planner()(s).Reasons
}

// reason is what the planner says of a pull request, with links.
func (p *pool) reason(pr *PullRequest, r planner.Reason, runs trialRuns) Reason {
	out := Reason{Code: string(r.Code), Sentence: r.Sentence}
	switch r.Code {
	case planner.CodeInTrial:
		out.Links = links(runs.of[planner.Key(r.With)], func(job *prowv1.ProwJob) bool { return !job.Complete() })
	case planner.CodeEjected:
		out.Links = links(runs.all, func(job *prowv1.ProwJob) bool {
			heads := headsOf(job.Spec.Refs)
			return job.Status.State == prowv1.FailureState && heads[len(heads)-1] == pr.head() && len(p.waiting(heads)) == 1
		})
	case planner.CodeSuspected:
		out.Links = links(runs.all, func(job *prowv1.ProwJob) bool {
			return job.Status.State == prowv1.FailureState && holds(job, pr.head())
		})
	}
	return out
}

// trialRuns are the runs of trials, all and by the key of what they test.
type trialRuns struct {
	all []*prowv1.ProwJob
	of  map[string][]*prowv1.ProwJob
}

func (p *pool) trialRuns() trialRuns {
	out := trialRuns{of: map[string][]*prowv1.ProwJob{}}
	for _, trial := range p.trialJobs {
		key := planner.Key(headsOf(trial[0].Spec.Refs))
		out.all, out.of[key] = append(out.all, trial...), append(out.of[key], trial...)
	}
	return out
}

// runs leads to those on the base that count.
func (p *pool) runs(counts func(*prowv1.ProwJob) bool) []string {
	all := make([]*prowv1.ProwJob, len(p.Jobs))
	for i := range p.Jobs {
		all[i] = &p.Jobs[i]
	}
	return links(all, counts)
}

// waiting are those of the heads that are in the pool.
func (p *pool) waiting(heads []planner.Head) []planner.Head {
	return slices.DeleteFunc(slices.Clone(heads), func(h planner.Head) bool {
		pr := p.pr(h.Number)
		return pr == nil || pr.HeadRefOID != h.SHA
	})
}

func holds(job *prowv1.ProwJob, h planner.Head) bool {
	return slices.ContainsFunc(job.Spec.Refs.Pulls, func(p prowv1.Pull) bool { return p.Number == h.Number && p.SHA == h.SHA })
}

// failedRuns lead to the runs on the base that left contexts of a pull request
// without success.
func (p *pool) failedRuns(pr *PullRequest, failing []Context) []string {
	return p.runs(func(job *prowv1.ProwJob) bool {
		return job.Spec.Type == prowv1.PresubmitJob && job.Status.State == prowv1.FailureState && holds(job, pr.head()) &&
			slices.ContainsFunc(failing, func(c Context) bool { return c.Context == job.Spec.Context })
	})
}

// links are the pages of the runs that count, the latest first, each once.
func links(runs []*prowv1.ProwJob, counts func(*prowv1.ProwJob) bool) []string {
	var found []*prowv1.ProwJob
	for _, job := range runs {
		if job.Status.URL != "" && counts(job) {
			found = append(found, job)
		}
	}
	slices.SortFunc(found, func(a, b *prowv1.ProwJob) int {
		if c := b.Status.StartTime.Compare(a.Status.StartTime.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	var out []string
	for _, job := range found {
		if !slices.Contains(out, job.Status.URL) && len(out) < maxLinks {
			out = append(out, job.Status.URL)
		}
	}
	return out
}

// actionReason says why an action is the one of the pool.
func (p *pool) actionReason(a *planner.Action) Reason {
	r := Reason{Code: string(a.Code), Sentence: a.Sentence}
	if a.Kind == planner.Blocked {
		r.Links = issueLinks(p.Blockers)
	}
	return r
}

// reasons and refusals are the verdicts as they are shown.
func (p *pool) reasons() []PullReason { return p.show(p.PRs, false) }

func (p *pool) refusals() []PullReason { return p.show(p.Refused, true) }

func (p *pool) show(prs []*PullRequest, titled bool) []PullReason {
	var out []PullReason
	for _, pr := range prs {
		v := p.Verdicts[pr.Number]
		r := PullReason{Number: pr.Number, SHA: pr.HeadRefOID, State: v.State, Reason: v.Reason}
		if titled {
			r.Title = pr.Title
		}
		out = append(out, r)
	}
	return out
}

// told is what was logged and counted of a branch.
type told struct {
	org, repo, branch string
	verdicts          map[int]verdict
}

// tell logs where candidates are when that has changed, and counts them.
func (s *Syncer) tell(ctx context.Context, pools []*pool) {
	now := map[string]told{}
	for _, p := range pools {
		t := told{p.Org, p.Repo, p.Branch, map[int]verdict{}}
		counts := map[string]int{}
		for _, pr := range slices.Concat(p.PRs, p.Refused) {
			v := verdict{pr.HeadRefOID, p.Verdicts[pr.Number]}
			t.verdicts[pr.Number] = v
			counts[v.Code]++
			if before := s.told[p.key()].verdicts[pr.Number]; before.sha != v.sha || before.Code != v.Code || before.Sentence != v.Sentence {
				s.Log.InfoContext(ctx, "a pull request has another reason", "pr", pr.key(), "sha", pr.HeadRefOID, "state", v.State, "reason", v.Code, "sentence", v.Sentence, "links", v.Links)
			}
		}
		for code, n := range counts {
			s.Metrics.reasons.WithLabelValues(p.Org, p.Repo, p.Branch, code).Set(float64(n))
		}
		for _, v := range s.told[p.key()].verdicts {
			if counts[v.Code] == 0 {
				s.Metrics.reasons.DeleteLabelValues(p.Org, p.Repo, p.Branch, v.Code)
			}
		}
		now[p.key()] = t
	}
	for key, t := range s.told {
		if _, ok := now[key]; !ok {
			s.Metrics.reasons.DeletePartialMatch(prometheus.Labels{"org": t.org, "repo": t.repo, "branch": t.branch})
		}
	}
	s.told = now
}
