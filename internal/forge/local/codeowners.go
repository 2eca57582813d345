package local

import (
	"bufio"
	"bytes"
	"path"
	"strings"
)

// codeOwnersPlaces are where a CODEOWNERS file may be; the first that exists counts.
var codeOwnersPlaces = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// maxCodeOwners is GitHub's limit: a larger file counts as none.
const maxCodeOwners = 3 << 20

// ownerRule is a line of a CODEOWNERS file.
type ownerRule struct {
	// segments of the pattern; "**" stands for any number of them.
	segments []string
	// owners are "@login", "@org/team" or an e-mail. None: nobody owns this.
	owners []string
}

// parseCodeOwners reads a CODEOWNERS file. Lines it cannot read are left out,
// as GitHub does, so that one mistake does not free the whole repository.
func parseCodeOwners(text []byte) []ownerRule {
	var rules []ownerRule
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxCodeOwners+1)
	for lines.Scan() {
		words := ownerWords(lines.Text())
		if len(words) == 0 {
			continue
		}
		if segments := ownerPattern(words[0]); segments != nil {
			rules = append(rules, ownerRule{segments, words[1:]})
		}
	}
	return rules
}

// ownerWords splits a line at white space that is not escaped, up to a comment.
func ownerWords(line string) []string {
	var words []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteString(`\` + line[i:i+1])
		case c == ' ' || c == '\t' || c == '\r':
			flush()
		case c == '#' && word.Len() == 0:
			return words
		default:
			word.WriteByte(c)
		}
	}
	flush()
	return words
}

// ownerPattern prepares a pattern, nil if it is none. They are those of
// .gitignore without negation, ranges and escaped number signs; and "docs/*"
// is only what is directly in docs.
func ownerPattern(pattern string) []string {
	if strings.HasPrefix(pattern, "!") || strings.HasPrefix(pattern, `\#`) || strings.ContainsAny(pattern, "[]") {
		return nil
	}
	rest, below := strings.CutSuffix(pattern, "/")
	segments := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	for _, s := range segments {
		if _, err := path.Match(s, ""); s == "" || err != nil {
			return nil
		}
	}
	if len(segments) == 1 && !strings.HasPrefix(pattern, "/") {
		segments = append([]string{"**"}, segments...)
	}
	switch last := segments[len(segments)-1]; {
	case below:
		segments = append(segments, "*", "**")
	case last == "**":
		segments = append(segments[:len(segments)-1], "*", "**")
	case last != "*" || len(segments) == 2 && segments[0] == "**":
		segments = append(segments, "**") // the name may be a directory's
	}
	return segments
}

// owns says whether a rule is about a file.
func (o *ownerRule) owns(file string) bool {
	names := strings.Split(file, "/")
	// A mismatch lets the last "**" take one segment more; earlier ones need
	// not be tried again.
	i, j, star, taken := 0, 0, -1, 0
	for j < len(names) {
		if i < len(o.segments) && o.segments[i] == "**" {
			star, taken = i, j
			i++
			continue
		}
		if i < len(o.segments) {
			if ok, err := path.Match(o.segments[i], names[j]); ok && err == nil {
				i, j = i+1, j+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		taken++
		i, j = star+1, taken
	}
	for i < len(o.segments) && o.segments[i] == "**" {
		i++
	}
	return i == len(o.segments)
}

// ownersOf are the owners of a file: those of the last rule that is about it.
func ownersOf(rules []ownerRule, file string) []string {
	for i := len(rules) - 1; i >= 0; i-- {
		if rules[i].owns(file) {
			return rules[i].owners
		}
	}
	return nil
}
