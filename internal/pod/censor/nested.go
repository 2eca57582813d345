package censor

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxDepth bounds how many archives may lie inside of each other. Archives that
// hold themselves exist.
const maxDepth = 8

// sniffed is how many bytes of a file tell its kind.
const sniffed = 512

// kind is what a file is packed as.
type kind int

const (
	notPacked kind = iota
	gzipped
	bzipped
	zipped
	tarred
)

func kindOf(head []byte) kind {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return gzipped
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return zipped
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzipped
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return tarred
	}
	return notPacked
}

// search looks for secrets in what is packed, at any depth. It bounds what is
// unpacked in all, so that an archive bomb cannot hold up a job for ever.
type search struct {
	masker *Masker
	left   int64
}

func (m *Masker) newSearch() *search { return &search{masker: m, left: maxUnpacked} }

// in tells whether r holds a secret, as it is or in an archive inside of it.
// It reads to the end, or to the first secret.
func (s *search) in(r io.Reader, depth int) (bool, error) {
	plain := &finder{masker: s.masker}
	r = io.TeeReader(&limitedReader{r: r, left: &s.left}, plain)
	packed, err := s.packed(r, depth)
	if packed || err != nil {
		return packed || plain.found, err
	}
	buf := make([]byte, 64<<10)
	for !plain.found {
		if _, err := r.Read(buf); err == io.EOF {
			return plain.found, nil
		} else if err != nil {
			return plain.found, err
		}
	}
	return true, nil
}

// packed tells whether an archive in r holds a secret in what it packs; what
// lies in r itself is left to the caller. What does not unpack is no archive.
func (s *search) packed(r io.Reader, depth int) (bool, error) {
	head := bufio.NewReaderSize(r, sniffed)
	start, err := head.Peek(sniffed)
	if err != nil && err != io.EOF {
		return false, err
	}
	k := kindOf(start)
	if k == notPacked {
		return false, nil
	}
	if depth == maxDepth {
		return false, fmt.Errorf("%w: more than %d archives lie inside of each other", ErrCannotCensor, maxDepth)
	}
	var found bool
	switch k {
	case gzipped:
		var unpacked *gzip.Reader
		if unpacked, err = gzip.NewReader(head); err == nil {
			if found, err = s.in(unpacked, depth+1); !found {
				found = s.masker.holds(unpacked.Name) || s.masker.holds(unpacked.Comment)
			}
		}
	case bzipped:
		found, err = s.in(bzip2.NewReader(head), depth+1)
	case tarred:
		found, err = s.tar(tar.NewReader(head), depth+1)
	case zipped:
		found, err = s.spooledZip(head, depth+1)
	}
	if errors.Is(err, ErrCannotCensor) {
		return found, err
	}
	return found, nil
}

// tar looks into the archives among the files of a tar archive; the files
// themselves lie in the tar as they are.
func (s *search) tar(archive *tar.Reader, depth int) (bool, error) {
	for {
		if _, err := archive.Next(); err != nil {
			return false, err
		}
		if found, err := s.packed(archive, depth); found || err != nil {
			return found, err
		}
	}
}

// spooledZip looks into a zip archive in a stream. Its directory is at its end,
// so it is written to a file first.
func (s *search) spooledZip(r io.Reader, depth int) (bool, error) {
	spool, err := os.CreateTemp("", "archive")
	if err != nil {
		return false, fmt.Errorf("%w: a zip archive inside of an archive: %w", ErrCannotCensor, err)
	}
	defer func() { _, _ = spool.Close(), os.Remove(spool.Name()) }()
	size, err := io.Copy(spool, r)
	if err != nil {
		return false, fmt.Errorf("%w: a zip archive inside of an archive: %w", ErrCannotCensor, err)
	}
	archive, err := zip.NewReader(spool, size)
	if err != nil {
		return false, err
	}
	for _, entry := range archive.File {
		if found, err := s.zipEntry(entry, depth); found || errors.Is(err, ErrCannotCensor) {
			return found, err
		}
	}
	return false, nil
}

func (s *search) zipEntry(entry *zip.File, depth int) (bool, error) {
	if s.masker.holds(entry.Name) || s.masker.holds(entry.Comment) {
		return true, nil
	}
	r, err := entry.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	return s.in(r, depth)
}

// holds tells whether a text holds a secret.
func (m *Masker) holds(text string) bool { return len(m.find([]byte(text), nil)) > 0 }

// limitedReader fails beyond its limit, unlike io.LimitedReader, which would
// pass off a part for the whole.
type limitedReader struct {
	r    io.Reader
	left *int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if *l.left -= int64(n); *l.left < 0 {
		return 0, fmt.Errorf("%w: it unpacks to more than %d bytes", ErrCannotCensor, int64(maxUnpacked))
	}
	return n, err
}

// finder looks for secrets in what is written to it.
type finder struct {
	masker *Masker
	// tail is what may be the beginning of a secret.
	tail  []byte
	found bool
}

func (f *finder) Write(p []byte) (int, error) {
	if f.found {
		return len(p), nil
	}
	overlap := f.masker.longest - 1
	// Where the old and the new bytes meet, then the new ones alone.
	border := append(f.tail, p[:min(len(p), overlap)]...)
	f.found = len(f.masker.find(border, nil)) > 0 || len(f.masker.find(p, nil)) > 0
	if len(p) >= overlap {
		border = append(border[:0], p[len(p)-overlap:]...)
	}
	f.tail = append(f.tail[:0], border[max(0, len(border)-overlap):]...)
	return len(p), nil
}
