package httpcache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Header fields that tell what the cache did.
const (
	// FromCache is "1" on answers whose body was stored.
	FromCache = "X-From-Cache"
	// varied starts the names of fields of an entry that hold hashes of the
	// request's fields that the answer varies by.
	varied = "X-Varied-"
)

// MaxEntry bounds the body of an entry, in bytes; larger answers pass through.
const MaxEntry = 32 << 20

// Transport answers GET requests with what is stored, once the server has said
// that it is still true. Answers are stored when their body was read to its end.
type Transport struct {
	Next  http.RoundTripper
	Store Store
	// Key tells where the answer to a request is stored; requests with equal keys
	// may get each other's answers after revalidation. The default is the URL.
	Key func(*http.Request) string
}

func (t *Transport) key(req *http.Request) string {
	key := req.URL.String()
	if t.Key != nil {
		key = t.Key(req)
	}
	if req.Method != http.MethodGet {
		key = req.Method + " " + key
	}
	return key
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, key := req.Context(), t.key(req)
	if (req.Method != http.MethodGet && req.Method != http.MethodHead) || req.Header.Get("Range") != "" {
		t.Store.Delete(ctx, key)
		return t.Next.RoundTrip(req)
	}
	entry := t.Store.Get(ctx, key)
	if entry != nil && !sameVariant(entry, req) {
		entry = nil // still stored, until another answer takes its place
	}
	if entry == nil && has(req.Header, "Cache-Control", "only-if-cached") {
		return (&Entry{Status: http.StatusGatewayTimeout}).response(req, http.Header{}), nil
	}
	asked := req
	if entry != nil {
		asked = conditional(req, entry)
	}
	resp, err := t.Next.RoundTrip(asked)
	if err != nil {
		return nil, err
	}
	// A 304 to a question of the client's own is the client's answer.
	own := req.Header.Get("If-None-Match") != "" || req.Header.Get("If-Modified-Since") != ""
	switch {
	case resp.StatusCode == http.StatusNotModified && own:
		resp.Header.Set(FromCache, "1")
	case resp.StatusCode == http.StatusNotModified && entry != nil:
		return t.revalidated(req, resp, key, entry), nil
	case resp.StatusCode == http.StatusOK && !has(resp.Header, "Cache-Control", "no-store") && !has(req.Header, "Cache-Control", "no-store"):
		resp.Body = &storing{ReadCloser: resp.Body, done: func(body []byte) {
			t.Store.Put(context.WithoutCancel(ctx), key, newEntry(req, resp, body))
		}}
	case resp.StatusCode != http.StatusNotModified && aboutResource(resp):
		t.Store.Delete(ctx, key)
	}
	return resp, nil
}

// aboutResource tells whether an answer says something about what was asked for.
// A server in trouble and a limit do not; what was stored is asked about again
// anyway, and losing it would make the return to normal the most expensive hour.
func aboutResource(resp *http.Response) bool {
	switch {
	case resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests:
		return false
	case resp.StatusCode == http.StatusForbidden:
		return resp.Header.Get("X-Ratelimit-Remaining") != "0" && resp.Header.Get("Retry-After") == ""
	}
	return true
}

// conditional asks whether the entry is still true.
func conditional(req *http.Request, e *Entry) *http.Request {
	etag, modified := e.Header.Get("Etag"), e.Header.Get("Last-Modified")
	if (etag == "" || req.Header.Get("If-None-Match") != "") && (modified == "" || req.Header.Get("If-Modified-Since") != "") {
		return req
	}
	out := req.Clone(req.Context())
	if etag != "" && out.Header.Get("If-None-Match") == "" {
		out.Header.Set("If-None-Match", etag)
	}
	if modified != "" && out.Header.Get("If-Modified-Since") == "" {
		out.Header.Set("If-Modified-Since", modified)
	}
	return out
}

// revalidated is the stored answer with the fields of the 304.
func (t *Transport) revalidated(req *http.Request, resp *http.Response, key string, e *Entry) *http.Response {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
	header := make(http.Header, len(e.Header)+len(resp.Header)+1)
	for name, values := range e.Header {
		if !strings.HasPrefix(name, varied) {
			header[name] = values
		}
	}
	connection := ConnectionFields(resp.Header)
	var changed []string
	for name, values := range resp.Header {
		if HopByHop(name) || name == "Content-Length" || slices.Contains(connection, name) {
			continue
		}
		if lasting(name) && !slices.Equal(e.Header[name], values) {
			changed = append(changed, name)
		}
		header[name] = values
	}
	if len(changed) > 0 {
		merged := &Entry{Status: e.Status, Body: e.Body, Header: e.Header.Clone()}
		for _, name := range changed {
			merged.Header[name] = header[name]
		}
		t.Store.Put(req.Context(), key, merged)
	}
	header[FromCache] = fromCache
	return e.response(req, header)
}

var fromCache = []string{"1"}

// lasting tells fields that are worth storing again from those that are about
// this one answer: dates, and the state of the rate limit.
func lasting(name string) bool {
	return name == "Etag" || name == "Last-Modified" || name == "Link" || name == "Vary" || name == "Content-Type"
}

// newEntry is the entry of a complete answer.
func newEntry(req *http.Request, resp *http.Response, body []byte) *Entry {
	header := make(http.Header, len(resp.Header))
	connection := ConnectionFields(resp.Header)
	for name, values := range resp.Header {
		if !HopByHop(name) && name != "Content-Length" && !slices.Contains(connection, name) {
			header[name] = values
		}
	}
	for _, name := range fields(resp.Header, "Vary") {
		if name != "*" {
			header.Set(varied+name, hashOf(req.Header[http.CanonicalHeaderKey(name)]))
		}
	}
	return &Entry{Status: resp.StatusCode, Header: header, Body: body}
}

// sameVariant tells whether an entry may be an answer to the request at all.
// The credential may differ: the server judges that when it is asked.
func sameVariant(e *Entry, req *http.Request) bool {
	for _, name := range fields(e.Header, "Vary") {
		if name == "*" {
			return false
		}
		if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie") {
			continue
		}
		if e.Header.Get(varied+name) != hashOf(req.Header[http.CanonicalHeaderKey(name)]) {
			return false
		}
	}
	return true
}

// hashOf is a short stand-in for the values of a field: they may be secrets.
func hashOf(values []string) string {
	sum := sha256.Sum256([]byte(strings.Join(values, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// fields are the comma-separated elements of a header field.
func fields(h http.Header, name string) []string {
	var out []string
	for _, line := range h[name] {
		for element := range strings.SplitSeq(line, ",") {
			if element = strings.TrimSpace(element); element != "" {
				out = append(out, element)
			}
		}
	}
	return out
}

func has(h http.Header, name, element string) bool {
	return slices.ContainsFunc(fields(h, name), func(have string) bool { return strings.EqualFold(have, element) })
}

// storing collects a body while it is read.
type storing struct {
	io.ReadCloser
	buf     bytes.Buffer
	tooLong bool
	done    func(body []byte)
}

func (s *storing) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if !s.tooLong {
		if s.buf.Len()+n > MaxEntry {
			s.tooLong, s.buf = true, bytes.Buffer{}
		} else {
			s.buf.Write(p[:n])
		}
	}
	if err == io.EOF && s.done != nil && !s.tooLong {
		s.done(bytes.Clone(s.buf.Bytes()))
		s.done = nil
	}
	return n, err
}
