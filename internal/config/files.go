package config

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFileSize bounds one file, also after decompression.
const maxFileSize = 64 << 20

// stamp tells cheaply whether a file may have changed.
type stamp struct {
	size  int64
	mtime int64 // nanoseconds
	inode uint64
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s
}

type contentHash [sha256.Size]byte

// content is the content of a file, decompressed.
type content struct {
	stamp stamp
	hash  contentHash
	data  []byte
}

// readFile reads a file and decompresses it if it is gzip, which the first two
// bytes tell.
func readFile(path string) (*content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory, expected a file", path)
	}
	data, err := readBounded(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	out := &content{stamp: stampOf(info), hash: sha256.Sum256(data), data: data}
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("decompressing %s: %w", path, err)
		}
		if out.data, err = readBounded(zr, 4*len(data)); err != nil {
			return nil, fmt.Errorf("decompressing %s: %w", path, err)
		}
	}
	return out, nil
}

func readBounded(r io.Reader, sizeHint int) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(min(sizeHint, maxFileSize) + bytes.MinRead)
	n, err := io.Copy(&b, io.LimitReader(r, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if n > maxFileSize {
		return nil, fmt.Errorf("more than %d bytes", maxFileSize)
	}
	return b.Bytes(), nil
}

// jobFilePaths lists the files behind the job path in the order in which they
// are read: lexically, directories where their name stands. Directories that
// symbolic links lead to are not entered, except the root itself.
func jobFilePaths(root string) (paths []string, errs, warnings []Problem) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, []Problem{{File: root, Message: fmt.Sprintf("the job configuration cannot be read: %v", pathError(err))}}, nil
	}
	if !info.IsDir() {
		return []string{root}, nil, nil
	}
	w := &jobWalk{root: root, seen: map[string]string{}}
	w.dir("", nil)
	return w.paths, w.errs, w.warnings
}

type jobWalk struct {
	root           string
	seen           map[string]string // base name → path
	paths          []string
	errs, warnings []Problem
}

func (w *jobWalk) dir(rel string, ignores []ignoreRules) {
	abs := filepath.Join(w.root, rel)
	entries, err := os.ReadDir(abs)
	if err != nil {
		w.warnings = append(w.warnings, Problem{File: abs, Message: fmt.Sprintf("skipped: %v", pathError(err))})
		return
	}
	if rules, err := os.ReadFile(filepath.Join(abs, ignoreFileName)); err == nil {
		ignores = append(ignores[:len(ignores):len(ignores)], parseIgnore(filepath.ToSlash(rel), rules))
	}
	for _, e := range entries {
		// Names that start with two dots belong to mounted ConfigMaps, whose
		// keys are links beside them.
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		relEntry := filepath.Join(rel, e.Name())
		if e.IsDir() {
			if !ignored(ignores, filepath.ToSlash(relEntry), true) {
				w.dir(relEntry, ignores)
			}
			continue
		}
		if !isYAML(e.Name()) || ignored(ignores, filepath.ToSlash(relEntry), false) {
			continue
		}
		path := filepath.Join(w.root, relEntry)
		if first, dup := w.seen[e.Name()]; dup {
			w.errs = append(w.errs, Problem{File: path, Message: fmt.Sprintf(
				"the file has the same base name as %s; names of job files must be unique, because they become keys of one ConfigMap", first)})
			continue
		}
		w.seen[e.Name()] = path
		w.paths = append(w.paths, path)
	}
}

// shardPaths lists the shards of the main configuration in a directory.
func shardPaths(dir, suffix string) ([]string, error) {
	var paths []string
	// The slash makes a directory of a symbolic link to one.
	dir += string(filepath.Separator)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(e.Name(), "..") && path != dir {
			if e.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if !e.IsDir() && strings.HasSuffix(path, suffix) {
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

// pathError drops the path from an error that names it, since problems do.
func pathError(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
