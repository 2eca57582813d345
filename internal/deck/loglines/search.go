package loglines

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
)

const (
	// searchBuffer is how much of a log is searched at once, in bytes.
	searchBuffer = 1 << 20
	// hitText is how much of a line a hit shows, in bytes.
	hitText = 400
	// hitContext is how many lines before and after a hit are shown with it.
	hitContext = 2
)

// Hit is a line with what was searched for.
type Hit struct {
	// Line is its number, from 0.
	Line int64
	// Text is the part of the line around the first match, which is from From to To.
	Text     string
	From, To int
	// Before and After are the beginnings of the lines around it.
	Before, After []string
}

// Searched is how far a search came.
type Searched struct {
	// Lines were searched, and begin in so many Bytes.
	Lines, Bytes int64
	Hits         int
	// Complete says that the end was reached.
	Complete bool
}

// Search looks through a stream for lines that match, of which the first has the
// number first, until limit hits or the end of ctx, which is no error. hit gets them
// in order, progress is called between; what they return ends the search. Escape
// sequences of terminals are not part of lines. It takes about 4 MiB of memory.
func Search(ctx context.Context, r io.Reader, first int64, m *Matcher, limit int, hit func(Hit) error, progress func(Searched) error) (Searched, error) {
	s := &search{m: m, first: first, line: first, limit: limit, hit: hit}
	buf := make([]byte, searchBuffer)
	held := 0
	for ctx.Err() == nil {
		n, err := io.ReadFull(r, buf[held:])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			if ctx.Err() != nil {
				break
			}
			return s.now, err
		}
		text := buf[:held+n]
		cut := len(text)
		if !ended {
			if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
				cut = i + 1
			} else {
				// The middle of a very long line. What is searched for may lie over the end.
				cut = len(text) - MaxQuery
			}
		}
		if err := s.chunk(ctx, text[:cut], !ended && text[cut-1] != '\n'); err != nil {
			return s.now, err
		}
		if s.full || ended {
			s.now.Complete = ended && !s.full && ctx.Err() == nil
			return s.now, s.flush(true)
		}
		held = copy(buf, text[cut:])
		if err := progress(s.now); err != nil {
			return s.now, err
		}
	}
	return s.now, s.flush(true)
}

type search struct {
	m     *Matcher
	first int64
	line  int64
	limit int
	hit   func(Hit) error
	now   Searched
	full  bool
	// within says that the text goes on in a line, done that it was a hit already.
	within, done bool

	plain, lower []byte
	// before are the last lines of the text before.
	before []string
	// waiting are hits that lack lines after them.
	waiting []Hit
}

// chunk searches whole lines, or a part of a long one that goes on behind it.
func (s *search) chunk(ctx context.Context, text []byte, open bool) error {
	size := int64(len(text))
	if bytes.IndexByte(text, 0x1b) >= 0 {
		s.plain = StripEscapes(s.plain[:0], text)
		if !open && text[len(text)-1] != '\n' {
			s.plain = append(s.plain, '\n') // a line of nothing but escapes is one
		}
		text = s.plain
	}
	hay := text
	if s.m.lower {
		s.lower = lowered(s.lower[:0], text)
		hay = s.lower
	}
	if err := s.after(text); err != nil {
		return err
	}
	at, counted, tried := 0, 0, 0 // counted is where s.line was counted to
	begin := s.line
	next := candidates{hay: hay, any: s.m.any, at: make([]int, len(s.m.any))}
	if s.m.re != nil && s.m.any == nil && !open && !s.within {
		next.tried, next.starts = true, linesThatMatch(ctx, s.m, text)
		if ctx.Err() != nil {
			s.now.Lines = s.line - s.first
			return nil
		}
	}
	for at < len(text) {
		candidate := next.from(at)
		if candidate < 0 {
			break
		}
		start := bytes.LastIndexByte(text[:candidate], '\n') + 1
		start = max(start, at)
		end := len(text)
		if i := bytes.IndexByte(text[candidate:], '\n'); i >= 0 {
			end = candidate + i
		}
		s.line += int64(bytes.Count(text[counted:start], []byte{'\n'}))
		counted = start
		at = end + 1
		continued := start == 0 && s.within
		if continued && s.done {
			continue
		}
		from, to := candidate, candidate
		if s.m.re == nil {
			to += len(s.m.any[next.which])
		} else {
			// The middle of a line is no line to an expression.
			if continued || !s.m.mayMatch(hay[start:end]) {
				continue
			}
			if tried += min(end-start, maxMatched); tried > maxMatched {
				if tried = 0; ctx.Err() != nil {
					s.now.Lines = s.line - s.first
					return nil
				}
			}
			a, b, ok := s.m.find(text[start:end])
			if !ok {
				continue
			}
			from, to = start+a, start+b
		}
		s.done = open // then there is only one line
		if err := s.found(text, start, end, from, to); err != nil || s.full {
			return err
		}
	}
	newlines := int64(bytes.Count(text, []byte{'\n'}))
	s.line = begin + newlines
	s.now.Bytes += size
	s.now.Lines += newlines
	if !open && len(text) > 0 && text[len(text)-1] != '\n' {
		s.now.Lines++ // the last line has no end
	}
	s.before = lastOf(text[s.behind(text):], s.before)
	s.within, s.done = open, open && s.done
	return nil
}

// behind is where the rest of a line ends that the text goes on in.
func (s *search) behind(text []byte) int {
	if !s.within {
		return 0
	}
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// candidates finds the places where one of some texts is.
type candidates struct {
	hay   []byte
	any   [][]byte
	at    []int // the next place of each, at or behind where it was looked for; -1 is none
	ready bool
	which int
	// starts are the lines that match, where tried says that all have been tried.
	tried  bool
	starts []int
}

// from is the first place from an offset on; without texts it is any.
func (c *candidates) from(offset int) int {
	switch {
	case c.tried:
		i, _ := slices.BinarySearch(c.starts, offset)
		if c.starts = c.starts[i:]; len(c.starts) == 0 {
			return -1
		}
		return c.starts[0]
	case c.any == nil:
		return offset
	}
	best := -1
	for i, text := range c.any {
		if !c.ready || c.at[i] >= 0 && c.at[i] < offset {
			if c.at[i] = bytes.Index(c.hay[offset:], text); c.at[i] >= 0 {
				c.at[i] += offset
			}
		}
		if c.at[i] >= 0 && (best < 0 || c.at[i] < best) {
			best, c.which = c.at[i], i
		}
	}
	c.ready = true
	return best
}

// linesThatMatch are the beginnings of the lines that an expression matches which has no
// fixed text to look for: each line has to be tried, and the processors share that. What
// it returns when ctx has ended is not all.
func linesThatMatch(ctx context.Context, m *Matcher, text []byte) []int {
	shares := runtime.GOMAXPROCS(0)
	found := make([][]int, shares)
	var group sync.WaitGroup
	for i, from := 0, 0; i < shares && from < len(text); i++ {
		to := len(text)
		if end := from + (len(text)-from)/(shares-i); i < shares-1 {
			if newline := bytes.IndexByte(text[end:], '\n'); newline >= 0 {
				to = end + newline + 1
			}
		}
		begin := from
		group.Go(func() { found[i] = m.starts(ctx, text[:to], begin) })
		from = to
	}
	group.Wait()
	return slices.Concat(found...)
}

// starts are the beginnings of the lines from an offset on that match.
func (m *Matcher) starts(ctx context.Context, text []byte, from int) (out []int) {
	for from < len(text) && ctx.Err() == nil {
		end := len(text)
		if newline := bytes.IndexByte(text[from:], '\n'); newline >= 0 {
			end = from + newline
		}
		if m.mayMatch(text[from:end]) {
			if _, _, ok := m.find(text[from:end]); ok {
				out = append(out, from)
			}
		}
		from = end + 1
	}
	return out
}

func (s *search) found(text []byte, start, end, from, to int) error {
	left := max(start, from-hitText/4)
	right := min(end, max(left+hitText, min(to, left+2*hitText)))
	to = min(to, right)
	h := Hit{Line: s.line, Text: string(text[left:right]), From: from - left, To: to - left}
	h.Before = slices.Clone(s.before)
	if skip := s.behind(text); start > skip {
		h.Before = lastOf(text[skip:start], h.Before)
	}
	h.After = firstOf(text[min(end+1, len(text)):], hitContext)
	s.now.Hits++
	if s.full = s.now.Hits >= s.limit; s.full {
		s.now.Lines = s.line - s.first + 1
	}
	s.waiting = append(s.waiting, h)
	return s.flush(false)
}

// after gives hits at the end of the text before the lines behind them.
func (s *search) after(text []byte) error {
	text = text[s.behind(text):]
	for i := range s.waiting {
		if lack := hitContext - len(s.waiting[i].After); lack > 0 {
			s.waiting[i].After = append(s.waiting[i].After, firstOf(text, lack)...)
		}
	}
	return s.flush(false)
}

// flush hands over the hits that lack nothing, or all.
func (s *search) flush(all bool) error {
	for len(s.waiting) > 0 && (all || len(s.waiting[0].After) == hitContext) {
		if err := s.hit(s.waiting[0]); err != nil {
			return err
		}
		s.waiting = s.waiting[1:]
	}
	return nil
}

func beginning(line []byte) string { return string(line[:min(len(line), hitText)]) }

func firstOf(text []byte, count int) (out []string) {
	for len(out) < count && len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		out = append(out, beginning(line))
		text = rest
	}
	return out
}

// lastOf is the last lines of a text that comes after some others.
func lastOf(text []byte, others []string) []string {
	var out []string
	body := bytes.TrimSuffix(text, []byte{'\n'})
	for end := len(body); len(text) > 0 && len(out) < hitContext && end >= 0; {
		start := bytes.LastIndexByte(body[:end], '\n')
		out = append(out, beginning(body[start+1:end]))
		end = start
	}
	slices.Reverse(out)
	out = append(slices.Clone(others), out...)
	return out[max(0, len(out)-hitContext):]
}
