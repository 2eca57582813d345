package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// profileMemory writes heap profiles until ctx ends. Failures are only told:
// nothing depends on a profile.
func profileMemory(ctx context.Context, interval time.Duration, log *slog.Logger) {
	dir, err := os.MkdirTemp("", "heap-profiles-")
	if err != nil {
		log.WarnContext(ctx, "no heap profiles", "error", err)
		return
	}
	log.InfoContext(ctx, "writes heap profiles", "dir", dir, "interval", interval.String())
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := writeHeapProfile(dir); err != nil {
			log.WarnContext(ctx, "a heap profile was not written", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func writeHeapProfile(dir string) error {
	f, err := os.CreateTemp(dir, "heap-profile-")
	if err != nil {
		return fmt.Errorf("heap profile: %w", err)
	}
	defer f.Close() //nolint:errcheck // the error that counts is that of Sync
	runtime.GC()    // the profile is of what is alive
	if err := pprof.WriteHeapProfile(f); err != nil {
		return fmt.Errorf("heap profile %s: %w", f.Name(), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("heap profile %s: %w", f.Name(), err)
	}
	return nil
}
