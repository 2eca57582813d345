package manager

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube/fleet"
	"prow/internal/storage"
)

const (
	// statusInterval is how often the cluster status file is written.
	statusInterval = time.Minute
	// statusSoon is when it is written first, once the clusters had time to answer.
	statusSoon = 5 * time.Second
	// statusLimit bounds one write.
	statusLimit = 30 * time.Second
)

// statusFile publishes how the build clusters are doing, as JSON by alias.
type statusFile struct {
	statuses func() map[string]fleet.Status
	// path is where; empty is nowhere.
	path     func() string
	storage  *storage.Opener
	log      *slog.Logger
	dryRun   bool
	interval time.Duration
}

// Start writes the file until ctx ends. A write that fails is tried again at the
// next turn.
func (s *statusFile) Start(ctx context.Context) error {
	timer := time.NewTimer(min(statusSoon, s.interval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := s.write(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the cluster status file cannot be written", "error", err)
		}
		timer.Reset(s.interval)
	}
}

func (s *statusFile) write(ctx context.Context) error {
	where := s.path()
	if where == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	content, err := json.Marshal(s.statuses())
	if err != nil {
		return err
	}
	if s.dryRun {
		s.log.InfoContext(ctx, "dry run: the cluster status file is not written", "path", where, "content", string(content))
		return nil
	}
	location, err := prowv1.ParseStoragePath(where)
	if err != nil {
		return fmt.Errorf("plank.build_cluster_status_file: %w", err)
	}
	dir, file := path.Split(strings.TrimSuffix(location.FullPath(), "/"))
	if dir == "" || file == "" {
		return fmt.Errorf("plank.build_cluster_status_file: %q names no file in a bucket", where)
	}
	bucket, err := s.storage.Open(ctx, location.Provider+"://"+strings.TrimSuffix(dir, "/"))
	if err != nil {
		return fmt.Errorf("plank.build_cluster_status_file: %w", err)
	}
	defer func() { _ = bucket.Close() }()
	if err := bucket.Put(ctx, file, bytes.NewReader(content), storage.PutOptions{ContentType: "application/json", CacheControl: "no-cache"}); err != nil {
		return fmt.Errorf("write %s: %w", where, err)
	}
	return nil
}
