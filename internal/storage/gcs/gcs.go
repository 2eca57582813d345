// Package gcs keeps objects in buckets of Google Cloud Storage, by its JSON API.
//
// An object that fits into one chunk is one request; a larger one is a resumable
// upload, of which one chunk is in memory at a time, and which goes on where the
// server has it when the connection breaks. The checksum that the server returns
// has to be ours. Tokens are those of golang.org/x/oauth2; the requests are our
// own, for the vendor's client alone is larger than a utility may be.
package gcs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/wire"
)

const (
	// defaultEndpoint is the service.
	defaultEndpoint = "https://storage.googleapis.com"
)

// Options configure the client.
type Options struct {
	// CredentialsFile holds credentials of Google as JSON. Without one, those of the
	// machine are used: GOOGLE_APPLICATION_CREDENTIALS, gcloud, the metadata server;
	// or none, for buckets that everybody may use.
	CredentialsFile string
	// Endpoint replaces that of Google. Default: STORAGE_EMULATOR_HOST, with which no
	// credentials of the machine are looked for.
	Endpoint string
	// Client replaces the default client where it is not nil.
	Client *wire.Client
	// Now replaces the clock where it is not nil.
	Now func() time.Time
}

// Provider returns a provider of buckets that share connections and credentials.
func Provider(opts Options) storage.Provider {
	shared := &service{client: opts.Client, now: opts.Now}
	if shared.client == nil {
		shared.client = wire.NewClient(wire.NewTransport(nil))
	}
	if shared.now == nil {
		shared.now = time.Now
	}
	shared.credentials = &credentials{file: opts.CredentialsFile, client: &http.Client{Transport: shared.client.HTTP.Transport, Timeout: tokenTimeout}}
	var once sync.Once
	return func(_ context.Context, location storage.Location) (storage.Bucket, error) {
		once.Do(func() {
			endpoint := cmp.Or(opts.Endpoint, os.Getenv("STORAGE_EMULATOR_HOST"))
			shared.credentials.ambient = endpoint == ""
			shared.endpoint = strings.TrimSuffix(cmp.Or(endpoint, defaultEndpoint), "/")
			if !strings.Contains(shared.endpoint, "://") {
				shared.endpoint = "http://" + shared.endpoint
			}
		})
		if err := shared.credentials.load(); err != nil {
			return nil, err
		}
		return &Bucket{service: shared, name: location.Bucket}, nil
	}
}

// service is what buckets share.
type service struct {
	client      *wire.Client
	credentials *credentials
	endpoint    string
	chunks      wire.Chunks
	now         func() time.Time
}

// Bucket is a bucket of GCS.
type Bucket struct {
	*service
	name string
}

// Close does nothing: connections are shared with other buckets, and end by
// themselves when they are idle.
func (b *Bucket) Close() error { return nil }

// objects is the URL of the objects of the bucket, or of one of them.
func (b *Bucket) objects(prefix, key string, query url.Values) string {
	target := b.endpoint + prefix + "/storage/v1/b/" + url.PathEscape(b.name) + "/o"
	if key != "" {
		target += "/" + url.PathEscape(key)
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target
}

func (b *Bucket) request(method, target string, header http.Header, body ...[]byte) *wire.Request {
	return &wire.Request{Method: method, URL: target, Header: header, Body: body, Prepare: b.credentials.authorize}
}

// resource is an object as the service describes it.
type resource struct {
	Name            string            `json:"name,omitempty"`
	Size            int64             `json:"size,omitempty,string"`
	Updated         *time.Time        `json:"updated,omitempty"`
	ContentType     string            `json:"contentType,omitempty"`
	ContentEncoding string            `json:"contentEncoding,omitempty"`
	CacheControl    string            `json:"cacheControl,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
	// CRC32C is big-endian, in base64.
	CRC32C string `json:"crc32c,omitempty"`
}

func (r *resource) modified() time.Time {
	if r.Updated == nil {
		return time.Time{}
	}
	return *r.Updated
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
	generation := ""
	get := func(ctx context.Context, offset, length int64) (*http.Response, error) {
		// Without this the service would unpack what is stored packed.
		header := http.Header{"Accept-Encoding": {"gzip"}}
		if value := wire.Range(offset, length); value != "" {
			header.Set("Range", value)
		}
		query := url.Values{"alt": {"media"}}
		if generation != "" {
			query.Set("generation", generation)
		}
		return b.client.Do(ctx, b.request(http.MethodGet, b.objects("", key, query), header), http.StatusOK, http.StatusPartialContent)
	}
	resp, err := get(ctx, offset, length)
	if wire.IsStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, wire.Known("reading", key, err)
	}
	generation = resp.Header.Get("X-Goog-Generation")
	start := offset
	return b.client.Reader(ctx, resp.Body, offset, resp.ContentLength, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		rest := length
		if length > 0 {
			rest = length - (offset - start)
		}
		resp, err := get(ctx, offset, rest)
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
	body, err := wire.Answer(b.client.Do(ctx, b.request(http.MethodGet, b.objects("", key, nil), nil), http.StatusOK))
	if err != nil {
		return storage.Attributes{}, wire.Known("reading", key, err)
	}
	var r resource
	if err := json.Unmarshal(body, &r); err != nil {
		return storage.Attributes{}, fmt.Errorf("reading the attributes of %s: %w", key, err)
	}
	return storage.Attributes{
		Size:            r.Size,
		ModTime:         r.modified(),
		ContentType:     r.ContentType,
		ContentEncoding: r.ContentEncoding,
		CacheControl:    r.CacheControl,
		Metadata:        r.Metadata,
	}, nil
}

// SetMetadata changes the metadata of an object.
func (b *Bucket) SetMetadata(ctx context.Context, key string, set map[string]string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	patch := map[string]any{} // null takes a key away
	for name, value := range set {
		if patch[name] = value; value == "" {
			patch[name] = nil
		}
	}
	body, err := json.Marshal(map[string]any{"metadata": patch})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	_, err = wire.Answer(b.client.Do(ctx, b.request(http.MethodPatch, b.objects("", key, nil), header, body), http.StatusOK))
	return wire.Known("describing", key, err)
}

// Delete removes an object.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	_, err := wire.Answer(b.client.Do(ctx, b.request(http.MethodDelete, b.objects("", key, nil), nil), http.StatusNoContent, http.StatusOK))
	return wire.Known("deleting", key, err)
}

// List lists one page.
func (b *Bucket) List(ctx context.Context, opts storage.ListOptions) (storage.Page, error) {
	query := url.Values{
		"maxResults": {strconv.Itoa(cmp.Or(opts.Limit, storage.DefaultPageSize))},
		"fields":     {"nextPageToken,prefixes,items(name,size,updated)"},
	}
	for name, value := range map[string]string{"prefix": opts.Prefix, "delimiter": opts.Delimiter, "pageToken": opts.Token} {
		if value != "" {
			query.Set(name, value)
		}
	}
	body, err := wire.Answer(b.client.Do(ctx, b.request(http.MethodGet, b.objects("", "", query), nil), http.StatusOK))
	if err != nil {
		return storage.Page{}, wire.Known("listing", opts.Prefix, err)
	}
	var listed struct {
		Items         []resource
		Prefixes      []string
		NextPageToken string
	}
	if err := json.Unmarshal(body, &listed); err != nil {
		return storage.Page{}, fmt.Errorf("listing %s: %w", opts.Prefix, err)
	}
	var objects, dirs []storage.Item
	for _, o := range listed.Items {
		objects = append(objects, storage.Item{Key: o.Name, Size: o.Size, ModTime: o.modified()})
	}
	for _, d := range listed.Prefixes {
		dirs = append(dirs, storage.Item{Key: d, IsDir: true})
	}
	return storage.Page{Items: wire.MergeListing(objects, dirs), Next: listed.NextPageToken}, nil
}

// SignedURL returns a URL by which anyone can read the object for a while, if a
// service account's key is there to sign it; without a credentials file it is the
// plain one, as for a bucket that everybody may read.
func (b *Bucket) SignedURL(_ context.Context, key string, expires time.Duration) (string, error) {
	if err := storage.CheckKey(key); err != nil {
		return "", err
	}
	service, err := url.Parse(b.endpoint)
	if err != nil {
		return "", err
	}
	path := "/" + b.name + "/" + escapePath(key)
	if b.credentials.file == "" {
		return b.endpoint + path, nil
	}
	signed, err := b.credentials.signedURL(service.Host, path, b.now(), expires)
	if err != nil {
		return "", fmt.Errorf("signing the URL of %s: %w", key, err)
	}
	return signed, nil
}

// escapePath leaves nothing but what needs no escape in any reading of the rules.
func escapePath(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
