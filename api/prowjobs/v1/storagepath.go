package v1

import (
	"fmt"
	"net/url"
	"strings"
)

// StoragePath is a place in blob storage, as a bucket setting names it.
type StoragePath struct {
	// Provider is the scheme: gs, s3, file, ...
	Provider string
	// Bucket is the host part; empty for file.
	Bucket string
	// Path is what follows the bucket, with its leading slash, or empty.
	Path string
}

// ParseStoragePath reads a bucket setting. A name without a scheme is a GCS
// bucket; a path may follow the bucket.
func ParseStoragePath(bucket string) (StoragePath, error) {
	full := bucket
	if !strings.Contains(full, "://") {
		full = "gs://" + full
	}
	u, err := url.Parse(full)
	if err != nil {
		return StoragePath{}, fmt.Errorf("bucket %q: %w", bucket, err)
	}
	if u.Scheme == "" || u.Opaque != "" {
		return StoragePath{}, fmt.Errorf("bucket %q is not of the form provider://bucket/path", bucket)
	}
	return StoragePath{Provider: u.Scheme, Bucket: u.Host, Path: u.Path}, nil
}

// FullPath is the bucket and the path in it, without the provider.
func (p StoragePath) FullPath() string { return p.Bucket + p.Path }

// String is the URL form.
func (p StoragePath) String() string { return p.Provider + "://" + p.FullPath() }
