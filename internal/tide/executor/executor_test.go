package executor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"prow/internal/tide/executor"
	"prow/internal/tide/planner"
)

// script is a world that does what the test says, and writes down what it is asked.
type script struct {
	base   string
	merges map[int]error
	tries  func(pulls []planner.Head) (planner.Merged, error)
	picked []planner.Head
	fails  map[string]error // by the first word of a line of log
	log    []string
}

func (s *script) note(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	s.log = append(s.log, line)
	return s.fails[strings.Fields(line)[0]]
}

func (s *script) Base(context.Context) (string, error) { return s.base, s.note("base") }

func (s *script) Try(_ context.Context, pulls []planner.Head) (planner.Merged, error) {
	if err := s.note("try %s", planner.Key(pulls)); err != nil {
		return planner.Merged{}, err
	}
	return s.tries(pulls)
}

func (s *script) Pick(_ context.Context, candidates []planner.Head, limit int) ([]planner.Head, error) {
	return s.picked, s.note("pick %s limit %d", planner.Key(candidates), limit)
}

func (s *script) Start(_ context.Context, st planner.Start) error {
	return s.note("start %s %v", planner.Key(st.Pulls), st.Contexts)
}

func (s *script) Stop(_ context.Context, trial string) error { return s.note("stop %s", trial) }

func (s *script) Merge(_ context.Context, pull planner.Head, _ []planner.Head) error {
	if err := s.note("merge %d", pull.Number); err != nil {
		return err
	}
	return s.merges[pull.Number]
}

func (s *script) Pause(context.Context) error { return s.note("pause") }

func head(n int) planner.Head { return planner.Head{Number: n, SHA: "h"} }

// pool is a snapshot of pull requests that need the context unit, of which a batch
// of all passed.
func pool(numbers ...int) *planner.Snapshot {
	s := &planner.Snapshot{BaseSHA: "b"}
	batch := planner.Batch{Required: []string{"unit"}, Runs: []planner.BatchRun{{Context: "unit", State: planner.RunSuccess}}}
	for _, n := range numbers {
		s.Pulls = append(s.Pulls, planner.Pull{Head: head(n), Required: []string{"unit"}})
		batch.Pulls = append(batch.Pulls, head(n))
	}
	s.Batches = []planner.Batch{batch}
	return s
}

func propose(actions ...planner.Action) planner.Plan { return planner.Plan{Proposals: actions} }

var waits = planner.Action{Kind: planner.Wait, Code: planner.CodeEmpty}

func TestWhatComesOfAPlan(t *testing.T) {
	refused, gone := errors.New("refused"), errors.New("gone")
	batch := planner.Action{Kind: planner.MergeBatch, Targets: []planner.Head{head(1), head(2), head(3)}}
	exact := batch
	exact.Exact = true
	starts := planner.Action{Kind: planner.TriggerBatch, Starts: []planner.Start{{Pulls: []planner.Head{head(1)}, Contexts: []string{"unit"}}}, Stops: []string{"x"}}
	fresh := planner.Action{Kind: planner.TriggerBatch, Candidates: []planner.Head{head(1), head(2), head(3)}, Limit: 2}
	stranger := planner.Action{Kind: planner.Merge, Targets: []planner.Head{head(9)}}
	for name, tc := range map[string]struct {
		world    script
		plan     planner.Plan
		log      string
		merged   []planner.Head
		kind     planner.Kind
		code     planner.Code
		failures int
		refused  int
		err      error
	}{
		"everything is merged": {plan: propose(batch), log: "base, merge 1, pause, merge 2, pause, merge 3", merged: batch.Targets, kind: planner.MergeBatch},
		"a refusal does not stop a batch": {
			world: script{merges: map[int]error{2: refused}}, plan: propose(batch),
			log: "base, merge 1, pause, merge 2, merge 3", merged: []planner.Head{head(1), head(3)}, kind: planner.MergeBatch, failures: 1,
		},
		"a refusal that all others would get stops a batch": {
			world: script{merges: map[int]error{1: fmt.Errorf("%w: %w", executor.ErrStop, refused)}}, plan: propose(batch),
			log: "base, merge 1", kind: planner.MergeBatch, failures: 1,
		},
		"after a refusal the others are not what was tested": {
			world: script{merges: map[int]error{2: refused}}, plan: propose(exact, waits),
			log: "base, merge 1, pause, merge 2", merged: []planner.Head{head(1)}, kind: planner.MergeBatch, failures: 1,
		},
		"where nothing can be merged the next is done": {
			world: script{merges: map[int]error{1: refused}}, plan: propose(exact, starts, waits),
			log: "base, merge 1, stop x, start 1@h [unit]", kind: planner.TriggerBatch, failures: 1,
		},
		"the base moved": {world: script{base: "other"}, plan: propose(batch), log: "base", kind: planner.Wait, code: "base-moved"},
		"the base is not known": {
			world: script{fails: map[string]error{"base": gone}}, plan: propose(batch), log: "base", kind: planner.Wait, code: "base-unknown", err: gone,
		},
		"an end between two merges": {
			world: script{fails: map[string]error{"pause": gone}}, plan: propose(batch), log: "base, merge 1, pause", merged: []planner.Head{head(1)}, kind: planner.MergeBatch,
		},
		"what breaks an invariant is left out": {plan: propose(stranger, starts), log: "stop x, start 1@h [unit]", kind: planner.TriggerBatch, refused: 1},
		"nothing that may be done":             {plan: propose(stranger), kind: planner.Wait, code: planner.CodeEmpty, refused: 1},
		"a test that cannot be stopped does not keep others from being started": {
			world: script{fails: map[string]error{"stop": gone}}, plan: propose(starts), log: "stop x, start 1@h [unit]", kind: planner.TriggerBatch, err: gone,
		},
		"a new batch": {
			world: script{picked: []planner.Head{head(1), head(3)}}, plan: propose(fresh),
			log: "pick 1@h,2@h,3@h limit 2, start 1@h,3@h []", kind: planner.TriggerBatch,
		},
		"a batch of one is none": {
			world: script{picked: []planner.Head{head(1)}}, plan: propose(fresh, waits), log: "pick 1@h,2@h,3@h limit 2", kind: planner.Wait, code: planner.CodeEmpty,
		},
		"no batch can be made": {
			world: script{fails: map[string]error{"pick": gone}}, plan: propose(fresh, waits), log: "pick 1@h,2@h,3@h limit 2", kind: planner.Wait, code: "batch-failed", err: gone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tc.world
			if w.base == "" {
				w.base = "b"
			}
			out := executor.Round(t.Context(), &w, pool(1, 2, 3), func(*planner.Snapshot) planner.Plan { return tc.plan })
			if got := strings.Join(w.log, ", "); got != tc.log {
				t.Errorf("did %q, want %q", got, tc.log)
			}
			if !slices.Equal(out.Merged, tc.merged) || out.Action.Kind != tc.kind || tc.code != "" && out.Action.Code != tc.code {
				t.Errorf("merged %v by %+v", out.Merged, out.Action)
			}
			if len(out.Failures) != tc.failures || len(out.Refused) != tc.refused || !errors.Is(out.Err, tc.err) {
				t.Errorf("failures %v, refused %v, error %v", out.Failures, out.Refused, out.Err)
			}
		})
	}
}

func TestAPlannerIsAskedAgainWithTheAnswers(t *testing.T) {
	all := []planner.Head{head(1), head(2), head(3)}
	w := &script{tries: func(pulls []planner.Head) (planner.Merged, error) {
		return planner.Merged{Tree: "t", Without: []planner.Head{head(2)}, Required: []string{"unit"}}, nil
	}}
	s := pool(1, 2, 3)
	asked := 0
	plan, err := executor.Decide(t.Context(), w, s, func(s *planner.Snapshot) planner.Plan {
		asked++
		return planner.Plan{Ask: [][]planner.Head{all, {head(1), head(3)}}, Proposals: []planner.Action{waits}}
	})
	if err != nil || len(plan.Proposals) != 1 || asked != 2 {
		t.Fatalf("asked %d times: %+v, %v", asked, plan, err)
	}
	if len(w.log) != 1 {
		t.Errorf("one answer says what comes of those that go together: %q", w.log)
	}
	if m := s.Speculation.Merges[planner.Key([]planner.Head{head(1), head(3)})]; m.Tree != "t" || len(m.Without) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestAPlannerThatNeverStopsAsking(t *testing.T) {
	w := &script{tries: func([]planner.Head) (planner.Merged, error) { return planner.Merged{Tree: "t"}, nil }}
	n := 0
	_, err := executor.Decide(t.Context(), w, pool(1), func(*planner.Snapshot) planner.Plan {
		n++
		return planner.Plan{Ask: [][]planner.Head{{head(n)}}}
	})
	if err == nil || n > 100 {
		t.Errorf("after %d questions: %v", n, err)
	}
}

func TestAQuestionWithoutAnAnswerMeansWait(t *testing.T) {
	gone := errors.New("gone")
	w := &script{fails: map[string]error{"try": gone}}
	out := executor.Round(t.Context(), w, pool(1), func(*planner.Snapshot) planner.Plan {
		return planner.Plan{Ask: [][]planner.Head{{head(1)}}, Proposals: []planner.Action{{Kind: planner.Merge, Targets: []planner.Head{head(1)}}}}
	})
	if !errors.Is(out.Err, gone) || out.Action.Kind != planner.Wait || len(out.Merged) != 0 {
		t.Errorf("%+v", out)
	}
}
