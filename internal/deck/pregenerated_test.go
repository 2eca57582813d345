package deck

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/secret"
	"prow/internal/service"
)

// runOn runs Deck on a directory, and returns its address and how it ends.
func runOn(t *testing.T, dir string) (url string, ended <-chan error, ready <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	o := &Options{Config: config.DefaultOptions(), PregeneratedData: dir, Port: port, Address: "127.0.0.1", SyncTimeout: time.Second, Spyglass: true}
	o.Config.ConfigPath = write(t, "config.yaml", "prowjob_namespace: x\n")
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	done := make(chan error, 1)
	finished := make(chan struct{})
	go func() { done <- Run(ctx, rt, o); close(finished) }()
	t.Cleanup(func() { stop(); <-finished })
	return "http://" + listener.Addr().String(), done, rt.Ready()
}

func TestADirectoryStandsForACluster(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"prowjobs.json": `{"items":[{"metadata":{"name":"a"},"spec":{"type":"periodic","job":"nightly"},"status":{"startTime":"2026-01-01T00:00:00Z","state":"success","completionTime":"2026-01-01T00:01:00Z"}},{"metadata":{"name":"b"},"spec":{"hidden":true,"job":"secret"},"status":{"startTime":"2026-01-01T00:00:00Z","state":"pending"}}]}`,
		"tide.js":       `var tideData = {};`,
		"page.html":     `<script>alert(1)</script>`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url, ended, ready := runOn(t, dir)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	s := &site{t: t, url: url}
	contains(t, "the list", s.eventually("/", "nightly").body, "nightly")
	lacks(t, "the list", s.get("/").body, "secret")
	if got := names(t, s.get("/prowjobs.js").body); len(got) != 1 || got[0] != "a" {
		t.Errorf("jobs %q", got)
	}
	if got := s.get("/tide.js"); got.body != "var tideData = {};" || got.Header.Get("Content-Type") != "application/javascript" {
		t.Errorf("%s %v %s", got.Status, got.Header, got.body)
	}
	if got := s.get("/page.html"); !strings.Contains(got.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a page of the directory has the powers of the site: %v", got.Header)
	}
	for _, path := range []string{"/rerun?prowjob=a", "/abort?prowjob=a", "/prowjob?prowjob=a", "/github-link?dest=x", "/git-provider-link?target=pr", "/none", "/%2e%2e/etc/passwd"} {
		if got := s.get(path); got.StatusCode != http.StatusNotFound && got.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

func TestADirectoryWithoutProwJobsIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"none": "", "no JSON": "{", "no name": `{"items":[{"spec":{"job":"x"}}]}`} {
		path := filepath.Join(dir, "prowjobs.json")
		_ = os.Remove(path)
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, ended, _ := runOn(t, dir)
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "--pregenerated-data") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
