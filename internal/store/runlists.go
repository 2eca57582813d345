package store

import (
	"fmt"
	"strconv"
	"strings"
)

// Lists in a column have a line for each item, and tabs between its parts.

// part is a text without what separates parts.
func part(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' {
			return ' '
		}
		return r
	}, plainText(s))
}

func joinRepos(repos []Repo) string {
	var b strings.Builder
	for _, r := range repos {
		b.WriteString(part(r.Org) + "\t" + part(r.Repo) + "\n")
	}
	return b.String()
}

func splitRepos(s string) (out []Repo) {
	for line := range strings.Lines(s) {
		org, repo, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		out = append(out, Repo{org, repo})
	}
	return out
}

func joinPulls(pulls []Pull) string {
	var b strings.Builder
	for _, p := range pulls {
		b.WriteString(strconv.Itoa(p.Number) + "\t" + part(p.Author) + "\n")
	}
	return b.String()
}

func splitPulls(s string) (out []Pull, err error) {
	for line := range strings.Lines(s) {
		digits, author, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		n, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of a pull request: %w", digits, err)
		}
		out = append(out, Pull{n, author})
	}
	return out, nil
}
