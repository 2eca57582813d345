package logfile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock gives times one second apart.
func clock() func() time.Time {
	var mu sync.Mutex
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
}

func create(t *testing.T, bound int64) *Log {
	t.Helper()
	l, err := Create(filepath.Join(t.TempDir(), "log"), bound, clock())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func read(t *testing.T, l *Log, opts ReadOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Read(t.Context(), l.Dir(), l, &out, opts); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var all = ReadOptions{Tail: -1, Limit: -1}

func TestReading(t *testing.T) {
	l := create(t, 1<<20)
	stdout, stderr := l.Stream("stdout"), l.Stream("stderr")
	fmt.Fprint(stdout, "one\ntw")
	fmt.Fprint(stdout, "o\n\nthree\n")
	fmt.Fprint(stderr, "warn\n")
	fmt.Fprint(stdout, "rest")
	for _, w := range []interface{ Close() error }{stdout, stderr, l} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		opts ReadOptions
		want string
	}{
		{"everything", all, "one\ntwo\n\nthree\nwarn\nrest\n"},
		{"the last two lines", ReadOptions{Tail: 2, Limit: -1}, "warn\nrest\n"},
		{"no line", ReadOptions{Tail: 0, Limit: -1}, ""},
		{"more lines than there are", ReadOptions{Tail: 100, Limit: -1}, "one\ntwo\n\nthree\nwarn\nrest\n"},
		{"one stream", ReadOptions{Tail: -1, Limit: -1, Stream: "stderr"}, "warn\n"},
		{"some bytes", ReadOptions{Tail: -1, Limit: 5}, "one\nt"},
		{"since a time", ReadOptions{Tail: -1, Limit: -1, Since: time.Date(2026, 1, 2, 3, 4, 3, 0, time.UTC)}, "warn\nrest\n"},
		{"with times", ReadOptions{Tail: 1, Limit: -1, Timestamps: true}, "2026-01-02T03:04:05Z rest\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := read(t, l, tc.opts); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestALogKeepsItsNewestPartWithinItsBound(t *testing.T) {
	const bound = 64 << 10
	l := create(t, bound)
	w := l.Stream("stdout")
	for i := range 20000 {
		fmt.Fprintf(w, "line %d\n", i)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var size int64
	entries, err := os.ReadDir(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > bound+bound/2 || size < bound/2 {
		t.Errorf("%d bytes kept, bound %d", size, bound)
	}
	lines := strings.Split(strings.TrimSpace(read(t, l, all)), "\n")
	if lines[len(lines)-1] != "line 19999" {
		t.Errorf("last line %q", lines[len(lines)-1])
	}
	for i, line := range lines {
		if want := fmt.Sprintf("line %d", 20000-len(lines)+i); line != want {
			t.Fatalf("line %q where %q is due", line, want)
		}
	}
	if got := read(t, l, ReadOptions{Tail: 3, Limit: -1}); got != "line 19997\nline 19998\nline 19999\n" {
		t.Errorf("tail %q", got)
	}
}

func TestLongLinesAreCutAndComeOutWhole(t *testing.T) {
	l := create(t, 1<<20)
	long := strings.Repeat("x", 3*maxLine+5)
	w := l.Stream("stdout")
	fmt.Fprintf(w, "%s\nnext\n", long)
	if got := read(t, l, all); got != long+"\nnext\n" {
		t.Errorf("got %d bytes", len(got))
	}
	if got := read(t, l, ReadOptions{Tail: 2, Limit: -1}); got != long+"\nnext\n" {
		t.Errorf("tail starts inside a line: %d bytes", len(got))
	}
}

func TestAFollowerSeesEveryLineThroughNewSegmentsUntilTheEnd(t *testing.T) {
	l := create(t, 8<<20)
	l.maxSegment = 4 << 10
	const lines = 300 // more than a segment, less than what is kept of two
	got, step := make(chan string, lines), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- Read(context.Background(), l.Dir(), l, writerFunc(func(p []byte) { got <- string(p); step <- struct{}{} }), ReadOptions{Follow: true, Tail: -1, Limit: -1})
	}()
	w := l.Stream("stdout")
	for i := range lines {
		fmt.Fprintf(w, "line %d\n", i)
		<-step // the reader keeps up
		if s := <-got; s != fmt.Sprintf("line %d\n", i) {
			t.Fatalf("followed %q", s)
		}
	}
	if l.segment < 2 {
		t.Fatalf("only %d segments were made", l.segment+1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAFollowerCanLeave(t *testing.T) {
	l := create(t, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Read(ctx, l.Dir(), l, &bytes.Buffer{}, ReadOptions{Follow: true, Tail: -1, Limit: -1})
	}()
	cancel()
	if err := <-done; err == nil {
		t.Error("reading ended without a cause")
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func FuzzReadingDamagedFiles(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05Z stdout F text\n"), int64(1))
	f.Add([]byte("2026-01-02T03:04:05Z stdout P text\nx y\n\n Z F\n"), int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, tail int64) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0.log"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := Read(t.Context(), dir, nil, &out, ReadOptions{Tail: tail, Limit: -1}); err != nil {
			t.Fatal(err)
		}
		if out.Len() > len(data)+1 {
			t.Fatalf("%d bytes came out of %d", out.Len(), len(data))
		}
	})
}
