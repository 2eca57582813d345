package report

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	prowv1 "prow/api/prowjobs/v1"
)

// From any history — states that follow one another, caches that lag, places that
// fail or ask to wait, records that are lost — each state is told at most once and
// in order, except where its record was lost, and in the end the last one is told
// and recorded.
func TestWhateverHappensEachStateIsToldOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newLoop(t)
		states := []prowv1.ProwJobState{prowv1.PendingState}
		next := []prowv1.ProwJobState{prowv1.SuccessState, prowv1.FailureState, prowv1.AbortedState, prowv1.ErrorState}
		seen := []*prowv1.ProwJob{l.get()}
		lost := map[prowv1.ProwJobState]bool{}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			l.place.err, l.place.again, l.failing, l.stale = nil, 0, nil, nil
			switch rapid.IntRange(0, 7).Draw(rt, "event") {
			case 0:
				if len(states) <= len(next) {
					state := next[len(states)-1]
					l.becomes(state)
					states = append(states, state)
				}
			case 1:
				l.place.err = errors.New("502")
			case 2:
				l.place.again = 1
			case 3:
				// The place is told, and nobody is told of that.
				l.failing = errors.New("killed")
				lost[l.get().Status.State] = true
			case 4, 5:
				l.stale = rapid.SampledFrom(seen).Draw(rt, "cache")
			}
			_, _ = l.reconcile()
			seen = append(seen, l.get())
		}
		l.place.err, l.place.again, l.failing, l.stale = nil, 0, nil, nil
		if _, err := l.reconcile(); err != nil {
			rt.Fatal(err)
		}
		last := states[len(states)-1]
		if got := l.get().Status.PrevReportStates["place"]; got != last {
			rt.Fatalf("recorded %q, want %q", got, last)
		}
		told := l.place.told
		if len(told) == 0 || told[len(told)-1] != last {
			rt.Fatalf("told %q, want %q in the end", told, last)
		}
		at := -1
		for i, state := range told {
			n := slices.Index(states, state)
			if n < at || n == at && !lost[state] {
				rt.Fatalf("told %q (number %d again, or out of order), states were %q", told, i, states)
			}
			at = n
		}
	})
}
