package censor

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func gzipOf(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o640, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func censored(t *testing.T, m *Masker, content []byte) ([]byte, error) {
	t.Helper()
	r, err := m.File(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestTarGzIsCensoredInside(t *testing.T) {
	m := masker("friend")
	got, err := censored(t, m, gzipOf(t, tarOf(t, map[string]string{"../odd/name": "Speak, friend"})))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	header, err := r.Next()
	if err != nil || header.Name != "../odd/name" || header.Mode != 0o640 {
		t.Errorf("header: %+v, %v", header, err)
	}
	if content, err := io.ReadAll(r); err != nil || string(content) != "Speak, XXXXXX" {
		t.Errorf("content: %q, %v", content, err)
	}
}

func TestZipIsCensoredInside(t *testing.T) {
	m := masker("friend")
	got, err := censored(t, m, zipOf(t, map[string]string{"a": "nothing", "dir/friend": "Speak, friend"}))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(got), int64(len(got)))
	if err != nil || len(z.File) != 2 {
		t.Fatalf("%v", err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if want := map[string]string{"a": "nothing", "dir/XXXXXX": "Speak, XXXXXX"}[f.Name]; err != nil || string(content) != want {
			t.Errorf("%s: %q, %v", f.Name, content, err)
		}
	}
}

func TestFilesWithoutSecretsStayAsTheyAre(t *testing.T) {
	m := masker("friend")
	packed := gzipOf(t, []byte(strings.Repeat("nothing to see ", 1000)))
	for sentence, content := range map[string][]byte{
		"gzip":             packed,
		"two gzip members": append(bytes.Clone(packed), packed...),
		"a corrupt gzip":   append([]byte("\x1f\x8b"), "no gzip at all"...),
		"a cut gzip":       packed[:len(packed)-10],
		"a zip":            zipOf(t, map[string]string{"a": "nothing"}),
		"a cut zip":        zipOf(t, map[string]string{"a": "nothing"})[:40],
		"an empty file":    {},
		"a tiny file":      {0x1f},
		"something else":   []byte("nothing"),
	} {
		if got, err := censored(t, m, content); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes became %d, %v", sentence, len(content), len(got), err)
		}
	}
}

func TestDamagedArchiveWithSecretIsWithheld(t *testing.T) {
	packed := gzipOf(t, []byte(strings.Repeat("Speak, friend. ", 100000)))
	if _, err := censored(t, masker("friend"), packed[:len(packed)-10]); !errors.Is(err, ErrCannotCensor) {
		t.Errorf("got %v", err)
	}
}

func TestClosingEarlyEndsThePacking(t *testing.T) {
	content := gzipOf(t, bytes.Repeat([]byte("Speak, friend. "), 1<<20))
	r, err := masker("friend").File(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestArchivesInsideOfArchives(t *testing.T) {
	secret, innocent := map[string]string{"deep": "Speak, friend"}, map[string]string{"deep": "nothing"}
	pack := func(files map[string]string) map[string][]byte {
		inner := gzipOf(t, tarOf(t, files))
		return map[string][]byte{
			"tar.gz in a tar":             tarOf(t, map[string]string{"x": string(inner)}),
			"tar.gz in a tar.gz":          gzipOf(t, tarOf(t, map[string]string{"x": string(inner)})),
			"tar.gz in a zip":             zipOf(t, map[string]string{"x": string(inner)}),
			"zip in a tar.gz":             gzipOf(t, tarOf(t, map[string]string{"x": string(zipOf(t, files))})),
			"gzip of a gzip":              gzipOf(t, gzipOf(t, []byte(files["deep"]))),
			"zip in a zip in a zip":       zipOf(t, map[string]string{"x": string(zipOf(t, map[string]string{"y": string(zipOf(t, files))}))}),
			"a name in a zip in a tar.gz": gzipOf(t, tarOf(t, map[string]string{"x": string(zipOf(t, map[string]string{files["deep"]: ""}))})),
		}
	}
	m := masker("friend")
	for sentence, content := range pack(secret) {
		if _, err := censored(t, m, content); !errors.Is(err, ErrCannotCensor) {
			t.Errorf("%s with a secret: %v", sentence, err)
		}
	}
	for sentence, content := range pack(innocent) {
		if got, err := censored(t, m, content); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s without a secret: %d bytes became %d, %v", sentence, len(content), len(got), err)
		}
	}
}

func TestEndlesslyNestedArchiveIsWithheld(t *testing.T) {
	content := []byte("nothing")
	for range maxDepth + 2 {
		content = gzipOf(t, content)
	}
	if _, err := censored(t, masker("friend"), content); !errors.Is(err, ErrCannotCensor) {
		t.Errorf("got %v", err)
	}
}

func TestPlainTarIsCensoredInPlace(t *testing.T) {
	content := tarOf(t, map[string]string{"a": "Speak, friend"})
	got, err := censored(t, masker("friend"), content)
	if err != nil || len(got) != len(content) {
		t.Fatalf("%d bytes became %d, %v", len(content), len(got), err)
	}
	r := tar.NewReader(bytes.NewReader(got))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "Speak, XXXXXX" {
		t.Errorf("%q, %v", text, err)
	}
}
