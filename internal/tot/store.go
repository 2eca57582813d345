package tot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Store keeps the last number of each job in a file. Its methods may be called
// from any goroutine; what they return is on disk.
type Store struct {
	path string

	mu   sync.Mutex
	last map[string]int
}

// file is the format of the file.
type file struct {
	Number map[string]int
}

// OpenStore reads the file, or begins an empty store where there is none. A
// file that cannot be understood is an error: numbers would be handed out again.
func OpenStore(path string) (*Store, error) {
	s := &Store{path: path, last: map[string]int{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("numbers of builds: %w", err)
	}
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("numbers of builds in %s: %w", path, err)
	}
	if f.Number != nil {
		s.last = f.Number
	}
	return s, nil
}

// Peek returns the last number of a job and whether it has one.
func (s *Store) Peek(job string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.last[job]
	return n, ok
}

// Vend returns the number after the last one; a job without a number begins
// after base.
func (s *Store) Vend(job string, base int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.last[job]; ok {
		base = n
	}
	return base + 1, s.setLocked(job, base+1)
}

// Set makes n the last number of a job.
func (s *Store) Set(job string, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setLocked(job, n)
}

func (s *Store) setLocked(job string, n int) error {
	before, had := s.last[job]
	s.last[job] = n
	if err := s.save(); err != nil {
		// What is not on disk has not happened.
		if s.last[job] = before; !had {
			delete(s.last, job)
		}
		return err
	}
	return nil
}

// save replaces the file so that a crash leaves the old one or the new one.
func (s *Store) save() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save numbers of builds: %w", err)
		}
	}()
	raw, err := json.Marshal(file{s.last})
	if err != nil {
		return err
	}
	tmp := s.path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
