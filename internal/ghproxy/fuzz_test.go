package ghproxy

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzTarget holds the proxy to its upstream, whatever is asked for: the place of
// a request is below the upstream's, escaped as it came.
func FuzzTarget(f *testing.F) {
	f.Add("/repos/o/r/labels/a%2Fb?per_page=100&page=2", false)
	f.Add("/graphql", true)
	f.Add("//other.example/x", false)
	f.Add("/%zz", false)
	f.Add("/repos/o/r/git/refs/heads/f%C3%BC%3F%23", false)
	f.Fuzz(func(t *testing.T, uri string, graphql bool) {
		asked, err := url.ParseRequestURI(uri)
		if err != nil {
			return
		}
		for _, base := range []string{"https://api.github.com", "https://ghe.example/api/v3"} {
			upstream, err := url.Parse(base)
			if err != nil {
				t.Fatal(err)
			}
			p := &Proxy{upstream: upstream, base: base}
			got := p.target(asked, graphql)
			below := upstream.Path
			if graphql {
				below = strings.TrimSuffix(below, "/v3")
			}
			if got.Scheme != "https" || got.Host != upstream.Host || got.User != nil || got.RawQuery != asked.RawQuery {
				t.Errorf("%q goes to %s", uri, got)
			}
			want := below + "/" + strings.TrimPrefix(asked.EscapedPath(), "/")
			if got.EscapedPath() != want {
				t.Errorf("%q goes to %q, want %q", uri, got.EscapedPath(), want)
			}
			again, err := url.Parse(got.String())
			if err != nil || again.Host != upstream.Host {
				t.Errorf("%q becomes %q: %v", uri, got, err)
			}
		}
	})
}

// FuzzRewritten holds answers to naming the proxy where they named the upstream,
// and to nothing else.
func FuzzRewritten(f *testing.F) {
	f.Add(`<https://api.github.com/repositories/1/labels?page=2>; rel="next", <https://api.github.com/repositories/1/labels?page=9>; rel="last"`)
	f.Add("https://api.github.com/repositories/1")
	f.Add("https://api.github.com.evil.example/x")
	f.Add("<https://api.github.com>")
	f.Fuzz(func(t *testing.T, value string) {
		const base, own = "https://api.github.com", "http://proxy"
		p := &Proxy{base: base}
		got := p.rewritten([]string{value}, &http.Request{Host: "proxy"})[0]
		if strings.HasPrefix(got, base+"/") || strings.Contains(got, "<"+base+"/") {
			t.Errorf("%q still names the upstream: %q", value, got)
		}
		if back := strings.ReplaceAll(got, own+"/", base+"/"); back != strings.ReplaceAll(value, own+"/", base+"/") {
			t.Errorf("%q becomes %q", value, got)
		}
	})
}
