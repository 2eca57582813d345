package sim

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is a report with the name of the planner it is about.
type Row struct {
	Planner string
	Report  Report
}

// column is one of the table.
type column struct {
	name string
	// number is set where it is aligned to the right.
	number bool
	cell   func(*Row) string
}

func count(f func(*Report) int) func(*Row) string {
	return func(r *Row) string { return fmt.Sprint(f(&r.Report)) }
}

var columns = []column{
	{"scenario", false, func(r *Row) string { return r.Report.Scenario }},
	{"planner", false, func(r *Row) string { return r.Planner }},
	{"arrivals", true, count(func(r *Report) int { return r.Arrivals })},
	{"merged", true, count(func(r *Report) int { return r.Merged })},
	{"merges/h", true, func(r *Row) string { return fmt.Sprintf("%.1f", r.Report.PerHour) }},
	{"p50", true, func(r *Row) string { return clock(r.Report.P50) }},
	{"p95", true, func(r *Row) string { return clock(r.Report.P95) }},
	{"p50/oracle", true, func(r *Row) string { return times(r.Report.P50, r.Report.OracleP50) }},
	{"p95/oracle", true, func(r *Row) string { return times(r.Report.P95, r.Report.OracleP95) }},
	{"runs", true, count(func(r *Report) int { return r.Runs })},
	{"runs/merge", true, func(r *Row) string {
		return fmt.Sprintf("%.2f", ratio(float64(r.Report.Runs), float64(r.Report.Merged)))
	}},
	{"waste", true, func(r *Row) string { return fmt.Sprintf("%.1f%%", 100*r.Report.Waste) }},
	{"rejected", true, count(func(r *Report) int { return r.Rejected })},
	{"falsely", true, func(r *Row) string {
		return fmt.Sprintf("%.2f%%", 100*ratio(float64(r.Report.FalseRejections), float64(r.Report.Arrivals)))
	}},
	{"stuck", true, count(func(r *Report) int { return r.Stuck })},
	{"untold", true, count(func(r *Report) int { return r.Untold })},
	{"green", true, func(r *Row) string { return fmt.Sprintf("%.2f%%", 100*r.Report.Green) }},
	{"untested", true, count(func(r *Report) int { return r.Untested })},
	{"calls", true, count(func(r *Report) int { return r.Calls })},
	{"crashes", true, count(func(r *Report) int { return r.Crashes })},
	{"violations", true, count(func(r *Report) int { return r.Violated })},
}

// WriteTable writes reports as an aligned table.
func WriteTable(w io.Writer, rows []Row) error {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = len(c.name)
		for k := range rows {
			widths[i] = max(widths[i], len(c.cell(&rows[k])))
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cell func(i int) string) {
		for i, c := range columns {
			text := cell(i)
			if c.number {
				text = strings.Repeat(" ", widths[i]-len(text)) + text
			}
			end := "\t"
			if i == len(columns)-1 {
				end = "\n"
			}
			fmt.Fprint(t, text, end)
		}
	}
	line(func(i int) string { return columns[i].name })
	for k := range rows {
		line(func(i int) string { return columns[i].cell(&rows[k]) })
	}
	return t.Flush()
}

// WriteMarkdown writes reports as a table of Markdown.
func WriteMarkdown(w io.Writer, rows []Row) error {
	var b strings.Builder
	line := func(cell func(i int) string) {
		for i := range columns {
			b.WriteString("| " + cell(i) + " ")
		}
		b.WriteString("|\n")
	}
	line(func(i int) string { return columns[i].name })
	for _, c := range columns {
		b.WriteString("|---")
		if c.number {
			b.WriteByte(':')
		}
	}
	b.WriteString("|\n")
	for k := range rows {
		line(func(i int) string { return columns[i].cell(&rows[k]) })
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func times(d, oracle time.Duration) string {
	if oracle == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(d)/float64(oracle))
}

// clock writes a time as hours and minutes, or minutes and seconds.
func clock(d time.Duration) string {
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
