package rootfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Pack writes the tree as a tar archive, each entry after its directory.
func (t Tree) Pack(at time.Time) ([]byte, error) {
	entries := maps.Clone(t)
	for name := range t {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			above, ok := entries[dir]
			if !ok {
				entries[dir] = Entry{Dir: true, Mode: 0o755}
			} else if !above.Dir {
				return nil, fmt.Errorf("%s is in %s, which is no directory", name, dir)
			}
		}
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[name]
		header := &tar.Header{
			Format: tar.FormatPAX, Name: strings.TrimPrefix(name, "/"), Mode: entry.Mode, Uid: entry.Owner, Gid: entry.Owner,
			ModTime: at.UTC().Truncate(time.Second), Typeflag: tar.TypeReg, Size: int64(len(entry.Content)),
		}
		switch {
		case entry.Dir:
			header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		case entry.Link != "":
			header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, entry.Link, 0o777
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := w.Write(entry.Content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
