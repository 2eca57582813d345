package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"prow/internal/secret"
)

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func get(port int, path string) int {
	resp, err := http.Get("http://127.0.0.1:" + strconv.Itoa(port) + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatal("not within 20 s: " + what)
		case <-tick.C:
		}
	}
}

// Probe 39: /healthz/ready is 404 before readiness and 200 after; SIGTERM ends
// the program with exit code 0.
func TestProbe39ReadinessAndGracefulShutdown(t *testing.T) {
	health, pprof := freePort(t), freePort(t)
	declare, done := make(chan struct{}), make(chan error, 1)
	finished := false
	go func() {
		done <- Host(t.Context(), "x", &Instrumentation{HealthPort: health, PprofPort: pprof}, func(ctx context.Context, rt *Runtime) error {
			<-declare
			rt.SetReady()
			<-ctx.Done()
			finished = true
			return ctx.Err()
		})
	}()
	eventually(t, "health is served", func() bool { return get(health, "/healthz") == 200 })
	if code := get(health, "/healthz/ready"); code != 404 {
		t.Errorf("/healthz/ready is %d before readiness", code)
	}
	close(declare)
	eventually(t, "ready", func() bool { return get(health, "/healthz/ready") == 200 })
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/fgprof?seconds=1"} {
		if code := get(pprof, path); code != 200 {
			t.Errorf("%s is %d", path, code)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !finished {
		t.Errorf("error %v, finished %v", err, finished)
	}
}

func TestWhatHangsIsLeftBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release := make(chan struct{})
	defer close(release)
	rt := NewRuntime("x", slog.New(slog.DiscardHandler), nil, nil, nil)
	if err := finish(ctx, rt, time.Millisecond, func(context.Context, *Runtime) error { <-release; return errors.New("late") }); err != nil {
		t.Error(err)
	}
	rt.ShutdownTakes(time.Minute)
	slow := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() { close(slow) })
	if err := finish(ctx, rt, time.Millisecond, func(context.Context, *Runtime) error { <-slow; return errors.New("in time") }); err == nil {
		t.Error("a component that asks for more time does not get it")
	}
	if err := finish(ctx, rt, time.Minute, func(context.Context, *Runtime) error { return errors.New("bad end") }); err == nil {
		t.Error("an error at the end is lost")
	}
}

// Probe 40: with an endpoint and serve_metrics false, metrics are put to
// /metrics/job/<component>/instance/<host> every interval, and the port is closed.
func TestProbe40MetricsArePushed(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	type received struct {
		path     string
		families map[string]bool
	}
	pushes := make(chan received, 100)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := received{r.Method + " " + r.URL.Path, map[string]bool{}}
		if !strings.Contains(r.Header.Get("Content-Type"), "encoding=delimited") {
			t.Errorf("Content-Type %q", r.Header.Get("Content-Type"))
		}
		d := expfmt.NewDecoder(r.Body, expfmt.ResponseFormat(r.Header))
		for {
			var f dto.MetricFamily
			if err := d.Decode(&f); err != nil {
				break
			}
			got.families[f.GetName()] = true
		}
		w.WriteHeader(http.StatusAccepted)
		pushes <- got
	}))
	defer gateway.Close()
	for name, tc := range map[string]struct {
		serve    bool
		as, want string
	}{"pushed only": {false, "", "horologium"}, "pushed and served": {true, "", "horologium"}, "pushed under another name": {false, "plank", "plank"}} {
		serve := tc.serve
		for len(pushes) > 0 {
			<-pushes // of the case before
		}
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			begin := make(chan struct{})
			go func() {
				done <- Host(ctx, "horologium", &Instrumentation{MetricsPort: port}, func(ctx context.Context, rt *Runtime) error {
					<-begin
					rt.MetricsName = tc.as
					rt.Push(PushGateway{Endpoint: strings.TrimPrefix(gateway.URL, "http://") + "/", Interval: 10 * time.Millisecond, ServeMetrics: serve})
					<-ctx.Done()
					return nil
				})
			}()
			eventually(t, "metrics are served while nothing else is known", func() bool { return get(port, "/metrics") == 200 })
			close(begin)
			for range 3 {
				got := <-pushes
				if want := "PUT /metrics/job/" + tc.want + "/instance/" + host; got.path != want {
					t.Errorf("got %s, want %s", got.path, want)
				}
				for _, family := range []string{"prow_version", "go_goroutines", "process_open_fds"} {
					if !got.families[family] {
						t.Errorf("%s is not pushed", family)
					}
				}
			}
			if serve && get(port, "/metrics") != 200 {
				t.Error("metrics are not served")
			}
			if !serve {
				eventually(t, "the port is closed", func() bool { return get(port, "/metrics") == 0 })
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMetricsThatWouldClashWithThoseOfTheGatewayAreAnError(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x", ConstLabels: prometheus.Labels{"job": "j"}}, func() float64 { return 1 }))
	if err := (PushGateway{Endpoint: "127.0.0.1:1"}).push(t.Context(), "c", registry); err == nil || !strings.Contains(err.Error(), "job") {
		t.Errorf("a metric with the label job: %v", err)
	}
	if err := (PushGateway{Endpoint: "127.0.0.1:1"}).push(t.Context(), "a/b", prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "slash") {
		t.Errorf("a component with a slash: %v", err)
	}
}

func TestBuildDay(t *testing.T) {
	for version, want := range map[string]float64{
		"v20260102-abcdef": 1767312000, "v20260102-abcdef-dirty": 1767312000, "": -1, "v2026-x": -1, "20260102-abc": -1, "v20261399-a": -1, "v20260102": -1,
	} {
		if got := buildDay(version); got != want {
			t.Errorf("%q: got %v, want %v", version, got, want)
		}
	}
}

func TestHeapProfilesAreWritten(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		profileMemory(ctx, time.Millisecond, slog.New(slog.DiscardHandler))
	}()
	eventually(t, "two profiles", func() bool {
		files, _ := filepath.Glob(filepath.Join(os.TempDir(), "heap-profiles-*", "heap-profile-*"))
		return len(files) >= 2
	})
	stop()
	<-done
	// Where none can be written, that is all that happens.
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	var log bytes.Buffer
	profileMemory(t.Context(), time.Hour, slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "no heap profiles") {
		t.Error(log.String())
	}
}

func TestARecordsOwnFieldsWin(t *testing.T) {
	var out bytes.Buffer
	NewLogger(&out, slog.LevelInfo, new(secret.Store)).Error("x", "severity", "mine", "file", "other")
	if got := out.String(); !strings.Contains(got, `"severity":"mine"`) || strings.Count(got, `"severity"`) != 1 || strings.Count(got, `"file"`) != 1 {
		t.Error(got)
	}
}
