package github

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// cacheMode is how a caching proxy says where an answer came from.
const cacheMode = "X-Cache-Mode"

// Throttle returns a transport that makes perHour requests an hour, and after a
// pause burst at once. Answers that cost nothing, because a caching proxy had
// them, do not count. A rate or burst of 0 is no limit.
func Throttle(next http.RoundTripper, perHour, burst int) http.RoundTripper {
	return ThrottleOrgs(next, Rate{perHour, burst}, nil)
}

// Rate is a limit of requests.
type Rate struct {
	// PerHour is how many requests are made in an hour.
	PerHour int
	// Burst is how many are made at once after a pause.
	Burst int
}

func (r Rate) none() bool { return r.PerHour <= 0 || r.Burst <= 0 }

// ThrottleOrgs is Throttle with limits of their own for some orgs, which count
// instead of the general one.
func ThrottleOrgs(next http.RoundTripper, general Rate, orgs map[string]Rate) http.RoundTripper {
	if general.none() && len(orgs) == 0 {
		return next
	}
	t := &throttle{next: next, orgs: map[string]*bucket{}}
	if !general.none() {
		t.general = newBucket(general.PerHour, general.Burst, time.Now())
	}
	for org, r := range orgs {
		t.orgs[strings.ToLower(org)] = newBucket(r.PerHour, r.Burst, time.Now())
	}
	return t
}

type throttle struct {
	next    http.RoundTripper
	general *bucket // nil is no limit
	orgs    map[string]*bucket
}

func (t *throttle) bucket(req *http.Request) *bucket {
	if len(t.orgs) > 0 {
		// The path may begin with the base of an enterprise server.
		_, path, found := strings.Cut(req.URL.Path, "/api/v3")
		if !found {
			path = req.URL.Path
		}
		if b := t.orgs[strings.ToLower(orgOf(req.Context(), path))]; b != nil {
			return b
		}
	}
	return t.general
}

func (t *throttle) RoundTrip(req *http.Request) (*http.Response, error) {
	b := t.bucket(req)
	if b == nil {
		return t.next.RoundTrip(req)
	}
	if wait := b.take(time.Now()); wait > 0 {
		if err := sleep(req.Context(), wait); err != nil {
			b.giveBack()
			return nil, err
		}
	}
	resp, err := t.next.RoundTrip(req)
	if err == nil && req.Method == http.MethodGet && costsNothing(resp) {
		b.giveBack()
	}
	return resp, err
}

// costsNothing tells answers that GitHub does not count: those a caching proxy
// had, and those that say that nothing has changed.
func costsNothing(resp *http.Response) bool {
	switch resp.Header.Get(cacheMode) {
	case "COALESCED", "REVALIDATED", "ERROR":
		return true
	case "":
		return resp.StatusCode == http.StatusNotModified
	}
	return false
}

// bucket holds tokens, which come at a constant rate up to a size. It may owe some:
// then whoever took them has to wait.
type bucket struct {
	each time.Duration // a token comes
	size float64

	mu     sync.Mutex
	tokens float64
	at     time.Time
}

// newBucket is full. What it is full of counts as come in advance: the first
// further token comes when as many would have come as it holds, and one more.
func newBucket(perHour, size int, now time.Time) *bucket {
	each := time.Hour / time.Duration(perHour)
	return &bucket{each: each, size: float64(size), tokens: float64(size), at: now.Add(each * time.Duration(size))}
}

// take takes a token and returns how long to wait before using it.
func (b *bucket) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens, b.at = min(b.size, b.tokens+float64(passed)/float64(b.each)), now
	}
	b.tokens--
	if b.tokens >= 0 {
		return 0
	}
	return b.at.Sub(now) + time.Duration(-b.tokens*float64(b.each))
}

// giveBack returns a token that was not used; a full bucket drops it.
func (b *bucket) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.size, b.tokens+1)
}
