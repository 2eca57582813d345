package tide

import (
	"maps"
	"sync"

	"prow/internal/tide/planner"
)

// Board is where the sync controller leaves what the status controller needs, and
// where both agree on whose status must not be touched.
type Board struct {
	mu      sync.Mutex
	news    news
	reading bool
	held    map[string]bool
	// planned are the reasons that planners gave, by pool and pull request.
	planned map[string]map[string]plannedReason

	// signal has an element when there are news.
	signal chan struct{}
}

// news are the outcome of one round of filtering.
type news struct {
	blockers blockers
	// pooled are the pull requests of all pools, by key.
	pooled map[string]*PullRequest
	// bases are the base commits, by key of the pool.
	bases map[string]string
	// contexts are those of required jobs, by key of the pull request.
	contexts map[string][]string
	// refused are the candidates that did not get into a pool, by key.
	refused map[string]Reason
	// planned are the reasons that planners gave, by pull request.
	planned map[string]plannedReason
}

// plannedReason is a reason for a pull request at one commit.
type plannedReason struct {
	sha string
	Reason
}

// NewBoard has no news.
func NewBoard() *Board {
	return &Board{held: map[string]bool{}, planned: map[string]map[string]plannedReason{}, signal: make(chan struct{}, 1)}
}

// post replaces the news. Pull requests are held no longer, unless the status
// controller is still at work with what it read before they were merged.
func (b *Board) post(n news) {
	b.mu.Lock()
	b.news = n
	if !b.reading {
		clear(b.held)
	}
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// tell replaces what a planner said about the pull requests of a pool.
func (b *Board) tell(pool string, reasons map[string]plannedReason) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(reasons) == 0 {
		delete(b.planned, pool)
		return
	}
	b.planned[pool] = reasons
}

// hold keeps the status controller from the status of a pull request: it is about
// to be merged.
func (b *Board) hold(pr *PullRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[pr.key()] = true
}

func (b *Board) isHeld(pr *PullRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[pr.key()]
}

// read returns the news; done ends their use.
func (b *Board) read() (n news, done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = true
	n = b.news
	n.planned = map[string]plannedReason{}
	for pool, reasons := range b.planned {
		if _, ok := n.bases[pool]; ok {
			maps.Copy(n.planned, reasons)
		} else {
			delete(b.planned, pool)
		}
	}
	return n, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reading = false
	}
}

// newsOf collects what the status controller needs.
func newsOf(pools []*pool, all blockers) news {
	n := news{
		blockers: all, pooled: map[string]*PullRequest{}, bases: map[string]string{}, contexts: map[string][]string{}, refused: map[string]Reason{},
	}
	for _, p := range pools {
		for key, reason := range p.Refused {
			n.refused[key] = reason
		}
		if len(p.PRs) > 0 {
			n.bases[p.key()] = p.BaseSHA
		}
		for _, pr := range p.PRs {
			n.pooled[pr.key()] = pr
			n.contexts[pr.key()] = p.Requirements[pr.Number].contexts()
		}
	}
	return n
}

// Pool is a pool as the HTTP interface shows it.
type Pool struct {
	Org, Repo, Branch string
	// The pull requests by the state of their required jobs on the base.
	SuccessPRs, PendingPRs, MissingPRs []*PullRequest
	// BatchPending are the members of the batch that is being tested.
	BatchPending []*PullRequest

	Action    planner.Kind
	Target    []*PullRequest
	Blockers  []planner.Blocker
	Error     string
	TenantIDs []string

	// ActionReason says why this is the action.
	ActionReason Reason
	// Reasons say of every pull request of the pool where it is.
	Reasons []PullReason
}

// PullReason is the reason of one pull request.
type PullReason struct {
	Number int
	Reason
}
