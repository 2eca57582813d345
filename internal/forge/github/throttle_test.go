package github

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	start := time.Unix(0, 0)
	b := newBucket(60, 2, start)
	expect := func(sentence string, at, want time.Duration) {
		t.Helper()
		if got := b.take(start.Add(at)); got != want {
			t.Errorf("%s waits %s, want %s", sentence, got, want)
		}
	}
	expect("the first of a burst", 0, 0)
	expect("the second of a burst", 0, 0)
	expect("the one after the first burst, which counts as two that came in advance", 0, 3*time.Minute)
	expect("the next", 0, 4*time.Minute)
	b.giveBack()
	expect("one for which a token was given back", 0, 4*time.Minute)
	expect("one after a long pause", time.Hour, 0)
	expect("a second after a long pause", time.Hour, 0)
	expect("a third after a long pause", time.Hour, time.Minute)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestThrottle(t *testing.T) {
	mode := "COALESCED"
	next := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{Header: http.Header{cacheMode: {mode}}}, nil
	})
	transport := Throttle(next, 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://x", nil)
	for range 5 { // free answers never use the burst up
		if _, err := transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	mode = "MISS"
	if _, err := transport.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := transport.RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("a request beyond the burst has to wait: %v", err)
	}
	if Throttle(next, 0, 5) == nil || Throttle(next, 5, 0) == nil {
		t.Error("without a limit the transport stays")
	}
}
