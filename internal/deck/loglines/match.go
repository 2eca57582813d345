package loglines

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxQuery is how long what is searched for may be, in bytes.
const MaxQuery = 1000

const (
	// maxMatched is how much of a line a regular expression sees, in bytes.
	maxMatched = 64 << 10
	// maxWeight bounds the size of a regular expression, and with it the time that a
	// line takes.
	maxWeight = 1000
)

// Query is what is searched for in lines.
type Query struct {
	Text string
	// Regexp says that Text is a regular expression of RE2, whose ^ and $ are the
	// ends of a line. It sees the first 64 KiB of a line.
	Regexp bool
	// Case tells upper from lower case; without it, case does not count for the
	// letters of ASCII in a text, and for all in a regular expression.
	Case bool
}

// Matcher finds a query in lines.
type Matcher struct {
	// any are texts one of which is in every line that matches; nil is unknown. Of each
	// set of also there is one, too.
	any  [][]byte
	also [][][]byte
	// lower says that all these are lower case, and looked for in lower case.
	lower bool
	// re decides, where any does not alone.
	re *regexp.Regexp
}

// Compile reads a query. Errors are for those who wrote it.
func (q Query) Compile() (*Matcher, error) {
	switch {
	case q.Text == "":
		return nil, errors.New("there is nothing to search for")
	case len(q.Text) > MaxQuery:
		return nil, fmt.Errorf("what is searched for has %d bytes, more than %d", len(q.Text), MaxQuery)
	case !utf8.ValidString(q.Text), strings.ContainsAny(q.Text, "\n\r\x00"):
		return nil, errors.New("what is searched for must be text of one line")
	case !q.Regexp && q.Case:
		return &Matcher{any: [][]byte{[]byte(q.Text)}}, nil
	case !q.Regexp:
		return &Matcher{any: [][]byte{lowered(nil, []byte(q.Text))}, lower: true}, nil
	}
	// The text is read by itself first: nothing in it gets out of the flag before it.
	_, err := syntax.Parse(q.Text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("the regular expression cannot be read: %w", err)
	}
	text := q.Text
	if !q.Case {
		text = "(?i)" + text
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("the regular expression cannot be read: %w", err)
	}
	if weight(parsed) > maxWeight {
		return nil, errors.New("the regular expression repeats too much")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("the regular expression cannot be read: %w", err)
	}
	m := &Matcher{re: re}
	sets, fold := required(parsed.Simplify())
	m.lower = fold
	for i, set := range sets {
		var texts [][]byte
		for _, text := range set {
			if fold {
				texts = append(texts, lowered(nil, []byte(text)))
			} else {
				texts = append(texts, []byte(text))
			}
		}
		if i == 0 {
			m.any = texts
		} else {
			m.also = append(m.also, texts)
		}
	}
	return m, nil
}

// weight is about how many steps an expression has.
func weight(re *syntax.Regexp) int {
	out := 1 + len(re.Rune)/4
	if re.Op == syntax.OpLiteral {
		out = len(re.Rune)
	}
	for _, sub := range re.Sub {
		out += weight(sub)
	}
	if re.Op == syntax.OpRepeat {
		out *= max(re.Min, re.Max, 1)
	}
	return min(out, 1<<20)
}

// find returns where a line matches first, if it does.
func (m *Matcher) find(line []byte) (from, to int, ok bool) {
	if m.re == nil {
		hay := line
		if m.lower {
			hay = lowered(nil, line)
		}
		at := bytes.Index(hay, m.any[0])
		return at, at + len(m.any[0]), at >= 0
	}
	where := m.re.FindIndex(line[:min(len(line), maxMatched)])
	if where == nil {
		return 0, 0, false
	}
	return where[0], where[1], true
}

// maxAlternatives bounds how many texts are looked for at once.
const maxAlternatives = 8

// required returns sets of texts; every match of an expression has at least one of
// each. The first set is that of the rarest, as far as can be told. fold says that
// case does not count. Nothing is known about an empty answer.
func required(re *syntax.Regexp) (sets [][]string, fold bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return [][]string{{string(re.Rune)}}, false
		}
		if text := longestFolded(re.Rune); text != "" {
			return [][]string{{text}}, true
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			more, f := required(sub)
			sets, fold = append(sets, more...), fold || f
		}
		slices.SortStableFunc(sets, func(a, b []string) int { return shortest(b) - shortest(a) })
		return sets[:min(len(sets), maxAlternatives)], fold
	case syntax.OpAlternate:
		var any []string
		for _, sub := range re.Sub {
			one, f := required(sub)
			if len(one) == 0 || len(any)+len(one[0]) > maxAlternatives {
				return nil, false
			}
			any, fold = append(any, one[0]...), fold || f
		}
		return [][]string{any}, fold
	}
	return nil, false
}

// shortest is the length of the shortest text: the longer, the rarer.
func shortest(set []string) int {
	return len(slices.MinFunc(set, func(x, y string) int { return len(x) - len(y) }))
}

// mayMatch tells whether a line has what it must. hay is the line in the case that
// the texts are in.
func (m *Matcher) mayMatch(hay []byte) bool {
	for _, set := range m.also {
		if !slices.ContainsFunc(set, func(text []byte) bool { return bytes.Contains(hay, text) }) {
			return false
		}
	}
	return true
}

// longestFolded is the longest piece of a text whose letters have no other forms
// than the two of ASCII, as K and S have.
func longestFolded(text []rune) string {
	best, from := "", 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && text[i] < utf8.RuneSelf && !strings.ContainsRune("kKsS", text[i]) {
			continue
		}
		if i-from > len(best) {
			best = string(text[from:i])
		}
		from = i + 1
	}
	return best
}

// lowered appends a text in lower case, as far as ASCII goes, so that it keeps its length.
func lowered(to, text []byte) []byte {
	to = slices.Grow(to, len(text))
	at := len(to)
	to = to[:at+len(text)]
	for i, c := range text {
		to[at+i] = lowerTable[c]
	}
	return to
}

var lowerTable = func() (out [256]byte) {
	for i := range out {
		out[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			out[i] += 'a' - 'A'
		}
	}
	return out
}()
