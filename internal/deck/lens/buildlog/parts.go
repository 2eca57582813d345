package buildlog

import (
	"bytes"
	"slices"
)

const (
	// around is how many lines are shown before and after one that matters.
	around = 5
	// fewest is how many lines are worth being hidden: fewer are shown.
	fewest = 5
	// atEnd is how many lines of a log are shown in which nothing matters.
	atEnd = 10
)

// span is a part of the lines of a text, from 0; to is not in it.
type span struct{ from, to int }

func (s span) within(total int) span {
	return span{min(max(s.from, 0), total), min(max(s.to, 0), total)}
}

// part is a span that is shown or hidden.
type part struct {
	span
	shown bool
}

// arrange splits all lines into parts that are shown and parts that are hidden, so
// that what matters is shown.
func arrange(total int, matter []span) []part {
	var shown []span
	matter = slices.Clone(matter)
	slices.SortFunc(matter, func(a, b span) int { return a.from - b.from })
	for _, s := range matter {
		if s = s.within(total); s.from >= s.to {
			continue
		}
		if n := len(shown); n > 0 && s.from-shown[n-1].to < fewest {
			shown[n-1].to = max(shown[n-1].to, s.to)
		} else {
			shown = append(shown, s)
		}
	}
	var out []part
	at := 0
	for _, s := range shown {
		if s.from-at < fewest {
			s.from = at
		}
		if s.from > at {
			out = append(out, part{span{at, s.from}, false})
		}
		if total-s.to < fewest {
			s.to = total
		}
		out = append(out, part{s, true})
		at = s.to
	}
	if at < total {
		rest := part{span{at, total}, total-at < fewest}
		out = append(out, rest)
	}
	return out
}

// content is a text or a part of one.
type content struct {
	raw []byte
	// offset and first say where in the artifact it begins, in bytes and in lines.
	offset int64
	first  int
}

// lines counts them. What stands after the last end of a line is one, too.
func (c *content) lines() int {
	return bytes.Count(c.raw, []byte{'\n'}) + 1
}

// cutLine takes the first line off raw.
func cutLine(raw []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(raw, []byte{'\n'})
	return line, rest
}

// skipLines is where in raw the line with number n begins; the end of raw if it has fewer.
func skipLines(raw []byte, n int) int {
	at := 0
	for ; n > 0; n-- {
		i := bytes.IndexByte(raw[at:], '\n')
		if i < 0 {
			return len(raw)
		}
		at += i + 1
	}
	return at
}
