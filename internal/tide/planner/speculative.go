package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Codes of the speculative planner.
const (
	CodeProven     Code = "proven"
	CodeSpeculate  Code = "speculate"
	CodeRefused    Code = "refused"
	CodeDepends    Code = "depends"
	CodeEjected    Code = "ejected"
	CodeSuspected  Code = "suspected"
	CodeConflict   Code = "conflicts"
	CodeInTrial    Code = "in-trial"
	CodeQueued     Code = "queued"
	CodeSpeculates Code = "trials-running"
)

// Speculative tests combinations of pull requests on top of each other, as many at
// once as there may be runs, and merges the largest one that is proven.
//
// Tests that are over are evidence: what passed together clears its members, what
// failed makes suspects of those that nothing clears ([evidence]). From that follows
// how likely every combination is to pass, and from that:
//
//  1. What is proven for the exact tree that it would leave behind is merged, unless
//     a better combination in the making would become worthless by it.
//  2. Whoever is to blame by the evidence is tested by itself, and ejected when it
//     fails there and no flake explains that; until its head changes, or it passes.
//  3. The trunk, which is what will probably be merged next, grows in steps on top of
//     each other, so that one after the other can be merged.
//  4. Those of which nothing is known are told apart by tests of parts of the queue
//     that are as likely to pass as to fail, on top of the trunk; each in a few of
//     them. Those that are good by themselves are tested together in the same way,
//     where there are too many of them for one step.
//
// A test is keyed by the tree that it tested. One that was started on an earlier
// base still proves what it holds if the branch has got there by a part of it.
func Speculative(s *Snapshot) Plan {
	v := newView(s)
	plan := Plan{MissingContexts: map[int][]string{}, Reasons: v.reasons}
	if len(s.Blockers) > 0 {
		issues := make([]int, len(s.Blockers))
		for i, b := range s.Blockers {
			issues[i] = b.Number
		}
		a := Action{Kind: Blocked, Code: CodeBlocked, Sentence: fmt.Sprintf("Merging is blocked by %s.", numbers(issues))}
		plan.Proposals = []Action{a}
		for _, p := range s.Pulls {
			plan.Reasons[p.Number] = Reason{Code: CodeBlocked, Sentence: a.Sentence}
		}
		return plan
	}
	merge := v.land()
	starts, stops := v.test()
	plan.Ask = v.ask
	v.divide(&plan)
	if merge != nil {
		plan.Proposals = append(plan.Proposals, *merge)
	}
	if len(starts)+len(stops) > 0 {
		plan.Proposals = append(plan.Proposals, v.speculation(starts, stops))
	}
	plan.Proposals = append(plan.Proposals, v.waiting())
	return plan
}

// view is a snapshot as the speculative planner sees it.
type view struct {
	s       *Snapshot
	queue   []*Pull
	at      map[Head]int // position in the queue, or window plus position among merged
	merged  []Head
	trials  []outcome // that tell something
	know    *evidence
	reasons map[int]Reason
	ejected members
	running []outcome
	// lost are tests that need not go on, because they are decided or overdue.
	lost []*Trial
	// going is how many runs there are.
	going int
	ask   [][]Head
	asked map[string]bool
	// present are the numbers of the pool.
	present map[int]bool
}

// Numbers of those that are in neither list.
const (
	mergedEarlier = -1
	gone          = -2
)

// recent is how many trials are looked at: those before tell nothing of a queue
// that has moved on.
const recent = 256

// ahead is how many of the queue are thought about at once. What passes long before
// it is merged has to be tested again together with all that was merged meanwhile.
func (s *Speculation) ahead() int {
	if s.MaxRuns == 0 {
		return window
	}
	return min(max(32, 4*s.MaxRuns), window)
}

func newView(s *Snapshot) *view {
	v := &view{s: s, at: map[Head]int{}, present: map[int]bool{}, reasons: map[int]Reason{}, asked: map[string]bool{}}
	spec := &s.Speculation
	v.queue = s.queue(v.reasons)
	ahead, crowd := spec.ahead(), len(v.queue)
	for _, p := range v.queue[min(ahead, len(v.queue)):] {
		v.reasons[p.Number] = Reason{Code: CodeQueued, Sentence: fmt.Sprintf("%d pull requests are before it.", ahead)}
	}
	v.queue = v.queue[:min(ahead, len(v.queue))]
	for _, h := range spec.Landed {
		v.at[h] = mergedEarlier
	}
	v.merged = spec.Landed[max(0, len(spec.Landed)-window):]
	var merged members
	for i, h := range v.merged {
		v.at[h] = window + i
		merged = merged.with(window + i)
	}
	for i := range s.Pulls {
		v.at[s.Pulls[i].Head], v.present[s.Pulls[i].Number] = gone, true
	}
	for i, p := range v.queue {
		v.at[p.Head] = i
	}
	r := v.observe()
	v.know = weigh(len(v.queue), crowd, merged, r, v.trials)
	v.eject()
	return v
}

// failedAlone counts the tests that a pull request failed with nothing but what is
// merged.
func (v *view) failedAlone(i int) int {
	n := 0
	for k := range v.trials {
		if o := &v.trials[k]; o.verdict == failed && o.strangers == 0 && o.set.waiting() == 1 && o.set.has(i) {
			n += max(o.failures, 1)
		}
	}
	return n
}

// failedHere counts the tests that a pull request failed by itself on the commit
// where the branch is now. If the branch itself is broken it is not to blame, but one
// more run of the same tree would tell nothing new: it waits for the branch to move.
func (v *view) failedHere(i int) int {
	n := 0
	for k := range v.trials {
		if o := &v.trials[k]; o.verdict == failed && o.trial.Base == v.s.BaseSHA && o.set.waiting() == 1 && o.set.has(i) {
			n += max(o.failures, 1)
		}
	}
	return n
}

// eject tells those that are to blame, and whoever depends on them.
func (v *view) eject() {
	for i, p := range v.queue {
		guilt := v.know.guilt(i)
		switch n := v.failedAlone(i); {
		case n > 0 && guilt >= sure, n >= enough && guilt >= suspect, v.failedHere(i) >= enough:
			v.ejected = v.ejected.with(i)
			v.reasons[p.Number] = Reason{
				Code:     CodeEjected,
				Sentence: "It fails by itself on the current base, and no flake explains that. It is tested again when it changes, or when its jobs pass.",
			}
		case slices.ContainsFunc(p.DependsOn, func(d Dependency) bool {
			if d.Merged {
				return false
			}
			at, ok := v.at[*d.Head]
			return !ok || at < 0 || at < window && v.ejected.has(at)
		}):
			v.ejected = v.ejected.with(i)
			j := slices.IndexFunc(p.DependsOn, func(d Dependency) bool { return !d.Merged })
			v.reasons[p.Number] = Reason{Code: CodeDepends, Sentence: fmt.Sprintf("It depends on %s, which is not merged yet.", p.DependsOn[j].Name)}
		}
	}
}

// try says what comes of merging a list; where that is not known it is asked for.
func (v *view) try(pulls []Head) (Merged, bool) {
	key := Key(pulls)
	m, ok := v.s.Speculation.Merges[key]
	if !ok && !v.asked[key] {
		v.asked[key] = true
		v.ask = append(v.ask, pulls)
	}
	return m, ok
}

// rest is what would be merged by a trial now: its members without those that were
// merged. It is exact if the branch got here by members of it alone.
func (v *view) rest(t *Trial) (pulls []Head, exact bool) {
	in := map[Head]bool{}
	for _, h := range t.Pulls {
		in[h] = true
		switch at, ok := v.at[h]; {
		case ok && at >= 0 && at < window:
			pulls = append(pulls, h)
		case !ok && t.Behind < 0 && !v.present[h.Number]:
			// It has left the pool, and nobody knows how the branch got here: it may have
			// been merged. The tree will tell.
		case !ok || at == gone:
			return nil, false
		}
	}
	if t.Behind < 0 || t.Behind > len(v.merged) {
		return pulls, false
	}
	for _, h := range v.merged[len(v.merged)-t.Behind:] {
		if !in[h] {
			return nil, false
		}
	}
	return pulls, len(pulls) > 0
}

// allowed tells whether everyone of the list may be merged, in this order.
func (v *view) allowed(pulls []Head) bool {
	done := map[Head]bool{}
	for _, h := range pulls {
		i, ok := v.at[h]
		if !ok || i < 0 || i >= window || len(pulls) == 1 && !v.queue[i].Green() {
			return false
		}
		for _, d := range v.queue[i].DependsOn {
			if !d.Merged && !done[*d.Head] {
				return false
			}
		}
		done[h] = true
	}
	return len(pulls) > 0
}

func (v *view) set(pulls []Head) members {
	var m members
	for _, h := range pulls {
		m = m.with(v.at[h])
	}
	return m
}

// land proposes to merge what is proven.
func (v *view) land() *Action {
	var lists [][]Head
	for i := range v.trials {
		o := &v.trials[i]
		if o.verdict != passed || o.trial.Tree == "" {
			continue
		}
		// After pushes of others the tree alone can tell.
		if pulls, exact := v.rest(o.trial); (exact || o.ground > 0) && v.allowed(pulls) {
			lists = append(lists, pulls)
		}
	}
	// What its own results prove on this base, and what needs no proof.
	here := map[Head]bool{}
	for _, st := range standings(v.s) {
		here[st.pull.Head] = st.verdict == passed
		if i, ok := v.at[st.pull.Head]; ok && i >= 0 && i < window && st.verdict == passed && v.allowed([]Head{st.pull.Head}) {
			lists = append(lists, []Head{st.pull.Head})
		}
	}
	slices.SortStableFunc(lists, func(a, b []Head) int { return cmp.Or(cmp.Compare(len(b), len(a)), compareHeads(a, b)) })
	for _, pulls := range lists {
		if v.spoils(pulls) || !(len(pulls) == 1 && here[pulls[0]]) && !v.proven(pulls) {
			continue
		}
		a := &Action{
			Kind: MergeBatch, Targets: pulls, Exact: true, Code: CodeProven,
			Sentence: fmt.Sprintf("%s passed every required job as they will be on the branch.", numbers(pulls)),
		}
		if len(pulls) == 1 {
			a.Kind = Merge
			a.Sentence = fmt.Sprintf("%s passed every required job as it will be on the branch.", numbers(pulls))
		}
		a.Stops = v.useless(v.set(pulls))
		return a
	}
	return nil
}

// useless are the tests that are going on of nobody but those that are merged now.
func (v *view) useless(merged members) []string {
	var out []string
	for _, o := range v.running {
		if o.strangers == 0 && merged.holds(o.set.pending()) {
			out = append(out, o.trial.ID)
		}
	}
	return out
}

// proven tells whether every required context passed for what the list makes.
func (v *view) proven(pulls []Head) bool {
	m, ok := v.try(pulls)
	return ok && !m.Unknown && len(m.Without) == 0 && v.s.Speculation.proves(m.Tree, m.Required)
}

// spoils tells whether a merge would make a better combination worthless that is
// being tested: one that does not hold all of the list.
func (v *view) spoils(pulls []Head) bool {
	set := v.set(pulls)
	for _, c := range v.live() {
		if !c.set.holds(set) && c.chance*float64(len(c.list)) > float64(len(pulls)) {
			return true
		}
	}
	return false
}

// speculation is the action that starts and stops trials.
func (v *view) speculation(starts []Start, stops []string) Action {
	a := Action{Kind: TriggerBatch, Starts: starts, Stops: stops, Code: CodeSpeculate}
	var lists []string
	for _, st := range starts {
		if len(st.Pulls) > len(a.Targets) {
			a.Targets = st.Pulls
		}
		lists = append(lists, "("+numbers(st.Pulls)+")")
	}
	switch {
	case len(starts) == 0:
		a.Sentence = fmt.Sprintf("%d tests are stopped: their outcome is of no use any more.", len(stops))
	case len(starts) == 1:
		a.Sentence = fmt.Sprintf("%s are tested together.", numbers(a.Targets))
		if len(a.Targets) == 1 {
			a.Kind, a.Contexts = Trigger, starts[0].Contexts
			a.Sentence = fmt.Sprintf("%s is tested on the current base.", numbers(a.Targets))
		}
	default:
		a.Sentence = fmt.Sprintf("%d combinations are tested: %s.", len(starts), strings.Join(lists, ", "))
	}
	return a
}

// divide says of each pull request where it is.
func (v *view) divide(plan *Plan) {
	inTrial := members{}
	largest := map[int]*outcome{}
	for i := range v.running {
		o := &v.running[i]
		inTrial = inTrial.union(o.set)
		o.set.each(func(m int) {
			if b := largest[m]; b == nil || o.set.waiting() > b.set.waiting() {
				largest[m] = o
			}
		})
	}
	for i, p := range v.queue {
		switch {
		case v.ejected.has(i):
			plan.Missing = append(plan.Missing, p.Number)
			continue
		case inTrial.has(i):
			plan.Pending = append(plan.Pending, p.Number)
		default:
			plan.Missing = append(plan.Missing, p.Number)
		}
		if _, told := v.reasons[p.Number]; told {
			continue
		}
		switch guilt := v.know.guilt(i); {
		case guilt >= suspect:
			v.reasons[p.Number] = Reason{Code: CodeSuspected, Sentence: "Combinations with it fail, and it is being found out whether that is because of it."}
		case inTrial.has(i):
			with := largest[i].trial.Pulls
			v.reasons[p.Number] = Reason{Code: CodeInTrial, Sentence: inTrialSentence(p.Head, with), With: with}
		default:
			v.reasons[p.Number] = Reason{Code: CodeQueued, Sentence: fmt.Sprintf("It is number %d of the queue and waits for a run.", i+1)}
		}
	}
	for _, p := range v.s.Pulls {
		if v.at[p.Head] < 0 {
			plan.Missing = append(plan.Missing, p.Number)
		}
	}
	if best := v.best(); best != nil {
		for _, h := range best {
			plan.BatchPending = append(plan.BatchPending, h.Number)
		}
		slices.Sort(plan.BatchPending)
	}
	slices.Sort(plan.Pending)
	slices.Sort(plan.Missing)
}

func inTrialSentence(h Head, with []Head) string {
	others := slices.DeleteFunc(slices.Clone(with), func(o Head) bool { return o == h })
	switch {
	case len(others) == 0:
		return "It is being tested on the current base."
	case len(others) > 5:
		return fmt.Sprintf("It is being tested together with %d others.", len(others))
	}
	return fmt.Sprintf("It is being tested together with %s.", numbers(others))
}

// waiting says why nothing is done.
func (v *view) waiting() Action {
	switch {
	case len(v.running) > 0:
		return wait(CodeSpeculates, "%d combinations are being tested.", len(v.running))
	case len(v.s.Pulls) == 0:
		return wait(CodeEmpty, "There is no pull request.")
	case len(v.queue) == 0:
		return wait(CodeNotRetestable, "No pull request can go on by itself.")
	}
	return wait(CodeQueued, "No test can be started now.")
}
