package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Files lets read look at the files of a commit in the mirror, without a work
// tree. If the mirror has the commit, the remote is not asked. The Mirror must
// not be used after read has returned.
func (c *Cache) Files(ctx context.Context, org, repo, commit string, read func(*Mirror) error) error {
	mirror, lock, err := c.mirror(org, repo)
	if err != nil {
		return err
	}
	if !isHash(commit) {
		return fmt.Errorf("%q is not the hash of a commit", commit)
	}
	lock.RLock()
	have := !c.suspected(mirror) && len(c.missing(ctx, mirror, []string{commit})) == 0
	lock.RUnlock()
	if !have {
		lock.Lock()
		err := c.repaired(ctx, mirror, func() error { return c.update(ctx, org, repo, mirror, []string{commit}) })
		lock.Unlock()
		if err != nil {
			return fmt.Errorf("getting commit %s of %s/%s: %w", commit, org, repo, err)
		}
	}
	lock.RLock()
	defer lock.RUnlock()
	err = read(&Mirror{dir: mirror, commit: commit, runner: c.runner})
	c.complain(mirror, err)
	return err
}

// Mirror is a commit in a mirror.
type Mirror struct {
	dir, commit string
	runner      *Runner
}

// List calls visit for every regular file of the commit, in lexical order, with
// its path and the id of its content.
func (m *Mirror) List(ctx context.Context, visit func(path, blob string)) error {
	return m.runner.Pipe(ctx, m.dir, nil, func(r io.Reader) error {
		lines := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := lines.ReadString(0)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("listing files: %w", err)
			}
			if path, blob, ok := parseTreeLine(line); ok {
				visit(path, blob)
			}
		}
	}, "--git-dir=.", "ls-tree", "-r", "-z", "--full-tree", m.commit)
}

// parseTreeLine reads a line of ls-tree: MODE SP TYPE SP HASH TAB PATH NUL. It
// is ok for regular files.
func parseTreeLine(line string) (path, blob string, ok bool) {
	attributes, path, _ := strings.Cut(strings.TrimSuffix(line, "\x00"), "\t")
	fields := strings.Split(attributes, " ")
	if len(fields) != 3 || fields[1] != "blob" || path == "" || fields[0] != "100644" && fields[0] != "100755" {
		return "", "", false
	}
	return path, fields[2], true
}

// parseBatchHeader reads what cat-file says before a blob: HASH SP TYPE SP SIZE.
func parseBatchHeader(line string) (size int64, err error) {
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[1] != "blob" {
		return 0, errors.New(strings.TrimSpace(line))
	}
	size, err = strconv.ParseInt(fields[2], 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("size %q", fields[2])
	}
	return size, nil
}

// Read calls visit with the content of each blob, in the order given. Of blobs
// larger than limit bytes the content is nil.
func (m *Mirror) Read(ctx context.Context, blobs []string, limit int64, visit func(i int, content []byte)) error {
	if len(blobs) == 0 {
		return nil
	}
	input := strings.NewReader(strings.Join(blobs, "\n") + "\n")
	return m.runner.Pipe(ctx, m.dir, input, func(r io.Reader) error {
		output := bufio.NewReaderSize(r, 64<<10)
		for i, blob := range blobs {
			header, err := output.ReadString('\n')
			if err != nil {
				return fmt.Errorf("reading blob %s: %w", blob, err)
			}
			size, err := parseBatchHeader(header)
			if err != nil {
				return fmt.Errorf("reading blob %s: %w", blob, err)
			}
			var content []byte
			if size <= limit {
				content = make([]byte, size)
				_, err = io.ReadFull(output, content)
			} else {
				_, err = io.CopyN(io.Discard, output, size)
			}
			if err == nil {
				_, err = output.Discard(1) // the line break
			}
			if err != nil {
				return fmt.Errorf("reading blob %s: %w", blob, err)
			}
			visit(i, content)
		}
		return nil
	}, "--git-dir=.", "cat-file", "--batch")
}
