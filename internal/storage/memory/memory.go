// Package memory keeps objects in the memory of the process: for tests, and for
// buckets whose content need not outlive it (mem://).
package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"prow/internal/storage"
)

// Bucket is a bucket in memory; the zero value is empty and ready.
type Bucket struct {
	mu      sync.RWMutex
	objects map[string]object
}

type object struct {
	content []byte
	attrs   storage.Attributes
}

// Provider returns a provider that knows each bucket from its first use on.
func Provider() storage.Provider {
	var mu sync.Mutex
	buckets := map[string]*Bucket{}
	return func(_ context.Context, location storage.Location) (storage.Bucket, error) {
		mu.Lock()
		defer mu.Unlock()
		if buckets[location.Bucket] == nil {
			buckets[location.Bucket] = &Bucket{}
		}
		return buckets[location.Bucket], nil
	}
}

// Put keeps what src yields.
func (b *Bucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	content, err := io.ReadAll(src)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	o := object{content: content, attrs: storage.Attributes{
		Size:            int64(len(content)),
		ModTime:         time.Now(),
		ContentType:     cmp.Or(opts.ContentType, http.DetectContentType(content)),
		ContentEncoding: opts.ContentEncoding,
		CacheControl:    opts.CacheControl,
		Metadata:        maps.Clone(opts.Metadata),
	}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; ok && opts.IfNotExist {
		return fmt.Errorf("writing %s: %w", key, storage.ErrExist)
	}
	if b.objects == nil {
		b.objects = map[string]object{}
	}
	b.objects[key] = o
	return nil
}

func (b *Bucket) get(key string) (object, error) {
	if err := storage.CheckKey(key); err != nil {
		return object{}, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	o, ok := b.objects[key]
	if !ok {
		return object{}, fmt.Errorf("reading %s: %w", key, storage.ErrNotExist)
	}
	return o, nil
}

// Get reads a part of an object.
func (b *Bucket) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	o, err := b.get(key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("reading %s: offset %d is negative", key, offset)
	}
	rest := o.content[min(offset, int64(len(o.content))):]
	if length >= 0 {
		rest = rest[:min(length, int64(len(rest)))]
	}
	return io.NopCloser(bytes.NewReader(rest)), nil
}

// Stat describes an object.
func (b *Bucket) Stat(_ context.Context, key string) (storage.Attributes, error) {
	o, err := b.get(key)
	o.attrs.Metadata = maps.Clone(o.attrs.Metadata)
	return o.attrs, err
}

// SetMetadata changes the metadata of an object.
func (b *Bucket) SetMetadata(_ context.Context, key string, set map[string]string) error {
	if _, err := b.get(key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[key]
	if !ok {
		return fmt.Errorf("describing %s: %w", key, storage.ErrNotExist)
	}
	o.attrs.Metadata = storage.Merge(o.attrs.Metadata, set)
	b.objects[key] = o
	return nil
}

// Delete forgets an object.
func (b *Bucket) Delete(_ context.Context, key string) error {
	if _, err := b.get(key); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, key)
	return nil
}

// List lists one page.
func (b *Bucket) List(ctx context.Context, opts storage.ListOptions) (storage.Page, error) {
	if err := ctx.Err(); err != nil {
		return storage.Page{}, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	var page storage.Page
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !strings.HasPrefix(key, opts.Prefix) {
			continue
		}
		item := storage.Item{Key: key, Size: b.objects[key].attrs.Size, ModTime: b.objects[key].attrs.ModTime}
		if opts.Delimiter != "" {
			if i := strings.Index(key[len(opts.Prefix):], opts.Delimiter); i >= 0 {
				item = storage.Item{Key: key[:len(opts.Prefix)+i+len(opts.Delimiter)], IsDir: true}
			}
		}
		if item.Key <= opts.Token || (len(page.Items) > 0 && page.Items[len(page.Items)-1].Key == item.Key) {
			continue
		}
		if len(page.Items) == cmp.Or(opts.Limit, storage.DefaultPageSize) {
			page.Next = page.Items[len(page.Items)-1].Key
			break
		}
		page.Items = append(page.Items, item)
	}
	return page, nil
}

// Close does nothing: what is kept stays.
func (b *Bucket) Close() error { return nil }
