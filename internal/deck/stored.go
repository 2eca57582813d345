package deck

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"golang.org/x/sync/singleflight"

	"prow/internal/storage"
)

const (
	// linesPerMark is the distance of the marks in an index of lines.
	linesPerMark = 4096
	// maxLineIndexes is how many indexes of lines are remembered.
	maxLineIndexes = 256
	// maxInflated bounds what a compressed log may become, in bytes.
	maxInflated = 8 << 30
)

// storedLog is a log in storage. Any range of its lines can be read in time that does
// not depend on its size, after it was read through once.
type storedLog struct {
	object *storage.Log
	gzip   bool
	lines  *lineIndex
}

// lineIndex tells where the lines of an object are.
type lineIndex struct {
	// marks are the offsets of the lines 0, linesPerMark, 2*linesPerMark...
	marks []int64
	total int64
	size  int64
}

// lineIndexes remembers indexes.
type lineIndexes struct {
	flight singleflight.Group
	mu     sync.Mutex
	known  map[string]*lineIndex
	order  []string
}

// open returns the log of an object.
func (x *lineIndexes) open(ctx context.Context, bucket storage.Bucket, p place) (*storedLog, error) {
	object, err := storage.StatLog(ctx, bucket, p.key)
	if err != nil {
		return nil, err
	}
	log := &storedLog{object: object, gzip: object.ContentEncoding == "gzip"}
	id := p.path() + "\x00" + strconv.FormatInt(object.Size, 10) + "\x00" + strconv.FormatInt(object.ModTime.UnixNano(), 10)
	x.mu.Lock()
	log.lines = x.known[id]
	x.mu.Unlock()
	if log.lines != nil {
		return log, nil
	}
	// One who gives up must not fail the others: each tries again by itself.
	for {
		made, err, shared := x.flight.Do(id, func() (any, error) { return log.index(ctx) })
		if shared && ctx.Err() == nil && errors.Is(err, context.Canceled) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", p.key, err)
		}
		log.lines = made.(*lineIndex)
		x.remember(id, log.lines)
		return log, nil
	}
}

func (x *lineIndexes) remember(id string, lines *lineIndex) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known == nil {
		x.known = map[string]*lineIndex{}
	}
	if _, ok := x.known[id]; ok {
		return
	}
	if len(x.order) >= maxLineIndexes {
		delete(x.known, x.order[0])
		x.order = x.order[1:]
	}
	x.known[id], x.order = lines, append(x.order, id)
}

// index reads the whole object once.
func (l *storedLog) index(ctx context.Context) (*lineIndex, error) {
	r, err := l.reader(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	out := &lineIndex{marks: []int64{0}}
	buf := make([]byte, 256<<10)
	last := byte('\n')
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		out.scan(buf[:n])
		if n > 0 {
			last = buf[n-1]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if last != '\n' {
		out.total++
	}
	return out, nil
}

func (x *lineIndex) scan(buf []byte) {
	rest := buf
	for {
		need := linesPerMark - int(x.total%linesPerMark)
		if n := bytes.Count(rest, []byte{'\n'}); n < need {
			x.total += int64(n)
			break
		}
		// The mark lies in here: walk to it.
		for range need {
			rest = rest[bytes.IndexByte(rest, '\n')+1:]
		}
		x.total += int64(need)
		x.marks = append(x.marks, x.size+int64(len(buf)-len(rest)))
	}
	x.size += int64(len(buf))
}

// reader reads the text from an offset on.
func (l *storedLog) reader(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if !l.gzip {
		return l.object.Reader(ctx, offset)
	}
	raw, err := l.object.Reader(ctx, 0)
	if err != nil {
		return nil, err
	}
	text, err := gzip.NewReader(raw)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	limited := io.LimitReader(text, maxInflated)
	if _, err := io.CopyN(io.Discard, limited, offset); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{limited, raw}, nil
}

// read returns up to limit lines from a number on, and at most about maxBytes.
func (l *storedLog) read(ctx context.Context, from int64, limit, maxBytes int) ([]textLine, error) {
	if from >= l.lines.total || from < 0 {
		return nil, nil
	}
	mark := from / linesPerMark
	r, err := l.reader(ctx, l.lines.marks[mark])
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	lines := newLineReader(r)
	if _, err := lines.skip(from - mark*linesPerMark); err != nil {
		return nil, err
	}
	var out []textLine
	for size := 0; len(out) < limit && size < maxBytes; {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		size += len(line.text)
		out = append(out, line)
	}
	return out, nil
}
