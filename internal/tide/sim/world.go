package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"prow/internal/tide/executor"
	"prow/internal/tide/planner"
)

const (
	mergeTakes  = time.Second
	pauseTakes  = 5 * time.Second
	retryTakes  = 12 * time.Second
	restarts    = 30 * time.Second
	landedKept  = 200
	trialsKept  = 512
	unfinished  = time.Duration(1<<63 - 1)
	afterJobEnd = time.Second
)

// What the forge says.
var (
	errUnavailable  = errors.New("the forge does not answer")
	errHeadMoved    = errors.New("the head of the pull request moved")
	errNotOpen      = errors.New("the pull request is not open")
	errConflict     = errors.New("the pull request has conflicts")
	errBaseModified = errors.New("the base branch was modified")
	errRefused      = errors.New("the pull request is not mergeable")
	errUnauthorized = errors.Join(errors.New("not authorized to push to this branch"), executor.ErrStop)
)

// crash is what a killed process panics with.
type crash struct{}

// world is the branch as the executor meets it in one round.
type world struct {
	s    *simulation
	snap *planner.Snapshot
	base int
	unit *unit
}

// call does something, unless it fails or the process dies before or after it.
func (w *world) call(name string, do func() error) error {
	s := w.s
	s.report.Calls++
	die, fail, late := false, false, false
	if !s.draining && (s.sc.Faults.API > 0 || s.sc.Faults.Crashes > 0) {
		die = s.faults.Float64() < float64(s.sc.Faults.Crashes)
		fail = s.faults.Float64() < float64(s.sc.Faults.API)
		late = s.faults.Float64() < 0.5
	}
	if s.onCall != nil {
		die, fail, late = s.onCall(name)
	}
	if (die || fail) && late {
		_ = do()
	}
	switch {
	case die:
		panic(crash{})
	case fail:
		s.report.Faults++
		return fmt.Errorf("%s: %w", name, errUnavailable)
	}
	return do()
}

func (w *world) Base(context.Context) (sha string, err error) {
	err = w.call("base", func() error {
		sha = w.s.base().sha
		return nil
	})
	return sha, err
}

// current returns the pull requests at these heads.
func (w *world) current(heads []planner.Head) ([]*pull, error) {
	pulls := make([]*pull, len(heads))
	for i, h := range heads {
		if h.Number < 1 || h.Number > len(w.s.pulls) || w.s.pulls[h.Number-1] == nil || w.s.pulls[h.Number-1].head != h {
			return nil, fmt.Errorf("#%d at %s: %w", h.Number, h.SHA, errHeadMoved)
		}
		pulls[i] = w.s.pulls[h.Number-1]
	}
	return pulls, nil
}

// conflicts tells whether the last one does not merge after the others.
func (w *world) conflicts(pulls []*pull) bool {
	p := pulls[len(pulls)-1]
	for _, o := range p.clash {
		if o.inBase(w.base) {
			return true
		}
		for _, before := range pulls[:len(pulls)-1] {
			if before == o {
				return true
			}
		}
	}
	return false
}

func (w *world) Try(_ context.Context, heads []planner.Head) (m planner.Merged, err error) {
	w.s.report.Tries++
	err = w.call("try", func() error {
		pulls, err := w.current(heads)
		if err != nil {
			return err
		}
		required, hash := uint64(0), w.s.commits[w.base].hash
		var kept []*pull
		for i, p := range pulls {
			if w.conflicts(append(kept, p)) {
				m.Without = append(m.Without, heads[i])
				continue
			}
			kept = append(kept, p)
			required |= p.required
			hash ^= p.hash
		}
		m.Tree, m.Required = treeName(hash), w.s.contextNames(required)
		return nil
	})
	return m, err
}

func (w *world) Pick(_ context.Context, candidates []planner.Head, limit int) (picked []planner.Head, err error) {
	err = w.call("pick", func() error {
		pulls, err := w.current(candidates)
		if err != nil {
			return err
		}
		var kept []*pull
		for i, p := range pulls {
			if limit > 0 && len(picked) == limit {
				break
			}
			if w.conflicts(append(kept, p)) {
				continue
			}
			kept, picked = append(kept, p), append(picked, candidates[i])
		}
		return nil
	})
	return picked, err
}

func (w *world) Start(_ context.Context, start planner.Start) error {
	return w.call("start", func() error {
		pulls, err := w.current(start.Pulls)
		if err != nil {
			return err
		}
		for i := range pulls {
			if w.conflicts(pulls[:i+1]) {
				return fmt.Errorf("start %s: %w", planner.Key(start.Pulls), errConflict)
			}
		}
		w.s.begin(w.base, pulls, start.Contexts)
		return nil
	})
}

func (w *world) Stop(_ context.Context, id string) error {
	return w.call("stop", func() error {
		for _, t := range w.s.trials {
			if t.id == id {
				w.s.stop(t)
				break
			}
		}
		return nil
	})
}

func (w *world) Merge(_ context.Context, h planner.Head, all []planner.Head) error {
	s := w.s
	if w.unit == nil {
		w.unit = &unit{all: all, from: len(s.commits) - 1}
	}
	w.intended(h)
	foreign := s.foreign
	s.advance(mergeTakes)
	merged := false
	err := w.call("merge", func() error {
		w.unit.raced = w.unit.raced || s.foreign != foreign || w.base+len(w.unit.merged) != len(s.commits)-1
		err := w.merge(h)
		merged = err == nil
		return err
	})
	w.unit.failed = w.unit.failed || !merged
	return err
}

// intended checks that a merge is of what the round saw.
func (w *world) intended(h planner.Head) {
	if len(w.snap.Blockers) > 0 {
		w.s.violation("#%d is to be merged into a blocked branch", h.Number)
	}
	for i := range w.snap.Pulls {
		if w.snap.Pulls[i].Head == h {
			for _, p := range w.unit.merged {
				if p.number == h.Number {
					w.s.violation("#%d is to be merged twice", h.Number)
				}
			}
			return
		}
	}
	w.s.violation("#%d at %s is to be merged, which is not in the pool", h.Number, h.SHA)
}

// merge is what the forge does.
func (w *world) merge(h planner.Head) error {
	s := w.s
	p := s.pulls[h.Number-1]
	switch {
	case !p.open():
		return errNotOpen
	case p.head != h:
		return errHeadMoved
	case p.out&outConflicting != 0:
		return errConflict
	}
	if !s.draining {
		r := s.lots.of(aboutForge, uint64(p.number), uint64(s.report.Calls))
		switch {
		case (p.refused || p.forbidden) && p.refusedUntil == 0:
			p.refusedUntil = s.now + p.refusedFor
			s.events.add(event{at: p.refusedUntil, kind: allowed})
		case r.Float64() < float64(s.sc.Faults.BaseModified):
			s.advance(retryTakes)
			s.report.Refusals++
			return errBaseModified
		}
		if s.now < p.refusedUntil {
			s.report.Refusals++
			if p.forbidden {
				return errUnauthorized
			}
			return errRefused
		}
	}
	s.land(p, w.unit)
	return nil
}

func (w *world) Pause(context.Context) error {
	w.s.advance(pauseTakes)
	return w.call("pause", func() error { return nil })
}
