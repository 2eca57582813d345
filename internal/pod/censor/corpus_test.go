package censor

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

// cases is how many the corpus has.
const cases = 10_000

// corpus makes secrets as they are mounted, and puts them into files as programs do.
type corpus struct{ *rand.Rand }

const (
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	punctuated   = alphanumeric + `!"#$%&'()*+,-./:;<=>?@[\]^_{|}~ é世`
)

func (c corpus) text(alphabet string, from, to int) string {
	letters := []rune(alphabet)
	var b strings.Builder
	for range from + c.IntN(to-from) {
		b.WriteRune(letters[c.IntN(len(letters))])
	}
	return b.String()
}

// secret returns the content of a secret's file and the parts of it that must
// never be seen.
func (c corpus) secret() (content string, parts []string) {
	token := func(from int) string { return "s" + c.text(alphanumeric, from, 60) + "1A" }
	switch c.IntN(5) {
	case 0:
		t := token(8)
		return t + "\n", []string{t}
	case 1:
		t := "p" + c.text(punctuated, 10, 50) + "p"
		return t, []string{t}
	case 2:
		key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(c.text(alphanumeric, 100, 900))}))
		return key, keyLines(key)
	case 3:
		key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(c.text(alphanumeric, 100, 900))}))
		account, _ := json.MarshalIndent(map[string]string{"type": "service_account", "private_key": key, "auth_uri": "https://accounts.example.com/o/oauth2/auth"}, "", "  ")
		return string(account), keyLines(key)
	default:
		t := token(30)
		return "apiVersion: v1\nkind: Config\nusers:\n- name: ci\n  user:\n    token: " + t + "\n", []string{t}
	}
}

func keyLines(key string) []string {
	lines := strings.Split(strings.TrimSpace(key), "\n")
	return lines[1 : len(lines)-2] // but for the last, which may be short
}

// leak is a way of writing a secret down, and of reading it again.
type leak struct {
	name  string
	write func(c corpus, content string, parts []string) string
	// read returns what a curious reader makes of a text.
	read func(text string) []string
}

func asIs(text string) []string { return []string{text} }

func decoded(text string) []string {
	var out []string
	for _, word := range strings.Fields(text) {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			if plain, err := encoding.DecodeString(word); err == nil {
				out = append(out, string(plain))
			}
		}
	}
	return out
}

var leaks = []leak{
	{"as it is", func(_ corpus, content string, _ []string) string { return content }, asIs},
	{"a part", func(c corpus, _ string, parts []string) string { return "key=" + parts[c.IntN(len(parts))] + ";" }, asIs},
	{"indented and numbered", func(_ corpus, _ string, parts []string) string {
		var b strings.Builder
		for i, p := range parts {
			fmt.Fprintf(&b, "2026-11-22T10:00:00Z %4d |    %s\n", i, p)
		}
		return b.String()
	}, asIs},
	{"base64", func(_ corpus, content string, _ []string) string {
		return base64.StdEncoding.EncodeToString([]byte(content))
	}, decoded},
	{"base64 within something longer", func(c corpus, _ string, parts []string) string {
		text := c.text(alphanumeric, 1, 6) + ":" + parts[0] + c.text(alphanumeric, 1, 6)
		return []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding}[c.IntN(3)].EncodeToString([]byte(text))
	}, decoded},
	{"base64 in lines", func(c corpus, content string, _ []string) string {
		width := []int{64, 76}[c.IntN(2)]
		encoded := base64.StdEncoding.EncodeToString([]byte(content))
		var b strings.Builder
		for len(encoded) > width {
			b.WriteString(encoded[:width] + "\n")
			encoded = encoded[width:]
		}
		return b.String() + encoded + "\n"
	}, func(text string) []string {
		return append(decoded(text), decoded(strings.Join(strings.Fields(text), ""))...)
	}},
	{"in a URL", func(c corpus, _ string, parts []string) string {
		escape := []func(string) string{url.QueryEscape, url.PathEscape}[c.IntN(2)]
		return "https://x.example.com/?token=" + escape(parts[0]) + "&y=1"
	}, func(text string) []string {
		var out []string
		for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			if plain, err := unescape(text); err == nil {
				out = append(out, plain)
			}
		}
		return out
	}},
	{"in JSON", func(c corpus, content string, _ []string) string {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(c.IntN(2) == 0)
		_ = enc.Encode(map[string]string{"secret": content})
		return b.String()
	}, func(text string) []string {
		var out map[string]string
		_ = json.Unmarshal([]byte(strings.TrimSpace(text)), &out)
		return []string{out["secret"], text}
	}},
}

// container packs a file, and unpacks all that can be read of it.
type container struct {
	name   string
	pack   func(t *testing.T, content []byte) []byte
	unpack func(packed []byte) ([]byte, error)
}

var containers = []container{
	{"plain", func(_ *testing.T, c []byte) []byte { return c }, func(p []byte) ([]byte, error) { return p, nil }},
	{"gzip", gzipOf, gunzip},
	{"tar", func(t *testing.T, c []byte) []byte { return tarOf(t, map[string]string{"f": string(c)}) }, untar},
	{"tar.gz", func(t *testing.T, c []byte) []byte { return gzipOf(t, tarOf(t, map[string]string{"f": string(c)})) },
		func(p []byte) ([]byte, error) {
			unpacked, err := gunzip(p)
			if err != nil {
				return nil, err
			}
			return untar(unpacked)
		}},
	{"zip", func(t *testing.T, c []byte) []byte { return zipOf(t, map[string]string{"f": string(c)}) }, func(p []byte) ([]byte, error) {
		z, err := zip.NewReader(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return nil, err
		}
		f, err := z.File[0].Open()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(f)
	}},
}

func gunzip(p []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func untar(p []byte) ([]byte, error) {
	r := tar.NewReader(bytes.NewReader(p))
	if _, err := r.Next(); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestNoLeakInAGeneratedCorpus(t *testing.T) {
	const together = 10 // cases that share their secrets, as those of one run do
	for seed := range uint64(cases / together) {
		c := corpus{rand.New(rand.NewPCG(seed, 7))}
		content, parts := c.secret()
		all := [][]byte{[]byte(content)}
		for range c.IntN(5) {
			other, _ := c.secret()
			all = append(all, []byte(other))
		}
		m := NewMasker(Patterns(all, 0))
		for range together {
			c.check(t, m, content, parts)
		}
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
}

// check writes a secret into a file in some way, and reads what would be stored.
func (c corpus) check(t *testing.T, m *Masker, content string, parts []string) {
	how, where := leaks[c.IntN(len(leaks))], containers[c.IntN(len(containers))]
	text := how.write(c, content, parts)
	before, after := c.text("abc \n", 0, 1000), c.text("abc \n", 0, 1000)
	packed := where.pack(t, []byte(before+"\n"+text+"\n"+after))

	r, err := m.File(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatalf("%s in %s: %v", how.name, where.name, err)
	}
	var src io.Reader = r
	if c.IntN(4) == 0 {
		src = iotest.HalfReader(src)
	}
	stored, err := io.ReadAll(src)
	if err != nil {
		t.Fatalf("%s in %s: %v", how.name, where.name, err)
	}
	seen, err := where.unpack(stored)
	if err != nil || len(seen) != len(before)+len(text)+len(after)+2 {
		t.Fatalf("%s in %s: %d bytes, %v", how.name, where.name, len(seen), err)
	}
	visible := string(seen[len(before)+1 : len(seen)-len(after)-1])
	for _, read := range append(how.read(visible), string(seen)) {
		for _, part := range parts {
			if strings.Contains(read, part[2:len(part)-2]) {
				t.Errorf("%s in %s: %q is visible in %q", how.name, where.name, part, visible)
			}
		}
	}
}
