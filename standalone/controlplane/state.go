package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// formatVersion is the layout of the state directory written by this program.
// Raise it when an older program could not use what a newer one has written.
const formatVersion = 1

// state is the locked state directory.
type state struct {
	dir  string
	lock *os.File
}

func (s *state) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// openState makes dir if needed, checks that this program may use it and locks
// it. The lock belongs to the open file, so it ends with the process however
// the process ends.
func openState(dir string) (*state, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	// Resolved, so that the paths given to containers' mount masks are the real ones.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	s := &state{dir: dir}
	if err := s.checkOwner(); err != nil {
		return nil, err
	}
	if err := s.checkFormat(); err != nil {
		return nil, err
	}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	if err := s.claim(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// checkOwner refuses a directory of another user: keys written there could be
// read by its owner.
func (s *state) checkOwner() error {
	var st unix.Stat_t
	if err := unix.Stat(s.dir, &st); err != nil {
		return fmt.Errorf("state directory %s: %w", s.dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("state directory %s is not a directory", s.dir)
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("state directory %s belongs to user %d, but this program runs as user %d; choose another directory or run as its owner", s.dir, st.Uid, os.Geteuid())
	}
	if err := unix.Access(s.dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("state directory %s cannot be read and written: %w", s.dir, err)
	}
	return nil
}

// checkFormat refuses a directory of a newer program, and one that holds
// something else: a mistyped path must not scatter files over somebody's home.
func (s *state) checkFormat() error {
	raw, err := os.ReadFile(s.path("format"))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			return fmt.Errorf("read state directory: %w", err)
		}
		for _, e := range entries {
			if e.Name() != "lock" {
				return fmt.Errorf("state directory %s is neither empty nor made by this program (found %s): choose another directory", s.dir, e.Name())
			}
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read format of state directory: %w", err)
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || version < 1 {
		return fmt.Errorf("%s: %q is not a format version", s.path("format"), bytes.TrimSpace(raw))
	}
	if version > formatVersion {
		return fmt.Errorf("state directory %s was made by a newer version of this program (format %d, this one knows up to %d): use the newer program or another directory", s.dir, version, formatVersion)
	}
	return nil
}

func (s *state) acquire() error {
	f, err := os.OpenFile(s.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open lock of state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock state directory %s: %w", s.dir, err)
		}
		holder := "another process"
		if raw, err := os.ReadFile(f.Name()); err == nil && len(bytes.TrimSpace(raw)) > 0 {
			holder = "process " + string(bytes.TrimSpace(raw))
		}
		return fmt.Errorf("state directory %s is in use by %s", s.dir, holder)
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			return errors.Join(fmt.Errorf("write lock of state directory: %w", err), f.Close())
		}
	}
	s.lock = f
	return nil
}

// claim makes the directory private and marks it as ours.
func (s *state) claim() error {
	if err := os.Chmod(s.dir, 0o700); err != nil {
		return fmt.Errorf("make state directory private: %w", err)
	}
	return s.writeFile("format", []byte(strconv.Itoa(formatVersion)+"\n"))
}

// writeFile replaces a file of the directory, readable by the owner only. A
// process killed in the middle leaves either the old or the new content.
func (s *state) writeFile(name string, data []byte) error {
	path := s.path(name)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(tmp.Name())))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (s *state) close() error {
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}
