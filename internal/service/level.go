package service

import (
	"fmt"
	"log/slog"
	"strings"
)

// ParseLevel reads the name of a level of the log, as --log-level of components
// without configuration and log_level of the configuration have them.
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "fatal", "panic":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is no level of a log: debug, info, warn or error", name)
}
