package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"prow/api/artifacts"
	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/pod/wrapper"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

func TestJudge(t *testing.T) {
	odd := result{-1, errors.New("not a number")}
	codes := func(codes ...int) []result {
		var results []result
		for _, c := range codes {
			results = append(results, result{code: c})
		}
		return results
	}
	for sentence, c := range map[string]struct {
		results []result
		want    verdict
	}{
		"all passed":            {codes(0, 0, 0), verdict{passed: true}},
		"one failed":            {codes(0, 1, 0), verdict{failures: 1}},
		"one was aborted":       {codes(0, 130, 1), verdict{aborted: true, failures: 2}},
		"one is not known":      {append(codes(0, 0), odd), verdict{failures: 1}},
		"skipped is no failure": {codes(0, 1, 130, 1130, 1, 0), verdict{aborted: true, failures: 3}},
		"only skipped":          {codes(1130), verdict{}},
	} {
		if got := judge(c.results); got != c.want {
			t.Errorf("%s: got %+v, want %+v", sentence, got, c.want)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, path string
		want       bool
	}{
		{"/usr/**/*", "/usr/bin/bash", true}, {"/usr/**/*", "/usr/bash", true}, {"/usr/**/*", "/etc/x", false},
		{"**/exclude", "first/exclude", true}, {"**/exclude", "exclude", true}, {"**/exclude", "first/exclude/x", false},
		{"*.log", "a.log", true}, {"*.log", "dir/a.log", false}, {"a?c", "abc", true}, {"[ab]x", "bx", true}, {"[!ab]x", "bx", false},
		{"{a,b}/**", "b/c/d", true}, {"a.b", "aXb", false}, {`a\*`, "a*", true}, {"a,b", "a,b", true},
	} {
		g, err := compileGlob(c.glob)
		if err != nil || g.MatchString(c.path) != c.want {
			t.Errorf("%s on %s: %v", c.glob, c.path, err)
		}
	}
	for _, glob := range []string{"{a", "[z-a]"} {
		if _, err := compileGlob(glob); err == nil {
			t.Errorf("%s must be an error", glob)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("**/{a,b}*[!x]", "a/b")
	f.Fuzz(func(t *testing.T, glob, path string) {
		if g, err := compileGlob(glob); err == nil {
			g.MatchString(path)
		}
	})
}

// fixture is a pod's directories and a bucket.
type fixture struct {
	dir     string
	opts    *options.Sidecar
	bucket  *filestore.Bucket
	spec    downward.JobSpec
	signals chan os.Signal
	stderr  bytes.Buffer
}

const runDir = "logs/j/b/"

func newFixture(t *testing.T, entries ...string) *fixture {
	t.Helper()
	dir := t.TempDir()
	bucket, err := filestore.Open(filepath.Join(dir, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{dir: dir, bucket: bucket, signals: make(chan os.Signal, 1), spec: downward.JobSpec{Type: v1.PeriodicJob, Job: "j", BuildID: "b"}}
	f.opts = &options.Sidecar{
		GCSOptions:       &options.Upload{Items: []string{f.path("logs/artifacts")}, GCSConfiguration: &v1.GCSConfiguration{Bucket: "bucket", PathStrategy: "explicit"}},
		CensoringOptions: &options.Censoring{SecretDirectories: []string{f.path("secrets")}},
	}
	for _, name := range entries {
		f.opts.Entries = append(f.opts.Entries, wrapper.Options{
			Args: []string{"run", name}, ContainerName: name, ProcessLog: f.path("logs/" + name + "-log.txt"),
			MarkerFile: f.path("logs/" + name + "-marker.txt"), MetadataFile: f.path("logs/artifacts/" + name + "-metadata.json"),
		})
		f.write(t, "logs/"+name+"-log.txt", "log of "+name+"\n")
	}
	f.write(t, "secrets/..data/token", "friend\n")
	if err := os.Symlink("..data/token", f.path("secrets/token")); err != nil {
		t.Fatal(err)
	}
	f.write(t, "logs/artifacts/x.txt", "x")
	return f
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

// write makes a file appear as a whole, as entrypoint does with markers.
func (f *fixture) write(t *testing.T, name, content string) {
	t.Helper()
	file := f.path(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) run(t *testing.T) int {
	t.Helper()
	spec, err := json.Marshal(f.spec)
	if err != nil {
		t.Fatal(err)
	}
	open := func(context.Context, string) (storage.Bucket, error) { return keepOpen{f.bucket}, nil }
	environ := func(string) (string, bool) { return string(spec), true }
	return Run(t.Context(), f.opts, environ, open, f.signals, &f.stderr, func() time.Time { return time.Unix(1700000000, 0) })
}

type keepOpen struct{ storage.Bucket }

func (keepOpen) Close() error { return nil }

func (f *fixture) stored(t *testing.T, name string) string {
	t.Helper()
	content, err := storage.ReadAll(t.Context(), f.bucket, runDir+name, 1<<20)
	if err != nil {
		t.Errorf("%v; sidecar said:\n%s", err, f.stderr.String())
	}
	return string(content)
}

func (f *fixture) missing(t *testing.T, name string) {
	t.Helper()
	if _, err := f.bucket.Stat(t.Context(), runDir+name); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("%s must not be stored: %v", name, err)
	}
}

func (f *fixture) finished(t *testing.T) artifacts.Finished {
	t.Helper()
	var finished artifacts.Finished
	if err := json.Unmarshal([]byte(f.stored(t, "finished.json")), &finished); err != nil {
		t.Fatal(err)
	}
	return finished
}

func TestOneContainer(t *testing.T) {
	f := newFixture(t, "test")
	f.spec.ExtraRefs = []v1.Refs{{Org: "o", Repo: "r", BaseRef: "main"}}
	f.write(t, "logs/test-marker.txt", "0")
	if code := f.run(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got, want := f.stored(t, "finished.json"), `{"timestamp":1700000000,"passed":true,"result":"SUCCESS","revision":"main"}`; got != want {
		t.Errorf("finished.json: got %s, want %s", got, want)
	}
	if got := f.stored(t, "build-log.txt"); got != "log of test\n" {
		t.Errorf("log: %s", got)
	}
	f.stored(t, "artifacts/x.txt")
	f.stored(t, "sidecar-logs.json")
}

func TestProbe25SeveralContainers(t *testing.T) {
	markers := []string{"0", "1", "130", "1130", "1", "0"}
	for _, entryError := range []bool{false, true} {
		var names []string
		for i := range markers {
			names = append(names, fmt.Sprint("c", i))
		}
		f := newFixture(t, names...)
		f.opts.EntryError = entryError
		for i, m := range markers {
			f.write(t, "logs/"+names[i]+"-marker.txt", m)
		}
		if code := f.run(t); (code == 1) != entryError {
			t.Errorf("exit code %d", code)
		}
		if got := f.finished(t); got.Passed || got.Result != "ABORTED" {
			t.Errorf("finished.json: %+v", got)
		}
		if got := f.stored(t, "c3-build-log.txt"); got != "log of c3\n" {
			t.Errorf("log: %s", got)
		}
	}
}

func TestProbe26Signal(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		t.Run(fmt.Sprintf("ignored: %t", ignore), func(t *testing.T) {
			f := newFixture(t, "test")
			f.opts.IgnoreInterrupts = ignore
			f.signals <- syscall.SIGTERM
			code := make(chan int, 1)
			stderr := &lockedBuffer{}
			go func() {
				spec, _ := json.Marshal(f.spec)
				open := func(context.Context, string) (storage.Bucket, error) { return keepOpen{f.bucket}, nil }
				code <- Run(t.Context(), f.opts, func(string) (string, bool) { return string(spec), true }, open, f.signals, stderr, time.Now)
			}()
			if ignore {
				poll30(t, "the signal to be noticed", func() bool { return strings.Contains(stderr.String(), "went on waiting") })
				f.missing(t, "finished.json")
			} else {
				poll30(t, "the early upload", func() bool {
					_, err := f.bucket.Stat(t.Context(), runDir+"finished.json")
					return err == nil
				})
				if got := f.finished(t); got.Passed || got.Result != "ABORTED" {
					t.Errorf("early: %+v", got)
				}
			}
			f.write(t, "logs/test-marker.txt", "0")
			if got := <-code; got != 0 {
				t.Errorf("exit code %d", got)
			}
			if got := f.finished(t); !got.Passed || got.Result != "SUCCESS" {
				t.Errorf("finally: %+v", got)
			}
		})
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func poll30(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

func TestAwait(t *testing.T) {
	t.Run("markers may be in several directories", func(t *testing.T) {
		f := newFixture(t, "a", "b")
		f.opts.Entries[1].MarkerFile = f.path("elsewhere/marker")
		if err := os.Mkdir(f.path("elsewhere"), 0o755); err != nil {
			t.Fatal(err)
		}
		results := make(chan []result, 1)
		go func() { results <- await(t.Context(), f.opts.Entries, slog.New(slog.DiscardHandler)) }()
		f.write(t, "logs/a-marker.txt", " 3\n")
		f.write(t, "elsewhere/marker", "not-an-exit-code")
		got := <-results
		if got[0] != (result{code: 3}) || got[1].code != -1 || got[1].err == nil {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("the end of the wait is an error of what is missing", func(t *testing.T) {
		f := newFixture(t, "a", "b")
		f.write(t, "logs/a-marker.txt", "0")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := await(ctx, f.opts.Entries, slog.New(slog.DiscardHandler))
		if got[0] != (result{}) || !errors.Is(got[1].err, context.Canceled) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestProbe27Metadata(t *testing.T) {
	f := newFixture(t, "a", "b", "c")
	for name, content := range map[string]string{"a": `{"hello":"hello","first":1}`, "b": `{"hello":"hola, friend"}`, "c": `not JSON`} {
		f.write(t, "logs/artifacts/"+name+"-metadata.json", content)
		f.write(t, "logs/"+name+"-marker.txt", "0")
	}
	f.run(t)
	got := f.finished(t).Metadata
	problems, _ := got[errorsKey].(map[string]any)
	delete(got, errorsKey)
	if diff := cmp.Diff(artifacts.Metadata{"first": 1.0, "hello": "hola, XXXXXX"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text, _ := problems["entry 2: run c"].(string); !strings.Contains(text, "c-metadata.json: invalid character") {
		t.Errorf("problems: %v", problems)
	}
}

func TestCensoring(t *testing.T) {
	f := newFixture(t, "test")
	f.opts.CensoringOptions.ExcludeDirectories = []string{"**/exclude"}
	f.write(t, "logs/test-marker.txt", "0")
	f.write(t, "logs/test-log.txt", "Speak, friend\nZnJpZW5k true\n")
	f.write(t, "logs/artifacts/first/exclude", "friend")
	f.write(t, "logs/artifacts/first/other", "friend")
	f.write(t, "logs/artifacts/named-friend", "")
	f.write(t, "logs/artifacts/corrupt.bin", "\x1f\x8bfriendless: fr1end")
	f.run(t)
	for name, want := range map[string]string{
		"build-log.txt":           "Speak, XXXXXX\nXXXXXXXX true\n",
		"artifacts/first/exclude": "friend",
		"artifacts/first/other":   "XXXXXX",
		"artifacts/named-XXXXXX":  "",
		"artifacts/corrupt.bin":   "\x1f\x8bXXXXXXless: fr1end",
	} {
		if got := f.stored(t, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if own := f.stored(t, "sidecar-logs.json"); strings.Contains(own, "friend") {
		t.Errorf("the own log leaks: %s", own)
	}
	if content, err := os.ReadFile(f.path("logs/artifacts/first/other")); err != nil || string(content) != "friend" {
		t.Errorf("files on disk stay as they are: %q, %v", content, err)
	}
}

func TestCensoringFailsClosed(t *testing.T) {
	f := newFixture(t, "test")
	f.write(t, "secrets/.dockerconfigjson", "broken")
	f.write(t, "logs/test-log.txt", "Speak, friend\n")
	f.write(t, "logs/artifacts/test-metadata.json", `{"word":"friend"}`)
	f.write(t, "logs/test-marker.txt", "0")
	f.run(t)
	f.missing(t, "artifacts/x.txt")
	f.missing(t, "sidecar-logs.json")
	if log := f.stored(t, "build-log.txt"); strings.Contains(log, "friend") || !strings.Contains(log, "withheld") {
		t.Errorf("log: %s", log)
	}
	finished := f.finished(t)
	if text := fmt.Sprint(finished.Metadata); !finished.Passed || !strings.Contains(text, ".dockerconfigjson") || strings.Contains(text, "friend") {
		t.Errorf("finished.json: %+v", finished)
	}
}

func TestRotatedSecretsAreCensoredInBothForms(t *testing.T) {
	f := newFixture(t, "test")
	g, err := newGuard(f.opts.CensoringOptions)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.load(); err != nil {
		t.Fatal(err)
	}
	f.write(t, "secrets/..data/token", "mellon")
	if err := g.load(); err != nil {
		t.Fatal(err)
	}
	if got := g.Name("friend mellon"); got != "XXXXXX XXXXXX" {
		t.Errorf("got %s", got)
	}
}

func TestFailuresOfStorageShow(t *testing.T) {
	f := newFixture(t, "test")
	f.write(t, "logs/test-marker.txt", "0")
	secret := f.path("service-account.json")
	f.write(t, "service-account.json", "top secret")
	// The test swaps its files for links to what only sidecar can read.
	for _, name := range []string{"logs/test-log.txt", "logs/artifacts/link", "logs/artifacts/test-metadata.json"} {
		_ = os.Remove(f.path(name))
		if err := os.Symlink(secret, f.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	f.opts.GCSOptions.Items = append(f.opts.GCSOptions.Items, f.path("logs/swapped"))
	if err := os.Symlink(f.dir, f.path("logs/swapped")); err != nil {
		t.Fatal(err)
	}
	f.run(t)
	f.missing(t, "artifacts/link")
	finished := f.finished(t)
	if text := fmt.Sprint(finished.Metadata); !strings.Contains(text, "swapped") || !strings.Contains(text, "test-metadata.json") {
		t.Errorf("finished.json: %+v", finished)
	}
	if log := f.stored(t, "build-log.txt"); strings.Contains(log, "top secret") || !strings.Contains(log, "Could not open the log") {
		t.Errorf("log: %s", log)
	}
}

func TestUnknownJobAndBadOptions(t *testing.T) {
	f := newFixture(t, "test")
	var stderr bytes.Buffer
	if code := Run(t.Context(), f.opts, func(string) (string, bool) { return "", false }, nil, nil, &stderr, time.Now); code != 0 || !strings.Contains(stderr.String(), "JOB_SPEC") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	f.opts.CensoringOptions.IncludeDirectories = []string{"[z-a]"}
	f.write(t, "logs/test-marker.txt", "0")
	if code := f.run(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// slowBucket holds the first verdict back until it is too late for it, and then
// stores it nevertheless, as a request that is on its way already would be.
type slowBucket struct {
	storage.Bucket
	once       sync.Once
	reached    chan struct{}
	later      chan struct{}
	closeLater sync.Once
}

func (b *slowBucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	if !strings.HasSuffix(key, "finished.json") {
		return b.Bucket.Put(ctx, key, src, opts)
	}
	first := false
	b.once.Do(func() { first = true })
	if !first {
		defer b.closeLater.Do(func() { close(b.later) })
		return b.Bucket.Put(ctx, key, src, opts)
	}
	close(b.reached)
	<-ctx.Done()
	select {
	case <-b.later: // the final verdict did not wait
	case <-time.After(200 * time.Millisecond):
	}
	return b.Bucket.Put(context.WithoutCancel(ctx), key, src, opts)
}

func TestEarlyUploadCannotUndoTheFinalOne(t *testing.T) {
	f := newFixture(t, "test")
	bucket := &slowBucket{Bucket: f.bucket, reached: make(chan struct{}), later: make(chan struct{})}
	f.signals <- syscall.SIGTERM
	done := make(chan int, 1)
	go func() {
		open := func(context.Context, string) (storage.Bucket, error) { return keepOpen{bucket}, nil }
		spec, _ := json.Marshal(f.spec)
		done <- Run(t.Context(), f.opts, func(string) (string, bool) { return string(spec), true }, open, f.signals, io.Discard, time.Now)
	}()
	<-bucket.reached
	f.write(t, "logs/test-marker.txt", "0")
	<-done
	if got := f.finished(t); got.Result != "SUCCESS" {
		t.Errorf("finished.json: %+v", got)
	}
}
