package loglines

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sort"
	"sync"
)

// markEvery is the least distance of marks, in bytes: to find a line, this much is
// read at most beyond it.
const markEvery = 256 << 10

// mark is where a line begins.
type mark struct{ line, offset int64 }

// Index tells where the lines of a log are, as far as it was read. It may be used
// while it is being built. It costs 16 bytes for each 256 KiB of the log, and what
// KeepTail says.
type Index struct {
	// KeepTail is how many bytes of the end are kept, for logs that can only be read
	// from their beginning. It is set before the index is built.
	KeepTail int

	building sync.Mutex

	mu       sync.Mutex
	marks    []mark
	lines    int64
	bytes    int64
	last     byte
	complete bool
	changed  chan struct{}
	tail     []byte
}

// Progress is how far an index has come.
type Progress struct {
	// Lines begin within the Bytes that were read.
	Lines, Bytes int64
	// Complete says that all was read.
	Complete bool
}

// Progress tells how far the index is, and gives a channel that is closed when it has
// come further.
func (x *Index) Progress() (Progress, <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.changed == nil {
		x.changed = make(chan struct{})
	}
	return Progress{x.lines, x.bytes, x.complete}, x.changed
}

// Memory is about what the index costs, in bytes.
func (x *Index) Memory() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return 256 + 16*cap(x.marks) + cap(x.tail)
}

// Build reads the log on from where it was left off the last time, to its end or
// until ctx ends.
func (x *Index) Build(ctx context.Context, open Open) error {
	x.building.Lock()
	defer x.building.Unlock()
	now, _ := x.Progress()
	if now.Complete {
		return nil
	}
	r, err := open(ctx, now.Bytes)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	buf := make([]byte, markEvery)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf)
		x.scan(buf[:n])
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			x.finish()
			return nil
		default:
			return err
		}
	}
}

func (x *Index) scan(buf []byte) {
	if len(buf) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.marks == nil {
		x.marks = []mark{{}}
	}
	x.last = buf[len(buf)-1]
	if x.KeepTail > 0 {
		x.keep(buf)
	}
	for rest := buf; len(rest) > 0; {
		// The line after a line feed from here on gets the next mark.
		due := max(0, x.marks[len(x.marks)-1].offset+markEvery-1-x.bytes)
		if due >= int64(len(rest)) {
			x.count(rest)
			break
		}
		x.count(rest[:due])
		rest = rest[due:]
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			x.bytes += int64(len(rest))
			break
		}
		x.lines++
		x.bytes += int64(end)
		x.marks = append(x.marks, mark{x.lines, x.bytes})
		rest = rest[end:]
	}
	x.wake()
}

func (x *Index) count(part []byte) {
	x.lines += int64(bytes.Count(part, []byte{'\n'}))
	x.bytes += int64(len(part))
}

// keep keeps the end in at most twice the memory.
func (x *Index) keep(buf []byte) {
	if len(x.tail)+len(buf) > 2*x.KeepTail {
		rest := min(len(x.tail), x.KeepTail)
		copy(x.tail, x.tail[len(x.tail)-rest:])
		x.tail = x.tail[:rest]
	}
	if len(buf) > x.KeepTail {
		buf = buf[len(buf)-x.KeepTail:]
	}
	x.tail = append(x.tail, buf...)
}

func (x *Index) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.bytes > 0 && x.last != '\n' {
		x.lines++
	}
	x.complete = true
	x.wake()
}

func (x *Index) wake() {
	if x.changed != nil {
		close(x.changed)
		x.changed = nil
	}
}

// before is the last mark that is not after a line.
func (x *Index) before(line int64) mark {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.marks) == 0 {
		return mark{}
	}
	i := sort.Search(len(x.marks), func(i int) bool { return x.marks[i].line > line })
	return x.marks[max(0, i-1)]
}

// after is the first mark behind an offset. Behind a line of more than markEvery
// bytes there always is one, where another line follows and the index has come there.
func (x *Index) after(offset int64) (mark, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := sort.Search(len(x.marks), func(i int) bool { return x.marks[i].offset > offset })
	if i == len(x.marks) {
		return mark{}, false
	}
	return x.marks[i], true
}

// end is the kept end of the log, which must have been read; first tells whether that
// is all of it.
func (x *Index) end() (text []byte, all bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tail, int64(len(x.tail)) == x.bytes
}
