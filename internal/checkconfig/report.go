package checkconfig

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"prow/internal/config"
)

// Finding is something to mend, and the warning that found it.
type Finding struct {
	// Warning is the name under which the check can be switched off.
	Warning string `json:"warning"`
	config.Problem
}

func (f Finding) String() string { return f.Problem.String() + " [" + f.Warning + "]" }

// Report is what checkconfig has to say.
type Report struct {
	// Passed tells that the exit status is 0.
	Passed bool `json:"passed"`
	// Errors keep the configuration from being loaded or judged.
	Errors []config.Problem `json:"errors"`
	// Findings are ordered by place.
	Findings []Finding `json:"findings"`
	// Notes do not count, not even with --strict: what is deprecated, and what
	// could not be looked at.
	Notes []config.Problem `json:"notes"`
}

// note adds a remark that has no place.
func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, config.Problem{Message: fmt.Sprintf(format, args...)})
}

// sort orders the findings by place, and leaves out those that are told twice.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Job, b.Job), cmp.Compare(a.Warning, b.Warning), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	r.Findings = slices.CompactFunc(r.Findings, func(a, b Finding) bool { return a.String() == b.String() })
}

// writeText prints the findings and a summary to out and the notes to errOut.
// Errors are left to the caller.
func (r *Report) writeText(out, errOut io.Writer) error {
	for _, n := range r.Notes {
		if _, err := fmt.Fprintln(errOut, "note:", n); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintln(out, f); err != nil {
			return err
		}
	}
	if len(r.Errors) > 0 {
		return nil
	}
	_, err := fmt.Fprintln(out, r.summary())
	return err
}

// summary counts the findings by warning.
func (r *Report) summary() string {
	if len(r.Findings) == 0 {
		return "The configuration passes all checks."
	}
	counts := map[string]int{}
	for _, f := range r.Findings {
		counts[f.Warning]++
	}
	var parts []string
	for _, name := range sortedKeys(counts) {
		parts = append(parts, fmt.Sprintf("%s: %d", name, counts[name]))
	}
	return fmt.Sprintf("%s (%s)", counted(len(r.Findings), "warning"), strings.Join(parts, ", "))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r *Report) writeJSON(out io.Writer) error {
	// Programs read lists, also empty ones.
	if r.Errors == nil {
		r.Errors = []config.Problem{}
	}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	if r.Notes == nil {
		r.Notes = []config.Problem{}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
