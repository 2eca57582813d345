package censor

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxUnpacked bounds how much of an archive is searched, in bytes, so that an
// archive bomb cannot hold up a job for ever.
const maxUnpacked = 16 << 30

// ErrCannotCensor says that a file holds secrets, or may hold them, which could
// not be removed; it must not be stored.
var ErrCannotCensor = errors.New("it cannot be censored")

// File is what the content of a file is read from.
type File interface {
	io.ReadSeeker
	io.ReaderAt
}

// File returns the content of a file of this size with its secrets masked, also
// those inside of gzip and zip archives. Packed data is searched first, and
// packed anew only if it holds secrets. The result has to be closed, before the
// file.
func (m *Masker) File(f File, size int64) (io.ReadCloser, error) {
	if m.Empty() {
		return io.NopCloser(f), nil
	}
	var magic [4]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic[:n], []byte("\x1f\x8b")):
		return m.gzip(f)
	case bytes.HasPrefix(magic[:n], []byte("PK\x03\x04")):
		return m.zip(f, size)
	}
	return io.NopCloser(m.Reader(f)), nil
}

func (m *Masker) gzip(f File) (io.ReadCloser, error) {
	found, err := m.foundInGzip(f)
	if _, seekErr := f.Seek(0, io.SeekStart); seekErr != nil {
		return nil, seekErr
	}
	switch {
	case errors.Is(err, ErrCannotCensor):
		return nil, err
	case found && err != nil:
		return nil, fmt.Errorf("%w: a damaged gzip file: %w", ErrCannotCensor, err)
	case !found:
		return io.NopCloser(m.Reader(f)), nil // what does not unpack is just bytes
	}
	return pipe(func(w io.Writer) error {
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		packed := gzip.NewWriter(w)
		packed.Header = unpacked.Header
		packed.Name, packed.Comment = m.MaskString(packed.Name), m.MaskString(packed.Comment)
		if _, err := io.Copy(packed, m.Reader(unpacked)); err != nil {
			return err
		}
		return packed.Close()
	}), nil
}

// foundInGzip reads the file to its end, so that damage anywhere is noticed.
func (m *Masker) foundInGzip(f File) (bool, error) {
	unpacked, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return false, err
	}
	limited := &limitedReader{r: unpacked, left: maxUnpacked}
	found := m.MaskString(unpacked.Name) != unpacked.Name || m.MaskString(unpacked.Comment) != unpacked.Comment
	inside, err := m.Found(limited)
	if err == nil {
		_, err = io.Copy(io.Discard, limited)
	}
	return found || inside, err
}

func (m *Masker) zip(f File, size int64) (io.ReadCloser, error) {
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return io.NopCloser(m.Reader(f)), nil // not an archive after all
	}
	secret := map[*zip.File]bool{}
	left := int64(maxUnpacked)
	for _, entry := range archive.File {
		found, err := m.foundInZip(entry, &left)
		if errors.Is(err, ErrCannotCensor) || (found && err != nil) {
			return nil, fmt.Errorf("%w: zip entry %q: %w", ErrCannotCensor, m.MaskString(entry.Name), err)
		}
		if found {
			secret[entry] = true
		}
	}
	if len(secret) == 0 {
		return io.NopCloser(m.Reader(f)), nil
	}
	return pipe(func(w io.Writer) error {
		packed := zip.NewWriter(w)
		for _, entry := range archive.File {
			if err := m.copyEntry(packed, entry, secret[entry]); err != nil {
				return fmt.Errorf("packing the zip entry %q: %w", m.MaskString(entry.Name), err)
			}
		}
		return packed.Close()
	}), nil
}

func (m *Masker) foundInZip(entry *zip.File, left *int64) (bool, error) {
	found := m.MaskString(entry.Name) != entry.Name || m.MaskString(entry.Comment) != entry.Comment
	r, err := entry.Open()
	if err != nil {
		return found, err
	}
	defer r.Close()
	limited := &limitedReader{r: r, left: *left}
	inside, err := m.Found(limited)
	*left = limited.left
	return found || inside, err
}

func (m *Masker) copyEntry(packed *zip.Writer, entry *zip.File, secret bool) error {
	if !secret {
		return packed.Copy(entry)
	}
	header := entry.FileHeader
	header.Name, header.Comment = m.MaskString(header.Name), m.MaskString(header.Comment)
	r, err := entry.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := packed.CreateHeader(&header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, m.Reader(r))
	return err
}

// limitedReader fails beyond its limit, unlike io.LimitedReader, which would
// pass off a part for the whole.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: it unpacks to more than %d bytes", ErrCannotCensor, int64(maxUnpacked))
	}
	return n, err
}

// pipe reads what write writes.
func pipe(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffered := bufio.NewWriterSize(w, 64<<10)
		err := write(buffered)
		if err == nil {
			err = buffered.Flush()
		}
		_ = w.CloseWithError(err)
	}()
	return &pipeReader{PipeReader: r, done: done}
}

type pipeReader struct {
	*io.PipeReader
	done chan struct{}
}

// Close ends the writer and waits for it, so that it reads no file after its end.
func (p *pipeReader) Close() error {
	err := p.PipeReader.Close()
	<-p.done
	return err
}
