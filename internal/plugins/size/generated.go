package size

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// reader reads, at one commit, which files are generated.
type reader struct {
	agent             *plugins.Agent
	org, repo, commit string
}

// file is the content of a file; a missing one says nothing.
func (r *reader) file(ctx context.Context, name string) (string, error) {
	raw, err := r.agent.GitHub.GetFile(ctx, r.org, r.repo, name, r.commit)
	if github.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("which files are generated: %w", err)
	}
	return string(raw), nil
}

// generated tells which files are generated, by both sources.
func (r *reader) generated(ctx context.Context) (func(string) bool, error) {
	text, err := r.file(ctx, ".generated_files")
	if err != nil {
		return nil, err
	}
	listed, err := parseGenerated(text)
	if err != nil {
		r.agent.Log.WarnContext(ctx, "the file says nothing", "path", ".generated_files", "error", err)
		listed = rules{}
	}
	for _, name := range listed.pathsFrom {
		paths, err := r.file(ctx, name)
		if err != nil {
			return nil, err
		}
		listed.addPaths(paths)
	}
	if text, err = r.file(ctx, ".gitattributes"); err != nil {
		return nil, err
	}
	attributes := parseAttributes(text)
	return func(name string) bool { return listed.matches(name) || attributes.generated(name) }, nil
}

// rules are what .generated_files says.
type rules struct {
	paths, fileNames           map[string]bool
	pathPrefixes, filePrefixes []string
	// pathsFrom are files that list paths.
	pathsFrom []string
}

// maxPathsFrom bounds how many files that list paths are read.
const maxPathsFrom = 20

// parseGenerated reads .generated_files: lines of a key and a value.
func parseGenerated(text string) (rules, error) {
	r := rules{paths: map[string]bool{}, fileNames: map[string]bool{}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return rules{}, fmt.Errorf("line %d: found %d words, expected a key and a value", i+1, len(fields))
		}
		switch key, value := fields[0], fields[1]; key {
		case "prefix", "path-prefix":
			r.pathPrefixes = append(r.pathPrefixes, value)
		case "file-prefix":
			r.filePrefixes = append(r.filePrefixes, value)
		case "file-name":
			r.fileNames[value] = true
		case "path":
			r.paths[value] = true
		case "paths-from-repo":
			if r.pathsFrom = append(r.pathsFrom, value); len(r.pathsFrom) > maxPathsFrom {
				return rules{}, fmt.Errorf("line %d: found more than %d keys paths-from-repo", i+1, maxPathsFrom)
			}
		default:
			return rules{}, fmt.Errorf("line %d: found the key %q, expected prefix, path-prefix, file-name, file-prefix, path or paths-from-repo", i+1, key)
		}
	}
	return r, nil
}

// addPaths adds a list of paths, one a line.
func (r *rules) addPaths(text string) {
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			r.paths[line] = true
		}
	}
}

func (r *rules) matches(name string) bool {
	base := path.Base(name)
	if r.paths[name] || r.fileNames[base] {
		return true
	}
	for _, p := range r.pathPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	for _, p := range r.filePrefixes {
		if strings.HasPrefix(base, p) {
			return true
		}
	}
	return false
}

// attributes are the lines of .gitattributes about generated files, in order.
type attributes []attribute

type attribute struct {
	re        *regexp.Regexp
	generated bool
}

// maxAttributes bounds how many lines count.
const maxAttributes = 1000

// parseAttributes reads .gitattributes as git does: patterns that are negative or
// end with a slash match nothing.
func parseAttributes(text string) attributes {
	var out attributes
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], "!") || strings.HasSuffix(fields[0], "/") || len(out) == maxAttributes {
			continue
		}
		for _, attr := range fields[1:] {
			switch attr {
			case "linguist-generated=true":
				out = append(out, attribute{globRe(fields[0]), true})
			case "linguist-generated=false", "-linguist-generated", "!linguist-generated":
				out = append(out, attribute{globRe(fields[0]), false})
			}
		}
	}
	return out
}

// generated tells what the last line says that matches.
func (a attributes) generated(name string) (yes bool) {
	for _, line := range a {
		if line.re.MatchString(name) {
			yes = line.generated
		}
	}
	return yes
}

// globRe is a pattern of .gitattributes as an expression of paths: without a slash
// it matches the name in any directory, and only ** goes across directories.
func globRe(pattern string) *regexp.Regexp {
	var re strings.Builder
	re.WriteString("^")
	if !strings.Contains(strings.TrimPrefix(pattern, "**/"), "/") {
		pattern = "**/" + strings.TrimPrefix(pattern, "**/")
	}
	pattern = strings.TrimPrefix(pattern, "/")
	for pattern != "" {
		rest := pattern[1:]
		switch {
		case strings.HasPrefix(pattern, "**/"):
			re.WriteString("(?:.*/)?")
			rest = pattern[3:]
		case pattern == "**":
			re.WriteString(".*")
			rest = ""
		case pattern[0] == '*':
			re.WriteString("[^/]*")
		case pattern[0] == '?':
			re.WriteString("[^/]")
		case pattern[0] == '[':
			class, after := classRe(pattern)
			re.WriteString(class)
			rest = after
		case pattern[0] == '\\' && rest != "":
			re.WriteString(regexp.QuoteMeta(rest[:1]))
			rest = rest[1:]
		default:
			re.WriteString(regexp.QuoteMeta(pattern[:1]))
		}
		pattern = rest
	}
	re.WriteString("$")
	compiled, err := regexp.Compile("(?s)" + re.String())
	if err != nil {
		return noneRe
	}
	return compiled
}

// noneRe matches nothing.
var noneRe = regexp.MustCompile(`[^\s\S]`)

// classRe is the class of characters at the beginning of a pattern, and what
// follows it. One that does not end is a character.
func classRe(pattern string) (class, rest string) {
	end := strings.IndexByte(pattern[min(2, len(pattern)):], ']')
	if end < 0 {
		return regexp.QuoteMeta("["), pattern[1:]
	}
	end += 2
	inner, negative := pattern[1:end], ""
	if inner[0] == '!' || inner[0] == '^' {
		inner, negative = inner[1:], "^/"
	}
	inner = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "^", `\^`).Replace(inner)
	return "[" + negative + inner + "]", pattern[end+1:]
}
