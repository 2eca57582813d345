// Package logfile keeps the output of one container run: bounded, readable
// while it grows, in the line format of container runtimes.
//
// A log is a directory of numbered segments. Only the two newest are kept, each
// of half the bound, so a job that prints without end always leaves its newest
// part and never fills the disk. Lines look like
//
//	2026-01-02T03:04:05.000000006Z stdout F text
//
// where F ends a line and P is a piece of a line that goes on.
package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxLine is the longest piece of a line written at once.
const maxLine = 16 << 10

// Log is a log being written.
type Log struct {
	dir        string
	maxSegment int64
	now        func() time.Time

	mu      sync.Mutex
	segment int
	file    *os.File
	size    int64
	closed  bool
	changed chan struct{} // closed and replaced whenever there is more to read
	lost    error         // first failure to write, after which output is dropped
}

// Create starts a log in dir, which must not exist, keeping about maxBytes of
// the newest output.
func Create(dir string, maxBytes int64, now func() time.Time) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	l := &Log{dir: dir, maxSegment: max(maxBytes/2, maxLine), now: now, changed: make(chan struct{})}
	if err := l.open(0); err != nil {
		return nil, err
	}
	return l, nil
}

func segmentPath(dir string, n int) string { return filepath.Join(dir, strconv.Itoa(n)+".log") }

func (l *Log) open(n int) error {
	f, err := os.OpenFile(segmentPath(l.dir, n), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	l.file, l.segment, l.size = f, n, 0
	return nil
}

// Dir is where the segments are.
func (l *Log) Dir() string { return l.dir }

// Stream returns the writer for "stdout" or "stderr". Its Close writes a last
// line that lacks its newline. Writing never fails: a full disk costs the
// output, not the job.
func (l *Log) Stream(name string) io.WriteCloser { return &stream{log: l, name: name} }

// Close ends the log; readers that follow it come to an end. It returns the
// first failure to store output.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.changed)
	return errors.Join(l.lost, l.file.Close())
}

// append stores whole records, starting a new segment when this one is full.
func (l *Log) append(records []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(records) == 0 {
		return
	}
	if l.size >= l.maxSegment {
		old := l.file
		if err := l.open(l.segment + 1); err != nil {
			l.fail(err)
			return
		}
		if err := errors.Join(old.Close(), os.Remove(segmentPath(l.dir, l.segment-2))); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.fail(err)
		}
	}
	n, err := l.file.Write(records)
	l.size += int64(n)
	if err != nil {
		l.fail(err)
		// A torn record would hide the next one.
		if err := l.file.Truncate(l.size - int64(n)); err == nil {
			l.size -= int64(n)
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) fail(err error) {
	if l.lost == nil {
		l.lost = fmt.Errorf("store output: %w", err)
	}
}

// snapshot tells where the log ends now and what to wait for.
func (l *Log) snapshot() (segment int, closed bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segment, l.closed, l.changed
}

type stream struct {
	log  *Log
	name string
	mu   sync.Mutex
	rest []byte // a line not ended yet
	out  []byte
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp := s.log.now().UTC().Format(time.RFC3339Nano)
	s.out = s.out[:0]
	data := p
	for len(data) > 0 {
		line, after, ended := bytes.Cut(data, []byte{'\n'})
		if room := maxLine - len(s.rest); len(line) > room {
			s.rest = append(s.rest, line[:room]...)
			s.record(stamp, 'P')
			data = data[room:]
			continue
		}
		s.rest = append(s.rest, line...)
		if ended {
			s.record(stamp, 'F')
		}
		data = after
	}
	s.log.append(s.out)
	return len(p), nil
}

func (s *stream) record(stamp string, tag byte) {
	s.out = append(s.out, stamp...)
	s.out = append(s.out, ' ')
	s.out = append(s.out, s.name...)
	s.out = append(s.out, ' ', tag, ' ')
	s.out = append(s.out, s.rest...)
	s.out = append(s.out, '\n')
	s.rest = s.rest[:0]
}

func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.out[:0]
	if len(s.rest) > 0 {
		s.record(s.log.now().UTC().Format(time.RFC3339Nano), 'F')
	}
	s.log.append(s.out)
	return nil
}

// segments lists the numbers of the segments in dir, oldest first.
func segments(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list log: %w", err)
	}
	var out []int
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".log")); err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out) // as numbers: as text, 10 comes before 9
	return out, nil
}
