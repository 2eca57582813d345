package planner

import (
	"strings"
	"testing"
)

func TestProposalsThatBreakAnInvariant(t *testing.T) {
	h := func(n int) Head { return Head{n, "h"} }
	base := func() *Snapshot {
		s := &Snapshot{BaseSHA: "b"}
		for n := 1; n <= 3; n++ {
			s.Pulls = append(s.Pulls, Pull{Head: h(n), Required: []string{"unit"}})
		}
		s.Runs = []Run{{Pull: h(1), Context: "unit", State: RunSuccess}}
		s.Speculation = Speculation{
			MaxRuns: 3, MaxPulls: 2,
			Merges: map[string]Merged{
				Key([]Head{h(1), h(2)}): {Tree: "one-two", Required: []string{"unit", "e2e"}},
				Key([]Head{h(2)}):       {Tree: "two", Required: []string{"unit"}},
				Key([]Head{h(3)}):       {Unknown: true},
			},
			Trials: []Trial{
				{ID: "1", Tree: "one-two", Runs: []BatchRun{{"unit", RunSuccess}}},
				{ID: "2", Tree: "two", Runs: []BatchRun{{"unit", RunPending}, {"unit", RunFailure}}},
			},
		}
		return s
	}
	merge := func(pulls ...Head) Action { return Action{Kind: MergeBatch, Targets: pulls, Exact: true} }
	start := func(n int) Action {
		return Action{Kind: TriggerBatch, Starts: []Start{{Pulls: []Head{h(n)}, Contexts: []string{"unit"}}}}
	}
	for name, tc := range map[string]struct {
		change func(*Snapshot)
		action Action
		want   string // part of the refusal; empty where there is none
	}{
		"proven on this base":       {nil, merge(h(1)), ""},
		"nothing":                   {nil, merge(), "nothing is named"},
		"not in the pool":           {nil, merge(h(7)), "#7 at h is not in the pool"},
		"at another commit":         {nil, merge(Head{1, "old"}), "#1 at old is not in the pool"},
		"twice":                     {nil, merge(h(1), h(1)), "#1 is there twice"},
		"no result":                 {nil, merge(h(2)), "unit has no passing result"},
		"a context without result":  {nil, merge(h(1), h(2)), "e2e has no passing result"},
		"requirements unknown":      {nil, merge(h(3)), "not known what #3 require"},
		"never asked":               {nil, merge(h(2), h(1)), "not known what #2 and #1 require"},
		"blocked":                   {func(s *Snapshot) { s.Blockers = []Blocker{{Number: 9}} }, merge(h(1)), "blocked by #9"},
		"blocked, nothing is tried": {func(s *Snapshot) { s.Blockers = []Blocker{{Number: 9}} }, start(2), "blocked by #9"},
		"a red context": {func(s *Snapshot) {
			s.Pulls[0].Contexts = []Context{{Name: "cla", State: "FAILURE"}}
		}, merge(h(1)), "#1 has contexts that do not pass"},
		"an optional red context": {func(s *Snapshot) {
			s.Pulls[0].Contexts = []Context{{Name: "cla", State: "FAILURE", Optional: true}}
		}, merge(h(1)), ""},
		"an absent context":       {func(s *Snapshot) { s.Pulls[0].Absent = []string{"cla"} }, merge(h(1)), "#1 has contexts"},
		"proven by an equal tree": {func(s *Snapshot) { s.Speculation.Trials[1].Runs[0].State = RunSuccess }, merge(h(2)), ""},
		"proven by another's tree": {func(s *Snapshot) {
			s.Speculation.Trials[1].Tree = "x"
			s.Speculation.Trials[1].Runs[0].State = RunSuccess
		}, merge(h(2)), "no passing result"},
		"does not merge": {func(s *Snapshot) {
			s.Speculation.Merges[Key([]Head{h(2)})] = Merged{Tree: "two", Without: []Head{h(2)}}
		}, merge(h(2)), "do not merge"},
		"depends on one elsewhere": {func(s *Snapshot) { s.Pulls[0].DependsOn = []Dependency{{Name: "a/b#4"}} }, merge(h(1)), "depends on a/b#4"},
		"depends on one that would come after": {func(s *Snapshot) {
			two := h(2)
			s.Pulls[0].DependsOn = []Dependency{{Name: "a/b#2", Head: &two}}
		}, merge(h(1), h(2)), "would not be merged before it"},
		"depends on a merged one": {func(s *Snapshot) { s.Pulls[0].DependsOn = []Dependency{{Name: "a/b#4", Merged: true}} }, merge(h(1)), ""},
		"a test":                  {nil, start(2), ""},
		"a test of a stranger":    {nil, start(8), "#8 at h is not in the pool"},
		"a test of nothing":       {nil, Action{Kind: TriggerBatch, Starts: []Start{{Pulls: []Head{h(1)}}}}, "is none"},
		"a test of too many": {nil, Action{Kind: TriggerBatch, Starts: []Start{{Pulls: []Head{h(1), h(2), h(3)}, Contexts: []string{"unit"}}}},
			"at most 2 are allowed"},
		"too many tests": {nil, Action{Kind: TriggerBatch, Starts: []Start{
			{Pulls: []Head{h(1)}, Contexts: []string{"unit"}}, {Pulls: []Head{h(2)}, Contexts: []string{"unit", "e2e"}},
		}}, "at most 3 are allowed"},
		"one test may always be made": {func(s *Snapshot) { s.Speculation.MaxRuns = 1; s.Speculation.Trials = nil },
			Action{Kind: TriggerBatch, Starts: []Start{{Pulls: []Head{h(2)}, Contexts: []string{"unit", "e2e"}}}}, ""},
		"stopping makes room": {nil, Action{Kind: TriggerBatch, Stops: []string{"2"}, Starts: []Start{
			{Pulls: []Head{h(1)}, Contexts: []string{"unit"}}, {Pulls: []Head{h(2)}, Contexts: []string{"unit", "e2e"}},
		}}, ""},
		"something else": {nil, Action{Kind: "DANCE"}, "not a kind of action"},
		"waiting":        {func(s *Snapshot) { s.Blockers = []Blocker{{Number: 9}} }, Action{Kind: Wait}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := base()
			if tc.change != nil {
				tc.change(s)
			}
			err := Check(s, &tc.action)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the checker says %v, want %q", err, tc.want)
			}
		})
	}
}
