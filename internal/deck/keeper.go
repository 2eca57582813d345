package deck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/store"
)

const (
	// saveAfter is how long a run that has ended waits for others, and for its last
	// reports, before it is written.
	saveAfter = 300 * time.Millisecond
	// saveAtOnce is how many runs are written together.
	saveAtOnce = 200
	// saveAgain is how long a store that failed is left alone.
	saveAgain = 5 * time.Second
	// lookInterval is how often the index takes over what others wrote to the store, such
	// as an import; lookBack is how much their clocks may be behind.
	lookInterval = 20 * time.Second
	lookBack     = 5 * time.Minute
	// tidyEvery is how often what is too old is forgotten.
	tidyEvery = time.Hour
	// maxRemembered is how many things about storage are remembered.
	maxRemembered = 300_000
	// maxStoredResults bounds the results of tests in the store, in bytes.
	maxStoredResults = 1 << 30
)

// keeper keeps runs that have ended in a store, and the index current with what it has.
type keeper struct {
	index *index
	store *store.Store
	// placeOf is the directory of a run; empty without one.
	placeOf func(*v1.ProwJob) string
	// age and most bound what is kept.
	age  time.Duration
	most int
	// look is the time between looks at what others wrote.
	look time.Duration
	log  *slog.Logger
	now  func() time.Time
}

// openStore opens the store of the options. Where none can be written it is one for the
// life of this process, or nil. done closes it.
func openStore(ctx context.Context, o *Options, log *slog.Logger) (s *store.Store, done func() error, err error) {
	if o.Store != "" {
		s, err := store.Open(ctx, o.Store)
		if err == nil {
			return s, s.Close, nil
		}
		readOnly := errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
		if !readOnly || o.storeGiven == nil || o.storeGiven() {
			return nil, nil, fmt.Errorf("--store: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "deck")
	if err == nil {
		s, err = store.Open(ctx, filepath.Join(dir, "deck.db"))
	}
	if err != nil {
		log.WarnContext(ctx, "there is no place for a store, so runs are forgotten when they leave the cluster; give one with --store", "error", err)
		return nil, func() error { return nil }, nil
	}
	log.WarnContext(ctx, "runs that have ended are kept in a temporary file, and forgotten when this program ends; give a lasting place with --store", "path", dir)
	return s, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
}

// load fills the index with what the store has.
func (k *keeper) load(ctx context.Context) error {
	begun := k.now()
	var part []*entry
	err := k.store.EachRun(ctx, k.most, func(r store.Run) error {
		if part = append(part, entryOfRow(&r)); len(part) == 1000 {
			k.index.addStored(part)
			part = part[:0]
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the runs in --store: %w", err)
	}
	k.index.addStored(part)
	k.log.InfoContext(ctx, "the runs of the store are loaded", "runs", k.index.size(), "took", k.now().Sub(begun))
	return nil
}

// run writes runs down, takes over what others write, and forgets what is too old.
func (k *keeper) run(ctx context.Context) error {
	look, tidy := time.NewTicker(k.look), time.NewTicker(tidyEvery)
	defer look.Stop()
	defer tidy.Stop()
	save := time.NewTimer(0)
	defer save.Stop()
	waits := true
	since := k.now()
	k.tidy(ctx)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
			defer cancel()
			return k.saveAll(last)
		case <-k.index.wake:
			if !waits {
				save.Reset(saveAfter)
				waits = true
			}
		case <-save.C:
			waits = false
			if err := k.saveAll(ctx); err != nil && ctx.Err() == nil {
				k.log.ErrorContext(ctx, "runs cannot be written to the store; they will be tried again", "error", err)
				save.Reset(saveAgain)
				waits = true
			}
		case <-look.C:
			next := k.now()
			if err := k.takeOver(ctx, since.Add(-lookBack)); err != nil {
				k.log.ErrorContext(ctx, "the store cannot be read", "error", err)
				continue
			}
			since = next
		case <-tidy.C:
			k.tidy(ctx)
		}
	}
}

func (k *keeper) saveAll(ctx context.Context) error {
	for {
		entries := k.index.waiting(saveAtOnce)
		if len(entries) == 0 {
			return nil
		}
		rows := make([]store.Run, 0, len(entries))
		written := entries[:0:0]
		for i, body := range k.index.packed(ctx, entries) {
			if body == nil {
				continue // it could not be read, or has gone meanwhile
			}
			pj, err := unpackBody(body, true)
			if err != nil {
				return fmt.Errorf("run %s: %w", entries[i].name, err)
			}
			rows = append(rows, entries[i].row(k.placeOf(pj), body))
			written = append(written, entries[i])
		}
		if err := k.store.PutRuns(ctx, rows, k.now()); err != nil {
			return err
		}
		k.index.saved(written)
		if len(written) == 0 {
			return fmt.Errorf("%d runs cannot be read", len(entries))
		}
	}
}

// takeOver adds the runs that were written since a time.
func (k *keeper) takeOver(ctx context.Context, since time.Time) error {
	var part []*entry
	err := k.store.EachRunSince(ctx, since, func(r store.Run) error {
		if part = append(part, entryOfRow(&r)); len(part) == 1000 {
			k.index.addStored(part)
			part = part[:0]
		}
		return nil
	})
	k.index.addStored(part)
	if k.index.size() > k.most {
		k.index.prune(k.oldest(), k.most)
	}
	return err
}

// oldest is when the oldest run that is kept began, in Unix seconds.
func (k *keeper) oldest() int64 {
	if k.age == 0 {
		return -1 << 62
	}
	return k.now().Add(-k.age).Unix()
}

func (k *keeper) tidy(ctx context.Context) {
	k.index.prune(k.oldest(), k.most)
	var before time.Time
	if k.age > 0 {
		before = k.now().Add(-k.age)
	}
	runs, err := k.store.PruneRuns(ctx, before, k.most)
	if err == nil {
		_, err = k.store.Forget(ctx, before, maxRemembered)
	}
	if err == nil {
		_, err = k.store.PruneTestResults(ctx, before, maxStoredResults)
	}
	if err != nil && ctx.Err() == nil {
		k.log.ErrorContext(ctx, "the store cannot be tidied", "error", err)
	}
	if runs > 0 {
		k.log.InfoContext(ctx, "runs are forgotten because of their age or number", "runs", runs)
	}
}
