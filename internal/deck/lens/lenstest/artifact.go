// Package lenstest is the kit for tests of lenses: artifacts in memory that keep the
// whole contract, fixtures in directories with the page they make, and a check that
// nothing a job wrote becomes a script.
package lenstest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"prow/internal/deck/lens"
)

// File is an artifact. Its zero value is an empty file whose storage keeps metadata.
type File struct {
	// Text is the content. Compressed stores it compressed by gzip.
	Text       string
	Compressed bool
	Live       bool
	Metadata   map[string]string
	// Link is that of the artifact; without one it is made from the name.
	Link string
	// URL is where others read it.
	URL string
	// Err is answered by everything that reads.
	Err error
	// MetadataErr refuses metadata, with lens.ErrNotAllowed for example.
	MetadataErr error
}

// Run is the directory of a run.
type Run struct {
	// Limit is that of the site for one reading; 0 is none.
	Limit int64
	mu    sync.Mutex
	files map[string]*File
	reads int64
}

// NewRun makes a run of files by name.
func NewRun(files map[string]*File) *Run { return &Run{files: files} }

// Texts makes a run of plain files.
func Texts(texts map[string]string) *Run {
	files := map[string]*File{}
	for name, text := range texts {
		files[name] = &File{Text: text}
	}
	return NewRun(files)
}

// Artifacts are all files by name.
func (r *Run) Artifacts() []lens.Artifact {
	var out []lens.Artifact
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		out = append(out, &artifact{r, name, r.files[name]})
	}
	return out
}

// Metadata is what is kept about a file.
func (r *Run) Metadata(name string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.files[name].Metadata)
}

// BytesRead is how much has been read so far.
func (r *Run) BytesRead() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

type artifact struct {
	run  *Run
	name string
	file *File
}

func (a *artifact) Name() string { return a.name }

func (a *artifact) Link() string {
	if a.file.Link != "" {
		return a.file.Link
	}
	return "artifact/gs/b/logs/job/1/" + a.name
}

func (a *artifact) stored() []byte {
	if !a.file.Compressed {
		return []byte(a.file.Text)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(a.file.Text))
	_ = w.Close()
	return out.Bytes()
}

func (a *artifact) Stat(ctx context.Context) (lens.Info, error) {
	if err := context.Cause(ctx); err != nil {
		return lens.Info{}, err
	}
	if a.file.Err != nil {
		return lens.Info{}, a.file.Err
	}
	return lens.Info{Size: int64(len(a.stored())), Compressed: a.file.Compressed, Live: a.file.Live, Metadata: a.run.Metadata(a.name), URL: a.file.URL}, nil
}

func (a *artifact) Range(ctx context.Context, offset, length int64) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if a.file.Err != nil {
		return nil, a.file.Err
	}
	size, limit := int64(len(a.file.Text)), a.run.Limit
	switch {
	case offset < 0 || length < 0:
		return nil, fmt.Errorf("%d bytes from %d on of %s: a range has no negative numbers", length, offset, a.name)
	case a.file.Compressed && offset != 0:
		return nil, lens.ErrOffset
	case a.file.Compressed && length == lens.AllText:
		if limit > 0 && size > limit {
			return nil, lens.ErrTooLarge
		}
	case limit > 0 && length > limit:
		return nil, lens.ErrTooLarge
	case offset > size:
		return nil, fmt.Errorf("%w %s: it has %d bytes", lens.ErrRange, a.name, size)
	}
	end := size
	if length < size-offset {
		end = offset + length
	}
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	a.run.reads += end - offset
	return io.ReadAll(bytes.NewReader([]byte(a.file.Text[offset:end])))
}

func (a *artifact) SetMetadata(ctx context.Context, set map[string]string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.file.MetadataErr != nil {
		return a.file.MetadataErr
	}
	if a.file.Live {
		return lens.ErrUnsupported
	}
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	if a.file.Metadata == nil {
		a.file.Metadata = map[string]string{}
	}
	for key, value := range set {
		if value == "" {
			delete(a.file.Metadata, key)
		} else {
			a.file.Metadata[key] = value
		}
	}
	return nil
}
