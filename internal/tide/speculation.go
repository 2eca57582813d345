package tide

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/git"
	"prow/internal/tide/planner"
)

const (
	// maxTrials bounds how many trials of a branch are looked at: the latest.
	maxTrials = 512
	// maxLanded bounds how many merges of a branch are remembered.
	maxLanded = 256
	// refusalTime is how long a refusal of the forge is believed.
	refusalTime = time.Hour
)

// speculation is what the speculative planner knows beyond the pool.
func (s *Syncer) speculation(ctx context.Context, cfg *config.Config, p *pool, settings config.TidePlanner) (planner.Speculation, error) {
	out := planner.Speculation{MaxRuns: settings.MaxRuns, MaxPulls: settings.MaxPulls, Refused: s.refusals.of(p.key(), s.Now())}
	past := s.landings(p)
	out.Landed = past.landed
	all, err := jobs(ctx, s.Jobs, cfg.ProwJobNamespace, indexBranch, p.key())
	if err != nil {
		return out, err
	}
	slices.SortStableFunc(all, func(a, b prowv1.ProwJob) int { return a.Status.StartTime.Compare(b.Status.StartTime.Time) })
	p.trialJobs = map[string][]*prowv1.ProwJob{}
	list := attempts{latest: map[string]int{}}
	for i := range all {
		job := &all[i]
		heads := headsOf(job.Spec.Refs)
		if len(heads) == 0 || !p.concerns(heads, past.known) {
			continue
		}
		switch job.Status.State {
		case prowv1.AbortedState, prowv1.ErrorState:
			continue // that says nothing about what was tested
		}
		base := job.Spec.Refs.BaseSHA
		t := list.add(planner.Trial{Base: base, Behind: past.behind(base, p.BaseSHA), Pulls: heads, Required: p.required(heads)},
			planner.BatchRun{Context: job.Spec.Context, State: planner.RunStateOf(string(job.Status.State))})
		p.trialJobs[t.ID] = append(p.trialJobs[t.ID], job)
		if !job.Complete() && s.Now().Sub(job.Status.StartTime.Time) > settings.Deadline.Duration {
			t.Overdue = true
		}
	}
	out.Trials = list.trials[max(0, len(list.trials)-maxTrials):]
	for i := range out.Trials {
		s.treeOf(ctx, cfg, p, &out.Trials[i])
	}
	return out, nil
}

// attempts are trials in the order in which they were started.
type attempts struct {
	trials []planner.Trial
	// latest is where the last one of the same pull requests on the same base is.
	latest map[string]int
}

// add adds a run of a trial. What is tested once more is another trial, which knows
// what has passed: a failure that repeats itself is another one, and says more.
func (a *attempts) add(of planner.Trial, run planner.BatchRun) *planner.Trial {
	key := of.Base + ":" + planner.Key(of.Pulls)
	at, ok := a.latest[key]
	if ok && !slices.ContainsFunc(a.trials[at].Runs, func(r planner.BatchRun) bool { return r.Context == run.Context }) {
		a.trials[at].Runs = append(a.trials[at].Runs, run)
		return &a.trials[at]
	}
	of.ID = key
	if ok {
		of.ID = fmt.Sprintf("%s/%d", key, len(a.trials))
		for _, r := range a.trials[at].Runs {
			if r.State == planner.RunSuccess && r.Context != run.Context {
				of.Runs = append(of.Runs, r)
			}
		}
	}
	of.Runs = append(of.Runs, run)
	a.latest[key] = len(a.trials)
	a.trials = append(a.trials, of)
	return &a.trials[len(a.trials)-1]
}

// treeOf finds out what a trial tested; it stays empty where that is not known.
func (s *Syncer) treeOf(ctx context.Context, cfg *config.Config, p *pool, t *planner.Trial) {
	key := p.key() + " " + t.ID
	if s.trees.isHopeless(key, s.Now()) {
		return
	}
	tree, without, err := s.mergedTree(ctx, p, t.Base, p.changes(s, cfg, t.Pulls), 0)
	switch {
	case err != nil:
		s.trees.giveUp(key, s.Now())
		s.Log.WarnContext(ctx, "it is not known what a trial tested; it proves nothing", "pool", p.key(), "base", t.Base, "pulls", planner.Key(t.Pulls), "error", err)
	case len(without) == 0:
		t.Tree = tree
	}
}

// concerns tells whether a trial of these heads says something about the pool:
// where one of them is in it.
func (p *pool) concerns(heads []planner.Head, merged map[planner.Head]bool) bool {
	inPool := false
	for _, h := range heads {
		if pr := p.pr(h.Number); pr != nil && pr.HeadRefOID == h.SHA {
			inPool = true
		} else if !merged[h] && len(heads) == 1 {
			return false
		}
	}
	return inPool
}

// required are the contexts that the members of a trial require by themselves.
func (p *pool) required(heads []planner.Head) []string {
	var out []string
	for _, h := range heads {
		out = append(out, p.Requirements[h.Number].contexts()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// change is a pull request with the way it is brought into the branch.
type change struct {
	head     planner.Head
	strategy git.MergeStrategy
}

// changes are heads with the ways they are merged: those that were merged already
// and have left the pool by the method of the branch.
func (p *pool) changes(s *Syncer, cfg *config.Config, heads []planner.Head) []change {
	out := make([]change, len(heads))
	for i, h := range heads {
		pr := p.pr(h.Number)
		if pr == nil {
			pr = &PullRequest{Org: p.Org, Repo: p.Repo, BaseRefName: p.Branch, Number: h.Number}
		}
		out[i] = change{h, s.Provider.Strategy(cfg, pr)}
	}
	return out
}

// mergedTree is the tree that comes of merging changes onto a base, at most limit of
// them where it is not 0, and which were left out because they conflict or are beyond
// the limit. What is once known is remembered.
func (s *Syncer) mergedTree(ctx context.Context, p *pool, base string, changes []change, limit int) (tree string, without []planner.Head, err error) {
	var key strings.Builder
	fmt.Fprintf(&key, "%s/%s@%s limit %d", p.Org, p.Repo, base, limit)
	for _, c := range changes {
		fmt.Fprintf(&key, " %s:%s", c.strategy, c.head.SHA)
	}
	if m, ok := s.trees.get(key.String()); ok {
		return m.tree, m.without, nil
	}
	need := git.Need{Commits: []string{base}}
	for _, c := range changes {
		need.Commits = append(need.Commits, c.head.SHA)
	}
	work, err := s.Git.Tree(ctx, p.Org, p.Repo, need)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, work.Close()) }()
	if err := work.Checkout(ctx, base); err != nil {
		return "", nil, fmt.Errorf("check out the base: %w", err)
	}
	picked := 0
	for _, c := range changes {
		if c.strategy == "" || limit > 0 && picked == limit {
			without = append(without, c.head) // its labels contradict each other, or there are enough
			continue
		}
		err := work.Merge(ctx, c.head.SHA, c.strategy)
		if errors.Is(err, git.ErrConflict) {
			without = append(without, c.head)
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("merge #%d: %w", c.head.Number, err)
		}
		picked++
	}
	if tree, err = work.Run(ctx, "rev-parse", "--verify", "HEAD^{tree}"); err != nil {
		return "", nil, fmt.Errorf("read the tree: %w", err)
	}
	s.trees.put(key.String(), treeAnswer{tree, without})
	return tree, without, nil
}

type treeAnswer struct {
	tree    string
	without []planner.Head
}

// maxTrees bounds each of the two generations of trees that are remembered.
const maxTrees = 8192

// trees remembers what merges come to, in two generations: when the younger is full
// the older is forgotten.
type trees struct {
	mu         sync.Mutex
	young, old map[string]treeAnswer
	// hopeless are trials whose commits could not be had, such as those of a head that
	// is gone, and when that was.
	hopeless map[string]time.Time
}

// hopelessTime is how long it is not tried again to get commits.
const hopelessTime = 10 * time.Minute

func (t *trees) isHopeless(key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.hopeless[key]
	return ok && now.Sub(at) < hopelessTime
}

func (t *trees) giveUp(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hopeless == nil || len(t.hopeless) >= maxTrees {
		t.hopeless = map[string]time.Time{}
	}
	t.hopeless[key] = now
}

func (t *trees) get(key string) (treeAnswer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, ok := t.young[key]
	if !ok {
		if m, ok = t.old[key]; ok {
			t.putLocked(key, m)
		}
	}
	return m, ok
}

func (t *trees) put(key string, m treeAnswer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putLocked(key, m)
}

func (t *trees) putLocked(key string, m treeAnswer) {
	if t.young == nil || len(t.young) >= maxTrees {
		t.young, t.old = map[string]treeAnswer{}, t.young
	}
	t.young[key] = m
}

// landing is what was merged into a branch, the latest last.
type landing struct {
	landed []planner.Head
	known  map[planner.Head]bool
	// before is how many were merged before the branch was at a commit.
	before map[string]int
}

// behind is how many were merged since the branch was at a commit; negative where
// that is not known.
func (l *landing) behind(base, now string) int {
	if base == now {
		return 0
	}
	if n, ok := l.before[base]; ok {
		return len(l.landed) - n
	}
	return -1
}

// landings reads from the history what was merged into a branch.
func (s *Syncer) landings(p *pool) landing {
	out := landing{known: map[planner.Head]bool{}, before: map[string]int{}}
	for _, r := range s.History.Of(p.key(), maxLanded) {
		if r.Action != string(planner.Merge) && r.Action != string(planner.MergeBatch) {
			continue
		}
		if _, ok := out.before[r.BaseSHA]; !ok {
			out.before[r.BaseSHA] = len(out.landed)
		}
		for _, pull := range r.Target {
			if r.Err != "" && !slices.Contains(r.Merged, pull.Number) {
				continue
			}
			h := planner.Head{Number: pull.Number, SHA: pull.SHA}
			out.landed, out.known[h] = append(out.landed, h), true
		}
	}
	return out
}

// refusals remember what the forge would not merge, and what it said.
type refusals struct {
	mu    sync.Mutex
	known map[string]map[planner.Head]forgeRefusal
}

type forgeRefusal struct {
	said string
	at   time.Time
}

func (r *refusals) note(pool string, h planner.Head, said string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]map[planner.Head]forgeRefusal{}
	}
	if r.known[pool] == nil {
		r.known[pool] = map[planner.Head]forgeRefusal{}
	}
	r.known[pool][h] = forgeRefusal{said, now}
}

// of returns what is still believed.
func (r *refusals) of(pool string, now time.Time) map[planner.Head]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[planner.Head]string{}
	for h, x := range r.known[pool] {
		if now.Sub(x.at) > refusalTime {
			delete(r.known[pool], h)
			continue
		}
		out[h] = x.said
	}
	return out
}
