package tide

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"prow/internal/config"
)

// Changes remembers which files pull requests change. What is used in one round
// is kept for the next.
type Changes struct {
	list func(context.Context, *PullRequest) ([]string, error)

	mu       sync.Mutex
	old, new map[string][]string
}

// NewChanges remembers nothing yet; list is how files are asked for.
func NewChanges(list func(context.Context, *PullRequest) ([]string, error)) *Changes {
	return &Changes{list: list, old: map[string][]string{}, new: map[string][]string{}}
}

// of returns the files that any of the pull requests changes, sorted; they are
// asked for when the function is called for the first time.
func (c *Changes) of(ctx context.Context, prs []*PullRequest) config.ChangedFiles {
	return sync.OnceValues(func() ([]string, error) {
		var all []string
		for _, pr := range prs {
			files, err := c.files(ctx, pr)
			if err != nil {
				return nil, err
			}
			all = append(all, files...)
		}
		slices.Sort(all)
		return slices.Compact(all), nil
	})
}

func (c *Changes) files(ctx context.Context, pr *PullRequest) ([]string, error) {
	key := pr.key() + "@" + pr.HeadRefOID
	c.mu.Lock()
	files, ok := c.new[key]
	if !ok {
		if files, ok = c.old[key]; ok {
			c.new[key] = files
		}
	}
	c.mu.Unlock()
	if ok {
		return files, nil
	}
	files, err := c.list(ctx, pr)
	if err != nil {
		return nil, fmt.Errorf("list the files that %s changes: %w", pr.key(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.new[key] = files
	return files, nil
}

// rotate ends a round: what it did not use is forgotten.
func (c *Changes) rotate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old, c.new = c.new, map[string][]string{}
}
