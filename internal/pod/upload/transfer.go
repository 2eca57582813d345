package upload

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log/slog"
	"sync"
	"time"

	"prow/api/artifacts"
	"prow/internal/storage"
)

const (
	// maxTransfers is how many objects of a round are on their way at a time.
	maxTransfers = 4
	// maxWaiting is how many objects of a round are under way or wait at a time.
	maxWaiting = 256
	// attempts is how often an object is tried.
	attempts = 4
	// stallTimeout ends an attempt that makes no progress.
	stallTimeout = 5 * time.Minute
)

// pause is the wait after an attempt, the first being 1.
func pause(attempt int) time.Duration { return time.Duration(attempt*attempt) * time.Second }

// errFinal marks errors that another attempt would not change.
var errFinal = errors.New("not tried again")

// transfer stores objects, and returns an error for each that could not be.
func (r *Run) transfer(ctx context.Context, bucket storage.Bucket, objects []object) error {
	errs := make([]error, len(objects))
	slots := make(chan struct{}, maxTransfers)
	next := make(chan int)
	var wg sync.WaitGroup
	// Many more goroutines than slots, since those that wait for another attempt leave
	// theirs, and storage that refuses everything must not take the time of all waits
	// one after the other; but not one for each object, of which there may be very many.
	for range min(len(objects), maxWaiting) {
		wg.Go(func() {
			for i := range next {
				errs[i] = r.store(ctx, bucket, &objects[i], slots)
			}
		})
	}
	for i := range objects {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// store stores one object, and records what became of it.
func (r *Run) store(ctx context.Context, bucket storage.Bucket, o *object, slots chan struct{}) error {
	var file artifacts.UploadedFile
	err := storage.CheckKey(o.key)
	if err != nil {
		err = fmt.Errorf("%w: %w", errFinal, err)
	}
	for attempt := 1; err == nil || !errors.Is(err, errFinal); attempt++ {
		if err != nil {
			r.Logger.WarnContext(ctx, "Storing failed and will be tried again.", "dest", o.key, "attempt", attempt-1, "error", r.name(err.Error()))
			if r.Wait(ctx, pause(attempt-1)) != nil {
				break
			}
		}
		slots <- struct{}{}
		file, err = put(ctx, bucket, o)
		<-slots
		file.Attempts = attempt
		if err == nil || ctx.Err() != nil || attempt == attempts {
			break
		}
	}
	if err == nil {
		r.Logger.DebugContext(ctx, "Stored an object.", "dest", o.key)
		file.State = artifacts.UploadStored
	} else {
		err = fmt.Errorf("storing %q: %w", o.key, err)
		file = artifacts.UploadedFile{State: artifacts.UploadFailed, Attempts: file.Attempts}
	}
	if !o.unlisted {
		r.record(o.key, file, err)
	}
	return err
}

// put is one attempt. It describes what was stored.
func put(ctx context.Context, bucket storage.Bucket, o *object) (artifacts.UploadedFile, error) {
	src, err := o.open()
	if err != nil {
		return artifacts.UploadedFile{}, fmt.Errorf("%w: %w", errFinal, err)
	}
	defer src.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stallTimeout, func() { cancel(fmt.Errorf("no progress in %s", stallTimeout)) })
	defer watch.Stop()
	opts := o.opts
	var reader io.Reader = src
	if o.compress {
		packed, err := compressed(src, o.key, &opts)
		if err != nil {
			return artifacts.UploadedFile{}, err
		}
		defer packed.Close()
		reader = packed
	}
	progress := &progressReader{src: reader, watch: watch, sum: crc32.New(castagnoli)}
	err = bucket.Put(ctx, o.key, progress, opts)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return artifacts.UploadedFile{
		Size:            progress.size,
		CRC32C:          base64.StdEncoding.EncodeToString(progress.sum.Sum(nil)),
		ContentEncoding: opts.ContentEncoding,
	}, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// progressReader puts the end of a stalled attempt off, and counts and sums up what
// passes.
type progressReader struct {
	src   io.Reader
	watch *time.Timer
	size  int64
	sum   hash.Hash32
}

func (p *progressReader) Read(b []byte) (int, error) {
	p.watch.Reset(stallTimeout)
	n, err := p.src.Read(b)
	p.size += int64(n)
	_, _ = p.sum.Write(b[:n]) // never fails
	return n, err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logOnly is the bucket of a dry run.
type logOnly struct {
	storage.Bucket
	logger *slog.Logger
}

func (l logOnly) Put(ctx context.Context, key string, _ io.Reader, _ storage.PutOptions) error {
	l.logger.InfoContext(ctx, "Would store.", "dest", key)
	return nil
}

func (l logOnly) Close() error { return nil }
