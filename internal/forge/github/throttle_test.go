package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestBucket(t *testing.T) {
	start := time.Unix(0, 0)
	b := newBucket("*", Rate{60, 2}, start)
	expect := func(sentence string, at, want time.Duration, tells change) {
		t.Helper()
		if got, told := b.take(start.Add(at)); got != want || told != tells {
			t.Errorf("%s waits %s and tells %d, want %s and %d", sentence, got, told, want, tells)
		}
	}
	expect("the first of a burst", 0, 0, none)
	expect("the second of a burst", 0, 0, none)
	expect("the one after the first burst, which counts as two that came in advance", 0, 3*time.Minute, slower)
	expect("the next", 0, 4*time.Minute, none)
	b.giveBack()
	expect("one for which a token was given back", 0, 4*time.Minute, none)
	expect("one when nobody waits any more, but hardly anything is left", 5*time.Minute, 0, free)
	expect("one after a long pause", time.Hour, 0, none)
	expect("a second after a long pause", time.Hour, 0, none)
	expect("a third after a long pause", time.Hour, time.Minute, slower)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// throttled is a transport with limits.
func throttled(next http.RoundTripper, general Rate, orgs map[string]Rate) http.RoundTripper {
	return newThrottle(next, &ClientOptions{Throttle: general, OrgThrottles: orgs, Logger: slog.New(slog.DiscardHandler)}, RetryPolicy{}.withDefaults())
}

func TestThrottle(t *testing.T) {
	mode := "COALESCED"
	next := roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{Header: http.Header{cacheMode: {mode}}}, nil
	})
	transport := throttled(next, Rate{1, 1}, nil)
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
	for _, none := range []Rate{{0, 5}, {5, 0}} {
		if _, limited := throttled(next, none, nil).(*throttle); limited {
			t.Errorf("%v is a limit", none)
		}
	}
}

// TestWaitsAreMeasuredAndLogged lets a client wait without a proxy in between.
func TestWaitsAreMeasuredAndLogged(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	reg := prometheus.NewRegistry()
	var log bytes.Buffer
	c, _ := forge(t, func(w http.ResponseWriter, r *http.Request) {
		code := 200
		if r.Method == http.MethodPost && !strings.HasSuffix(r.URL.Path, "/graphql") {
			code = 201
		}
		answer(w, code, `{"data":{}}`)
	}, func(o *ClientOptions) {
		o.Metrics, o.Throttle = NewMetrics(reg), Rate{PerHour: 60, Burst: 4}
		o.OrgThrottles = map[string]Rate{"Other": {PerHour: 1, Burst: 1}}
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		o.Retry.Now = func() time.Time { return now }
		o.Retry.Sleep = func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }
	})
	ctx := t.Context()
	read := func(org string) {
		t.Helper()
		if _, err := c.GetRepo(ctx, org, "r"); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		read("o")
	}
	if err := c.CreateComment(ctx, "o", "r", 1, "x"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if err := c.Query(ctx, "o", "{a}", nil, nil); err != nil {
		t.Fatal(err)
	}
	read("other")
	read("other")
	var told []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "throttle=") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	want := []string{
		`level=INFO msg="requests to GitHub are throttled: the limit of this component is used up" throttle=* hourly-tokens=60 burst=4 wait=5m0s`,
		`level=DEBUG msg="a request to GitHub waits for the limit of this component" throttle=* method=GET path=/api/v3/repos/o/r wait=5m0s`,
		`level=INFO msg="requests to GitHub are no longer throttled" throttle=*`,
		`level=INFO msg="requests to GitHub are throttled: the limit of this component is used up" throttle=other hourly-tokens=1 burst=1 wait=1h0m0s`,
		`level=WARN msg="a request to GitHub waits very long for the limit of this component" throttle=other method=GET path=/api/v3/repos/other/r wait=1h0m0s`,
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	waits := map[string]string{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "github_request_wait_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "token_hash" {
					labels = append(labels, l.GetValue())
				}
			}
			waits[strings.Join(labels, " ")] = fmt.Sprint(m.GetHistogram().GetSampleCount(), " ", m.GetHistogram().GetSampleSum())
		}
	}
	if diff := cmp.Diff(map[string]string{"v3 GET": "7 3900", "v3 POST": "1 60", "v4 POST": "1 0"}, waits); diff != "" {
		t.Error(diff)
	}
}
