package coverage

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	maxBlocks = 1_000_000
	maxFiles  = 50_000
	maxName   = 1000
)

// fileCover is how much of a file was covered, in statements.
type fileCover struct {
	name           string
	covered, total int64
}

// position is where a block is: the text that the profile has for it.
type position string

type block struct {
	statements int64
	covered    bool
}

// parse reads a cover profile of Go. Blocks at the same place, of several runs, are
// one, which is covered if any of them is. Files are sorted by name.
func parse(raw []byte) ([]fileCover, error) {
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 64<<10)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "mode:") {
		return nil, errors.Join(errors.New("it is no cover profile of Go: there is no mode: at the beginning of its first line"), lines.Err())
	}
	files := map[string]map[position]*block{}
	blocks := 0
	for n := 2; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "mode:") { // profiles that were put together
			continue
		}
		name, at, b, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		in := files[name]
		if in == nil {
			if len(files) == maxFiles {
				return nil, fmt.Errorf("line %d: there are more than %d files", n, maxFiles)
			}
			in = map[position]*block{}
			files[strings.Clone(name)] = in
		}
		if known := in[at]; known != nil {
			known.covered = known.covered || b.covered
			continue
		}
		if blocks++; blocks > maxBlocks {
			return nil, fmt.Errorf("line %d: there are more than %d blocks", n, maxBlocks)
		}
		in[position(strings.Clone(string(at)))] = &b
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	out := make([]fileCover, 0, len(files))
	for name, in := range files {
		f := fileCover{name: name}
		for _, b := range in {
			f.total += b.statements
			if b.covered {
				f.covered += b.statements
			}
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b fileCover) int { return cmp.Compare(a.name, b.name) })
	return out, nil
}

// parseLine reads "name.go:line.column,line.column statements count".
func parseLine(line string) (name string, at position, b block, err error) {
	fail := func(what string) (string, position, block, error) {
		return "", "", block{}, fmt.Errorf("%s in %.200q", what, line)
	}
	rest, count, ok1 := cutLast(line, ' ')
	rest, statements, ok2 := cutLast(rest, ' ')
	name, where, ok3 := cutLast(rest, ':')
	if !ok1 || !ok2 || !ok3 || name == "" || len(name) > maxName {
		return fail("there is no file, position, number of statements and count")
	}
	if strings.Count(where, ".") != 2 || strings.Count(where, ",") != 1 || strings.Trim(where, "0123456789.,") != "" {
		return fail("there is no position")
	}
	n, err := strconv.ParseInt(statements, 10, 32)
	if err != nil || n < 0 {
		return fail("there is no number of statements")
	}
	c, err := strconv.ParseUint(count, 10, 64)
	if err != nil {
		return fail("there is no count")
	}
	return name, position(where), block{n, c > 0}, nil
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// percent is rounded down, so that 100 means all of it. Of nothing all is covered.
func percent(covered, total int64) float64 {
	if total == 0 {
		return 100
	}
	return math.Floor(float64(covered)/float64(total)*1000) / 10
}
