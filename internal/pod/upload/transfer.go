package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"prow/internal/storage"
)

const (
	// maxTransfers is how many objects of a round are on their way at a time.
	maxTransfers = 4
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
	// More goroutines than slots, since those that wait for another attempt leave
	// theirs; and not one for each object, of which there may be very many.
	for range min(len(objects), 8*maxTransfers) {
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

func (r *Run) store(ctx context.Context, bucket storage.Bucket, o *object, slots chan struct{}) error {
	var err error
	for attempt := 1; attempt <= attempts; attempt++ {
		slots <- struct{}{}
		err = put(ctx, bucket, o)
		<-slots
		if err == nil {
			r.Logger.DebugContext(ctx, "Stored an object.", "dest", o.key)
			return nil
		}
		if errors.Is(err, errFinal) || ctx.Err() != nil || attempt == attempts {
			break
		}
		r.Logger.WarnContext(ctx, "Storing failed and will be tried again.", "dest", o.key, "attempt", attempt, "error", err.Error())
		if r.wait(ctx, pause(attempt)) != nil {
			break
		}
	}
	return fmt.Errorf("storing %q: %w", o.key, err)
}

func put(ctx context.Context, bucket storage.Bucket, o *object) error {
	src, err := o.open()
	if err != nil {
		return fmt.Errorf("%w: %w", errFinal, err)
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
			return err
		}
		defer packed.Close()
		reader = packed
	}
	err = bucket.Put(ctx, o.key, progressReader{reader, watch}, opts)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return err
}

// progressReader puts the end of a stalled attempt off.
type progressReader struct {
	io.Reader
	watch *time.Timer
}

func (p progressReader) Read(b []byte) (int, error) {
	p.watch.Reset(stallTimeout)
	return p.Reader.Read(b)
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
