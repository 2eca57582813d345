package pluginconfig

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// globMeta begins the part of a glob that is no literal text.
const globMeta = `*?[{`

// Matcher tells for paths which entry of Maps they belong to: of several globs that
// match, the one with the longest literal beginning, and of those the longest.
func (u *ConfigUpdater) Matcher() func(path string) (ConfigMapSpec, bool) {
	type entry struct {
		glob    string
		literal int
		matches func(path string) bool
	}
	var entries []entry
	for _, glob := range sortedKeys(u.Maps) {
		literal := strings.IndexAny(glob, globMeta)
		if literal < 0 {
			literal = len(glob) + 1 // the path itself goes before all globs
		}
		entries = append(entries, entry{glob, literal, globMatcher(glob)})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.literal, a.literal), cmp.Compare(len(b.glob), len(a.glob)))
	})
	return func(path string) (ConfigMapSpec, bool) {
		for _, e := range entries {
			if e.matches(path) {
				return u.Maps[e.glob], true
			}
		}
		return ConfigMapSpec{}, false
	}
}

// globMatcher tells whether a path matches a glob: * and ? stay within a directory,
// ** does not, {a,b} are alternatives, [a-z] is a class. Brackets that are not closed
// stand for themselves, and so does a glob that makes no expression, such as [z-a].
func globMatcher(glob string) func(path string) bool {
	re, err := regexp.Compile(`\A` + translateGlob(glob) + `\z`)
	if err != nil {
		return func(path string) bool { return path == glob }
	}
	return re.MatchString
}

func translateGlob(glob string) string {
	var b strings.Builder
	for len(glob) > 0 {
		switch c := glob[0]; {
		case strings.HasPrefix(glob, "**/"):
			b.WriteString(`(?:.*/)?`)
			glob = glob[3:]
			continue
		case strings.HasPrefix(glob, "**"):
			b.WriteString(`.*`)
			glob = glob[2:]
			continue
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '{' && strings.Contains(glob, "}"):
			inner, rest, _ := strings.Cut(glob[1:], "}")
			var alternatives []string
			for _, a := range strings.Split(inner, ",") {
				alternatives = append(alternatives, translateGlob(a))
			}
			b.WriteString("(?:" + strings.Join(alternatives, "|") + ")")
			glob = rest
			continue
		case c == '[' && strings.IndexByte(glob, ']') > 1:
			inner, rest, _ := strings.Cut(glob[1:], "]")
			negate := ""
			if inner[0] == '!' || inner[0] == '^' {
				negate, inner = "^/", inner[1:]
			}
			b.WriteString("[" + negate + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(inner) + "]")
			glob = rest
			continue
		default:
			b.WriteString(regexp.QuoteMeta(glob[:1]))
		}
		glob = glob[1:]
	}
	return b.String()
}
