// Package wire sends requests to object storage over HTTP, with patience and
// within bounds: what storage refuses for the moment is tried again a few times,
// after growing waits of random length or as long as the server asks for; what
// makes no progress is ended; and what was being read goes on where it broke.
//
// The bodies of requests lie in memory, so that every request can be repeated.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// Attempts is how often a request is tried.
	Attempts = 4
	// StallTimeout ends a request whose bodies make no progress.
	StallTimeout = time.Minute
	// firstWait and maxWait bound the wait before another attempt; it doubles.
	firstWait = 250 * time.Millisecond
	maxWait   = 8 * time.Second
	// maxRetryAfter bounds how long a server can ask us to wait.
	maxRetryAfter = 30 * time.Second
	// maxErrorBody bounds what is read of the explanation of an error, in bytes.
	maxErrorBody = 64 << 10
)

// Client sends requests. It may be used concurrently.
type Client struct {
	// HTTP must neither decompress nor follow redirects; see NewTransport.
	HTTP *http.Client
	// Stall replaces StallTimeout where it is not 0.
	Stall time.Duration
	// Wait replaces the real wait where it is not nil.
	Wait func(context.Context, time.Duration) error
}

// NewTransport returns a transport for object storage.
func NewTransport(tlsConfig *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 15 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
		// Objects are read as they are stored.
		DisableCompression: true,
		// Bodies come from memory in large pieces already.
		WriteBufferSize: 32 << 10,
		ReadBufferSize:  32 << 10,
	}
}

// NewClient returns a client with this transport.
func NewClient(transport http.RoundTripper) *Client {
	return &Client{HTTP: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Request is a request that can be repeated.
type Request struct {
	Method string
	URL    string
	Header http.Header
	// Body is sent in one piece after the other.
	Body [][]byte
	// Prepare adds what differs from attempt to attempt, such as a signature. Its
	// errors are tried again unless they are ErrFinal.
	Prepare func(*http.Request) error
}

// ErrFinal marks errors that another attempt would not change.
var ErrFinal = errors.New("final")

// Final marks an error as one that another attempt would not change.
func Final(err error) error { return &finalError{err} }

type finalError struct{ error }

func (e *finalError) Unwrap() []error { return []error{e.error, ErrFinal} }

// Do sends a request, again if need be, and returns a response with one of these
// statuses. Its body has to be closed. Other statuses are a *StatusError.
func (c *Client) Do(ctx context.Context, req *Request, statuses ...int) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := c.Once(ctx, req, statuses...)
		if err == nil {
			return resp, nil
		}
		if attempt == Attempts || !Transient(ctx, err) {
			return nil, err
		}
		if waitErr := c.Pause(ctx, attempt, err); waitErr != nil {
			return nil, errors.Join(waitErr, err)
		}
	}
}

// Pause waits after an attempt, the first being 1, that failed with err.
func (c *Client) Pause(ctx context.Context, attempt int, err error) error {
	d := min(firstWait<<(min(attempt, 10)-1), maxWait)
	d = d/2 + rand.N(d/2+1)
	if status := (*StatusError)(nil); errors.As(err, &status) && status.RetryAfter > d {
		d = min(status.RetryAfter, maxRetryAfter)
	}
	if c.Wait != nil {
		return c.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Once is Do with a single attempt.
func (c *Client) Once(ctx context.Context, req *Request, statuses ...int) (*http.Response, error) {
	stall := c.Stall
	if stall == 0 {
		stall = StallTimeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(stall, func() {
		cancel(fmt.Errorf("storage made no progress in %s: %w", stall, errStalled))
	})
	done := func() {
		watch.Stop()
		cancel(nil)
	}
	resp, err := c.send(ctx, req, func() { watch.Reset(stall) })
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		done()
		return nil, err
	}
	if !slices.Contains(statuses, resp.StatusCode) {
		defer done()
		defer resp.Body.Close()
		return nil, newStatusError(resp)
	}
	watch.Reset(stall)
	resp.Body = &watchedBody{ReadCloser: resp.Body, ctx: ctx, progress: func() { watch.Reset(stall) }, done: done}
	return resp, nil
}

// errStalled tells a stall from the end of the caller's context.
var errStalled = errors.New("stalled")

func (c *Client) send(ctx context.Context, r *Request, progress func()) (*http.Response, error) {
	size := 0
	for _, piece := range r.Body {
		size += len(piece)
	}
	gate := &gate{}
	// The transport may still be writing when it has given up; but then the caller may
	// be using the memory for something else.
	defer gate.close()
	var body io.Reader = http.NoBody
	if size > 0 {
		body = &pieces{rest: r.Body, progress: progress, gate: gate}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		return nil, Final(err)
	}
	req.ContentLength = int64(size)
	if size > 0 {
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(&pieces{rest: r.Body, progress: progress, gate: gate}), nil
		}
	}
	for key, values := range r.Header {
		req.Header[key] = slices.Clone(values)
	}
	if r.Prepare != nil {
		if err := r.Prepare(req); err != nil {
			return nil, err
		}
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		// The query may hold a signature, which is nothing for a log.
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%s %s: %w", r.Method, withoutQuery(req.URL), err)
	}
	return resp, nil
}

func withoutQuery(u *url.URL) string {
	bare := *u
	bare.RawQuery, bare.User = "", nil
	return bare.String()
}

// pieces reads slices of bytes one after the other.
type pieces struct {
	rest     [][]byte
	at       int
	progress func()
	gate     *gate
}

// gate ends all reading.
type gate struct {
	mu     sync.Mutex
	closed bool
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (p *pieces) Read(b []byte) (int, error) {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.gate.closed {
		return 0, io.ErrClosedPipe
	}
	p.progress()
	for len(p.rest) > 0 {
		n := copy(b, p.rest[0][p.at:])
		if p.at += n; p.at == len(p.rest[0]) {
			p.rest, p.at = p.rest[1:], 0
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

type watchedBody struct {
	io.ReadCloser
	ctx      context.Context
	progress func()
	done     func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.progress()
	}
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.done()
	return err
}

// Transient tells whether another attempt is worth it. Errors without a status are
// those of the connection.
func Transient(ctx context.Context, err error) bool {
	var certificate *tls.CertificateVerificationError
	switch status := (*StatusError)(nil); {
	case ctx.Err() != nil, errors.Is(err, ErrFinal), errors.As(err, &certificate):
		return false
	case errors.As(err, &status):
		return status.Transient()
	}
	return true
}

// StatusError is a response that is not what was hoped for.
type StatusError struct {
	Method, URL string
	Status      int
	// Code and Message are the server's words; either may be empty.
	Code, Message string
	// Region is where a bucket of S3 is, if the server said so.
	Region string
	// RetryAfter is how long the server asks to wait; 0 if it does not.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	for _, text := range []string{e.Code, e.Message} {
		if text != "" {
			b.WriteString(": " + text)
		}
	}
	return b.String()
}

// Transient tells whether the server may answer otherwise in a while.
func (e *StatusError) Transient() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	// S3 says some of it in other words, even with status 200.
	switch e.Code {
	case "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted":
		return true
	}
	return false
}

// IsStatus tells whether err is a response with one of these statuses.
func IsStatus(err error, statuses ...int) bool {
	var status *StatusError
	return errors.As(err, &status) && slices.Contains(statuses, status.Status)
}

func newStatusError(resp *http.Response) *StatusError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	e := ParseError(body)
	e.Method, e.URL, e.Status = resp.Request.Method, withoutQuery(resp.Request.URL), resp.StatusCode
	if region := resp.Header.Get("X-Amz-Bucket-Region"); region != "" {
		e.Region = region
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), resp.Header.Get("Date"))
	return e
}

// retryAfter reads a number of seconds or a date.
func retryAfter(value, now string) time.Duration {
	if seconds, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	since, err := http.ParseTime(now)
	if err != nil {
		return 0
	}
	return max(0, until.Sub(since))
}

// ParseError reads what a server says of an error: XML as of S3, JSON as of GCS,
// or plain text.
func ParseError(body []byte) *StatusError {
	e := &StatusError{}
	body = bytes.TrimSpace(body)
	switch {
	case bytes.HasPrefix(body, []byte("<")):
		var said struct {
			XMLName xml.Name
			Code    string
			Message string
			Region  string
		}
		if xml.Unmarshal(body, &said) == nil && said.XMLName.Local == "Error" {
			e.Code, e.Message, e.Region = said.Code, said.Message, said.Region
		}
	case bytes.HasPrefix(body, []byte("{")):
		var said struct {
			Error struct {
				Message string
				Errors  []struct{ Reason string }
			}
		}
		if json.Unmarshal(body, &said) == nil {
			e.Message = said.Error.Message
			if len(said.Error.Errors) > 0 {
				e.Code = said.Error.Errors[0].Reason
			}
		}
	default:
		e.Message = string(body[:min(len(body), 200)])
	}
	return e
}
