package git

import (
	"context"
	"errors"
	"regexp"
	"time"
)

// networkLimit bounds one conversation with a remote where nothing else is said.
const networkLimit = 30 * time.Minute

// tries are how often a remote is asked when the network fails, and firstPause is
// the time before the second try; each further pause is four times as long.
const (
	tries      = 3
	firstPause = time.Second
)

// transient are git's words for trouble on the way that may be over soon.
var transient = regexp.MustCompile(`(?i)could not resolve host|connection (refused|reset|timed out)|failed to connect|operation timed out|early eof|remote end hung up|rpc failed|unexpected disconnect|requested url returned error: (5\d\d|429)|couldn't connect to server|operation too slow|tls|ssl_read`)

func isTransient(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && transient.MatchString(failed.Stderr)
}

// talk runs a git that talks to a remote: with the remote's settings, within the
// time limit, and again when the network has failed it. Refusals are not repeated.
func (c *Cache) talk(ctx context.Context, remote Remote, dir string, args ...string) (out string, err error) {
	limit := c.NetworkLimit
	if limit <= 0 {
		limit = networkLimit
	}
	wait := firstPause
	for n := 1; ; n++ {
		out, err = talkOnce(ctx, limit, c.runner.With(remote.Settings...), dir, args)
		if err == nil || n == tries || ctx.Err() != nil || !isTransient(err) {
			return out, err
		}
		if err := c.pause(ctx, wait); err != nil {
			return "", err
		}
		wait *= 4
	}
}

// ErrTooSlow is the cause where a conversation with a remote took too long.
var ErrTooSlow = errors.New("the remote took too long")

func talkOnce(ctx context.Context, limit time.Duration, runner *Runner, dir string, args []string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, ErrTooSlow)
	defer cancel()
	return runner.Output(ctx, dir, args...)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
