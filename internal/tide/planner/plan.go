package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is what an action does. The values are shown to people and programs.
type Kind string

// The kinds.
const (
	Wait         Kind = "WAIT"
	Trigger      Kind = "TRIGGER"
	TriggerBatch Kind = "TRIGGER_BATCH"
	Merge        Kind = "MERGE"
	MergeBatch   Kind = "MERGE_BATCH"
	Blocked      Kind = "BLOCKED"
)

// Code names the rule that led to an action.
type Code string

// The codes.
const (
	CodeBlocked         Code = "blocked"
	CodeBatchPassed     Code = "batch-passed"
	CodeReady           Code = "ready"
	CodeNothingRequired Code = "nothing-required"
	CodeNewBatch        Code = "new-batch"
	CodeContinueBatch   Code = "continue-batch"
	CodeRetest          Code = "retest"
	CodeBatchRunning    Code = "batch-running"
	CodeTestsRunning    Code = "tests-running"
	CodeNotGreen        Code = "not-green"
	CodeNotRetestable   Code = "not-retestable"
	CodeEmpty           Code = "empty"
)

// Action is a proposal.
type Action struct {
	Kind Kind
	// Targets are the pull requests to test or merge, in order. A new batch has
	// none: it is made of Candidates.
	Targets []Head
	// Contexts are the ones to test of Trigger.
	Contexts []string
	// Candidates of a new batch, in order: they are merged into the base one after
	// the other, those that conflict are left out. With fewer than two left there is
	// no batch, and the next proposal counts.
	Candidates []Head
	// Limit is how many candidates a batch takes at most; 0 is all.
	Limit int
	// Starts are the trials that a speculation begins, and Stops those of which the
	// outcome has become useless. They go with TriggerBatch and Trigger; a merge stops
	// what it makes useless once all of it is done.
	Starts []Start
	Stops  []string
	// Exact targets of a merge are proven as a whole: after one that was not merged
	// the others are not what was tested, and are left for the next plan.
	Exact bool
	// Code and Sentence say why.
	Code     Code
	Sentence string
}

// Planner decides about one branch.
type Planner func(*Snapshot) Plan

// Plan is what a planner says about a branch.
type Plan struct {
	// Proposals in order of preference: the first that can be carried out counts.
	// The last one is always possible.
	Proposals []Action
	// Success, Pending and Missing divide the pool by the state of required jobs on
	// the base, sorted.
	Success, Pending, Missing []int
	// MissingContexts are those to be tested, by pull request of Missing.
	MissingContexts map[int][]string
	// BatchPending are the members of the batch that is running.
	BatchPending []int

	// Ask are combinations of which the planner wants to know what comes of merging
	// them. Where there are any and the answers can be had, it is asked again with
	// them before anything is done.
	Ask [][]Head
	// Reasons say of each pull request of the pool where it is.
	Reasons map[int]Reason
}

// Reason says why a pull request is where it is.
type Reason struct {
	Code     Code
	Sentence string
	// With are the pull requests the sentence is about.
	With []Head
}

// numbers lists pull requests as people write them: #1, #2 and #3.
func numbers[T int | Head](pulls []T) string {
	words := make([]string, len(pulls))
	for i, p := range pulls {
		switch p := any(p).(type) {
		case int:
			words[i] = "#" + strconv.Itoa(p)
		case Head:
			words[i] = "#" + strconv.Itoa(p.Number)
		}
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func wait(code Code, format string, args ...any) Action {
	return Action{Kind: Wait, Code: code, Sentence: fmt.Sprintf(format, args...)}
}

// sorted returns the pull requests by number.
func sorted(pulls []Pull) []*Pull {
	out := make([]*Pull, len(pulls))
	for i := range pulls {
		out[i] = &pulls[i]
	}
	slices.SortStableFunc(out, func(a, b *Pull) int { return a.Number - b.Number })
	return out
}
