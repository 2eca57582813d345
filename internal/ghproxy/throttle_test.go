package ghproxy

import (
	"testing"
	"time"
)

func TestSpacing(t *testing.T) {
	const get, write = true, false
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for sentence, c := range map[string]struct {
		last   bool
		passed time.Duration // negative: the queue reaches that far
		now    bool
		want   time.Duration
	}{
		"a write 500 ms after a write waits for the rest of the second":    {write, 500 * time.Millisecond, write, 500 * time.Millisecond},
		"a read 500 ms after a read waits for nothing":                     {get, 500 * time.Millisecond, get, 0},
		"a write behind a queue of a second":                               {write, -time.Second, write, 2 * time.Second},
		"a read behind a queue of a second":                                {write, -time.Second, get, 1100 * time.Millisecond},
		"a write behind a queue that reaches the limit":                    {write, -9999 * time.Millisecond, write, 10 * time.Second},
		"a write behind a queue that reaches the limit and ends in a read": {get, -9999 * time.Millisecond, write, 10 * time.Second},
		"a read 50 ms after a write":                                       {write, 50 * time.Millisecond, get, 50 * time.Millisecond},
		"a read 50 ms after a read":                                        {get, 50 * time.Millisecond, get, 50 * time.Millisecond},
		"a read 200 ms after a read":                                       {get, 200 * time.Millisecond, get, 0},
		"a write 1200 ms after a write waits for nothing":                  {write, 1200 * time.Millisecond, write, 0},
		"anything a minute later":                                          {write, time.Minute, write, 0},
	} {
		now := start
		s := newSpacer(Spacing{Write: time.Second, Get: 100 * time.Millisecond, Max: 10 * time.Second}, func() time.Time { return now })
		s.slots["b"] = slot{c.last, start.Add(-c.passed)}
		if got := s.wait("b", c.now); got != c.want {
			t.Errorf("%s: waited %s, want %s", sentence, got, c.want)
		}
		if got := s.wait("another budget", c.now); got != 0 {
			t.Errorf("%s: another budget waited %s", sentence, got)
		}
	}
}

func TestForgottenBudgetsAreBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := newSpacer(Spacing{Write: time.Second, Get: time.Second, Max: time.Minute}, func() time.Time { return now })
	for i := range 3 * maxBudgets {
		now = now.Add(time.Millisecond)
		s.wait(string(rune(i)), true)
	}
	if len(s.slots) > maxBudgets+1 {
		t.Errorf("%d budgets are remembered", len(s.slots))
	}
}
