package git

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mirrorState is what the cache remembers of a mirror.
type mirrorState struct {
	// size is what it takes on disk, in bytes, as far as it is known.
	size int64
	// used tells in which order mirrors were used; 0 is by an earlier process.
	used int64
}

// touch remembers that a mirror is used. The caller holds c.mu.
func (c *Cache) touch(mirror string) {
	s := c.mirrors[mirror]
	if s == nil {
		s = &mirrorState{}
		c.mirrors[mirror] = s
	}
	c.uses++
	s.used = c.uses
}

// keepBound removes the mirrors that were not used for longest until the bound is
// kept. That which has just grown stays, and so does what is being used; both are
// looked at again the next time. The caller holds the lock of the one that has grown.
func (c *Cache) keepBound(grown string) error {
	if c.Bound <= 0 {
		return nil
	}
	size, err := sizeOf(grown)
	if err != nil {
		return fmt.Errorf("measuring a mirror: %w", err)
	}
	c.mu.Lock()
	scanned := c.scanned
	c.scanned = true
	c.mu.Unlock()
	if !scanned {
		if err := c.scan(); err != nil {
			return fmt.Errorf("measuring the mirrors: %w", err)
		}
	}
	gone, err := c.takeAway(grown, size)
	for _, dir := range gone {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("removing mirrors: %w", err)
	}
	return nil
}

// takeAway puts mirrors aside that have to go, and returns where they are then.
func (c *Cache) takeAway(grown string, size int64) (gone []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mirrors[grown].size = size
	total := int64(0)
	var oldest []string
	for mirror, s := range c.mirrors {
		total += s.size
		if mirror != grown && s.size > 0 {
			oldest = append(oldest, mirror)
		}
	}
	slices.SortFunc(oldest, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.mirrors[a].used, c.mirrors[b].used), strings.Compare(a, b))
	})
	for _, mirror := range oldest {
		if total <= c.Bound {
			break
		}
		lock := c.lock(mirror)
		if !lock.TryLock() {
			continue
		}
		aside := filepath.Join(filepath.Dir(mirror), unfinished+"gone-"+filepath.Base(mirror))
		err := os.Rename(mirror, aside)
		lock.Unlock()
		if err != nil {
			return gone, err
		}
		gone = append(gone, aside)
		total -= c.mirrors[mirror].size
		delete(c.mirrors, mirror)
	}
	return gone, nil
}

// unfinished starts the names of what is no mirror yet, or any more.
const unfinished = ".new-"

// removeUnfinished removes what an earlier process did not finish.
func removeUnfinished(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), unfinished):
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		case e.IsDir() && strings.HasSuffix(e.Name(), ".git"):
			return fs.SkipDir
		}
		return nil
	})
}

// scan takes over the mirrors of an earlier process.
func (c *Cache) scan() error {
	return filepath.WalkDir(c.dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		case strings.HasPrefix(e.Name(), unfinished):
			return fs.SkipDir // one that is being made
		case !strings.HasSuffix(e.Name(), ".git"):
			return nil
		}
		size, err := sizeOf(path)
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.mirrors[path] == nil {
			c.mirrors[path] = &mirrorState{}
		}
		c.mirrors[path].size = size
		return fs.SkipDir
	})
}

// sizeOf is what the files of a directory take, in bytes. Files may vanish meanwhile.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				size += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return size, err
}
