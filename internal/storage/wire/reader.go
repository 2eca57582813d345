package wire

import (
	"context"
	"fmt"
	"io"
)

// maxResumes is how often a reader goes on without having read anything new.
const maxResumes = Attempts

// Reader reads an object that open yields from an offset on. When the connection
// breaks, it goes on where it was; open has to see to it that it is still the
// same object. The length is that of what is read in all, or negative where it is
// not known.
func (c *Client) Reader(ctx context.Context, body io.ReadCloser, offset, length int64, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) io.ReadCloser {
	return &reader{client: c, ctx: ctx, body: body, offset: offset, left: length, open: open}
}

type reader struct {
	client *Client
	ctx    context.Context
	body   io.ReadCloser
	offset int64
	left   int64
	open   func(ctx context.Context, offset int64) (io.ReadCloser, error)
	// failures counts the breaks since something was read.
	failures int
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.left == 0 {
			return 0, io.EOF
		}
		n, err := r.body.Read(p)
		r.offset += int64(n)
		if r.left > 0 {
			r.left -= int64(n)
		}
		if n > 0 {
			r.failures = 0
			if err == io.EOF {
				err = nil // told again by the next read
			} else if err != nil && Transient(r.ctx, err) {
				err = nil
			}
			return n, err
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			if r.left <= 0 {
				return 0, io.EOF
			}
			err = io.ErrUnexpectedEOF
		}
		if err := r.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume opens the rest after a break.
func (r *reader) resume(broken error) error {
	if r.failures++; r.failures > maxResumes || !Transient(r.ctx, broken) {
		return broken
	}
	if err := r.client.Pause(r.ctx, r.failures, broken); err != nil {
		return err
	}
	body, err := r.open(r.ctx, r.offset)
	if err != nil {
		return fmt.Errorf("going on after %w: %w", broken, err)
	}
	_ = r.body.Close()
	r.body = body
	return nil
}

func (r *reader) Close() error { return r.body.Close() }
