package tide

import (
	"slices"
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

	// signal has an element when there are news.
	signal chan struct{}
}

// news are the outcome of one round.
type news struct {
	blockers blockers
	// pooled are the pull requests of all pools that were not merged, by key.
	pooled map[string]*PullRequest
	// bases are the base commits, by key of the pool.
	bases map[string]string
	// contexts are those of required jobs, by key of the pull request.
	contexts map[string][]string
	// said is where the candidates are, by key.
	said map[string]verdict
}

// verdict is a judgement of a pull request at one commit.
type verdict struct {
	sha string
	judgement
}

// NewBoard has no news.
func NewBoard() *Board {
	return &Board{held: map[string]bool{}, signal: make(chan struct{}, 1)}
}

// post replaces the news.
func (b *Board) post(n news) {
	b.mu.Lock()
	b.news = n
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// hold keeps the status controller from the status of a pull request: it is about
// to be merged.
func (b *Board) hold(pr *PullRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[pr.key()] = true
}

// release lets go of everyone but those that were merged and are still found by
// searches. Nobody is let go while the status controller is at work with what it read
// before they were merged.
func (b *Board) release(merged map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reading {
		return
	}
	for key := range b.held {
		if !merged[key] {
			delete(b.held, key)
		}
	}
}

// drop lets go of one that was not merged after all.
func (b *Board) drop(pr *PullRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, pr.key())
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
	return b.news, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.reading = false
	}
}

// newsOf collects what the status controller needs.
func newsOf(pools []*pool, all blockers) news {
	n := news{
		blockers: all, pooled: map[string]*PullRequest{}, bases: map[string]string{}, contexts: map[string][]string{}, said: map[string]verdict{},
	}
	for _, p := range pools {
		for _, pr := range slices.Concat(p.PRs, p.Refused) {
			if v, ok := p.Verdicts[pr.Number]; ok {
				n.said[pr.key()] = verdict{pr.HeadRefOID, v}
			}
		}
		if len(p.PRs) > 0 {
			n.bases[p.key()] = p.BaseSHA
		}
		for _, pr := range p.PRs {
			if p.Verdicts[pr.Number].Code == codeMerged {
				continue
			}
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
	// Refused say why candidates did not get into the pool.
	Refused []PullReason `json:",omitempty"`
}

// PullReason is the reason of one pull request.
type PullReason struct {
	Number int
	// SHA is the head that it is about.
	SHA string
	// Title is that of one that is not in the pool.
	Title string `json:",omitempty"`
	// State is the one that the status of the pull request has.
	State string
	Reason
}
