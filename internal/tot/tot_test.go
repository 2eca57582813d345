package tot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/secret"
	"prow/internal/service"
)

func serve(t *testing.T, path string, fallback *Fallback) *httptest.Server {
	t.Helper()
	store, err := OpenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer((&Server{Store: store, Fallback: fallback, Log: slog.New(slog.DiscardHandler)}).Handler())
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, s *httptest.Server, method, path, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		req.Header.Set(h, "1")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got), resp.Header
}

// Probe 34: POST /vend/x with body 40, then GET /vend/x: 41; restart: 42.
func TestProbe34NumbersOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tot.json")
	s := serve(t, path, nil)
	if code, body, _ := do(t, s, "POST", "/vend/x", "40"); code != 200 || body != "" {
		t.Errorf("POST: %d %q", code, body)
	}
	if code, body, _ := do(t, s, "GET", "/vend/x", ""); code != 200 || body != "41" {
		t.Errorf("GET: %d %q", code, body)
	}
	s.Close()
	s = serve(t, path, nil)
	if _, body, _ := do(t, s, "GET", "/vend/x", ""); body != "42" {
		t.Errorf("after a restart: %q", body)
	}
	raw, err := os.ReadFile(path)
	if err != nil || string(raw) != `{"Number":{"x":42}}` {
		t.Errorf("the file holds %s, %v", raw, err)
	}
}

func TestRequests(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "tot.json"), nil)
	if _, body, _ := do(t, s, "GET", "/vend/a/b", ""); body != "1" {
		t.Errorf("the first number is %q", body)
	}
	if code, _, header := do(t, s, "HEAD", "/vend/a/b", ""); code != 200 || header.Get(PeekHeader) != "1" {
		t.Errorf("HEAD: %d %v", code, header)
	}
	if _, body, _ := do(t, s, "GET", "/vend/a/b", "", PeekHeader); body != "1" {
		t.Errorf("a look: %q", body)
	}
	if _, _, header := do(t, s, "HEAD", "/vend/unknown", ""); header.Get(PeekHeader) != "0" {
		t.Errorf("an unknown job: %v", header)
	}
	for _, tc := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "/vend/a/b", "many", 400},
		{"POST", "/vend/a/b", strings.Repeat("1", 1000), 400},
		{"PUT", "/vend/a/b", "", 405},
		{"GET", "/vend/", "", 400},
		{"GET", "/vend/" + strings.Repeat("x", maxJobName+1), "", 400},
		{"GET", "/", "", 404},
	} {
		if code, _, _ := do(t, s, tc.method, tc.path, tc.body); code != tc.code {
			t.Errorf("%s %.40s %.10s: %d, want %d", tc.method, tc.path, tc.body, code, tc.code)
		}
	}
	if _, body, _ := do(t, s, "GET", "/vend/a/b", ""); body != "2" {
		t.Errorf("something changed the number: %q", body)
	}
}

func TestNoNumberIsHandedOutTwice(t *testing.T) {
	s := serve(t, filepath.Join(t.TempDir(), "tot.json"), nil)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				_, body, _ := do(t, s, "GET", "/vend/x", "")
				mu.Lock()
				if seen[body] {
					t.Errorf("%s twice", body)
				}
				seen[body] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestANumberThatCannotBeStoredIsNotHandedOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t, filepath.Join(dir, "tot.json"), nil)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := do(t, s, "GET", "/vend/x", ""); code != 503 {
		t.Errorf("got %d", code)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, body, _ := do(t, s, "GET", "/vend/x", ""); body != "1" {
		t.Errorf("a number was lost: %q", body)
	}
}

func TestAFileThatIsNotUnderstoodIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tot.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestFallback(t *testing.T) {
	tries := map[string]int{}
	var mu sync.Mutex
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		tries[r.URL.Path]++
		switch r.URL.Path {
		case "/logs/nightly/latest-build.txt":
			if tries[r.URL.Path] < 3 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = io.WriteString(w, " 99\n")
		case "/pr-logs/directory/unit/latest-build.txt":
			_, _ = io.WriteString(w, "no number")
		default:
			http.NotFound(w, r)
		}
	}))
	defer bucket.Close()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := `
presubmits: {o/r: [{name: unit, always_run: true, spec: {containers: [{image: i, command: [c]}]}}]}
periodics: [{name: nightly, interval: 1h, spec: {containers: [{image: i, command: [c]}]}}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), config.Options{ConfigPath: path})
	if err != nil {
		t.Fatal(err)
	}
	f := &Fallback{URL: bucketURL(bucket.URL+"/", func() *config.Config { return cfg }), Client: bucket.Client(), Pause: time.Millisecond}
	s := serve(t, filepath.Join(t.TempDir(), "tot.json"), f)
	for job, want := range map[string]string{"nightly": "100", "unit": "1", "unknown": "1"} {
		if _, body, _ := do(t, s, "GET", "/vend/"+job, ""); body != want {
			t.Errorf("%s: %q, want %q", job, body, want)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if tries["/logs/nightly/latest-build.txt"] != 3 || tries["/pr-logs/directory/unit/latest-build.txt"] != 1 || len(tries) != 2 {
		t.Errorf("tries: %v", tries)
	}
	if got := templateURL("http://x/%s/latest")("a/b"); got != "http://x/a/b/latest" {
		t.Error(got)
	}
}

func TestFallbackCheck(t *testing.T) {
	complete := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/config":
			_, _ = io.WriteString(w, "plank: {}\npresubmits: {o/r: [{name: unit, x: 1}]}\npostsubmits: {o/r: [{name: post}]}\nperiodics: [{name: nightly}]\n")
		case "/b/logs/nightly/latest-build.txt", "/b/pr-logs/directory/unit":
		case "/b/pr-logs/directory/unit/latest-build.txt":
			if !complete {
				http.NotFound(w, r)
			}
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	check := func() (string, error) {
		var out strings.Builder
		cmd := FallbackCheckCommand()
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"--prow-url=" + server.URL + "/", "--bucket=" + server.URL + "/b/"})
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := check(); err == nil || out != "OK: nightly\nIGNORE: post\nNOT FOUND: unit\n" {
		t.Errorf("%v: %s", err, out)
	}
	complete = true
	if out, err := check(); err != nil || out != "OK: nightly\nIGNORE: post\nOK: unit\n" {
		t.Errorf("%v: %s", err, out)
	}
	cmd := FallbackCheckCommand()
	cmd.SetArgs([]string{"--bucket=x"})
	if err := cmd.ExecuteContext(t.Context()); err == nil {
		t.Error("a missing flag is accepted")
	}
}

func TestTheProgramMeasuresWhatItServes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), registry, new(secret.Store))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, rt, &Options{Port: port, Storage: filepath.Join(t.TempDir(), "tot.json")}) }()
	<-rt.Ready()
	s := &httptest.Server{URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if code, body, _ := do(t, s, "GET", "/vend/a/b", ""); code != 200 || body != "1" {
		t.Errorf("%d %q", code, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tot_http_request_duration_seconds" && strings.Contains(f.String(), `"/vend/:job"`) {
			return
		}
	}
	t.Errorf("the request is not measured: %v", families)
}
