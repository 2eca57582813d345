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

func gzipped(t *testing.T, content []byte) []byte {
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

func tarred(t *testing.T, files map[string]string) []byte {
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

func zipped(t *testing.T, files map[string]string) []byte {
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
	got, err := censored(t, m, gzipped(t, tarred(t, map[string]string{"../odd/name": "Speak, friend"})))
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
	got, err := censored(t, m, zipped(t, map[string]string{"a": "nothing", "dir/friend": "Speak, friend"}))
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
	packed := gzipped(t, []byte(strings.Repeat("nothing to see ", 1000)))
	for sentence, content := range map[string][]byte{
		"gzip":             packed,
		"two gzip members": append(bytes.Clone(packed), packed...),
		"a corrupt gzip":   append([]byte("\x1f\x8b"), "no gzip at all"...),
		"a cut gzip":       packed[:len(packed)-10],
		"a zip":            zipped(t, map[string]string{"a": "nothing"}),
		"a cut zip":        zipped(t, map[string]string{"a": "nothing"})[:40],
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
	packed := gzipped(t, []byte(strings.Repeat("Speak, friend. ", 100000)))
	if _, err := censored(t, masker("friend"), packed[:len(packed)-10]); !errors.Is(err, ErrCannotCensor) {
		t.Errorf("got %v", err)
	}
}

func TestClosingEarlyEndsThePacking(t *testing.T) {
	content := gzipped(t, bytes.Repeat([]byte("Speak, friend. "), 1<<20))
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
