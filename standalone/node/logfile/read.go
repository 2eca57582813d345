package logfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// ReadOptions select what Read writes, as the API's pod log options do.
type ReadOptions struct {
	// Follow goes on until the log is closed.
	Follow bool
	// Tail is the number of last lines, counted before Since; negative: all.
	Tail int64
	// Since drops older lines; zero: none.
	Since time.Time
	// Timestamps precede each line.
	Timestamps bool
	// Limit ends the output after so many bytes; negative: none.
	Limit int64
	// Stream restricts to "stdout" or "stderr"; empty: both.
	Stream string
}

// Read writes the log in dir to w. live is the log if it may still be written,
// else nil. A reader that is slower than the writer by more than the log's
// bound misses what was dropped in between.
func Read(ctx context.Context, dir string, live *Log, w io.Writer, opts ReadOptions) error {
	pos, err := start(dir, opts.Tail)
	if err != nil {
		return err
	}
	if opts.Limit >= 0 {
		w = &limitWriter{w: w, left: opts.Limit}
	}
	c := &cursor{dir: dir, position: pos}
	defer c.close()
	for {
		current, closed, changed := -1, true, (<-chan struct{})(nil)
		if live != nil {
			current, closed, changed = live.snapshot()
		}
		err := c.drain(ctx, func(r record) error { return emit(w, r, opts) })
		switch {
		case errors.Is(err, errLimit):
			return nil
		case err != nil:
			return err
		}
		next, ok, err := c.next(current)
		if err != nil {
			return err
		}
		if ok {
			c.move(next)
			continue
		}
		if closed || !opts.Follow {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// position is a place in a log.
type position struct {
	segment int
	offset  int64
}

// start finds where the last tail lines begin.
func start(dir string, tail int64) (position, error) {
	all, err := segments(dir)
	if err != nil {
		return position{}, err
	}
	if len(all) == 0 {
		return position{}, fmt.Errorf("log %s: %w", dir, fs.ErrNotExist)
	}
	if tail < 0 {
		return position{segment: all[0]}, nil
	}
	// The log is bounded, so one pass over it is cheap; begins is a ring of
	// the places where lines begin.
	var begins []position
	var head int
	end := position{segment: all[0]}
	fresh := true
	c := &cursor{dir: dir, position: end}
	defer c.close()
	for _, n := range all {
		c.move(n)
		before := position{segment: n}
		err := c.drain(context.Background(), func(r record) error {
			if fresh && tail > 0 {
				if int64(len(begins)) < tail {
					begins = append(begins, before)
				} else {
					begins[head] = before
					head = (head + 1) % len(begins)
				}
			}
			fresh = r.full
			before = position{segment: n, offset: before.offset + int64(r.size)}
			return nil
		})
		if err != nil {
			return position{}, err
		}
		end = before
	}
	if len(begins) == 0 {
		return end, nil
	}
	return begins[head], nil
}

// record is one stored line or piece of a line.
type record struct {
	time   []byte
	stream []byte
	full   bool
	text   []byte
	size   int // bytes in the file
}

func parse(line []byte) (record, bool) {
	r := record{size: len(line)}
	line = bytes.TrimSuffix(line, []byte{'\n'})
	stamp, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok {
		return r, false
	}
	stream, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return r, false
	}
	tag, text, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(tag) != 1 || (tag[0] != 'F' && tag[0] != 'P') {
		return r, false
	}
	r.time, r.stream, r.full, r.text = stamp, stream, tag[0] == 'F', text
	return r, true
}

func emit(w io.Writer, r record, opts ReadOptions) error {
	if opts.Stream != "" && opts.Stream != string(r.stream) {
		return nil
	}
	if !opts.Since.IsZero() {
		if at, err := time.Parse(time.RFC3339Nano, string(r.time)); err == nil && at.Before(opts.Since) {
			return nil
		}
	}
	var out []byte
	if opts.Timestamps {
		out = append(append(out, r.time...), ' ')
	}
	out = append(out, r.text...)
	if r.full {
		out = append(out, '\n')
	}
	_, err := w.Write(out)
	return err
}

// cursor reads records of one segment after another.
type cursor struct {
	dir string
	position
	file *os.File
}

func (c *cursor) move(segment int) {
	if segment != c.segment || c.file == nil {
		c.close()
		c.position = position{segment: segment}
	}
}

func (c *cursor) close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}

// drain hands over the complete records from the position to the end of the
// segment as it is now. A segment that has been dropped is empty.
func (c *cursor) drain(ctx context.Context, fn func(record) error) error {
	if c.file == nil {
		f, err := os.Open(segmentPath(c.dir, c.segment))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		c.file = f
	}
	r := bufio.NewReaderSize(io.NewSectionReader(c.file, c.offset, 1<<62), maxLine*4)
	for ctx.Err() == nil {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil // a torn last line is read again when it is complete
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read log: %w", err)
		}
		c.offset += int64(len(line))
		rec, ok := parse(line)
		if !ok {
			continue
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// next finds the segment after the present one. current is the segment being
// written when the present one was drained, -1 if nothing is written.
func (c *cursor) next(current int) (int, bool, error) {
	all, err := segments(c.dir)
	if err != nil {
		return 0, false, err
	}
	for _, n := range all {
		if n > c.segment && (current < 0 || n <= current) {
			return n, true, nil
		}
	}
	return 0, false, nil
}

var errLimit = errors.New("limit reached")

type limitWriter struct {
	w    io.Writer
	left int64
}

func (l *limitWriter) Write(p []byte) (int, error) {
	if int64(len(p)) >= l.left {
		_, err := l.w.Write(p[:l.left])
		l.left = 0
		return len(p), errors.Join(err, errLimit)
	}
	l.left -= int64(len(p))
	return l.w.Write(p)
}
