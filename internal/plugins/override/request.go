package override

import (
	"regexp"
	"slices"
	"strings"
)

var (
	plainRe  = regexp.MustCompile(`(?mi)^/override(?:[ \t]+([^\r\n]*))?\r?$`)
	stickyRe = regexp.MustCompile(`(?mi)^/override-sticky(?:[ \t]+([^\r\n]*))?\r?$`)
	cancelRe = regexp.MustCompile(`(?mi)^/override-cancel(?:[ \t]+([^\r\n]*))?\r?$`)
)

// maxNames bounds how many names a comment gives; more are ignored.
const maxNames = 100

// names are the arguments of all uses of a command.
type names struct{ list []string }

// requestOf is what a comment asks for; nil parts are not asked for.
type requestOf struct{ plain, sticky, cancel *names }

func read(text string) requestOf {
	return requestOf{namesIn(plainRe, text), namesIn(stickyRe, text), namesIn(cancelRe, text)}
}

// incomplete tells whether a command lacks the names it needs.
func (r requestOf) incomplete() bool {
	return r.plain != nil && len(r.plain.list) == 0 || r.sticky != nil && len(r.sticky.list) == 0
}

func namesIn(re *regexp.Regexp, text string) *names {
	uses := re.FindAllStringSubmatch(text, -1)
	if uses == nil {
		return nil
	}
	out := &names{}
	for _, use := range uses {
		for _, name := range split(use[1]) {
			if !slices.Contains(out.list, name) && len(out.list) < maxNames {
				out.list = append(out.list, name)
			}
		}
	}
	return out
}

// split takes a line apart at blanks. Double quotes protect blanks and are removed;
// the last may be missing.
func split(line string) []string {
	var out []string
	var word strings.Builder
	begun, quoted := false, false
	end := func() {
		if begun && word.Len() > 0 {
			out = append(out, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, c := range line {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case (c == ' ' || c == '\t') && !quoted:
			end()
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	end()
	return out
}
