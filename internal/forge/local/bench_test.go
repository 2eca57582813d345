package local

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// benchForge serves a small forge for benchmarks.
func benchForge(b *testing.B) (f *Forge, base string) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	base = "http://" + ln.Addr().String()
	f, err = Open(context.Background(), Options{Dir: b.TempDir(), BaseURL: base})
	if err != nil {
		b.Fatal(err)
	}
	err = f.Apply(context.Background(), Seed{
		Users: []User{{Login: "dev"}}, Orgs: []SeedOrg{{Org: Org{Login: "acme"}, Members: map[string]string{"dev": "admin"}}},
		Repos: []SeedRepo{{Repo: Repo{Owner: "acme", Name: "app"}}}, Tokens: []SeedToken{{Login: "dev", Token: "token-of-dev"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: f.Handler()}
	go func() { _ = srv.Serve(ln) }()
	b.Cleanup(func() {
		_ = srv.Close()
		_ = f.Close()
	})
	return f, base
}

func benchRequest(b *testing.B, client *http.Client, method, url, body string, want int) {
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "token token-of-dev")
	resp, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != want {
		b.Fatalf("%s %s: %d", method, url, resp.StatusCode)
	}
}

// BenchmarkGet is one client that reads a repository, an issue and a list.
func BenchmarkGet(b *testing.B) {
	_, base := benchForge(b)
	client := &http.Client{}
	benchRequest(b, client, "POST", base+"/api/v3/repos/acme/app/issues", `{"title":"t"}`, 201)
	for _, path := range []string{"/user", "/repos/acme/app", "/repos/acme/app/issues/1", "/repos/acme/app/labels"} {
		b.Run(strings.Trim(path, "/"), func(b *testing.B) {
			for b.Loop() {
				benchRequest(b, client, "GET", base+"/api/v3"+path, "", 200)
			}
		})
	}
}

// BenchmarkComment is one client that writes comments, each on disk when it is answered.
func BenchmarkComment(b *testing.B) {
	_, base := benchForge(b)
	client := &http.Client{}
	benchRequest(b, client, "POST", base+"/api/v3/repos/acme/app/issues", `{"title":"t"}`, 201)
	for b.Loop() {
		benchRequest(b, client, "POST", base+"/api/v3/repos/acme/app/issues/1/comments", `{"body":"c"}`, 201)
	}
}
