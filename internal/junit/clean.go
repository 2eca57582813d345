package junit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"regexp"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// cleaner makes of a file what an XML decoder takes: UTF-8 of characters that XML
// knows. Programs put into these files whatever a test printed, so bytes that are no
// text, control characters and references to them are common.
type cleaner struct {
	in  *bufio.Reader
	out bytes.Buffer
	// inCDATA tells that & is just a character; seen is how much of the mark that
	// begins or ends such a part has just been read.
	inCDATA bool
	seen    int
	err     error
}

var declared = regexp.MustCompile(`^\s*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

func newCleaner(r io.Reader) io.Reader {
	b := bufio.NewReaderSize(r, 32<<10)
	head, _ := b.Peek(256)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = b.Discard(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		_, _ = b.Discard(2)
		b = bufio.NewReaderSize(&utf16Reader{in: b, order: binary.LittleEndian}, 32<<10)
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		_, _ = b.Discard(2)
		b = bufio.NewReaderSize(&utf16Reader{in: b, order: binary.BigEndian}, 32<<10)
	default:
		if m := declared.FindSubmatch(head); m != nil && isLatin(string(bytes.ToLower(m[1]))) {
			b = bufio.NewReaderSize(&latinReader{b}, 32<<10)
		}
	}
	return &cleaner{in: b}
}

func isLatin(name string) bool {
	switch name {
	case "iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252", "us-ascii", "ascii", "iso-8859-15":
		return true
	}
	return false
}

func (c *cleaner) Read(p []byte) (int, error) {
	for c.out.Len() < len(p) && c.err == nil && c.out.Len() < 16<<10 {
		c.step()
	}
	if c.out.Len() == 0 {
		return 0, c.err
	}
	return c.out.Read(p)
}

// step takes one character, or one reference.
func (c *cleaner) step() {
	r, size, err := c.in.ReadRune()
	if err != nil {
		c.err = err
		return
	}
	switch {
	case r == 0x1b:
		c.dropSequence()
	case r == '&' && !c.inCDATA && c.dropReference():
	case !allowed(r), r == utf8.RuneError && size == 1:
		if r >= 0x20 {
			c.out.WriteRune(utf8.RuneError)
		}
	default:
		c.out.WriteRune(r)
		c.mark(r)
	}
}

// mark notices where a CDATA section begins and ends.
func (c *cleaner) mark(r rune) {
	want := "<![CDATA["
	if c.inCDATA {
		want = "]]>"
	}
	switch {
	case r == rune(want[c.seen]):
		c.seen++
	case c.inCDATA && r == ']' && c.seen == 2: // "]]]>" ends it, too
	case r == rune(want[0]):
		c.seen = 1
	default:
		c.seen = 0
	}
	if c.seen == len(want) {
		c.inCDATA, c.seen = !c.inCDATA, 0
	}
}

// dropReference takes the rest of a reference to a character that XML does not know.
func (c *cleaner) dropReference() bool {
	head, _ := c.in.Peek(12)
	end := bytes.IndexByte(head, ';')
	if end < 2 || head[0] != '#' {
		return false
	}
	digits, base := string(head[1:end]), 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n <= utf8.MaxRune && allowed(rune(n)) {
		return false
	}
	_, _ = c.in.Discard(end + 1)
	if n == 0x1b {
		c.dropSequence()
	}
	return true
}

// dropSequence takes what follows an escape character: colours of terminals, mostly.
func (c *cleaner) dropSequence() {
	head, _ := c.in.Peek(32)
	if len(head) == 0 || head[0] != '[' {
		return
	}
	for i, b := range head[1:] {
		switch {
		case b == '<' || b == '&' || b < 0x20 || b > 0x7e:
			return
		case b >= 0x40:
			_, _ = c.in.Discard(i + 2)
			return
		}
	}
}

// allowed tells the characters that XML knows.
func allowed(r rune) bool {
	return r >= 0x20 && r <= 0xd7ff || r == '\t' || r == '\n' || r == '\r' || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune
}

// latinReader makes UTF-8 of windows-1252, of which ISO 8859-1 is a part.
type latinReader struct{ in *bufio.Reader }

// upper are the characters 0x80 to 0x9f.
const upper = "€\uFFFD‚ƒ„…†‡ˆ‰Š‹Œ\uFFFDŽ\uFFFD\uFFFD‘’“”•–—˜™š›œ\uFFFDžŸ"

func (l *latinReader) Read(p []byte) (int, error) {
	n := 0
	for n+utf8.UTFMax <= len(p) {
		b, err := l.in.ReadByte()
		if err != nil {
			return n, err
		}
		r := rune(b)
		if b >= 0x80 && b <= 0x9f {
			r = []rune(upper)[b-0x80]
		}
		n += utf8.EncodeRune(p[n:], r)
		if l.in.Buffered() == 0 {
			break
		}
	}
	return n, nil
}

type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	n := 0
	for n+utf8.UTFMax <= len(p) {
		r, err := u.unit()
		if err != nil {
			return n, err
		}
		if utf16.IsSurrogate(r) {
			second, err := u.unit()
			if err != nil {
				return n, err
			}
			r = utf16.DecodeRune(r, second)
		}
		n += utf8.EncodeRune(p[n:], r)
		if u.in.Buffered() < 2 {
			break
		}
	}
	return n, nil
}

func (u *utf16Reader) unit() (rune, error) {
	var b [2]byte
	if _, err := io.ReadFull(u.in, b[:]); err != nil {
		return 0, io.EOF // half of a character is none
	}
	return rune(u.order.Uint16(b[:])), nil
}
