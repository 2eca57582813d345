// Package live keeps a value that is read from files current.
//
// A Watcher loads once, and fails if that fails. From then on it looks at the
// stamp of the files every second; when the stamp changes, and has settled, it
// loads again. What loads is published by swapping one pointer; what does not
// load changes nothing but Status, which tells everyone who asks what is wrong.
// A file that is mended is noticed like any other change.
//
// Polling is deliberate: it works on every file system and with every way of
// replacing files, such as the symbolic links of a mounted ConfigMap, and
// costs one stat for each file.
package live

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Source reads a value from files.
type Source[T any] interface {
	// Load reads the value. It is called by one goroutine at a time, and the
	// value is never changed afterwards.
	Load(ctx context.Context) (*T, error)
	// Stamp tells cheaply whether Load might return something else: it changes
	// when a file appears, vanishes, or is written.
	Stamp() string
	// Version identifies the content of a value: values with equal versions
	// are equal.
	Version(*T) string
}

// Warner is a Source that knows of mistakes in a value that do no harm. Each is
// logged once, when a value with it is served first.
type Warner[T any] interface {
	Warnings(*T) []string
}

// Leveler is a Source whose values say how much is logged.
type Leveler[T any] interface {
	LogLevel(*T) slog.Level
}

// Options tune a Watcher; zero values are the defaults.
type Options struct {
	// Name says in logs what is watched.
	Name string
	// Interval is the time between two looks at the files. Default: 1s.
	Interval time.Duration
	// RetryAfter is the time after which a failed load is tried again although
	// nothing seems to have changed. Default: 30s.
	RetryAfter time.Duration
	// ForceAfter is the time after which the files are read again although
	// nothing seems to have changed. Default: 10m.
	ForceAfter time.Duration
	// Observe is told about every load, for metrics. It must not block.
	Observe func(Status)
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// Level, if set, follows the level that the served value asks for; tools
	// that only load leave their own alone.
	Level *slog.LevelVar
}

func (o *Options) setDefaults() {
	if o.Name == "" {
		o.Name = "configuration"
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.RetryAfter <= 0 {
		o.RetryAfter = 30 * time.Second
	}
	if o.ForceAfter <= 0 {
		o.ForceAfter = 10 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Status tells what is served and what is wrong.
type Status struct {
	// Version identifies the content that is served.
	Version string
	// LoadedAt is when that content was read first.
	LoadedAt time.Time
	// Err is why the last load failed; nil if the files are as they are served.
	Err error
	// FailingSince is when the loads began to fail; zero if Err is nil.
	FailingSince time.Time
	// Took is how long the last load took.
	Took time.Duration
}

// Delta is a change of the value.
type Delta[T any] struct {
	Before, After *T
}

// Watcher serves the last good value. Get, Status and Subscribe may be called
// from any goroutine.
type Watcher[T any] struct {
	source Source[T]
	opts   Options
	value  atomic.Pointer[T]
	status atomic.Pointer[Status]

	mu          sync.Mutex
	subscribers map[chan Delta[T]]struct{}

	// The rest belongs to Run.
	loadedStamp, seenStamp string
	unsettled              int
	attempted              time.Time
}

// New loads the value for the first time; an error is the caller's to report.
// Run keeps it current.
func New[T any](ctx context.Context, source Source[T], opts Options) (*Watcher[T], error) {
	opts.setDefaults()
	w := &Watcher[T]{source: source, opts: opts, subscribers: map[chan Delta[T]]struct{}{}}
	w.loadedStamp = source.Stamp()
	w.seenStamp = w.loadedStamp
	start := time.Now()
	value, err := source.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", opts.Name, err)
	}
	w.attempted = time.Now()
	w.value.Store(value)
	w.setLevel(value)
	w.warn(nil, value)
	w.setStatus(Status{Version: source.Version(value), LoadedAt: w.attempted, Took: w.attempted.Sub(start)})
	return w, nil
}

// Get returns the value, which must not be changed.
func (w *Watcher[T]) Get() *T { return w.value.Load() }

// Status tells what is served and what is wrong.
func (w *Watcher[T]) Status() Status { return *w.status.Load() }

// Subscribe returns a channel of changes and a function that ends the
// subscription. A receiver that is slow gets several changes as one, from the
// oldest value it has not seen replaced to the newest; none is lost.
func (w *Watcher[T]) Subscribe() (changes <-chan Delta[T], cancel func()) {
	ch := make(chan Delta[T], 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscribers[ch] = struct{}{}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subscribers, ch)
	}
}

// Run keeps the value current until the context ends. It must be called once.
func (w *Watcher[T]) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.look(ctx)
		}
	}
}

// maxUnsettled is how often a changing stamp puts a load off, so that files
// that are written all the time are read all the same.
const maxUnsettled = 5

// look decides whether to load.
func (w *Watcher[T]) look(ctx context.Context) {
	stamp := w.source.Stamp()
	// A file that is being written would be read in half: wait until two
	// looks see the same.
	settled := stamp == w.seenStamp
	w.seenStamp = stamp
	idle := time.Since(w.attempted)
	switch {
	case stamp == w.loadedStamp && w.Status().Err == nil && idle < w.opts.ForceAfter:
		return
	case stamp == w.loadedStamp && w.Status().Err != nil && idle < w.opts.RetryAfter:
		return
	case !settled && w.unsettled < maxUnsettled:
		w.unsettled++
		return
	}
	w.unsettled = 0
	w.load(ctx, stamp)
}

func (w *Watcher[T]) load(ctx context.Context, stamp string) {
	start := time.Now()
	value, err := w.source.Load(ctx)
	if ctx.Err() != nil {
		return
	}
	w.attempted, w.loadedStamp = time.Now(), stamp
	took := w.attempted.Sub(start)
	last := w.Status()
	log := w.opts.Logger
	if err != nil {
		next := last
		next.Err, next.Took = err, took
		if last.Err == nil {
			next.FailingSince = w.attempted
		}
		// The same mistake is told once.
		if last.Err == nil || last.Err.Error() != err.Error() {
			log.Error("Keeping the last good "+w.opts.Name+": the new one does not load.", "err", err, "serving", last.Version)
		}
		w.setStatus(next)
		return
	}
	version := w.source.Version(value)
	if version == last.Version {
		if last.Err != nil {
			log.Info("The "+w.opts.Name+" is back as it is served.", "version", version)
		}
		last.Err, last.FailingSince, last.Took = nil, time.Time{}, took
		w.setStatus(last)
		return
	}
	before := w.value.Swap(value)
	w.setStatus(Status{Version: version, LoadedAt: w.attempted, Took: took})
	log.Info("Serving a new "+w.opts.Name+".", "version", version, "took", took)
	w.setLevel(value)
	w.warn(before, value)
	w.publish(Delta[T]{Before: before, After: value})
}

func (w *Watcher[T]) setLevel(value *T) {
	if leveler, ok := w.source.(Leveler[T]); ok && w.opts.Level != nil {
		w.opts.Level.Set(leveler.LogLevel(value))
	}
}

// maxWarnings is how many warnings about one value get a line of their own.
const maxWarnings = 20

// warn logs the warnings about a value that its predecessor did not have.
func (w *Watcher[T]) warn(before, after *T) {
	warner, ok := w.source.(Warner[T])
	if !ok {
		return
	}
	known := map[string]bool{}
	if before != nil {
		for _, text := range warner.Warnings(before) {
			known[text] = true
		}
	}
	logged, more := 0, 0
	for _, text := range warner.Warnings(after) {
		switch {
		case known[text]:
		case logged < maxWarnings:
			w.opts.Logger.Warn("The "+w.opts.Name+" has a mistake that does no harm.", "warning", text)
			logged++
		default:
			more++
		}
	}
	if more > 0 {
		w.opts.Logger.Warn("The "+w.opts.Name+" has more mistakes that do no harm.", "more", more)
	}
}

func (w *Watcher[T]) publish(d Delta[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.subscribers {
		next := d
		select {
		case unseen := <-ch:
			next.Before = unseen.Before
		default:
		}
		ch <- next // there is room: this is the only sender
	}
}

func (w *Watcher[T]) setStatus(s Status) {
	w.status.Store(&s)
	if w.opts.Observe != nil {
		w.opts.Observe(s)
	}
}
