package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"prow/api/artifacts"
	"prow/internal/pod/upload"
)

const (
	// maxPart bounds a part of a log, in bytes.
	maxPart = 2 << 20
	// maxLine is from where on a part may end within a line, in bytes.
	maxLine = 256 << 10
	// maxParts bounds the parts of one log; what comes after them waits for the end.
	maxParts = 10000
	// minPartTimeout bounds the storing of one part where the interval is shorter.
	minPartTimeout = 30 * time.Second
)

// chunker stores what the logs grow by while the processes run, so that a pod that
// is killed keeps its log; see artifacts.LogPart for the layout.
type chunker struct {
	guard  *guard
	run    *upload.Run
	logger *slog.Logger
	logs   []*growingLog

	cancel context.CancelFunc
	done   chan struct{}
}

// growingLog is a log of which a part is stored.
type growingLog struct {
	name, path string
	// buf is text as the process wrote it: first kept bytes of what is stored
	// already, in which a secret may begin, then what is not.
	buf  []byte
	kept int
	// offset is where in the file the buffer ends.
	offset int64
	// parts are stored; the one after them may be, if trying is set.
	parts  int
	trying bool
	// ended says that no more parts will come, for a reason that was logged.
	ended bool
}

// startChunks begins to store parts every interval, if that is asked for.
func (s *Sidecar) startChunks(ctx context.Context) *chunker {
	interval := s.opts.LogChunkInterval
	if interval <= 0 || (s.opts.GCSOptions.DryRun && s.opts.GCSOptions.LocalOutputDir == "") {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	run := upload.New(s.opts.GCSOptions, s.spec, s.open, s.logger)
	c := &chunker{guard: s.guard, run: run, logger: s.logger, cancel: cancel, done: make(chan struct{})}
	for i := range s.opts.Entries {
		c.logs = append(c.logs, &growingLog{name: s.logName(i), path: s.opts.Entries[i].ProcessLog})
	}
	go func() {
		defer close(c.done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				c.store(ctx, max(interval, minPartTimeout))
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// stop returns when no part is on its way any more. It may be called again.
func (c *chunker) stop() {
	if c != nil {
		c.cancel()
		<-c.done
	}
}

// names are those of the parts of a log that there may be; call stop first.
func (c *chunker) names(log string) []string {
	if c == nil {
		return nil
	}
	var names []string
	for _, l := range c.logs {
		if l.name != log {
			continue
		}
		last := l.parts
		if l.trying {
			last++
		}
		for number := 1; number <= last; number++ {
			names = append(names, artifacts.LogPart(log, number))
		}
	}
	return names
}

// store stores what has come since the last time.
func (c *chunker) store(ctx context.Context, timeout time.Duration) {
	if err := c.guard.load(); err != nil {
		c.logger.WarnContext(ctx, "No part of a log is stored: the secrets cannot be read.", "error", err.Error())
		return
	}
	for _, l := range c.logs {
		for !l.ended && ctx.Err() == nil {
			more, err := c.next(ctx, l, timeout)
			if err != nil && ctx.Err() == nil {
				c.logger.WarnContext(ctx, "A part of a log is not stored yet.", "log", l.name, "part", l.parts+1, "error", c.guard.Name(err.Error()))
			}
			if err != nil || !more {
				break
			}
		}
	}
}

// next stores one part, if there is enough for one.
func (c *chunker) next(ctx context.Context, l *growingLog, timeout time.Duration) (more bool, err error) {
	if err := l.read(); err != nil {
		if errors.Is(err, errRewritten) {
			l.ended = true
		}
		return false, err
	}
	end := l.cut(c.guard.patterns)
	if end == l.kept {
		return false, nil
	}
	if l.parts == maxParts {
		l.ended = true
		return false, fmt.Errorf("it has %d parts already; the rest is stored at the end", maxParts)
	}
	masked := bytes.Clone(l.buf)
	c.guard.masker.Mask(masked)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l.trying = true
	if err := c.run.PutPart(ctx, artifacts.LogPart(l.name, l.parts+1), masked[l.kept:end]); err != nil {
		return false, err
	}
	l.parts, l.trying = l.parts+1, false
	// Of what is stored stays what a secret that ends later can begin with.
	from := max(0, end-longest(c.guard.patterns))
	l.buf = append(l.buf[:0], l.buf[from:]...)
	l.kept = end - from
	return true, nil
}

// errRewritten says that a log is no longer what was stored of it.
var errRewritten = errors.New("the log has become shorter, so that its parts would not fit; it is stored at the end")

// read fills the buffer from the file.
func (l *growingLog) read() error {
	f, err := upload.OpenFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the process has not begun
	} else if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < l.offset {
		return errRewritten
	}
	want := min(int64(maxPart-(len(l.buf)-l.kept)), info.Size()-l.offset)
	if want <= 0 {
		return nil
	}
	start := len(l.buf)
	l.buf = slices.Grow(l.buf, int(want))[:start+int(want)]
	n, err := f.ReadAt(l.buf[start:], l.offset)
	l.buf = l.buf[:start+n]
	l.offset += int64(n)
	if err == io.EOF {
		err = nil
	}
	return err
}

// cut finds where the next part ends: before anything that may become a secret when
// more comes, at the end of a line unless that is too far away.
func (l *growingLog) cut(patterns [][]byte) int {
	end := len(l.buf) - openEnd(l.buf, patterns)
	if end <= l.kept {
		return l.kept
	}
	if i := bytes.LastIndexByte(l.buf[l.kept:end], '\n'); i >= 0 {
		return l.kept + i + 1
	}
	if end-l.kept >= maxLine {
		return end
	}
	return l.kept
}

// openEnd is the length of the longest end of text with which a pattern begins that
// does not end in the text.
func openEnd(text []byte, patterns [][]byte) int {
	most := 0
	for _, p := range patterns {
		tail := text[max(0, len(text)-(len(p)-1)):]
		if len(tail) <= most {
			continue // it cannot be longer
		}
		most = max(most, overlap(tail, p))
	}
	return most
}

// overlap is the length of the longest end of text that begins the pattern, by the
// method of Knuth, Morris and Pratt.
func overlap(text, pattern []byte) int {
	borders := make([]int, len(pattern))
	at := 0
	for i := 1; i < len(pattern); i++ {
		for at > 0 && pattern[i] != pattern[at] {
			at = borders[at-1]
		}
		if pattern[i] == pattern[at] {
			at++
		}
		borders[i] = at
	}
	at = 0
	for _, c := range text {
		if at == len(pattern) {
			at = borders[at-1]
		}
		for at > 0 && c != pattern[at] {
			at = borders[at-1]
		}
		if c == pattern[at] {
			at++
		}
	}
	return at
}

func longest(patterns [][]byte) int {
	most := 0
	for _, p := range patterns {
		most = max(most, len(p))
	}
	return most
}
