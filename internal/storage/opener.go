package storage

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Location is a bucket, as a URL names it.
type Location struct {
	// Provider is the scheme: gs, s3, file, mem.
	Provider string
	// Bucket is the host part; for file the absolute path of the directory.
	Bucket string
	// Prefix is the path in the bucket, without slashes at its ends.
	Prefix string
}

// ParseLocation reads the URL of a bucket. A name without a scheme is a GCS
// bucket, and an absolute path is a directory.
func ParseLocation(bucket string) (Location, error) {
	switch {
	case strings.HasPrefix(bucket, "/"):
		return Location{Provider: "file", Bucket: bucket}, nil
	case !strings.Contains(bucket, "://"):
		bucket = "gs://" + bucket
	}
	u, err := url.Parse(bucket)
	if err != nil {
		return Location{}, fmt.Errorf("bucket %q: %w", bucket, err)
	}
	if u.Scheme == "file" {
		if u.Host != "" || u.Path == "" {
			return Location{}, fmt.Errorf("bucket %q: a file URL needs an absolute path and no host", bucket)
		}
		return Location{Provider: "file", Bucket: u.Path}, nil
	}
	if u.Host == "" {
		return Location{}, fmt.Errorf("bucket %q has no name", bucket)
	}
	return Location{Provider: u.Scheme, Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}, nil
}

// Provider opens buckets of one scheme. The prefix is not its business.
type Provider func(ctx context.Context, location Location) (Bucket, error)

// Opener opens buckets by URL.
type Opener struct {
	providers map[string]Provider
}

// NewOpener returns an opener for these schemes.
func NewOpener(providers map[string]Provider) *Opener {
	return &Opener{providers: maps.Clone(providers)}
}

// Open opens the bucket at a URL. Where the URL goes on after the bucket, keys
// are relative to that path.
func (o *Opener) Open(ctx context.Context, bucket string) (Bucket, error) {
	location, err := ParseLocation(bucket)
	if err != nil {
		return nil, err
	}
	provider, ok := o.providers[location.Provider]
	if !ok {
		return nil, fmt.Errorf("bucket %q: the storage provider %q is not built into this program, only %s",
			bucket, location.Provider, strings.Join(slices.Sorted(maps.Keys(o.providers)), ", "))
	}
	b, err := provider(ctx, location)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %q: %w", bucket, err)
	}
	if location.Prefix == "" {
		return b, nil
	}
	return &prefixed{Bucket: b, prefix: location.Prefix + "/"}, nil
}

// prefixed is a part of a bucket.
type prefixed struct {
	Bucket
	prefix string
}

func (p *prefixed) Put(ctx context.Context, key string, src io.Reader, opts PutOptions) error {
	return p.Bucket.Put(ctx, p.prefix+key, src, opts)
}

func (p *prefixed) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	return p.Bucket.Get(ctx, p.prefix+key, offset, length)
}

func (p *prefixed) Stat(ctx context.Context, key string) (Attributes, error) {
	return p.Bucket.Stat(ctx, p.prefix+key)
}

func (p *prefixed) Delete(ctx context.Context, key string) error {
	return p.Bucket.Delete(ctx, p.prefix+key)
}

// SignedURL is that of the bucket around it.
func (p *prefixed) SignedURL(ctx context.Context, key string, expires time.Duration) (string, error) {
	return SignedURL(ctx, p.Bucket, p.prefix+key, expires)
}

// SetMetadata changes that of an object of the bucket around it.
func (p *prefixed) SetMetadata(ctx context.Context, key string, set map[string]string) error {
	return SetMetadata(ctx, p.Bucket, p.prefix+key, set)
}

func (p *prefixed) List(ctx context.Context, opts ListOptions) (Page, error) {
	opts.Prefix = p.prefix + opts.Prefix
	page, err := p.Bucket.List(ctx, opts)
	for i := range page.Items {
		page.Items[i].Key = strings.TrimPrefix(page.Items[i].Key, p.prefix)
	}
	return page, err
}
