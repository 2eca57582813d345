// Package history remembers what the merge automation did to each branch.
//
// It keeps the newest records of each pool in memory and, where it is given a
// place, in one JSON document that outlives the process.
package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/storage"
)

// maxDocument bounds the document that is read, in bytes.
const maxDocument = 256 << 20

// Record is one action.
type Record struct {
	Time    time.Time     `json:"time"`
	Action  string        `json:"action"`
	BaseSHA string        `json:"baseSHA,omitempty"`
	Target  []prowv1.Pull `json:"target,omitempty"`
	Err     string        `json:"err,omitempty"`
	// Merged are the numbers of those of Target that were merged, where not all were.
	Merged []int `json:"merged,omitempty"`
	// TenantIDs say whose jobs the pool has.
	TenantIDs []string `json:"tenantids"`
}

// Place is an object in storage.
type Place struct {
	Bucket storage.Bucket
	Key    string
}

// History is safe for concurrent use.
type History struct {
	limit int
	place *Place

	mu      sync.Mutex
	records map[string][]Record // by pool, oldest first
	changed bool
}

// New keeps up to limit records of each pool, which must be positive, in memory,
// and in place unless that is nil. A document that is not there yet is empty; one
// that cannot be read is an error.
func New(ctx context.Context, limit int, place *Place) (*History, error) {
	if limit < 1 {
		return nil, fmt.Errorf("history of %d records: expected at least one", limit)
	}
	h := &History{limit: limit, place: place, records: map[string][]Record{}}
	if place == nil {
		return h, nil
	}
	content, err := storage.ReadAll(ctx, place.Bucket, place.Key, maxDocument)
	if errors.Is(err, storage.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	stored := map[string][]Record{}
	if err := json.Unmarshal(content, &stored); err != nil {
		return nil, fmt.Errorf("read the history %s: %w", place.Key, err)
	}
	for pool, records := range stored {
		// Newest first there, oldest first here.
		records = records[:min(len(records), limit)]
		slices.Reverse(records)
		h.records[pool] = records
	}
	return h, nil
}

// Add adds the newest record of a pool. The targets are sorted by number.
func (h *History) Add(pool string, r Record) {
	r.Target = slices.SortedFunc(slices.Values(r.Target), func(a, b prowv1.Pull) int { return a.Number - b.Number })
	h.mu.Lock()
	defer h.mu.Unlock()
	list := append(h.records[pool], r)
	if over := len(list) - h.limit; over > 0 {
		list = slices.Delete(list, 0, over)
	}
	h.records[pool] = list
	h.changed = true
}

// All returns all records by pool, newest first.
func (h *History) All() map[string][]Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.allLocked()
}

func (h *History) allLocked() map[string][]Record {
	out := make(map[string][]Record, len(h.records))
	for pool, records := range h.records {
		newest := slices.Clone(records)
		slices.Reverse(newest)
		out[pool] = newest
	}
	return out
}

// Of returns the last records of a pool, at most n, the oldest first.
func (h *History) Of(pool string, n int) []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.records[pool]
	return slices.Clone(list[max(0, len(list)-n):])
}

// Flush writes the document if anything was added since the last time.
func (h *History) Flush(ctx context.Context) error {
	h.mu.Lock()
	if h.place == nil || !h.changed {
		h.mu.Unlock()
		return nil
	}
	content, err := json.Marshal(h.allLocked())
	h.changed = false
	h.mu.Unlock()
	if err == nil {
		err = h.place.Bucket.Put(ctx, h.place.Key, bytes.NewReader(content), storage.PutOptions{ContentType: "application/json"})
	}
	if err != nil {
		h.mu.Lock()
		h.changed = true
		h.mu.Unlock()
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}
