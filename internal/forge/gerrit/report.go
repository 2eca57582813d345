package gerrit

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	prowv1 "prow/api/prowjobs/v1"
)

// JobReport is what a report says about one job.
type JobReport struct {
	Job   string
	State prowv1.ProwJobState
	// URL may be empty.
	URL string
	// icon as it was read.
	icon string
}

// Report is the message that tells how the jobs of a change fared.
type Report struct {
	Jobs []JobReport
	// Tide tells that Tide started at least one of the jobs.
	Tide bool
	// Message is the text as it is posted, or as it was read.
	Message string
}

const (
	// reportHeader begins a report; nothing else does.
	reportHeader = "Prow Status:"
	// notePrefix begins a line about the report itself.
	notePrefix = "[NOTE FROM PROW: "
	// MaxReport is more than any report has bytes.
	MaxReport = 15 * 1024
)

// icons are what people look at; nobody parses them.
var icons = map[prowv1.ProwJobState]string{
	prowv1.SuccessState: "\u2714\ufe0f", prowv1.FailureState: "\u274c", prowv1.ErrorState: "\u26a0\ufe0f",
	prowv1.SchedulingState: "\u23f3", prowv1.TriggeredState: "\u23f3", prowv1.PendingState: "\u23f3",
}

const otherIcon = "\U0001f6ab"

// urgency is the order of a report: what needs attention first.
var urgency = map[prowv1.ProwJobState]int{prowv1.FailureState: -3, prowv1.ErrorState: -2, prowv1.AbortedState: -1}

// Counts are how many jobs succeeded, out of how many that came to a verdict. An
// aborted job has none.
func Counts(jobs []JobReport) (passed, total int) {
	for _, j := range jobs {
		if j.State == prowv1.SuccessState {
			passed++
		}
		if j.State != prowv1.AbortedState {
			total++
		}
	}
	return passed, total
}

// NewReport writes the report about jobs, in less than MaxReport bytes: where
// there are too many, links go first, from the end, and then jobs.
func NewReport(jobs []JobReport, tide bool) Report {
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b JobReport) int {
		return cmp.Or(urgency[a.State]-urgency[b.State], strings.Compare(a.Job, b.Job))
	})
	passed, total := Counts(jobs)
	header := fmt.Sprintf("%s %d out of %d passed. Comment `/retest` to run the failed jobs again, or `/test all` to run all.", reportHeader, passed, total)
	if tide {
		header += " Some of the jobs were started by Tide, to test the change for a merge."
	}
	return Report{Jobs: jobs, Tide: tide, Message: fit(header+"\n", jobs)}
}

// fit writes as much about the jobs, most urgent first, as there is room for.
func fit(header string, jobs []JobReport) string {
	text := func(linked, shown int, note string) string {
		var b strings.Builder
		b.WriteString(header)
		for i, j := range jobs[:shown] {
			if i < linked {
				b.WriteString(j.linked())
			} else {
				b.WriteString(j.short())
			}
			b.WriteByte('\n')
		}
		b.WriteString(note)
		return b.String()
	}
	if full := text(len(jobs), len(jobs), ""); len(full) < MaxReport {
		return full
	}
	withoutURL := func(n int) string {
		return fmt.Sprintf("%sthe links of %d jobs are left out, the message would be too long]", notePrefix, n)
	}
	withoutJob := func(n int) string {
		return fmt.Sprintf("%s%d jobs are left out, the message would be too long]", notePrefix, n)
	}
	// Each note is as long as it can get, so that a smaller number never overflows.
	size := len(text(0, len(jobs), withoutURL(len(jobs))))
	if size < MaxReport {
		linked := 0
		for _, j := range jobs {
			grown := size + len(j.linked()) - len(j.short())
			if grown >= MaxReport {
				break
			}
			size = grown
			linked++
		}
		return text(linked, len(jobs), withoutURL(len(jobs)-linked))
	}
	size = len(header) + len(withoutJob(len(jobs)))
	shown := 0
	for _, j := range jobs {
		if size += len(j.short()) + 1; size >= MaxReport {
			break
		}
		shown++
	}
	return text(0, shown, withoutJob(len(jobs)-shown))
}

func (j JobReport) mark() string {
	if j.icon != "" {
		return j.icon
	}
	if icon, ok := icons[j.State]; ok {
		return icon
	}
	return otherIcon
}

func (j JobReport) state() string { return strings.ToUpper(string(j.State)) }

func (j JobReport) short() string { return j.mark() + " " + j.Job + " " + j.state() }

func (j JobReport) linked() string {
	if j.URL == "" {
		return j.mark() + " " + j.Job + " (URL_NOT_FOUND) " + j.state()
	}
	return fmt.Sprintf("%s [%s](%s) %s", j.mark(), j.Job, j.URL, j.state())
}

// forms are the lines of reports, older ones too, and where their parts are.
var forms = []struct {
	re              *regexp.Regexp
	job, state, url int
}{
	{regexp.MustCompile(`^(\S+) (\S+) (\S+) - (\S+)$`), 2, 3, 4},
	{regexp.MustCompile(`^(\S+) \[(\S+)\]\((\S+)\) (\S+)$`), 2, 4, 3},
	{regexp.MustCompile(`^(\S+) (\S+) \(URL_NOT_FOUND\) (\S+)$`), 2, 3, 0},
	{regexp.MustCompile(`^(\S+) (\S+) (\S+)$`), 2, 3, 0},
}

// ParseReport reads a report out of a comment; ok is false where it holds none.
// ignored are the lines that say nothing about a job.
func ParseReport(comment string) (report Report, ignored []string, ok bool) {
	lines := strings.Split(comment, "\n")
	start := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, reportHeader) })
	if start < 0 {
		return Report{}, nil, false
	}
	report.Message = strings.Join(lines[start:], "\n")
	for _, line := range lines[start+1:] {
		line = strings.TrimRight(line, "\r")
		if line == "" || strings.HasPrefix(line, notePrefix) {
			continue
		}
		if job, ok := parseLine(line); ok {
			report.Jobs = append(report.Jobs, job)
		} else {
			ignored = append(ignored, line)
		}
	}
	return report, ignored, true
}

func parseLine(line string) (JobReport, bool) {
	for _, form := range forms {
		m := form.re.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		job := JobReport{icon: m[1], Job: m[form.job], State: prowv1.ProwJobState(strings.ToLower(m[form.state]))}
		if form.url > 0 {
			job.URL = m[form.url]
		}
		return job, slices.Contains(prowv1.AllStates(), job.State)
	}
	return JobReport{}, false
}
