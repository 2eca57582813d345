package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAValueIsNeverPrinted(t *testing.T) {
	v := New("hunter2")
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("login", "token", v)
	asJSON, _ := json.Marshal(map[string]any{"v": v})
	for _, out := range []string{fmt.Sprint(v), fmt.Sprintf("%v %+v %#v %s", v, v, v, v), logged.String(), string(asJSON)} {
		if strings.Contains(out, "hunter2") {
			t.Errorf("printed: %s", out)
		}
	}
	if v.Reveal() != "hunter2" {
		t.Error("the value itself is lost")
	}
}

func TestFileFollowsRotationAndKeepsTheLastGoodValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(content string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		mod := time.Now().Add(age)
		if err := os.Chtimes(path, mod, mod); err != nil {
			t.Fatal(err)
		}
	}
	write("  first\n", 0)
	var s Store
	get, err := s.File(path, func(b []byte) error {
		if string(b) == "broken" {
			return errors.New("does not parse")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := get().Reveal(); got != "first" {
		t.Errorf("white space is not trimmed: %q", got)
	}
	f := s.files[path]
	write("broken", time.Minute)
	if err := s.poll(f); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a value that does not parse must be an error naming the file, got %v", err)
	}
	if got := get().Reveal(); got != "first" {
		t.Errorf("a broken value replaced the last good one: %q", got)
	}
	write("second", 2*time.Minute)
	if err := s.poll(f); err != nil {
		t.Fatal(err)
	}
	if got := get().Reveal(); got != "second" {
		t.Errorf("rotation was missed: %q", got)
	}
	censored := string(s.Censor([]byte("first second " + base64.StdEncoding.EncodeToString([]byte("second")))))
	if censored != "XXXXX XXXXXX XXXXXXXX" {
		t.Errorf("old and new values must both be censored: %q", censored)
	}
}

func TestWordsThatAreNoSecretsStayReadable(t *testing.T) {
	var s Store
	s.Add("true")
	s.Add(" False ")
	s.Add(" \n")
	if got := string(s.Censor([]byte("it is true or False"))); got != "it is true or False" {
		t.Error(got)
	}
}

func TestWriterCensorsLogLines(t *testing.T) {
	var s Store
	s.Add("hunter2")
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(Writer{Store: &s, Next: &out}, nil))
	log.Info("got hunter2", "error", errors.New("bad hunter2"))
	if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "XXXXXXX") {
		t.Error(out.String())
	}
}

func TestExpiredTokensAreForgotten(t *testing.T) {
	var s Store
	s.AddUntil("old-token", time.Now().Add(-2*time.Hour))
	s.AddUntil("new-token", time.Now().Add(time.Hour))
	s.AddUntil("no-token", time.Time{})
	if got := string(s.Censor([]byte("old-token new-token no-token"))); got != "old-token XXXXXXXXX no-token" {
		t.Errorf("got %q", got)
	}
	s.AddUntil("kept", time.Now().Add(time.Hour))
	s.Add("kept")
	s.AddUntil("kept", time.Now().Add(-2*time.Hour))
	s.Add("another")
	if got := string(s.Censor([]byte("kept"))); got != "XXXX" {
		t.Errorf("a secret for ever was forgotten: %q", got)
	}
}
