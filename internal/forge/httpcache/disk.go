package httpcache

import (
	"container/list"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Disk keeps entries in files, the most recently used ones within a bound. A
// file is named by the MD5 of its key and holds the answer as it came; it is
// written aside and moved into place, so a reader never sees a part of one.
// Directories are made when they are needed, one for each part of the cache.
type Disk struct {
	root  string
	bound int64
	log   *slog.Logger

	mu    sync.Mutex
	used  int64
	files map[string]*list.Element
	order *list.List // of *diskFile, the most recently used first
}

type diskFile struct {
	part, name string
	size       int64
}

func (f *diskFile) id() string { return f.part + "/" + f.name }

const (
	dataDir = "data"
	tempDir = "temp"
)

// NewDisk opens the store in a directory and makes it if needed. It holds at
// most bound bytes of answers, in whole blocks; what an earlier process left counts, and the
// files not used for longest go first.
func NewDisk(root string, bound int64, log *slog.Logger) (*Disk, error) {
	d := &Disk{root: root, bound: bound, log: log, files: map[string]*list.Element{}, order: list.New()}
	// What is in the temporary directory was never finished.
	if err := removeFiles(filepath.Join(root, tempDir)); err != nil {
		return nil, fmt.Errorf("empty %s: %w", filepath.Join(root, tempDir), err)
	}
	for _, dir := range []string{dataDir, tempDir} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, fmt.Errorf("make the cache: %w", err)
		}
	}
	return d, d.scan()
}

func removeFiles(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil || e.IsDir() || e.Name() == MetadataFile:
			return err
		}
		return os.Remove(path)
	})
}

// MetadataFile lies beside the entries of a part and tells when they expire.
const MetadataFile = ".cache_metadata.json"

// scan takes over the files of an earlier process.
func (d *Disk) scan() error {
	type found struct {
		file *diskFile
		used time.Time
	}
	var all []found
	data := filepath.Join(d.root, dataDir)
	err := filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == MetadataFile {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		part, err := filepath.Rel(data, filepath.Dir(path))
		if err != nil {
			return err
		}
		all = append(all, found{&diskFile{part: filepath.ToSlash(part), name: e.Name(), size: blocks(info.Size())}, info.ModTime()})
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the cache: %w", err)
	}
	slices.SortFunc(all, func(a, b found) int { return a.used.Compare(b.used) })
	for _, f := range all {
		d.files[f.file.id()] = d.order.PushFront(f.file)
		d.used += f.file.size
	}
	d.evict()
	return nil
}

// blocks is what a file of a size takes on disk. Most answers are small, so that
// counting their bytes would fill a disk far beyond the bound.
func blocks(size int64) int64 {
	const block = 4096
	return (size + block - 1) / block * block
}

// Part is the part of the store in a directory of its own.
func (d *Disk) Part(name string) *DiskPart { return &DiskPart{disk: d, name: name} }

// Used is how many bytes of the disk the answers take.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// RemovePart forgets a part as a whole.
func (d *Disk) RemovePart(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, element := range d.files {
		if f := element.Value.(*diskFile); f.part == name {
			d.forget(element)
		}
	}
	return errors.Join(os.RemoveAll(d.path(dataDir, name)), os.RemoveAll(d.path(tempDir, name)))
}

func (d *Disk) path(elements ...string) string {
	return filepath.Join(append([]string{d.root}, elements...)...)
}

// evict removes files until the bound is kept. The caller holds the lock.
func (d *Disk) evict() {
	for d.used > d.bound {
		last := d.order.Back()
		if last == nil {
			return
		}
		f := last.Value.(*diskFile)
		d.forget(last)
		if err := os.Remove(d.path(dataDir, f.part, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("An entry of the cache cannot be removed.", "error", err)
		}
	}
}

func (d *Disk) forget(element *list.Element) {
	f := d.order.Remove(element).(*diskFile)
	delete(d.files, f.id())
	d.used -= f.size
}

// DiskPart is a part of a store on disk. It implements Store.
type DiskPart struct {
	disk *Disk
	name string
}

// Dirs are the directories of the part: of its answers, and of those in writing.
func (p *DiskPart) Dirs() (data, temp string) {
	return p.disk.path(dataDir, p.name), p.disk.path(tempDir, p.name)
}

func fileName(key string) string {
	sum := md5.Sum([]byte(key)) // the name of a file, not a proof of anything
	return hex.EncodeToString(sum[:])
}

// Get implements Store.
func (p *DiskPart) Get(_ context.Context, key string) *Entry {
	name := fileName(key)
	path := p.disk.path(dataDir, p.name, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	e, err := Unmarshal(data)
	if err != nil {
		p.disk.log.Warn("A damaged entry of the cache is dropped.", "file", path, "error", err)
		p.delete(name)
		return nil
	}
	d := p.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if element := d.files[p.name+"/"+name]; element != nil {
		d.order.MoveToFront(element)
	}
	return e
}

// Put implements Store. A full disk costs only the entry.
func (p *DiskPart) Put(_ context.Context, key string, e *Entry) {
	name, data := fileName(key), e.Marshal()
	d := p.disk
	if blocks(int64(len(data))) > d.bound {
		p.delete(name)
		return
	}
	if err := p.write(name, data); err != nil {
		d.log.Warn("An answer cannot be stored.", "error", err)
		p.delete(name)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &diskFile{part: p.name, name: name, size: blocks(int64(len(data)))}
	if old := d.files[f.id()]; old != nil {
		d.forget(old)
	}
	d.files[f.id()] = d.order.PushFront(f)
	d.used += f.size
	d.evict()
}

func (p *DiskPart) write(name string, data []byte) error {
	dataPath, tempPath := p.Dirs()
	temp, err := os.CreateTemp(tempPath, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(dataPath, 0o755), os.MkdirAll(tempPath, 0o755)); err != nil {
			return err
		}
		temp, err = os.CreateTemp(tempPath, name)
	}
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dataPath, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}

// Delete implements Store.
func (p *DiskPart) Delete(_ context.Context, key string) { p.delete(fileName(key)) }

func (p *DiskPart) delete(name string) {
	d := p.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	element := d.files[p.name+"/"+name]
	if element == nil {
		return
	}
	d.forget(element)
	if err := os.Remove(d.path(dataDir, p.name, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("An entry of the cache cannot be removed.", "error", err)
	}
}

// DataDir holds a directory for each part.
func (d *Disk) DataDir() string { return d.path(dataDir) }
