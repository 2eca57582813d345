package service

import (
	"log/slog"
	"testing"
)

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{"": slog.LevelInfo, "Debug": slog.LevelDebug, "trace": slog.LevelDebug, "warning": slog.LevelWarn, "FATAL": slog.LevelError} {
		if got, err := ParseLevel(name); err != nil || got != want {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := ParseLevel("loud"); err == nil {
		t.Error("a level that is none is accepted")
	}
}
