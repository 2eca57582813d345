package entry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"prow/internal/pod/wrapper"
)

func sh(script string) []string { return []string{"sh", "-c", script} }

// options describes a process with its files in dir.
func options(dir string, args ...string) *Options {
	return &Options{
		Timeout: time.Minute, GracePeriod: time.Minute, ArtifactDir: filepath.Join(dir, "artifacts"),
		Options: wrapper.Options{Args: args, ContainerName: "test", ProcessLog: filepath.Join(dir, "process-log.txt"), MarkerFile: filepath.Join(dir, "marker-file.txt")},
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestRun(t *testing.T) {
	for sentence, c := range map[string]struct {
		args    []string
		change  func(*Options)
		marker  string
		code    int
		log     string // exact
		logPart string
	}{
		"a success":                           {args: sh("echo test"), marker: "0", log: "test\n"},
		"both outputs go to the log in order": {args: sh("echo a; echo b >&2; echo c"), marker: "0", log: "a\nb\nc\n"},
		"the test's own code":                 {args: sh("exit 12"), marker: "12", code: 12},
		"death by a signal":                   {args: sh("kill -9 $$"), marker: "-1", code: -1},
		"a command that does not exist":       {args: []string{"/does/not/exist"}, marker: "127", code: 127, logPart: "could not start the process"},
		"a time-out":                          {args: sh("sleep 100"), change: func(o *Options) { o.Timeout = 50 * time.Millisecond }, marker: "127", code: 127, logPart: "Process did not finish before 50ms timeout"},
		"a time-out of what ignores it":       {args: sh(`trap "" INT TERM; while :; do sleep 0.05; done`), change: func(o *Options) { o.Timeout, o.GracePeriod = 50*time.Millisecond, 50*time.Millisecond }, marker: "127", code: 127, logPart: "Process did not exit before 50ms grace period"},
		"a time-out with the test's own code": {args: sh(`trap "exit 3" INT; while :; do sleep 0.05; done`), change: func(o *Options) { o.Timeout, o.PropagateErrorCode = 500*time.Millisecond, true }, marker: "3", code: 3},
		"a killed process has no code of its own": {args: sh(`trap "" INT TERM; while :; do sleep 0.05; done`), change: func(o *Options) {
			o.Timeout, o.GracePeriod, o.PropagateErrorCode = 50*time.Millisecond, 50*time.Millisecond, true
		}, marker: "-1", code: -1},
		"always zero":              {args: sh("exit 7"), change: func(o *Options) { o.AlwaysZero = true }, marker: "7"},
		"no directory for the log": {args: sh("exit 0"), change: func(o *Options) { o.ProcessLog = "/does/not/exist" }, marker: "127", code: 127},
		"artifacts that cannot be": {args: sh("exit 0"), change: func(o *Options) { o.ArtifactDir = "/dev/null/x" }, marker: "127", code: 127},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			opts := options(dir, c.args...)
			if c.change != nil {
				c.change(opts)
			}
			var stdout bytes.Buffer
			if code := Run(opts, &stdout, nil); code != c.code {
				t.Errorf("exit code: got %d, want %d", code, c.code)
			}
			if got := read(t, opts.MarkerFile); got != c.marker {
				t.Errorf("marker: got %q, want %q", got, c.marker)
			}
			if opts.ProcessLog == "/does/not/exist" {
				return
			}
			log := stdout.String()
			if opts.ArtifactDir != "/dev/null/x" {
				if log = read(t, opts.ProcessLog); log != stdout.String() {
					t.Errorf("the log and the output differ: %q, %q", log, stdout.String())
				}
			}
			if c.log != "" && log != c.log || !strings.Contains(log, c.logPart) {
				t.Errorf("log: got %q, want %q, %q", log, c.log, c.logPart)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "test*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// start runs in the background and tells when the process has said "ready".
func start(t *testing.T, opts *Options, signals <-chan os.Signal) (ready <-chan struct{}, code <-chan int, output *lockedBuffer) {
	output = &lockedBuffer{ready: make(chan struct{})}
	result := make(chan int, 1)
	go func() { result <- Run(opts, output, signals) }()
	return output.ready, result, output
}

type lockedBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Write(p)
	if bytes.Contains(b.b.Bytes(), []byte("ready\n")) {
		b.once.Do(func() { close(b.ready) })
	}
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestSignals(t *testing.T) {
	for sentence, c := range map[string]struct {
		script string
		change func(*Options)
		signal syscall.Signal
		want   int
	}{
		"a signal aborts":                     {`trap "exit 3" TERM INT; echo ready; while :; do sleep 0.05; done`, nil, syscall.SIGTERM, 130},
		"with the code of the test":           {`trap "exit 3" TERM INT; echo ready; while :; do sleep 0.05; done`, func(o *Options) { o.PropagateErrorCode = true }, syscall.SIGTERM, 3},
		"the signal itself is passed on":      {`trap "" INT; trap "exit 4" TERM; echo ready; while :; do sleep 0.05; done`, func(o *Options) { o.PropagateErrorCode = true }, syscall.SIGTERM, 4},
		"a process that ignores it is killed": {`trap "" TERM INT; echo ready; while :; do sleep 0.05; done`, func(o *Options) { o.GracePeriod = 50 * time.Millisecond }, syscall.SIGINT, 130},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			opts := options(t.TempDir(), sh(c.script)...)
			if c.change != nil {
				c.change(opts)
			}
			signals := make(chan os.Signal, 1)
			ready, code, _ := start(t, opts, signals)
			<-ready
			signals <- c.signal
			if got := <-code; got != c.want {
				t.Errorf("exit code: got %d, want %d", got, c.want)
			}
			if got := read(t, opts.MarkerFile); got != strconv.Itoa(c.want) {
				t.Errorf("marker: got %s, want %d", got, c.want)
			}
		})
	}
}

func TestOrphansDoNotHoldUp(t *testing.T) {
	for sentence, c := range map[string]struct {
		script string
		most   time.Duration
		killed bool
	}{
		"in the group of the process": {`sleep 1000 & echo $! >pid; echo done`, drainDelay / 2, true},
		"that left the group":         {`setsid sh -c 'echo $$ >pid; exec sleep 1000' & while ! test -s pid; do sleep 0.01; done; echo done`, time.Minute, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			opts := options(dir, sh("cd "+dir+"; "+c.script)...)
			begin := time.Now()
			if code := Run(opts, io.Discard, nil); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(begin); took > c.most {
				t.Errorf("took %s", took)
			}
			if got := read(t, opts.ProcessLog); got != "done\n" {
				t.Errorf("log: %q", got)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(read(t, filepath.Join(dir, "pid"))))
			if err != nil {
				t.Fatal(err)
			}
			if alive := running(pid); alive == c.killed {
				t.Errorf("the orphan is alive: %t", alive)
			}
			if !c.killed {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
	}
}

func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

func TestPreviousMarker(t *testing.T) {
	for sentence, c := range map[string]struct {
		previous, marker string
		code             int
		ran              bool
	}{
		"a success lets the process run": {"0", "0", 0, true},
		"a failure skips it":             {"9\n", "1130", 1130, false},
		"an odd marker is an error":      {"odd", "127", 127, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			opts := options(dir, sh("echo ran")...)
			opts.PreviousMarker = filepath.Join(dir, "previous")
			if err := os.WriteFile(opts.PreviousMarker, []byte(c.previous), 0o644); err != nil {
				t.Fatal(err)
			}
			if code := Run(opts, io.Discard, nil); code != c.code {
				t.Errorf("exit code: got %d, want %d", code, c.code)
			}
			if got := read(t, opts.MarkerFile); got != c.marker {
				t.Errorf("marker: got %s, want %s", got, c.marker)
			}
			if ran := strings.Contains(read(t, opts.ProcessLog), "ran\n"); ran != c.ran {
				t.Errorf("ran: %t", ran)
			}
		})
	}
	t.Run("a signal ends the wait for it", func(t *testing.T) {
		dir := t.TempDir()
		opts := options(dir, "true")
		opts.PreviousMarker = filepath.Join(dir, "never")
		signals := make(chan os.Signal, 1)
		signals <- syscall.SIGTERM
		if code := Run(opts, io.Discard, signals); code != 127 || read(t, opts.MarkerFile) != "127" {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestUnwritableMarker(t *testing.T) {
	opts := options(t.TempDir(), "true")
	opts.MarkerFile, opts.AlwaysZero = "/does/not/exist/marker", true
	if code := Run(opts, io.Discard, nil); code != 127 {
		t.Errorf("exit code %d", code)
	}
}

func TestFullDiskStillGetsItsMarker(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	var stdout bytes.Buffer
	opts := options(dir, sh("head -c 1000000 /dev/zero | tr '\\0' x; cat /dev/zero > "+dir+"/fill; exit 5")...)
	if code := Run(opts, &stdout, nil); code != 5 || read(t, opts.MarkerFile) != "5" {
		t.Errorf("exit code %d", code)
	}
	if got := bytes.Count(stdout.Bytes(), []byte("x")); got < 1000000 {
		t.Errorf("the full disk cost output: %d bytes arrived", got)
	}
}

func TestMuchOutput(t *testing.T) {
	const size = 200 << 20
	dir := t.TempDir()
	opts := options(dir, sh(fmt.Sprintf("head -c %d /dev/zero", size))...)
	var stdout counter
	if code := Run(opts, &stdout, nil); code != 0 {
		t.Errorf("exit code %d", code)
	}
	info, err := os.Stat(opts.ProcessLog)
	if err != nil || info.Size() != size || int64(stdout) != size {
		t.Errorf("%v: %d bytes of output", err, stdout)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestValidate(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"complete options": {func(*Options) {}, ""},
		"no process":       {func(o *Options) { o.Args = nil }, "no process"},
		"no log":           {func(o *Options) { o.ProcessLog = "" }, "process_log"},
		"no marker":        {func(o *Options) { o.MarkerFile = "" }, "marker_file"},
		"two ways to exit": {func(o *Options) { o.AlwaysZero, o.PropagateErrorCode = true, true }, "exclude each other"},
	} {
		opts := options("/x", "true")
		c.change(opts)
		if err := opts.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

// The binary itself: options, exit codes as the system keeps them, copying.
func TestBinary(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "entrypoint")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "prow/cmd/entrypoint")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const maxSize = 6 << 20
	if info, err := os.Stat(binary); err != nil || info.Size() > maxSize {
		t.Errorf("entrypoint has %d bytes, at most %d are allowed", info.Size(), maxSize)
	}
	run := func(env []string, args ...string) (int, string) {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	files := []string{"--process-log=" + dir + "/log", "--marker-file=" + dir + "/marker", "--artifact-dir=" + dir + "/artifacts"}

	if code, out := run(nil, append(files, "sh", "-c", "echo hi; exit 12")...); code != 12 || out != "hi\n" || read(t, dir+"/marker") != "12" {
		t.Errorf("flags: %d, %s", code, out)
	}
	if err := os.WriteFile(dir+"/previous", []byte("9"), 0o644); err != nil {
		t.Fatal(err)
	}
	json := fmt.Sprintf(`{"timeout":1000000000,"grace_period":1000000000,"previous_marker":"%[1]s/previous","args":["true"],"process_log":"%[1]s/log","marker_file":"%[1]s/marker"}`, dir)
	if code, out := run([]string{OptionsEnv + "=" + json}); code != 106 || read(t, dir+"/marker") != "1130" {
		t.Errorf("a skipped process: %d, %s", code, out)
	}
	if code, out := run([]string{OptionsEnv + "={"}); code != 1 || !strings.Contains(out, OptionsEnv) {
		t.Errorf("bad JSON: %d, %s", code, out)
	}
	if code, out := run(nil, "--odd"); code != 2 || !strings.Contains(out, "-odd") {
		t.Errorf("a bad flag: %d, %s", code, out)
	}
	if code, out := run(nil, files...); code != 1 || !strings.Contains(out, "no process") {
		t.Errorf("nothing to run: %d, %s", code, out)
	}

	dst := filepath.Join(dir, "x", "y")
	if code, out := run(nil, "--copy-mode-only", "--copy-destination="+dst); code != 0 {
		t.Errorf("copying: %d, %s", code, out)
	}
	original, copied := read(t, binary), read(t, dst)
	a, _ := os.Stat(binary)
	b, _ := os.Stat(dst)
	if original != copied || a.Mode() != b.Mode() {
		t.Errorf("the copy differs: %d and %d bytes, %s and %s", len(original), len(copied), a.Mode(), b.Mode())
	}

	// Its memory does not grow with the output.
	quiet, loud := maxRSS(t, binary, append(files, "true")), maxRSS(t, binary, append(files, "head", "-c", "1000000000", "/dev/zero"))
	t.Logf("%d kB resident without output, %d kB with 1 GB", quiet, loud)
	if loud > quiet+8<<10 {
		t.Errorf("%d kB resident without output, %d kB with 1 GB", quiet, loud)
	}
	if info, err := os.Stat(dir + "/log"); err != nil || info.Size() != 1000000000 {
		t.Errorf("the log: %v, %v", info, err)
	}
	if err := os.Remove(dir + "/log"); err != nil {
		t.Error(err)
	}

	// A reader of the output that goes away does not end the test.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", binary+" "+strings.Join(files, " ")+` sh -c 'sleep 0.1; echo lost; echo more; exit 3' | true`)
	if out, err := cmd.CombinedOutput(); err != nil || read(t, dir+"/marker") != "3" || read(t, dir+"/log") != "lost\nmore\n" {
		t.Errorf("a closed output: %v, %s", err, out)
	}
}

// maxRSS is the most memory the program had at once, in kB.
func maxRSS(t *testing.T, binary string, args []string) int64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	if err := cmd.Run(); err != nil { // its output goes nowhere
		t.Fatal(err)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
}

// BenchmarkPipe is the speed without entrypoint: what BenchmarkOutput is
// compared with.
func BenchmarkPipe(b *testing.B) {
	const size = 256 << 20
	b.SetBytes(size)
	for b.Loop() {
		cmd := exec.Command("sh", "-c", fmt.Sprintf("head -c %d /dev/zero", size))
		cmd.Stdout = struct{ io.Writer }{io.Discard} // a pipe that is read here
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOutput(b *testing.B) {
	const size = 256 << 20
	dir := b.TempDir()
	b.SetBytes(size)
	for b.Loop() {
		opts := options(dir, sh(fmt.Sprintf("head -c %d /dev/zero", size))...)
		opts.ProcessLog = "/dev/null"
		if code := Run(opts, io.Discard, nil); code != 0 {
			b.Fatal(code)
		}
	}
}
