package buildlog

import (
	"bytes"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"prow/internal/deck/ansi"
	"prow/internal/deck/lens/look"
)

const (
	// maxShownBytes and maxShownLines bound what one page or answer shows of a log.
	maxShownBytes = 4 << 20
	maxShownLines = 20_000
	// manyHidden is how many hidden lines can be shown bit by bit.
	manyHidden = 20
)

// renderer writes lines and groups as HTML. All that comes from a log goes through
// html.EscapeString.
type renderer struct {
	artifact string
	// pattern marks matches in lines up to maxMarked bytes; nil marks none.
	pattern   *regexp.Regexp
	maxMarked int
	// focus are lines that are marked as a whole.
	focus span
	paint ansi.Painter
	out   strings.Builder
	lines int
	bytes int
}

// content writes all parts. Where too much would be shown, the rest is one group.
func (r *renderer) content(c *content, parts []part) {
	raw := c.raw
	at := 0 // in c.raw
	for _, p := range parts {
		if !p.shown {
			end := at + skipLines(raw, p.to-p.from)
			r.paintOver(c.raw[at:end])
			r.group(c, p.span, at, end)
			raw, at = c.raw[end:], end
			continue
		}
		for n := p.from; n < p.to; n++ {
			if r.lines >= maxShownLines || r.bytes >= maxShownBytes {
				r.group(c, span{n, parts[len(parts)-1].to}, at, len(c.raw))
				return
			}
			line, rest := cutLine(raw)
			at += len(raw) - len(rest)
			raw = rest
			r.line(c.first+n, line)
		}
	}
}

// paintOver reads the colours that hidden lines set.
func (r *renderer) paintOver(raw []byte) {
	for {
		i := bytes.IndexByte(raw, 0x1b)
		if i < 0 {
			return
		}
		end := bytes.IndexByte(raw[i:], '\n')
		if end < 0 {
			end = len(raw) - i
		}
		r.paint.Spans(raw[i:i+end], maxLine)
		raw = raw[i+end:]
	}
}

// group writes hidden lines. Their last end of a line is not a part of the length.
func (r *renderer) group(c *content, s span, from, to int) {
	length := to - from
	if length > 0 && to < len(c.raw) && c.raw[to-1] == '\n' {
		length--
	}
	r.hidden(span{c.first + s.from, c.first + s.to}, c.offset+int64(from), int64(length))
}

// hidden writes a group of lines that are somewhere in the artifact.
func (r *renderer) hidden(s span, offset, length int64) {
	n := s.to - s.from
	r.out.WriteString(`<div class="g" data-offset="` + strconv.FormatInt(offset, 10) + `" data-length="` + strconv.FormatInt(length, 10) +
		`" data-start="` + strconv.Itoa(s.from) + `" data-end="` + strconv.Itoa(s.to) + `"><span>` + look.Count(n, "hidden line") + `</span><span class="needs-script">`)
	if n >= manyHidden {
		r.out.WriteString(`<button type="button" data-expand="top" title="10 more; Shift, Ctrl and Alt make it ten times as many each">↓ 10 more</button><button type="button" data-expand="bottom" title="10 more; Shift, Ctrl and Alt make it ten times as many each">↑ 10 more</button>`)
	}
	r.out.WriteString(`<button type="button" data-expand="all">Show all</button></span></div>` + "\n")
}

// line writes a line with a number from 0.
func (r *renderer) line(n int, raw []byte) {
	spans, cut := r.paint.Spans(raw, maxLine)
	text := textOf(spans)
	r.lines++
	r.bytes += len(text) + 100
	number := strconv.Itoa(n + 1)
	id := html.EscapeString(r.artifact + ":" + number)
	class := "l"
	if n >= r.focus.from && n < r.focus.to {
		class = "l focus"
	}
	marks := r.marks(text, cut)
	r.out.WriteString(`<div class="` + class + `" id="` + id + `"><a href="#` + html.EscapeString(escapeFragment(r.artifact)) + ":" + number + `">` + number + `</a><span>`)
	r.text(text, spans, marks, links(text))
	if cut > 0 {
		r.out.WriteString(`<i class="cut"> … ` + look.Count(cut, "more byte") + `</i>`)
	}
	r.out.WriteString("</span></div>\n")
}

func textOf(spans []ansi.Span) string {
	if len(spans) == 1 {
		return spans[0].Text
	}
	var out strings.Builder
	for _, s := range spans {
		out.WriteString(s.Text)
	}
	return out.String()
}

// plain is the text of a line as it is shown.
func (r *renderer) plain(raw []byte) (text string, cut int) {
	spans, cut := r.paint.Spans(raw, maxLine)
	return textOf(spans), cut
}

func escapeFragment(name string) string { return (&url.URL{Path: name}).EscapedPath() }

func (r *renderer) marks(text string, cut int) [][]int {
	if r.pattern == nil || cut > 0 || len(text) > r.maxMarked {
		return nil
	}
	return r.pattern.FindAllStringIndex(text, 1000)
}

var address = regexp.MustCompile(`\bhttps?://[^\s<>"'` + "`" + `\\^{}|]+`)

// links are where addresses of the web stand.
func links(text string) [][]int {
	if !strings.Contains(text, "://") {
		return nil
	}
	found := address.FindAllStringIndex(text, 1000)
	for _, f := range found {
		link := strings.TrimRight(text[f[0]:f[1]], ".,;:!?*_")
		for len(link) > 0 && strings.ContainsAny(link[len(link)-1:], ")]") && strings.Count(link, link[len(link)-1:]) > strings.Count(link, map[byte]string{')': "(", ']': "["}[link[len(link)-1]]) {
			link = strings.TrimRight(link[:len(link)-1], ".,;:!?*_")
		}
		f[1] = f[0] + len(link)
	}
	return slices.DeleteFunc(found, func(f []int) bool { return !look.IsWeb(text[f[0]:f[1]]) })
}

// text writes a line with its colours, marks and links, which may overlap in any way:
// it is cut where one of them begins or ends.
func (r *renderer) text(plain string, spans []ansi.Span, marks, links [][]int) {
	at := 0 // in plain
	for _, s := range spans {
		for rest := s.Text; rest != ""; {
			marks, links = ahead(marks, at), ahead(links, at)
			mark, n := inside(marks, at, len(rest))
			link, n := inside(links, at, n)
			if link && at == links[0][0] {
				r.out.WriteString(`<a class="link" href="` + html.EscapeString(plain[at:links[0][1]]) + `" target="_blank" rel="noreferrer noopener">`)
			}
			piece := html.EscapeString(rest[:n])
			if s.Classes != "" {
				piece = `<span class="` + s.Classes + `">` + piece + `</span>`
			}
			if mark {
				piece = `<mark>` + piece + `</mark>`
			}
			r.out.WriteString(piece)
			at += n
			rest = rest[n:]
			if link && at == links[0][1] {
				r.out.WriteString(`</a>`)
			}
		}
	}
}

// ahead drops the ranges that end before a place. They are in order.
func ahead(ranges [][]int, at int) [][]int {
	for len(ranges) > 0 && ranges[0][1] <= at {
		ranges = ranges[1:]
	}
	return ranges
}

// inside tells whether a place is in the first of the ranges, and how far, at most n
// bytes, it stays like that.
func inside(ranges [][]int, at, n int) (bool, int) {
	switch {
	case len(ranges) == 0:
		return false, n
	case at < ranges[0][0]:
		return false, min(n, ranges[0][0]-at)
	}
	return true, min(n, ranges[0][1]-at)
}
