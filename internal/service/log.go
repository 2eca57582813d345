package service

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"

	"prow/internal/secret"
)

// NewLogger writes one JSON object per line: level, severity, msg, time, file,
// func, and the fields of the record. Known secrets are censored in every line.
func NewLogger(w io.Writer, level slog.Leveler, secrets *secret.Store) *slog.Logger {
	json := slog.NewJSONHandler(secret.Writer{Store: secrets, Next: w}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.LevelKey {
				return slog.String(slog.LevelKey, strings.ToLower(a.Value.String()))
			}
			if err, ok := a.Value.Any().(error); ok && err != nil {
				return slog.String(a.Key, err.Error())
			}
			return a
		},
	})
	return slog.New(handler{json})
}

// handler adds what log collectors of clouds read: severity, file and func.
type handler struct{ next slog.Handler }

func (h handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }
func (h handler) WithAttrs(a []slog.Attr) slog.Handler           { return handler{h.next.WithAttrs(a)} }
func (h handler) WithGroup(name string) slog.Handler             { return handler{h.next.WithGroup(name)} }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	own := map[string]bool{}
	r.Attrs(func(a slog.Attr) bool { own[a.Key] = true; return true })
	// What the record says itself wins.
	add := func(key, value string) {
		if !own[key] {
			r.AddAttrs(slog.String(key, value))
		}
	}
	add("severity", strings.ToLower(r.Level.String()))
	if r.PC != 0 {
		frame, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
		add("file", filepath.Base(frame.File))
		add("func", frame.Function)
	}
	return h.next.Handle(ctx, r)
}
