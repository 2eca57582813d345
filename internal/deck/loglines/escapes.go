package loglines

import "bytes"

// StripEscapes appends a text without escape sequences of terminals: CSI ones, and
// strings such as titles and links that end within their line. Line feeds stay.
func StripEscapes(to, text []byte) []byte {
	for len(text) > 0 {
		i := bytes.IndexByte(text, 0x1b)
		if i < 0 {
			return append(to, text...)
		}
		to = append(to, text[:i]...)
		text = text[i:]
		text = text[escapeLength(text):]
	}
	return to
}

// escapeLength measures the escape sequence that a text begins with.
func escapeLength(text []byte) int {
	if len(text) < 2 || text[1] == '\n' {
		return 1
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 && text[i] <= 0x7e {
				return i + 1
			}
			if text[i] < 0x20 || text[i] > 0x7e {
				return i
			}
		}
		return len(text)
	case ']', 'P', '_', '^', 'X':
		// A string without an end is none. One ends where another sequence begins, so a
		// text of nothing but beginnings is not read again and again.
		for i := 2; i < len(text) && text[i] != '\n'; i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == 0x1b {
				if i+1 < len(text) && text[i+1] == '\\' {
					return i + 2
				}
				break
			}
		}
	}
	return 2
}
