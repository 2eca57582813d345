package config

import (
	"path"
	"regexp"
	"strings"
)

// ignoreFileName names the files that keep others from being read. They have
// the format of .gitignore, lie in any directory, and speak about their subtree.
const ignoreFileName = ".prowignore"

// ignoreRules are the rules of one ignore file.
type ignoreRules struct {
	dir   string // slash-separated, relative to the root; empty is the root
	rules []ignoreRule
}

type ignoreRule struct {
	re            *regexp.Regexp // matches the path relative to dir
	negate, isDir bool
}

// parseIgnore reads an ignore file; lines that are not understood match nothing.
func parseIgnore(dir string, content []byte) ignoreRules {
	out := ignoreRules{dir: dir}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\r\n")
		for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
			line = strings.TrimSuffix(line, " ")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		var rule ignoreRule
		if line[0] == '!' {
			rule.negate, line = true, line[1:]
		}
		if strings.HasSuffix(line, "/") {
			rule.isDir, line = true, strings.TrimRight(line, "/")
		}
		anchored := strings.Contains(line, "/")
		if line = strings.TrimPrefix(line, "/"); line == "" {
			continue
		}
		expr := globExpr(line)
		if !anchored {
			expr = "(?:.*/)?" + expr
		}
		re, err := regexp.Compile("^" + expr + "$")
		if err != nil {
			continue
		}
		rule.re = re
		out.rules = append(out.rules, rule)
	}
	return out
}

// globExpr translates a pattern: * and ? stay within a name, ** does not.
func globExpr(glob string) string {
	var b strings.Builder
	for i := 0; i < len(glob); {
		rest := glob[i:]
		switch {
		case strings.HasPrefix(rest, "**/") && (i == 0 || glob[i-1] == '/'):
			b.WriteString("(?:.*/)?")
			i += 3
		case rest == "**" && i > 0 && glob[i-1] == '/':
			b.WriteString(".+")
			i += 2
		case rest[0] == '*':
			b.WriteString("[^/]*")
			i++
		case rest[0] == '?':
			b.WriteString("[^/]")
			i++
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(regexp.QuoteMeta(rest[1:2]))
			i += 2
		case rest[0] == '[':
			end := strings.IndexByte(rest[1:], ']')
			if end <= 0 {
				b.WriteString(`\[`)
				i++
				continue
			}
			class := rest[1 : 1+end]
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(class, `\`, `\\`) + "]")
			i += end + 2
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			i++
		}
	}
	return b.String()
}

// ignored tells whether the rules of a directory and of its parents, given
// from the root downwards, ignore a path. The last rule that matches decides.
// Ignored directories are not entered, so nothing below them can come back.
func ignored(files []ignoreRules, name string, isDir bool) bool {
	for i := len(files) - 1; i >= 0; i-- {
		rel := name
		if dir := files[i].dir; dir != "" {
			rel = strings.TrimPrefix(name, dir+"/")
		}
		rules := files[i].rules
		for j := len(rules) - 1; j >= 0; j-- {
			if rule := &rules[j]; (isDir || !rule.isDir) && rule.re.MatchString(rel) {
				return !rule.negate
			}
		}
	}
	return false
}

// isYAML tells whether a file has an extension that is read.
func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}
