package sim

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"prow/internal/tide/planner"
)

// The executor has proposals checked; the simulation must find out by itself what
// is wrong. So here the world is told what to do without an executor.

func stage(t *testing.T) (*simulation, *world) {
	t.Helper()
	sc := Scenario{Name: "stage", CI: CI{Contexts: []Context{{Name: "test", Takes: Always(time.Hour)}}}}
	s := start(sc, planner.Classic)
	s.byHand = true
	for range 4 {
		s.arrive(traits{required: 1})
	}
	s.snapshot()
	return s, &world{s: s, snap: &s.snap}
}

func (w *world) pass(heads ...planner.Head) {
	if err := w.Start(context.Background(), planner.Start{Pulls: heads}); err != nil {
		panic(err)
	}
	for _, j := range w.s.trials[len(w.s.trials)-1].jobs {
		w.s.finish(j)
	}
}

func TestTheTruthFindsWhatIsWrong(t *testing.T) {
	head := func(s *simulation, n int) planner.Head { return s.pulls[n-1].head }
	for name, tc := range map[string]struct {
		do   func(s *simulation, w *world)
		want string
	}{
		"a proven one": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, ""},
		"no proof": {func(s *simulation, w *world) {
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, "merged into b0 without a proof"},
		"a proof for less": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			all := []planner.Head{head(s, 1), head(s, 2)}
			_ = w.Merge(t.Context(), all[0], all)
			_ = w.Merge(t.Context(), all[1], all)
		}, "merged into b0 without a proof"},
		"each by itself": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			w.pass(head(s, 2))
			all := []planner.Head{head(s, 1), head(s, 2)}
			_ = w.Merge(t.Context(), all[0], all)
			_ = w.Merge(t.Context(), all[1], all)
		}, "merged into b0 without a proof"},
		"a proof of another order": {func(s *simulation, w *world) {
			all := []planner.Head{head(s, 1), head(s, 2)}
			w.pass(all[1], all[0])
			_ = w.Merge(t.Context(), all[0], all)
			_ = w.Merge(t.Context(), all[1], all)
		}, ""},
		"a proof on another base": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			s.foreignMove(0)
			w.base = 1
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, "merged into b1 without a proof"},
		"a failed run is no proof": {func(s *simulation, w *world) {
			_ = w.Start(t.Context(), planner.Start{Pulls: []planner.Head{head(s, 1)}})
			s.trials[0].jobs[0].fails = true
			s.finish(s.trials[0].jobs[0])
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, "without a proof"},
		"after one that was not merged": {func(s *simulation, w *world) {
			all := []planner.Head{head(s, 1), head(s, 2)}
			w.pass(all...)
			s.pulls[0].refusedUntil = unfinished
			_ = w.Merge(t.Context(), all[0], all)
			_ = w.Merge(t.Context(), all[1], all)
		}, "others were merged after one that was not"},
		"a blocked branch": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			w.snap.Blockers = []planner.Blocker{{Number: 9}}
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, "#1 is to be merged into a blocked branch"},
		"one that is not in the pool": {func(s *simulation, w *world) {
			old := head(s, 1)
			s.push(s.pulls[0])
			s.snapshot()
			_ = w.Merge(t.Context(), old, []planner.Head{old})
		}, "#1 at 1.1 is to be merged, which is not in the pool"},
		"twice": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			all := []planner.Head{head(s, 1), head(s, 1)}
			_ = w.Merge(t.Context(), all[0], all)
			_ = w.Merge(t.Context(), all[1], all)
		}, "#1 is to be merged twice"},
		"a broken one": {func(s *simulation, w *world) {
			s.pulls[0].broken = true
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, "#1 at 1.1 breaks the branch"},
		"two that break each other": {func(s *simulation, w *world) {
			s.pair(s.pulls[0], s.pulls[1])
			w.pass(head(s, 1))
			w.pass(head(s, 2))
			all := []planner.Head{head(s, 1), head(s, 2)}
			_ = w.Merge(t.Context(), all[0], all)
			_ = w.Merge(t.Context(), all[1], all)
		}, "#2 at 2.1 breaks the branch"},
		"someone else pushes meanwhile": {func(s *simulation, w *world) {
			w.pass(head(s, 1))
			s.events.add(event{at: s.now, kind: foreignPush})
			s.outside = rand.New(rand.NewPCG(1, 1))
			_ = w.Merge(t.Context(), head(s, 1), []planner.Head{head(s, 1)})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := stage(t)
			tc.do(s, w)
			s.settle(w.unit)
			got := strings.Join(s.report.Violations, "; ")
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, expected %q", got, tc.want)
			}
		})
	}
}

func TestWhatTheForgeRefuses(t *testing.T) {
	s, w := stage(t)
	for n, tc := range []struct {
		prepare func(p *pull)
		want    error
	}{
		{func(p *pull) { p.closed = true }, errNotOpen},
		{func(p *pull) { p.head.SHA = "other" }, errHeadMoved},
		{func(p *pull) { p.out = outConflicting }, errConflict},
		{func(p *pull) { p.refusedUntil = unfinished }, errRefused},
	} {
		h := s.pulls[n].head
		tc.prepare(s.pulls[n])
		if err := w.merge(h); err != tc.want {
			t.Errorf("#%d: got %v, expected %v", n+1, err, tc.want)
		}
	}
}

func TestSpreads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for text, within := range map[string][2]time.Duration{
		"1h0m0s":                 {time.Hour, time.Hour},
		"uniform 10m0s 20m0s":    {10 * time.Minute, 20 * time.Minute},
		"lognormal 1h0m0s 0.1":   {30 * time.Minute, 2 * time.Hour},
		"uniform 1m0s 1m0s":      {time.Minute, time.Minute},
		"lognormal 30m0s 0.0001": {29 * time.Minute, 31 * time.Minute},
	} {
		var s Spread
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if back, _ := s.MarshalText(); string(back) != text {
			t.Errorf("%s becomes %s", text, back)
		}
		for range 100 {
			if d := s.draw(r); d < within[0] || d > within[1] {
				t.Errorf("%s draws %s", text, d)
			}
		}
	}
	for _, text := range []string{"", "soon", "uniform 2h 1h", "uniform 1h", "lognormal 1h x", "lognormal 1h 9", "-1h", "normal 1h 2h"} {
		var s Spread
		if s.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestShares(t *testing.T) {
	for text, want := range map[string]Share{"10%": 0.1, "0.5": 0.5, "0": 0, "100%": 1} {
		var s Share
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s gives %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "x", "-1%", "101%", "NaN", "1.5"} {
		var s Share
		if s.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// The oracle by hand: two machines, runs of an hour, arrivals every ten minutes.
func TestTheOracle(t *testing.T) {
	sc := Scenario{Name: "oracle", Hours: 10, Warmup: 0.01, CI: CI{Capacity: 2, Contexts: []Context{{Name: "test", Takes: Always(time.Hour)}}}}
	for n := range 4 {
		sc.Arrivals.List = append(sc.Arrivals.List, Arrival{At: time.Hour + time.Duration(n)*10*time.Minute})
	}
	r, err := Run(sc, planner.Classic)
	if err != nil {
		t.Fatal(err)
	}
	// They come at 60, 70, 80, 90 and land at 120, 130, 180, 190.
	if want := 100 * time.Minute; r.OracleP95 != want || r.OracleP50 != want {
		t.Errorf("got %s and %s, expected %s", r.OracleP50, r.OracleP95, want)
	}
	if r.Merged != 4 {
		t.Errorf("merged %d", r.Merged)
	}
}

func TestDrawsDoNotDependOnThePlanner(t *testing.T) {
	sc := sixty(3)
	a, b := start(sc, planner.Classic), start(sc, nil)
	b.lots.of(aboutJob, 1, 2).Float64() // whatever was drawn before
	for n := range 50 {
		x, y := a.traits(n+1, Arrival{}), b.traits(n+1, Arrival{})
		if x.broken != y.broken || x.pairAt != y.pairAt || x.holdFor != y.holdFor {
			t.Fatalf("#%d is %+v and %+v", n+1, x, y)
		}
	}
}
