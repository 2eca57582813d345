package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RetryPolicy says how often and how long a request is tried. Zero values mean
// the defaults named at each field.
type RetryPolicy struct {
	// MaxRetries is how many attempts a request gets. Default: 8.
	MaxRetries int
	// Max404Retries is how many answers 404 are tried again, because the forge
	// is eventually consistent. Default: 2. Negative: none.
	Max404Retries int
	// MaxSleep is the longest wait for a rate limit. Default: 2m.
	MaxSleep time.Duration
	// InitialDelay is the first back-off delay; it doubles. Default: 2s.
	InitialDelay time.Duration
	// Sleep waits or returns the context's error. Default: a timer.
	Sleep func(context.Context, time.Duration) error
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.MaxRetries == 0 {
		p.MaxRetries = 8
	}
	if p.Max404Retries == 0 {
		p.Max404Retries = 2
	}
	if p.MaxSleep == 0 {
		p.MaxSleep = 2 * time.Minute
	}
	if p.InitialDelay == 0 {
		p.InitialDelay = 2 * time.Second
	}
	if p.Sleep == nil {
		p.Sleep = sleep
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return p
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// tokenError is an error of the token source; trying again would not help.
type tokenError struct{ err error }

func (e *tokenError) Error() string { return "get a token: " + e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// authTransport puts the token on each request to the forge's hosts.
type authTransport struct {
	token TokenSource
	hosts map[string]bool
	next  http.RoundTripper
}

func (t *authTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.token == nil || !t.hosts[req.URL.Host] {
		return t.next.RoundTrip(req)
	}
	token, err := t.token()
	if err != nil {
		return nil, &tokenError{err}
	}
	if token != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return t.next.RoundTrip(req)
}

// retryTransport tries a request again after connection errors, answers of
// 5xx, early 404s of reads, and rate limits, as the retry state machine says.
type retryTransport struct {
	policy  RetryPolicy
	bases   []*url.URL
	timeout time.Duration
	next    http.RoundTripper
	log     *slog.Logger
}

func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	delay, endpoint := t.policy.InitialDelay, 0
	backOff := func() error {
		err := t.policy.Sleep(ctx, delay)
		delay *= 2
		return err
	}
	var lastErr error
	var last *http.Response
	for n := range t.policy.MaxRetries {
		if last != nil {
			drain(last)
			last = nil
		}
		resp, err := t.attempt(req, endpoint)
		if err != nil {
			var auth *tokenError
			if errors.As(err, &auth) || ctx.Err() != nil {
				return nil, err
			}
			lastErr = err
			endpoint++
			if n+1 == t.policy.MaxRetries {
				break
			}
			t.log.DebugContext(ctx, "request failed, will be tried again", "method", req.Method, "path", req.URL.Path, "error", err)
			if err := backOff(); err != nil {
				return nil, err
			}
			continue
		}
		lastErr, last = nil, resp
		again, err := t.judge(ctx, resp, n, backOff)
		if err != nil {
			drain(resp)
			return nil, err
		}
		if !again {
			return resp, nil
		}
	}
	if lastErr != nil {
		return nil, lastErr
	}
	return last, nil
}

// judge decides about an answer and has waited where the request is to be tried again.
func (t *retryTransport) judge(ctx context.Context, resp *http.Response, n int, backOff func() error) (again bool, err error) {
	lastTry := n+1 == t.policy.MaxRetries
	switch {
	case resp.StatusCode == http.StatusNotFound && n < t.policy.Max404Retries && !lastTry && mayAppear(resp.Request):
		return true, backOff()
	case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests:
		wait, limited, err := t.limitWait(resp)
		if err != nil || !limited {
			return false, err
		}
		if wait >= t.policy.MaxSleep {
			return false, fmt.Errorf("rate limited: the wait of %s is longer than the limit of %s", wait.Round(time.Second), t.policy.MaxSleep)
		}
		t.log.InfoContext(ctx, "rate limited, waiting", "wait", wait)
		return !lastTry, t.policy.Sleep(ctx, wait)
	case resp.StatusCode >= 500 && !lastTry:
		return true, backOff()
	}
	return false, nil
}

type expect404Key struct{}

// expect404 marks requests for which "not found" is an ordinary answer.
func expect404(ctx context.Context) context.Context {
	return context.WithValue(ctx, expect404Key{}, true)
}

func isProbe(req *http.Request) bool { return req.Context().Value(expect404Key{}) != nil }

// mayAppear tells whether a missing resource may be one that the forge does not
// show yet. What is to be deleted, or asked for to learn whether it exists, is not waited for.
func mayAppear(req *http.Request) bool {
	return req != nil && req.Method != http.MethodDelete && !isProbe(req)
}

// limitWait reads from a 403 or 429 how long the forge wants to be left alone.
func (t *retryTransport) limitWait(resp *http.Response) (wait time.Duration, limited bool, err error) {
	h := resp.Header
	if h.Get("X-RateLimit-Remaining") == "0" {
		reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("rate limited, and X-RateLimit-Reset is %q", h.Get("X-RateLimit-Reset"))
		}
		return max(0, time.Unix(reset, 0).Sub(t.policy.Now())) + time.Second, true, nil
	}
	if after := h.Get("Retry-After"); after != "" && after != "0" {
		seconds, err := strconv.Atoi(after)
		if err != nil {
			return 0, false, fmt.Errorf("rate limited, and Retry-After is %q", after)
		}
		return time.Duration(seconds+1) * time.Second, true, nil
	}
	if accepted := scopes(h.Get("X-Accepted-OAuth-Scopes")); len(accepted) > 0 {
		granted := scopes(h.Get("X-OAuth-Scopes"))
		if !slices.ContainsFunc(accepted, func(s string) bool { return slices.Contains(granted, s) }) {
			have := strings.Join(granted, ", ")
			if have == "" {
				have = "no"
			}
			return 0, false, fmt.Errorf("the token has %s OAuth scopes, but one of %s is needed", have, strings.Join(accepted, ", "))
		}
	}
	return 0, false, nil
}

func scopes(header string) (out []string) {
	for s := range strings.SplitSeq(header, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// attempt sends the request once, to the endpoint of the given turn.
func (t *retryTransport) attempt(req *http.Request, turn int) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	out := req.Clone(ctx)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			cancel()
			return nil, err
		}
		out.Body = body
	}
	if first := t.bases[0]; turn%len(t.bases) != 0 && req.URL.Host == first.Host && strings.HasPrefix(req.URL.Path, first.Path) {
		base := t.bases[turn%len(t.bases)]
		out.URL.Scheme, out.URL.Host, out.Host = base.Scheme, base.Host, base.Host
		out.URL.Path = base.Path + strings.TrimPrefix(req.URL.Path, first.Path)
		if req.URL.RawPath != "" {
			out.URL.RawPath = base.EscapedPath() + strings.TrimPrefix(req.URL.RawPath, first.EscapedPath())
		}
	}
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &cancelOnClose{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// cancelOnClose ends the attempt's time limit with its body.
type cancelOnClose struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelOnClose) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
