package storage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"prow/api/artifacts"
)

// Log is the log of a run: an object, or the parts of it that are stored while the
// run goes on; see artifacts.LogPart.
type Log struct {
	// Attributes are those of the object. Of parts they are the size of all, and the
	// time of the last.
	Attributes
	// Growing says that only parts are there.
	Growing bool

	bucket Bucket
	key    string
	parts  []Item
}

// StatLog finds the log with this key, or its parts.
func StatLog(ctx context.Context, b Bucket, key string) (*Log, error) {
	l := &Log{bucket: b, key: key}
	attrs, missing := b.Stat(ctx, key)
	if missing == nil {
		l.Attributes = attrs
		return l, nil
	}
	if !errors.Is(missing, ErrNotExist) {
		return nil, missing
	}
	opts := ListOptions{Prefix: artifacts.LogPartsDir(key)}
	for {
		page, err := b.List(ctx, opts)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			// Beyond a gap nothing follows on what comes before it.
			if number, ok := artifacts.LogPartNumber(key, item.Key); ok && number == len(l.parts)+1 {
				l.parts = append(l.parts, item)
				l.Size += item.Size
				l.ModTime = item.ModTime
			}
		}
		if opts.Token = page.Next; page.Next == "" {
			break
		}
	}
	if len(l.parts) == 0 {
		return nil, missing
	}
	l.Growing, l.ContentType = true, "text/plain; charset=utf-8"
	return l, nil
}

// Reader reads the log from an offset on, as it is stored. Where parts give way to
// the whole log meanwhile, it goes on in that.
func (l *Log) Reader(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if !l.Growing {
		return l.bucket.Get(ctx, l.key, offset, -1)
	}
	r := &partsReader{ctx: ctx, log: l}
	for r.next < len(l.parts) && offset >= r.at+l.parts[r.next].Size {
		r.at += l.parts[r.next].Size
		r.next++
	}
	r.skip = max(0, offset-r.at)
	return r, nil
}

// partsReader reads one part after the other.
type partsReader struct {
	ctx context.Context
	log *Log
	// next is the index of the part after the open one, which begins at.
	next int
	at   int64
	skip int64
	open io.ReadCloser
	left int64
}

func (r *partsReader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if err := r.advance(); err != nil {
				return 0, err
			}
		}
		n, err := r.open.Read(p[:min(int64(len(p)), max(r.left, 1))])
		r.left -= int64(n)
		if err == io.EOF {
			err = r.open.Close()
			r.open = nil
			if r.left > 0 && err == nil {
				err = fmt.Errorf("reading %s: a part is shorter than it was", r.log.key)
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (r *partsReader) advance() error {
	if r.next == len(r.log.parts) {
		return io.EOF
	}
	part := r.log.parts[r.next]
	r.left = part.Size - r.skip
	body, err := r.log.bucket.Get(r.ctx, part.Key, r.skip, r.left)
	if errors.Is(err, ErrNotExist) {
		// Parts are the beginning of the log byte for byte.
		var whole int64
		for _, rest := range r.log.parts[r.next:] {
			whole += rest.Size
		}
		r.left = whole - r.skip
		body, err = r.log.bucket.Get(r.ctx, r.log.key, r.at+r.skip, r.left)
		r.next = len(r.log.parts) - 1
	}
	if err != nil {
		return err
	}
	r.at += part.Size
	r.next, r.skip, r.open = r.next+1, 0, body
	return nil
}

func (r *partsReader) Close() error {
	if r.open == nil {
		return nil
	}
	return r.open.Close()
}
