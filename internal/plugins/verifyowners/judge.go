package verifyowners

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"prow/internal/owners"
	"prow/internal/plugins"
)

// judge parses an OWNERS file and tells what is wrong with it; nil if nothing is.
func judge(content []byte, root bool, denied []string) (*owners.Parsed, error) {
	parsed, err := owners.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("cannot be parsed: %w", err)
	}
	approvers := false
	for _, filter := range slices.Sorted(maps.Keys(parsed.Filters)) {
		if filter != owners.MatchAll {
			if _, err := regexp.Compile(filter); err != nil {
				return nil, fmt.Errorf("has a filter that is no expression: %w", err)
			}
		}
		people := parsed.Filters[filter]
		approvers = approvers || len(people.Approvers) > 0
		for _, label := range people.Labels {
			if slices.ContainsFunc(denied, func(d string) bool { return strings.EqualFold(d, label) }) {
				return nil, fmt.Errorf("sets the label %s, which OWNERS files may not set", plugins.Code(label))
			}
		}
	}
	if root && !approvers {
		return nil, errors.New("names no approvers; the file at the root of the repository must name some")
	}
	return parsed, nil
}

var lineRe = regexp.MustCompile(`\bline (\d+)\b`)

// lineOf is the line of a file that an error names; 0 if it names none.
func lineOf(err error) int {
	m := lineRe.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

var hunkRe = regexp.MustCompile(`^@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@`)

// position is where in a patch a line of the new file stands, counted from 1 below
// the first hunk's head. It is 1 where the patch does not add the line.
func position(patch string, line int) int {
	next := 0
	for i, text := range strings.Split(patch, "\n") {
		if m := hunkRe.FindStringSubmatch(text); m != nil {
			next, _ = strconv.Atoi(m[1]) // too large a number stands for no line
			continue
		}
		switch {
		case strings.HasPrefix(text, "-"), strings.HasPrefix(text, `\`):
		case next == line && line > 0:
			if strings.HasPrefix(text, "+") && i > 0 {
				return i
			}
			return 1
		default:
			next++
		}
	}
	return 1
}
