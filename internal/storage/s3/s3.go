// Package s3 keeps objects in buckets of Amazon S3 and of whatever speaks its
// protocol.
//
// An object that fits into one chunk is one request; a larger one is a multipart
// upload, of which one chunk is in memory at a time, and which is aborted if it
// cannot be completed. Every chunk is signed with its hash, so that what is
// damaged on its way is refused. Keys and signatures are those of MinIO's client;
// the requests are our own, for the sake of bounds, cancellation and size.
package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/minio/minio-go/v7/pkg/signer"

	"prow/internal/storage"
	"prow/internal/storage/wire"
)

const (
	// defaultRegion is where a bucket is looked for first.
	defaultRegion = "us-east-1"
	// emptyHash is the SHA-256 of nothing.
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// metadataPrefix begins the headers with metadata.
	metadataPrefix = "X-Amz-Meta-"
)

// Options configure the client.
type Options struct {
	// CredentialsFile holds a Config as JSON; it is read on first use.
	CredentialsFile string
	// Client replaces the default client where it is not nil.
	Client *wire.Client
}

// Provider returns a provider of buckets that share connections and credentials.
func Provider(opts Options) storage.Provider {
	var mu sync.Mutex
	var shared *service
	return func(_ context.Context, location storage.Location) (storage.Bucket, error) {
		mu.Lock()
		defer mu.Unlock()
		if shared == nil {
			config, err := LoadConfig(opts.CredentialsFile)
			if err != nil {
				return nil, err
			}
			shared = newService(config, opts.Client)
		}
		return shared.bucket(location.Bucket)
	}
}

// Open opens one bucket.
func Open(name string, config *Config, client *wire.Client) (*Bucket, error) {
	return newService(config, client).bucket(name)
}

// service is what buckets share.
type service struct {
	config *Config
	client *wire.Client
	keys   *keys
	chunks wire.Chunks
}

func newService(config *Config, client *wire.Client) *service {
	if client == nil {
		client = wire.NewClient(wire.NewTransport(config.tls()))
	}
	return &service{config: config, client: client, keys: newKeys(config)}
}

func (s *service) bucket(name string) (*Bucket, error) {
	if err := s3utils.CheckValidBucketName(name); err != nil {
		return nil, err
	}
	b := &Bucket{service: s, name: name, region: cmp.Or(s.config.Region, defaultRegion)}
	_, err := s.config.endpoint(b.region)
	return b, err
}

// Bucket is a bucket of S3.
type Bucket struct {
	*service
	name string

	mu     sync.Mutex
	region string
}

// Close does nothing: connections are shared with other buckets, and end by
// themselves when they are idle.
func (b *Bucket) Close() error { return nil }

func (b *Bucket) inRegion() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.region
}

// url is where a key is; the empty key is the bucket itself.
func (b *Bucket) url(region, key string, query url.Values) (string, error) {
	endpoint, err := b.config.endpoint(region)
	if err != nil {
		return "", err
	}
	path := "/" + s3utils.EncodePath(key)
	// Names with dots would not fit the certificate of the host.
	host := endpoint.Hostname()
	if b.config.PathStyle || net.ParseIP(host) != nil || host == "localhost" || strings.ContainsAny(b.name, "._:") || strings.ToLower(b.name) != b.name {
		path = "/" + b.name + path
	} else {
		endpoint.Host = b.name + "." + endpoint.Host
	}
	text := endpoint.String() + path
	if len(query) > 0 {
		// Signatures are made over this encoding of spaces.
		text += "?" + strings.ReplaceAll(query.Encode(), "+", "%20")
	}
	return text, nil
}

// request is one call of the service.
type request struct {
	method, key string
	query       url.Values
	header      http.Header
	body        []byte
}

// do sends a request, signed, and again to the bucket's own region if it is told of it.
func (b *Bucket) do(ctx context.Context, r request, statuses ...int) (*http.Response, error) {
	hash := emptyHash
	if len(r.body) > 0 {
		sum := sha256.Sum256(r.body)
		hash = hex.EncodeToString(sum[:])
	}
	for moved := false; ; moved = true {
		region := b.inRegion()
		target, err := b.url(region, r.key, r.query)
		if err != nil {
			return nil, err
		}
		header := r.header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set("X-Amz-Content-Sha256", hash)
		resp, err := b.client.Do(ctx, &wire.Request{
			Method: r.method, URL: target, Header: header, Body: [][]byte{r.body},
			Prepare: func(req *http.Request) error { return b.sign(req, region) },
		}, statuses...)
		status := (*wire.StatusError)(nil)
		if err == nil || moved || !errors.As(err, &status) || status.Region == "" || status.Region == region {
			return resp, err
		}
		b.mu.Lock()
		b.region = status.Region
		b.mu.Unlock()
	}
}

func (b *Bucket) sign(req *http.Request, region string) error {
	value, err := b.keys.get(req.Context())
	if err != nil {
		return fmt.Errorf("credentials for S3: %w", err)
	}
	if value == nil || value.AccessKeyID == "" {
		return nil
	}
	signed := signer.SignV4(*req, value.AccessKeyID, value.SecretAccessKey, value.SessionToken, region)
	req.Header = signed.Header
	return nil
}

// Get reads a part of an object.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := storage.CheckKey(key); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("reading %s: offset %d is negative", key, offset)
	}
	if length == 0 {
		_, err := b.Stat(ctx, key)
		return http.NoBody, err
	}
	get := func(ctx context.Context, offset int64, header http.Header) (*http.Response, error) {
		if value := wire.Range(offset, length); value != "" {
			header.Set("Range", value)
		}
		return b.do(ctx, request{method: http.MethodGet, key: key, header: header}, http.StatusOK, http.StatusPartialContent)
	}
	resp, err := get(ctx, offset, http.Header{})
	if wire.IsStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, wire.Known("reading", key, err)
	}
	etag, size := resp.Header.Get("ETag"), resp.ContentLength
	start := offset
	return b.client.Reader(ctx, resp.Body, offset, size, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		if length > 0 {
			length -= offset - start
			start = offset
		}
		header := http.Header{}
		if etag != "" {
			header.Set("If-Match", etag)
		}
		resp, err := get(ctx, offset, header)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}), nil
}

// Stat describes an object.
func (b *Bucket) Stat(ctx context.Context, key string) (storage.Attributes, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.Attributes{}, err
	}
	resp, err := b.do(ctx, request{method: http.MethodHead, key: key}, http.StatusOK)
	if err != nil {
		return storage.Attributes{}, wire.Known("reading", key, err)
	}
	defer resp.Body.Close()
	attrs := storage.Attributes{
		Size:            resp.ContentLength,
		ContentType:     resp.Header.Get("Content-Type"),
		ContentEncoding: resp.Header.Get("Content-Encoding"),
		CacheControl:    resp.Header.Get("Cache-Control"),
	}
	if modified, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		attrs.ModTime = modified
	}
	decoder := mime.WordDecoder{}
	for name, values := range resp.Header {
		bare, ok := strings.CutPrefix(name, metadataPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		if attrs.Metadata == nil {
			attrs.Metadata = map[string]string{}
		}
		value, err := decoder.DecodeHeader(values[0])
		if err != nil {
			value = values[0]
		}
		attrs.Metadata[strings.ToLower(bare)] = value
	}
	return attrs, nil
}

// Delete removes an object. S3 does not say whether there was one, so it is asked.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if _, err := b.Stat(ctx, key); err != nil {
		return err
	}
	_, err := wire.Answer(b.do(ctx, request{method: http.MethodDelete, key: key}, http.StatusNoContent, http.StatusOK))
	return wire.Known("deleting", key, err)
}

// List lists one page.
func (b *Bucket) List(ctx context.Context, opts storage.ListOptions) (storage.Page, error) {
	// Names may have characters that XML cannot hold.
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "max-keys": {strconv.Itoa(cmp.Or(opts.Limit, storage.DefaultPageSize))}}
	for name, value := range map[string]string{"prefix": opts.Prefix, "delimiter": opts.Delimiter, "continuation-token": opts.Token} {
		if value != "" {
			query.Set(name, value)
		}
	}
	body, err := wire.Answer(b.do(ctx, request{method: http.MethodGet, query: query}, http.StatusOK))
	if err != nil {
		return storage.Page{}, wire.Known("listing", opts.Prefix, err)
	}
	var listed struct {
		EncodingType          string
		NextContinuationToken string
		Contents              []struct {
			Key          string
			LastModified time.Time
			Size         int64
		}
		CommonPrefixes []struct{ Prefix string }
	}
	if err := xml.Unmarshal(body, &listed); err != nil {
		return storage.Page{}, fmt.Errorf("listing %s: %w", opts.Prefix, err)
	}
	decode := func(name string) string {
		if plain, err := url.QueryUnescape(name); err == nil && listed.EncodingType == "url" {
			return plain
		}
		return name
	}
	var objects, dirs []storage.Item
	for _, o := range listed.Contents {
		objects = append(objects, storage.Item{Key: decode(o.Key), Size: o.Size, ModTime: o.LastModified})
	}
	for _, d := range listed.CommonPrefixes {
		dirs = append(dirs, storage.Item{Key: decode(d.Prefix), IsDir: true})
	}
	return storage.Page{Items: wire.MergeListing(objects, dirs), Next: listed.NextContinuationToken}, nil
}

// SignedURL returns a URL by which anyone can read the object for a while.
func (b *Bucket) SignedURL(ctx context.Context, key string, expires time.Duration) (string, error) {
	if err := storage.CheckKey(key); err != nil {
		return "", err
	}
	target, err := b.url(b.inRegion(), key, nil)
	if err != nil {
		return "", err
	}
	value, err := b.keys.get(ctx)
	if err != nil {
		return "", fmt.Errorf("signing the URL of %s: %w", key, err)
	}
	if value == nil || value.AccessKeyID == "" {
		return target, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	signed := signer.PreSignV4(*req, value.AccessKeyID, value.SecretAccessKey, value.SessionToken, b.inRegion(), int64(expires/time.Second))
	return signed.URL.String(), nil
}

// attributes are the headers of a new object.
func attributes(opts storage.PutOptions, head []byte) http.Header {
	h := http.Header{"Content-Type": {cmp.Or(opts.ContentType, http.DetectContentType(head))}}
	if opts.ContentEncoding != "" {
		h.Set("Content-Encoding", opts.ContentEncoding)
	}
	if opts.CacheControl != "" {
		h.Set("Cache-Control", opts.CacheControl)
	}
	for key, value := range opts.Metadata {
		h.Set(metadataPrefix+key, mime.QEncoding.Encode("utf-8", value))
	}
	return h
}

// xmlError finds an error in an answer that was announced as a success.
func xmlError(body []byte) error {
	if e := wire.ParseError(bytes.TrimSpace(body)); e.Code != "" {
		e.Status = http.StatusOK
		return e
	}
	return nil
}
