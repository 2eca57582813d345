package plugins

import (
	"regexp"
	"strings"
)

// htmlCommentRe is a comment that browsers do not show; one that is not closed is none.
var htmlCommentRe = regexp.MustCompile(`(?s)<!--.*?-->`)

// CommandText is what of a text commands are read from: all of it except fenced
// code blocks, which hold examples, and HTML comments, which nobody sees. Lines
// that quote somebody begin with ">" and so hold no commands by themselves.
func CommandText(body string) string {
	if strings.Contains(body, "<!--") {
		body = htmlCommentRe.ReplaceAllString(body, "")
	}
	if strings.Contains(body, "```") || strings.Contains(body, "~~~") {
		body = withoutFences(body)
	}
	return body
}

// mayHoldCommand tells cheaply whether some line of a text begins with a slash.
func mayHoldCommand(body string) bool {
	return strings.HasPrefix(body, "/") || strings.Contains(body, "\n/") || strings.Contains(body, "-->/")
}

// withoutFences removes fenced code blocks. A fence that is not closed is no block.
func withoutFences(text string) string {
	lines := strings.SplitAfter(text, "\n")
	// last is the last line that can close a block, so that a text of nothing but
	// open fences is not searched from each of them to its end.
	last := map[string]int{}
	for i, line := range lines {
		for _, fence := range fences {
			if closes(line, fence) {
				last[fence] = i
			}
		}
	}
	var out strings.Builder
	for i := 0; i < len(lines); i++ {
		fence := fenceOf(lines[i])
		if fence == "" || last[fence] <= i {
			out.WriteString(lines[i])
			continue
		}
		for i++; !closes(lines[i], fence); i++ {
		}
	}
	return out.String()
}

var fences = []string{"```", "~~~"}

func fenceOf(line string) string {
	for _, fence := range fences {
		if strings.HasPrefix(line, fence) {
			return fence
		}
	}
	return ""
}

// closes tells whether a line is only the fence.
func closes(line, fence string) bool { return strings.TrimRight(line, " \t\r\n") == fence }
