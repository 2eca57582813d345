// Package budget shares the requests that a forge allows by how much they matter.
//
// The forge tells with each answer how many requests are left of a budget, and
// when it is full again (Window). From that follow how fast they go (Tracker) and
// what will be left in the end (Outlook.Forecast). While there is enough for
// everybody, everybody may ask. When a window is going to run dry, each priority
// may only use the budget down to a reserve that is kept for those above it
// (Decide). So what stops first is what matters least, and merging goes on.
package budget

import (
	"fmt"
	"math"
	"time"
)

// Priority says how much a request matters.
type Priority int

// The priorities, from the least.
const (
	// Unset leaves the priority to whoever knows better.
	Unset Priority = iota
	// Background is what nobody waits for: clean-up, statistics, cosmetics.
	Background
	// Talk is labels, comments and reviews.
	Talk
	// Progress is what tests need: statuses, triggering, and reading what for.
	Progress
	// Merging is what brings changes into the base branch.
	Merging
)

// String is the priority as metrics and messages name it.
func (p Priority) String() string {
	switch p {
	case Background:
		return "background"
	case Talk:
		return "talk"
	case Progress:
		return "progress"
	case Merging:
		return "merging"
	}
	return "unset"
}

// reserve is the part of a budget that a priority leaves to those above it when
// not everything can be had.
func (p Priority) reserve() float64 {
	switch p {
	case Background:
		return 0.30
	case Talk:
		return 0.15
	case Progress:
		return 0.05
	}
	return 0
}

// Window is what the forge says about a budget.
type Window struct {
	// Limit is what a full budget has, Remaining what is left of it until Reset.
	Limit, Remaining int
	Reset            time.Time
}

// Outlook is a window and how fast its requests go, by everybody who uses it.
type Outlook struct {
	Window
	// PerSecond is how many requests are used up in a second.
	PerSecond float64
}

// Forecast is how many requests will be left when the window ends, if it goes on
// like that. It is negative where the window will run dry.
func (o Outlook) Forecast(now time.Time) float64 {
	left := max(0, o.Reset.Sub(now).Seconds())
	return float64(o.Remaining) - o.PerSecond*left
}

// Decide tells whether a request of a priority may be made now. Without a known
// budget everything may; so may everything once the window has ended.
func Decide(o Outlook, p Priority, now time.Time) bool {
	switch {
	case o.Limit <= 0, !now.Before(o.Reset), p >= Merging:
		return true
	case o.Forecast(now) >= 0:
		return true
	}
	return float64(o.Remaining) > p.reserve()*float64(o.Limit)
}

// RefusedError says that a request was not made because others matter more.
type RefusedError struct {
	Priority Priority
	Resource string
	Window
	// Forecast is what was expected to be left at the end of the window.
	Forecast float64
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("not asked at priority %s: %d of %d requests (%s) are left until %s, and at this rate there will be %.0f; the rest is kept for what matters more",
		e.Priority, e.Remaining, e.Limit, e.Resource, e.Reset.UTC().Format(time.RFC3339), e.Forecast)
}

// memory is how long the rate of requests remembers.
const memory = 2 * time.Minute

// sameWindow is how far the ends of a window may be apart in different answers.
const sameWindow = 5 * time.Second

// Tracker learns a window and its rate from answers, which may come out of order.
// The zero value knows nothing.
type Tracker struct {
	window Window
	rate   float64
	// since is when pending began to be counted.
	since   time.Time
	pending int
}

// Learn takes what an answer says.
func (t *Tracker) Learn(w Window, now time.Time) {
	if w.Limit <= 0 || w.Remaining < 0 {
		return
	}
	apart := w.Reset.Sub(t.window.Reset)
	switch {
	case t.window.Limit == 0:
		// Until more is known: as fast as since the window began, an hour at most ago.
		elapsed := max(time.Minute, time.Hour-w.Reset.Sub(now))
		t.rate = float64(w.Limit-w.Remaining) / elapsed.Seconds()
		t.window, t.since, t.pending = w, now, 0
		return
	case apart < -sameWindow:
		return // it was on its way when the window ended
	case apart > sameWindow:
		t.pending += max(0, w.Limit-w.Remaining)
		t.window = w
	case w.Remaining < t.window.Remaining:
		t.pending += t.window.Remaining - w.Remaining
		t.window.Remaining = w.Remaining
	}
	if passed := now.Sub(t.since); passed >= time.Second {
		keep := math.Exp(-float64(passed) / float64(memory))
		t.rate = keep*t.rate + (1-keep)*float64(t.pending)/passed.Seconds()
		t.since, t.pending = now, 0
	}
}

// Outlook is what is known now. When nothing has been heard for a while, the rate
// fades: nobody may have asked since, and somebody has to, to find out.
func (t *Tracker) Outlook(now time.Time) Outlook {
	silent := max(0, now.Sub(t.since))
	return Outlook{Window: t.window, PerSecond: t.rate * math.Exp(-float64(silent)/float64(memory))}
}
