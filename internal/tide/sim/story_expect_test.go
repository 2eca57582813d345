package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"prow/internal/tide/planner"
)

func (s *teller) expect(what string, args []string) error {
	want := strings.Join(args, " ")
	same := func(got string) error {
		if got == "" {
			got = "none"
		}
		if want == "" {
			return fmt.Errorf("expect what?")
		}
		if got != want {
			return fmt.Errorf("got %s", got)
		}
		return nil
	}
	ints := func(list []int) error {
		words := make([]string, len(list))
		for i, n := range list {
			words[i] = strconv.Itoa(n)
		}
		return same(strings.Join(words, " "))
	}
	a := &s.outcome.Action
	plan := &s.outcome.Plan
	switch what {
	case "merged": // all that were merged so far, in order
		return same(shown(s.merged))
	case "all-merged": // the same in order of numbers
		heads := slices.SortedFunc(slices.Values(s.merged), func(a, b planner.Head) int { return a.Number - b.Number })
		return same(shown(heads))
	case "not":
		if want != "merged" {
			return fmt.Errorf("expected: expect not merged")
		}
		if len(s.merged) > 0 {
			return fmt.Errorf("got %s", shown(s.merged))
		}
	case "running": // all trials that are going on
		return same(s.runningLike(args, 0))
	case "started": // the trials that the last round began
		return same(s.runningLike(args, s.trialsBefore))
	case "includes": // some of the trials that are going on
		have := strings.Fields(s.running(0))
		for _, w := range args {
			if !slices.Contains(have, w) {
				return fmt.Errorf("got %s", have)
			}
		}
	case "stopped": // trials that are not going on any more
		have := strings.Fields(s.running(0))
		for _, w := range args {
			if slices.Contains(have, w) {
				return fmt.Errorf("%s goes on", w)
			}
		}
	case "alone": // whether only single pull requests are being tested
		for w := range strings.FieldsSeq(s.running(0)) {
			if strings.Contains(w, ",") {
				return fmt.Errorf("got %s", s.running(0))
			}
		}
	case "runs": // how many are going on
		n := 0
		for _, t := range s.trials {
			n += t.live
		}
		return same(strconv.Itoa(n))
	case "action":
		got := string(a.Kind)
		if len(args) > 1 {
			got += " " + shown(s.outcome.Targets)
		}
		return same(got)
	case "code":
		return same(string(a.Code))
	case "sentence":
		if !strings.Contains(a.Sentence, want) {
			return fmt.Errorf("got %s", a.Sentence)
		}
	case "idle":
		if a.Kind != planner.Wait {
			return fmt.Errorf("got %s", a.Kind)
		}
	case "success":
		return ints(plan.Success)
	case "pending":
		return ints(plan.Pending)
	case "missing":
		return ints(plan.Missing)
	case "batch-pending":
		return ints(plan.BatchPending)
	case "pool":
		var numbers []int
		for i := range s.snap.Pulls {
			numbers = append(numbers, s.snap.Pulls[i].Number)
		}
		return ints(numbers)
	case "failed": // pull requests whose merge failed in the last round
		var heads []planner.Head
		for _, f := range s.outcome.Failures {
			heads = append(heads, f.Pull)
		}
		return same(shown(heads))
	case "rejected": // pull requests that their authors have to repair
		var numbers []int
		for _, p := range s.pulls {
			if p != nil && p.rejected {
				numbers = append(numbers, p.number)
			}
		}
		return ints(numbers)
	case "reason":
		return s.expectReason(args)
	case "error":
		if s.outcome.Err == nil || !strings.Contains(s.outcome.Err.Error(), want) {
			return fmt.Errorf("got %v", s.outcome.Err)
		}
	case "crashes":
		return same(strconv.Itoa(s.report.Crashes))
	case "prefixes":
		return same(strconv.Itoa(s.report.Prefixes))
	case "untested":
		return same(strconv.Itoa(s.report.Untested))
	case "total": // runs so far
		return same(strconv.Itoa(s.report.Runs))
	default:
		return fmt.Errorf("what is %q?", what)
	}
	return nil
}

// runningLike is what runs, in the order in which it is expected.
func (s *teller) runningLike(args []string, from int) string {
	got := strings.Fields(s.running(from))
	want := slices.Sorted(slices.Values(args))
	if slices.Equal(got, want) {
		return strings.Join(args, " ")
	}
	return strings.Join(got, " ")
}

// expectReason is: expect reason N CODE [TEXT].
func (s *teller) expectReason(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("expected a number and a code")
	}
	n, _ := strconv.Atoi(args[0])
	r, ok := s.outcome.Plan.Reasons[n]
	switch {
	case !ok:
		return fmt.Errorf("there is none")
	case string(r.Code) != args[1]:
		return fmt.Errorf("got %s: %s", r.Code, r.Sentence)
	case !strings.Contains(r.Sentence, strings.Join(args[2:], " ")):
		return fmt.Errorf("got %s", r.Sentence)
	}
	return nil
}
