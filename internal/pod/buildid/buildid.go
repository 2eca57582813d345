// Package buildid vends the ids that name runs in storage: made here from time,
// or fetched from a tot server that counts.
package buildid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Layout of a snowflake: milliseconds since the epoch, node, sequence.
const (
	epochMillis  = 1288834974657
	nodeBits     = 10
	sequenceBits = 12
)

// DefaultNode is the node of a sole vendor of ids.
const DefaultNode = 1

// Snowflake makes ids that sort by time. Vendors that run at the same time need
// different nodes.
type Snowflake struct {
	now  func() time.Time
	node int64

	mu   sync.Mutex
	last int64 // millisecond and sequence of the last id
}

// NewSnowflake returns a vendor with the node's number, 0 to 1023, and clock.
func NewSnowflake(node int, now func() time.Time) (*Snowflake, error) {
	if node < 0 || node >= 1<<nodeBits {
		return nil, fmt.Errorf("node %d of build ids is not between 0 and %d", node, 1<<nodeBits-1)
	}
	return &Snowflake{now: now, node: int64(node)}, nil
}

// BuildID returns a new id, greater than every earlier one. When a millisecond
// is used up, or the clock goes back, ids run ahead of the clock rather than wait.
func (s *Snowflake) BuildID(context.Context, string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, (s.now().UnixMilli()-epochMillis)<<sequenceBits)
	millis, sequence := s.last>>sequenceBits, s.last&(1<<sequenceBits-1)
	return strconv.FormatInt(millis<<(nodeBits+sequenceBits)|s.node<<sequenceBits|sequence, 10), nil
}

const (
	totAttempts  = 10
	totFirstWait = 100 * time.Millisecond
	maxTotBody   = 1 << 10
)

// Tot fetches ids from a tot server.
type Tot struct {
	base   *url.URL
	client *http.Client
	wait   func(context.Context, time.Duration) error
}

// NewTot returns a client of the tot server at address.
func NewTot(address string, client *http.Client) (*Tot, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("tot URL: %w", err)
	}
	return &Tot{base: base, client: client, wait: wait}, nil
}

// BuildID asks for the next id of a job, up to ten times with growing pauses.
func (t *Tot) BuildID(ctx context.Context, job string) (string, error) {
	u := *t.base
	u.Path = strings.TrimRight(u.Path, "/") + "/vend/" + job
	pause := totFirstWait
	var err error
	for attempt := range totAttempts {
		if attempt > 0 {
			if waitErr := t.wait(ctx, pause); waitErr != nil {
				return "", errors.Join(waitErr, err)
			}
			pause *= 2
		}
		var id string
		var final bool
		if id, final, err = t.vend(ctx, u.String()); err == nil || final {
			return id, err
		}
	}
	return "", fmt.Errorf("no build id after %d attempts: %w", totAttempts, err)
}

func (t *Tot) vend(ctx context.Context, address string) (id string, final bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", true, err
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return "", false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", false, fmt.Errorf("GET %s: %s", address, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTotBody))
	if err != nil {
		return "", true, fmt.Errorf("GET %s: reading the body: %w", address, err)
	}
	return string(body), true, nil
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
