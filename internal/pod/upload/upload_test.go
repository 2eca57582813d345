package upload

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

// fixture is a run of a presubmit, a bucket, and a directory of artifacts.
type fixture struct {
	run       *Run
	bucket    storage.Bucket
	artifacts string
	log       *bytes.Buffer
	waits     []time.Duration
	mu        sync.Mutex
}

func newFixture(t testing.TB, change func(*options.Upload, *downward.JobSpec)) *fixture {
	t.Helper()
	dir := t.TempDir()
	bucket, err := filestore.Open(filepath.Join(dir, "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{bucket: bucket, artifacts: filepath.Join(dir, "logs", "artifacts"), log: &bytes.Buffer{}}
	if err := os.MkdirAll(f.artifacts, 0o755); err != nil {
		t.Fatal(err)
	}
	opts := &options.Upload{Items: []string{f.artifacts}, GCSConfiguration: &v1.GCSConfiguration{Bucket: "gs://bucket", PathStrategy: "explicit"}}
	spec := &downward.JobSpec{Type: v1.PresubmitJob, Job: "j", BuildID: "b", Refs: &v1.Refs{Org: "org", Repo: "repo", Pulls: []v1.Pull{{Number: 1}}}}
	if change != nil {
		change(opts, spec)
	}
	open := func(context.Context, string) (storage.Bucket, error) { return keepOpen{f.bucket}, nil }
	f.run = New(opts, spec, open, slog.New(slog.NewTextHandler(&lockedWriter{w: f.log}, &slog.HandlerOptions{Level: slog.LevelDebug})))
	f.run.Wait = func(ctx context.Context, d time.Duration) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.waits = append(f.waits, d)
		return ctx.Err()
	}
	return f
}

type keepOpen struct{ storage.Bucket }

func (keepOpen) Close() error { return nil }

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (f *fixture) artifact(t testing.TB, name, content string) {
	t.Helper()
	file := filepath.Join(f.artifacts, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// stored returns the content of every object.
func (f *fixture) stored(t *testing.T) map[string]string {
	t.Helper()
	return contents(t, f.bucket)
}

func contents(t *testing.T, bucket storage.Bucket) map[string]string {
	t.Helper()
	page, err := bucket.List(t.Context(), storage.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, item := range page.Items {
		content, err := storage.ReadAll(t.Context(), bucket, item.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		found[item.Key] = string(content)
	}
	return found
}

const runDir = "pr-logs/pull/org_repo/1/j/b/"

func TestWhatIsStoredWhere(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*options.Upload, *downward.JobSpec)
		want   map[string]string
	}{
		"a presubmit (probe 31)": {nil, map[string]string{
			"pr-logs/directory/j/b.txt":                   "gs://bucket/pr-logs/pull/org_repo/1/j/b",
			"pr-logs/directory/j/latest-build.txt":        "b",
			"pr-logs/pull/org_repo/1/j/latest-build.txt":  "b",
			"pr-logs/pull/org_repo/1/j/b/artifacts/a.txt": "a",
			"pr-logs/pull/org_repo/1/j/b/own.json":        "own",
		}},
		"a batch (probe 32)": {func(_ *options.Upload, s *downward.JobSpec) { s.Type = v1.BatchJob }, map[string]string{
			"pr-logs/directory/j/latest-build.txt":   "b",
			"pr-logs/pull/batch/j/b/artifacts/a.txt": "a",
			"pr-logs/pull/batch/j/b/own.json":        "own",
		}},
		"a periodic below a prefix and in a sub-directory": {func(o *options.Upload, s *downward.JobSpec) {
			s.Type, s.Refs, o.PathPrefix, o.SubDir = v1.PeriodicJob, nil, "p", "sub"
		}, map[string]string{
			"logs/j/latest-build.txt":        "b",
			"p/logs/j/b/sub/artifacts/a.txt": "a",
			"p/logs/j/b/sub/own.json":        "own",
		}},
		"a dry run": {func(o *options.Upload, _ *downward.JobSpec) { o.DryRun, o.Bucket = true, "" }, map[string]string{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			f := newFixture(t, c.change)
			f.artifact(t, "a.txt", "a")
			if err := f.run.Items(t.Context()); err != nil {
				t.Error(err)
			}
			if err := f.run.Files(t.Context(), []File{Bytes("own.json", []byte("own"))}); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(c.want, f.stored(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbe37LocalOutput(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	f := newFixture(t, func(o *options.Upload, _ *downward.JobSpec) { o.LocalOutputDir = out })
	f.artifact(t, "dir/x", "x")
	if err := errors.Join(f.run.Items(t.Context()), f.run.Files(t.Context(), []File{Bytes("finished.json", []byte("{}"))})); err != nil {
		t.Fatal(err)
	}
	bucket, err := filestore.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"artifacts/dir/x": "x", "finished.json": "{}"}, contents(t, bucket)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := f.stored(t); len(got) > 0 {
		t.Errorf("something was uploaded: %v", got)
	}
}

func TestAliasHasItsLinkAsMetadata(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.run.Items(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := f.bucket.Stat(t.Context(), "pr-logs/directory/j/b.txt")
	if err != nil || got.Metadata["x-goog-meta-link"] != "gs://bucket/pr-logs/pull/org_repo/1/j/b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBadBucketIsAnErrorBeforeAnythingIsStored(t *testing.T) {
	f := newFixture(t, func(o *options.Upload, _ *downward.JobSpec) { o.Bucket = "://bucket" })
	f.artifact(t, "a", "a")
	if err := f.run.Items(t.Context()); err == nil || len(f.stored(t)) > 0 {
		t.Errorf("got %v", err)
	}
}

func TestNamesAndTypes(t *testing.T) {
	types := map[string]string{"special": "application/special"}
	for in, want := range map[string]struct{ key, contentType, encoding string }{
		"build-log.txt":        {"build-log.txt", "text/plain; charset=utf-8", ""},
		"build-log.txt.gz":     {"build-log.txt", "text/plain; charset=utf-8", "gzip"},
		"build-log.gz":         {"build-log", "application/gzip", ""},
		"dir/events.json.gzip": {"dir/events.json", "application/json", "gzip"},
		"gz":                   {"gz", "application/gzip", ""},
		"dir/.gz":              {"dir/.gz", "application/gzip", ""},
		"x.special":            {"x.special", "application/special", ""},
		"x.special.gz":         {"x.special", "application/special", "gzip"},
		"x.unknown-extension":  {"x.unknown-extension", "", ""},
		"README":               {"README", "", ""},
	} {
		key, opts := named(in, types)
		if key != want.key || opts.ContentType != want.contentType || opts.ContentEncoding != want.encoding {
			t.Errorf("%s: got %s %+v, want %+v", in, key, opts, want)
		}
	}
}

func TestKeyName(t *testing.T) {
	for in, want := range map[string]string{"a#b": "a%23b", "line\nbreak": "line%0Abreak", "\x1b[31m": "%1B[31m", "bad\xff": "bad%FF", "ünï": "ünï", "\u0085": "%C2%85", "\ufffd": "\ufffd"} {
		if got := keyName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestProbe40HostileArtifacts(t *testing.T) {
	f := newFixture(t, nil)
	secret := filepath.Join(filepath.Dir(f.artifacts), "..", "service-account.json")
	if err := os.WriteFile(secret, []byte("top secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.artifact(t, "a#b/c.txt", "hash")
	f.artifact(t, "line\nbreak", "control")
	f.artifact(t, "bad\xff", "invalid")
	f.artifact(t, "x", "x")
	f.artifact(t, "x.gz", "other x")
	f.artifact(t, "real/target", "inside")
	for link, target := range map[string]string{"absolute": secret, "relative": "../../service-account.json", "inside": "real/target", "dangling": "nowhere", "loop": "loop", "dir": "/etc", "proc": "/proc/self/environ"} {
		if err := os.Symlink(target, filepath.Join(f.artifacts, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(f.artifacts, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Mknod(filepath.Join(f.artifacts, "device"), syscall.S_IFCHR|0o600, 1<<8|5) // /dev/zero, where allowed
	listener, err := net.Listen("unix", filepath.Join(f.artifacts, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	if err := f.run.Items(t.Context()); err != nil {
		t.Error(err)
	}
	got := f.stored(t)
	want := map[string]string{"a%23b/c.txt": "hash", "line%0Abreak": "control", "bad%FF": "invalid", "x": "x", "x.gz": "other x", "real/target": "inside", "inside": "inside"}
	for key, content := range want {
		if got[runDir+"artifacts/"+key] != content {
			t.Errorf("%s is %q, want %q", key, got[runDir+"artifacts/"+key], content)
		}
	}
	if len(got) != len(want)+3 {
		t.Errorf("objects: %v", slices.Sorted(maps.Keys(got)))
	}
	for key, content := range got {
		if strings.Contains(content, "secret") {
			t.Errorf("%s leaked", key)
		}
	}
}

func TestItemsThatAreLinks(t *testing.T) {
	f := newFixture(t, nil)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("top secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(f.artifacts), "file")
	if err := errors.Join(os.Remove(f.artifacts), os.Symlink(outside, f.artifacts), os.Symlink(filepath.Join(outside, "secret"), file)); err != nil {
		t.Fatal(err)
	}
	f.run.opts.Items = append(f.run.opts.Items, file, "/does/not/exist")
	err := f.run.Items(t.Context())
	if err == nil || !strings.Contains(err.Error(), f.artifacts) || !strings.Contains(err.Error(), `file"`) {
		t.Errorf("the refusals must be named: %v", err)
	}
	if got := f.stored(t); len(got) != 3 {
		t.Errorf("objects: %v", got)
	}
}

func TestProbe35Compression(t *testing.T) {
	f := newFixture(t, func(o *options.Upload, _ *downward.JobSpec) { o.CompressFileTypes = []string{"txt"} })
	long := strings.Repeat("text ", 400)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for i := range 2000 {
		fmt.Fprint(w, i*i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f.artifact(t, "long.txt", long)
	f.artifact(t, "short.txt", "twenty-five bytes of text")
	f.artifact(t, "packed.txt", packed.String())
	f.artifact(t, "long.log", long)
	if err := f.run.Items(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.stored(t)
	for name, want := range map[string]string{"long.txt": "gzip", "short.txt": "", "packed.txt": "", "long.log": ""} {
		attrs, err := f.bucket.Stat(t.Context(), runDir+"artifacts/"+name)
		if err != nil || attrs.ContentEncoding != want {
			t.Errorf("%s: %+v, %v", name, attrs, err)
		}
	}
	if got[runDir+"artifacts/packed.txt"] != packed.String() {
		t.Error("what is packed already must stay as it is")
	}
	r, err := gzip.NewReader(strings.NewReader(got[runDir+"artifacts/long.txt"]))
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(r); err != nil || string(unpacked) != long {
		t.Errorf("%v: %q", err, unpacked)
	}
}

// flaky refuses the first attempts for each key.
type flaky struct {
	storage.Bucket
	mu       sync.Mutex
	refusals map[string]int
	tries    map[string]int
}

func (f *flaky) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	f.mu.Lock()
	f.tries[key]++
	refuse := f.tries[key] <= f.refusals[key]
	f.mu.Unlock()
	if refuse {
		_, _ = io.CopyN(io.Discard, src, 1)
		return errors.New("503 slow down")
	}
	return f.Bucket.Put(ctx, key, src, opts)
}

func TestProbe36StorageThatRefuses(t *testing.T) {
	f := newFixture(t, nil)
	for _, name := range []string{"good", "late", "never"} {
		f.artifact(t, name, name)
	}
	dir := runDir + "artifacts/"
	bucket := &flaky{Bucket: f.bucket, refusals: map[string]int{dir + "late": 2, dir + "never": 100}, tries: map[string]int{}}
	f.run.Open = func(context.Context, string) (storage.Bucket, error) { return keepOpen{bucket}, nil }
	err := f.run.Items(t.Context())
	if err == nil || !strings.Contains(err.Error(), dir+"never") || strings.Contains(err.Error(), "late") {
		t.Errorf("got %v", err)
	}
	if bucket.tries[dir+"never"] != 4 || bucket.tries[dir+"late"] != 3 {
		t.Errorf("attempts: %v", bucket.tries)
	}
	slices.Sort(f.waits)
	if want := []time.Duration{1e9, 1e9, 4e9, 4e9, 9e9}; !slices.Equal(f.waits, want) {
		t.Errorf("waits: got %v, want %v", f.waits, want)
	}
	got := f.stored(t)
	if got[dir+"good"] != "good" || got[dir+"late"] != "late" {
		t.Errorf("objects: %v", got)
	}
}

func TestCancelledUploadEnds(t *testing.T) {
	f := newFixture(t, nil)
	for i := range 100 {
		f.artifact(t, fmt.Sprint(i), "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.run.Items(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkManyFiles(b *testing.B) {
	f := newFixture(b, nil)
	for i := range 2000 {
		f.artifact(b, fmt.Sprintf("dir-%d/file-%d.txt", i%20, i), strings.Repeat("x", 1000))
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := f.run.Items(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOpenFileDoesNotWaitForAPipe(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		f, err := OpenFile(fifo)
		if err == nil {
			_ = f.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a pipe is no file")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("opening a pipe waits for its other end")
	}
}
