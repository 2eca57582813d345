package github

import (
	"net/http"
	"sync"
	"time"
)

// cacheMode is how a caching proxy says where an answer came from.
const cacheMode = "X-Cache-Mode"

// Throttle returns a transport that makes perHour requests an hour, and after a
// pause burst at once. Answers that cost nothing, because a caching proxy had
// them, do not count. A rate or burst of 0 is no limit.
func Throttle(next http.RoundTripper, perHour, burst int) http.RoundTripper {
	if perHour <= 0 || burst <= 0 {
		return next
	}
	return &throttle{next: next, bucket: newBucket(perHour, burst, time.Now())}
}

type throttle struct {
	next   http.RoundTripper
	bucket *bucket
}

func (t *throttle) RoundTrip(req *http.Request) (*http.Response, error) {
	if wait := t.bucket.take(time.Now()); wait > 0 {
		if err := sleep(req.Context(), wait); err != nil {
			t.bucket.giveBack()
			return nil, err
		}
	}
	resp, err := t.next.RoundTrip(req)
	if err == nil && req.Method == http.MethodGet {
		switch resp.Header.Get(cacheMode) {
		case "COALESCED", "REVALIDATED", "ERROR":
			t.bucket.giveBack()
		}
	}
	return resp, err
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

func newBucket(perHour, size int, now time.Time) *bucket {
	return &bucket{each: time.Hour / time.Duration(perHour), size: float64(size), tokens: float64(size), at: now}
}

// take takes a token and returns how long to wait before using it.
func (b *bucket) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens, b.at = min(b.size, b.tokens+float64(passed)/float64(b.each)), now
	}
	b.tokens--
	return time.Duration(max(-b.tokens, 0) * float64(b.each))
}

// giveBack returns a token that was not used; a full bucket drops it.
func (b *bucket) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.size, b.tokens+1)
}
