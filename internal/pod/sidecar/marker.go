package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"prow/internal/pod/upload"
	"prow/internal/pod/wrapper"
)

const (
	// recheck is how often markers are looked for besides the watch.
	recheck = 10 * time.Second
	// poll is how often they are looked for where a directory cannot be watched.
	poll = 500 * time.Millisecond
	// maxMarker bounds a marker, in bytes.
	maxMarker = 64
)

// result is what a marker says. The code is -1 where err is set.
type result struct {
	code int
	err  error
}

// verdict sums the results of a pod up.
type verdict struct {
	passed, aborted bool
	failures        int
}

func judge(results []result) verdict {
	v := verdict{passed: true}
	for _, r := range results {
		if r.err != nil || r.code != 0 {
			v.passed = false
		}
		if r.err == nil && r.code == wrapper.CodeAborted {
			v.aborted = true
		}
		if r.err != nil || (r.code != 0 && r.code != wrapper.CodePreviousFailed) {
			v.failures++
		}
	}
	return v
}

// await returns the results of all entries, when they are there. Those that are
// missing when the context ends are errors.
func await(ctx context.Context, entries []wrapper.Options, logger *slog.Logger) []result {
	events, interval, stop := watch(entries, logger)
	defer stop()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	results := make([]*result, len(entries))
	for {
		missing := false
		for i := range entries {
			if results[i] == nil {
				results[i] = readMarker(entries[i].MarkerFile)
			}
			missing = missing || results[i] == nil
		}
		if !missing {
			return settle(ctx, results)
		}
		select {
		case <-events:
		case <-ticker.C:
		case <-ctx.Done():
			return settle(ctx, results)
		}
	}
}

func settle(ctx context.Context, results []*result) []result {
	settled := make([]result, len(results))
	for i, r := range results {
		if r == nil {
			r = &result{code: -1, err: fmt.Errorf("the marker is missing: %w", ctx.Err())}
		}
		settled[i] = *r
	}
	return settled
}

// readMarker returns nil while there is no marker.
func readMarker(file string) *result {
	f, err := upload.OpenFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return &result{code: -1, err: err}
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxMarker))
	if err != nil {
		return &result{code: -1, err: err}
	}
	code, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return &result{code: -1, err: fmt.Errorf("marker %s: %w", file, err)}
	}
	return &result{code: code}
}

// watch tells of changes in the directories of the markers. It only hastens
// what looking again would find as well.
func watch(entries []wrapper.Options, logger *slog.Logger) (events <-chan fsnotify.Event, interval time.Duration, stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		logger.Warn("Markers cannot be watched and will be polled.", "error", err.Error())
		return nil, poll, func() {}
	}
	interval = recheck
	for i := range entries {
		if err := watcher.Add(filepath.Dir(entries[i].MarkerFile)); err != nil {
			logger.Warn("A marker cannot be watched and will be polled.", "path", entries[i].MarkerFile, "error", err.Error())
			interval = poll
		}
	}
	return watcher.Events, interval, func() { _ = watcher.Close() }
}
