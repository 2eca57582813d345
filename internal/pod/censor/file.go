package censor

import (
	"archive/zip"
	"bufio"
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
// packed anew only if it holds secrets. An archive whose secrets lie in an
// archive inside of it, or which can only be unpacked here, is an
// ErrCannotCensor. The result has to be closed, before the file.
func (m *Masker) File(f File, size int64) (io.ReadCloser, error) {
	if m.Empty() {
		return io.NopCloser(f), nil
	}
	head := make([]byte, sniffed)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch kindOf(head[:n]) {
	case gzipped:
		return m.gzip(f)
	case zipped:
		return m.zip(f, size)
	case bzipped, tarred:
		found, err := m.newSearch().packed(f, 0)
		if err == nil && found {
			err = fmt.Errorf("%w: a secret is in an archive inside of it", ErrCannotCensor)
		}
		if _, seekErr := f.Seek(0, io.SeekStart); err == nil {
			err = seekErr
		}
		if err != nil {
			return nil, err
		}
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
	s := m.newSearch()
	plain := &finder{masker: m}
	r := io.TeeReader(&limitedReader{r: unpacked, left: &s.left}, plain)
	nested, err := s.packed(r, 1)
	if err == nil && nested {
		err = fmt.Errorf("%w: a secret is in an archive inside of it", ErrCannotCensor)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return plain.found || m.holds(unpacked.Name) || m.holds(unpacked.Comment), err
}

func (m *Masker) zip(f File, size int64) (io.ReadCloser, error) {
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return io.NopCloser(m.Reader(f)), nil // not an archive after all
	}
	secret := map[*zip.File]bool{}
	search := m.newSearch()
	for _, entry := range archive.File {
		found, err := m.foundInZip(entry, search)
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

func (m *Masker) foundInZip(entry *zip.File, s *search) (bool, error) {
	found := m.holds(entry.Name) || m.holds(entry.Comment)
	r, err := entry.Open()
	if err != nil {
		return found, err
	}
	defer r.Close()
	plain := &finder{masker: m}
	tee := io.TeeReader(&limitedReader{r: r, left: &s.left}, plain)
	nested, err := s.packed(tee, 1)
	if err == nil && nested {
		err = fmt.Errorf("%w: a secret is in an archive inside of it", ErrCannotCensor)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, tee)
	}
	return found || plain.found, err
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
