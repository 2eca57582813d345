package sim

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Row is a report with the name of the planner it is about.
type Row struct {
	Planner string
	Report  Report
}

// WriteTable writes reports as an aligned table.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "scenario\tplanner\tarrivals\tmerged\t/h\tp50\tp95\tp50:oracle\tp95:oracle\truns\tper merge\twaste\trejected\tfalse\tstuck\tgreen\tpartial\tuntested\tcalls\tcrashes\tviolations\t")
	for i := range rows {
		r := &rows[i].Report
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.1f\t%s\t%s\t%s\t%s\t%d\t%.2f\t%.1f%%\t%d\t%.2f%%\t%d\t%.2f%%\t%d\t%d\t%d\t%d\t%d\t\n",
			r.Scenario, rows[i].Planner, r.Arrivals, r.Merged, r.PerHour, clock(r.P50), clock(r.P95),
			times(r.P50, r.OracleP50), times(r.P95, r.OracleP95), r.Runs, ratio(float64(r.Runs), float64(r.Merged)), 100*r.Waste,
			r.Rejected, 100*ratio(float64(r.FalseRejections), float64(r.Arrivals)), r.Stuck, 100*r.Green, r.Prefixes, r.Untested, r.Calls, r.Crashes, r.Violated)
	}
	return t.Flush()
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
