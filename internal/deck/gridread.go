package deck

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"prow/internal/deck/spyglass"
	"prow/internal/deck/testgrid"
	"prow/internal/junit"
	"prow/internal/storage"
)

const (
	// maxResultFiles and maxResultBytes bound what is read of a build.
	maxResultFiles = 200
	maxResultBytes = 50 << 20
	// maxResultCases bounds the runs of tests in one file.
	maxResultCases = 100_000
	// resultFilesAtOnce is how many files of a build are read at the same time.
	resultFilesAtOnce = 4
)

// junitFiles chooses the files with results of tests: those that the lens for them shows.
type junitFiles struct {
	choose func(names []string) []string
	// version changes with what is chosen.
	version string
	// lens is the index of the lens; -1 is none.
	lens int
}

func (s *server) junitFiles() junitFiles {
	const name = "junit"
	out := junitFiles{lens: -1}
	entries := slices.Clone(s.lensTable().entries)
	entries = slices.DeleteFunc(entries, func(e spyglass.Entry) bool { return e.Name != name })
	if len(entries) > 0 {
		out.lens = entries[0].Index
	} else {
		for _, f := range usualFiles() {
			if f.Lens.Name == name {
				entries = append(entries, spyglass.Entry{Name: name, Required: compiled(f.RequiredFiles)})
			}
		}
	}
	h := fnv.New32a()
	for _, e := range entries {
		_, _ = fmt.Fprintln(h, e.Required, e.Optional)
	}
	out.version = strconv.FormatUint(uint64(h.Sum32()), 36)
	out.choose = func(names []string) (chosen []string) {
		for i := range entries {
			chosen = append(chosen, entries[i].Files(names)...)
		}
		slices.Sort(chosen)
		return slices.Compact(chosen)
	}
	return out
}

// readResults reads the results of a build. The error tells that something could not be
// had which is there; what was read until then is of no use.
func (t *testResults) readResults(ctx context.Context, w wantedResults) (*testgrid.Summary, error) {
	items, more, err := t.list(ctx, w.place)
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64, len(items))
	names := make([]string, 0, len(items))
	for _, item := range items {
		sizes[item.Key] = item.Size
		names = append(names, item.Key)
	}
	slices.Sort(names)
	c := testgrid.Collector{Note: testgrid.Note{Cut: more}}
	if names = w.files.choose(names); len(names) == 0 {
		return c.Summary(), nil
	}
	if len(names) > maxResultFiles {
		names, c.Cut = names[:maxResultFiles], true
	}
	bucket, err := t.open(ctx, w.place)
	if err != nil {
		return nil, err
	}
	defer bucket.Close() //nolint:errcheck // only read
	left := int64(maxResultBytes)
	var text atomic.Int64 // that may still be read, also of what compressed files become
	text.Store(maxResultBytes)
	for part := range slices.Chunk(names, resultFilesAtOnce) {
		read := make([]fileResults, len(part))
		var group errgroup.Group
		for i, name := range part {
			size := max(sizes[name], 1)
			if left -= size; left < 0 {
				c.Cut = true
				read[i].skipped = true
				continue
			}
			group.Go(func() (err error) {
				read[i], err = t.readFile(ctx, bucket, w.place.key+"/"+name, size, &text)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for _, f := range read { // in order, so that the same is kept of too many each time
			if f.skipped {
				continue
			}
			c.Files++
			switch {
			case errors.Is(f.err, junit.ErrTooMuch):
				c.Cut = true
			case f.err != nil:
				c.Broken++
			}
			c.Add(f.cases)
		}
	}
	return c.Summary(), nil
}

// fileResults are what a file has.
type fileResults struct {
	cases []junit.Case
	// err tells why that is not all.
	err     error
	skipped bool
}

// readFile reads a file, as much at a time as there is room for among all that is read. What
// is wrong with its content is in the results; the error is one of storage.
func (t *testResults) readFile(ctx context.Context, bucket storage.Bucket, key string, size int64, left *atomic.Int64) (out fileResults, err error) {
	room := min(max(size, 1<<16), maxResultBytes)
	if err := t.room.Acquire(ctx, room); err != nil {
		return out, err
	}
	defer func() { t.room.Release(room) }()
	raw, err := bucket.Get(ctx, key, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return fileResults{skipped: true}, nil
	}
	if err != nil {
		return out, err
	}
	defer raw.Close() //nolint:errcheck // only read
	source := &faultyReader{r: raw}
	buffered := bufio.NewReaderSize(source, 64<<10)
	var text io.Reader = buffered
	if head, _ := buffered.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		// How much it becomes nobody knows. All that is held is given back before more is
		// taken, so that no two wait for each other.
		t.room.Release(room)
		room = 0
		if err := t.room.Acquire(ctx, maxResultBytes); err != nil {
			return out, err
		}
		room = maxResultBytes
		inflated, err := gzip.NewReader(buffered)
		if err != nil {
			return fileResults{err: err}, source.err
		}
		text = inflated
	}
	out.cases, out.err = junit.Parse(&budgetReader{text, left}, junit.Options{Bytes: maxResultBytes, Cases: maxResultCases, OutcomesOnly: true})
	return out, source.err
}

// budgetReader reads as much as several together may.
type budgetReader struct {
	r    io.Reader
	left *atomic.Int64
}

func (b *budgetReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return 0, junit.ErrTooMuch
	}
	return n, err
}

// faultyReader keeps the error of what it reads, which a parser would tell as its own.
type faultyReader struct {
	r   io.Reader
	err error
}

func (f *faultyReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
