package sim

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Scenario is what happens to a branch.
type Scenario struct {
	// Name and About are for people.
	Name  string
	About string
	Seed  uint64
	// Hours is how long pull requests come; Warmup of them do not count for figures.
	Hours  float64
	Warmup float64
	// Drain bounds the hours after that, in which nobody comes, nothing fails by
	// chance, and what is good must be merged.
	Drain float64

	Arrivals Arrivals
	Pulls    Pulls
	CI       CI
	Tide     Tide
	People   People
	Faults   Faults

	// Compatible plays the automation without speculation: the result of testing a
	// single pull request becomes a status of its head, which puts it out of the pool
	// if it failed, and pull requests wait outside of the pool for what they depend on.
	Compatible bool `yaml:"-"`
}

// Arrivals say when pull requests come into the pool.
type Arrivals struct {
	// PerHour is how many come in an hour, independently of each other.
	PerHour float64
	// Burst come at once after BurstAfter, and again after every BurstEvery if that is
	// not 0.
	Burst      int
	BurstAfter Span
	BurstEvery Span
	// Recorded names a file of recorded arrivals, which become the List.
	Recorded string
	List     []Arrival `yaml:"-"`
}

// Arrival is a recorded pull request.
type Arrival struct {
	At time.Duration
	// Broken ones never passed.
	Broken bool
	Labels []string
}

// Pulls say what they are like.
type Pulls struct {
	// Broken fail by themselves.
	Broken Share
	// Pairs are the pull requests that fail together with one that was pending when
	// the second of them came.
	Pairs Share
	// Conflicts do not merge with another pending one.
	Conflicts Share
	// Dependent ones name another pending one that must be merged before, and fail
	// without it.
	Dependent Share
	// Fresh have statuses for the base at their arrival.
	Fresh Share
	// Labels are given by lot.
	Labels []Label
	// Pushes are given another commit PushAfter their arrival.
	Pushes    Share
	PushAfter Spread
	// Holds leave the pool HoldAfter their arrival for HoldFor.
	Holds     Share
	HoldAfter Spread
	HoldFor   Spread
}

// Label is given to a share of pull requests.
type Label struct {
	Name  string
	Share Share
}

// CI is where tests run.
type CI struct {
	// Capacity is how many run at once; others wait in line. 0 is no bound.
	Capacity int
	Contexts []Context
	// Flakes fail though they should pass.
	Flakes Share
	// Hangs do not end before HangFor, and fail then.
	Hangs   Share
	HangFor Span
	// Deadline is when a trial is overdue; 0 is never.
	Deadline Span
	// Sinker is how long jobs that are over are known.
	Sinker Span
}

// Context is a required job.
type Context struct {
	Name string
	// Takes is how long a run takes, and FailsAfter the part of that after which one
	// that fails is over; 0 is all of it.
	Takes      Spread
	FailsAfter Share
	// Of is the share of pull requests that require it; 0 is all.
	Of Share
}

// Tide is how the automation is set up.
type Tide struct {
	SyncPeriod Span
	// BatchLimit is as in the configuration: 0 is no limit, -1 no batches.
	BatchLimit int
	// NewBatches makes another batch rather than continuing one.
	NewBatches bool
	Priority   [][]string
	// MaxRuns is the budget of runs of speculation; 0 is the capacity of the CI.
	MaxRuns  int
	MaxPulls int
	// Remember is how long a refusal of the forge is remembered.
	Remember Span
}

// People are the authors.
type People struct {
	// Fix is how long it takes to repair a rejected pull request.
	Fix Spread
	// Leave are rejected ones that are given up.
	Leave Share
	// Retest is how long it takes until someone asks for a test again that failed by
	// chance, where a failure puts a pull request out of the pool.
	Retest Spread
	// Rebase is how long it takes to resolve a conflict with the branch.
	Rebase Spread
	// Return is how long a pull request that was given another commit is out of the pool.
	Return Spread
}

// Faults are what goes wrong beyond pull requests and tests.
type Faults struct {
	// API calls that fail; half of them have done what they were asked for.
	API Share
	// Crashes are calls around which the automation is killed; half of them have done
	// what they were asked for.
	Crashes Share
	// Refused pull requests may not be merged for RefusedFor.
	Refused    Share
	RefusedFor Spread
	// Unauthorized ones too, and the forge says so in a way that stops a batch.
	Unauthorized Share
	// BaseModified are merges that the forge refuses for the moment.
	BaseModified Share
	// Foreign is how many pushes an hour the branch gets from others. ForeignBroken of
	// them break it until they are repaired after ForeignRepair.
	Foreign       float64
	ForeignBroken Share
	ForeignRepair Spread
	// Blocks is how often an hour the branch is blocked, for BlockFor.
	Blocks   float64
	BlockFor Spread
}

// defaults returns the scenario with what it does not say filled in.
func (s Scenario) defaults() Scenario {
	or := func(to *Span, d time.Duration) {
		if *to == 0 {
			*to = Span(d)
		}
	}
	spread := func(to *Spread, d Spread) {
		if to.zero() {
			*to = d
		}
	}
	if n := len(s.Arrivals.List); n > 0 && s.Hours == 0 {
		s.Hours = math.Ceil(s.Arrivals.List[n-1].At.Hours()) + 1
	}
	if s.Hours == 0 {
		s.Hours = 72
	}
	if s.Warmup == 0 {
		s.Warmup = min(6, s.Hours/6)
	}
	if s.Drain == 0 {
		s.Drain = 96
	}
	if len(s.CI.Contexts) == 0 {
		s.CI.Contexts = []Context{{Name: "test", Takes: Always(time.Hour)}}
	}
	or(&s.CI.HangFor, 24*time.Hour)
	or(&s.CI.Sinker, 24*time.Hour)
	or(&s.Tide.SyncPeriod, time.Minute)
	or(&s.Tide.Remember, time.Hour)
	if s.Tide.MaxRuns == 0 {
		s.Tide.MaxRuns = s.CI.Capacity
	}
	spread(&s.Pulls.PushAfter, Uniform(0, 90*time.Minute))
	spread(&s.Pulls.HoldAfter, Uniform(0, 90*time.Minute))
	spread(&s.Pulls.HoldFor, Lognormal(time.Hour, 1))
	spread(&s.People.Fix, Lognormal(2*time.Hour, 0.7))
	spread(&s.People.Retest, Lognormal(20*time.Minute, 0.7))
	spread(&s.People.Rebase, Lognormal(time.Hour, 0.7))
	spread(&s.People.Return, Always(30*time.Minute))
	spread(&s.Faults.RefusedFor, Lognormal(3*time.Hour, 0.7))
	spread(&s.Faults.ForeignRepair, Lognormal(time.Hour, 0.5))
	spread(&s.Faults.BlockFor, Lognormal(time.Hour, 0.5))
	return s
}

// maxContexts is how many contexts a scenario may have.
const maxContexts = 64

// FieldError is something wrong with a field of a scenario.
type FieldError struct {
	// Field is where it is, such as ci.contexts[0].name.
	Field string
	Text  string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Text }

// Validate tells everything that is wrong with the scenario, as [FieldError]s.
func (s *Scenario) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, &FieldError{field, fmt.Sprintf(format, args...)})
	}
	number := func(field string, v, most float64) {
		if !(v >= 0 && v <= most) {
			bad(field, "%v: expected a number from 0 to %v", v, most)
		}
	}
	if s.Name == "" {
		bad("name", "expected one")
	}
	number("hours", s.Hours, 24*366)
	number("warmup", s.Warmup, 24*366)
	number("drain", s.Drain, 24*366)
	number("arrivals.per_hour", s.Arrivals.PerHour, 1e5)
	number("arrivals.burst", float64(s.Arrivals.Burst), 1e6)
	number("ci.capacity", float64(s.CI.Capacity), 1e6)
	number("tide.max_runs", float64(s.Tide.MaxRuns), 1e6)
	number("tide.max_pulls", float64(s.Tide.MaxPulls), 1e6)
	number("faults.foreign", s.Faults.Foreign, 1e3)
	number("faults.blocks", s.Faults.Blocks, 1e3)
	if s.Arrivals.PerHour == 0 && s.Arrivals.Burst == 0 && len(s.Arrivals.List) == 0 {
		bad("arrivals", "nobody comes: expected per_hour, burst or recorded")
	}
	if len(s.CI.Contexts) > maxContexts {
		bad("ci.contexts", "%d: expected at most %d", len(s.CI.Contexts), maxContexts)
	}
	seen := map[string]bool{}
	for i, c := range s.CI.Contexts {
		field := fmt.Sprintf("ci.contexts[%d]", i)
		if c.Name == "" || seen[c.Name] {
			bad(field+".name", "%q: expected a name of its own", c.Name)
		}
		seen[c.Name] = true
		if i == 0 && c.Of != 0 && c.Of != 1 {
			bad(field+".of", "the first context is required of all")
		}
		if c.Takes.zero() {
			bad(field+".takes", "expected how long it takes")
		}
	}
	for i, l := range s.Pulls.Labels {
		if l.Name == "" {
			bad(fmt.Sprintf("pulls.labels[%d].name", i), "expected one")
		}
	}
	return errors.Join(errs...)
}
