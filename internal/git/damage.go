package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
)

// repaired does something with a mirror. Where that fails and the mirror turns
// out to be damaged, it is removed and the work, which makes it anew, is done
// once more. The caller holds the lock.
func (c *Cache) repaired(ctx context.Context, mirror string, work func() error) error {
	if c.suspected(mirror) {
		if err := c.clear(ctx, mirror); err != nil {
			return err
		}
	}
	err := work()
	if err == nil || ctx.Err() != nil || !c.damaged(ctx, mirror) {
		return err
	}
	if err := os.RemoveAll(mirror); err != nil {
		return fmt.Errorf("removing a damaged mirror: %w", err)
	}
	return work()
}

// damaged tells whether git itself cannot make sense of a mirror that is there.
func (c *Cache) damaged(ctx context.Context, mirror string) bool {
	if _, err := os.Stat(mirror); err != nil {
		return false
	}
	_, err := c.runner.Output(ctx, mirror, "--git-dir=.", "fsck", "--connectivity-only", "--no-dangling", "--no-progress")
	return err != nil
}

// complaint are git's words for objects that are not what they should be. Files
// that were damaged are only noticed when they are checked out. Whole forms are
// matched, for messages hold names and texts that others have chosen.
var complaint = regexp.MustCompile(`(?m)^(error|fatal): (inflate: |hash mismatch |bad packed object |failed to read (delta base )?object |` +
	`(object file|loose object) .* is (empty|corrupt)|packed object [0-9a-f]+ .* is corrupt|packfile \S+ (claims|does not|is|cannot)|` +
	`unable to (read|unpack) [0-9a-f]{40}|unknown object type |delta base offset )`)

// complain makes a mirror be looked at before it is used again, if a failure in a
// tree that was made from it looks like damage.
func (c *Cache) complain(mirror string, err error) {
	var failed *Error
	if !errors.As(err, &failed) || !complaint.MatchString(failed.Stderr) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspects[mirror] = true
}

func (c *Cache) suspected(mirror string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.suspects[mirror]
}

// clear looks at every object of a mirror that is suspected, and removes the
// mirror if one is not what it should be.
func (c *Cache) clear(ctx context.Context, mirror string) error {
	_, err := c.runner.Output(ctx, mirror, "--git-dir=.", "fsck", "--full", "--no-dangling", "--no-progress")
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if err := os.RemoveAll(mirror); err != nil {
			return fmt.Errorf("removing a damaged mirror: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.suspects, mirror)
	return nil
}
