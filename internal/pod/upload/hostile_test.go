package upload

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"prow/api/artifacts"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/storage"
	"prow/internal/storage/s3"
	"prow/internal/storage/storagetest"
	"prow/internal/storage/wire"
)

// onS3 gives a fixture a real client of a server that can fail.
func onS3(t *testing.T, f *fixture) *storagetest.S3 {
	t.Helper()
	server := storagetest.NewS3(t)
	client := wire.NewClient(wire.NewTransport(nil))
	client.Stall = 300 * time.Millisecond
	client.Wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	t.Cleanup(client.HTTP.CloseIdleConnections)
	config := &s3.Config{Endpoint: server.URL, Region: storagetest.S3Region, PathStyle: true, AccessKey: storagetest.S3AccessKey, SecretKey: storagetest.S3SecretKey}
	bucket, err := s3.Open(storagetest.S3Bucket, config, client)
	if err != nil {
		t.Fatal(err)
	}
	f.bucket = bucket
	return server
}

func state(t *testing.T, m artifacts.UploadManifest, name string) artifacts.UploadedFile {
	t.Helper()
	for _, f := range m.Files {
		if f.Name == name {
			return f
		}
	}
	t.Errorf("%s is not in the manifest: %+v", name, m.Files)
	return artifacts.UploadedFile{}
}

// Storage answers 429 and 500, hangs, and resets in the middle of an upload: what
// can still be sent is, and the rest is named.
func TestStorageThatFailsInEveryWay(t *testing.T) {
	f := newFixture(t, nil)
	server := onS3(t, f)
	faults := map[string]storagetest.Fault{
		"slow":  {Status: http.StatusTooManyRequests, RetryAfter: 1},
		"sick":  {Status: http.StatusInternalServerError},
		"hung":  {Hang: true},
		"reset": {ResetAfter: 64 << 10},
		"lost":  {LoseAnswer: true},
	}
	for name := range faults {
		f.artifact(t, name, strings.Repeat(name, 100<<10))
		f.artifact(t, name+"-for-ever", name)
	}
	f.artifact(t, "fine", "fine")
	seen := map[string]int{}
	server.Fail(func(r *http.Request) *storagetest.Fault {
		name, forEver := strings.CutSuffix(filepath.Base(r.URL.Path), "-for-ever")
		fault, ok := faults[name]
		if !ok || r.Method != http.MethodPut || (name == "lost" && forEver) {
			return nil
		}
		if seen[r.URL.Path]++; !forEver && seen[r.URL.Path] > 2 {
			return nil
		}
		return &fault
	})
	err := f.run.Items(t.Context())
	m := f.run.Manifest()
	for name := range faults {
		if got := state(t, m, "artifacts/"+name); got.State != artifacts.UploadStored {
			t.Errorf("%+v", got)
		}
		if name == "lost" {
			continue
		}
		if got := state(t, m, "artifacts/"+name+"-for-ever"); got.State != artifacts.UploadFailed || got.Error == "" || got.Attempts != 4 {
			t.Errorf("%+v", got)
		}
		if err == nil || !strings.Contains(err.Error(), "artifacts/"+name+"-for-ever") {
			t.Errorf("%s is not named by %v", name, err)
		}
	}
	if got := state(t, m, "artifacts/fine"); got.State != artifacts.UploadStored || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	if m.Failed != 4 || m.Stored != 10 {
		t.Errorf("counts: %+v", m)
	}
	server.Fail(nil)
	for name := range faults {
		if got, err := storage.ReadAll(t.Context(), f.bucket, runDir+"artifacts/"+name, 1<<20); err != nil || string(got) != strings.Repeat(name, 100<<10) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestManifest(t *testing.T) {
	f := newFixture(t, func(o *options.Upload, _ *downward.JobSpec) { o.CompressFileTypes = []string{"txt"} })
	f.artifact(t, "dir/a", "content")
	f.artifact(t, "long.txt", strings.Repeat("text ", 400))
	f.artifact(t, "x", "x")
	f.artifact(t, "unreadable", "x")
	f.artifact(t, strings.Repeat("long/", 250)+"name", "x")
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(f.artifacts, "link")), syscall.Mkfifo(filepath.Join(f.artifacts, "pi\npe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	f.run.opts.Items = append(f.run.opts.Items, "/does/not/exist")
	// The test removes a file after it was found.
	open := f.run.Open
	f.run.Open = func(ctx context.Context, bucket string) (storage.Bucket, error) {
		_ = os.Remove(filepath.Join(f.artifacts, "unreadable"))
		return open(ctx, bucket)
	}
	if err := f.run.Items(t.Context()); err == nil {
		t.Error("a file that vanished must be an error")
	}
	m := f.run.Manifest()
	crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte("content"), crc32.MakeTable(crc32.Castagnoli))))
	if got, want := state(t, m, "artifacts/dir/a"), (artifacts.UploadedFile{Name: "artifacts/dir/a", State: "stored", Size: 7, CRC32C: crc, Attempts: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for name, want := range map[string]artifacts.UploadState{
		"/pr-logs/directory/j/b.txt": artifacts.UploadStored,
		"artifacts/unreadable":       artifacts.UploadFailed,
		"artifacts/link":             artifacts.UploadSkipped,
		"artifacts/pi%0Ape":          artifacts.UploadSkipped,
		"exist":                      artifacts.UploadSkipped,
		"artifacts/" + strings.Repeat("long/", 250) + "name": artifacts.UploadFailed,
	} {
		if got := state(t, m, name); got.State != want || (want != artifacts.UploadStored && got.Error == "") {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	packed := state(t, m, "artifacts/long.txt")
	if attrs, err := f.bucket.Stat(t.Context(), runDir+"artifacts/long.txt"); err != nil || packed.ContentEncoding != "gzip" || packed.Size != attrs.Size {
		t.Errorf("%+v; in storage: %+v, %v", packed, attrs, err)
	}
	if m.Failed != 2 || m.Skipped != 3 {
		t.Errorf("counts: %+v", m)
	}
}

func TestTenThousandArtifacts(t *testing.T) {
	f := newFixture(t, nil)
	for i := range 10000 {
		f.artifact(t, fmt.Sprintf("%d/%d", i%100, i), "x")
	}
	server := onS3(t, f)
	if err := f.run.Items(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := f.run.Manifest(); m.Stored != 10003 || m.Failed+m.Skipped > 0 {
		t.Errorf("%d stored, %d failed, %d skipped", m.Stored, m.Failed, m.Skipped)
	}
	if count, _ := server.Totals(); count != 10003 {
		t.Errorf("%d objects", count)
	}
}

// growing appends to the file while it is read.
type growing struct {
	storage.Bucket
	file string
}

func (g growing) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	if path.Base(key) != filepath.Base(g.file) {
		return g.Bucket.Put(ctx, key, src, opts)
	}
	return g.Bucket.Put(ctx, key, io.TeeReader(src, writer(func(p []byte) error {
		f, err := os.OpenFile(g.file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(p)
		return errors.Join(err, f.Close())
	})), opts)
}

type writer func([]byte) error

func (w writer) Write(p []byte) (int, error) { return len(p), w(p) }

func TestAFileThatGrowsWhileItIsReadHasAnEnd(t *testing.T) {
	f := newFixture(t, nil)
	f.artifact(t, "log", "begin")
	bucket := growing{f.bucket, filepath.Join(f.artifacts, "log")}
	f.run.Open = func(context.Context, string) (storage.Bucket, error) { return keepOpen{bucket}, nil }
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	f.run.opts.Items = []string{filepath.Join(f.artifacts, "log")}
	if err := f.run.Items(ctx); err != nil {
		t.Fatal(err)
	}
	if got := f.stored(t)[runDir+"log"]; got != "begin" {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestStorageThatRefusesEverythingDoesNotTakeAllWaitsInARow(t *testing.T) {
	const objects = 200
	f := newFixture(t, nil)
	for i := range objects {
		f.artifact(t, fmt.Sprint(i), "x")
	}
	waiting := make(chan struct{}, 4*objects)
	all := make(chan struct{})
	f.run.Wait = func(context.Context, time.Duration) error {
		if waiting <- struct{}{}; len(waiting) == objects {
			close(all)
		}
		<-all // nobody's wait ends before all wait
		return nil
	}
	bucket := &flaky{Bucket: f.bucket, refusals: map[string]int{}, tries: map[string]int{}}
	for i := range objects {
		bucket.refusals[fmt.Sprintf("%sartifacts/%d", runDir, i)] = 1
	}
	f.run.Open = func(context.Context, string) (storage.Bucket, error) { return keepOpen{bucket}, nil }
	if err := f.run.Items(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzKeyName(f *testing.F) {
	for _, name := range []string{"a#b", "\xff", "\u2028", "\x7f", "%23", "..."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
			t.Skip()
		}
		if err := storage.CheckKey(keyName(name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		key, _ := named("dir/"+keyName(name), nil)
		if err := storage.CheckKey(key); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	})
}

func TestProbe34NamesOfArtifacts(t *testing.T) {
	f := newFixture(t, nil)
	f.artifact(t, "a#b/c.txt", "c")
	f.artifact(t, "x.json.gz", "packed")
	if err := f.run.Items(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.stored(t)[runDir+"artifacts/a%23b/c.txt"]; got != "c" {
		t.Errorf("got %q", got)
	}
	attrs, err := f.bucket.Stat(t.Context(), runDir+"artifacts/x.json")
	if err != nil || attrs.ContentEncoding != "gzip" || attrs.ContentType != "application/json" {
		t.Errorf("got %+v, %v", attrs, err)
	}
}

func TestJSONOfUtilitiesIsJSON(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.run.Files(t.Context(), []File{Bytes("started.json", []byte("{}")), Bytes("build-log.txt", []byte("<html>"))}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"started.json": "application/json", "build-log.txt": "text/plain; charset=utf-8"} {
		if attrs, err := f.bucket.Stat(t.Context(), runDir+name); err != nil || attrs.ContentType != want {
			t.Errorf("%s: %+v, %v", name, attrs, err)
		}
	}
}
