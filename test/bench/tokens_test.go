package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/plugins"
	"prow/internal/plugins/approve"
	"prow/internal/plugins/assign"
	"prow/internal/plugins/blunderbuss"
	"prow/internal/plugins/hold"
	"prow/internal/plugins/label"
	"prow/internal/plugins/lgtm"
	"prow/internal/plugins/ownerslabel"
	"prow/internal/plugins/plugintest"
	"prow/internal/plugins/size"
	"prow/internal/plugins/trigger"
	"prow/internal/plugins/wip"
)

// BenchmarkTokenSaving lets plugins live through the lives of TOKEN_PULLS (12) pull
// requests on a real forge, which charges requests as GitHub does: nothing for an
// answer 304. Each plugin does so twice, with ghproxy in between and without.
//
//	requests       reads and writes that all plugins together made
//	charged        of these, what the forge charged with ghproxy in between
//	charged-direct what it charged without
//	saved-reads    part of the charged reads that ghproxy saves
//
// BenchmarkTokenSavingDay is the same of all components and what they do by the clock.
func BenchmarkTokenSaving(b *testing.B) {
	bin := os.Getenv("PROW_BIN")
	if bin == "" {
		b.Skip("SKIPPED: PROW_BIN does not say where the programs are; use make bench")
	}
	pulls := number("TOKEN_PULLS", 12)
	for range b.N {
		var direct, through counts
		for _, p := range []func() *plugins.Plugin{
			approve.New, assign.New, blunderbuss.New, hold.New, label.New, lgtm.New, ownerslabel.New, size.New, trigger.New, wip.New,
		} {
			live(b, p(), pulls, &counter{counts: &direct})
			live(b, p(), pulls, &counter{counts: &through, b: b, program: filepath.Join(bin, "prow")})
		}
		b.ReportMetric(float64(through.requests.Load()), "requests")
		b.ReportMetric(float64(through.charged.Load()), "charged")
		b.ReportMetric(float64(direct.charged.Load()), "charged-direct")
		reads := func(c *counts) float64 { return float64(c.charged.Load() - c.writes.Load()) }
		b.ReportMetric(1-reads(&through)/reads(&direct), "saved-reads")
		b.ReportMetric(0, "ns/op")
	}
}

// live is what happens to some pull requests from their opening to their end.
func live(b *testing.B, p *plugins.Plugin, pulls int, c *counter) {
	w := plugintest.New(b, plugintest.Options{
		Plugin: p, Transport: func(next http.RoundTripper) http.RoundTripper { c.next = next; return c },
		Jobs: "presubmits:\n  o/r:\n  - name: unit\n    always_run: true\n    spec: {containers: [{image: x, command: [\"true\"]}]}\n",
	})
	for n := range pulls {
		branch := fmt.Sprintf("change-%d", n)
		w.Push(branch, map[string]string{branch: "1"})
		pr := w.Pull([]string{"alice", "eve"}[n%2], branch, "WIP: change", "/kind bug\n/assign bob")
		w.Comment("eve", pr, "What does this do?")
		w.Comment("alice", pr, "/ok-to-test")
		w.EditPull("boss", pr, gogithub.PullRequest{Title: gogithub.Ptr("Change")})
		w.Comment("bob", pr, "/hold")
		w.Comment("bob", pr, "/lgtm")
		w.Push(branch, map[string]string{branch: "2"})
		w.Comment("eve", pr, "/retest")
		w.Comment("bob", pr, "/lgtm")
		w.Comment("alice", pr, "/approve")
		w.Comment("bob", pr, "/unhold")
		w.EditPull("boss", pr, gogithub.PullRequest{State: gogithub.Ptr("closed")})
	}
	c.end()
}

// counts are requests of the plugin, and what of them the forge charged.
type counts struct{ requests, writes, charged atomic.Int64 }

// counter counts what a plugin asks. With a program it starts ghproxy in front of
// the forge when it sees where that is, and counts behind it.
type counter struct {
	counts  *counts
	b       *testing.B
	program string
	next    http.RoundTripper

	once  sync.Once
	proxy *url.URL
	cmd   *exec.Cmd
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.counts.requests.Add(1)
	if c.program == "" {
		resp, err := c.next.RoundTrip(req)
		c.charge(req, resp)
		return resp, err
	}
	c.once.Do(func() { c.start(req.URL) })
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.Host = c.proxy.Scheme, c.proxy.Host, c.proxy.Host
	return c.next.RoundTrip(out)
}

func (c *counter) charge(req *http.Request, resp *http.Response) {
	if resp == nil || resp.StatusCode == http.StatusNotModified {
		return
	}
	c.counts.charged.Add(1)
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		c.counts.writes.Add(1)
	}
}

// start starts ghproxy, and what counts between it and the forge.
func (c *counter) start(forge *url.URL) {
	counting := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host, out.Host = "", forge.Scheme, forge.Host, forge.Host
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close() //nolint:errcheck // it was copied
		c.charge(r, resp)
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(c.b, err)
	go func() { _ = counting.Serve(listener) }()
	c.b.Cleanup(func() { _ = counting.Close() })
	port := freePort(c.b)
	c.cmd = exec.CommandContext(context.Background(), c.program, "ghproxy", fmt.Sprintf("--port=%d", port), "--upstream=http://"+listener.Addr().String(),
		"--metrics-port=0", "--pprof-port=0", "--health-port=0", "--log-level=error")
	must(c.b, c.cmd.Start())
	c.proxy = &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", c.proxy.Host)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			c.b.Fatal("ghproxy does not start")
		}
	}
}

func (c *counter) end() {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}
