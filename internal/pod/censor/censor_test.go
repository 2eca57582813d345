package censor

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func masker(secrets ...string) *Masker {
	var contents [][]byte
	for _, s := range secrets {
		contents = append(contents, []byte(s))
	}
	return NewMasker(Patterns(contents, 0))
}

func TestMaskString(t *testing.T) {
	long := strings.Repeat("long secret ", 20)
	for sentence, c := range map[string]struct {
		secrets  []string
		in, want string
	}{
		"a secret":                            {[]string{"friend"}, "Speak, friend\n", "Speak, XXXXXX\n"},
		"its base64 form":                     {[]string{"friend"}, "ZnJpZW5k", "XXXXXXXX"},
		"without the white space around it":   {[]string{"friend\n"}, "friend ZnJpZW5kCg== ZnJpZW5k", "XXXXXX XXXXXXXXXXXX XXXXXXXX"},
		"true is no secret":                   {[]string{"true", "False", "", " \n"}, "true False", "true False"},
		"case matters":                        {[]string{"friend"}, "Friend", "Friend"},
		"twice in a row":                      {[]string{"ab"}, "ababa", "XXXXa"},
		"overlapping secrets leave no rest":   {[]string{"abc", "cde"}, "abcde", "XXXXX"},
		"a secret that begins another":        {[]string{"friend", "friends of mine"}, "friends of mine, friends", "XXXXXXXXXXXXXXX, XXXXXXs"},
		"a secret within another":             {[]string{"xxfriendxx", "friend"}, "xxfriendx xxfriendxx", "xxXXXXXXx XXXXXXXXXX"},
		"self-overlapping":                    {[]string{"aaa"}, "aaaa b", "XXXX b"},
		"a long secret":                       {[]string{long}, "<" + strings.TrimSpace(long) + ">", "<" + strings.Repeat("X", len(long)-1) + ">"},
		"only the beginning of a long secret": {[]string{long}, long[:100], long[:100]},
		"two long secrets that begin alike":   {[]string{"0123456789abcdefghij-one", "0123456789abcdefghij-three"}, "0123456789abcdefghij-three 0123456789abcdefghij-two", "XXXXXXXXXXXXXXXXXXXXXXXXXX 0123456789abcdefghij-two"},
		"escaped for JSON":                    {[]string{"line one\nline \"two\""}, `{"s":"line one\nline \"two\""}`, `{"s":"XXXXXXXXXXXXXXXXXXXXXX"}`},
		"escaped for a URL":                   {[]string{"pass/word&more"}, "?q=pass%2Fword%26more", "?q=XXXXXXXXXXXXXXXXXX"},
		"bytes that are no text":              {[]string{"\x00\xff\xfe\x01"}, "a\x00\xff\xfe\x01b", "aXXXXb"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := masker(c.secrets...).MaskString(c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestMinimumLength(t *testing.T) {
	if got := NewMasker(Patterns([][]byte{[]byte("friend")}, 7)).MaskString("friend ZnJpZW5k"); got != "friend ZnJpZW5k" {
		t.Errorf("got %q", got)
	}
}

func TestAllByteValues(t *testing.T) {
	all := make([]byte, 256)
	var patterns [][]byte
	for i := range all {
		all[i] = byte(i)
		patterns = append(patterns, []byte{byte(i), byte(i + 1), byte(i + 2)})
	}
	got := slices.Clone(all)
	NewMasker(patterns).Mask(got)
	if want := bytes.Repeat([]byte{'X'}, 256); !bytes.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestBase64AtEveryAlignment(t *testing.T) {
	secret := "s3cr3t-v4lu3?>~"
	m := masker(secret)
	for before := range 4 {
		for after := range 4 {
			text := []byte(strings.Repeat("b", before) + secret + strings.Repeat("a", after))
			for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
				encoded := []byte(encoding.EncodeToString(text))
				m.Mask(encoded)
				if decoded, _ := encoding.DecodeString(string(encoded)); bytes.Contains(decoded, []byte(secret[2:len(secret)-2])) {
					t.Errorf("%d bytes before, %d after: %s", before, after, encoded)
				}
			}
		}
	}
}

// naive is the plain statement of what a masker does.
func naive(text []byte, patterns [][]byte) []byte {
	out := slices.Clone(text)
	for _, p := range patterns {
		for i := 0; i+len(p) <= len(text) && len(p) > 0; i++ {
			if bytes.Equal(text[i:i+len(p)], p) {
				fill(out[i : i+len(p)])
			}
		}
	}
	return out
}

func TestMaskerIsTheNaiveOneWhateverTheBuffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alphabet := rapid.SampledFrom([]byte("ab\x00"))
		patterns := rapid.SliceOfN(rapid.SliceOfN(alphabet, 1, 40), 1, 6).Draw(t, "patterns")
		text := rapid.SliceOfN(alphabet, 0, 400).Draw(t, "text")
		for _, p := range patterns { // make occurrences likely
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			text = slices.Insert(text, at, p...)
		}
		want := naive(text, patterns)
		m := NewMasker(patterns)
		size := rapid.IntRange(2*m.longest, 3*m.longest+10).Draw(t, "buffer size")
		var src io.Reader = bytes.NewReader(text)
		if rapid.Bool().Draw(t, "one byte at a time") {
			src = iotest.OneByteReader(src)
		}
		got, err := io.ReadAll(m.reader(src, size))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v\n got %q\nwant %q", err, got, want)
		}
		found := &finder{masker: m}
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "written at once")
			_, _ = found.Write(rest[:n])
			rest = rest[n:]
		}
		if found.found != !bytes.Equal(text, want) {
			t.Fatalf("the finder says %t", found.found)
		}
	})
}

func TestSecretAcrossEveryBufferBorder(t *testing.T) {
	m := masker("friend")
	for size := 2 * m.longest; size < 3*m.longest; size++ {
		for at := range 3 * size {
			text := strings.Repeat(".", at) + "friend" + strings.Repeat(".", size)
			got, err := io.ReadAll(m.reader(strings.NewReader(text), size))
			if want := strings.ReplaceAll(text, "friend", "XXXXXX"); err != nil || string(got) != want {
				t.Fatalf("buffer %d, secret at %d: %q, %v", size, at, got, err)
			}
		}
	}
}

func TestReaderErrors(t *testing.T) {
	broken := errors.New("broken")
	r := masker("friend").Reader(io.MultiReader(strings.NewReader("Speak, fri"), iotest.ErrReader(broken)))
	if got, err := io.ReadAll(r); !errors.Is(err, broken) || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
	if err := iotest.TestReader(masker("friend").Reader(strings.NewReader("Speak, friend")), []byte("Speak, XXXXXX")); err != nil {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("volume/..2024/token", "linked")
	write("volume/..hidden", "not read")
	if err := os.Symlink("..2024", filepath.Join(dir, "volume/..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/token", filepath.Join(dir, "volume/token")); err != nil {
		t.Fatal(err)
	}
	write("docker/.dockercfg", `{"registry":{"auth":"a-1","password":"p-1"},"empty":{}}`)
	write("docker/.dockerconfigjson", `{"auths":{"registry":{"auth":"a-2","password":"p-2"}}}`)
	write("ini/credentials", "# comment\n[section]\nkey = v-1\n[other]\nquoted=\"v-2\"\nflag\n")
	got, err := Load([]string{filepath.Join(dir, "volume"), filepath.Join(dir, "docker"), filepath.Join(dir, "ini"), filepath.Join(dir, "volume/..2024/token")}, []string{"credentials"})
	if err != nil {
		t.Fatal(err)
	}
	all := string(bytes.Join(got, []byte("|")))
	for _, want := range []string{"linked", "a-1", "p-1", "a-2", "p-2", "v-1", "|v-2"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in %s", want, all)
		}
	}
	if strings.Contains(all, "not read") || strings.Count(all, "linked") != 2 {
		t.Errorf("got %s", all)
	}
	write("docker/.dockercfg", "not JSON")
	for _, path := range []string{filepath.Join(dir, "docker"), filepath.Join(dir, "missing")} {
		if _, err := Load([]string{path}, nil); err == nil {
			t.Errorf("%s must be an error", path)
		}
	}
}

func FuzzMasker(f *testing.F) {
	f.Add([]byte("Speak, friend"), []byte("friend"), []byte("nd"))
	f.Fuzz(func(t *testing.T, text, a, b []byte) {
		patterns := [][]byte{a, b}
		want := naive(text, patterns)
		got := slices.Clone(text)
		NewMasker(patterns).Mask(got)
		if !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// benchLog is what logs look like; the secrets are what secrets look like.
func benchLog() (log []byte, secrets [][]byte) {
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for range 100 {
		secret := make([]byte, 20+random.IntN(30))
		for i := range secret {
			secret[i] = letters[random.IntN(len(letters))]
		}
		secrets = append(secrets, secret)
	}
	words := strings.Fields("=== RUN TestSomething ok prow/internal/pod/censor 0.042s INFO starting server at 127.0.0.1:8080 level=debug msg=\"reconciled object\" namespace=default warning: unused variable x [-Wunused] error: exit status 1")
	for line := 0; len(log) < 8<<20; line++ {
		for range 12 {
			log = append(log, words[random.IntN(len(words))]...)
			log = append(log, ' ')
		}
		if line%1000 == 0 {
			log = append(log, secrets[random.IntN(len(secrets))]...)
		}
		log = append(log, '\n')
	}
	return log, secrets
}

func BenchmarkMasker(b *testing.B) {
	log, secrets := benchLog()
	m := NewMasker(Patterns(secrets, 0))
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, m.Reader(bytes.NewReader(log))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplacer(b *testing.B) {
	log, secrets := benchLog()
	var pairs []string
	for _, p := range Patterns(secrets, 0) {
		pairs = append(pairs, string(p), strings.Repeat("X", len(p)))
	}
	text := string(log)
	replacer := strings.NewReplacer(pairs...)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if _, err := replacer.WriteString(io.Discard, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewMasker(b *testing.B) {
	_, secrets := benchLog()
	for b.Loop() {
		NewMasker(Patterns(secrets, 0))
	}
}
