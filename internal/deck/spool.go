package deck

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"prow/internal/deck/loglines"
)

const (
	// spoolLeast is from how many bytes on the text of a compressed log is kept: less is
	// inflated anew in no time.
	spoolLeast = 16 << 20
	// spoolMost bounds the texts of all compressed logs on disk, in bytes, also of those
	// that are being read.
	spoolMost = 1536 << 20
)

// spool is the text of a compressed log in a temporary file, so that any part of it can be
// read. The file has no name, so it is gone when the program ends, in whatever way.
type spool struct {
	file *os.File
	size int64

	mu sync.Mutex
	// readers use the file; let tells that it is closed with the last of them.
	readers int
	let     bool
}

func newSpool() (*spool, error) {
	file, err := os.CreateTemp("", "deck-log-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &spool{file: file}, nil
}

// open reads from an offset on.
func (s *spool) open(_ context.Context, offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.let && s.readers == 0 {
		return nil, os.ErrClosed
	}
	s.readers++
	return &spoolReader{io.NewSectionReader(s.file, offset, s.size-offset), s, sync.Once{}}, nil
}

type spoolReader struct {
	io.Reader
	of   *spool
	once sync.Once
}

func (r *spoolReader) Close() error {
	r.once.Do(func() {
		r.of.mu.Lock()
		defer r.of.mu.Unlock()
		r.of.readers--
		r.of.end()
	})
	return nil
}

// release frees the disk as soon as nobody reads any more.
func (s *spool) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.let = true
	s.end()
}

func (s *spool) end() {
	if s.let && s.readers == 0 {
		_ = s.file.Close() // nothing in it is needed
	}
}

// spooling fills a spool with what is read for another purpose, as long as that goes well:
// a full disk, or a log that is too long, only means that there is no spool.
type spooling struct {
	// reserve takes so many bytes of the disk, if there are.
	reserve func(bytes int64) bool
	to      *spool
	// taken is what was reserved.
	taken int64
	// failed is why there is none.
	failed error
}

// errSpoolStart tells that the text was not read from its beginning.
var errSpoolStart = errors.New("it was not read from its beginning")

// through reads as open does, and fills the spool.
func (s *spooling) through(open loglines.Open) loglines.Open {
	return func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		r, err := open(ctx, offset)
		if err != nil {
			return nil, err
		}
		if offset > 0 {
			s.failed = errSpoolStart
		}
		if s.failed == nil {
			s.to, s.failed = newSpool()
		}
		return spoolingReader{r, s}, nil
	}
}

type spoolingReader struct {
	io.ReadCloser
	s *spooling
}

func (r spoolingReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	s := r.s
	if n == 0 || s.failed != nil {
		return n, err
	}
	if !s.reserve(int64(n)) {
		s.failed = errors.New("there is no room for it")
		return n, err
	}
	s.taken += int64(n)
	if _, s.failed = s.to.file.Write(b[:n]); s.failed == nil {
		s.to.size += int64(n)
	}
	return n, err
}

// done returns the spool of a text of so many bytes that was read to its end; nil if there
// is none, or none is needed. Then what was reserved is to be given back.
func (s *spooling) done(size int64) *spool {
	if s.failed == nil && s.to != nil && s.to.size == size && size >= spoolLeast {
		return s.to
	}
	if s.to != nil {
		s.to.release()
	}
	return nil
}
