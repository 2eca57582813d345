package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tidyPacks is how many packs a mirror may have before they are put together:
// every update that brings something adds one.
const tidyPacks = 20

// Update brings the mirror of a repository up to date, or makes it. It is for
// mirrors that others read from the disk; those of this cache update themselves.
func (c *Cache) Update(ctx context.Context, org, repo string) error {
	if err := c.updateNow(ctx, org, repo); err != nil {
		return fmt.Errorf("updating the mirror of %s/%s: %w", org, repo, err)
	}
	return nil
}

func (c *Cache) updateNow(ctx context.Context, org, repo string) error {
	mirror, lock, err := c.mirror(org, repo)
	if err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	if err := c.repaired(ctx, mirror, func() error { return c.update(ctx, org, repo, mirror, nil) }); err != nil {
		return err
	}
	packs, err := filepath.Glob(filepath.Join(mirror, "objects", "pack", "*.pack"))
	if err != nil || len(packs) <= tidyPacks {
		return err
	}
	// Each pack then has at least twice the objects of the next: the big ones of the
	// past stay as they are.
	_, err = c.runner.Output(ctx, mirror, "--git-dir=.", "repack", "-d", "-q", "--geometric=2")
	return err
}

// removeLeftovers removes what a git that was killed left in a mirror. Nobody else
// writes there now.
func removeLeftovers(mirror string) error {
	var unfinished []string
	for _, pattern := range []string{"objects/pack/tmp_*", "objects/pack/.tmp-*"} {
		temporary, err := filepath.Glob(filepath.Join(mirror, filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		unfinished = append(unfinished, temporary...)
	}
	err := filepath.WalkDir(mirror, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir() && path == filepath.Join(mirror, "objects"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".lock"):
			unfinished = append(unfinished, path)
		}
		return nil
	})
	for _, path := range unfinished {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
