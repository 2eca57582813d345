package deck

import (
	"context"
	"io"
	"net/http"
	"time"

	v1 "prow/api/prowjobs/v1"
)

const (
	// pageLines and pageBytes bound the part of a log that one page shows.
	pageLines = 1000
	pageBytes = 1 << 20
	// batchLines is how many lines one event carries at most.
	batchLines = 500
	// heartbeat keeps intermediaries from ending a quiet stream.
	heartbeat = 20 * time.Second
)

// sink takes lines of a log that is followed.
type sink interface {
	begin()
	lines(b *batch) error
	// end tells that there are no more.
	end() error
	// beat is called from time to time when nothing happens.
	beat() error
}

type textSink struct{ w http.ResponseWriter }

func (t *textSink) begin() { plainText(t.w) }

func (t *textSink) lines(b *batch) error {
	text := make([]byte, 0, 4<<10)
	for _, line := range b.lines {
		text = append(append(text, line.Text...), '\n')
	}
	_, err := t.w.Write(text)
	return err
}

func (t *textSink) end() error  { return nil }
func (t *textSink) beat() error { return nil }

// eventSink sends lines as HTML, numbered from 1.
type eventSink struct{ w http.ResponseWriter }

func (e *eventSink) begin() { e.w.Header().Set("Content-Type", "text/event-stream") }

func (e *eventSink) lines(b *batch) error {
	_, err := e.w.Write(b.event())
	return err
}

func (e *eventSink) end() error {
	_, err := io.WriteString(e.w, "event: end\ndata: {}\n\n")
	return err
}

func (e *eventSink) beat() error {
	_, err := io.WriteString(e.w, ": still here\n\n")
	return err
}

// follower sends a log to one client. It holds one batch at a time, which others
// share: a slow client costs no more than a fast one, and falls behind.
type follower struct {
	s     *server
	to    sink
	flush func() error
	// next is the number of the next line, from 0.
	next int64
}

func (f *follower) follow(ctx context.Context, pj *v1.ProwJob, container string, log *liveLog) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		b, changed, done, err := log.from(f.next)
		switch {
		case b != nil:
			if f.to.lines(b) != nil || f.flush() != nil {
				return
			}
			f.next = b.next()
			continue
		case done && err != nil:
			f.followStored(ctx, pj, container)
			f.finish()
			return
		case done:
			f.finish()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-beat.C:
			if f.beat() != nil {
				return
			}
			// A container that never starts keeps its log waiting: see whether the run is over.
			if now := f.s.index.get(pj.Name); now == nil || now.Complete() && !log.hasStarted() {
				f.finish()
				return
			}
		}
	}
}

func (f *follower) finish() {
	_ = f.to.end()
	_ = f.flush()
}

func (f *follower) beat() error {
	if err := f.to.beat(); err != nil {
		return err
	}
	return f.flush()
}

func (g *liveLog) hasStarted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started
}

// awaitPod waits until a run has a pod. It returns nil if that never happens.
func (f *follower) awaitPod(ctx context.Context, name string) *v1.ProwJob {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		_, changed := f.s.index.watch()
		pj := f.s.index.get(name)
		switch {
		case pj == nil:
			return nil
		case hasPod(pj):
			return pj
		case pj.Complete():
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-beat.C:
			if f.beat() != nil {
				return nil
			}
		}
	}
}

// followStored sends the rest of a log from storage, where the pod is gone.
func (f *follower) followStored(ctx context.Context, pj *v1.ProwJob, container string) {
	where := f.s.storedLogPlace(pj, container)
	if where == nil {
		return
	}
	bucket, err := f.s.open(ctx, *where)
	if err != nil {
		return
	}
	defer bucket.Close() //nolint:errcheck // only read
	log, err := f.s.lines.of(ctx, bucket, *where)
	if err != nil {
		return
	}
	var paint painter
	for ctx.Err() == nil {
		from := f.next
		if now := log.counted(ctx, heartbeat, func(p progress) bool { return p.Lines > from }); !now.Complete && now.Lines <= from {
			if f.beat() != nil {
				return
			}
			continue
		}
		lines, err := log.Read(ctx, from, batchLines, batchBytes)
		if err != nil || len(lines) == 0 {
			return
		}
		b := &batch{first: from, lines: make([]liveLine, len(lines))}
		for i, line := range lines {
			b.lines[i] = liveLine{line, paint.line(line)}
		}
		if f.to.lines(b) != nil || f.flush() != nil {
			return
		}
		f.next = b.next()
	}
}
