package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/internal/tide/planner"
)

// errNoPlanner ends a story about a planner that is not among the contestants.
var errNoPlanner = errors.New("there is no such planner")

func (s *teller) command(words []string) error {
	name, args := words[0], words[1:]
	need := func(n int) error {
		if len(args) < n {
			return fmt.Errorf("expected %d words", n)
		}
		return nil
	}
	switch name {
	case "planner", "limit", "budget", "pulls", "capacity", "batches", "priority", "contexts", "deadline", "allow":
		if err := need(1); err != nil {
			return err
		}
		return s.setUp(name, args)
	case "pr":
		return s.newPull(args)
	case "tick":
		n := 1
		if len(args) > 0 {
			n, _ = strconv.Atoi(args[0])
		}
		for range n {
			s.tick()
		}
	case "wait":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		s.advance(d)
	case "pass", "fail", "flake":
		if err := need(1); err != nil {
			return err
		}
		return s.endRuns(name, args[0], args[1:])
	case "run":
		s.runAll()
	case "settle":
		for range 100 {
			before := len(s.merged) + s.report.Runs
			s.runAll()
			s.tick()
			s.tick()
			if before == len(s.merged)+s.report.Runs {
				return nil
			}
		}
		return fmt.Errorf("it never comes to rest")
	case "expire":
		for _, t := range slices.Clone(s.trials) {
			if t.live == 0 {
				t.overAt = -time.Duration(s.sc.CI.Sinker)
				s.sink(t)
			}
		}
	case "block", "unblock":
		s.blocked = name == "block"
	case "base-moved":
		s.foreignMove(0)
	case "base-broken":
		s.foreignMove(1)
	case "crash", "fault":
		return s.strike(name == "crash", args)
	case "restart":
		s.refused, s.tries = nil, nil
	case "expect":
		if err := need(1); err != nil {
			return err
		}
		return s.expect(args[0], args[1:])
	default:
		if err := need(1); err != nil {
			return err
		}
		return s.about(name, args)
	}
	return nil
}

func (s *teller) setUp(name string, args []string) (err error) {
	number := func(to *int) { *to, err = strconv.Atoi(args[0]) }
	switch name {
	case "planner":
		i := slices.IndexFunc(Contestants, func(c Contestant) bool { return c.Name == args[0] })
		if i < 0 {
			return errNoPlanner
		}
		s.plan, s.sc.Compatible = Contestants[i].Plan, Contestants[i].Compatible
	case "limit":
		number(&s.sc.Tide.BatchLimit)
	case "budget":
		number(&s.sc.Tide.MaxRuns)
	case "pulls":
		number(&s.sc.Tide.MaxPulls)
	case "capacity":
		number(&s.sc.CI.Capacity)
	case "batches":
		s.sc.Tide.NewBatches = args[0] == "new"
	case "priority":
		s.sc.Tide.Priority = nil
		for entry := range strings.SplitSeq(strings.Join(args, " "), "/") {
			s.sc.Tide.Priority = append(s.sc.Tide.Priority, strings.Fields(entry))
		}
	case "contexts":
		s.sc.CI.Contexts = nil
		for _, c := range args {
			s.sc.CI.Contexts = append(s.sc.CI.Contexts, Context{Name: c, Takes: Always(time.Hour)})
		}
	case "deadline":
		d, err := time.ParseDuration(args[0])
		s.sc.CI.Deadline = Span(d)
		return err
	case "allow":
		s.allowed[args[0]] = true
	}
	return err
}

// newPull is: pr N [label:x] [broken] [breaks-with M] [conflicts-with M] [depends M]
// [needs a,b] [fresh] [sticky] [requires-nothing].
func (s *teller) newPull(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n <= len(s.pulls) && s.pulls[n-1] != nil {
		return fmt.Errorf("%s is no new number", args[0])
	}
	s.begins()
	p := &pull{number: n}
	p.required = 1<<len(s.sc.CI.Contexts) - 1
	fresh, sticky := false, false
	for i := 1; i < len(args); i++ {
		word := args[i]
		var other *pull
		switch word {
		case "breaks-with", "conflicts-with", "depends":
			if i++; i == len(args) {
				return fmt.Errorf("%s whom?", word)
			}
			if other, err = s.pull(args[i]); err != nil {
				return err
			}
		}
		switch {
		case word == "broken":
			p.broken = true
		case word == "breaks-with":
			s.pair(p, other)
		case word == "conflicts-with":
			s.clash(p, other)
			if other.merged {
				p.out |= outConflicting
			}
		case word == "depends":
			p.deps = append(p.deps, other)
		case word == "needs":
			i++
			p.required = 0
			for k, c := range s.sc.CI.Contexts {
				if slices.Contains(strings.Split(args[i], ","), c.Name) {
					p.required |= 1 << k
				}
			}
		case word == "requires-nothing":
			p.required = 0
		case word == "fresh":
			fresh = true
		case word == "sticky":
			sticky = true
		case strings.HasPrefix(word, "label:"):
			p.labels = append(p.labels, word[len("label:"):])
		default:
			return fmt.Errorf("what is %q?", word)
		}
	}
	p.names = s.contextNames(p.required)
	for len(s.pulls) < n {
		s.pulls = append(s.pulls, nil)
	}
	s.pulls[n-1] = p
	s.open = append(s.open, p)
	slices.SortFunc(s.open, func(a, b *pull) int { return a.number - b.number })
	s.renew(p)
	if fresh {
		s.refresh(p)
	}
	if sticky {
		for i := range p.contexts {
			p.contexts[i].Sticky = true
		}
	}
	return nil
}

func (s *teller) tick() {
	s.begins()
	s.trialsBefore = s.trialSeq
	s.advance(time.Minute)
	s.round()
	s.once = nil
}

func (s *teller) endRuns(how, word string, contexts []string) error {
	jobs, err := s.jobsOf(word, contexts)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if j.state != planner.RunPending {
			return fmt.Errorf("it waits for a machine")
		}
		bad := j.trial.failing>>j.context&1 != 0
		switch {
		case how == "pass" && bad:
			return fmt.Errorf("what it tests is broken")
		case how == "fail" && !bad:
			return fmt.Errorf("what it tests is good: say flake")
		case how == "flake" && bad:
			return fmt.Errorf("what it tests is broken: say fail")
		}
		j.fails = how != "pass"
		s.finish(j)
	}
	return nil
}

// runAll ends all that runs now by the truth.
func (s *teller) runAll() {
	var all []*job
	for _, t := range s.trials {
		for _, j := range t.jobs {
			if j.state == planner.RunPending && !j.over {
				all = append(all, j)
			}
		}
	}
	for _, j := range all {
		j.fails = j.trial.failing>>j.context&1 != 0
		s.finish(j)
	}
}

// strike is: crash|fault before|after CALL [N]: at the N-th such call of the next round.
func (s *teller) strike(die bool, args []string) error {
	if len(args) < 2 || args[0] != "before" && args[0] != "after" ||
		!slices.Contains([]string{"base", "try", "pick", "start", "stop", "merge", "pause"}, args[1]) {
		return fmt.Errorf("expected before or after base, try, pick, start, stop, merge or pause")
	}
	at := 1
	if len(args) > 2 {
		at, _ = strconv.Atoi(args[2])
	}
	s.once = func(name string) (bool, bool, bool) {
		if name == args[1] {
			at--
		}
		hit := name == args[1] && at == 0
		return hit && die, hit && !die, args[0] == "after"
	}
	return nil
}

// about are the commands about a pull request.
func (s *teller) about(name string, args []string) error {
	p, err := s.pull(args[0])
	if err != nil {
		return err
	}
	word := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch name {
	case "push":
		if word(1) == "good" {
			s.repair(p)
		} else {
			s.renew(p)
			p.out &^= outFailing
		}
	case "push-during-merge":
		// The next merge of it finds another head.
		s.events.add(event{at: s.now + time.Minute + time.Second, kind: repaired, pull: p, version: p.version})
	case "label":
		p.labels = append(slices.Clone(p.labels), word(1))
	case "unlabel":
		p.labels = slices.DeleteFunc(slices.Clone(p.labels), func(l string) bool { return l == word(1) })
	case "merge-refused":
		p.refusedUntil = unfinished
		p.forbidden = word(1) == "unauthorized"
	case "merge-allowed":
		p.refusedUntil, p.forbidden = 0, false
	case "hold":
		p.out |= outHeld
	case "release":
		p.out &^= outHeld
	case "close":
		s.close(p)
		s.prune()
	case "retest":
		s.retest(p)
	case "status":
		return s.status(p, args[1:])
	default:
		return fmt.Errorf("there is no such command")
	}
	s.stir()
	return nil
}

// status is: status N CONTEXT STATE [base] [sticky] [optional] [retested]. Only what
// matters beside tests is set this way.
func (s *teller) status(p *pull, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("expected a context and a state")
	}
	c := planner.Context{Name: args[0], State: planner.ContextState(strings.ToUpper(args[1]))}
	for _, word := range args[2:] {
		switch word {
		case "base":
			c.BaseSHA = s.base().sha
		case "sticky":
			c.Sticky = true
		case "optional":
			c.Optional = true
		case "retested":
			c.Retested = true
		default:
			return fmt.Errorf("what is %q?", word)
		}
	}
	p.contexts = slices.DeleteFunc(slices.Clone(p.contexts), func(o planner.Context) bool { return o.Name == c.Name })
	p.contexts = append(p.contexts, c)
	p.out &^= outFailing // by its tests; others are the planner's business
	if i := slices.IndexFunc(s.sc.CI.Contexts, func(o Context) bool { return o.Name == c.Name }); i >= 0 && c.State == planner.ContextSuccess && (c.Sticky || c.BaseSHA != "") {
		s.proof(s.base().hash^p.hash, i).passed = true
	}
	return nil
}
