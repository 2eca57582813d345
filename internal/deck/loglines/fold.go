package loglines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const (
	// around is how many lines around a highlighted one are shown.
	around = 5
	// leastHidden is how many lines in a row are worth hiding.
	leastHidden = 5
)

// DefaultHighlight is what is looked for where the configuration says nothing.
const DefaultHighlight = `timed out|ERROR:|(FAIL|Failure \[)\b|panic\b|^E\d{4} \d\d:\d\d:\d\d\.\d\d\d]`

// Highlight says which lines are worth to be seen.
type Highlight struct {
	// Match is nil where only Focus counts.
	Match *regexp.Regexp
	// MaxLength is how long a line may be that is looked at, in bytes.
	MaxLength int
	// From and To, from 1, are lines that somebody chose; 0 is none. Nothing else is
	// shown then.
	From, To int64
}

// HighlightOf joins expressions, of which an empty list or one that does not compile
// stands for DefaultHighlight.
func HighlightOf(expressions []string, maxLength int) (Highlight, error) {
	if maxLength <= 0 {
		maxLength = 10_000
	}
	out := Highlight{MaxLength: maxLength}
	var err error
	if len(expressions) > 0 {
		if out.Match, err = regexp.Compile(strings.Join(expressions, "|")); err == nil {
			return out, nil
		}
		err = fmt.Errorf("highlight_regexes: %w", err)
	}
	out.Match = regexp.MustCompile(DefaultHighlight)
	return out, err
}

func (h *Highlight) marks(number int64, line Line) bool {
	if h.From > 0 {
		return number+1 >= h.From && number+1 <= h.To
	}
	text := line.Text
	if bytes.IndexByte(text, 0x1b) >= 0 {
		text = StripEscapes(nil, text)
	}
	return line.Length <= min(h.MaxLength, Kept) && h.Match.Match(text)
}

// Part is some lines in a row: shown, or hidden.
type Part struct {
	// First is the number of the first line, from 0; Count is how many there are.
	First, Count int64
	// Lines are nil where they are hidden; Marked tells which are highlighted.
	Lines  []Line
	Marked []bool
}

// Folded is a log of which the boring parts are hidden.
type Folded struct {
	Parts []Part
	// Lines is how many were looked at, Highlighted how many of them are highlighted.
	Lines, Highlighted int64
	// Complete says that the end was reached. Otherwise ctx ended, or enough is shown.
	Complete bool
}

// Fold looks through a stream from its beginning, and hides what is more than five
// lines away from a highlighted one. It ends when ctx does, which is no error, or
// when it shows limit lines.
func Fold(ctx context.Context, r io.Reader, h Highlight, limit int) (Folded, error) {
	f := folder{}
	lines := NewReader(r)
	for n := int64(0); ; n++ {
		if n%256 == 0 && ctx.Err() != nil || f.shown >= limit {
			f.end()
			return f.out, nil
		}
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			f.out.Complete = true
			f.end()
			return f.out, nil
		}
		if err != nil {
			f.end()
			if ctx.Err() != nil {
				err = nil
			}
			return f.out, err
		}
		f.add(n, line, h.marks(n, line))
	}
}

type folder struct {
	out Folded
	// pending are lines that are hidden unless a highlighted one follows; before them
	// hidden ones were left out, beginning with from.
	pending      []Line
	from, hidden int64
	// left is how many lines are shown still.
	left, shown int
}

func (f *folder) add(number int64, line Line, marked bool) {
	f.out.Lines++
	switch {
	case marked:
		f.out.Highlighted++
		f.settle(number)
		f.show(number, line, true)
		f.left = around
	case f.left > 0:
		f.show(number, line, false)
		f.left--
	default:
		if len(f.pending) == 0 && f.hidden == 0 {
			f.from = number
		}
		// Up to five of them may be shown with what follows, and four with both sides.
		if f.pending = append(f.pending, line); len(f.pending) > around+leastHidden-1 {
			f.hidden++
			f.pending = f.pending[1:]
		}
	}
}

// settle decides about the lines before a highlighted one.
func (f *folder) settle(number int64) {
	near := min(len(f.pending), around)
	hide := f.hidden + int64(len(f.pending)-near)
	if hide < leastHidden {
		hide = 0
		near = len(f.pending)
	}
	if hide > 0 {
		f.out.Parts = append(f.out.Parts, Part{First: f.from, Count: hide})
	}
	for i, line := range f.pending[len(f.pending)-near:] {
		f.show(number-int64(near-i), line, false)
	}
	f.pending, f.hidden = nil, 0
}

// end decides about the lines at the end.
func (f *folder) end() {
	hide := f.hidden + int64(len(f.pending))
	switch {
	case hide >= leastHidden:
		f.out.Parts = append(f.out.Parts, Part{First: f.from, Count: hide})
	default:
		for i, line := range f.pending {
			f.show(f.from+int64(i), line, false)
		}
	}
	f.pending, f.hidden = nil, 0
}

func (f *folder) show(number int64, line Line, marked bool) {
	f.shown++
	if n := len(f.out.Parts); n == 0 || f.out.Parts[n-1].Lines == nil {
		f.out.Parts = append(f.out.Parts, Part{First: number})
	}
	p := &f.out.Parts[len(f.out.Parts)-1]
	p.Lines, p.Marked, p.Count = append(p.Lines, line), append(p.Marked, marked), p.Count+1
}
