// Package secret keeps values that must never be printed.
//
// A Value prints as "[redacted]" whatever prints it. A Store reads values from
// files, follows their rotation, and knows every value it ever handed out; its
// Handler wraps a slog handler and is the second net, replacing known values in
// whatever is logged.
package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const redacted = "[redacted]"

// Value is a secret text. Only Reveal returns it.
type Value struct{ v string }

// New makes a secret of a text.
func New(v string) Value { return Value{v} }

// Reveal returns the text itself.
func (v Value) Reveal() string { return v.v }

// String, GoString, MarshalText and LogValue keep the text from being printed.
func (v Value) String() string               { return redacted }
func (v Value) GoString() string             { return redacted }
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (v Value) LogValue() slog.Value         { return slog.StringValue(redacted) }

// pollInterval is how often files are looked at for a newer version.
const pollInterval = time.Second

// forcedReread is after how many polls without a change a file is read anyway,
// because a file system may not tell of every change.
const forcedReread = 600

// Store reads secrets from files and censors them. The zero value is ready.
type Store struct {
	mu    sync.RWMutex
	files map[string]*file
	known []known
}

// known is a form of a secret.
type known struct {
	form []byte
	// until is when the secret is no longer one; zero is never.
	until time.Time
}

type file struct {
	path   string
	value  string
	mod    time.Time
	polls  int
	parse  func([]byte) error
	failed bool
}

// File reads a file, trims white space around its content, and returns a getter
// that follows the file while Run runs. Where parse is given it is called with each new
// content before that takes effect; one that it refuses never replaces the old one.
func (s *Store) File(path string, parse func([]byte) error) (func() Value, error) {
	f := &file{path: path, parse: parse}
	if err := s.read(f); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string]*file{}
	}
	s.files[path] = f
	return func() Value {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return Value{f.value}
	}, nil
}

func (s *Store) read(f *file) error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("read secret: %w", err)
	}
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("read secret: %w", err)
	}
	value := bytes.TrimSpace(raw)
	if f.parse != nil {
		if err := f.parse(value); err != nil {
			return fmt.Errorf("secret file %s: %w", f.path, err)
		}
	}
	s.Add(string(raw))
	s.mu.Lock()
	defer s.mu.Unlock()
	f.value, f.mod, f.polls = string(value), info.ModTime(), 0
	return nil
}

// Run follows the files until ctx ends. A file that cannot be read keeps its
// last value and is logged once until it can be read again.
func (s *Store) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s.mu.RLock()
		files := make([]*file, 0, len(s.files))
		for _, f := range s.files {
			files = append(files, f)
		}
		s.mu.RUnlock()
		for _, f := range files {
			if err := s.poll(f); err != nil && !f.failed {
				log.ErrorContext(ctx, "a secret keeps its last value", "file", f.path, "error", err)
				f.failed = true
			} else if err == nil {
				f.failed = false
			}
		}
	}
}

func (s *Store) poll(f *file) error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	f.polls++
	if !info.ModTime().After(f.mod) && f.polls < forcedReread {
		return nil
	}
	return s.read(f)
}

// Add makes a value known to the censor, as it is, without the white space
// around it, and in base64 of both, and as JSON escapes it. Empty values and "true" and "false" are never censored.
func (s *Store) Add(value string) { s.add(value, time.Time{}) }

// AddUntil is Add for a value that is worth nothing after a time, such as a
// token; the censor forgets it some time later. A zero time is ignored, as is
// the value then.
func (s *Store) AddUntil(value string, until time.Time) {
	if !until.IsZero() {
		s.add(value, until)
	}
}

func (s *Store) add(value string, until time.Time) {
	trimmed := strings.TrimSpace(value)
	if trimmed == "" || strings.EqualFold(trimmed, "true") || strings.EqualFold(trimmed, "false") {
		return
	}
	forms := [][]byte{
		[]byte(trimmed),
		[]byte(base64.StdEncoding.EncodeToString([]byte(value))),
		[]byte(base64.StdEncoding.EncodeToString([]byte(trimmed))),
	}
	// In a log line a value of several lines stands escaped.
	if escaped, err := json.Marshal(trimmed); err == nil {
		forms = append(forms, escaped[1:len(escaped)-1])
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = slices.DeleteFunc(s.known, func(k known) bool { return !k.until.IsZero() && now.After(k.until.Add(time.Hour)) })
	for _, form := range forms {
		i := slices.IndexFunc(s.known, func(k known) bool { return bytes.Equal(k.form, form) })
		switch {
		case i < 0:
			s.known = append(s.known, known{form, until})
		case until.IsZero() || !s.known[i].until.IsZero() && until.After(s.known[i].until):
			s.known[i].until = until
		}
	}
}

// Censor replaces every known secret in text by as many X as it has bytes.
func (s *Store) Censor(text []byte) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, k := range s.known {
		if bytes.Contains(text, k.form) {
			text = bytes.ReplaceAll(text, k.form, bytes.Repeat([]byte("X"), len(k.form)))
		}
	}
	return text
}

// Writer censors whole writes, as slog's handlers make one for each record.
type Writer struct {
	Store *Store
	Next  interface{ Write([]byte) (int, error) }
}

// Write censors p and passes it on; it reports len(p) on success.
func (w Writer) Write(p []byte) (int, error) {
	if _, err := w.Next.Write(w.Store.Censor(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
