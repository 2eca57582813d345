package ghproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"prow/internal/forge/httpcache"
)

// partitions divide the cache among credentials, so that answers that differ by
// who asks do not drive each other out. What a partition holds is only ever
// served after GitHub has accepted the asker's own credential for it.
type partitions struct {
	// disk is nil where answers are kept elsewhere; shared keeps them in one place.
	disk    *httpcache.Disk
	legacy  bool
	shared  httpcache.Store
	metrics *metrics
	now     func() time.Time
	log     *slog.Logger

	mu    sync.Mutex
	known map[string]*partition
}

// partition is a part of the cache.
type partition struct {
	name string
	// store holds the answers on disk; nil in other stores.
	store *httpcache.DiskPart
	// expires is the latest time that was told; zero is never. used is the last request.
	expires, used time.Time
}

// nameOf is the partition of a request. Installation tokens change every hour;
// their installation, which the budget names, stays.
func nameOf(budget, credential string) string {
	if strings.Contains(budget, " - ") {
		return hashOf("installation " + budget)
	}
	return credential
}

// of returns the partition of a request, which begins with the first one.
func (p *partitions) of(req *http.Request, name string) *partition {
	var expires time.Time
	var bad error
	if raw := req.Header.Get(tokenExpiry); raw != "" {
		if expires, bad = time.Parse(time.RFC3339, raw); bad != nil {
			p.log.ErrorContext(req.Context(), "The expiry of a token is not a time.", "path", req.URL.Path, "value", raw, "user-agent", req.UserAgent())
			expires = time.Time{}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	part, isNew := p.known[name], false
	if part == nil {
		isNew = true
		part = &partition{name: name}
		if p.disk != nil {
			directory := name
			if p.legacy {
				directory = "."
			}
			part.store = p.disk.Part(directory)
		}
		p.known[name] = part
		p.metrics.partitions.WithLabelValues(name).Inc()
		p.metrics.misspelt.WithLabelValues(name).Inc()
	}
	part.used = p.now()
	if expires.After(part.expires) && (isNew || !part.expires.IsZero()) {
		part.expires = expires
		if part.store != nil && !p.legacy {
			if err := writeMetadata(part.store, expires); err != nil {
				p.log.WarnContext(req.Context(), "The expiry of a part of the cache cannot be written.", "error", err)
			}
		}
	}
	return part
}

type metadata struct {
	ExpiresAt time.Time `json:"expires_at"`
}

func writeMetadata(store *httpcache.DiskPart, expires time.Time) error {
	raw, err := json.Marshal(metadata{expires.UTC()})
	if err != nil {
		return err
	}
	data, temp := store.Dirs()
	for _, dir := range []string{data, temp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, httpcache.MetadataFile), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// idle is how long a partition without expiry may be unused before the process
// forgets that it knows it; its answers stay.
const idle = 24 * time.Hour

// prune removes the partitions that have expired, those of earlier processes
// included.
func (p *partitions) prune() error {
	now := p.now()
	p.mu.Lock()
	for name, part := range p.known {
		if !part.expires.IsZero() && !part.expires.After(now) || now.Sub(part.used) > idle {
			delete(p.known, name)
		}
	}
	p.mu.Unlock()
	if p.disk == nil || p.legacy {
		return nil
	}
	var errs []error
	entries, err := os.ReadDir(p.disk.DataDir())
	if err != nil {
		return fmt.Errorf("prune the cache: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		expires, err := readMetadata(filepath.Join(p.disk.DataDir(), e.Name(), httpcache.MetadataFile))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			p.log.Warn("The expiry of a part of the cache cannot be read.", "part", e.Name(), "error", err)
		case !expires.After(now):
			errs = append(errs, p.disk.RemovePart(e.Name()))
		}
	}
	return errors.Join(errs...)
}

func readMetadata(path string) (time.Time, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	var m metadata
	return m.ExpiresAt, json.Unmarshal(raw, &m)
}

type partitionKey struct{}

func withPartition(ctx context.Context, p *partition) context.Context {
	return context.WithValue(ctx, partitionKey{}, p)
}

// Get implements httpcache.Store for the partition of the request.
func (p *partitions) Get(ctx context.Context, key string) *httpcache.Entry {
	store, key := p.at(ctx, key)
	return store.Get(ctx, key)
}

// Put implements httpcache.Store.
func (p *partitions) Put(ctx context.Context, key string, e *httpcache.Entry) {
	store, key := p.at(ctx, key)
	store.Put(ctx, key, e)
}

// Delete implements httpcache.Store.
func (p *partitions) Delete(ctx context.Context, key string) {
	store, key := p.at(ctx, key)
	store.Delete(ctx, key)
}

func (p *partitions) at(ctx context.Context, key string) (httpcache.Store, string) {
	part := ctx.Value(partitionKey{}).(*partition)
	if part.store != nil {
		return part.store, key
	}
	return p.shared, part.name + " " + key
}
