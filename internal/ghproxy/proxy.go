package ghproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/forge/httpcache"
)

// Proxy answers requests for the API of GitHub.
type Proxy struct {
	upstream   *url.URL
	timeout    time.Duration
	partitions *partitions
	coalescer  *coalescer
	equalizer  *equalizer
	metrics    *metrics
	log        *slog.Logger
	// base is how URLs of the upstream begin.
	base     string
	registry prometheus.Registerer
}

// errTimeout ends a request that took too long.
var errTimeout = errors.New("time limit of the proxy")

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Others may wait for the same answer, so it is not the asker's leaving that
	// ends the request but the time limit.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(r.Context()), p.timeout, errTimeout)
	defer cancel()
	if r.Method != http.MethodGet {
		// Nobody waits for the answer to a write but the asker.
		stop := context.AfterFunc(r.Context(), cancel)
		defer stop()
	}
	a := p.asker(r)
	out := p.request(ctx, r, a)
	resp, shared, err := p.do(out, a)
	if err != nil {
		p.metrics.responses.WithLabelValues(modeError, a.about.Path, a.about.Agent, a.budget).Inc()
		p.fail(w, ctx, r, err)
		return
	}
	defer resp.Body.Close()
	mode := modeOf(out, resp, shared)
	p.metrics.responses.WithLabelValues(mode, a.about.Path, a.about.Agent, a.budget).Inc()
	if mode == modeRevalidated {
		p.observeAge(resp, a)
	}
	p.answer(w, r, resp, mode)
}

func (p *Proxy) do(req *http.Request, a *asker) (*http.Response, bool, error) {
	if req.Method != http.MethodGet {
		resp, err := p.coalescer.next.RoundTrip(req)
		return resp, false, err
	}
	// What makes answers differ is part of the key.
	key := a.credential + " " + req.Header.Get("Accept") + " " + req.Header.Get("If-None-Match") + " " + req.Header.Get("Range") + " " + req.URL.String()
	return p.coalescer.do(req, key)
}

func (p *Proxy) asker(r *http.Request) *asker {
	authorization := r.Header.Get("Authorization")
	a := &asker{credential: hashOf(authorization), budget: r.Header.Get(tokenBudget)}
	if a.budget == "" {
		if authorization == "" {
			authorization = "unknown"
		}
		a.budget = hashOf(authorization)
	}
	a.graphql = strings.HasPrefix(strings.TrimPrefix(r.URL.Path, "/"), "graphql")
	a.about = p.metrics.about(r, a.budget)
	return a
}

// request is what is asked of GitHub.
func (p *Proxy) request(ctx context.Context, r *http.Request, a *asker) *http.Request {
	part := p.partitions.of(r, nameOf(r.Header.Get(tokenBudget), a.credential))
	ctx = withPartition(context.WithValue(ctx, askerKey{}, a), part)
	out := (&http.Request{
		Method: r.Method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: p.upstream.Host,
		URL: p.target(r.URL, a.graphql), Header: make(http.Header, len(r.Header)), Body: r.Body, ContentLength: r.ContentLength,
	}).WithContext(ctx)
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	connection := httpcache.ConnectionFields(r.Header)
	for name, values := range r.Header {
		switch {
		case httpcache.HopByHop(name), slices.Contains(connection, name), name == "Forwarded",
			strings.HasPrefix(name, "X-Forwarded-"), strings.HasPrefix(name, internal):
		default:
			out.Header[name] = values
		}
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header["User-Agent"] = []string{""} // or the HTTP client would put its own
	}
	return out
}

// target is the place of a path at GitHub. Escaped slashes stay escaped, since
// names of refs and labels may hold them.
func (p *Proxy) target(u *url.URL, graphql bool) *url.URL {
	out := *p.upstream
	base := strings.TrimSuffix(p.upstream.EscapedPath(), "/")
	if graphql {
		// An enterprise server has it beside the REST API, not below.
		base = strings.TrimSuffix(base, "/v3")
	}
	escaped := base + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	out.Path, out.RawPath = escaped, ""
	if plain, err := url.PathUnescape(escaped); err == nil {
		out.Path, out.RawPath = plain, escaped
	}
	out.RawQuery = u.RawQuery
	return &out
}

func (p *Proxy) fail(w http.ResponseWriter, ctx context.Context, r *http.Request, err error) {
	status, text := http.StatusBadGateway, "ghproxy: no answer from GitHub"
	if errors.Is(err, errTimeout) || errors.Is(context.Cause(ctx), errTimeout) {
		status, text = http.StatusServiceUnavailable, fmt.Sprintf("ghproxy: no answer within the limit of %s", p.timeout)
	}
	if r.Context().Err() == nil {
		p.log.WarnContext(ctx, "A request failed.", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
	http.Error(w, text, status)
}

func (p *Proxy) observeAge(resp *http.Response, a *asker) {
	var seconds int64
	if _, err := fmt.Sscan(resp.Header.Get(requestDate), &seconds); err == nil {
		p.metrics.age.WithLabelValues(a.budget, a.about.Path, a.about.Agent).Observe(p.partitions.now().Sub(time.Unix(seconds, 0)).Seconds())
	}
}

// answer passes an answer on. URLs of GitHub in it become URLs of the proxy, so
// that whoever follows a page or a redirect of a renamed repository stays here.
func (p *Proxy) answer(w http.ResponseWriter, r *http.Request, resp *http.Response, mode string) {
	header := w.Header()
	connection := httpcache.ConnectionFields(resp.Header)
	for name, values := range resp.Header {
		switch {
		case httpcache.HopByHop(name), slices.Contains(connection, name):
		case name == "Location" || name == "Link":
			header[name] = p.rewritten(values, r)
		default:
			header[name] = values
		}
	}
	header[cacheMode] = []string{mode}
	if resp.ContentLength >= 0 && r.Method != http.MethodHead {
		header["Content-Length"] = []string{fmt.Sprint(resp.ContentLength)}
	}
	w.WriteHeader(resp.StatusCode)
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, resp.Body, *buf); err != nil && r.Context().Err() == nil {
		// The status is out; only a broken connection tells that the body is cut.
		p.log.WarnContext(r.Context(), "An answer was cut.", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (p *Proxy) rewritten(values []string, r *http.Request) []string {
	own := "http://" + r.Host
	out := slices.Clone(values)
	for i, v := range out {
		if strings.HasPrefix(v, p.base+"/") {
			v = own + v[len(p.base):]
		}
		out[i] = strings.ReplaceAll(v, "<"+p.base+"/", "<"+own+"/")
	}
	return out
}
