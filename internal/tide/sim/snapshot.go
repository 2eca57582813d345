package sim

import (
	"fmt"
	"slices"
	"time"

	"prow/internal/tide/planner"
)

// snapshot is what the automation can know about the branch now.
func (s *simulation) snapshot() *planner.Snapshot {
	sc := s.sc
	at := len(s.commits) - 1
	out := &s.snap
	*out = planner.Snapshot{
		Org: "sim", Repo: "repo", Branch: "main", BaseSHA: s.base().sha,
		Pulls: out.Pulls[:0], Runs: out.Runs[:0], Batches: out.Batches[:0],
		Priority: sc.Tide.Priority, BatchLimit: sc.Tide.BatchLimit, KeepBatches: !sc.Tide.NewBatches,
		Speculation: planner.Speculation{
			Trials: out.Speculation.Trials[:0], MaxRuns: sc.Tide.MaxRuns, MaxPulls: sc.Tide.MaxPulls,
			Landed: s.landed[max(0, len(s.landed)-landedKept):],
		},
	}
	if s.blocked {
		out.Blockers = []planner.Blocker{{Number: 1 << 20, Title: "freeze"}}
	}
	if s.tries == nil {
		s.tries = map[string]planner.Merged{}
	}
	out.Speculation.Merges = s.tries
	for _, p := range s.open {
		if !p.pending() || s.sc.Compatible && slices.ContainsFunc(p.deps, func(o *pull) bool { return !o.merged }) {
			continue
		}
		pull := planner.Pull{Head: p.head, Labels: p.labels, Required: p.names, Contexts: p.contexts}
		for _, o := range p.deps {
			d := planner.Dependency{Name: fmt.Sprintf("sim/repo#%d", o.number), Merged: o.merged}
			switch {
			case o.closed:
				d.Trouble = "is closed"
			case o.pending():
				d.Head = &o.head
			}
			pull.DependsOn = append(pull.DependsOn, d)
		}
		out.Pulls = append(out.Pulls, pull)
	}
	s.knownTests(out, at)
	known := out.Speculation.Trials
	out.Speculation.Trials = known[max(0, len(known)-trialsKept):]
	for h, r := range s.refused {
		if r.until <= s.now {
			delete(s.refused, h)
			continue
		}
		if out.Speculation.Refused == nil {
			out.Speculation.Refused = map[planner.Head]string{}
		}
		out.Speculation.Refused[h] = r.text
	}
	return out
}

// knownTests fills in trials, and runs and batches on the current base.
func (s *simulation) knownTests(out *planner.Snapshot, at int) {
	for _, t := range s.trials {
		if len(t.jobs) == 0 {
			continue
		}
		if !s.sc.Compatible {
			if required, ok := s.concerns(t); ok {
				out.Speculation.Trials = append(out.Speculation.Trials, planner.Trial{
					ID: t.id, Base: s.commits[t.base].sha, Behind: s.behind(t.base, at), Pulls: t.heads, Tree: t.tree,
					Required: s.contextNames(required), Runs: t.runs, Overdue: s.overdue(t),
				})
			}
		}
		if t.base != at {
			continue
		}
		if len(t.heads) == 1 {
			for _, r := range t.runs {
				out.Runs = append(out.Runs, planner.Run{Pull: t.heads[0], Context: r.Context, State: r.State})
			}
			continue
		}
		out.Batches = append(out.Batches, planner.Batch{Pulls: t.heads, Runs: t.runs, Required: t.names})
	}
}

// concerns tells whether a trial says something about the pool, where one of its
// members is in it, and what those of them require.
func (s *simulation) concerns(t *trial) (required uint64, ok bool) {
	for i, p := range t.pulls {
		if p.head == t.heads[i] && p.pending() {
			required |= p.required
			ok = true
		}
	}
	return required, ok
}

func (s *simulation) overdue(t *trial) bool {
	d := time.Duration(s.sc.CI.Deadline)
	if d == 0 || t.live == 0 {
		return false
	}
	return slices.ContainsFunc(t.jobs, func(j *job) bool { return !j.over && s.now >= j.created+d })
}
