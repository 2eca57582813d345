package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"prow/internal/storage"
)

// List walks the directories in the order of the keys, and only where keys of
// the page can be.
func (b *Bucket) List(ctx context.Context, opts storage.ListOptions) (storage.Page, error) {
	if opts.Delimiter != "" && opts.Delimiter != "/" {
		return storage.Page{}, fmt.Errorf("listing %q: delimiter %q is not supported", opts.Prefix, opts.Delimiter)
	}
	l := lister{
		root:  b.root.FS(),
		opts:  opts,
		limit: cmp.Or(opts.Limit, storage.DefaultPageSize),
	}
	// Begin at the deepest directory that the prefix names in full.
	start := ""
	if i := strings.LastIndexByte(opts.Prefix, '/'); i >= 0 {
		start = opts.Prefix[:i+1]
		if err := checkKey(opts.Prefix[:i]); err != nil {
			return storage.Page{}, nil // no object can have such a key
		}
	}
	if err := l.walk(ctx, start); err != nil && !errors.Is(err, errPageFull) {
		return storage.Page{}, fmt.Errorf("listing %q: %w", opts.Prefix, err)
	}
	return l.page, nil
}

// errPageFull ends a walk.
var errPageFull = errors.New("page full")

type lister struct {
	root  fs.FS
	opts  storage.ListOptions
	limit int
	page  storage.Page
}

// walk lists the directory with this key, which is empty or ends with a slash.
func (l *lister) walk(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(l.root, path.Clean(cmp.Or(dir, ".")))
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return nil
	} else if err != nil {
		return err
	}
	// Object stores order by key, in which a directory's name is followed by a slash.
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	for _, e := range entries {
		key := dir + sortKey(e)
		switch {
		case isHidden(e.Name()):
		case e.IsDir() && (strings.HasPrefix(key, l.opts.Prefix) || strings.HasPrefix(l.opts.Prefix, key)):
			if l.opts.Delimiter != "" && strings.HasPrefix(key, l.opts.Prefix) && key != l.opts.Prefix {
				err = l.add(storage.Item{Key: key, IsDir: true})
			} else if key > l.opts.Token || strings.HasPrefix(l.opts.Token, key) {
				err = l.walk(ctx, key)
			}
		case e.Type().IsRegular() && strings.HasPrefix(key, l.opts.Prefix):
			info, infoErr := e.Info()
			if errors.Is(infoErr, fs.ErrNotExist) {
				continue // deleted since
			} else if infoErr != nil {
				return infoErr
			}
			err = l.add(storage.Item{Key: key, Size: info.Size(), ModTime: info.ModTime()})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) add(item storage.Item) error {
	if item.Key <= l.opts.Token {
		return nil
	}
	if len(l.page.Items) == l.limit {
		l.page.Next = l.page.Items[l.limit-1].Key
		return errPageFull
	}
	l.page.Items = append(l.page.Items, item)
	return nil
}

func sortKey(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
