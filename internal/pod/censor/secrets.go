package censor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load reads the secrets of some directories or files: the content of every
// file, and of those that are known to hold several (docker credentials, and
// the named ini files) each. A secret that cannot be read is an error, for what
// is not known cannot be removed.
func Load(paths, iniFilenames []string) ([][]byte, error) {
	var secrets [][]byte
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			// Secret volumes keep their versions in such directories and link to them.
			if path != root && strings.HasPrefix(entry.Name(), "..") {
				if entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			secrets = append(secrets, content)
			parts, err := parts(filepath.Base(path), content, iniFilenames)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			secrets = append(secrets, parts...)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading the secrets of %s: %w", root, err)
		}
	}
	return secrets, nil
}

func parts(name string, content []byte, iniFilenames []string) ([][]byte, error) {
	switch {
	case name == ".dockercfg":
		var registries map[string]registry
		err := json.Unmarshal(content, &registries)
		return credentials(registries), err
	case name == ".dockerconfigjson":
		var config struct {
			Auths map[string]registry `json:"auths"`
		}
		err := json.Unmarshal(content, &config)
		return credentials(config.Auths), err
	case slices.Contains(iniFilenames, name):
		return iniValues(content), nil
	}
	return nil, nil
}

// registry is the login to a container registry.
type registry struct {
	Auth     string `json:"auth"`
	Password string `json:"password"`
}

func credentials(registries map[string]registry) [][]byte {
	var secrets [][]byte
	for _, r := range registries {
		for _, secret := range []string{r.Auth, r.Password} {
			if secret != "" {
				secrets = append(secrets, []byte(secret))
			}
		}
	}
	return secrets
}

// iniValues returns the values of all sections, with and without their quotes.
func iniValues(content []byte) [][]byte {
	var values [][]byte
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || line[0] == ';' || line[0] == '[' {
			continue
		}
		_, value, found := bytes.Cut(line, []byte("="))
		if !found {
			continue
		}
		value = bytes.TrimSpace(value)
		values = append(values, value)
		if unquoted := bytes.Trim(value, `"'`); len(unquoted) < len(value) {
			values = append(values, unquoted)
		}
	}
	return values
}

// minAlignedLength is the length from which a secret is also looked for inside
// of longer encoded texts; shorter ones would match by accident.
const minAlignedLength = 8

// Patterns returns the forms in which secrets are looked for: as they are
// without the white space around them, in base64 also where that is broken into
// lines, and escaped for JSON and URLs; and of secrets of several lines those
// that are telling by themselves, for programs indent and number lines. Secrets
// that are no secrets (empty, true, false) or shorter than minLength are left out.
func Patterns(secrets [][]byte, minLength int) [][]byte {
	var patterns [][]byte
	add := func(forms ...string) {
		for _, form := range forms {
			patterns = append(patterns, []byte(form))
		}
	}
	for _, content := range secrets {
		trimmed := bytes.TrimSpace(content)
		text := string(trimmed)
		if text == "" || strings.EqualFold(text, "true") || strings.EqualFold(text, "false") || len(text) < minLength {
			continue
		}
		add(text, base64.StdEncoding.EncodeToString(content), base64.StdEncoding.EncodeToString(trimmed))
		if len(text) >= minAlignedLength {
			add(alignments(trimmed)...)
			add(escapes(text)...)
		}
		encoded := base64.StdEncoding.EncodeToString(content)
		add(wrapped(encoded, 64)...)
		add(wrapped(encoded, 76)...)
		for _, line := range lines(text) {
			add(line)
			add(alignments([]byte(line))...)
			add(escapes(line)...)
		}
	}
	slices.SortFunc(patterns, bytes.Compare)
	return slices.CompactFunc(patterns, bytes.Equal)
}

// alignments are the parts of base64 texts that a secret inside of a longer
// encoded text always yields, for each place it can have in a group of three
// bytes, in both alphabets.
func alignments(secret []byte) []string {
	var forms []string
	for offset := range 3 {
		shifted := append(make([]byte, offset, offset+len(secret)), secret...)
		from, to := (8*offset+5)/6, 8*len(shifted)/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			forms = append(forms, encoding.EncodeToString(shifted)[from:to])
		}
	}
	return forms
}

// escapes are the forms a secret has in JSON and in URLs. What may stand in a
// URL as it is differs between libraries, and so does the case of hexadecimals.
func escapes(secret string) []string {
	var forms []string
	for _, unreserved := range []string{"-_.~", "-_.!~*'()", "-_.~/", "$&+=:@-_.~"} {
		upper := percent(secret, unreserved, "0123456789ABCDEF")
		forms = append(forms, upper, strings.ReplaceAll(upper, "%20", "+"), percent(secret, unreserved, "0123456789abcdef"))
	}
	for _, escapeHTML := range []bool{true, false} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(escapeHTML)
		if encoder.Encode(secret) == nil {
			quoted := strings.TrimSuffix(b.String(), "\n")
			quoted = quoted[1 : len(quoted)-1]
			forms = append(forms, quoted, strings.ReplaceAll(quoted, "/", `\/`))
		}
	}
	return forms
}

// percent escapes all but letters, digits and the unreserved characters.
func percent(secret, unreserved, digits string) string {
	var b strings.Builder
	for _, c := range []byte(secret) {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(unreserved, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// minLineLength is the length from which a part of a secret is looked for by
// itself; shorter ones would mask what is no secret.
const minLineLength = 16

// wrapped are the lines of an encoded text that is broken as openssl (64
// characters) and base64 (76) break it. A last line that is short tells little.
func wrapped(encoded string, width int) []string {
	var out []string
	for len(encoded) > width {
		out = append(out, encoded[:width])
		encoded = encoded[width:]
		if len(encoded) <= width && len(encoded) >= minLineLength {
			out = append(out, encoded)
		}
	}
	return out
}

// lines are the parts of a secret of several lines, such as a private key or a
// kubeconfig, that are secret by themselves: lines without white space, and
// words that look random. In JSON, line breaks may be escaped.
func lines(secret string) []string {
	var out []string
	for _, text := range []string{secret, strings.ReplaceAll(secret, `\n`, "\n")} {
		if !strings.Contains(text, "\n") {
			continue
		}
		for line := range strings.Lines(text) {
			words := strings.Fields(line)
			for _, word := range words {
				word = strings.Trim(word, `"',;`)
				if len(word) >= minLineLength && !strings.HasPrefix(word, "-----") && !strings.HasSuffix(word, ":") && (len(words) == 1 || looksRandom(word)) {
					out = append(out, word)
				}
			}
		}
	}
	return out
}

// looksRandom tells words such as tokens from names and addresses: they have
// capitals, small letters and digits, or are long and hexadecimal.
func looksRandom(word string) bool {
	if strings.Contains(word, "://") && !strings.Contains(word, "@") {
		return false
	}
	hex := strings.Trim(word, "0123456789abcdefABCDEF") == ""
	return hex && len(word) >= 32 ||
		strings.ContainsAny(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") && strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz") && strings.ContainsAny(word, "0123456789")
}
