// Package cloudblob serves buckets of the Go CDK as storage: GCS, S3, memory and
// whatever drivers a program links.
package cloudblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"prow/internal/storage"
)

// Bucket is an open bucket of the Go CDK.
type Bucket struct {
	bucket *blob.Bucket
}

// New serves a bucket, and closes it in the end.
func New(bucket *blob.Bucket) *Bucket { return &Bucket{bucket: bucket} }

// Provider opens buckets by way of open, such as blob.OpenBucket with the
// drivers that the program imports.
func Provider(open func(ctx context.Context, url string) (*blob.Bucket, error)) storage.Provider {
	return func(ctx context.Context, location storage.Location) (storage.Bucket, error) {
		bucket, err := open(ctx, location.Provider+"://"+location.Bucket)
		if err != nil {
			return nil, err
		}
		return New(bucket), nil
	}
}

// Close closes the bucket.
func (b *Bucket) Close() error { return b.bucket.Close() }

// Put writes an object.
func (b *Bucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	// Without this, closing the writer would store a part after an error of src.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType:     opts.ContentType,
		ContentEncoding: opts.ContentEncoding,
		CacheControl:    opts.CacheControl,
		Metadata:        opts.Metadata,
		IfNotExist:      opts.IfNotExist,
	})
	if err != nil {
		return known("writing", key, err)
	}
	if _, err := io.Copy(w, src); err != nil {
		cancel()
		_ = w.Close()
		return known("writing", key, err)
	}
	if err := w.Close(); err != nil {
		return known("writing", key, err)
	}
	return nil
}

// Get reads a part of an object.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := storage.CheckKey(key); err != nil {
		return nil, err
	}
	r, err := b.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err == nil {
		return r, nil
	}
	// Providers refuse ranges that begin at the end or beyond.
	if gcerrors.Code(err) != gcerrors.NotFound && offset > 0 {
		if attrs, statErr := b.bucket.Attributes(ctx, key); statErr == nil && offset >= attrs.Size {
			return io.NopCloser(strings.NewReader("")), nil
		}
	}
	return nil, known("reading", key, err)
}

// Stat describes an object.
func (b *Bucket) Stat(ctx context.Context, key string) (storage.Attributes, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.Attributes{}, err
	}
	attrs, err := b.bucket.Attributes(ctx, key)
	if err != nil {
		return storage.Attributes{}, known("reading", key, err)
	}
	return storage.Attributes{
		Size:            attrs.Size,
		ModTime:         attrs.ModTime,
		ContentType:     attrs.ContentType,
		ContentEncoding: attrs.ContentEncoding,
		CacheControl:    attrs.CacheControl,
		Metadata:        attrs.Metadata,
	}, nil
}

// Delete removes an object.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return known("deleting", key, b.bucket.Delete(ctx, key))
}

// List lists one page.
func (b *Bucket) List(ctx context.Context, opts storage.ListOptions) (storage.Page, error) {
	token, limit := blob.FirstPageToken, opts.Limit
	if opts.Token != "" {
		token = []byte(opts.Token)
	}
	if limit == 0 {
		limit = storage.DefaultPageSize
	}
	objects, next, err := b.bucket.ListPage(ctx, token, limit, &blob.ListOptions{Prefix: opts.Prefix, Delimiter: opts.Delimiter})
	if err != nil {
		return storage.Page{}, known("listing", opts.Prefix, err)
	}
	page := storage.Page{Next: string(next)}
	for _, o := range objects {
		page.Items = append(page.Items, storage.Item{Key: o.Key, IsDir: o.IsDir, Size: o.Size, ModTime: o.ModTime})
	}
	return page, nil
}

// known translates the errors that callers distinguish.
func known(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		err = errors.Join(storage.ErrNotExist, err)
	case gcerrors.AlreadyExists, gcerrors.FailedPrecondition:
		err = errors.Join(storage.ErrExist, err)
	}
	return fmt.Errorf("%s %s: %w", doing, key, err)
}
