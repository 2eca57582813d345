package deck

import (
	"compress/gzip"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"prow/internal/deck/loglines"
	"prow/internal/storage"
)

const (
	// indexMemory bounds what all indexes of lines may cost, in bytes.
	indexMemory = 24 << 20
	// indexBuilds is how many logs are counted at once.
	indexBuilds = 4
	// indexPatience is how long a log is counted on that nobody asks for any more.
	indexPatience = time.Minute
	// gzipTail is how much of the end of a compressed log is remembered, in bytes.
	gzipTail = 256 << 10
	// maxInflated bounds what a compressed log may become, in bytes.
	maxInflated = 8 << 30
)

// textLine is a line of a log.
type textLine = loglines.Line

// progress is how far the lines of a log are counted.
type progress = loglines.Progress

// storedLog is a log in storage, whose lines may still be being counted.
type storedLog struct {
	loglines.Log
	object *storage.Log
	entry  *indexEntry
}

// lineIndexes counts the lines of logs, beside the requests for them: all visitors of
// a log share one index. It goes on while any of them asks, and what was counted
// when the last has left is where the next goes on. It is kept in memory only, for
// who reads a bucket writes nothing into it.
type lineIndexes struct {
	// open opens buckets for the counting, which outlives requests.
	open func(ctx context.Context, p place) (storage.Bucket, error)
	// ctx ends all counting.
	ctx context.Context //nolint:containedctx // the life of the program, not of a request
	log *slog.Logger

	mu    sync.Mutex
	known map[string]*list.Element
	// used has the entries, the last used in front; memory is what they cost together.
	used   list.List
	memory int
	// spooled is what the texts of compressed logs take on disk, in bytes.
	spooled int64
	slots   chan struct{}
}

type indexEntry struct {
	id     string
	index  *loglines.Index
	memory int
	// text is that of a compressed log, once it was read; nil if it is not kept.
	text *spool
	// asked counts requests, building tells that the lines are being counted.
	asked    int
	building bool
}

func newLineIndexes(ctx context.Context, log *slog.Logger, open func(context.Context, place) (storage.Bucket, error)) *lineIndexes {
	return &lineIndexes{open: open, ctx: ctx, log: log, known: map[string]*list.Element{}, slots: make(chan struct{}, indexBuilds)}
}

// of returns the log of an object, and sees to it that its lines are counted. The log
// can be read as long as the bucket is open.
func (x *lineIndexes) of(ctx context.Context, bucket storage.Bucket, p place) (*storedLog, error) {
	object, err := storage.StatLog(ctx, bucket, p.key)
	if err != nil {
		return nil, err
	}
	id := p.path() + "\x00" + strconv.FormatInt(object.Size, 10) + "\x00" + strconv.FormatInt(object.ModTime.UnixNano(), 10)
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.entry(id)
	e.asked++
	log := &storedLog{Log: e.logOf(object), object: object, entry: e}
	if now, _ := e.index.Progress(); !now.Complete && !e.building {
		e.building = true
		go x.build(p, e)
	}
	return log, nil
}

func (e *indexEntry) logOf(object *storage.Log) loglines.Log {
	switch {
	case object.ContentEncoding != "gzip":
		return loglines.Log{Open: object.Reader, Index: e.index, Size: object.Size}
	case e.text != nil:
		return loglines.Log{Open: e.text.open, Index: e.index, Size: e.text.size}
	}
	return loglines.Log{Open: inflated(object), Index: e.index, Size: -1}
}

// entry finds or makes an entry, and makes it the last used.
func (x *lineIndexes) entry(id string) *indexEntry {
	if el := x.known[id]; el != nil {
		x.used.MoveToFront(el)
		return el.Value.(*indexEntry)
	}
	e := &indexEntry{id: id, index: &loglines.Index{KeepTail: gzipTail}}
	x.known[id] = x.used.PushFront(e)
	x.weigh(e)
	return e
}

// weigh takes note of what an entry costs, and lets the least used go.
func (x *lineIndexes) weigh(e *indexEntry) {
	if x.known[e.id] == nil || x.known[e.id].Value != e {
		return
	}
	now := e.index.Memory()
	x.memory += now - e.memory
	e.memory = now
	for el := x.used.Back(); el != nil && x.memory > indexMemory; {
		old, before := el.Value.(*indexEntry), el.Prev()
		if old != e && !old.building {
			x.dropText(old)
			x.used.Remove(el)
			delete(x.known, old.id)
			x.memory -= old.memory
		}
		el = before
	}
}

// build counts lines until all are, or nobody asks any more.
func (x *lineIndexes) build(p place, e *indexEntry) {
	ctx, stop := context.WithCancel(x.ctx)
	defer stop()
	done := make(chan struct{})
	defer close(done)
	go x.watch(e, stop, done)
	err := x.count(ctx, p, e)
	x.mu.Lock()
	defer x.mu.Unlock()
	e.building = false
	x.weigh(e)
	if err != nil && ctx.Err() == nil {
		x.log.InfoContext(x.ctx, "the lines of a log cannot be counted", "place", p.path(), "error", err)
	}
}

// watch stops the counting for which nobody asked in a while.
func (x *lineIndexes) watch(e *indexEntry, stop func(), done <-chan struct{}) {
	tick := time.NewTicker(indexPatience)
	defer tick.Stop()
	was := -1
	for {
		x.mu.Lock()
		asked := e.asked
		x.weigh(e)
		x.mu.Unlock()
		if asked == was {
			stop()
			return
		}
		was = asked
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

func (x *lineIndexes) count(ctx context.Context, p place, e *indexEntry) error {
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	bucket, err := x.open(ctx, p)
	if err != nil {
		return err
	}
	defer bucket.Close() //nolint:errcheck // only read
	object, err := storage.StatLog(ctx, bucket, p.key)
	if err != nil {
		return err
	}
	if p.path()+"\x00"+strconv.FormatInt(object.Size, 10)+"\x00"+strconv.FormatInt(object.ModTime.UnixNano(), 10) != e.id {
		return errors.New("it was replaced meanwhile")
	}
	if object.ContentEncoding != "gzip" {
		e.index.KeepTail = 0 // its end can be read where it is
		return e.index.Build(ctx, object.Reader)
	}
	spooled := spooling{reserve: x.reserve}
	err = e.index.Build(ctx, spooled.through(inflated(object)))
	now, _ := e.index.Progress()
	if err != nil || !now.Complete {
		now.Bytes = -1 // it is not whole
	}
	x.keepText(e, spooled.done(now.Bytes), spooled.taken)
	return err
}

// reserve takes so many bytes of the disk for a text, and lets those go for it that were
// not used for the longest.
func (x *lineIndexes) reserve(bytes int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for el := x.used.Back(); el != nil && x.spooled+bytes > spoolMost; el = el.Prev() {
		x.dropText(el.Value.(*indexEntry))
	}
	if x.spooled+bytes > spoolMost {
		return false
	}
	x.spooled += bytes
	return true
}

func (x *lineIndexes) dropText(e *indexEntry) {
	if e.text != nil {
		x.spooled -= e.text.size
		e.text.release()
		e.text = nil
	}
}

// keepText keeps the text of a compressed log, for which so much of the disk was taken;
// without a text that is given back.
func (x *lineIndexes) keepText(e *indexEntry, text *spool, taken int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	known := x.known[e.id]
	if text == nil || known == nil || known.Value != e {
		x.spooled -= taken
		if text != nil {
			text.release()
		}
		return
	}
	e.text = text
}

// counted waits until enough was counted, for a moment only.
func (l *storedLog) counted(ctx context.Context, moment time.Duration, enough func(progress) bool) progress {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	for {
		now, changed := l.Index.Progress()
		if now.Complete || enough(now) {
			return now
		}
		select {
		case <-ctx.Done():
			return now
		case <-timer.C:
			return now
		case <-changed:
		}
	}
}

// percent is how much of the log was counted. Of a compressed one nobody knows.
func (l *storedLog) percent(now progress) int {
	switch {
	case now.Complete:
		return 100
	case l.Size <= 0:
		return 0
	}
	return int(100 * now.Bytes / l.Size)
}

// inflated reads the text of a compressed log from an offset on: all before it has to
// be read, too.
func inflated(object *storage.Log) loglines.Open {
	return func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		raw, err := object.Reader(ctx, 0)
		if err != nil {
			return nil, err
		}
		text, err := gzip.NewReader(raw)
		if err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		limited := io.LimitReader(text, maxInflated)
		if _, err := io.CopyN(io.Discard, limited, offset); err != nil && !errors.Is(err, io.EOF) {
			return nil, errors.Join(fmt.Errorf("inflating: %w", err), raw.Close())
		}
		return struct {
			io.Reader
			io.Closer
		}{limited, raw}, nil
	}
}
