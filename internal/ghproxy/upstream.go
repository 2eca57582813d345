package ghproxy

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"prow/internal/forge/github/apimetrics"
	"prow/internal/forge/httpcache"
)

// Header fields between components and the proxy.
const (
	cacheMode   = "X-Cache-Mode"
	conditional = "X-Conditional-Request"
	requestDate = "X-PROW-REQUEST-DATE"
	tokenExpiry = "X-PROW-TOKEN-EXPIRES-AT"
	tokenBudget = "X-PROW-GHCACHE-TOKEN-BUDGET-IDENTIFIER"
	internal    = "X-Prow-"
)

// asker is who sent a request, told once at the front.
type asker struct {
	// credential is the hash of the Authorization field; budget names what the
	// request is charged to.
	credential, budget string
	about              apimetrics.About
	graphql            bool
}

type askerKey struct{}

func askerOf(ctx context.Context) *asker {
	a, _ := ctx.Value(askerKey{}).(*asker)
	return a
}

// upstream sends requests to GitHub: in their time slots, a bounded number at
// once, and marks the answers for the cache.
type upstream struct {
	next     http.RoundTripper
	rest, v4 *spacer // nil where requests are not spaced
	inFlight semaphore
	metrics  *metrics
	now      func() time.Time
}

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	a, ctx := askerOf(req.Context()), req.Context()
	if err := u.await(ctx, a, req.Method); err != nil {
		return nil, err
	}
	u.metrics.pending.Inc()
	err := u.inFlight.acquire(ctx)
	u.metrics.pending.Dec()
	if err != nil {
		return nil, err
	}
	u.metrics.concurrent.Inc()
	defer func() { u.metrics.concurrent.Dec(); u.inFlight.release() }()

	began := u.now()
	resp, err := u.next.RoundTrip(req)
	now := u.now()
	if err != nil {
		u.metrics.Failed(a.about, now.Sub(began))
		return nil, err
	}
	u.metrics.Answered(a.about, resp, began, now)
	mark(req, resp, a.graphql, now)
	return resp, nil
}

func (u *upstream) await(ctx context.Context, a *asker, method string) error {
	spacer, api := u.rest, "v3"
	if a.graphql {
		spacer, api = u.v4, "v4"
	}
	if spacer == nil {
		return nil
	}
	wait := spacer.wait(a.budget, method == http.MethodGet)
	u.metrics.Waited(a.budget, method, api, wait)
	return pause(ctx, wait)
}

// mark tells the cache what to do with an answer: keep every success, and ask
// each time whether it is still true.
func mark(req *http.Request, resp *http.Response, graphql bool, now time.Time) {
	switch {
	case resp.StatusCode >= http.StatusBadRequest || graphql:
		resp.Header.Set("Cache-Control", "no-store")
	default:
		resp.Header.Set("Cache-Control", "no-cache")
	}
	if resp.StatusCode < http.StatusBadRequest && resp.StatusCode != http.StatusNotModified {
		resp.Header.Set(requestDate, strconv.FormatInt(now.Unix(), 10))
	}
	if tag := req.Header.Get("If-None-Match"); tag != "" {
		resp.Header.Set(conditional, tag)
	}
}

// Modes of answers.
const (
	modeSkip        = "SKIP"
	modeCoalesced   = "COALESCED"
	modeNoStore     = "NO-STORE"
	modeRevalidated = "REVALIDATED"
	modeChanged     = "CHANGED"
	modeMiss        = "MISS"
	modeError       = "ERROR"
)

// modeOf tells where an answer came from.
func modeOf(req *http.Request, resp *http.Response, shared bool) string {
	switch {
	case req.Method != http.MethodGet:
		return modeSkip
	case shared:
		return modeCoalesced
	case strings.Contains(resp.Header.Get("Cache-Control"), "no-store"):
		return modeNoStore
	case strings.Contains(resp.Header.Get(httpcache.FromCache), "1"):
		return modeRevalidated
	case resp.Header.Get(conditional) != "":
		return modeChanged
	}
	return modeMiss
}
