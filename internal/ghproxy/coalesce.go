package ghproxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
)

// maxShared bounds an answer that is shared, in bytes. Larger ones go to the
// first asker alone; the others ask for themselves.
const maxShared = 64 << 20

// coalescer makes one request of equal ones in flight.
type coalescer struct {
	next http.RoundTripper

	mu    sync.Mutex
	calls map[string]*call
}

// call is a request in flight.
type call struct {
	waiters int
	done    chan struct{}
	// resp is set, with its whole body, or err, or neither, if the answer is too
	// large to be shared.
	resp *http.Response
	body []byte
	err  error
}

func newCoalescer(next http.RoundTripper) *coalescer {
	return &coalescer{next: next, calls: map[string]*call{}}
}

// do sends a request, unless one with an equal key is in flight: then it waits
// for the answer to that. The key must tell credentials apart.
func (c *coalescer) do(req *http.Request, key string) (resp *http.Response, shared bool, err error) {
	c.mu.Lock()
	if running := c.calls[key]; running != nil {
		running.waiters++
		c.mu.Unlock()
		return c.await(req, running)
	}
	mine := &call{done: make(chan struct{})}
	c.calls[key] = mine
	c.mu.Unlock()

	// Others may rely on the answer: it is fetched even if this asker goes away.
	// The time limit of the proxy still ends it.
	resp, err = c.next.RoundTrip(req)

	c.mu.Lock()
	delete(c.calls, key) // who comes now asks again
	waited := mine.waiters > 0
	c.mu.Unlock()
	defer close(mine.done)
	switch {
	case err != nil:
		mine.err = err
		return nil, false, err
	case !waited:
		return resp, false, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxShared+1))
	if err != nil {
		_ = resp.Body.Close()
		mine.err = err
		return nil, false, err
	}
	if len(body) > maxShared {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		return resp, false, nil
	}
	_ = resp.Body.Close()
	mine.resp, mine.body = resp, body
	return mine.copy(), false, nil
}

func (c *coalescer) await(req *http.Request, running *call) (*http.Response, bool, error) {
	select {
	case <-running.done:
	case <-req.Context().Done():
		return nil, true, context.Cause(req.Context())
	}
	switch {
	case running.err != nil:
		return nil, true, running.err
	case running.resp == nil:
		resp, err := c.next.RoundTrip(req)
		return resp, false, err
	}
	return running.copy(), true, nil
}

// copy is an answer of its own with the shared content.
func (c *call) copy() *http.Response {
	out := *c.resp
	out.Header = c.resp.Header.Clone()
	out.Body = io.NopCloser(bytes.NewReader(c.body))
	out.ContentLength = int64(len(c.body))
	return &out
}
