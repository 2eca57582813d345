package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Level is how well something is.
type Level string

// The levels.
const (
	Good    Level = "good"
	Warning Level = "warning"
	Bad     Level = "bad"
	// LeftOut is what was not examined.
	LeftOut Level = "left out"
)

// Finding is one thing that was found.
type Finding struct {
	Level Level `json:"level"`
	// Text says what was found, and where.
	Text string `json:"text"`
	// Mend says what to do; empty where nothing has to be done.
	Mend string `json:"mend,omitempty"`
}

func good(format string, args ...any) Finding {
	return Finding{Level: Good, Text: fmt.Sprintf(format, args...)}
}
func leftOut(format string, args ...any) Finding {
	return Finding{Level: LeftOut, Text: fmt.Sprintf(format, args...)}
}
func bad(mend, format string, args ...any) Finding {
	return Finding{Level: Bad, Text: fmt.Sprintf(format, args...), Mend: mend}
}
func warn(mend, format string, args ...any) Finding {
	return Finding{Level: Warning, Text: fmt.Sprintf(format, args...), Mend: mend}
}

// Result is what an examination found.
type Result struct {
	// Name is that of the examination.
	Name     string    `json:"name"`
	Findings []Finding `json:"findings"`
}

// Report is everything that was found.
type Report struct {
	// Healthy tells that nothing is bad.
	Healthy bool     `json:"healthy"`
	Results []Result `json:"results"`
}

// count is how many findings have a level.
func (r *Report) count(level Level) (n int) {
	for _, result := range r.Results {
		for _, f := range result.Findings {
			if f.Level == level {
				n++
			}
		}
	}
	return n
}

func (r *Report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// marks begin the lines of the report.
var marks = map[Level]string{Good: "ok", Warning: "warn", Bad: "BAD", LeftOut: "-"}

func (r *Report) writeText(w io.Writer) error {
	var b strings.Builder
	for _, result := range r.Results {
		fmt.Fprintf(&b, "%s\n", result.Name)
		for _, f := range result.Findings {
			fmt.Fprintf(&b, "  %-5s %s\n", marks[f.Level], indent(f.Text))
			if f.Mend != "" {
				fmt.Fprintf(&b, "        mend: %s\n", indent(f.Mend))
			}
		}
	}
	switch n, warnings := r.count(Bad), r.count(Warning); {
	case n > 0:
		fmt.Fprintf(&b, "\n%d bad, %d to look at, %d left out.\n", n, warnings, r.count(LeftOut))
	case warnings > 0:
		fmt.Fprintf(&b, "\nIt works; %d to look at, %d left out.\n", warnings, r.count(LeftOut))
	default:
		fmt.Fprintf(&b, "\nAll is well; %d left out.\n", r.count(LeftOut))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indent lets further lines of a text stand below its first.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ")
}
