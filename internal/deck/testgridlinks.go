package deck

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"prow/internal/deck/spyglass"
	"prow/internal/storage"
)

const (
	// dashboardsPeriod is how often the configuration of TestGrid is read.
	dashboardsPeriod = 10 * time.Minute
	// dashboardsLook is how often it is looked whether it is somewhere else.
	dashboardsLook = 5 * time.Second
	// dashboardsTimeout bounds the reading; maxDashboards the size, in bytes.
	dashboardsTimeout = time.Minute
	maxDashboards     = 128 << 20
)

// testGrid knows where TestGrid shows jobs.
type testGrid struct {
	log *slog.Logger
	// where is the address of TestGrid's configuration; empty for none.
	where   func() string
	storage *storage.Opener
	known   atomic.Pointer[spyglass.Dashboards]
}

func (t *testGrid) link(root, job string) string {
	if t == nil || !spyglass.IsWeb(root) {
		return ""
	}
	return t.known.Load().Link(root, job)
}

// run reads the configuration again and again. What cannot be read stays as it was.
func (t *testGrid) run(ctx context.Context) error {
	look := time.NewTicker(dashboardsLook)
	defer look.Stop()
	last, next := "", time.Time{}
	for {
		where := t.where()
		if where != last || time.Now().After(next) {
			if where != last {
				t.known.Store(nil)
			}
			last, next = where, time.Now().Add(dashboardsPeriod)
			if where != "" {
				t.fetch(ctx, where)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

func (t *testGrid) fetch(ctx context.Context, where string) {
	ctx, cancel := context.WithTimeout(ctx, dashboardsTimeout)
	defer cancel()
	raw, err := t.read(ctx, where)
	if err == nil {
		var known *spyglass.Dashboards
		if known, err = spyglass.ParseDashboards(raw); err == nil {
			t.known.Store(known)
			return
		}
	}
	t.log.WarnContext(ctx, "the configuration of TestGrid cannot be read; its links stay as they were", "place", where, "error", err)
}

func (t *testGrid) read(ctx context.Context, where string) ([]byte, error) {
	if strings.HasPrefix(where, "/") {
		f, err := os.Open(where)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read
		out, err := io.ReadAll(io.LimitReader(f, maxDashboards+1))
		if err == nil && len(out) > maxDashboards {
			err = fmt.Errorf("it is longer than %d bytes", maxDashboards)
		}
		return out, err
	}
	end := strings.LastIndexByte(where, '/')
	bucket, err := t.storage.Open(ctx, where[:max(end, 0)])
	if err != nil {
		return nil, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	return storage.ReadAll(ctx, bucket, where[end+1:], maxDashboards)
}
