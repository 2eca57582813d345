package ghproxy

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/secret"
	"prow/internal/service"
)

// Bounds of the proxies in the soak.
const (
	soakMemoryMB = 32
	soakDisk     = 32 << 20
)

// soakTime is how long the soak takes: SOAK (1h), or as long as a test may take.
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("SOAK")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	return d
}

// TestMemoryAndDiskStayBounded asks a proxy for ever new things, as a large
// installation does for months, and looks at what its process and its disk take.
// What may grow has grown in the first half; afterwards it must stay.
func TestMemoryAndDiskStayBounded(t *testing.T) {
	if address := os.Getenv("GHPROXY_SOAK_UPSTREAM"); address != "" {
		soaked(t, address)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the memory of a process is read from /proc")
	}
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	lasting := soakTime(t)
	for _, where := range []string{"memory", "disk"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := newSoak(t, where)
			s.run(lasting)
			s.judge()
		})
	}
}

// soaked is the proxy: this program once more, so that it has a process of its own.
func soaked(t *testing.T, upstream string) {
	args := []string{"--upstream=" + upstream, "--port=" + os.Getenv("GHPROXY_SOAK_PORT"), "--cache-memory-sizeMB=" + strconv.Itoa(soakMemoryMB), "--concurrency=100", "--log-level=error"}
	dir := os.Getenv("GHPROXY_SOAK_DIR")
	if dir != "" {
		args = append(args, "--cache-dir="+dir, "--cache-sizeGB=1")
	}
	o := options(t, args...)
	o.diskBound = soakDisk
	o.prune = time.Second
	rt := service.NewRuntime(Name, slog.New(slog.NewTextHandler(os.Stderr, nil)), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel() // nobody is there any more
	}()
	if err := Run(ctx, rt, o); err != nil {
		t.Fatal(err)
	}
}

type soak struct {
	t       *testing.T
	dir     string
	proxy   string
	process int

	asked, reused atomic.Int64
	samples       []soakSample
}

// soakSample is what the proxy takes at a moment, in bytes.
type soakSample struct {
	after        time.Duration
	memory, disk int64
}

func newSoak(t *testing.T, where string) *soak {
	s := &soak{t: t}
	text := strings.Repeat("x", 64<<10)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag := `"` + r.URL.Path + `"`
		w.Header().Set("Etag", tag)
		w.Header().Set("Vary", "Accept, Authorization")
		number, _ := strconv.Atoi(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		switch {
		case r.Header.Get("If-None-Match") == tag:
			w.WriteHeader(http.StatusNotModified)
		case number%50 == 0:
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = io.WriteString(w, text[:200+number*7919%40_000])
		}
	}))
	t.Cleanup(upstream.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.proxy = "http://127.0.0.1:" + port
	cmd := exec.CommandContext(context.Background(), os.Args[0], "-test.run=^TestMemoryAndDiskStayBounded$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), "GHPROXY_SOAK_UPSTREAM="+upstream.URL, "GHPROXY_SOAK_PORT="+port)
	if where == "disk" {
		s.dir = t.TempDir()
		cmd.Env = append(cmd.Env, "GHPROXY_SOAK_DIR="+s.dir)
	}
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // which ends with this process, however that ends
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s.process = cmd.Process.Pid
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return s
		}
		_ = conn
		if time.Now().After(deadline) {
			t.Fatal("the proxy does not start")
		}
	}
}

// run asks, some hundred times a second, and samples once a second.
func (s *soak) run(lasting time.Duration) {
	ctx, cancel := context.WithTimeout(s.t.Context(), lasting)
	defer cancel()
	began := time.Now()
	var askers sync.WaitGroup
	const count = 4
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: count}}
	defer client.CloseIdleConnections()
	for asker := range count {
		askers.Go(func() {
			for n := asker; ctx.Err() == nil; n += count {
				s.ask(ctx, client, n)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for ctx.Err() == nil {
		s.samples = append(s.samples, soakSample{time.Since(began), memoryOf(s.t, s.process), diskOf(s.t, s.dir)})
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	askers.Wait()
}

// ask asks for something new, and now and then for something of before. Tokens
// change as those of an App do, only faster.
func (s *soak) ask(ctx context.Context, client *http.Client, n int) {
	method := http.MethodGet
	switch {
	case n%31 == 0:
		method = http.MethodPost
	case n >= 44 && n%5 == 4:
		n -= 44 // by the same asker, so that it has been answered
	}
	path := fmt.Sprintf("/repos/org-%d/repo-%d/pulls/%d", n%7, n%101, n)
	if n%97 == 0 {
		path = fmt.Sprintf("/nobody/knows/%x/%d", rand.Uint64(), n)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.proxy+path, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	req.Header.Set("User-Agent", "hook/v1")
	req.Header.Set("Authorization", fmt.Sprintf("Bearer token-%d-%d", n%7, n/1000))
	req.Header.Set(tokenBudget, fmt.Sprintf("bot - org-%d", n%7))
	req.Header.Set(tokenExpiry, time.Now().Add(time.Hour).Format(time.RFC3339))
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			s.t.Error(err)
		}
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	s.asked.Add(1)
	if resp.Header.Get(cacheMode) == modeRevalidated {
		s.reused.Add(1)
	}
}

func (s *soak) judge() {
	s.t.Helper()
	var early, late, disk int64
	end := s.samples[len(s.samples)-1].after
	for _, x := range s.samples {
		if x.after < end/2 {
			early = max(early, x.memory)
		} else {
			late = max(late, x.memory)
		}
		disk = max(disk, x.disk)
	}
	const mb = 1e6
	s.t.Logf("%s: %d requests, %d of them revalidated; the process took at most %.0f MB in the first half and %.0f MB afterwards, the disk %.1f MB",
		end.Round(time.Second), s.asked.Load(), s.reused.Load(), float64(early)/mb, float64(late)/mb, float64(disk)/mb)
	if s.asked.Load() < int64(end.Seconds())*20 || s.reused.Load() == 0 {
		s.t.Error("too little was asked to tell anything")
	}
	// The collector lets garbage grow to the size of what lives, and the program
	// itself takes about 60 MB.
	if limit := int64(2*soakMemoryMB+80) * 1e6; late > limit {
		s.t.Errorf("the process takes %d bytes, more than %d, with a bound of %d MB", late, limit, soakMemoryMB)
	}
	if late > early*3/2 {
		s.t.Errorf("the process grew from %d to %d bytes", early, late)
	}
	// What is being written is not counted yet.
	if limit := int64(soakDisk + 1<<20); disk > limit {
		s.t.Errorf("the disk holds %d bytes, more than %d", disk, limit)
	}
}

// memoryOf is the resident memory of a process.
func memoryOf(t *testing.T, process int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", process))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(raw), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// diskOf is what the files below a directory take, in whole blocks.
func diskOf(t *testing.T, dir string) (used int64) {
	if dir == "" {
		return 0
	}
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil //nolint:nilerr // it was removed meanwhile
		}
		if info, err := e.Info(); err == nil {
			used += (info.Size() + 4095) / 4096 * 4096
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}
