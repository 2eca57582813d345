// Package cli is what the mains of the pod utilities share: where options come
// from, how they log, and with which codes they exit. It uses the standard
// library only, for the sake of entrypoint's size.
package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Exit codes of a utility that did not come to its work.
const (
	ExitBadOptions = 1
	ExitBadUsage   = 2
)

// Load reads the options of a utility. Where the variable is set, even to
// nothing, its JSON is the whole configuration: flags and their defaults have
// no say. Else bind adds flags that write to opts, args are parsed, and what is
// left goes to rest. The code is for an exit in case of an error.
func Load(envName string, lookup func(string) (string, bool), args []string, opts any, bind func(*flag.FlagSet), rest func([]string) error) (exitCode int, err error) {
	if raw, ok := lookup(envName); ok {
		if err := json.Unmarshal([]byte(raw), opts); err != nil {
			return ExitBadOptions, fmt.Errorf("reading options from %s: %w", envName, err)
		}
		return 0, nil
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	bind(flags)
	if err := flags.Parse(args[1:]); err != nil {
		var usage strings.Builder
		flags.SetOutput(&usage)
		flags.Usage()
		return ExitBadUsage, fmt.Errorf("%w\n%s", err, usage.String())
	}
	if err := rest(flags.Args()); err != nil {
		return ExitBadUsage, err
	}
	return 0, nil
}

// NoArgs refuses arguments that are no flags.
func NoArgs(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected arguments: %s", strings.Join(args, " "))
	}
	return nil
}

// List is a flag that may be given repeatedly.
type List []string

// String joins the values.
func (l *List) String() string { return strings.Join(*l, ",") }

// Set adds a value.
func (l *List) Set(value string) error {
	if value == "" {
		return errors.New("empty value")
	}
	*l = append(*l, value)
	return nil
}

// NewLogger writes JSON lines with the fields component, severity, level, msg,
// time, file and func.
func NewLogger(w io.Writer, component string, level slog.Level) *slog.Logger {
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, AddSource: true, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch value := a.Value.Any().(type) {
		case slog.Level:
			name := strings.ToLower(value.String())
			return slog.Group("", "severity", name, "level", name)
		case *slog.Source:
			return slog.Group("", "file", fmt.Sprintf("%s:%d", value.File, value.Line), "func", value.Function)
		}
		return a
	}})
	return slog.New(handler).With("component", component)
}
