package sim

import (
	"slices"
	"strconv"
	"time"

	"prow/internal/tide/planner"
)

// trial is a tree that is tested.
type trial struct {
	id    string
	key   string
	base  int
	heads []planner.Head
	pulls []*pull
	hash  uint64
	tree  string
	// required and failing are sets of contexts.
	required, failing uint64
	names             []string
	jobs              []*job
	runs              []planner.BatchRun
	live              int
	overAt            time.Duration
}

// job is one run of one context.
type job struct {
	trial   *trial
	context int
	state   planner.RunState
	// fails and takes are its fate.
	fails   bool
	takes   time.Duration
	created time.Duration
	started time.Duration
	over    bool
	gated   bool
}

// proofKey is a context of a tree.
type proofKey struct {
	tree    uint64
	context int
}

// proof is what the truth knows about it.
type proof struct {
	attempts int
	passed   bool
	job      *job
}

func (s *simulation) proof(tree uint64, context int) *proof {
	k := proofKey{tree, context}
	p := s.proofs[k]
	if p == nil {
		p = &proof{}
		s.proofs[k] = p
	}
	return p
}

// proven tells whether every one of the contexts passed on the tree.
func (s *simulation) proven(tree, contexts uint64) bool {
	for i := range s.sc.CI.Contexts {
		if contexts>>i&1 != 0 {
			if p := s.proofs[proofKey{tree, i}]; p == nil || !p.passed {
				return false
			}
		}
	}
	return true
}

// failing are the contexts that fail on a commit of the branch with pull requests.
func (s *simulation) failing(base int, pulls []*pull) uint64 {
	mask := s.commits[base].failing
	s.stamp++
	for _, p := range pulls {
		p.mark = s.stamp
	}
	for _, p := range pulls {
		bad := p.broken
		for _, o := range p.pairs {
			bad = bad || o.mark == s.stamp || o.inBase(base)
		}
		for _, o := range p.deps {
			bad = bad || o.mark != s.stamp && !o.inBase(base)
		}
		if bad {
			// The first context is required of all, so whoever meets it meets the fault.
			mask |= 1
		}
	}
	return mask
}

// begin starts jobs of a trial unless they run or passed.
func (s *simulation) begin(base int, pulls []*pull, contexts []string) *trial {
	heads := make([]planner.Head, len(pulls))
	for i, p := range pulls {
		heads[i] = p.head
	}
	key := s.commits[base].sha + "|" + planner.Key(heads)
	t := s.byKey[key]
	if t == nil {
		s.trialSeq++
		t = &trial{id: "t" + strconv.Itoa(s.trialSeq), key: key, base: base, heads: heads, pulls: pulls, hash: s.commits[base].hash}
		for _, p := range pulls {
			t.hash ^= p.hash
			t.required |= p.required
		}
		t.tree = treeName(t.hash)
		t.names = s.contextNames(t.required)
		t.failing = s.failing(base, pulls)
		s.byKey[key] = t
		s.trials = append(s.trials, t)
	}
	if len(contexts) == 0 {
		contexts = t.names
	}
	for i := range s.sc.CI.Contexts {
		if slices.Contains(contexts, s.sc.CI.Contexts[i].Name) && !slices.ContainsFunc(t.jobs, func(j *job) bool {
			return j.context == i && j.state != planner.RunFailure
		}) {
			s.enqueue(t, i)
		}
	}
	return t
}

func treeName(hash uint64) string { return strconv.FormatUint(hash, 36) }

// contextNames are the names of a set of contexts.
func (s *simulation) contextNames(set uint64) []string {
	if names := s.names[set]; names != nil {
		return names
	}
	names := []string{}
	for i := range s.sc.CI.Contexts {
		if set>>i&1 != 0 {
			names = append(names, s.sc.CI.Contexts[i].Name)
		}
	}
	s.names[set] = names
	return names
}

// contextSet is the set of one context.
func (s *simulation) contextSet(name string) uint64 {
	i := slices.IndexFunc(s.sc.CI.Contexts, func(c Context) bool { return c.Name == name })
	if i < 0 {
		return 0
	}
	return 1 << i
}

func (s *simulation) enqueue(t *trial, context int) {
	c := &s.sc.CI.Contexts[context]
	pr := s.proof(t.hash, context)
	pr.attempts++
	r := s.lots.of(aboutJob, t.hash, uint64(context)<<32|uint64(pr.attempts))
	flake, hang := r.Float64() < float64(s.sc.CI.Flakes), r.Float64() < float64(s.sc.CI.Hangs)
	j := &job{trial: t, context: context, state: planner.RunTriggered, created: s.now, takes: c.Takes.draw(r)}
	j.fails = t.failing>>context&1 != 0 || flake && !s.draining
	if j.fails && c.FailsAfter > 0 {
		j.takes = time.Duration(float64(j.takes) * float64(c.FailsAfter))
	}
	if hang && !s.draining {
		j.fails, j.takes = true, time.Duration(s.sc.CI.HangFor)
	}
	t.jobs = append(t.jobs, j)
	t.runs = append(t.runs, planner.BatchRun{Context: c.Name, State: j.state})
	t.live++
	s.report.Runs++
	if d := time.Duration(s.sc.CI.Deadline); d > 0 {
		s.events.add(event{at: s.now + d, kind: stirs})
	}
	s.shows(j)
	s.line = append(s.line, j)
	s.serve()
}

// serve gives machines to those who wait.
func (s *simulation) serve() {
	for s.lineAt < len(s.line) && (s.sc.CI.Capacity == 0 || s.busy < s.sc.CI.Capacity) {
		j := s.line[s.lineAt]
		s.line[s.lineAt] = nil
		s.lineAt++
		if j.over {
			continue
		}
		s.busy++
		j.started = s.now
		s.turn(j, planner.RunPending)
		if !s.byHand {
			s.events.add(event{at: s.now + j.takes, kind: jobEnds, job: j})
		}
	}
	if s.lineAt == len(s.line) {
		s.line, s.lineAt = s.line[:0], 0
	} else if s.lineAt > 1024 && s.lineAt > len(s.line)/2 {
		s.line, s.lineAt = slices.Delete(s.line, 0, s.lineAt), 0
	}
	s.stir()
}

func (s *simulation) turn(j *job, state planner.RunState) {
	j.state = state
	for i, other := range j.trial.jobs {
		if other == j {
			j.trial.runs[i].State = state
		}
	}
}

// endJob is for a job that is over, with a machine to give back.
func (s *simulation) endJob(j *job) {
	if j.over {
		return
	}
	j.over = true
	if j.state == planner.RunPending {
		s.busy--
		s.report.runTime += s.now - j.started
	}
	j.trial.live--
	j.trial.overAt = s.now
	s.events.add(event{at: s.now + time.Duration(s.sc.CI.Sinker), kind: sinks, trial: j.trial})
	s.early = true
}

// finish is a job that came to its end.
func (s *simulation) finish(j *job) {
	if j.over {
		return
	}
	s.endJob(j)
	if j.fails {
		s.turn(j, planner.RunFailure)
	} else {
		s.turn(j, planner.RunSuccess)
		if p := s.proof(j.trial.hash, j.context); !p.passed {
			p.passed, p.job = true, j
		}
	}
	s.shows(j)
	s.serve()
}

// stop is a job that is ended early. Nothing is left of it.
func (s *simulation) stop(t *trial) {
	for _, j := range slices.Clone(t.jobs) {
		if j.over {
			continue
		}
		s.endJob(j)
		s.report.Stopped++
		i := slices.Index(t.jobs, j)
		t.jobs, t.runs = slices.Delete(t.jobs, i, i+1), slices.Delete(t.runs, i, i+1)
	}
	s.serve()
}

// sink forgets a trial that has been over for long.
func (s *simulation) sink(t *trial) {
	if t.live > 0 || s.now < t.overAt+time.Duration(s.sc.CI.Sinker) || s.byKey[t.key] != t {
		return
	}
	delete(s.byKey, t.key)
	i := slices.Index(s.trials, t)
	s.trials = slices.Delete(s.trials, i, i+1)
	s.stir()
}

// gate notes that something depended on the result of a job.
func (s *simulation) gate(j *job) {
	if j != nil && !j.gated {
		j.gated = true
		s.report.gated++
	}
}

// shows tells the head of a single pull request what became of its test.
func (s *simulation) shows(j *job) {
	t := j.trial
	if !s.sc.Compatible || len(t.pulls) != 1 {
		return
	}
	p := t.pulls[0]
	if p.head != t.heads[0] || !p.open() {
		return
	}
	p.contexts = slices.Clone(p.contexts)
	i := slices.IndexFunc(p.contexts, func(c planner.Context) bool { return c.Name == s.sc.CI.Contexts[j.context].Name })
	if i < 0 {
		return
	}
	p.retested |= 1 << j.context
	c := planner.Context{Name: p.contexts[i].Name, State: planner.ContextPending, Retested: true}
	switch j.state {
	case planner.RunSuccess:
		c.State, c.BaseSHA = planner.ContextSuccess, s.commits[t.base].sha
	case planner.RunFailure:
		c.State = "FAILURE"
	}
	p.contexts[i] = c
	if j.state != planner.RunFailure {
		return
	}
	p.out |= outFailing
	s.gate(j)
	if s.guilty(p, nil) || t.failing != 0 {
		s.reject(p, nil)
		return
	}
	// It failed by chance: its author has it tested again.
	s.report.Rejected++
	s.report.FalseRejections++
	r := s.lots.of(aboutPeople, uint64(p.number), uint64(s.report.Runs)<<16|2)
	s.events.add(event{at: s.now + s.sc.People.Retest.draw(r), kind: retested, pull: p, version: p.version})
}
