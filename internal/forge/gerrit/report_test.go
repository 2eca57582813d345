package gerrit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	prowv1 "prow/api/prowjobs/v1"
)

func TestAReportTellsWhatNeedsAttentionFirst(t *testing.T) {
	r := NewReport([]JobReport{
		{"ok", "success", "https://p/1", ""}, {"b-bad", "failure", "https://p/2", ""}, {"lost", "error", "", ""},
		{"gone", "aborted", "https://p/3", ""}, {"a-bad", "failure", "https://p/4", ""},
	}, false)
	want := `Prow Status: 1 out of 4 passed. Comment ` + "`/retest`" + ` to run the failed jobs again, or ` + "`/test all`" + ` to run all.
❌ [a-bad](https://p/4) FAILURE
❌ [b-bad](https://p/2) FAILURE
⚠️ lost (URL_NOT_FOUND) ERROR
🚫 [gone](https://p/3) ABORTED
✔️ [ok](https://p/1) SUCCESS
`
	if r.Message != want {
		t.Errorf("got\n%s\nwant\n%s", r.Message, want)
	}
	if tide := NewReport(r.Jobs, true).Message; !strings.Contains(tide, "Tide") || strings.Index(tide, "Tide") > strings.Index(tide, "\n") {
		t.Errorf("jobs of Tide: %s", tide)
	}
}

func TestProbe28AReportOf500LongJobsFits(t *testing.T) {
	var jobs []JobReport
	for i := range 500 {
		state := prowv1.SuccessState
		if i%50 == 0 {
			state = prowv1.FailureState
		}
		jobs = append(jobs, JobReport{Job: fmt.Sprintf("job-%03d", i), State: state, URL: "https://prow.example.com/view/gs/bucket/pr-logs/pull/org_repo/123/job/1234567890"})
	}
	text := NewReport(jobs, false).Message
	parsed, ignored, ok := ParseReport("Patch Set 3: Code-Review-1\n\n" + text)
	if len(text) >= MaxReport || len(text) < MaxReport-300 || !ok || len(ignored) > 0 || len(parsed.Jobs) != 500 {
		t.Fatalf("%d bytes, %d jobs, ignored %q", len(text), len(parsed.Jobs), ignored)
	}
	for i, j := range parsed.Jobs {
		if linked := j.URL != ""; i < 10 && (!linked || j.State != prowv1.FailureState) {
			t.Errorf("line %d: %+v, want a failure with a link", i, j)
		}
	}
	for i := range jobs {
		jobs[i].Job += strings.Repeat("-very", 20)
	}
	text = NewReport(jobs, false).Message
	parsed, _, _ = ParseReport(text)
	if n := len(parsed.Jobs); len(text) >= MaxReport || n < 100 || !strings.HasSuffix(text, fmt.Sprintf("%s%d jobs are left out, the message would be too long]", notePrefix, 500-n)) {
		t.Errorf("%d bytes, %d jobs: %s", len(text), n, text[len(text)-100:])
	}
}

func TestParsingReports(t *testing.T) {
	for name, tc := range map[string]struct {
		comment string
		want    []JobReport
		ignored int
		ok      bool
	}{
		"no report":                     {"LGTM", nil, 0, false},
		"an older form":                 {"Prow Status: 0 out of 1\n❌ unit FAILURE - https://p/1", []JobReport{{"unit", "failure", "https://p/1", "❌"}}, 0, true},
		"a link":                        {"Patch Set 1:\n\nProw Status: x\r\n✔️ [unit](https://p/1) SUCCESS\r\n", []JobReport{{"unit", "success", "https://p/1", "✔️"}}, 0, true},
		"a job without a URL":           {"Prow Status: x\n✔️ unit (URL_NOT_FOUND) success", []JobReport{{"unit", "success", "", "✔️"}}, 0, true},
		"notes and empty lines":         {"Prow Status: x\n\n[NOTE FROM PROW: y]\n❌ unit FAILURE", []JobReport{{"unit", "failure", "", "❌"}}, 0, true},
		"an unknown state is ignored":   {"Prow Status: x\n❌ unit BROKEN\n❌ e2e FAILURE", []JobReport{{"e2e", "failure", "", "❌"}}, 1, true},
		"words of people are ignored":   {"Prow Status: x\nthis is what I think", nil, 1, true},
		"a header inside of a sentence": {"The Prow Status: x\n❌ unit FAILURE", nil, 0, false},
	} {
		got, ignored, ok := ParseReport(tc.comment)
		if ok != tc.ok || len(ignored) != tc.ignored || !slices.Equal(got.Jobs, tc.want) {
			t.Errorf("%s: %+v, %q, %t", name, got.Jobs, ignored, ok)
		}
	}
}

func TestAnyReportFitsAndIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var jobs []JobReport
		for i := range rapid.IntRange(0, 400).Draw(t, "jobs") {
			jobs = append(jobs, JobReport{
				Job: fmt.Sprintf("j%d%s", i, strings.Repeat("x", rapid.IntRange(0, 60).Draw(t, "name"))), State: rapid.SampledFrom(prowv1.AllStates()).Draw(t, "state"),
				URL: rapid.SampledFrom([]string{"", "https://p/1", "https://p/" + strings.Repeat("y", 120)}).Draw(t, "url"),
			})
		}
		r := NewReport(jobs, rapid.Bool().Draw(t, "tide"))
		parsed, ignored, ok := ParseReport(r.Message)
		if !ok || len(ignored) > 0 || len(r.Message) >= MaxReport || len(parsed.Jobs) > len(jobs) {
			t.Fatalf("%d bytes, %t, ignored %q", len(r.Message), ok, ignored)
		}
		for i, j := range parsed.Jobs {
			if want := r.Jobs[i]; j.Job != want.Job || j.State != want.State || j.URL != "" && j.URL != want.URL {
				t.Fatalf("line %d is %+v, want %+v", i, j, want)
			}
		}
	})
}

func FuzzParseReport(f *testing.F) {
	f.Add("Prow Status: x\n❌ [unit](https://p/1) FAILURE\n✔️ unit (URL_NOT_FOUND) success")
	f.Fuzz(func(t *testing.T, comment string) {
		report, _, ok := ParseReport(comment)
		if !ok && len(report.Jobs) > 0 {
			t.Fatal("jobs without a report")
		}
	})
}
