package live_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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
