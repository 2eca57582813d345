package plugins

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"prow/internal/forge/github"
)

// maxListed is how many commits or files a comment lists at most.
const maxListed = 50

// maxSubject is how many bytes of a commit's first line are shown.
const maxSubject = 200

// Subject is the first line of the message of a commit.
func Subject(message string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(message, "\r\n"), "\n")
	return strings.TrimRight(line, "\r")
}

// ListCommits lists commits in Markdown, with links and what they are about.
func ListCommits(commits []github.RepositoryCommit) string {
	var b strings.Builder
	for i, c := range commits {
		if i == maxListed {
			fmt.Fprintf(&b, "- and %d more\n", len(commits)-i)
			break
		}
		short := c.SHA[:min(7, len(c.SHA))]
		fmt.Fprintf(&b, "- [%s](%s) %s\n", short, c.HTMLURL, Code(shortened(Subject(c.Commit.Message), maxSubject)))
	}
	return b.String()
}

// ListFiles lists the files of a commit in Markdown, with links.
func ListFiles(repoURL, commit string, files []string) string {
	var b strings.Builder
	for i, file := range files {
		if i == maxListed {
			fmt.Fprintf(&b, "- and %d more\n", len(files)-i)
			break
		}
		fmt.Fprintf(&b, "- [%s](%s/blob/%s/%s)\n", Code(file), repoURL, commit, escapePath(file))
	}
	return b.String()
}

// escapePath makes a path fit for a link in Markdown.
func escapePath(file string) string {
	var b strings.Builder
	for i := range len(file) {
		switch c := file[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/.-_~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// shortened cuts a text to a number of bytes, not inside of a character.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "..."
}
