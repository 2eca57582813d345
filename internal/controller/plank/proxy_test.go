package plank

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// proxy stands between plank and the API server. It counts writes and lets
// requests fail as the test says.
type proxy struct {
	config    *rest.Config
	target    *url.URL
	transport http.RoundTripper

	mu     sync.Mutex
	writes map[string]int
	reads  int
	// fail answers a request itself, if it returns true.
	fail func(w http.ResponseWriter, r *http.Request) bool
}

func newProxy(t testing.TB, to *rest.Config) *proxy {
	t.Helper()
	target, err := url.Parse(to.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(to)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{writes: map[string]int{}, target: target, transport: transport}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fail := p.fail
		if isWrite(r) {
			p.writes[r.Method+" "+kindOf(r.URL.Path)]++
		} else if kindOf(r.URL.Path) != "" {
			p.reads++
		}
		p.mu.Unlock()
		if fail != nil && fail(w, r) {
			return
		}
		forward.ServeHTTP(w, r)
	}))
	// Close would wait for the watches.
	t.Cleanup(func() { _ = server.Config.Close() })
	p.config = &rest.Config{Host: server.URL, QPS: -1}
	return p
}

func (p *proxy) failing(fail func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = fail
}

func (p *proxy) written(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if what != "" {
		return p.writes[what]
	}
	n := 0
	for _, k := range p.writes {
		n += k
	}
	return n
}

func isWrite(r *http.Request) bool { return r.Method != http.MethodGet && kindOf(r.URL.Path) != "" }

func kindOf(path string) string {
	for _, kind := range []string{"prowjobs", "pods"} {
		if strings.Contains(path, "/"+kind) {
			return kind
		}
	}
	return ""
}

// answer writes an API status.
func answer(w http.ResponseWriter, code int, reason string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"` + reason + `","message":"injected ` + reason + `","code":` + strconv.Itoa(code) + `}`))
	return true
}

// podCreation tells whether a request creates a pod.
func podCreation(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pods")
}

// forwardTo does a request without telling the one who made it.
func forwardTo(p *proxy, r *http.Request) error {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = p.target.Scheme, p.target.Host, "", ""
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
