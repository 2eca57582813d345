package deck

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
)

// textLine is a line of a log without its end. Of a very long one only the
// beginning is kept; length is that of the whole.
type textLine struct {
	text   []byte
	length int
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

	mu   sync.Mutex
	logs map[containerID]*liveLog
}

// acquire returns the log of a container, which is followed until release is called.
func (l *liveLogs) acquire(id containerID) (log *liveLog, release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	log = l.logs[id]
	if log == nil {
		if len(l.logs) >= maxLiveLogs {
			return nil, nil, fmt.Errorf("%d logs are being followed already; try again later", maxLiveLogs)
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
	lines []textLine
	size  int
	// first is the number of the first line kept, from 0.
	first   int64
	started bool
	done    bool
	err     error
	changed chan struct{}
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
	r := newLineReader(stream)
	for n := int64(0); ; n++ {
		line, err := r.next()
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
	g.lines = append(g.lines, line)
	g.size += len(line.text) + lineOverhead
	drop := 0
	for g.size > liveWindow && drop < len(g.lines)-1 {
		g.size -= len(g.lines[drop].text) + lineOverhead
		drop++
	}
	if drop > 0 {
		clear(g.lines[:drop])
		g.lines = g.lines[drop:]
		g.first += int64(drop)
	}
	g.wake()
}

// lineOverhead is what a line costs beside its text.
const lineOverhead = 48

func (g *liveLog) finish(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done, g.err = true, err
	g.wake()
}

func (g *liveLog) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// from returns up to limit lines beginning with a number, or with the oldest that is
// kept, and the number of the first. Without any it returns a channel that is closed
// when there may be more; done tells that there will be none.
func (g *liveLog) from(number int64, limit int) (lines []textLine, first int64, changed <-chan struct{}, done bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	number = max(number, g.first)
	if at := number - g.first; at < int64(len(g.lines)) {
		lines = g.lines[at:min(int64(len(g.lines)), at+int64(limit))]
		// The backing array is only appended to, or left behind.
		return append([]textLine(nil), lines...), number, nil, false, nil
	}
	return nil, number, g.changed, g.done, g.err
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

// lineReader splits a stream into lines in constant memory.
type lineReader struct{ r *bufio.Reader }

// keptBytes is how much of a line is kept.
const keptBytes = 2 * maxLineBytes

func newLineReader(r io.Reader) *lineReader { return &lineReader{bufio.NewReaderSize(r, 64<<10)} }

// next returns the next line; the last one may lack its end. The text is the caller's.
func (l *lineReader) next() (textLine, error) {
	var out textLine
	for {
		part, err := l.r.ReadSlice('\n')
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		if room := keptBytes - len(out.text); room > 0 {
			out.text = append(out.text, part[:min(room, len(part))]...)
		}
		out.length += len(part)
		switch {
		case ended:
			return out, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && out.length > 0:
			return out, nil
		default:
			return textLine{}, err
		}
	}
}

// skip passes over lines and tells how many bytes they had.
func (l *lineReader) skip(lines int64) (int64, error) {
	var bytes int64
	for lines > 0 {
		part, err := l.r.ReadSlice('\n')
		bytes += int64(len(part))
		switch {
		case err == nil:
			lines--
		case !errors.Is(err, bufio.ErrBufferFull):
			return bytes, err
		}
	}
	return bytes, nil
}
