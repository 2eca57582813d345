package sim

import (
	"slices"
	"strconv"
	"time"

	"prow/internal/tide/planner"
)

// Why a pull request is not in the pool.
const (
	outHeld = 1 << iota
	outFailing
	outConflicting
	outPushed
)

// traits are what is drawn about a pull request; they do not depend on the planner.
type traits struct {
	at                                        time.Duration
	broken, pair, conflict, dependent         bool
	fresh, push, hold, refused, forbidden     bool
	pairAt, conflictAt, dependAt              float64
	pushAfter, holdAfter, holdFor, refusedFor time.Duration
	labels                                    []string
	required                                  uint64
}

// pull is a pull request with the truth about it.
type pull struct {
	traits
	number, version int
	head            planner.Head
	hash            uint64
	// pairs break the branch with it, clash do not merge with it, deps come before it.
	pairs, clash, deps []*pull

	names    []string
	contexts []planner.Context
	// retested are contexts that the automation tested this head in.
	retested uint64

	merged, closed bool
	mergedAt       int
	out            int
	entered        time.Duration
	rejected       bool
	refusedUntil   time.Duration
	mark           int
}

func (p *pull) open() bool { return !p.merged && !p.closed }

// pending tells whether it is in the pool.
func (p *pull) pending() bool { return p.open() && p.out == 0 }

// inBase tells whether a commit of the branch has it.
func (p *pull) inBase(commit int) bool { return p.merged && p.mergedAt <= commit }

// traits draws what pull request n is like.
func (s *simulation) traits(n int, a Arrival) traits {
	sc := s.sc
	r := s.lots.of(aboutPull, uint64(n), 0)
	chance := func(share Share) bool { return r.Float64() < float64(share) }
	t := traits{
		at: a.At, broken: chance(sc.Pulls.Broken), pair: chance(sc.Pulls.Pairs / 2), conflict: chance(sc.Pulls.Conflicts),
		dependent: chance(sc.Pulls.Dependent), fresh: chance(sc.Pulls.Fresh), push: chance(sc.Pulls.Pushes), hold: chance(sc.Pulls.Holds),
		refused: chance(sc.Faults.Refused), forbidden: chance(sc.Faults.Unauthorized),
		pairAt: r.Float64(), conflictAt: r.Float64(), dependAt: r.Float64(),
		pushAfter: sc.Pulls.PushAfter.draw(r), holdAfter: sc.Pulls.HoldAfter.draw(r), holdFor: sc.Pulls.HoldFor.draw(r), refusedFor: sc.Faults.RefusedFor.draw(r),
	}
	t.broken = t.broken || a.Broken
	t.labels = a.Labels
	for _, l := range sc.Pulls.Labels {
		if chance(l.Share) {
			t.labels = append(slices.Clip(t.labels), l.Name)
		}
	}
	for i, c := range sc.CI.Contexts {
		if i == 0 || c.Of == 0 || chance(c.Of) {
			t.required |= 1 << i
		}
	}
	return t
}

// arrive puts a pull request into the pool.
func (s *simulation) arrive(t traits) *pull {
	p := &pull{traits: t, number: len(s.pulls) + 1}
	others := s.others[:0]
	for _, o := range s.open {
		if o.pending() {
			others = append(others, o)
		}
	}
	s.others = others
	choose := func(u float64) *pull {
		if len(others) == 0 {
			return nil
		}
		return others[int(u*float64(len(others)))]
	}
	for i := range s.sc.CI.Contexts {
		if t.required>>i&1 != 0 {
			p.names = append(p.names, s.sc.CI.Contexts[i].Name)
		}
	}
	if t.dependent {
		if o := choose(t.dependAt); o != nil {
			p.deps = append(p.deps, o)
		}
	}
	if t.conflict {
		if o := choose(t.conflictAt); o != nil && !slices.Contains(p.deps, o) {
			s.clash(p, o)
		}
	}
	if t.pair {
		s.pairDebt++
	}
	if s.pairDebt > 0 {
		if o := s.mate(p, t.pairAt, others); o != nil {
			s.pairDebt--
			s.pair(p, o)
		}
	}
	s.pulls = append(s.pulls, p)
	s.open = append(s.open, p)
	s.report.Arrivals++
	s.renew(p)
	if t.fresh && !p.broken && len(p.deps) == 0 && len(p.clash) == 0 {
		s.refresh(p)
	}
	if t.push {
		s.events.add(event{at: s.now + t.pushAfter, kind: pushes, pull: p, version: p.version})
	}
	if t.hold {
		s.events.add(event{at: s.now + t.holdAfter, kind: holds, pull: p})
	}
	s.stir()
	return p
}

// mate finds someone to break with: nobody does so twice, nor with what it needs.
func (s *simulation) mate(p *pull, u float64, others []*pull) *pull {
	for i := range others {
		o := others[(int(u*float64(len(others)))+i)%len(others)]
		if len(o.pairs) == 0 && !o.broken && !slices.Contains(p.deps, o) && !slices.Contains(o.deps, p) {
			return o
		}
	}
	return nil
}

func (s *simulation) pair(p, o *pull) {
	p.pairs, o.pairs = append(p.pairs, o), append(o.pairs, p)
}

func (s *simulation) clash(p, o *pull) {
	p.clash, o.clash = append(p.clash, o), append(o.clash, p)
}

// renew gives a pull request a head of its own, which passed on some older base.
func (s *simulation) renew(p *pull) {
	p.version++
	p.head = planner.Head{Number: p.number, SHA: strconv.Itoa(p.number) + "." + strconv.Itoa(p.version)}
	p.hash = mix(uint64(p.number)<<20 ^ uint64(p.version) ^ 0x5bd1e995<<32)
	p.entered, p.rejected, p.retested, p.refusedUntil = s.now, false, 0, 0
	p.contexts = make([]planner.Context, len(p.names))
	for i, name := range p.names {
		p.contexts[i] = planner.Context{Name: name, State: planner.ContextSuccess, BaseSHA: "older"}
	}
	s.report.Heads++
	s.stir()
}

// refresh makes the statuses of a head those of the current base.
func (s *simulation) refresh(p *pull) {
	for i := range p.contexts {
		p.contexts[i].BaseSHA = s.base().sha
	}
	for i := range s.sc.CI.Contexts {
		if p.required>>i&1 != 0 {
			s.proof(s.base().hash^p.hash, i).passed = true
		}
	}
}

// push gives a pull request another commit with the same faults.
func (s *simulation) push(p *pull) {
	s.renew(p)
	p.out = p.out&^outFailing | outPushed
	s.events.add(event{at: s.now + s.sc.People.Return.draw(s.lots.of(aboutPeople, uint64(p.number), uint64(p.version)<<8|1)), kind: returns, pull: p, version: p.version})
}

// reject is what people do about a pull request that is said to be broken.
func (s *simulation) reject(p *pull, with []planner.Head) {
	if p.rejected || !p.open() {
		return
	}
	p.rejected = true
	s.report.Rejected++
	if !s.guilty(p, with) {
		s.report.FalseRejections++
	}
	r := s.lots.of(aboutPeople, uint64(p.number), uint64(p.version)<<8)
	if r.Float64() < float64(s.sc.People.Leave) {
		s.close(p)
		return
	}
	s.events.add(event{at: s.now + s.sc.People.Fix.draw(r), kind: repaired, pull: p, version: p.version})
}

// close gives a pull request up, and all that depend on it.
func (s *simulation) close(p *pull) {
	if !p.open() {
		return
	}
	p.closed = true
	s.report.Closed++
	s.stir()
	for _, o := range s.open {
		if slices.Contains(o.deps, p) {
			s.close(o)
		}
	}
}

// repair gives a pull request a good commit.
func (s *simulation) repair(p *pull) {
	p.broken = false
	for _, o := range p.pairs {
		o.pairs = slices.DeleteFunc(o.pairs, func(x *pull) bool { return x == p })
	}
	p.pairs = nil
	s.rebase(p)
}

// rebase gives a pull request a commit without conflicts with the branch.
func (s *simulation) rebase(p *pull) {
	p.clash = slices.DeleteFunc(p.clash, func(o *pull) bool { return o.merged })
	p.out &= outHeld
	s.renew(p)
}

// prune forgets those that are no longer open.
func (s *simulation) prune() {
	s.open = slices.DeleteFunc(s.open, func(p *pull) bool { return !p.open() })
}

// person handles what happens to a pull request.
func (s *simulation) person(e *event) {
	p := e.pull
	if !p.open() || e.version != 0 && e.version != p.version {
		return
	}
	switch e.kind {
	case pushes:
		if !s.draining && !p.rejected && p.out == 0 {
			s.push(p)
		}
	case holds:
		if !s.draining {
			p.out |= outHeld
			s.events.add(event{at: s.now + p.holdFor, kind: returns, pull: p})
		}
	case returns:
		if e.version != 0 {
			p.out &^= outPushed
		} else {
			p.out &^= outHeld
		}
		p.entered = s.now
	case repaired:
		switch {
		case p.out&outConflicting != 0 && !p.rejected:
			s.rebase(p)
		default:
			s.repair(p)
		}
	case retested:
		s.retest(p)
	}
	s.stir()
}

// retest is what an author does about a test that failed by chance: all that
// failed is tested again.
func (s *simulation) retest(p *pull) {
	if p.out&outFailing == 0 {
		return
	}
	p.out &^= outFailing
	var contexts []string
	for _, c := range p.contexts {
		if c.State != planner.ContextSuccess && c.State != planner.ContextPending {
			contexts = append(contexts, c.Name)
		}
	}
	s.begin(len(s.commits)-1, []*pull{p}, contexts)
}
