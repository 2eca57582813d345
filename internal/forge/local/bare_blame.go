package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// blameRange are lines that one commit wrote last.
type blameRange struct {
	SHA        string
	Start, End int
}

// blame attributes the lines of a file in a commit.
func (b bare) blame(ctx context.Context, sha, file string) ([]blameRange, error) {
	if !validPath(file) {
		return nil, errNoObject
	}
	out, err := b.run(ctx, "blame", "--porcelain", sha, "--", file)
	if err != nil {
		return nil, fmt.Errorf("attributing the lines of %s: %w", file, errors.Join(errNoObject, err))
	}
	return parseBlame(string(out))
}

// parseBlame reads git's porcelain format: a header "<sha> <orig> <final> [<count>]"
// before each line, details of the commit, and the line after a tab.
func parseBlame(text string) ([]blameRange, error) {
	var out []blameRange
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "\t") || len(f) < 3 || len(f) > 4 || !validSHA(f[0]) {
			continue
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return nil, fmt.Errorf("parsing git blame: %w", err)
		}
		if k := len(out) - 1; k >= 0 && out[k].SHA == f[0] && out[k].End == n-1 {
			out[k].End = n
		} else {
			out = append(out, blameRange{f[0], n, n})
		}
	}
	return out, nil
}
