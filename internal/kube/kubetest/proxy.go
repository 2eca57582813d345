package kubetest

import (
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
}

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
		p.mu.Unlock()
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
		if method, _, _ := strings.Cut(r, " "); method != http.MethodGet && method != http.MethodHead {
			out = append(out, r)
		}
	}
	return out
}
