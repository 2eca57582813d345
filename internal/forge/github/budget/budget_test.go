package budget

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_000_000, 0)

func TestDecide(t *testing.T) {
	in := func(d time.Duration) time.Time { return start.Add(d) }
	for sentence, tc := range map[string]struct {
		outlook Outlook
		want    [4]bool // background, talk, progress, merging
	}{
		"an unknown budget is for everybody":                    {Outlook{}, [4]bool{true, true, true, true}},
		"a full one too":                                        {Outlook{Window{5000, 5000, in(time.Hour)}, 1}, [4]bool{true, true, true, true}},
		"and one that is nearly empty but lasts":                {Outlook{Window{5000, 100, in(time.Minute)}, 1}, [4]bool{true, true, true, true}},
		"a rush at the beginning harms nobody yet":              {Outlook{Window{5000, 4900, in(time.Hour)}, 10}, [4]bool{true, true, true, true}},
		"a window that will run dry is kept from cosmetics":     {Outlook{Window{5000, 1400, in(30 * time.Minute)}, 1}, [4]bool{false, true, true, true}},
		"then from talk":                                        {Outlook{Window{5000, 700, in(30 * time.Minute)}, 1}, [4]bool{false, false, true, true}},
		"then from tests":                                       {Outlook{Window{5000, 200, in(30 * time.Minute)}, 1}, [4]bool{false, false, false, true}},
		"merges go on to the end":                               {Outlook{Window{5000, 0, in(30 * time.Minute)}, 1}, [4]bool{false, false, false, true}},
		"a window that has ended says nothing":                  {Outlook{Window{5000, 0, in(0)}, 9}, [4]bool{true, true, true, true}},
		"an empty one that nobody uses is empty all the same":   {Outlook{Window{30, 0, in(time.Minute)}, 0.001}, [4]bool{false, false, false, true}},
		"small budgets, such as that of searches, work as well": {Outlook{Window{30, 8, in(30 * time.Second)}, 0.5}, [4]bool{false, true, true, true}},
	} {
		for i, p := range []Priority{Background, Talk, Progress, Merging} {
			if got := Decide(tc.outlook, p, start); got != tc.want[i] {
				t.Errorf("%s: %s: %v", sentence, p, got)
			}
		}
	}
}

// Whoever matters more may do what others may; more left, or a slower rate, never
// makes less possible; and while there is enough, everything is possible.
func TestDecideIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 15000).Draw(t, "limit")
		o := Outlook{
			Window:    Window{limit, rapid.IntRange(0, limit).Draw(t, "remaining"), start.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "reset")))},
			PerSecond: rapid.Float64Range(0, 100).Draw(t, "rate"),
		}
		p := Priority(rapid.IntRange(int(Background), int(Progress)).Draw(t, "priority"))
		allowed := Decide(o, p, start)
		if allowed && !Decide(o, p+1, start) {
			t.Error("a higher priority may less")
		}
		if allowed && o.Remaining < limit {
			more := o
			more.Remaining++
			if !Decide(more, p, start) {
				t.Error("more left allows less")
			}
		}
		slower := o
		slower.PerSecond /= 2
		if allowed && !Decide(slower, p, start) {
			t.Error("a slower rate allows less")
		}
		if !allowed && (o.Forecast(start) >= 0 || !o.Reset.After(start)) {
			t.Error("there is enough")
		}
		if !Decide(o, Merging, start) {
			t.Error("merging never stops")
		}
	})
}

func TestTrackerLearnsTheRate(t *testing.T) {
	var tr Tracker
	reset := start.Add(time.Hour)
	now := start
	remaining := 5000
	tr.Learn(Window{5000, remaining, reset}, now)
	for range 1200 { // two a second for ten minutes
		now = now.Add(500 * time.Millisecond)
		remaining--
		tr.Learn(Window{5000, remaining, reset.Add(time.Second)}, now)
		tr.Learn(Window{5000, remaining + 3, reset}, now) // an answer that was overtaken
	}
	o := tr.Outlook(now)
	if math.Abs(o.PerSecond-2) > 0.1 || o.Remaining != 3800 {
		t.Errorf("got %+v", o)
	}
	if f := o.Forecast(now); math.Abs(f-(3800-2*3000)) > 300 {
		t.Errorf("forecast %v", f)
	}
	if late := tr.Outlook(now.Add(10 * time.Minute)); late.PerSecond > 0.02 || late.Remaining != 3800 {
		t.Errorf("after a silence %+v", late)
	}
	tr.Learn(Window{5000, 10, reset.Add(-time.Hour)}, now)
	if tr.Outlook(now).Remaining != 3800 {
		t.Error("an answer of the last window counts")
	}
	tr.Learn(Window{5000, 4999, reset.Add(time.Hour)}, now.Add(time.Minute))
	if o := tr.Outlook(now.Add(time.Minute)); o.Remaining != 4999 || o.PerSecond < 1 {
		t.Errorf("a new window goes on at the same rate: %+v", o)
	}
}

func TestAProcessThatStartsIntoAUsedWindow(t *testing.T) {
	var tr Tracker
	tr.Learn(Window{5000, 1000, start.Add(30 * time.Minute)}, start) // 4000 in half an hour
	if o := tr.Outlook(start); Decide(o, Background, start) || !Decide(o, Talk, start) {
		t.Errorf("%+v: forecast %v", o, o.Forecast(start))
	}
}

func TestBroker(t *testing.T) {
	now := start
	var slept []time.Duration
	b := NewBroker(2*time.Minute, func() time.Time { return now }, func(_ context.Context, d time.Duration) error { slept = append(slept, d); now = now.Add(d); return nil })
	key := Key{"a", "core"}
	admit := func(sentence string, p Priority, want Outcome) error {
		t.Helper()
		got, err := b.Admit(t.Context(), key, p)
		if got != want {
			t.Errorf("%s: %s, %v", sentence, got, err)
		}
		return err
	}
	_ = admit("nothing is known", Background, Allowed)
	b.Learn(key, Window{5000, 100, start.Add(30 * time.Minute)})
	err := admit("it will run dry", Talk, Refused)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Remaining != 100 || refused.Priority != Talk || !strings.Contains(err.Error(), "100 of 5000 requests (core) are left") {
		t.Errorf("got %v", err)
	}
	_ = admit("merging", Merging, Allowed)
	if got, err := b.Admit(t.Context(), Key{"b", "core"}, Background); got != Allowed {
		t.Errorf("another budget: %v", err)
	}
	now = start.Add(29 * time.Minute)
	b.Learn(key, Window{5000, 1, start.Add(30 * time.Minute)})
	_ = admit("the end is near", Talk, Waited)
	if len(slept) != 1 || slept[0] != 61*time.Second {
		t.Errorf("slept %v", slept)
	}
	_ = admit("a new window", Background, Allowed)
	for i := range maxBudgets + 5 {
		b.Learn(Key{"x", time.Duration(i).String()}, Window{5, 5, now.Add(time.Hour)})
	}
	if len(b.budgets) > maxBudgets {
		t.Errorf("%d budgets", len(b.budgets))
	}
}

// The whole in motion: more is asked for than there is, at all priorities alike.
// What matters least must give way first, and merging must never be refused.
func TestExhaustionDegradesByPriority(t *testing.T) {
	now := start
	b := NewBroker(0, func() time.Time { return now }, func(context.Context, time.Duration) error { return nil })
	key := Key{"a", "core"}
	remaining, reset := 5000, start.Add(time.Hour)
	var made, refused [Merging + 1]int
	for range 3599 { // until just before the window ends
		now = now.Add(time.Second)
		for p := Background; p <= Merging; p++ { // four a second, where 1.4 can be had
			if p == Merging && now.Second()%10 != 0 {
				continue // merges are few
			}
			if _, err := b.Admit(t.Context(), key, p); err != nil {
				refused[p]++
				continue
			}
			if remaining == 0 {
				t.Fatalf("the window ran dry at %s", now.Sub(start))
			}
			remaining--
			made[p]++
			b.Learn(key, Window{5000, remaining, reset})
		}
	}
	t.Logf("made %v, refused %v, left %d", made, refused, remaining)
	if refused[Merging] > 0 || made[Background] > made[Talk] || made[Talk] > made[Progress] || refused[Background] == 0 {
		t.Errorf("made %v, refused %v", made, refused)
	}
}

func BenchmarkAdmitAndLearn(b *testing.B) {
	br := NewBroker(0, time.Now, nil)
	key := Key{"credential", "core"}
	reset := time.Now().Add(time.Hour)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := br.Admit(b.Context(), key, Progress); err != nil {
				b.Fatal(err)
			}
			br.Learn(key, Window{5000, 4000, reset})
		}
	})
}
