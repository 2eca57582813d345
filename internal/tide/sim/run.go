package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"prow/internal/tide/executor"
	"prow/internal/tide/planner"
)

// simulation is a scenario that is being played.
type simulation struct {
	sc      *Scenario
	plan    planner.Planner
	lots    *lots
	faults  *rand.Rand
	outside *rand.Rand
	now     time.Duration
	end     time.Duration
	events  events

	draining bool
	report   *Report

	pulls    []*pull
	open     []*pull
	others   []*pull
	pairDebt int
	stamp    int

	commits []commit
	// landed are the merges that the history of the automation has: what a killed
	// process merged last is not there. before is how many there were when the branch
	// was at a commit from which something was merged.
	landed []planner.Head
	before map[string]int
	// merged are all merges.
	merged  []planner.Head
	redFrom time.Duration
	// foreign counts pushes of others.
	foreign int
	blocked bool

	trials       []*trial
	byKey        map[string]*trial
	trialSeq     int
	proofs       map[proofKey]*proof
	names        map[uint64][]string
	line         []*job
	lineAt, busy int

	// What follows is the memory of the automation, which a crash wipes out.
	refused map[planner.Head]refusal
	tries   map[string]planner.Merged

	// stirred is when something changed after the last round, which began at last;
	// early is set if it was a job that ended.
	stirred time.Duration
	dirty   bool
	early   bool
	last    time.Duration
	notTill time.Duration

	// byHand is set where jobs end by command, and onCall where faults come by command.
	byHand bool
	onCall func(name string) (die, fail, late bool)
	// outcome is that of the last round.
	outcome executor.Outcome
	snap    planner.Snapshot
}

// runawayRuns is how many runs a pull request may cost on average. A planner that
// starts more starts and stops without end, and is not played any longer.
const runawayRuns = 100

type refusal struct {
	text  string
	until time.Duration
}

// Run plays a scenario with a planner.
func Run(sc Scenario, plan planner.Planner) (Report, error) {
	if err := sc.Validate(); err != nil {
		return Report{}, fmt.Errorf("scenario %s: %w", sc.Name, err)
	}
	s := start(sc, plan)
	arrivals := s.arrivals()
	s.play(arrivals)
	s.oracle(arrivals)
	s.finishReport()
	return *s.report, nil
}

func start(sc Scenario, plan planner.Planner) *simulation {
	sc = sc.defaults()
	s := &simulation{
		sc: &sc, plan: plan, lots: newLots(sc.Seed), end: time.Duration(sc.Hours * float64(time.Hour)),
		byKey: map[string]*trial{}, proofs: map[proofKey]*proof{}, names: map[uint64][]string{},
		report: &Report{Scenario: sc.Name, Seed: sc.Seed},
		last:   -time.Duration(sc.Tide.SyncPeriod), before: map[string]int{},
	}
	s.faults = s.lots.apart(aboutFaults)
	s.commits = []commit{{sha: "b0", hash: mix(sc.Seed + 1)}}
	return s
}

// arrivals draws when pull requests come.
func (s *simulation) arrivals() []Arrival {
	a := &s.sc.Arrivals
	out := slices.Clone(a.List)
	r := s.lots.apart(aboutArrivals)
	if a.PerHour > 0 {
		for at := 0.0; ; {
			at += r.ExpFloat64() / a.PerHour * float64(time.Hour)
			if at >= float64(s.end) {
				break
			}
			out = append(out, Arrival{At: time.Duration(at)})
		}
	}
	if a.Burst > 0 {
		for at := time.Duration(a.BurstAfter); at < s.end; at += time.Duration(a.BurstEvery) {
			for range a.Burst {
				out = append(out, Arrival{At: at})
			}
			if a.BurstEvery == 0 {
				break
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Arrival) int { return int(a.At - b.At) })
	return slices.DeleteFunc(out, func(a Arrival) bool { return a.At >= s.end })
}

// stir notes that the next round may find something new.
func (s *simulation) stir() {
	if !s.dirty {
		s.dirty, s.stirred = true, s.now
	}
}

// nextRound is when the automation looks again. A round that would find nothing
// new is left out: planners are pure, so it would decide the same.
func (s *simulation) nextRound() time.Duration {
	if !s.dirty {
		return unfinished
	}
	period := time.Duration(s.sc.Tide.SyncPeriod)
	at := s.last + period
	if s.early {
		at = min(at, max(s.last+afterJobEnd, s.stirred))
	}
	if at < s.stirred {
		at += (s.stirred - at + period - 1) / period * period
		if s.early {
			at = s.stirred
		}
	}
	return max(at, s.notTill, s.now)
}

func (s *simulation) play(arrivals []Arrival) {
	s.setOff()
	for next := 0; ; {
		at := s.nextRound()
		isRound := true
		if t, ok := s.events.next(); ok && t <= at {
			at, isRound = t, false
		}
		isArrival := next < len(arrivals) && arrivals[next].At <= at
		if isArrival {
			at = arrivals[next].At
		}
		if !s.draining && at >= s.end {
			s.drain()
			continue
		}
		if s.draining && (len(s.open) == 0 || at > s.end+time.Duration(s.sc.Drain*float64(time.Hour))) {
			return
		}
		if s.report.Runs > runawayRuns*(len(arrivals)+runawayRuns) {
			s.report.Runaway = true
			return
		}
		s.now = max(s.now, at)
		switch {
		case isArrival:
			s.arrive(s.traits(next+1, arrivals[next]))
			next++
		case isRound:
			s.round()
		default:
			e := s.events.take()
			s.happen(&e)
		}
	}
}

// setOff sets in motion what comes by itself.
func (s *simulation) setOff() {
	s.outside = s.lots.apart(aboutForeign)
	s.nextForeign()
	s.nextBlock()
}

func (s *simulation) nextForeign() {
	if f := s.sc.Faults.Foreign; f > 0 {
		s.events.add(event{at: s.now + time.Duration(s.outside.ExpFloat64()/f*float64(time.Hour)), kind: foreignPush})
	}
}

func (s *simulation) nextBlock() {
	if f := s.sc.Faults.Blocks; f > 0 {
		s.events.add(event{at: s.now + time.Duration(s.outside.ExpFloat64()/f*float64(time.Hour)), kind: blocks})
	}
}

// drain begins the time in which what is good must be merged.
func (s *simulation) drain() {
	s.now = max(s.now, s.end)
	s.draining = true
	s.blocked = false
	if s.base().failing != 0 {
		s.foreignMove(0)
	}
	s.report.backlog(s)
	s.stir()
}

// advance lets time pass while the automation does something.
func (s *simulation) advance(d time.Duration) {
	until := s.now + d
	for {
		t, ok := s.events.next()
		if !ok || t > until {
			break
		}
		e := s.events.take()
		s.now = max(s.now, e.at)
		s.happen(&e)
	}
	s.now = max(s.now, until)
}

func (s *simulation) happen(e *event) {
	switch e.kind {
	case jobEnds:
		s.finish(e.job)
	case sinks:
		s.sink(e.trial)
	case stirs, allowed:
		s.stir()
	case foreignPush:
		if !s.draining {
			s.nextForeign()
			failing := s.base().failing
			if failing == 0 && s.outside.Float64() < float64(s.sc.Faults.ForeignBroken) {
				failing = 1
				s.events.add(event{at: s.now + s.sc.Faults.ForeignRepair.draw(s.outside), kind: foreignRepair})
			}
			s.foreignMove(failing)
		}
	case foreignRepair:
		if s.base().failing != 0 {
			s.foreignMove(0)
		}
	case blocks:
		if !s.draining {
			s.blocked = true
			s.events.add(event{at: s.now + s.sc.Faults.BlockFor.draw(s.outside), kind: unblocks})
			s.stir()
		}
	case unblocks:
		s.blocked = false
		s.nextBlock()
		s.stir()
	default:
		s.person(e)
	}
}

// foreignMove is a push of someone else.
func (s *simulation) foreignMove(failing uint64) {
	s.foreign++
	s.report.Foreign++
	s.move(s.base().hash^mix(uint64(s.foreign)+0xf0f0<<40), failing)
}

// round is one of the automation.
func (s *simulation) round() {
	s.dirty, s.early = false, false
	s.last = s.now
	s.report.Rounds++
	w := &world{s: s, snap: s.snapshot(), base: len(s.commits) - 1}
	crashed := s.decide(w)
	s.settle(w.unit)
	if s.tries == nil {
		s.tries = map[string]planner.Merged{}
	}
	if crashed {
		s.report.Crashes++
		s.refused, s.tries = nil, nil
		s.notTill = s.now + restarts
		s.stir()
		return
	}
	out := &s.outcome
	s.remember(out)
	if len(out.Refused) > 0 {
		s.report.unchecked(s, out.Refused)
	}
	for _, f := range out.Failures {
		s.stir()
		if errors.Is(f.Err, errRefused) || errors.Is(f.Err, errUnauthorized) {
			if s.refused == nil {
				s.refused = map[planner.Head]refusal{}
			}
			until := s.now + time.Duration(s.sc.Tide.Remember)
			s.refused[f.Pull] = refusal{f.Err.Error(), until}
			s.events.add(event{at: until, kind: stirs})
		}
	}
	if out.Err != nil {
		s.stir()
	}
	s.verdicts(out)
}

// remember writes into the history what was merged.
func (s *simulation) remember(out *executor.Outcome) {
	if out.Action.Kind != planner.Merge && out.Action.Kind != planner.MergeBatch {
		return
	}
	if _, ok := s.before[s.snap.BaseSHA]; !ok {
		s.before[s.snap.BaseSHA] = len(s.landed)
	}
	s.landed = append(s.landed, out.Merged...)
	if out.Action.Exact && len(out.Merged) > 0 {
		s.early = true // what is tested next goes on top of that
	}
}

// behind is how many merges the history has since the branch was at a commit;
// negative where it does not know.
func (s *simulation) behind(base, now int) int {
	if base == now {
		return 0
	}
	if n, ok := s.before[s.commits[base].sha]; ok && len(s.landed)-n <= landedKept {
		return len(s.landed) - n
	}
	return -1
}

// decide has the executor make a round; it tells whether the process was killed.
func (s *simulation) decide(w *world) (crashed bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			crashed = true
		}
	}()
	s.outcome = executor.Round(context.Background(), w, w.snap, s.plan)
	return false
}

// verdicts tells the authors what the planner says about their pull requests.
func (s *simulation) verdicts(out *executor.Outcome) {
	for i := range s.snap.Pulls {
		h := s.snap.Pulls[i].Head
		reason, ok := out.Plan.Reasons[h.Number]
		if !ok || reason.Code != planner.CodeEjected {
			continue
		}
		p := s.pulls[h.Number-1]
		if p.head != h || p.rejected || !p.open() {
			continue
		}
		s.blame(p, reason.With)
		s.reject(p, reason.With)
	}
	s.prune()
}

// blame finds the runs that speak against a pull request.
func (s *simulation) blame(p *pull, with []planner.Head) {
	for _, t := range s.trials {
		if !slices.Contains(t.heads, p.head) {
			continue
		}
		if slices.ContainsFunc(t.heads, func(h planner.Head) bool { return h != p.head && !slices.Contains(with, h) }) {
			continue
		}
		for _, j := range t.jobs {
			if j.state == planner.RunFailure {
				s.gate(j)
			}
		}
	}
}
