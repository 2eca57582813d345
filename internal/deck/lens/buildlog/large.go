package buildlog

import (
	"bytes"
	"context"

	"prow/internal/deck/lens"
)

// pieceBytes is how much of a large log is read at a time, in bytes.
const pieceBytes = 4 << 20

// lineIndex knows of a log what is needed to show a part of it.
type lineIndex struct {
	total int
	// end is where the last line ends, without what ends it.
	end int64
	// from and to are where the wanted lines begin and end.
	from, to int64
	// ends are where the last lines begin, at most atEnd; there is at least one.
	ends []int64
}

// indexLines reads a log through and remembers where the wanted lines are.
func indexLines(ctx context.Context, a lens.Artifact, size, piece int64, wanted span) (*lineIndex, error) {
	x := &lineIndex{ends: []int64{0}, from: -1, to: -1}
	begin := func(line int, at int64) {
		if line == wanted.from {
			x.from = at
		}
		if line == wanted.to {
			x.to = at - 1
		}
	}
	begin(0, 0)
	line, last := 0, byte(0)
	for offset := int64(0); offset < size; {
		raw, err := a.Range(ctx, offset, min(piece, size-offset))
		if err != nil {
			return nil, err
		}
		if len(raw) == 0 {
			break // it has become shorter
		}
		for i := 0; ; {
			n := bytes.IndexByte(raw[i:], '\n')
			if n < 0 {
				break
			}
			i += n + 1
			line++
			at := offset + int64(i)
			begin(line, at)
			if x.ends = append(x.ends, at); len(x.ends) > 4*atEnd {
				x.ends = append(x.ends[:0], x.ends[len(x.ends)-atEnd-1:]...)
			}
		}
		offset += int64(len(raw))
		last, x.end = raw[len(raw)-1], offset
	}
	x.total = line + 1
	if last == '\n' { // that is the end of a line, not one more
		x.total--
		x.end--
		x.ends = x.ends[:len(x.ends)-1]
	}
	x.ends = x.ends[max(0, len(x.ends)-atEnd):]
	if x.to < 0 || x.to > x.end {
		x.to = x.end
	}
	return x, nil
}
