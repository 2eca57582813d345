package gcs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"prow/internal/storage"
	"prow/internal/storage/wire"
)

// abortTimeout bounds the removal of a failed upload.
const abortTimeout = 30 * time.Second

// Put stores an object.
func (b *Bucket) Put(ctx context.Context, key string, src io.Reader, opts storage.PutOptions) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	buf := b.chunks.Get()
	defer b.chunks.Put(buf)
	n, last, err := wire.ReadChunk(src, buf)
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	kind := cmp.Or(opts.ContentType, http.DetectContentType(buf[:n]))
	described, err := json.Marshal(resource{
		Name:            key,
		ContentType:     kind,
		ContentEncoding: opts.ContentEncoding,
		CacheControl:    opts.CacheControl,
		Metadata:        opts.Metadata,
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	query := url.Values{"name": {key}}
	if opts.IfNotExist {
		query.Set("ifGenerationMatch", "0")
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, _ = sum.Write(buf[:n])
	var stored []byte
	if last {
		stored, err = b.putWhole(ctx, query, described, kind, buf[:n])
	} else {
		stored, err = b.putChunks(ctx, query, described, kind, src, buf, n, sum)
	}
	if err == nil {
		err = b.check(ctx, key, stored, sum)
	}
	return wire.Known("writing", key, err)
}

// check compares checksums. A damaged object is removed, lest it be taken for one.
func (b *Bucket) check(ctx context.Context, key string, stored []byte, sum hash.Hash32) error {
	var r resource
	if err := json.Unmarshal(stored, &r); err != nil {
		return fmt.Errorf("the answer to the upload: %w", err)
	}
	want := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	if r.CRC32C != "" && r.CRC32C != want {
		return errors.Join(fmt.Errorf("it was damaged on its way: its CRC32C is %s and should be %s", r.CRC32C, want), b.Delete(ctx, key))
	}
	return nil
}

// putWhole sends an object in one request.
func (b *Bucket) putWhole(ctx context.Context, query url.Values, described []byte, kind string, content []byte) ([]byte, error) {
	var head bytes.Buffer
	parts := multipart.NewWriter(&head)
	w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json; charset=UTF-8"}})
	if err == nil {
		_, err = w.Write(described)
	}
	if err == nil {
		// Some services heed only this type, others only that in the description.
		_, err = parts.CreatePart(textproto.MIMEHeader{"Content-Type": {kind}})
	}
	if err != nil {
		return nil, err
	}
	opening := bytes.Clone(head.Bytes())
	head.Reset()
	if err := parts.Close(); err != nil {
		return nil, err
	}
	query.Set("uploadType", "multipart")
	header := http.Header{"Content-Type": {"multipart/related; boundary=" + parts.Boundary()}}
	return wire.Answer(b.client.Do(ctx, b.request(http.MethodPost, b.objects("/upload", "", query), header, opening, content, head.Bytes()), http.StatusOK))
}

// putChunks sends an object of which the first n bytes are in buf in chunks.
func (b *Bucket) putChunks(ctx context.Context, query url.Values, described []byte, kind string, src io.Reader, buf []byte, n int, sum hash.Hash) (stored []byte, err error) {
	query.Set("uploadType", "resumable")
	header := http.Header{"Content-Type": {"application/json; charset=UTF-8"}, "X-Upload-Content-Type": {kind}}
	resp, err := b.client.Do(ctx, b.request(http.MethodPost, b.objects("/upload", "", query), header, described), http.StatusOK)
	if _, err := wire.Answer(resp, err); err != nil {
		return nil, err
	}
	session := resp.Header.Get("Location")
	if session == "" {
		return nil, errors.New("beginning a resumable upload: the answer has no location")
	}
	defer func() {
		if err != nil {
			b.abort(ctx, session)
		}
	}()
	for offset, last := int64(0), false; ; {
		total := int64(-1)
		if last {
			total = offset + int64(n)
		}
		kept, stored, err := b.putChunk(ctx, session, buf[:n], offset, total)
		if err != nil {
			return nil, fmt.Errorf("the chunk at byte %d: %w", offset, err)
		}
		if last {
			if stored == nil {
				return nil, errors.New("the service does not acknowledge the end of the object")
			}
			return stored, nil
		}
		// What the service did not keep is sent again, before what comes next.
		offset += int64(kept)
		copy(buf, buf[kept:n])
		n -= kept
		more, end, err := wire.ReadChunk(src, buf[n:])
		if err != nil {
			return nil, err
		}
		_, _ = sum.Write(buf[n : n+more])
		n, last = n+more, end
	}
}

// putChunk sends a chunk, and tells how much of it the service has kept. The total
// is that of the object if the chunk is its end, else -1; then stored is what the
// service says of the object.
func (b *Bucket) putChunk(ctx context.Context, session string, chunk []byte, offset, total int64) (kept int, stored []byte, err error) {
	send := func(header string, body []byte) (int64, []byte, error) {
		resp, err := b.client.Once(ctx, b.request(http.MethodPut, session, http.Header{"Content-Range": {header}}, body), http.StatusOK, http.StatusCreated, http.StatusPermanentRedirect)
		said, err := wire.Answer(resp, err)
		switch {
		case err != nil:
			return 0, nil, err
		case resp.StatusCode != http.StatusPermanentRedirect:
			return offset + int64(len(chunk)), said, nil
		}
		end, err := keptUntil(resp.Header.Get("Range"))
		return end, nil, err
	}
	size := "*"
	if total >= 0 {
		size = strconv.FormatInt(total, 10)
	}
	// After a failure the service is asked how far it came, before anything is sent
	// again; the answer may be that it has all.
	unsure := false
	for failures := 0; ; {
		rest, at := chunk[kept:], offset+int64(kept)
		asking := unsure || len(rest) == 0
		header := "bytes */" + size
		if asking {
			rest = nil
		} else {
			header = fmt.Sprintf("bytes %d-%d/%s", at, at+int64(len(rest))-1, size)
		}
		end, said, err := send(header, rest)
		if err != nil {
			if failures++; failures == wire.Attempts || !wire.Transient(ctx, err) {
				return 0, nil, err
			}
			if err := b.client.Pause(ctx, failures, err); err != nil {
				return 0, nil, err
			}
			unsure = true
			continue
		}
		if said != nil {
			return len(chunk), said, nil
		}
		if end < offset || end > offset+int64(len(chunk)) {
			return 0, nil, fmt.Errorf("the service has kept %d bytes, which is not in the chunk", end)
		}
		unsure = false
		if end > at {
			failures = 0
		} else if !asking || len(chunk) == kept {
			if failures++; failures == wire.Attempts {
				return 0, nil, errors.New("the service keeps nothing of it")
			}
		}
		if kept = int(end - offset); kept > 0 && total < 0 {
			return kept, nil, nil
		}
	}
}

// keptUntil reads how many bytes the service has; no range at all says none.
func keptUntil(header string) (int64, error) {
	if header == "" {
		return 0, nil
	}
	last, ok := strings.CutPrefix(header, "bytes=0-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("the service says it has kept %q", header)
	}
	return n + 1, nil
}

// abort frees what a failed upload has stored, also after the end of ctx.
func (b *Bucket) abort(ctx context.Context, session string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	const clientClosedRequest = 499 // how the service says that it is done
	// Unfinished uploads vanish after a week anyway.
	_, _ = wire.Answer(b.client.Once(ctx, b.request(http.MethodDelete, session, nil), clientClosedRequest, http.StatusNoContent, http.StatusOK))
}
