package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/wire"
)

const (
	// partsPerSize is after how many parts the size of parts doubles, so that the
	// most parts that S3 allows, 10,000, hold 310 GiB.
	partsPerSize = 2000
	maxParts     = 10000
	// abortTimeout bounds the removal of a failed upload.
	abortTimeout = 30 * time.Second
)

// Put stores an object.
func (b *Bucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	if opts.IfNotExist {
		// Not every service knows the condition, so it is asked as well.
		if _, err := b.Stat(ctx, key); err == nil {
			return fmt.Errorf("writing %s: %w", key, storage.ErrExist)
		} else if !errors.Is(err, storage.ErrNotExist) {
			return err
		}
	}
	buf := b.chunks.Get()
	defer func() { b.chunks.Put(buf) }()
	n, last, err := wire.ReadChunk(src, buf)
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	header := attributes(opts, buf[:n])
	if last {
		r := request{method: http.MethodPut, key: key, header: header, body: buf[:n]}
		_, err = b.conditional(ctx, r, opts.IfNotExist)
	} else {
		err = b.multipart(ctx, key, header, src, buf, n, opts.IfNotExist)
	}
	return wire.Known("writing", key, err)
}

// conditional sends a request that makes an object, with the condition that there
// is none where the service knows such a condition.
func (b *Bucket) conditional(ctx context.Context, r request, ifNotExist bool) ([]byte, error) {
	if !ifNotExist {
		return wire.Answer(b.do(ctx, r, http.StatusOK))
	}
	with := r
	with.header = r.header.Clone()
	if with.header == nil {
		with.header = http.Header{}
	}
	with.header.Set("If-None-Match", "*")
	body, err := wire.Answer(b.do(ctx, with, http.StatusOK))
	switch {
	case wire.IsStatus(err, http.StatusNotImplemented):
		return wire.Answer(b.do(ctx, r, http.StatusOK))
	case wire.IsStatus(err, http.StatusConflict):
		// Another writer was at it at the same time, and one of the two wins.
		return nil, errors.Join(storage.ErrExist, err)
	}
	return body, err
}

type completed struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Parts   []part   `xml:"Part"`
}

type part struct {
	PartNumber int
	ETag       string
}

// multipart stores an object of which the first n bytes are in buf.
func (b *Bucket) multipart(ctx context.Context, key string, header http.Header, src io.Reader, buf []byte, n int, ifNotExist bool) (err error) {
	body, err := wire.Answer(b.do(ctx, request{method: http.MethodPost, key: key, query: url.Values{"uploads": {""}}, header: header}, http.StatusOK))
	if err != nil {
		return err
	}
	var begun struct{ UploadId string } //nolint:revive,staticcheck // the name on the wire
	if err := xml.Unmarshal(body, &begun); err != nil || begun.UploadId == "" {
		return fmt.Errorf("beginning a multipart upload: the answer has no id: %w", errors.Join(err, xmlError(body)))
	}
	defer func() {
		if err != nil {
			b.abort(ctx, key, begun.UploadId)
		}
	}()
	var done completed
	total := int64(0)
	for last := false; ; {
		if len(done.Parts) == maxParts {
			return fmt.Errorf("the object is longer than %d bytes", total)
		}
		number := len(done.Parts) + 1
		etag, err := b.putPart(ctx, key, begun.UploadId, number, buf[:n])
		if err != nil {
			return fmt.Errorf("part %d: %w", number, err)
		}
		done.Parts = append(done.Parts, part{number, etag})
		total += int64(n)
		if last {
			break
		}
		if number%partsPerSize == 0 {
			buf = make([]byte, 2*len(buf))
		}
		if n, last, err = wire.ReadChunk(src, buf); err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	return b.complete(ctx, key, begun.UploadId, done, total, ifNotExist)
}

func (b *Bucket) putPart(ctx context.Context, key, id string, number int, body []byte) (etag string, err error) {
	query := url.Values{"partNumber": {strconv.Itoa(number)}, "uploadId": {id}}
	resp, err := b.do(ctx, request{method: http.MethodPut, key: key, query: query, body: body}, http.StatusOK)
	if _, err := wire.Answer(resp, err); err != nil {
		return "", err
	}
	if etag = resp.Header.Get("ETag"); etag == "" {
		return "", errors.New("the answer has no ETag")
	}
	return etag, nil
}

// complete makes the object of its parts. The answer may begin as a success and
// then say that it is none; and it may be lost, after which the upload is unknown.
func (b *Bucket) complete(ctx context.Context, key, id string, done completed, total int64, ifNotExist bool) error {
	body, err := xml.Marshal(done)
	if err != nil {
		return err
	}
	r := request{method: http.MethodPost, key: key, query: url.Values{"uploadId": {id}}, body: body}
	for attempt := 1; ; attempt++ {
		said, err := b.conditional(ctx, r, ifNotExist)
		if err == nil {
			err = xmlError(said)
		}
		if err == nil {
			return nil
		}
		if wire.IsStatus(err, http.StatusNotFound) {
			if attrs, statErr := b.Stat(ctx, key); statErr == nil && attrs.Size == total && time.Since(attrs.ModTime) < time.Hour {
				return nil
			}
			return err
		}
		if attempt == wire.Attempts || !wire.IsStatus(err, http.StatusOK) || !wire.Transient(ctx, err) {
			return err
		}
		if err := b.client.Pause(ctx, attempt, err); err != nil {
			return err
		}
	}
}

// abort frees what a failed upload has stored, also after the end of ctx.
func (b *Bucket) abort(ctx context.Context, key, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	// A rule of the bucket has to clean up after processes that were killed anyway.
	_, _ = wire.Answer(b.do(ctx, request{method: http.MethodDelete, key: key, query: url.Values{"uploadId": {id}}}, http.StatusNoContent, http.StatusOK))
}
