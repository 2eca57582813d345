// Package ansi makes something to read of what programs write for terminals. Colours
// and weights become names of classes, everything else of a terminal's language is
// dropped, and so is what would reorder the text around it.
package ansi

import (
	"bytes"
	"html"
	"html/template"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxLine is how many bytes of one line Line shows.
const MaxLine = 8 << 10

// Painter reads lines one after the other: colours last until they are reset, also
// over the ends of lines. The zero value begins without any.
type Painter struct {
	fg, bg                  string
	bold, italic, underline bool
}

// Span is text, valid UTF-8, in one style.
type Span struct {
	Text string
	// Classes are those of an element around the text; "" needs none.
	Classes string
}

var colourNames = [8]string{"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}

// Line renders a line of length bytes of which text is there, as HTML.
func (p *Painter) Line(text []byte, length int) template.HTML {
	spans, cut := p.Spans(text, MaxLine)
	cut += length - len(text)
	var out strings.Builder
	for _, s := range spans {
		if s.Classes != "" {
			out.WriteString(`<span class="` + s.Classes + `">` + html.EscapeString(s.Text) + `</span>`)
		} else {
			out.WriteString(html.EscapeString(s.Text))
		}
	}
	if cut > 0 {
		out.WriteString(`<span class="cut"> … ` + strconv.Itoa(cut) + ` more bytes</span>`)
	}
	return template.HTML(out.String()) //nolint:gosec // every part of it was escaped
}

// Spans reads a line, of which it takes limit bytes, and says how many more there
// were. A carriage return overwrites what stands before it, as progress bars do.
func (p *Painter) Spans(text []byte, limit int) (spans []Span, cut int) {
	raw := bytes.TrimRight(text, "\r\n")
	if i := bytes.LastIndexByte(raw, '\r'); i >= 0 {
		// What is overwritten may still have set colours.
		p.read(raw[:min(i, limit)])
		raw = raw[i+1:]
	}
	if len(raw) > limit {
		cut = len(raw) - limit
		raw = raw[:limit]
	}
	return p.read(raw), cut
}

func (p *Painter) read(raw []byte) (spans []Span) {
	text := make([]byte, 0, len(raw))
	flush := func() {
		if len(text) > 0 {
			spans = append(spans, Span{strings.ToValidUTF8(string(text), "\uFFFD"), p.classes()})
			text = text[:0]
		}
	}
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == 0x1b:
			n, sgr, ok := escapeSequence(raw[i:])
			if ok {
				flush()
				p.apply(sgr)
			}
			i += n
		case c == '\t' || c >= 0x20 && c != 0x7f:
			_, size := utf8.DecodeRune(raw[i:])
			if !isBidiControl(raw[i : i+size]) {
				text = append(text, raw[i:i+size]...)
			}
			i += size
		default:
			i++
		}
	}
	flush()
	return spans
}

// isBidiControl tells the characters that reorder the text around them, with which
// a line could be made to read as another one.
func isBidiControl(raw []byte) bool {
	r, _ := utf8.DecodeRune(raw)
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r >= 0x80 && r <= 0x9f
}

// escapeSequence measures the escape sequence that raw begins with. ok tells that it
// sets colours, and sgr are its parameters.
func escapeSequence(raw []byte) (length int, sgr []byte, ok bool) {
	if len(raw) < 2 {
		return 1, nil, false
	}
	switch raw[1] {
	case '[': // up to a final byte
		for i := 2; i < len(raw); i++ {
			if raw[i] >= 0x40 && raw[i] <= 0x7e {
				return i + 1, raw[2:i], raw[i] == 'm'
			}
			if raw[i] < 0x20 || raw[i] > 0x7e {
				return i, nil, false
			}
		}
		return len(raw), nil, false
	case ']', 'P', '_', '^', 'X': // strings, such as titles and links
		for i := 2; i < len(raw); i++ {
			if raw[i] == 0x07 {
				return i + 1, nil, false
			}
			if raw[i] == 0x1b {
				if i+1 < len(raw) && raw[i+1] == '\\' {
					return i + 2, nil, false
				}
				break // where another one begins; else nothing but beginnings would be read again and again
			}
		}
		// Without an end it is no string: show what follows.
		return 2, nil, false
	default:
		return 2, nil, false
	}
}

func (p *Painter) apply(sgr []byte) {
	params := strings.FieldsFunc(string(sgr), func(r rune) bool { return r == ';' || r == ':' })
	if len(params) == 0 {
		*p = Painter{}
	}
	for i := 0; i < len(params); i++ {
		n, err := strconv.Atoi(params[i])
		if err != nil {
			return
		}
		switch {
		case n == 0:
			*p = Painter{}
		case n == 1:
			p.bold = true
		case n == 3:
			p.italic = true
		case n == 4:
			p.underline = true
		case n == 22:
			p.bold = false
		case n == 23:
			p.italic = false
		case n == 24:
			p.underline = false
		case n >= 30 && n <= 37:
			p.fg = colourNames[n-30]
		case n >= 90 && n <= 97:
			p.fg = "bright-" + colourNames[n-90]
		case n == 39:
			p.fg = ""
		case n >= 40 && n <= 47:
			p.bg = colourNames[n-40]
		case n >= 100 && n <= 107:
			p.bg = colourNames[n-100]
		case n == 49:
			p.bg = ""
		case n == 38 || n == 48:
			// Of the larger palettes only the sixteen named colours are kept.
			if i+2 < len(params) && params[i+1] == "5" {
				if c, err := strconv.Atoi(params[i+2]); err == nil && c >= 0 && c < 16 {
					name := colourNames[c%8]
					if n == 48 {
						p.bg = name
					} else if c >= 8 {
						p.fg = "bright-" + name
					} else {
						p.fg = name
					}
				}
				i += 2
			} else {
				i += 4
			}
		}
	}
}

func (p *Painter) classes() string {
	var out []string
	if p.bold {
		out = append(out, "b")
	}
	if p.italic {
		out = append(out, "i")
	}
	if p.underline {
		out = append(out, "u")
	}
	if p.fg != "" {
		out = append(out, "fg-"+p.fg)
	}
	if p.bg != "" {
		out = append(out, "bg-"+p.bg)
	}
	return strings.Join(out, " ")
}
