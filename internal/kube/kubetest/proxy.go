package kubetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// Proxy is a way to the API server that sees every request. A component under
// test uses it like the API server itself.
type Proxy struct {
	// KubeconfigPath and Config lead to the proxy. No credentials are needed.
	KubeconfigPath string
	Config         *rest.Config

	mu       sync.Mutex
	requests []string
	// cut, if set, tells whether a request gets through; when is called after that.
	cut func(write bool) (goes passage, when func())
}

// passage is what becomes of a request.
type passage int

const (
	through passage = iota
	// dropped: the connection ends before the API server hears of it.
	dropped
	// unanswered: the API server does it, and nobody is told.
	unanswered
)

// Proxy starts a proxy that ends with the test.
func (c *Cluster) Proxy(t testing.TB) *Proxy {
	t.Helper()
	target, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	transport, err := rest.TransportFor(c.Config)
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	p := &Proxy{}
	forward := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// Watches are cut off when a component ends; nobody wants to read about it.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		goes, when := through, func() {}
		if p.cut != nil {
			goes, when = p.cut(isWrite(r.Method))
		}
		p.mu.Unlock()
		if goes == unanswered {
			// It is done although whoever asked is gone.
			forward.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		}
		when()
		if goes != through {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p.Config = &rest.Config{Host: server.URL, QPS: -1}
	p.KubeconfigPath = filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: proxy, users: [{name: nobody, user: {}}],
clusters: [{name: proxy, cluster: {server: "` + server.URL + `"}}], contexts: [{name: proxy, context: {cluster: proxy, user: nobody}}]}`
	if err := os.WriteFile(p.KubeconfigPath, []byte(text), 0o600); err != nil {
		t.Fatalf("proxy: %v", err)
	}
	return p
}

// Requests lists the requests so far, as METHOD path.
func (p *Proxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...)
}

// Mutations lists the requests so far that change something.
func (p *Proxy) Mutations() (out []string) {
	for _, r := range p.Requests() {
		if method, _, _ := strings.Cut(r, " "); isWrite(method) {
			out = append(out, r)
		}
	}
	return out
}

func isWrite(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// CutAfter lets that many writes through; the next one is cut off, before or, with
// effect, after the API server has done it, and from then on nothing gets through:
// to the API server it looks as if the program had died there. The channel is
// closed at that moment. Heal ends it.
func (p *Proxy) CutAfter(writes int, effect bool) <-chan struct{} {
	cut := make(chan struct{})
	dead := false
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = func(write bool) (passage, func()) {
		switch {
		case dead:
			return dropped, func() {}
		case !write:
			return through, func() {}
		case writes > 0:
			writes--
			return through, func() {}
		}
		dead = true
		if effect {
			return unanswered, func() { close(cut) }
		}
		return dropped, func() { close(cut) }
	}
	return cut
}

// Heal lets everything through again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = nil
}
