package ghproxy

import (
	"context"
	"sync"
	"time"
)

// Spacing is the time between requests on one budget.
type Spacing struct {
	// Write is between requests of which one is no GET, Get between two GETs.
	Write, Get time.Duration
	// Max is the longest wait.
	Max time.Duration
}

// on tells whether requests are spaced: both times must be set.
func (s Spacing) on() bool { return s.Write > 0 && s.Get > 0 }

// spacer gives the requests on each budget their time slots.
type spacer struct {
	spacing Spacing
	now     func() time.Time

	mu    sync.Mutex
	slots map[string]slot
}

// slot is the time of the last request on a budget.
type slot struct {
	get bool
	at  time.Time
}

func newSpacer(s Spacing, now func() time.Time) *spacer {
	return &spacer{spacing: s, now: now, slots: map[string]slot{}}
}

// wait books a slot and tells how long it is until then.
func (s *spacer) wait(budget string, get bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	last, known := s.slots[budget]
	at := now
	if known {
		at = s.next(last, now, get)
	}
	s.slots[budget] = slot{get, at}
	if len(s.slots) > maxBudgets {
		s.forget(now)
	}
	return at.Sub(now)
}

// next is the slot after the last one.
func (s *spacer) next(last slot, now time.Time, get bool) time.Time {
	base := s.spacing.Write
	if last.get && get {
		base = s.spacing.Get
	}
	if !now.After(last.at) { // others queue already
		step := base
		if get {
			step = s.spacing.Get
		}
		at := last.at.Add(step)
		if at.Sub(now) >= s.spacing.Max {
			return now.Add(s.spacing.Max)
		}
		return at
	}
	elapsed := now.Sub(last.at)
	switch {
	case elapsed >= base, get && elapsed >= s.spacing.Get:
		return now
	case get && !last.get:
		return now.Add(s.spacing.Get - elapsed)
	}
	return now.Add(base - elapsed)
}

// maxBudgets bounds how many budgets are remembered; tokens rotate.
const maxBudgets = 10_000

// forget drops budgets whose last slot no longer delays anything.
func (s *spacer) forget(now time.Time) {
	for budget, last := range s.slots {
		if now.Sub(last.at) > max(s.spacing.Write, s.spacing.Get) {
			delete(s.slots, budget)
		}
	}
}

// semaphore bounds what is in flight. Waiting ends with the request.
type semaphore chan struct{}

func (s semaphore) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s semaphore) release() { <-s }

// pause waits, or ends with the request.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
