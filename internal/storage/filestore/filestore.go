// Package filestore keeps objects as files of one directory: "a/b.txt" is the
// file b.txt in the directory a. The files can be read, copied and served by
// anything else.
//
// A file appears under its name only when it is complete and on disk, and Put
// returns when its name is, too: what was acknowledged survives a crash. What a file cannot
// say by itself (encoding, metadata, a media type its extension does not tell)
// stands in a hidden file beside it. Nothing outside of the directory is ever
// touched, whatever the keys and whatever links lie in it.
package filestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"prow/internal/storage"
)

// Names of hidden files begin with these; objects may not.
const (
	tempPrefix       = ".tmp."
	attributesPrefix = ".attrs."
)

// maxAttributes bounds the hidden file, in bytes.
const maxAttributes = 1 << 20

// Bucket is a directory of objects.
type Bucket struct {
	root *os.Root
	// sync is replaced in tests.
	sync func(*os.File) error

	// describing is held while attributes are read, changed and written.
	describing sync.Mutex

	mu sync.Mutex
	// known are directories whose own names are on disk.
	known map[string]bool
}

// maxKnown bounds how many directories are remembered.
const maxKnown = 10000

// Open returns the bucket in a directory, which is made if it does not exist.
func Open(dir string) (*Bucket, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Bucket{root: root, sync: (*os.File).Sync, known: map[string]bool{}}, nil
}

// Provider opens file:// URLs.
func Provider(_ context.Context, location storage.Location) (storage.Bucket, error) {
	return Open(location.Bucket)
}

// Close frees the directory.
func (b *Bucket) Close() error { return b.root.Close() }

// attributes is the content of the hidden file.
type attributes struct {
	// Size is that of the object described. Data and attributes are replaced one
	// after the other, so attributes of another size belong to another object.
	Size            int64             `json:"size"`
	ContentType     string            `json:"contentType,omitempty"`
	ContentEncoding string            `json:"contentEncoding,omitempty"`
	CacheControl    string            `json:"cacheControl,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
}

// Put writes a file. An object whose key is a directory of other objects, or
// whose directory is an object, is an error.
func (b *Bucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) (err error) {
	if err := checkKey(key); err != nil {
		return err
	}
	dir := path.Dir(key)
	if err := b.root.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	temp, size, err := b.writeTemp(dir, contextReader{ctx, src})
	if temp != "" {
		defer b.root.Remove(temp) // gone already if all went well
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}

	attrs := attributes{Size: size, ContentEncoding: opts.ContentEncoding, CacheControl: opts.CacheControl, Metadata: opts.Metadata}
	if opts.ContentType != mime.TypeByExtension(path.Ext(key)) {
		attrs.ContentType = opts.ContentType
	}
	described := attrs.ContentType != "" || attrs.ContentEncoding != "" || attrs.CacheControl != "" || len(attrs.Metadata) > 0
	if opts.IfNotExist {
		// Before the attributes, or they would replace those of the object that is there.
		if _, err := b.root.Lstat(key); err == nil {
			return fmt.Errorf("writing %s: %w", key, storage.ErrExist)
		}
	}
	if described {
		if err := b.putAttributes(key, attrs); err != nil {
			return fmt.Errorf("writing the attributes of %s: %w", key, err)
		}
	}
	if opts.IfNotExist {
		err = b.root.Link(temp, key)
	} else {
		err = b.root.Rename(temp, key)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	if !described {
		if err := b.root.Remove(attributesKey(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the old attributes of %s: %w", key, err)
		}
	}
	if err := b.syncDirs(dir); err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

// syncDirs brings the names in dir to the disk, and the names that lead to it.
func (b *Bucket) syncDirs(dir string) error {
	if err := b.syncDir(dir); err != nil {
		return err
	}
	for ; dir != "."; dir = path.Dir(dir) {
		b.mu.Lock()
		known := b.known[dir]
		b.mu.Unlock()
		if known {
			return nil // and so is everything above it
		}
		if err := b.syncDir(path.Dir(dir)); err != nil {
			return err
		}
		b.mu.Lock()
		if len(b.known) >= maxKnown {
			clear(b.known)
		}
		b.known[dir] = true
		b.mu.Unlock()
	}
	return nil
}

func (b *Bucket) syncDir(dir string) error {
	f, err := b.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.sync(f)
}

func (b *Bucket) putAttributes(key string, attrs attributes) error {
	encoded, err := json.Marshal(attrs)
	if err != nil {
		return err
	}
	temp, _, err := b.writeTemp(path.Dir(key), strings.NewReader(string(encoded)))
	if temp != "" {
		defer b.root.Remove(temp)
	}
	if err != nil {
		return err
	}
	return b.root.Rename(temp, attributesKey(key))
}

// writeTemp fills a new hidden file in dir. Where it returns a name, the file
// may exist and is the caller's to remove, whatever the error.
func (b *Bucket) writeTemp(dir string, src io.Reader) (name string, size int64, err error) {
	name = path.Join(dir, tempPrefix+strconv.FormatUint(rand.Uint64(), 36))
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return "", 0, err
	}
	size, err = io.Copy(f, src)
	if err == nil {
		err = b.sync(f)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return name, size, err
}

// Get opens a part of a file.
func (b *Bucket) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, fmt.Errorf("reading %s: offset %d is negative", key, offset)
	}
	f, _, err := b.open(key)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if length < 0 {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, length), f}, nil
}

// open opens a regular file; opening anything else might not even return.
func (b *Bucket) open(key string) (*os.File, fs.FileInfo, error) {
	if err := checkKey(key); err != nil {
		return nil, nil, err
	}
	info, err := b.root.Stat(key)
	if err != nil {
		return nil, nil, missing(key, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("reading %s: it is no file: %w", key, storage.ErrNotExist)
	}
	f, err := b.root.Open(key)
	if err != nil {
		return nil, nil, missing(key, err)
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return f, info, nil
}

// missing also covers keys below a file, where no object can be.
func missing(key string, err error) error {
	if isNotDir(err) {
		err = fmt.Errorf("%w: %w", storage.ErrNotExist, err)
	}
	return fmt.Errorf("reading %s: %w", key, err)
}

// Stat describes a file.
func (b *Bucket) Stat(_ context.Context, key string) (storage.Attributes, error) {
	f, info, err := b.open(key)
	if err != nil {
		return storage.Attributes{}, err
	}
	defer f.Close()
	stored, err := b.attributes(key, info.Size())
	if err != nil {
		return storage.Attributes{}, fmt.Errorf("reading the attributes of %s: %w", key, err)
	}
	if stored.ContentType == "" {
		stored.ContentType = mime.TypeByExtension(path.Ext(key))
	}
	if stored.ContentType == "" {
		head := make([]byte, 512)
		n, err := io.ReadFull(f, head)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return storage.Attributes{}, fmt.Errorf("reading %s: %w", key, err)
		}
		stored.ContentType = http.DetectContentType(head[:n])
	}
	return storage.Attributes{
		Size:            info.Size(),
		ModTime:         info.ModTime(),
		ContentType:     stored.ContentType,
		ContentEncoding: stored.ContentEncoding,
		CacheControl:    stored.CacheControl,
		Metadata:        stored.Metadata,
	}, nil
}

func (b *Bucket) attributes(key string, size int64) (attributes, error) {
	f, err := b.root.Open(attributesKey(key))
	if errors.Is(err, fs.ErrNotExist) {
		return attributes{}, nil
	} else if err != nil {
		return attributes{}, err
	}
	defer f.Close()
	var stored attributes
	if err := json.NewDecoder(io.LimitReader(f, maxAttributes)).Decode(&stored); err != nil {
		return attributes{}, err
	}
	if stored.Size != size {
		return attributes{}, nil
	}
	return stored, nil
}

// SetMetadata replaces the hidden file. Of two programs that do so at the same time one
// may undo what the other did.
func (b *Bucket) SetMetadata(_ context.Context, key string, set map[string]string) error {
	b.describing.Lock()
	defer b.describing.Unlock()
	f, info, err := b.open(key)
	if err != nil {
		return err
	}
	_ = f.Close()
	stored, err := b.attributes(key, info.Size())
	if err != nil {
		return fmt.Errorf("reading the attributes of %s: %w", key, err)
	}
	stored.Size, stored.Metadata = info.Size(), storage.Merge(stored.Metadata, set)
	if err := b.putAttributes(key, stored); err != nil {
		return fmt.Errorf("writing the attributes of %s: %w", key, err)
	}
	if err := b.syncDir(path.Dir(key)); err != nil {
		return fmt.Errorf("writing the attributes of %s: %w", key, err)
	}
	return nil
}

// Delete removes a file.
func (b *Bucket) Delete(_ context.Context, key string) error {
	f, _, err := b.open(key)
	if err != nil {
		return err
	}
	_ = f.Close()
	if err := b.root.Remove(key); err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	if err := b.root.Remove(attributesKey(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting the attributes of %s: %w", key, err)
	}
	return nil
}

func checkKey(key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	for element := range strings.SplitSeq(key, "/") {
		if isHidden(element) {
			return fmt.Errorf("object name %q: names with %s and %s are reserved", key, tempPrefix, attributesPrefix)
		}
	}
	return nil
}

func attributesKey(key string) string {
	dir, name := path.Split(key)
	return dir + attributesPrefix + name
}

func isHidden(name string) bool {
	return strings.HasPrefix(name, tempPrefix) || strings.HasPrefix(name, attributesPrefix)
}

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context
	src io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.src.Read(p)
}
