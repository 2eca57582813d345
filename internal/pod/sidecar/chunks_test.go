package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"prow/api/artifacts"
	"prow/internal/pod/upload"
	"prow/internal/storage"
)

// newChunker returns one without a clock of its own.
func newChunker(t *testing.T, f *fixture, bucket storage.Bucket) *chunker {
	t.Helper()
	g, err := newGuard(f.opts.CensoringOptions)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(&f.stderr, nil))
	open := func(context.Context, string) (storage.Bucket, error) { return keepOpen{bucket}, nil }
	c := &chunker{guard: g, run: upload.New(f.opts.GCSOptions, &f.spec, open, logger), logger: logger}
	for i := range f.opts.Entries {
		c.logs = append(c.logs, &growingLog{name: artifacts.BuildLogFile, path: f.opts.Entries[i].ProcessLog})
	}
	return c
}

func (f *fixture) grow(t *testing.T, text string) {
	t.Helper()
	file, err := os.OpenFile(f.path("logs/test-log.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) growing(t *testing.T) string {
	t.Helper()
	log, err := storage.StatLog(t.Context(), f.bucket, runDir+"build-log.txt")
	if errors.Is(err, storage.ErrNotExist) {
		return ""
	} else if err != nil {
		t.Fatal(err)
	}
	r, err := log.Reader(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestPartsOfALog(t *testing.T) {
	f := newFixture(t, "test")
	c := newChunker(t, f, f.bucket)
	for _, step := range []struct{ sentence, grow, want string }{
		{"whole lines are stored", "", "log of test\n"},
		{"a line that has not ended waits", "half a", "log of test\n"},
		{"until it ends", " line\nmore", "log of test\nhalf a line\n"},
		{"secrets are masked", " of it, friend\n", "log of test\nhalf a line\nmore of it, XXXXXX\n"},
		{"nothing new is no part", "", "log of test\nhalf a line\nmore of it, XXXXXX\n"},
	} {
		f.grow(t, step.grow)
		c.store(t.Context(), time.Minute)
		if got := f.growing(t); got != step.want {
			t.Errorf("%s: got %q, want %q", step.sentence, got, step.want)
		}
	}
	if got := c.names("build-log.txt"); len(got) != 3 || got[2] != "build-log.parts/000003.txt" {
		t.Errorf("parts: %v", got)
	}
	long := strings.Repeat("x", maxLine+10)
	f.grow(t, long)
	c.store(t.Context(), time.Minute)
	if got := f.growing(t); !strings.HasSuffix(got, long) {
		t.Errorf("a line without an end must not wait for ever: %d bytes", len(got))
	}
	f.grow(t, strings.Repeat(strings.Repeat("y", 99)+"\n", 3*maxPart/100))
	c.store(t.Context(), time.Minute)
	if got := f.growing(t); len(got) < 3*maxPart {
		t.Errorf("all that is there is stored at once, got %d bytes", len(got))
	}
	f.write(t, "logs/test-log.txt", "rewritten\n")
	parts := len(c.names("build-log.txt"))
	c.store(t.Context(), time.Minute)
	if len(c.names("build-log.txt")) != parts || !strings.Contains(f.stderr.String(), "shorter") {
		t.Errorf("a log that was rewritten has no more parts: %s", f.stderr.String())
	}
}

// A multi-line secret and one that overlaps it come in pieces of all lengths, and
// nothing of them may be in any part.
func TestSecretsAcrossTheBordersOfParts(t *testing.T) {
	const multi, other = "first line\nsecond LINE\nthird-and-last", "last hope of men"
	text := "begin\n" + multi + "\nbetween\nthird-and-" + other + "\n" + multi + multi + " hope of men\nfirst line\nsecond LINE\nthird-and-l\nend\n"
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 25 {
		f := newFixture(t, "test")
		f.write(t, "secrets/..data/token", multi)
		f.write(t, "secrets/other", other)
		f.write(t, "logs/test-log.txt", "")
		c := newChunker(t, f, f.bucket)
		if err := c.guard.load(); err != nil {
			t.Fatal(err)
		}
		want := []byte(text)
		c.guard.masker.Mask(want)
		for rest := text; rest != ""; {
			n := min(len(rest), 1+random.IntN(1+round))
			f.grow(t, rest[:n])
			rest = rest[n:]
			c.store(t.Context(), time.Minute)
			if got := f.growing(t); !bytes.HasPrefix(want, []byte(got)) {
				t.Fatalf("pieces of up to %d bytes: got\n%q, which does not begin\n%q", round+1, got, want)
			}
		}
		if got := f.growing(t); got != string(want) {
			t.Fatalf("pieces of up to %d bytes: got\n%q, want\n%q", round+1, got, want)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          int
	}{{"xxab", "abc", 2}, {"ab", "abc", 2}, {"abx", "abc", 0}, {"aabaa", "aabaaa", 5}, {"abaab", "ababc", 2}, {"", "abc", 0}, {"ccc", "c", 0}} {
		if got := openEnd([]byte(c.text), [][]byte{[]byte(c.pattern)}); got != c.want {
			t.Errorf("%q at the end of %q: got %d, want %d", c.pattern, c.text, got, c.want)
		}
	}
}

func TestPartsAreNotStoredWhereSecretsCannotBeRead(t *testing.T) {
	f := newFixture(t, "test")
	f.write(t, "secrets/.dockerconfigjson", "broken")
	c := newChunker(t, f, f.bucket)
	c.store(t.Context(), time.Minute)
	if got := f.growing(t); got != "" {
		t.Errorf("got %q", got)
	}
	f.write(t, "secrets/.dockerconfigjson", "{}")
	c.store(t.Context(), time.Minute)
	if got := f.growing(t); got == "" {
		t.Error("they can be read by now")
	}
}

// unwilling refuses some writes, of which it may do some nevertheless.
type unwilling struct {
	storage.Bucket
	mu     sync.Mutex
	refuse func(key string) (write bool, err error)
}

func (u *unwilling) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	u.mu.Lock()
	write, refused := u.refuse(key)
	u.mu.Unlock()
	if refused == nil || write {
		if err := u.Bucket.Put(ctx, key, src, opts); err != nil {
			return err
		}
	}
	return refused
}

func TestAPartThatIsRefusedIsStoredLater(t *testing.T) {
	for _, written := range []bool{false, true} {
		f := newFixture(t, "test")
		down := true
		c := newChunker(t, f, &unwilling{Bucket: f.bucket, refuse: func(string) (bool, error) {
			if down {
				return written, errors.New("503")
			}
			return true, nil
		}})
		c.store(t.Context(), time.Minute)
		if got := c.names("build-log.txt"); len(got) != 1 {
			t.Errorf("a part that may be there is to be deleted in the end: %v", got)
		}
		f.grow(t, "more\n")
		down = false
		c.store(t.Context(), time.Minute)
		if got := f.growing(t); got != "log of test\nmore\n" {
			t.Errorf("written: %t: got %q", written, got)
		}
	}
}

// run starts sidecar with a bucket, and returns the channel of its exit code.
func (f *fixture) start(t *testing.T, bucket storage.Bucket, stderr io.Writer) <-chan int {
	t.Helper()
	spec, err := json.Marshal(f.spec)
	if err != nil {
		t.Fatal(err)
	}
	open := func(context.Context, string) (storage.Bucket, error) { return keepOpen{bucket}, nil }
	code := make(chan int, 1)
	go func() {
		s := &Sidecar{opts: f.opts, open: open, now: time.Now, wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
		code <- run(t.Context(), s, func(string) (string, bool) { return string(spec), true }, f.signals, stderr)
	}()
	return code
}

func TestPartsGiveWayToTheLog(t *testing.T) {
	f := newFixture(t, "test")
	f.opts.LogChunkInterval = 5 * time.Millisecond
	code := f.start(t, f.bucket, io.Discard)
	for i := range 3 {
		f.grow(t, fmt.Sprintf("line %d of a friend\n", i))
		poll30(t, "the growth", func() bool { return strings.Contains(f.growing(t), fmt.Sprintf("line %d of a XXXXXX\n", i)) })
	}
	f.missing(t, "build-log.txt")
	f.write(t, "logs/test-marker.txt", "0")
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
	if got := f.stored(t, "build-log.txt"); strings.Count(got, "\n") != 4 {
		t.Errorf("log: %q", got)
	}
	page, err := f.bucket.List(t.Context(), storage.ListOptions{Prefix: runDir + "build-log.parts/"})
	if err != nil || len(page.Items) > 0 {
		t.Errorf("parts are left: %+v, %v", page, err)
	}
}

func TestPartsStayWhereTheLogCannotBeStored(t *testing.T) {
	f := newFixture(t, "test")
	f.opts.LogChunkInterval = 5 * time.Millisecond
	bucket := &unwilling{Bucket: f.bucket, refuse: func(key string) (bool, error) {
		if strings.HasSuffix(key, "/build-log.txt") {
			return false, errors.New("403 forbidden to a friend")
		}
		return true, nil
	}}
	stderr := &lockedBuffer{}
	code := f.start(t, bucket, stderr)
	poll30(t, "the first part", func() bool { return f.growing(t) == "log of test\n" })
	f.write(t, "logs/test-marker.txt", "0")
	if got := <-code; got != 1 {
		t.Errorf("sidecar must say by its exit that output is lost, got %d", got)
	}
	if got := f.growing(t); got != "log of test\n" {
		t.Errorf("got %q", got)
	}
	var manifest artifacts.UploadManifest
	if err := json.Unmarshal([]byte(f.stored(t, artifacts.UploadManifestFile)), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Failed != 1 || manifest.Stored != 3 {
		t.Errorf("manifest: %+v", manifest)
	}
	for _, file := range manifest.Files {
		if file.Name == "build-log.txt" && (file.State != artifacts.UploadFailed || file.Attempts != 4 || !strings.Contains(file.Error, "403 forbidden to a XXXXXX")) {
			t.Errorf("manifest: %+v", file)
		}
	}
	finished := f.finished(t)
	if text := fmt.Sprint(finished.Metadata); !finished.Passed || !strings.Contains(text, "1 of 4 files are not stored") || strings.Contains(text, "friend") {
		t.Errorf("finished.json: %+v", finished)
	}
	if log := stderr.String(); !strings.Contains(log, "upload-manifest.json beside finished.json") || strings.Contains(log, "friend") {
		t.Errorf("the last words: %s", log)
	}
}

// A pod that is told to end may be killed at any moment: what tells most goes first.
func TestLogsGoFirstWhenThePodEnds(t *testing.T) {
	f := newFixture(t, "test")
	var mu sync.Mutex
	var order []string
	bucket := &unwilling{Bucket: f.bucket, refuse: func(key string) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, strings.TrimPrefix(key, runDir))
		return true, nil
	}}
	at := func(name string) int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Index(order, name)
	}
	f.signals <- os.Interrupt
	code := f.start(t, bucket, io.Discard)
	poll30(t, "the early upload", func() bool { return at(artifacts.UploadManifestFile) >= 0 })
	if log, finished, item := at("build-log.txt"), at("finished.json"), at("artifacts/x.txt"); log > finished || finished > item {
		t.Errorf("early: %v", order)
	}
	mu.Lock()
	order = nil
	mu.Unlock()
	f.write(t, "logs/test-marker.txt", "0")
	<-code
	// The end of the early upload may be among the names.
	last := func(name string) int {
		for i := len(order) - 1; i >= 0; i-- {
			if order[i] == name {
				return i
			}
		}
		return -1
	}
	if item, log, manifest, finished := last("artifacts/x.txt"), last("build-log.txt"), last(artifacts.UploadManifestFile), last("finished.json"); item > log || log > manifest || manifest > finished {
		t.Errorf("in the end: %v", order)
	}
}
