package github

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"prow/internal/forge/github/budget"
)

// cacheMode is how a caching proxy says where an answer came from.
const cacheMode = "X-Cache-Mode"

// Rate is a limit of requests.
type Rate struct {
	// PerHour is how many requests are made in an hour.
	PerHour int
	// Burst is how many are made at once after a pause.
	Burst int
}

func (r Rate) none() bool { return r.PerHour <= 0 || r.Burst <= 0 }

// throttle keeps the requests of a client within limits. Answers that cost nothing,
// because a cache had them, do not count. Orgs with a limit of their own do not
// count for the general one.
type throttle struct {
	next    http.RoundTripper
	general *bucket // nil is no limit
	orgs    map[string]*bucket
	metrics *Metrics // nil where nobody measures
	log     *slog.Logger
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
}

// newThrottle is next itself where there are no limits.
func newThrottle(next http.RoundTripper, o *ClientOptions, policy RetryPolicy) http.RoundTripper {
	if o.Throttle.none() && len(o.OrgThrottles) == 0 {
		return next
	}
	t := &throttle{next: next, orgs: map[string]*bucket{}, metrics: o.Metrics, log: o.Logger, now: policy.Now, sleep: policy.Sleep}
	if !o.Throttle.none() {
		t.general = newBucket("*", o.Throttle, policy.Now())
	}
	for org, r := range o.OrgThrottles {
		org = strings.ToLower(org)
		t.orgs[org] = newBucket(org, r, policy.Now())
	}
	return t
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
	wait, change := b.take(t.now())
	t.tell(req, b, wait, change)
	if wait > 0 {
		if err := t.sleep(req.Context(), wait); err != nil {
			b.giveBack()
			return nil, err
		}
	}
	resp, err := t.next.RoundTrip(req)
	var refused *budget.RefusedError
	if errors.As(err, &refused) || err == nil && req.Method == http.MethodGet && costsNothing(resp) {
		b.giveBack()
	}
	return resp, err
}

// Waits that are worth a line of the log.
const (
	longWait     = time.Minute
	veryLongWait = 15 * time.Minute
)

// tell measures a wait, and logs when waiting begins and ends; in between it would
// be a line for each request.
func (t *throttle) tell(req *http.Request, b *bucket, wait time.Duration, change change) {
	if t.metrics != nil {
		api := "v3"
		if strings.HasSuffix(req.URL.Path, "/graphql") {
			api = "v4"
		}
		t.metrics.api.Waited(credentialOf(req), req.Method, api, wait)
	}
	ctx := req.Context()
	switch {
	case change == slower:
		t.log.InfoContext(ctx, "requests to GitHub are throttled: the limit of this component is used up", "throttle", b.name, "hourly-tokens", b.rate.PerHour, "burst", b.rate.Burst, "wait", wait)
	case change == free:
		t.log.InfoContext(ctx, "requests to GitHub are no longer throttled", "throttle", b.name)
	}
	switch {
	case wait > veryLongWait:
		t.log.WarnContext(ctx, "a request to GitHub waits very long for the limit of this component", "throttle", b.name, "method", req.Method, "path", req.URL.Path, "wait", wait)
	case wait > longWait:
		t.log.DebugContext(ctx, "a request to GitHub waits for the limit of this component", "throttle", b.name, "method", req.Method, "path", req.URL.Path, "wait", wait)
	}
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
	name string // of the org, "*" for all
	rate Rate
	each time.Duration // a token comes
	size float64

	mu      sync.Mutex
	tokens  float64
	at      time.Time
	waiting bool // somebody had to wait, and the bucket has not recovered since
}

// change is what a request tells of a bucket for the first time.
type change int

const (
	none   change = iota
	slower        // requests have to wait now
	free          // they had to, and the bucket is more than a quarter full again
)

// newBucket is full. What it is full of counts as come in advance: the first
// further token comes when as many would have come as it holds, and one more.
func newBucket(name string, r Rate, now time.Time) *bucket {
	each := time.Hour / time.Duration(r.PerHour)
	return &bucket{name: name, rate: r, each: each, size: float64(r.Burst), tokens: float64(r.Burst), at: now.Add(each * time.Duration(r.Burst))}
}

// take takes a token and returns how long to wait before using it.
func (b *bucket) take(now time.Time) (time.Duration, change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens, b.at = min(b.size, b.tokens+float64(passed)/float64(b.each)), now
	}
	recovered := b.tokens > b.size/4
	b.tokens--
	if b.tokens >= 0 {
		if b.waiting && recovered {
			b.waiting = false
			return 0, free
		}
		return 0, none
	}
	wait, told := b.at.Sub(now)+time.Duration(-b.tokens*float64(b.each)), b.waiting
	b.waiting = true
	if told {
		return wait, none
	}
	return wait, slower
}

// giveBack returns a token that was not used; a full bucket drops it.
func (b *bucket) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.size, b.tokens+1)
}
