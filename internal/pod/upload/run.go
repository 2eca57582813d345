package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"prow/api/artifacts"
	"prow/internal/pod/downward"
	"prow/internal/pod/options"
	"prow/internal/storage"
	"prow/internal/storage/filestore"
)

// File is something a utility itself has to say.
type File struct {
	// Name is the place below the directory of the run.
	Name string
	// Open yields the content, anew for each attempt.
	Open func() (io.ReadCloser, error)
}

// Bytes is a File with this content.
func Bytes(name string, data []byte) File { return File{Name: name, Open: content(data)} }

// Censor guards what is stored; nil lets everything pass.
type Censor interface {
	// File returns the content of a file to store. The path is relative to its
	// item, and empty for an item that is a file.
	File(path string, f *os.File) (io.ReadCloser, error)
	// Name returns what an object with this name may be called.
	Name(name string) string
}

// Run is one run of a job on its way to storage.
type Run struct {
	Logger *slog.Logger
	// Open opens the bucket of the options.
	Open   func(ctx context.Context, bucket string) (storage.Bucket, error)
	Censor Censor

	opts *options.Upload
	run  artifacts.Run

	mu       sync.Mutex
	manifest artifacts.UploadManifest

	// Wait waits before another attempt.
	Wait func(context.Context, time.Duration) error
}

// New returns the run that a utility was told about.
func New(opts *options.Upload, spec *downward.JobSpec, open func(context.Context, string) (storage.Bucket, error), logger *slog.Logger) *Run {
	return &Run{Logger: logger, Open: open, opts: opts, run: spec.Run(), Wait: wait}
}

// Items stores the pointers to the run and the items.
func (r *Run) Items(ctx context.Context) error {
	objects, err := r.pointers()
	if err != nil {
		return err
	}
	dir, err := r.dir()
	if err != nil {
		return err
	}
	items, refused, done := r.items(dir)
	defer done()
	return errors.Join(refused, r.send(ctx, append(objects, items...)))
}

// Files stores what a utility itself has to say.
func (r *Run) Files(ctx context.Context, files []File) error {
	dir, err := r.dir()
	if err != nil {
		return err
	}
	var objects []object
	for _, f := range files {
		key := path.Join(dir, r.name(f.Name))
		objects = append(objects, r.own(key, f))
	}
	return r.send(ctx, objects)
}

// Last stores what a utility has to say in the very end, such as the manifest; it
// is not in the manifest.
func (r *Run) Last(ctx context.Context, file File) error {
	dir, err := r.dir()
	if err != nil {
		return err
	}
	key := path.Join(dir, file.Name)
	o := r.own(key, file)
	o.unlisted = true
	return r.send(ctx, []object{o})
}

// own is the object of what a utility has to say. Its type is that of its name, so
// that JSON is not taken for text.
func (r *Run) own(key string, file File) object {
	return object{
		key:      key,
		open:     file.Open,
		opts:     storage.PutOptions{ContentType: mediaType(path.Ext(key), r.opts.MediaTypes)},
		compress: shouldCompress(key, r.opts.CompressFileTypes),
	}
}

// PutPart stores a part of a log, with one attempt: what it holds is not lost, for
// the next part or the log itself will hold it.
func (r *Run) PutPart(ctx context.Context, name string, data []byte) error {
	dir, err := r.dir()
	if err != nil {
		return err
	}
	bucket, err := r.bucket(ctx)
	if err != nil {
		return err
	}
	o := object{key: path.Join(dir, name), open: content(data), opts: storage.PutOptions{ContentType: "text/plain; charset=utf-8"}}
	_, err = put(ctx, bucket, &o)
	return errors.Join(err, bucket.Close())
}

// Delete removes files of a utility, as far as they exist.
func (r *Run) Delete(ctx context.Context, names []string) error {
	if len(names) == 0 || (r.opts.DryRun && !r.local()) {
		return nil
	}
	dir, err := r.dir()
	if err != nil {
		return err
	}
	bucket, err := r.bucket(ctx)
	if err != nil {
		return err
	}
	next := make(chan string)
	errs := make([]error, maxTransfers+1)
	var wg sync.WaitGroup
	for worker := range maxTransfers {
		wg.Go(func() {
			for name := range next {
				if err := bucket.Delete(ctx, path.Join(dir, name)); err != nil && !errors.Is(err, storage.ErrNotExist) {
					errs[worker] = err // one of them will do
				}
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	wg.Wait()
	errs[maxTransfers] = bucket.Close()
	return errors.Join(errs...)
}

// Manifest tells what became of every file so far, in the order of their names.
func (r *Run) Manifest() artifacts.UploadManifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.manifest
	m.Files = slices.SortedStableFunc(slices.Values(m.Files), func(a, b artifacts.UploadedFile) int { return strings.Compare(a.Name, b.Name) })
	return m
}

// record adds a file to the manifest. The key is that of the object.
func (r *Run) record(key string, f artifacts.UploadedFile, err error) {
	f.Name = "/" + key
	if dir, dirErr := r.dir(); dirErr == nil {
		if rel, ok := strings.CutPrefix(key, dir+"/"); ok {
			f.Name = rel
		} else if dir == "" {
			f.Name = key
		}
	}
	if err != nil {
		// The path of the machine says nothing that the name does not.
		f.Error = bounded(r.name(err.Error()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifest.Add(f)
}

// maxErrorText bounds what the manifest says of one error, in bytes.
const maxErrorText = 1 << 10

func bounded(text string) string {
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}

// skip records what is not to be stored.
func (r *Run) skip(key, reason string) {
	r.record(key, artifacts.UploadedFile{State: artifacts.UploadSkipped, Error: reason}, nil)
}

func (r *Run) local() bool { return r.opts.LocalOutputDir != "" }

func (r *Run) name(name string) string {
	if r.Censor == nil {
		return name
	}
	return r.Censor.Name(name)
}

func (r *Run) send(ctx context.Context, objects []object) error {
	bucket, err := r.bucket(ctx)
	if err != nil {
		return err
	}
	err = r.transfer(ctx, bucket, objects)
	return errors.Join(err, bucket.Close())
}

func (r *Run) bucket(ctx context.Context) (storage.Bucket, error) {
	switch {
	case r.local():
		return filestore.Open(r.opts.LocalOutputDir)
	case r.opts.DryRun:
		return logOnly{logger: r.Logger}, nil
	}
	return r.Open(ctx, r.opts.Bucket)
}

// dir is the directory of the run in the bucket.
func (r *Run) dir() (string, error) {
	if r.local() {
		return "", nil
	}
	dir, err := artifacts.PathForSpec(r.opts.GCSConfiguration, r.run)
	return path.Join(dir, r.opts.SubDir), err
}

// pointers are the objects by which the run is found.
func (r *Run) pointers() ([]object, error) {
	if r.local() {
		return nil, nil
	}
	var objects []object
	if alias := artifacts.AliasPath(r.run); alias != "" {
		link, err := artifacts.AliasContent(r.opts.GCSConfiguration, r.run)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object{key: alias, open: content([]byte(link)), opts: storage.PutOptions{
			ContentType: "text/plain; charset=utf-8",
			Metadata:    map[string]string{artifacts.AliasMetadataKey: link},
		}})
	}
	latest, err := artifacts.LatestBuildPaths(r.opts.GCSConfiguration, r.run)
	for _, key := range latest {
		objects = append(objects, object{key: key, open: content([]byte(r.run.BuildID)), opts: storage.PutOptions{
			ContentType: "text/plain; charset=utf-8",
		}})
	}
	return objects, err
}

// items finds the objects of the items below dir. What is refused is the error,
// which keeps nothing else back. The objects can be opened until done is called.
func (r *Run) items(dir string) (objects []object, refused error, done func()) {
	var errs []error
	var roots []*os.Root
	taken := map[string]bool{}
	add := func(key, rel string, open func() (*os.File, error)) {
		stored, opts := named(key, r.opts.MediaTypes)
		if taken[stored] && stored != key {
			// x is there beside x.gz: this one keeps its own name.
			stored, opts = key, storage.PutOptions{ContentType: "application/gzip"}
		}
		if taken[stored] {
			r.Logger.Warn("Two files would become one object; the second is left out.", "dest", stored)
			r.skip(stored, "another file has this name already")
			return
		}
		taken[stored] = true
		objects = append(objects, object{
			key:      stored,
			open:     func() (io.ReadCloser, error) { return r.read(rel, open) },
			opts:     opts,
			compress: opts.ContentEncoding == "" && opts.ContentType != "application/gzip" && shouldCompress(key, r.opts.CompressFileTypes),
		})
	}
	for _, item := range r.opts.Items {
		base := keyName(filepath.Base(item))
		info, err := os.Stat(item)
		if err != nil {
			r.Logger.Warn("An item is missing.", "item", item, "error", err.Error())
			r.skip(r.name(path.Join(dir, base)), "the item is missing")
			continue
		}
		if !info.IsDir() {
			add(r.name(path.Join(dir, base)), "", func() (*os.File, error) { return OpenFile(item) })
			continue
		}
		root, err := openRoot(item)
		if err != nil {
			errs = append(errs, fmt.Errorf("item %s: %w", item, err))
			r.record(r.name(path.Join(dir, base)), artifacts.UploadedFile{State: artifacts.UploadFailed}, err)
			continue
		}
		roots = append(roots, root)
		err = fs.WalkDir(root.FS(), ".", func(rel string, entry fs.DirEntry, err error) error {
			key := r.name(path.Join(dir, base, escapePath(rel)))
			if err != nil {
				errs = append(errs, fmt.Errorf("item %s: %w", item, err))
				r.record(key, artifacts.UploadedFile{State: artifacts.UploadFailed}, err)
				return nil
			}
			switch entry.Type() {
			case fs.ModeDir:
				return nil
			case 0:
			case fs.ModeSymlink:
				if target, err := root.Stat(rel); err != nil || !target.Mode().IsRegular() {
					r.Logger.Warn("A link is left out: it leads nowhere, to no file, or out of the item.", "item", item, "path", r.name(rel))
					r.skip(key, "the link leads nowhere, to no file, or out of the item")
					return nil
				}
			default:
				r.Logger.Warn("Something that is no file is left out.", "item", item, "path", r.name(rel), "type", entry.Type().String())
				r.skip(key, "it is no regular file")
				return nil
			}
			add(key, rel, func() (*os.File, error) { return openRegular(root, rel) })
			return nil
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("item %s: %w", item, err))
		}
	}
	return objects, errors.Join(errs...), func() {
		for _, root := range roots {
			_ = root.Close()
		}
	}
}

func escapePath(rel string) string {
	elements := strings.Split(rel, "/")
	for i := range elements {
		elements[i] = keyName(elements[i])
	}
	return strings.Join(elements, "/")
}

// read opens a file of an item, censored.
func (r *Run) read(rel string, open func() (*os.File, error)) (io.ReadCloser, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	if r.Censor == nil {
		size, err := size(f)
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		return closer{io.NewSectionReader(f, 0, size), f.Close}, nil
	}
	censored, err := r.Censor.File(rel, f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return closer{censored, func() error { return errors.Join(censored.Close(), f.Close()) }}, nil
}

// size is that of a file at this moment, up to which it is stored: a process that
// goes on writing must not hold the upload up for ever.
func size(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
