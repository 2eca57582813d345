package deck

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

// storeZipped stores compressed logs of so many lines.
func storeZipped(t *testing.T, bucket storage.Bucket, names []string, lines int) {
	t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	for i := range lines {
		fmt.Fprintf(z, "line %d %s\n", i, strings.Repeat("x", 100))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := bucket.Put(t.Context(), name, bytes.NewReader(zipped.Bytes()), storage.PutOptions{ContentEncoding: "gzip"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALargeCompressedLogIsInflatedOnce(t *testing.T) {
	dir := t.TempDir()
	bucket, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const many = 200_000 // more than spoolLeast
	storeZipped(t, bucket, []string{"large", "other"}, many)
	storeZipped(t, bucket, []string{"small"}, 1000)
	x := newLineIndexes(t.Context(), slog.New(slog.DiscardHandler), func(context.Context, place) (storage.Bucket, error) { return filestore.Open(dir) })
	open := func(name string) *storedLog {
		t.Helper()
		log, err := x.of(t.Context(), bucket, place{provider: "file", bucket: dir, key: name})
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	text := func(name string) *spool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return textOf(x, name)
	}
	counted := func(name string) {
		t.Helper()
		log := open(name)
		if now := log.counted(t.Context(), time.Minute, func(progress) bool { return false }); !now.Complete {
			t.Fatalf("%s was not counted", name)
		}
		for range 200 { // the text is kept right after
			x.mu.Lock()
			building := log.entry.building
			x.mu.Unlock()
			if !building {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s is counted without an end", name)
	}
	counted("large")
	counted("small")
	if text("small") != nil {
		t.Error("a small text is kept")
	}
	kept := text("large")
	if kept == nil {
		t.Fatal("the text is not kept")
	}
	for _, from := range []int64{0, 1, 4711, many / 2, many - 1} {
		lines, err := open("large").Read(t.Context(), from, 1, 1<<20)
		if want := fmt.Sprintf("line %d x", from); err != nil || len(lines) != 1 || !strings.HasPrefix(string(lines[0].Text), want) {
			t.Errorf("line %d: %d lines, %v", from, len(lines), err)
		}
	}
	// Who reads it goes on when it is let go for another.
	r, err := kept.open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	x.mu.Lock()
	x.spooled = spoolMost - 1<<20
	x.mu.Unlock()
	counted("other")
	if text("large") != nil {
		t.Error("the text that was used least stays")
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != kept.size {
		t.Errorf("its reader got %d of %d bytes: %v", n, kept.size, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.open(t.Context(), 0); err == nil {
		t.Error("its file is still open")
	}
	if lines, err := open("large").Read(t.Context(), many/2, 1, 1<<20); err != nil || len(lines) != 1 || !strings.HasPrefix(string(lines[0].Text), "line 100000 x") {
		t.Errorf("after that it is inflated anew: %d lines, %v", len(lines), err)
	}
	if x.reserve(spoolMost + 1) {
		t.Error("more was reserved than there is")
	}
}

func textOf(x *lineIndexes, name string) *spool {
	for _, el := range x.known {
		if e := el.Value.(*indexEntry); strings.Contains(e.id, "/"+name+"\x00") {
			return e.text
		}
	}
	return nil
}
