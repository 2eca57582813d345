package budget

import (
	"context"
	"sync"
	"time"
)

// maxBudgets bounds how many budgets are remembered; tokens rotate.
const maxBudgets = 10_000

// Key names a budget: whom requests are charged to, and which of the forge's
// limits they count for.
type Key struct{ Credential, Resource string }

// Broker decides about the requests of a process. It is safe for concurrent use.
type Broker struct {
	// Patience is how long a request may wait for the end of a window before it is
	// refused. Now and Sleep are the clock.
	patience time.Duration
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error

	mu      sync.Mutex
	budgets map[Key]*Tracker
}

// NewBroker has requests wait for at most patience.
func NewBroker(patience time.Duration, now func() time.Time, sleep func(context.Context, time.Duration) error) *Broker {
	return &Broker{patience: patience, now: now, sleep: sleep, budgets: map[Key]*Tracker{}}
}

// Outcome is what became of a request.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed"
	Waited  Outcome = "waited"
	Refused Outcome = "refused"
)

// Admit waits until a request of a priority may be made. It is refused with a
// *RefusedError where it would have to wait for too long.
func (b *Broker) Admit(ctx context.Context, key Key, p Priority) (Outcome, error) {
	now := b.now()
	outlook := b.Outlook(key, now)
	if Decide(outlook, p, now) {
		return Allowed, nil
	}
	wait := outlook.Reset.Sub(now) + time.Second
	deadline, limited := ctx.Deadline()
	if wait > b.patience || limited && time.Until(deadline) < wait {
		return Refused, &RefusedError{Priority: p, Resource: key.Resource, Window: outlook.Window, Forecast: outlook.Forecast(now)}
	}
	if err := b.sleep(ctx, wait); err != nil {
		return Refused, err
	}
	return Waited, nil
}

// Outlook is what is known about a budget.
func (b *Broker) Outlook(key Key, now time.Time) Outlook {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.budgets[key]
	if t == nil {
		return Outlook{}
	}
	return t.Outlook(now)
}

// Learn takes what an answer says about a budget, and returns the outlook then.
func (b *Broker) Learn(key Key, w Window) Outlook {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.budgets[key]
	if t == nil {
		if len(b.budgets) >= maxBudgets {
			b.forget(now)
		}
		t = &Tracker{}
		b.budgets[key] = t
	}
	t.Learn(w, now)
	return t.Outlook(now)
}

// forget drops the budgets that have not been heard of in their last window, or
// all, if that makes no room: they are soon learnt again.
func (b *Broker) forget(now time.Time) {
	for key, t := range b.budgets {
		if t.window.Reset.Before(now) {
			delete(b.budgets, key)
		}
	}
	if len(b.budgets) >= maxBudgets {
		clear(b.budgets)
	}
}
