package loglines

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// Open opens a log at an offset of its text, in bytes.
type Open func(ctx context.Context, offset int64) (io.ReadCloser, error)

// ErrNotCounted says that the index has not come as far as a line yet.
var ErrNotCounted = errors.New("the lines of this log are still being counted")

// Log is a log whose lines can be read by their numbers, which begin at 0.
type Log struct {
	Open  Open
	Index *Index
	// Size is the length of the text in bytes; negative where the log can only be
	// read from its beginning.
	Size int64
}

// Read returns up to limit lines from a number on, and at most about maxBytes of
// text. Beyond the end there are none.
func (l *Log) Read(ctx context.Context, from int64, limit, maxBytes int) ([]Line, error) {
	now, _ := l.Index.Progress()
	switch {
	case from < 0, now.Complete && from >= now.Lines:
		return nil, nil
	case !now.Complete && from > now.Lines:
		return nil, ErrNotCounted
	}
	at := l.Index.before(from)
	r, err := l.Open(ctx, at.offset)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	lines := NewReader(r)
	if err := lines.skip(from - at.line); err != nil {
		return nil, unlessEOF(err)
	}
	var out []Line
	for size := 0; len(out) < limit && size < maxBytes; {
		line, whole, err := lines.next(2 * markEvery)
		if err != nil {
			return out, unlessEOF(err)
		}
		size += len(line.Text)
		out = append(out, line)
		if whole {
			continue
		}
		// Nobody waits for the end of a line of a gigabyte: the index knows it.
		here := at.offset + lines.offset
		next, ok := l.Index.after(here)
		now, _ := l.Index.Progress()
		switch {
		case ok:
			out[len(out)-1].Length += int(next.offset - 1 - here)
		case now.Complete:
			out[len(out)-1].Length += int(now.Bytes - here)
			return out, nil
		default:
			return out, nil
		}
		_ = r.Close()
		if r, err = l.Open(ctx, next.offset); err != nil {
			return out, err
		}
		at, lines = next, NewReader(r)
	}
	return out, nil
}

// From opens the log at the beginning of a line; ErrNotCounted says that the index
// has not come so far.
func (l *Log) From(ctx context.Context, line int64) (io.ReadCloser, error) {
	if line == 0 {
		return l.Open(ctx, 0)
	}
	if now, _ := l.Index.Progress(); line > now.Lines && !now.Complete {
		return nil, ErrNotCounted
	}
	at := l.Index.before(line)
	r, err := l.Open(ctx, at.offset)
	if err != nil {
		return nil, err
	}
	return Skip(r, line-at.line)
}

// Skip passes over lines of a stream, which it closes if that fails.
func Skip(r io.ReadCloser, lines int64) (io.ReadCloser, error) {
	rest := NewReader(r)
	if err := rest.skip(lines); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, r.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{rest.r, r}, nil
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Tail returns the last lines, at most limit and at most maxBytes of text, which
// takes no index where the log can be read from anywhere; otherwise it must be
// complete, or the answer is ErrNotCounted. Their numbers are the last of all.
func (l *Log) Tail(ctx context.Context, limit, maxBytes int) ([]Line, error) {
	text, all := []byte(nil), false
	if l.Size >= 0 {
		offset := max(0, l.Size-int64(maxBytes))
		r, err := l.Open(ctx, offset)
		if err != nil {
			return nil, err
		}
		defer r.Close() //nolint:errcheck // only read
		if text, err = io.ReadAll(io.LimitReader(r, l.Size-offset)); err != nil {
			return nil, err
		}
		all = offset == 0
	} else {
		if now, _ := l.Index.Progress(); !now.Complete {
			return nil, ErrNotCounted
		}
		text, all = l.Index.end()
	}
	return lastLines(text, all, limit), nil
}

// lastLines splits the end of a text. The first line counts only if it is whole, or
// the only one.
func lastLines(text []byte, all bool, limit int) []Line {
	if len(text) == 0 {
		return nil
	}
	body := bytes.TrimSuffix(text, []byte{'\n'})
	start := len(body)
	var out []Line
	for len(out) < limit && start >= 0 {
		end := start
		start = bytes.LastIndexByte(body[:end], '\n')
		if start < 0 && !all && len(out) > 0 {
			break
		}
		line := body[start+1 : end]
		out = append(out, Line{Text: bytes.Clone(line[:min(len(line), Kept)]), Length: len(line)})
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
