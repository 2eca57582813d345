package deck

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"prow/internal/store"
)

// recollection remembers what storage said, so that it is not asked again, neither by the
// next visitor nor by the next process. Without a store it remembers nothing.
type recollection struct {
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	mu sync.Mutex
	// fresh is to be written; used was read and is of use.
	fresh map[string][]byte
	used  map[string]bool
}

const (
	// maxFresh bounds what waits to be written.
	maxFresh = 4096
	// recallTimeout bounds what the store may hold a page up.
	recallTimeout = 2 * time.Second
)

// recall reads a value, and tells whether there is one.
func (c *recollection) recall(ctx context.Context, key string, into any) bool {
	if c.store == nil {
		return false
	}
	c.mu.Lock()
	raw, ok := c.fresh[key]
	c.mu.Unlock()
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, recallTimeout)
		defer cancel()
		found, err := c.store.Recall(ctx, []string{key})
		if err != nil {
			c.log.WarnContext(ctx, "the store cannot be read", "error", err)
			return false
		}
		if raw, ok = found[key]; !ok {
			return false
		}
		c.mu.Lock()
		if c.used == nil {
			c.used = map[string]bool{}
		}
		if len(c.used) < maxFresh {
			c.used[key] = true
		}
		c.mu.Unlock()
	}
	if err := json.Unmarshal(raw, into); err != nil {
		c.log.InfoContext(ctx, "what the store remembers cannot be understood", "key", key, "error", err)
		return false
	}
	return true
}

// remember keeps a value until flush writes it. One that is too long is not kept.
func (c *recollection) remember(key string, value any, most int) {
	if c.store == nil {
		return
	}
	raw, err := json.Marshal(value)
	if err != nil || len(raw) > most {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		c.fresh = map[string][]byte{}
	}
	if len(c.fresh) < maxFresh {
		c.fresh[key] = raw
	}
}

// flush writes what is to be remembered. A request does so once, in its end.
func (c *recollection) flush(ctx context.Context) {
	if c.store == nil {
		return
	}
	c.mu.Lock()
	fresh, used := c.fresh, slices.Collect(maps.Keys(c.used))
	c.fresh, c.used = nil, nil
	c.mu.Unlock()
	if len(fresh) == 0 && len(used) == 0 {
		return
	}
	// The visitor may have left; what was read for them is of use to others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTimeout)
	defer cancel()
	err := c.store.Remember(ctx, fresh, c.now())
	if err == nil && len(used) > 0 {
		err = c.store.KeepRemembered(ctx, used, c.now())
	}
	if err != nil {
		c.log.WarnContext(ctx, "the store cannot be written", "error", err)
	}
}
