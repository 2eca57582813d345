package live_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"prow/internal/config"
	"prow/internal/config/live"
)

// textFile is the smallest source: one file that must not hold "bad".
type textFile struct{ path string }

type text struct{ s string }

func (f textFile) Load(context.Context) (*text, error) {
	b, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(b), "bad") {
		return nil, errors.New("the file is bad")
	}
	return &text{string(b)}, nil
}

func (f textFile) Stamp() string { return config.StampOf([]string{f.path}, nil, "") }

func (f textFile) Version(t *text) string { return t.s }

func start(t *testing.T, content string) (*live.Watcher[text], func(string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write := func(s string) {
		t.Helper()
		tmp := path + ".new"
		if err := os.WriteFile(tmp, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, path); err != nil {
			t.Fatal(err)
		}
	}
	write(content)
	w, err := live.New(t.Context(), textFile{path}, live.Options{Interval: 2 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	return w, write
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatal("not within 10 s: " + what)
		case <-tick.C:
		}
	}
}

func TestBadFileChangesNothingAndHeals(t *testing.T) {
	w, write := start(t, "one")
	write("bad!")
	eventually(t, "the error is visible", func() bool { return w.Status().Err != nil })
	if got := w.Get().s; got != "one" || w.Status().Version != "one" {
		t.Errorf("serves %q, expected the last good value", got)
	}
	if w.Status().FailingSince.IsZero() {
		t.Error("the status does not tell since when the file is bad")
	}
	write("three")
	eventually(t, "the mended file is served", func() bool { return w.Get().s == "three" && w.Status().Err == nil })
	write("bad again")
	eventually(t, "the error is visible", func() bool { return w.Status().Err != nil })
	write("three")
	eventually(t, "going back clears the error", func() bool { return w.Status().Err == nil })
}

func TestFirstLoadMustSucceed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing")
	if _, err := live.New(t.Context(), textFile{path}, live.Options{}); err == nil {
		t.Fatal("a missing file was accepted")
	}
}

func TestSlowSubscriberGetsOneDeltaOverAllChanges(t *testing.T) {
	w, write := start(t, "one")
	slow, cancel := w.Subscribe()
	defer cancel()
	for _, s := range []string{"two", "three", "four"} {
		write(s)
		eventually(t, s+" is served", func() bool { return w.Get().s == s })
	}
	// Publishing follows serving, so the newest change may still be on its way.
	var first, last *text
	eventually(t, "the newest change arrives", func() bool {
		select {
		case d := <-slow:
			if first == nil {
				first = d.Before
			}
			last = d.After
		default:
		}
		return last != nil && last.s == "four"
	})
	if first.s != "one" {
		t.Errorf("the first delta starts from %q, expected the value at the time of the subscription", first.s)
	}
}

// warned is a source that warns of every word.
type warned struct{ textFile }

func (warned) Warnings(t *text) []string { return strings.Fields(t.s) }

func TestWarningsAreLoggedOncePerChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("one two")
	var log syncBuffer
	w, err := live.New(t.Context(), warned{textFile{path}}, live.Options{
		Interval: 2 * time.Millisecond, ForceAfter: 5 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.Run(t.Context()) }()
	write("two three")
	eventually(t, "the new value is served", func() bool { return w.Get().s == "two three" })
	write("two three four")
	eventually(t, "the newest value is served", func() bool { return strings.Contains(log.String(), "warning=four") })
	for word, want := range map[string]int{"one": 1, "two": 1, "three": 1, "four": 1} {
		if got := strings.Count(log.String(), "warning="+word+"\n"); got != want {
			t.Errorf("%s is told %d times", word, got)
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
