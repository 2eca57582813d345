package deck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"prow/internal/deck/loglines"
)

const (
	// liveWindow is how much of the end of a running log is kept, in bytes.
	liveWindow = 2 << 20
	// maxLiveLogs is how many logs are followed at once.
	maxLiveLogs = 128
	// liveIdle is how long a log is followed after its last reader left.
	liveIdle = 30 * time.Second
	// maxReopen is how often a stream that broke is opened again.
	maxReopen = 10
	// maxWatchers is how many clients may follow logs at once.
	maxWatchers = 2000
	// wakeEvery is how often watchers are woken at most, however fast lines come.
	wakeEvery = 50 * time.Millisecond
	// batchBytes is about how much of a log one batch carries, as HTML.
	batchBytes = 64 << 10
	// sharedBatches is how many batches of a log are kept for those who follow.
	sharedBatches = 8
)

// errBusy tells that as many follow logs as may.
var errBusy = errors.New("too many logs are being followed at the moment; try again later")

// liveLine is a line with its colours, which follow from all lines before it.
type liveLine struct {
	textLine
	html template.HTML
}

// batch is some lines in a row. Watchers share it: what is sent is made once.
type batch struct {
	// first is the number of the first line, from 0.
	first int64
	lines []liveLine

	once    sync.Once
	encoded []byte
}

func (b *batch) next() int64 { return b.first + int64(len(b.lines)) }

// event is the batch as an event for browsers, with lines numbered from 1.
func (b *batch) event() []byte {
	b.once.Do(func() {
		lines := make([]template.HTML, len(b.lines))
		for i, line := range b.lines {
			lines[i] = line.html
		}
		data, err := json.Marshal(struct {
			First int64           `json:"first"`
			Lines []template.HTML `json:"lines"`
		}{b.first + 1, lines})
		if err != nil { // text is always encoded
			return
		}
		b.encoded = fmt.Appendf(nil, "id: %d\ndata: %s\n\n", b.next(), data)
	})
	return b.encoded
}

// liveLogs follows the logs of running containers. Each is read once, from the
// beginning, so that its lines have numbers; all who watch share what was read, and
// memory is bounded by liveWindow for each.
type liveLogs struct {
	open func(ctx context.Context, id containerID, follow bool) (io.ReadCloser, error)
	// over tells that the pod of a container is not going to come, or to come back.
	over func(id containerID) bool
	// ended tells that a container has ended; streams also end for other reasons.
	ended func(ctx context.Context, id containerID) bool
	// ctx ends all streams.
	ctx context.Context //nolint:containedctx // the life of the program, not of a request

	mu       sync.Mutex
	logs     map[containerID]*liveLog
	watchers int
	// most is how many watchers there may be.
	most int
}

// watch counts one who follows a log, until release is called.
func (l *liveLogs) watch() (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers >= l.most {
		return nil, errBusy
	}
	l.watchers++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watchers--
	}), nil
}

// acquire returns the log of a container, which is followed until release is called.
func (l *liveLogs) acquire(id containerID) (log *liveLog, release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log = l.logs[id]
	if log == nil {
		if len(l.logs) >= maxLiveLogs {
			return nil, nil, errBusy
		}
		ctx, stop := context.WithCancel(l.ctx)
		log = &liveLog{changed: make(chan struct{}), stop: stop}
		l.logs[id] = log
		go func() {
			defer stop()
			err := log.read(ctx, func(ctx context.Context) (io.ReadCloser, error) { return l.open(ctx, id, true) }, func() bool { return l.over(id) }, func() bool { return l.ended(ctx, id) })
			if err != nil {
				// Those who come later try again.
				l.forget(id, log)
			}
			log.finish(err)
		}()
	}
	log.readers++
	var once sync.Once
	return log, func() { once.Do(func() { l.release(id, log) }) }, nil
}

func (l *liveLogs) release(id containerID, log *liveLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log.readers--
	log.idle++
	was := log.idle
	if log.readers > 0 {
		return
	}
	time.AfterFunc(liveIdle, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		// Somebody may have come and gone in the meantime; their timer decides.
		if log.readers == 0 && log.idle == was {
			log.stop()
			if l.logs[id] == log {
				delete(l.logs, id)
			}
		}
	})
}

func (l *liveLogs) forget(id containerID, log *liveLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs[id] == log {
		delete(l.logs, id)
	}
}

// liveLog is the end of one log.
type liveLog struct {
	stop context.CancelFunc
	// readers and idle belong to liveLogs.
	readers, idle int

	mu    sync.Mutex
	lines []liveLine
	size  int
	paint painter
	// shared are the last batches, the newest at the end.
	shared []*batch
	// first is the number of the first line kept, from 0.
	first   int64
	started bool
	done    bool
	err     error
	changed chan struct{}
	// woken is when the watchers were last woken; waking that they will be soon.
	woken  time.Time
	waking bool
}

// read reads the log until its container has ended.
func (g *liveLog) read(ctx context.Context, open func(context.Context) (io.ReadCloser, error), over, ended func() bool) error {
	var seen int64 // lines read, over all attempts
	wait := 100 * time.Millisecond
	for attempt := 0; ; {
		stream, err := open(ctx)
		switch {
		case err == nil:
			g.begin()
			var whole bool
			seen, whole, err = g.consume(stream, seen)
			_ = stream.Close()
			if whole && ended() {
				return nil
			}
			if !whole {
				attempt++
			}
		case apierrors.IsBadRequest(err) || apierrors.IsNotFound(err): // the container has not started
			if over() {
				return fmt.Errorf("%w: the pod is gone", errNoLog)
			}
		default:
			attempt++
		}
		if attempt > maxReopen {
			return fmt.Errorf("reading the log of the pod: %w", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// consume reads a stream, which begins at the beginning, leaving out the lines that
// were seen before. whole tells that it ended as it should.
func (g *liveLog) consume(stream io.Reader, seen int64) (now int64, whole bool, err error) {
	r := loglines.NewReader(stream)
	for n := int64(0); ; n++ {
		line, err := r.Next()
		if err != nil {
			return max(seen, n), errors.Is(err, io.EOF), err
		}
		if n >= seen {
			g.add(line)
		}
	}
}

func (g *liveLog) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.started = true
	g.wake()
}

func (g *liveLog) add(line textLine) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = append(g.lines, liveLine{line, g.paint.line(line)})
	g.size += g.lines[len(g.lines)-1].size()
	drop := 0
	for g.size > liveWindow && drop < len(g.lines)-1 {
		g.size -= g.lines[drop].size()
		drop++
	}
	if drop > 0 {
		clear(g.lines[:drop])
		g.lines = g.lines[drop:]
		g.first += int64(drop)
	}
	g.wakeSoon()
}

// size is about what a line costs, in bytes.
func (l *liveLine) size() int { return len(l.Text) + len(l.html) + 64 }

// wakeSoon wakes those who wait, unless that was a moment ago: hundreds of them are
// not woken for each of a flood of lines.
func (g *liveLog) wakeSoon() {
	if g.waking {
		return
	}
	rest := wakeEvery - time.Since(g.woken)
	if rest <= 0 {
		g.wake()
		return
	}
	g.waking = true
	time.AfterFunc(rest, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.wake()
	})
}

func (g *liveLog) finish(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done, g.err = true, err
	g.wake()
}

func (g *liveLog) wake() {
	g.woken, g.waking = time.Now(), false
	close(g.changed)
	g.changed = make(chan struct{})
}

// from returns the lines that begin with a number, or with the oldest that is kept, as
// many as one batch carries. Without any, batch is nil, and changed is closed when
// there may be more; done tells that there will be none, and err why not.
func (g *liveLog) from(number int64) (out *batch, changed <-chan struct{}, done bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	number = max(number, g.first)
	at := number - g.first
	if at >= int64(len(g.lines)) {
		return nil, g.changed, g.done, g.err
	}
	// Who comes to where a batch begins takes that: so all come to go the same way.
	for _, b := range g.shared {
		if b.first == number {
			return b, nil, false, nil
		}
	}
	size, count := 0, 0
	rest := g.lines[at:]
	for count < len(rest) && count < batchLines && (count == 0 || size+rest[count].size() <= batchBytes) {
		size += rest[count].size()
		count++
	}
	out = &batch{first: number, lines: append([]liveLine(nil), rest[:count]...)}
	if len(g.shared) == sharedBatches {
		g.shared[0] = nil
		g.shared = g.shared[1:]
	}
	g.shared = append(g.shared, out)
	return out, nil, false, nil
}

// last returns the last lines, at most limit.
func (g *liveLog) last(limit int) (lines []liveLine, first int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := max(0, len(g.lines)-limit)
	return append([]liveLine(nil), g.lines[at:]...), g.first + int64(at)
}

// part returns lines from a number on; ok tells that the first is still kept.
func (g *liveLog) part(number int64, limit int) (lines []liveLine, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := number - g.first
	if at < 0 || at > int64(len(g.lines)) {
		return nil, false
	}
	rest := g.lines[at:]
	return append([]liveLine(nil), rest[:min(len(rest), limit)]...), true
}

// end is the number after the last line.
func (g *liveLog) end() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first + int64(len(g.lines))
}

// settle waits until no line has come for a moment: then what was written before is
// here. It tells whether the log has ended, and why it cannot be read.
func (g *liveLog) settle(ctx context.Context, quiet time.Duration) (done bool, err error) {
	for {
		g.mu.Lock()
		changed, done, err := g.changed, g.done, g.err
		g.mu.Unlock()
		if done {
			return true, err
		}
		timer := time.NewTimer(quiet)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, nil
		case <-timer.C:
			return false, nil
		case <-changed:
			timer.Stop()
		}
	}
}
