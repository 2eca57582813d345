package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"prow/internal/forge/github/budget"
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
	// InitialDelay is the first back-off delay; it doubles up to maxDelay. Default: 2s.
	InitialDelay time.Duration
	// Jitter is a random part of a duration, which is added to waits so that those
	// who failed together do not come back together. Default: a uniform one.
	Jitter func(time.Duration) time.Duration
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
	if p.Jitter == nil {
		p.Jitter = func(d time.Duration) time.Duration { return rand.N(d + 1) }
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

// maxDelay bounds the back-off delay.
const maxDelay = time.Minute

// retryTransport tries a request again after connection errors, answers of
// 5xx, early 404s of reads, and rate limits, as the retry state machine says.
type retryTransport struct {
	policy RetryPolicy
	bases  []*url.URL
	// graphqls are where GraphQL is asked, in order of preference.
	graphqls []*url.URL
	timeout  time.Duration
	next     http.RoundTripper
	log      *slog.Logger
}

// attempts is the state of the tries of one request.
type attempts struct {
	*retryTransport
	ctx   context.Context
	once  bool // it must not be made twice
	delay time.Duration
}

func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	a := &attempts{retryTransport: t, ctx: ctx, once: isOnce(req), delay: t.policy.InitialDelay}
	endpoint := 0
	for n := 1; ; n++ {
		last := n >= t.policy.MaxRetries
		resp, err := t.attempt(req, endpoint)
		if err != nil {
			var auth *tokenError
			var refused *budget.RefusedError
			if errors.As(err, &auth) || errors.As(err, &refused) || ctx.Err() != nil || last || a.once && !neverArrived(err) {
				return nil, err
			}
			endpoint++
			t.log.DebugContext(ctx, "request failed, will be tried again", "method", req.Method, "path", req.URL.Path, "error", err)
			if err := a.backOff(); err != nil {
				return nil, err
			}
			continue
		}
		wait, err := a.judge(resp, n-1)
		if err != nil {
			drain(resp)
			return nil, err
		}
		if wait == nil || last {
			return resp, nil
		}
		drain(resp)
		if err := wait(); err != nil {
			return nil, err
		}
	}
}

// backOff waits a little longer each time.
func (a *attempts) backOff() error {
	d := a.delay
	a.delay = min(2*d, max(maxDelay, d))
	return a.pause(d, d/4)
}

// pause waits, and a random part of spread longer. Who would be gone by then is
// told at once.
func (a *attempts) pause(d, spread time.Duration) error {
	d += a.policy.Jitter(spread)
	if deadline, ok := a.ctx.Deadline(); ok && time.Until(deadline) < d {
		return fmt.Errorf("no time is left to try again in %s: %w", d.Round(time.Millisecond), context.DeadlineExceeded)
	}
	return a.policy.Sleep(a.ctx, d)
}

// judge decides about an answer: nil makes it the answer of the request, else the
// request is to be tried again after the wait.
func (a *attempts) judge(resp *http.Response, n int) (wait func() error, err error) {
	switch status := resp.StatusCode; {
	case status == http.StatusNotFound && n < a.policy.Max404Retries && mayAppear(resp.Request):
		return a.backOff, nil
	case status == http.StatusForbidden || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		limit, limited, err := a.limitWait(resp)
		if err != nil {
			return nil, err
		}
		if limited {
			if limit >= a.policy.MaxSleep {
				return nil, fmt.Errorf("rate limited: the wait of %s is longer than the limit of %s", limit.Round(time.Second), a.policy.MaxSleep)
			}
			a.log.InfoContext(a.ctx, "rate limited, waiting", "wait", limit)
			return func() error { return a.pause(limit, min(limit/10, 5*time.Second)) }, nil
		}
	}
	if resp.StatusCode >= 500 && !a.once {
		return a.backOff, nil
	}
	return nil, nil
}

type onceKey struct{}

// onlyOnce marks requests that must not be made again when nobody knows whether
// they have taken effect.
func onlyOnce(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, true) }

func isOnce(req *http.Request) bool {
	return req.Context().Value(onceKey{}) != nil || req.Context().Value(mutationKey{}) != nil
}

// neverArrived tells that the server cannot have seen a request, because there
// was no connection to it.
func neverArrived(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
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

// secondaryWait is how long the forge wants to be left alone when it says that
// requests come too fast, but not for how long.
const secondaryWait = time.Minute

// limitWait reads from an answer how long the forge wants to be left alone.
func (a *attempts) limitWait(resp *http.Response) (wait time.Duration, limited bool, err error) {
	h := resp.Header
	if h.Get("X-RateLimit-Remaining") == "0" && resp.StatusCode < 500 {
		reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("rate limited, and X-RateLimit-Reset is %q", h.Get("X-RateLimit-Reset"))
		}
		return max(0, time.Unix(reset, 0).Sub(a.policy.Now())) + time.Second, true, nil
	}
	if after := h.Get("Retry-After"); after != "" && after != "0" {
		seconds, err := strconv.ParseUint(after, 10, 31)
		if err != nil {
			return 0, false, fmt.Errorf("rate limited, and Retry-After is %q", after)
		}
		return time.Duration(seconds+1) * time.Second, true, nil
	}
	if resp.StatusCode >= 500 {
		return 0, false, nil
	}
	if resp.StatusCode == http.StatusTooManyRequests || tellsOfSecondaryLimit(resp) {
		return secondaryWait, true, nil
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

// tellsOfSecondaryLimit looks for the words of a limit in the beginning of an
// answer, which stays readable.
func tellsOfSecondaryLimit(resp *http.Response) bool {
	const enough = 16 << 10
	start, err := io.ReadAll(io.LimitReader(resp.Body, enough))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = &failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), resp.Body}
	text := strings.ToLower(string(start))
	return strings.Contains(text, "secondary rate limit") || strings.Contains(text, "abuse detection")
}

// failing is the rest of a body that could not be read.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

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
	t.direct(out, turn)
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = &cancelOnClose{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// direct sends a request to the endpoint of the given turn. Requests to other
// places, such as where a redirect led, stay there.
func (t *retryTransport) direct(req *http.Request, turn int) {
	if to := t.graphqls[turn%len(t.graphqls)]; *req.URL == *t.graphqls[0] {
		target := *to
		req.URL, req.Host = &target, to.Host
		return
	}
	first, to := t.bases[0], t.bases[turn%len(t.bases)]
	rest, ok := strings.CutPrefix(req.URL.Path, first.Path)
	if to == first || req.URL.Host != first.Host || !ok {
		return
	}
	target := *req.URL
	target.Scheme, target.Host, target.Path = to.Scheme, to.Host, to.Path+rest
	if target.RawPath != "" {
		target.RawPath = to.EscapedPath() + strings.TrimPrefix(target.RawPath, first.EscapedPath())
	}
	req.URL, req.Host = &target, to.Host
}

// graphQLEndpoints are the places where GraphQL is asked: the given one, and
// where that belongs to one of several REST endpoints, those of the others after it.
func graphQLEndpoints(given *url.URL, bases []*url.URL) []*url.URL {
	all := []*url.URL{given}
	at := slices.IndexFunc(bases, func(b *url.URL) bool { return b.Host == given.Host })
	if at < 0 {
		return all
	}
	for i := 1; i < len(bases); i++ {
		base := *bases[(at+i)%len(bases)]
		// An enterprise server has it beside the REST API, not below.
		base.Path = strings.TrimSuffix(base.Path, "v3/") + "graphql"
		base.RawPath = ""
		if base.Host != given.Host {
			all = append(all, &base)
		}
	}
	return all
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
