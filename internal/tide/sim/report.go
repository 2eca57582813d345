package sim

import (
	"slices"
	"time"
)

// Report is how a planner fared.
type Report struct {
	Scenario string
	Seed     uint64

	// Arrivals are pull requests, Heads their commits; Merged and Closed are how they ended.
	Arrivals, Heads, Merged, Closed int
	// PerHour are merges an hour after the warm-up, while pull requests came.
	PerHour float64
	// Backlog is how many were open when no more came.
	Backlog int
	// P50 and P95 are from entering the pool until being merged, for heads that came
	// after the warm-up. Those that are never merged count with their age.
	P50, P95 time.Duration
	// OracleP50 and OracleP95 are those of one who knows the end of every test.
	OracleP50, OracleP95 time.Duration
	// OraclePerHour are its merges.
	OraclePerHour float64

	// Runs were started, Stopped of them ended early. Waste is the share of those that
	// were over of which nothing came: no merge and no rejection.
	Runs, Stopped int
	RunHours      float64
	Waste         float64

	// Rejected are judged to be broken, FalseRejections of them wrongly.
	Rejected, FalseRejections int
	// Stuck are good, and were not merged though nothing kept them back.
	Stuck int
	// Runaway is set where the planner started tests without end, so that the scenario
	// was broken off.
	Runaway bool
	// Untold are broken, and their authors were not told.
	Untold int
	// StuckPulls are some of those that are stuck.
	StuckPulls []int
	// Green is the share of time in which the branch passed.
	Green float64

	// Units were merged; Prefixes are those of which only the first could be, Untested
	// those of which others were merged after one was not, Raced those during which
	// someone else pushed.
	Units, Prefixes, Untested, Raced int
	// Rounds, Calls to the world and Tries among them, and what went wrong.
	Rounds, Calls, Tries, Crashes, Faults, Refusals, Foreign int
	// Unchecked are proposals that the checker of the executor refused.
	Unchecked int
	// Complaints are some of what it said.
	Complaints []string
	// Violations are broken invariants, by the truth of the simulation.
	Violated   int
	Violations []string

	// gated runs had something depend on them; over is how many runs are over.
	gated, over int
	runTime     time.Duration
	red         time.Duration
	// late are the merges after the warm-up.
	late                int
	turnarounds, oracle []time.Duration
}

// Sum is the report over several seeds of a scenario: counts are summed up, rates
// and shares are of the whole.
func Sum(reports []Report) Report {
	out := reports[0]
	if len(reports) == 1 {
		return out
	}
	out.turnarounds, out.oracle = slices.Clone(out.turnarounds), slices.Clone(out.oracle)
	out.Violations, out.Complaints, out.StuckPulls = slices.Clone(out.Violations), slices.Clone(out.Complaints), slices.Clone(out.StuckPulls)
	for i := range reports[1:] {
		r := &reports[i+1]
		for to, v := range map[*int]int{
			&out.Arrivals: r.Arrivals, &out.Heads: r.Heads, &out.Merged: r.Merged, &out.Closed: r.Closed, &out.Backlog: r.Backlog,
			&out.Runs: r.Runs, &out.Stopped: r.Stopped, &out.Rejected: r.Rejected, &out.FalseRejections: r.FalseRejections, &out.Stuck: r.Stuck, &out.Untold: r.Untold,
			&out.Units: r.Units, &out.Prefixes: r.Prefixes, &out.Untested: r.Untested, &out.Raced: r.Raced,
			&out.Rounds: r.Rounds, &out.Calls: r.Calls, &out.Tries: r.Tries, &out.Crashes: r.Crashes, &out.Faults: r.Faults, &out.Refusals: r.Refusals,
			&out.Foreign: r.Foreign, &out.Unchecked: r.Unchecked, &out.Violated: r.Violated, &out.gated: r.gated, &out.over: r.over,
		} {
			*to += v
		}
		out.Runaway = out.Runaway || r.Runaway
		out.PerHour += r.PerHour
		out.OraclePerHour += r.OraclePerHour
		out.Green += r.Green
		out.RunHours += r.RunHours
		out.Complaints, out.Violations = append(out.Complaints, r.Complaints...), append(out.Violations, r.Violations...)
		out.turnarounds, out.oracle = append(out.turnarounds, r.turnarounds...), append(out.oracle, r.oracle...)
	}
	n := float64(len(reports))
	out.PerHour /= n
	out.OraclePerHour /= n
	out.Green /= n
	out.figures()
	return out
}

// figures works out what follows from others.
func (r *Report) figures() {
	r.P50, r.P95 = percentiles(r.turnarounds)
	r.OracleP50, r.OracleP95 = percentiles(r.oracle)
	r.Waste = 0
	if r.over > 0 {
		r.Waste = 1 - float64(r.gated)/float64(r.over)
	}
}

// merge notes a merge.
func (r *Report) merge(s *simulation, p *pull) {
	r.Merged++
	warm := time.Duration(s.sc.Warmup * float64(time.Hour))
	if s.now >= warm && s.now < s.end {
		r.late++
	}
	if p.entered >= warm && p.entered < s.end {
		r.turnarounds = append(r.turnarounds, s.now-p.entered)
	}
}

// backlog notes who is left when no more come.
func (r *Report) backlog(s *simulation) { r.Backlog = len(s.open) }

func (r *Report) unchecked(s *simulation, errs []error) {
	r.Unchecked += len(errs)
	for _, err := range errs {
		if len(r.Complaints) < maxViolations {
			r.Complaints = append(r.Complaints, s.now.Round(time.Second).String()+": "+err.Error())
		}
	}
}

func (s *simulation) finishReport() {
	r := s.report
	warm := time.Duration(s.sc.Warmup * float64(time.Hour))
	if hours := (s.end - warm).Hours(); hours > 0 {
		r.PerHour = float64(r.late) / hours
	}
	for _, p := range s.open {
		// Who waits for its author is not stuck.
		if p.open() && !p.rejected && p.out == 0 {
			if s.guilty(p, nil) {
				r.Untold++
				continue
			}
			r.Stuck++
			if len(r.StuckPulls) < maxViolations {
				r.StuckPulls = append(r.StuckPulls, p.number)
			}
			if p.entered >= warm && p.entered < s.end {
				r.turnarounds = append(r.turnarounds, s.now-p.entered)
			}
		}
	}
	if s.base().failing != 0 {
		r.red += s.now - s.redFrom
	}
	r.Green = 1
	if s.now > 0 {
		r.Green = 1 - r.red.Seconds()/s.now.Seconds()
	}
	r.RunHours = r.runTime.Hours()
	r.over = r.Runs
	for _, t := range s.trials {
		r.over -= t.live
	}
	r.figures()
}

func percentiles(d []time.Duration) (p50, p95 time.Duration) {
	if len(d) == 0 {
		return 0, 0
	}
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[min(len(d)-1, int(q*float64(len(d))))] }
	return at(0.5), at(0.95)
}
