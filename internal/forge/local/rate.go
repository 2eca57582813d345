package local

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Limits are GitHub's rate limits. Zero switches one off: the primary ones are
// then shown but never reached.
type Limits struct {
	// Core and GraphQL count requests per identity and hour, Search per minute.
	Core, Search, GraphQL int
	// Concurrent bounds the requests of an identity that are under way.
	Concurrent int
	// Content bounds the requests of an identity that change something, per minute.
	Content int
}

// rateTable counts requests per identity and resource in fixed windows, as
// GitHub's primary limits do, and keeps the books for the secondary ones. It
// lives in memory: a restart gives everybody fresh windows.
type rateTable struct {
	clock  clock.PassiveClock
	limits Limits

	mu   sync.Mutex
	used map[rateKey]*rateWindow
	busy map[string]int // requests under way per identity
}

type rateKey struct{ who, resource string }

type rateWindow struct {
	reset time.Time
	used  int
}

// rateState is what a client is told.
type rateState struct {
	Resource               string
	Limit, Used, Remaining int
	Reset                  time.Time
}

// rateResources are the budgets that are counted apart.
var rateResources = []string{"core", "search", "graphql"}

// shownLimit is reported when nothing is limited.
const shownLimit = 1_000_000

// maxIdentities bounds the table; anonymous clients share one identity.
const maxIdentities = 10_000

// content is the window of the secondary limit on changes.
const content = "content"

func newRateTable(c clock.PassiveClock, l Limits) *rateTable {
	return &rateTable{clock: c, limits: l, used: map[rateKey]*rateWindow{}, busy: map[string]int{}}
}

// limit returns the size and length of a window; size 0 is unlimited.
func (t *rateTable) limit(resource string) (int, time.Duration) {
	switch resource {
	case "search":
		return t.limits.Search, time.Minute
	case "graphql":
		return t.limits.GraphQL, time.Hour
	case content:
		return t.limits.Content, time.Minute
	}
	return t.limits.Core, time.Hour
}

// spend takes n requests (0 to look) and reports whether they were left.
func (t *rateTable) spend(who, resource string, n int) (rateState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if len(t.used) >= maxIdentities {
		for k, w := range t.used {
			if !now.Before(w.reset) {
				delete(t.used, k)
			}
		}
	}
	size, length := t.limit(resource)
	key := rateKey{who, resource}
	w := t.used[key]
	if w == nil || !now.Before(w.reset) {
		w = &rateWindow{reset: now.Add(length)}
		t.used[key] = w
	}
	limit := size
	if limit == 0 {
		limit = shownLimit
	}
	ok := n <= 0 || size == 0 || w.used < limit
	if ok {
		w.used = max(0, w.used+n)
	}
	return rateState{resource, limit, w.used, max(0, limit-w.used), w.reset}, ok
}

// enter counts a request that is under way; false says that there are too many.
func (t *rateTable) enter(who string) bool {
	if t.limits.Concurrent == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[who] >= t.limits.Concurrent {
		return false
	}
	t.busy[who]++
	return true
}

// leave ends what enter began.
func (t *rateTable) leave(who string) {
	if t.limits.Concurrent == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[who]--; t.busy[who] <= 0 {
		delete(t.busy, who)
	}
}

func (s rateState) header(h http.Header) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.Limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(s.Remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(s.Reset.Unix(), 10))
	h.Set("X-RateLimit-Used", strconv.Itoa(s.Used))
	h.Set("X-RateLimit-Resource", s.Resource)
}

func (s rateState) json() obj {
	return obj{"limit": s.Limit, "used": s.Used, "remaining": s.Remaining, "reset": s.Reset.Unix(), "resource": s.Resource}
}

const (
	primaryDocs   = "https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting"
	secondaryDocs = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
)

func errPrimary(who string) error {
	return &apiError{Status: http.StatusForbidden, Message: "API rate limit exceeded for " + who + ".", Docs: primaryDocs}
}

// errSecondary asks a client to stay away for some seconds.
func errSecondary(wait time.Duration) error {
	return &apiError{
		Status: http.StatusForbidden, Docs: secondaryDocs, RetryAfter: max(1, int(wait.Round(time.Second)/time.Second)),
		Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
	}
}

// secondary admits a request under the secondary limits. done must be called when it ends.
func (t *rateTable) secondary(who, method string) (done func(), err error) {
	if !t.enter(who) {
		return nil, errSecondary(time.Minute)
	}
	done = func() { t.leave(who) }
	if method != http.MethodGet && method != http.MethodHead {
		if s, ok := t.spend(who, content, 1); !ok {
			done()
			return nil, errSecondary(s.Reset.Sub(t.clock.Now()))
		}
	}
	return done, nil
}
