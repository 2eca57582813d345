package buildlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"prow/internal/deck/lens/look"
	"prow/internal/deck/loglines"
)

const (
	// defaultPattern marks lines where the configuration names no other.
	defaultPattern = loglines.DefaultHighlight
	// defaultLineLength is the longest line in which something is marked, in bytes.
	defaultLineLength = 10_000
	// maxLine is how much of one line is shown, in bytes.
	maxLine = 16 << 10
)

// may tells quickly that the usual pattern matches nothing in a line, as in nearly all:
// then it need not be looked for, which takes much longer.
func may(line []byte) bool {
	if len(line) > 0 && line[0] == 'E' {
		return true
	}
	for _, literal := range [...]string{"timed out", "ERROR:", "FAIL", "Failure [", "panic"} {
		if bytes.Contains(line, []byte(literal)) {
			return true
		}
	}
	return false
}

// config is that of the lens.
type config struct {
	HighlightRegexes []string           `json:"highlight_regexes"`
	HideRawLog       bool               `json:"hide_raw_log"`
	HighlightLineMax int                `json:"highlight_line_length_max"`
	Highlighter      *highlighterConfig `json:"highlighter"`
	pattern          *regexp.Regexp
}

// highlighterConfig names a service that finds the lines that matter.
type highlighterConfig struct {
	Endpoint  string `json:"endpoint"`
	Pin       bool   `json:"pin"`
	Overwrite bool   `json:"overwrite"`
	Auto      bool   `json:"auto"`
}

// parseConfig reads the configuration. Where it is wrong the default counts, and a
// sentence says so.
func parseConfig(raw json.RawMessage) (c *config, problems []string) {
	c = &config{}
	if p := look.Config(raw, c); p != "" {
		problems = append(problems, p)
	}
	if c.HighlightLineMax <= 0 {
		c.HighlightLineMax = defaultLineLength
	}
	c.HighlightLineMax = min(c.HighlightLineMax, maxLine)
	text := defaultPattern
	if len(c.HighlightRegexes) > 0 {
		text = strings.Join(c.HighlightRegexes, "|")
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		problems = append(problems, fmt.Sprintf("highlight_regexes: %v; the usual pattern counts instead.", err))
		pattern = regexp.MustCompile(defaultPattern)
	}
	c.pattern = pattern
	if h := c.Highlighter; h != nil {
		u, err := url.Parse(h.Endpoint)
		if h.Endpoint == "" {
			c.Highlighter = nil
		} else if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			problems = append(problems, "highlighter.endpoint is no http or https URL; there is no highlighter.")
			c.Highlighter = nil
		}
	}
	return c, problems
}
