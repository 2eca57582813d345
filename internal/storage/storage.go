// Package storage is blobs by URI: logs, artifacts and the files about a run.
//
// A Bucket is a flat space of objects with keys such as "logs/job/1/x.txt". An
// Opener finds the provider by the scheme of a bucket's URL: filestore for
// file://, gcs for gs://, s3 for s3:// and memory for mem://; package providers
// puts them together. Every provider passes the suite in storagetest, so their
// users need not know which they talk to. All are small enough for the utilities
// that run in every pod.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"time"
	"unicode/utf8"
)

// Errors are told by errors.Is with these, whatever the provider.
var (
	// ErrNotExist: there is no such object.
	ErrNotExist = fs.ErrNotExist
	// ErrExist: the object was to be made only if it did not exist, but it does.
	ErrExist = fs.ErrExist
)

// Bucket is a space of objects. It may be used concurrently.
type Bucket interface {
	// Put stores everything that src yields, in memory of constant size. It is all
	// or nothing: readers see the old object or the new one, never a part, and an
	// error of src or of ctx leaves the old one.
	Put(ctx context.Context, key string, src io.Reader, opts PutOptions) error
	// Get reads length bytes from offset, to the end of the object if length is
	// negative. From the end of the object on there is nothing to read, which is
	// no error. What is read is what was stored: nothing is decompressed.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stat describes an object.
	Stat(ctx context.Context, key string) (Attributes, error)
	// List returns one page of keys in order.
	List(ctx context.Context, opts ListOptions) (Page, error)
	// Delete removes an object.
	Delete(ctx context.Context, key string) error
	// Close frees what the bucket holds; objects being read or written fail.
	Close() error
}

// PutOptions describe a new object.
type PutOptions struct {
	// ContentType is sniffed from the content where empty.
	ContentType     string
	ContentEncoding string
	CacheControl    string
	Metadata        map[string]string
	// IfNotExist makes Put fail with ErrExist rather than replace an object.
	IfNotExist bool
}

// Attributes describe an object.
type Attributes struct {
	Size            int64
	ModTime         time.Time
	ContentType     string
	ContentEncoding string
	CacheControl    string
	Metadata        map[string]string
}

// ListOptions choose what is listed.
type ListOptions struct {
	Prefix string
	// Delimiter is "" for all objects below the prefix, or "/" for one level.
	Delimiter string
	// Token is Page.Next of the page before; empty begins.
	Token string
	// Limit is the most items of a page; 0 is DefaultPageSize.
	Limit int
}

// DefaultPageSize is the limit of a page where none is given.
const DefaultPageSize = 1000

// Page is a part of a listing.
type Page struct {
	Items []Item
	// Next is the token of the next page, empty on the last.
	Next string
}

// Item is an object, or with a delimiter everything below one directory.
type Item struct {
	// Key of a directory ends with the delimiter.
	Key     string
	IsDir   bool
	Size    int64
	ModTime time.Time
}

// CheckKey tells why no object can have this key, in any provider.
func CheckKey(key string) error {
	const maxKeyLength = 1024
	switch {
	case key == "":
		return fmt.Errorf("the name of an object is empty")
	case len(key) > maxKeyLength:
		return fmt.Errorf("object name %.40q... is longer than %d bytes", key, maxKeyLength)
	case !utf8.ValidString(key):
		return fmt.Errorf("object name %q is not valid UTF-8", key)
	case strings.ContainsAny(key, "\x00\r\n"):
		return fmt.Errorf("object name %q has control characters", key)
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element == "." || element == ".." {
			return fmt.Errorf("object name %q has an empty, '.' or '..' element", key)
		}
	}
	return nil
}

// Signer is a bucket that makes URLs by which anyone can read an object for a while.
type Signer interface {
	SignedURL(ctx context.Context, key string, expires time.Duration) (string, error)
}

// ErrNoURL says that a bucket cannot make URLs, for it is not on the network.
var ErrNoURL = errors.New("the storage has no URLs")

// SignedURL returns a URL by which anyone can read the object for a while, or
// ErrNoURL.
func SignedURL(ctx context.Context, b Bucket, key string, expires time.Duration) (string, error) {
	if signer, ok := b.(Signer); ok {
		return signer.SignedURL(ctx, key, expires)
	}
	return "", ErrNoURL
}

// ReadAll reads a whole object of at most limit bytes; a longer one is an error.
func ReadAll(ctx context.Context, b Bucket, key string, limit int64) ([]byte, error) {
	r, err := b.Get(ctx, key, 0, limit+1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("reading %s: it is longer than %d bytes", key, limit)
	}
	return content, nil
}

// Describer is a bucket that can change the metadata of an object and nothing else
// about it.
type Describer interface {
	// SetMetadata sets these keys; an empty value takes its key away. Other keys stay.
	SetMetadata(ctx context.Context, key string, set map[string]string) error
}

// ErrNoMetadata says that a bucket cannot change metadata without storing the object
// anew.
var ErrNoMetadata = errors.New("the storage cannot change metadata")

// SetMetadata sets keys of an object's metadata, an empty value takes its key away; or
// ErrNoMetadata.
func SetMetadata(ctx context.Context, b Bucket, key string, set map[string]string) error {
	if describer, ok := b.(Describer); ok {
		return describer.SetMetadata(ctx, key, set)
	}
	return ErrNoMetadata
}

// Merge is what metadata becomes by SetMetadata; old stays as it is.
func Merge(old, set map[string]string) map[string]string {
	out := maps.Clone(old)
	for name, value := range set {
		if value == "" {
			delete(out, name)
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out
}
