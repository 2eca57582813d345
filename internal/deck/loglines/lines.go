// Package loglines reads logs by lines, however large they are and whatever is in
// them. A Log is bytes that can be opened at any offset; an Index, made by reading
// through it once, tells where its lines begin, so that any of them is read in time
// that does not depend on the size. Search and Fold read a log from its beginning
// in constant memory. Nothing here knows where a log comes from.
package loglines

import (
	"bufio"
	"errors"
	"io"
)

// Kept is how much of the beginning of a line is kept, in bytes.
const Kept = 16 << 10

// Line is a line without its end. Of a very long one only the beginning is kept.
type Line struct {
	// Text is at most Kept bytes, of any kind.
	Text []byte
	// Length is that of the whole line, as far as it is known.
	Length int
}

// Reader splits a stream into lines in constant memory.
type Reader struct {
	r *bufio.Reader
	// offset is how many bytes were read.
	offset int64
}

// NewReader splits a stream.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// Next returns the next line; the last one may lack its end. The text is the
// caller's. At the end it returns io.EOF.
func (l *Reader) Next() (Line, error) {
	line, _, err := l.next(0)
	return line, err
}

// next is Next, but leaves off within a line that has more than limit bytes, if that
// is not 0; whole tells whether it did not.
func (l *Reader) next(limit int) (out Line, whole bool, err error) {
	for {
		part, err := l.r.ReadSlice('\n')
		l.offset += int64(len(part))
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		if room := Kept - len(out.Text); room > 0 {
			out.Text = append(out.Text, part[:min(room, len(part))]...)
		}
		out.Length += len(part)
		switch {
		case ended:
			return out, true, nil
		case errors.Is(err, bufio.ErrBufferFull):
			if limit > 0 && out.Length > limit {
				return out, false, nil
			}
		case errors.Is(err, io.EOF) && out.Length > 0:
			return out, true, nil
		default:
			return Line{}, false, err
		}
	}
}

// skip passes over lines.
func (l *Reader) skip(lines int64) error {
	for lines > 0 {
		part, err := l.r.ReadSlice('\n')
		l.offset += int64(len(part))
		switch {
		case err == nil:
			lines--
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
	return nil
}
