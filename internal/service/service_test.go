package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"prow/internal/secret"
)

func TestLogLinesHaveTheFieldsThatCollectorsRead(t *testing.T) {
	var out bytes.Buffer
	var secrets secret.Store
	secrets.Add("hunter2")
	log := NewLogger(&out, slog.LevelInfo, &secrets).With("component", "hook")
	log.Debug("not shown")
	log.Warn("look", "error", errors.New("bad hunter2"), "pr", 5)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	for key, want := range map[string]any{"level": "warn", "severity": "warn", "msg": "look", "component": "hook", "error": "bad XXXXXXX", "pr": 5.0, "file": "service_test.go"} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
}

func TestServeFinishesWhatItAccepted(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started, finish := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(started)
			<-finish
			_, _ = io.WriteString(w, "done")
		}), 10*time.Second)
	}()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-started
	cancel()
	close(finish)
	if got := <-answer; got != "done" {
		t.Errorf("the accepted request got %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type noOptions struct{ Word string }

func (o *noOptions) Bind(fs *pflag.FlagSet) { fs.StringVar(&o.Word, "word", "", "") }
func (o *noOptions) Validate() error {
	if o.Word == "bad" {
		return errors.New("--word is bad")
	}
	return nil
}

func TestCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		args  []string
		usage bool
		err   bool
	}{
		"runs":                      {args: []string{"--word=good"}},
		"accepts a single dash":     {args: []string{"-word=good"}},
		"refuses bad values":        {args: []string{"--word=bad"}, err: true},
		"refuses unknown flags":     {args: []string{"--nope"}, usage: true, err: true},
		"refuses a bad interval":    {args: []string{"--profile-memory-usage", "--memory-profile-interval=0s"}, err: true},
		"refuses ports that are no": {args: []string{"--health-port=70000"}, err: true},
	} {
		t.Run(name, func(t *testing.T) {
			ran := false
			cmd := Command("x", "", "", &noOptions{}, func(ctx context.Context, rt *Runtime, o *noOptions) error {
				ran = true
				rt.SetReady()
				rt.SetReady()
				return nil
			})
			cmd.SetArgs(NormalizeArgs(append([]string{"--metrics-port=0", "--pprof-port=0", "--health-port=0"}, tc.args...)))
			err := cmd.ExecuteContext(t.Context())
			var usage *UsageError
			if (err != nil) != tc.err || errors.As(err, &usage) != tc.usage || ran == tc.err {
				t.Errorf("ran %v, error %v", ran, err)
			}
		})
	}
}

func TestNormalizeArgsLeavesWhatIsNoLongFlag(t *testing.T) {
	got := NormalizeArgs([]string{"-a", "-ab", "--cd", "e", "-", "--", "-fg"})
	if want := []string{"-a", "--ab", "--cd", "e", "-", "--", "-fg"}; !slices.Equal(got, want) {
		t.Error(got)
	}
}

func TestReadinessIsDeclared(t *testing.T) {
	rt := NewRuntime("x", slog.New(slog.DiscardHandler), nil, prometheus.NewRegistry(), nil)
	code := func() int {
		r, _ := http.NewRequest(http.MethodGet, "/healthz/ready", nil)
		w := &recorder{}
		HealthHandler(rt.Ready(), rt.checkReady).ServeHTTP(w, r)
		return w.code
	}
	if code() != 404 {
		t.Error("ready before it said so")
	}
	rt.SetReady()
	if code() != 200 {
		t.Error("not ready after it said so")
	}
	failing := errors.New("no")
	rt.CheckReady(func() error { return failing })
	if code() != 503 {
		t.Error("ready although a check fails")
	}
	failing = nil
	if code() != 200 {
		t.Error("not ready although the checks pass")
	}
}

type recorder struct{ code int }

func (r *recorder) Header() http.Header { return http.Header{} }
func (r *recorder) WriteHeader(c int)   { r.code = c }
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = 200
	}
	return len(b), nil
}
