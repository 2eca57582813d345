package deck

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"prow/internal/deck/testgrid"
	"prow/internal/storage"
	"prow/internal/store"
)

const (
	// settledAfter is how long after its end the results of a build are taken for the
	// last ones: until then some may be on their way to storage.
	settledAfter = 15 * time.Minute
	// unsettledFor is how long results are believed that are not, and failures to read.
	unsettledFor = time.Minute
	// buildsAtOnce is of how many builds the results are read at the same time;
	// maxReadings how many builds are read or wait for that.
	buildsAtOnce = 4
	maxReadings  = 200
	// resultsTimeout bounds the reading of the results of a build.
	resultsTimeout = 2 * time.Minute
	// maxReadRoom bounds the files that are parsed at the same time, in bytes.
	maxReadRoom = 96 << 20
	// maxKnownResults bounds the packed results that are in memory, in bytes.
	maxKnownResults = 48 << 20
)

// testResults has what became of the tests of builds: in memory, in the store, or in
// storage, where it is read once for all who ask. What is being read goes on when nobody
// waits any more, so that the next one has it.
type testResults struct {
	ctx   context.Context //nolint:containedctx // its end ends all reading
	store *store.Store
	log   *slog.Logger
	now   func() time.Time
	open  func(context.Context, place) (storage.Bucket, error)
	list  func(context.Context, place) ([]storage.Item, bool, error)
	// slots has a place for each build that is read, room for the bytes of their files.
	slots chan struct{}
	room  *semaphore.Weighted

	mu      sync.Mutex
	known   sizedCache[gotResults]
	sets    sizedCache[[]byte]
	reading map[string]*buildReading
}

func newTestResults(ctx context.Context, kept *store.Store, log *slog.Logger, now func() time.Time) *testResults {
	return &testResults{
		ctx: ctx, store: kept, log: log, now: now, slots: make(chan struct{}, buildsAtOnce), room: semaphore.NewWeighted(maxReadRoom),
		known: sizedCache[gotResults]{most: maxKnownResults / 2}, sets: sizedCache[[]byte]{most: maxKnownResults / 2}, reading: map[string]*buildReading{},
	}
}

// wantedResults are those of a build that has ended.
type wantedResults struct {
	place place
	ended time.Time
	files junitFiles
}

func (w *wantedResults) key() string { return w.files.version + " " + w.place.path() }

// gotResults are results as they are stored.
type gotResults struct {
	// set names the tests, whose names are in tests.
	set         string
	tests, body []byte
	// until is when they are not believed any more; zero is never.
	until time.Time
	// problem tells that there is something which could not be read.
	problem bool
	// pending tells that they are not read yet.
	pending bool
}

// buildReading is the reading of a build; done is closed when got is there.
type buildReading struct {
	done chan struct{}
	got  gotResults
}

// get returns the results of builds, those that are there in this time. Others are pending.
func (t *testResults) get(ctx context.Context, wanted []wantedResults, patience time.Duration) []gotResults {
	out := make([]gotResults, len(wanted))
	missing := t.recall(ctx, wanted, out)
	readings := make([]*buildReading, len(wanted))
	for _, i := range missing {
		readings[i] = t.begin(wanted[i])
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	over := false
	for _, i := range missing {
		out[i].pending = true
		if readings[i] == nil {
			continue
		}
		if !over {
			select {
			case <-readings[i].done:
			case <-timer.C:
				over = true
			case <-ctx.Done():
				over = true
			}
		}
		select {
		case <-readings[i].done:
			out[i] = readings[i].got
		default:
		}
	}
	return out
}

// recall fills in what is known in memory and in the store, and returns the places of the
// rest.
func (t *testResults) recall(ctx context.Context, wanted []wantedResults, out []gotResults) (missing []int) {
	inStore, sets := map[string]int{}, map[string]bool{}
	t.mu.Lock()
	now := t.now()
	for i := range wanted {
		key := wanted[i].key()
		if got, ok := t.known.get(key); ok && (got.until.IsZero() || now.Before(got.until)) {
			out[i] = got
			continue
		}
		inStore[key] = i
	}
	t.mu.Unlock()
	var used []string
	if t.store != nil && len(inStore) > 0 {
		ctx, cancel := context.WithTimeout(ctx, recallTimeout)
		defer cancel()
		keys := make([]string, 0, len(inStore))
		for key := range inStore {
			keys = append(keys, key)
		}
		found, err := t.store.TestResults(ctx, keys)
		if err != nil {
			t.log.WarnContext(ctx, "the store cannot be read", "error", err)
		}
		for key, r := range found {
			out[inStore[key]] = gotResults{set: r.Names, body: r.Body}
			used = append(used, key)
		}
	}
	t.mu.Lock()
	for i := range out {
		if set := out[i].set; set != "" {
			if tests, ok := t.sets.get(set); ok {
				out[i].tests = tests
			} else {
				sets[set] = true
			}
		}
	}
	t.mu.Unlock()
	if t.store != nil && len(sets) > 0 {
		ctx, cancel := context.WithTimeout(ctx, recallTimeout)
		defer cancel()
		names := make([]string, 0, len(sets))
		for set := range sets {
			names = append(names, set)
		}
		found, err := t.store.TestNames(ctx, names)
		if err != nil {
			t.log.WarnContext(ctx, "the store cannot be read", "error", err)
		}
		for i := range out {
			if tests, ok := found[out[i].set]; ok {
				out[i].tests = tests
			}
		}
	}
	if len(used) > 0 {
		if err := t.store.KeepTestResults(context.WithoutCancel(ctx), used, t.now()); err != nil {
			t.log.WarnContext(ctx, "the store cannot be written", "error", err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range out {
		switch {
		case out[i].problem:
		case out[i].tests == nil:
			missing = append(missing, i) // also those whose names have gone
		default:
			t.keep(wanted[i].key(), out[i])
		}
	}
	return missing
}

// keep holds results in memory.
func (t *testResults) keep(key string, got gotResults) {
	if got.tests != nil {
		t.sets.put(got.set, got.tests, len(got.tests)+200)
	}
	got.tests = nil
	t.known.put(key, got, len(key)+len(got.body)+200)
}

// forget drops results from memory that cannot be understood, so that they are read anew.
func (t *testResults) forget(w *wantedResults) {
	t.mu.Lock()
	if e := t.known.items[w.key()]; e != nil {
		t.known.drop(e)
	}
	t.mu.Unlock()
	t.begin(*w)
}

// begin has the results of a build read, if nobody else does; nil if too many are.
func (t *testResults) begin(w wantedResults) *buildReading {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := w.key()
	if r := t.reading[key]; r != nil {
		return r
	}
	if got, ok := t.known.get(key); ok && (got.until.IsZero() || t.now().Before(got.until)) {
		if got.tests, ok = t.sets.get(got.set); ok { // somebody was quicker
			r := &buildReading{done: make(chan struct{}), got: got}
			close(r.done)
			return r
		}
	}
	if len(t.reading) >= maxReadings || t.ctx.Err() != nil {
		return nil
	}
	r := &buildReading{done: make(chan struct{})}
	t.reading[key] = r
	go func() {
		defer close(r.done)
		got, keep := t.fetch(w)
		r.got = got
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.reading, key)
		if keep {
			t.keep(key, got)
		}
	}()
	return r
}

// fetch reads the results of a build, and writes them into the store if they are the last.
func (t *testResults) fetch(w wantedResults) (got gotResults, keep bool) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-t.ctx.Done():
		return gotResults{pending: true}, false
	}
	ctx, cancel := context.WithTimeout(t.ctx, resultsTimeout)
	defer cancel()
	got, err := t.packed(ctx, w)
	now := t.now()
	if err != nil {
		if t.ctx.Err() == nil {
			t.log.InfoContext(ctx, "the results of tests of a build cannot be read", "place", w.place.path(), "error", err)
		}
		return gotResults{problem: true, until: now.Add(unsettledFor)}, true
	}
	if now.Sub(w.ended) < settledAfter {
		got.until = now.Add(unsettledFor)
		return got, true
	}
	if t.store != nil {
		err := t.store.PutTestResults(ctx, store.TestResults{Key: w.key(), Names: got.set, Ended: w.ended, Body: got.body}, got.tests, now)
		if err != nil && t.ctx.Err() == nil {
			t.log.WarnContext(ctx, "the store cannot be written", "error", err)
		}
	}
	return got, true
}

// packed reads results into their stored form.
func (t *testResults) packed(ctx context.Context, w wantedResults) (got gotResults, err error) {
	defer func() { // nobody else would catch it here
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic: %v\n%s", p, debug.Stack())
		}
	}()
	summary, err := t.readResults(ctx, w)
	if err != nil {
		return got, err
	}
	return packResults(summary)
}

func packResults(s *testgrid.Summary) (got gotResults, err error) {
	if got.tests, err = s.PackTests(); err != nil {
		return got, err
	}
	if got.body, err = s.PackResults(); err != nil {
		return got, err
	}
	sum := sha256.Sum256(got.tests)
	got.set = hex.EncodeToString(sum[:16])
	return got, nil
}

// sizedCache holds values of a size together, the most recently used ones.
type sizedCache[V any] struct {
	most, size int
	order      list.List
	items      map[string]*list.Element
}

type sizedItem[V any] struct {
	key   string
	value V
	size  int
}

func (c *sizedCache[V]) get(key string) (value V, ok bool) {
	e := c.items[key]
	if e == nil {
		return value, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*sizedItem[V]).value, true
}

func (c *sizedCache[V]) put(key string, value V, size int) {
	if c.items == nil {
		c.items = map[string]*list.Element{}
	}
	if e := c.items[key]; e != nil {
		c.drop(e)
	}
	if size > c.most {
		return
	}
	c.items[key] = c.order.PushFront(&sizedItem[V]{key, value, size})
	for c.size += size; c.size > c.most; {
		c.drop(c.order.Back())
	}
}

func (c *sizedCache[V]) drop(e *list.Element) {
	item := c.order.Remove(e).(*sizedItem[V])
	delete(c.items, item.key)
	c.size -= item.size
}
