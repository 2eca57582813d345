package local

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// rateTable counts requests per identity and resource in fixed windows of an
// hour, as GitHub's primary limit does. It lives in memory: a restart gives
// everybody a fresh hour.
type rateTable struct {
	clock clock.PassiveClock
	limit int // core requests per hour, 0 for no limit

	mu   sync.Mutex
	used map[rateKey]*rateWindow
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

func newRateTable(c clock.PassiveClock, limit int) *rateTable {
	return &rateTable{clock: c, limit: limit, used: map[rateKey]*rateWindow{}}
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
	key := rateKey{who, resource}
	w := t.used[key]
	if w == nil || !now.Before(w.reset) {
		w = &rateWindow{reset: now.Add(time.Hour)}
		t.used[key] = w
	}
	limit := t.limit
	if limit == 0 {
		limit = shownLimit
	}
	ok := n == 0 || t.limit == 0 || w.used < limit
	if ok {
		w.used += n
	}
	return rateState{resource, limit, w.used, max(0, limit-w.used), w.reset}, ok
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
