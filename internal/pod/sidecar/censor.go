package sidecar

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"prow/internal/pod/censor"
	"prow/internal/pod/options"
)

// guard is the censor of a pod.
type guard struct {
	opts    *options.Censoring
	include []*regexp.Regexp
	exclude []*regexp.Regexp
	secrets [][]byte
	// patterns are what the masker looks for.
	patterns [][]byte
	masker   *censor.Masker
}

// newGuard returns a guard that knows no secrets yet.
func newGuard(opts *options.Censoring) (*guard, error) {
	if opts == nil {
		opts = &options.Censoring{}
	}
	g := &guard{opts: opts, masker: censor.NewMasker(nil)}
	for _, globs := range []struct {
		patterns []string
		into     *[]*regexp.Regexp
	}{{opts.IncludeDirectories, &g.include}, {opts.ExcludeDirectories, &g.exclude}} {
		for _, pattern := range globs.patterns {
			matcher, err := compileGlob(pattern)
			if err != nil {
				return nil, err
			}
			*globs.into = append(*globs.into, matcher)
		}
	}
	return g, nil
}

// load reads the secrets and adds them to those it knows already, which may
// have been rotated meanwhile and still stand in a log.
func (g *guard) load() error {
	secrets, err := censor.Load(g.opts.SecretDirectories, g.opts.IniFilenames)
	if err != nil {
		return err
	}
	minLength := 0
	if g.opts.MinimumSecretLength != nil {
		minLength = *g.opts.MinimumSecretLength
	}
	known := len(g.secrets)
	for _, secret := range secrets {
		if !slices.ContainsFunc(g.secrets, func(old []byte) bool { return bytes.Equal(old, secret) }) {
			g.secrets = append(g.secrets, secret)
		}
	}
	if len(g.secrets) > known {
		g.patterns = censor.Patterns(g.secrets, minLength)
		g.masker = censor.NewMasker(g.patterns)
	}
	return nil
}

// File returns the content of an artifact, censored if it is selected.
func (g *guard) File(name string, f *os.File) (io.ReadCloser, error) {
	if name == "" {
		name = path.Base(f.Name())
	}
	if !g.selects(name) {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil
	}
	return g.content(f)
}

// content returns the content of a file, censored, as far as it goes now: a process
// that goes on writing must not hold the upload up for ever.
func (g *guard) content(f *os.File) (io.ReadCloser, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return g.masker.File(io.NewSectionReader(f, 0, info.Size()), info.Size())
}

// Name censors the name of an object.
func (g *guard) Name(name string) string { return g.masker.MaskString(name) }

func (g *guard) selects(name string) bool {
	matches := func(matcher *regexp.Regexp) bool { return matcher.MatchString(name) }
	switch {
	case slices.ContainsFunc(g.exclude, matches):
		return false
	case slices.ContainsFunc(g.include, matches):
		return true
	}
	return len(g.include) == 0
}

// value censors the strings of a JSON value. Its numbers stay, or it would not
// be JSON any more.
func (g *guard) value(v any) any {
	switch v := v.(type) {
	case string:
		return g.masker.MaskString(v)
	case []any:
		for i := range v {
			v[i] = g.value(v[i])
		}
	case map[string]any:
		censored := make(map[string]any, len(v))
		for key, inner := range v {
			censored[g.masker.MaskString(key)] = g.value(inner)
		}
		return censored
	}
	return v
}

// compileGlob reads a pattern for slash-separated paths: * and ? stay within an
// element, ** spans elements, [...] is a class and {a,b} an alternative.
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`\A`)
	depth := 0
	for rest := glob; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:.*/)?`)
			rest = rest[3:]
		case strings.HasPrefix(rest, "**"):
			b.WriteString(`.*`)
			rest = rest[2:]
		case rest[0] == '*':
			b.WriteString(`[^/]*`)
			rest = rest[1:]
		case rest[0] == '?':
			b.WriteString(`[^/]`)
			rest = rest[1:]
		case rest[0] == '[' && strings.Contains(rest, "]"):
			end := strings.IndexByte(rest, ']')
			class := strings.ReplaceAll(rest[1:end], `\`, `\\`)
			if negated, ok := strings.CutPrefix(class, "!"); ok {
				class = "^" + negated
			}
			b.WriteString("[" + class + "]")
			rest = rest[end+1:]
		case rest[0] == '{':
			b.WriteString(`(?:`)
			depth++
			rest = rest[1:]
		case rest[0] == ',' && depth > 0:
			b.WriteString(`|`)
			rest = rest[1:]
		case rest[0] == '}' && depth > 0:
			b.WriteString(`)`)
			depth--
			rest = rest[1:]
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(regexp.QuoteMeta(rest[1:2]))
			rest = rest[2:]
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			rest = rest[1:]
		}
	}
	b.WriteString(`\z`)
	matcher, err := regexp.Compile(`(?s)` + b.String())
	if err != nil {
		return nil, fmt.Errorf("glob %q: %w", glob, err)
	}
	return matcher, nil
}
