package storagetest

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Fault is what a server does instead of its work.
type Fault struct {
	// Status is answered, with RetryAfter in seconds where it is not 0.
	Status     int
	RetryAfter int
	// Hang answers nothing until the client gives up.
	Hang bool
	// ResetAfter reads this many bytes of the request and drops the connection.
	ResetAfter int64
	// LoseAnswer does the work, and drops the connection before the answer.
	LoseAnswer bool
	// CutAnswer does the work, and drops the connection after this many bytes of the
	// body of the answer.
	CutAnswer int
}

// Faulty is a server that can be told to fail.
type Faulty struct {
	Handler http.Handler

	mu    sync.Mutex
	fault func(r *http.Request) *Fault
	count int
}

// Fail asks for each request from now on which fault it meets; nil is none.
func (f *Faulty) Fail(fault func(r *http.Request) *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.count = fault, 0
}

// FailOnce lets the next request that matches meet a fault.
func (f *Faulty) FailOnce(matches func(r *http.Request) bool, fault Fault) {
	f.FailTimes(1, matches, fault)
}

// FailTimes lets the next n requests that match meet a fault.
func (f *Faulty) FailTimes(n int, matches func(r *http.Request) bool, fault Fault) {
	f.Fail(func(r *http.Request) *Fault {
		if n == 0 || !matches(r) {
			return nil
		}
		n--
		return &fault
	})
}

// Faults is how many requests met a fault since Fail.
func (f *Faulty) Faults() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

func (f *Faulty) next(r *http.Request) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		return nil
	}
	fault := f.fault(r)
	if fault != nil {
		f.count++
	}
	return fault
}

// ServeHTTP fails as it was told, or does its work.
func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := f.next(r)
	switch {
	case fault == nil:
		f.Handler.ServeHTTP(w, r)
	case fault.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
		}
		http.Error(w, "as told", fault.Status)
	case fault.Hang:
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case fault.LoseAnswer:
		f.Handler.ServeHTTP(discard{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case fault.CutAnswer > 0:
		f.Handler.ServeHTTP(&cut{ResponseWriter: w, left: fault.CutAnswer}, r)
		panic(http.ErrAbortHandler)
	default:
		_, _ = io.CopyN(io.Discard, r.Body, fault.ResetAfter)
		panic(http.ErrAbortHandler)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// cut passes the beginning of an answer.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left == 0 && err == nil {
		if flusher, ok := c.ResponseWriter.(http.Flusher); ok {
			flusher.Flush()
		}
		err = io.ErrShortWrite
	}
	return n, err
}
