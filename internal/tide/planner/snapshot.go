package planner

import "slices"

// OwnContext is the status context of the merge automation itself; it never
// keeps a pull request from anything.
const OwnContext = "tide"

// Snapshot is one branch with everything that decides about it.
type Snapshot struct {
	Org, Repo, Branch string
	// BaseSHA is where the branch points. Runs and batches are for this commit.
	BaseSHA string
	// Pulls are the pull requests of the pool: those that wait for nothing but tests.
	Pulls []Pull
	// Runs are the tests of single pull requests.
	Runs []Run
	// Batches are the batches that were started, grouped by the changes in them.
	Batches []Batch
	// Blockers stop the branch.
	Blockers []Blocker
	// Priority orders pull requests: entries come first to last, and a pull request
	// belongs to an entry if it has all of its labels. A label with commas is any of
	// its parts.
	Priority [][]string
	// BatchLimit is how many pull requests a batch may have: 0 is no limit, a
	// negative number no batches.
	BatchLimit int
	// KeepBatches continues a batch that was started rather than making another.
	KeepBatches bool

	// Speculation is there for planners that test combinations; Classic ignores it.
	Speculation Speculation
}

// Head is a pull request at one commit.
type Head struct {
	Number int
	SHA    string
}

// Pull is a pull request of the pool.
type Pull struct {
	Head
	// Labels are the names of its labels.
	Labels []string
	// Required are the contexts of the jobs that must pass on the base before a merge.
	Required []string
	// Contexts are the statuses and checks of the head commit.
	Contexts []Context
	// Absent are contexts that must be there by policy, but are not.
	Absent []string
	// DependsOn are the pull requests that must be merged before this one.
	DependsOn []Dependency
}

// ContextState is the state of a context as GitHub's GraphQL API spells it.
type ContextState string

// The states that matter here; every other is a failure.
const (
	ContextSuccess  ContextState = "SUCCESS"
	ContextPending  ContextState = "PENDING"
	ContextExpected ContextState = "EXPECTED"
)

// Context is a status or check of a commit.
type Context struct {
	Name  string
	State ContextState
	// Optional contexts never matter.
	Optional bool
	// BaseSHA is the base commit that the result is about, empty where it does not say.
	BaseSHA string
	// Sticky results hold for every base.
	Sticky bool
	// Retested tells of a pending context that the merge automation started the run,
	// so the job has passed before.
	Retested bool
}

// matters tells whether the context keeps its pull request from being merged.
func (c *Context) matters() bool {
	return c.Name != OwnContext && !c.Optional && c.State != ContextSuccess
}

// proves tells whether the context is a passing result for the base.
func (c *Context) proves(baseSHA string) bool {
	return c.State == ContextSuccess && (c.Sticky || c.BaseSHA == baseSHA && baseSHA != "")
}

// Green tells whether every context that matters is successful now.
func (p *Pull) Green() bool {
	return len(p.Absent) == 0 && !slices.ContainsFunc(p.Contexts, func(c Context) bool { return c.matters() })
}

// Retestable tells whether the pull request has shown once that it passes, so
// that it may be tested again, alone or in a batch: what is not successful is a
// run that the merge automation started itself.
func (p *Pull) Retestable() bool {
	return len(p.Absent) == 0 && !slices.ContainsFunc(p.Contexts, func(c Context) bool {
		return c.matters() && (c.State != ContextPending || !c.Retested)
	})
}

// RunState is how far a run came.
type RunState string

// The states of a run. Runs that wait for a cluster count as triggered.
const (
	RunTriggered RunState = "triggered"
	RunPending   RunState = "pending"
	RunSuccess   RunState = "success"
	RunFailure   RunState = "failure"
)

// RunStateOf folds the state of a ProwJob.
func RunStateOf(state string) RunState {
	switch s := RunState(state); s {
	case RunTriggered, RunPending, RunSuccess:
		return s
	case "scheduling":
		return RunTriggered
	}
	return RunFailure
}

// verdict is the state of a context over several runs; better is greater.
type verdict int

const (
	none verdict = iota
	failed
	running
	passed
)

func (s RunState) verdict() verdict {
	switch s {
	case RunSuccess:
		return passed
	case RunTriggered, RunPending:
		return running
	}
	return failed
}

// Run is a test of one pull request on the base.
type Run struct {
	Pull    Head
	Context string
	State   RunState
}

// Batch is several pull requests tested together on the base, in this order.
type Batch struct {
	Pulls []Head
	Runs  []BatchRun
	// Required are the contexts that must pass before the batch may be merged.
	Required []string
	// Unknown tells that Required could not be found out; the batch is left alone.
	Unknown bool
}

// BatchRun is one job of a batch.
type BatchRun struct {
	Context string
	State   RunState
}

// Blocker is an issue that stops a branch.
type Blocker struct {
	Number     int
	Title, URL string
}
