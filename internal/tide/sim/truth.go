package sim

import (
	"fmt"
	"strconv"
	"time"

	"prow/internal/tide/planner"
)

// commit is a state of the branch.
type commit struct {
	sha     string
	hash    uint64
	failing uint64
	at      time.Duration
}

func (s *simulation) base() *commit { return &s.commits[len(s.commits)-1] }

// move makes a new commit.
func (s *simulation) move(hash, failing uint64) {
	last := s.base()
	if last.failing != 0 {
		s.report.red += s.now - max(s.redFrom, 0)
	}
	s.redFrom = s.now
	s.commits = append(s.commits, commit{sha: "b" + strconv.Itoa(len(s.commits)), hash: hash, failing: failing, at: s.now})
	s.tries = nil
	s.stir()
}

// unit is what is merged in one round.
type unit struct {
	all    []planner.Head
	merged []*pull
	// from is the commit it began at.
	from int
	// failed is set when a member was not merged, late when another one was after that.
	failed, late bool
	// raced is set when someone else moved the branch meanwhile.
	raced bool
}

// land merges a pull request into the branch.
func (s *simulation) land(p *pull, u *unit) {
	if p.merged || p.closed {
		s.violation("#%d is merged though it is not open", p.number)
	}
	hash := s.base().hash ^ p.hash
	failing := s.failing(len(s.commits)-1, []*pull{p})
	if failing != 0 && s.base().failing == 0 {
		// Others of the unit may be what it needs; they come before it.
		s.violation("#%d at %s breaks the branch", p.number, p.head.SHA)
		s.events.add(event{at: s.now + s.sc.Faults.ForeignRepair.draw(s.lots.of(aboutForeign, uint64(p.number), 0)), kind: foreignRepair})
	}
	p.merged, p.mergedAt = true, len(s.commits)
	s.move(hash, failing)
	s.merged = append(s.merged, p.head)
	u.merged = append(u.merged, p)
	u.late = u.late || u.failed
	s.report.merge(s, p)
	// What has a result of its own was proven by it.
	for i := range s.sc.CI.Contexts {
		if p.required>>i&1 != 0 {
			if pr := s.proofs[proofKey{hash, i}]; pr != nil {
				s.gate(pr.job)
			}
		}
	}
	for _, o := range p.clash {
		if o.open() && o.out&outConflicting == 0 {
			o.out |= outConflicting
			r := s.lots.of(aboutPeople, uint64(o.number), uint64(o.version)<<8|3)
			if !o.rejected {
				s.events.add(event{at: s.now + s.sc.People.Rebase.draw(r), kind: repaired, pull: o, version: o.version})
			}
		}
	}
}

// settle judges what was merged in a round.
func (s *simulation) settle(u *unit) {
	if u == nil || len(u.merged) == 0 {
		return
	}
	s.report.Units++
	s.prune()
	tree, required := s.base().hash, uint64(0)
	for _, p := range u.merged {
		required |= p.required
	}
	if len(u.all) == 1 {
		for _, c := range u.merged[0].contexts {
			if c.Sticky && c.State == planner.ContextSuccess {
				required &^= s.contextSet(c.Name)
			}
		}
	}
	switch {
	case s.proven(tree, required):
	case u.raced:
		s.report.Raced++
	case len(u.merged) == len(u.all):
		s.violation("%s were merged into %s without a proof", planner.Key(u.all), s.commits[u.from].sha)
	case u.late:
		s.report.Untested++
		if !s.sc.Compatible {
			s.violation("of %s others were merged after one that was not", planner.Key(u.all))
		}
	default:
		s.report.Prefixes++
	}
}

// guilty tells whether a pull request fails by itself or with those.
func (s *simulation) guilty(p *pull, with []planner.Head) bool {
	if p.broken {
		return true
	}
	for _, o := range p.pairs {
		if o.merged {
			return true
		}
		for _, h := range with {
			if o.head == h {
				return true
			}
		}
	}
	for _, o := range p.deps {
		if !o.merged {
			return true
		}
	}
	return false
}

// maxViolations is how many are kept as text.
const maxViolations = 20

func (s *simulation) violation(format string, args ...any) {
	s.report.Violated++
	if len(s.report.Violations) < maxViolations {
		s.report.Violations = append(s.report.Violations, fmt.Sprintf("after %s: ", s.now.Round(time.Second))+fmt.Sprintf(format, args...))
	}
}
