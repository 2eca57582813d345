package github

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/github"
)

func ended(context string, state prowv1.ProwJobState) *prowv1.ProwJob {
	done := metav1.Now()
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Job: context, Context: context, RerunCommand: "/test " + context, Report: true,
		Refs: &prowv1.Refs{Org: "o", Repo: "r", Pulls: []prowv1.Pull{{Number: 1, SHA: "head", Author: "dev"}}},
	}, Status: prowv1.ProwJobStatus{State: state, URL: "https://prow/" + context, CompletionTime: &done}}
	j.Labels = map[string]string{prowv1.IsOptionalLabel: "false"}
	return j
}

func comment(id int64, who string, rows ...string) forge.IssueComment {
	return forge.IssueComment{ID: id, User: forge.User{Login: who}, Body: strings.ReplaceAll(commentText("dev", rows, ""), "\n", "\r\n")}
}

func isBot(l string) bool { return l == "bot" }

func plain(rows []string) string { return commentText("dev", rows, "") }

func TestPlanComment(t *testing.T) {
	oldUnit, oldE2E := "unit | old | [link](u) | true | `/test unit`", "e2e | old | [link](u) | true | `/test e2e`"
	freshUnit := "unit | head | [link](https://prow/unit) | true | `/test unit`"
	jobs := func(states ...*prowv1.ProwJob) []*prowv1.ProwJob { return states }
	for name, tc := range map[string]struct {
		comments []forge.IssueComment
		jobs     []*prowv1.ProwJob
		summary  bool
		want     commentPlan
		rows     []string
	}{
		"a failure makes a comment":                                           {jobs: jobs(ended("unit", "failure")), want: commentPlan{create: true}, rows: []string{freshUnit}},
		"a success without a comment says nothing":                            {jobs: jobs(ended("unit", "success"))},
		"a success whose row is the only one removes the comment (probe 23)":  {comments: []forge.IssueComment{comment(7, "bot", oldUnit)}, jobs: jobs(ended("unit", "success")), want: commentPlan{remove: []int64{7}}},
		"a success with other rows edits in place":                            {comments: []forge.IssueComment{comment(7, "bot", oldUnit, oldE2E)}, jobs: jobs(ended("unit", "success")), want: commentPlan{edit: 7}, rows: []string{oldE2E}},
		"a success that changes nothing is not written":                       {comments: []forge.IssueComment{comment(7, "bot", oldE2E)}, jobs: jobs(ended("unit", "success"))},
		"a failure replaces all comments by a new one with their rows":        {comments: []forge.IssueComment{comment(7, "bot", oldUnit), comment(8, "bot", oldE2E)}, jobs: jobs(ended("unit", "failure")), want: commentPlan{create: true, remove: []int64{7, 8}}, rows: []string{oldE2E, freshUnit}},
		"a failure that is told already is not told again":                    {comments: []forge.IssueComment{comment(7, "bot", freshUnit)}, jobs: jobs(ended("unit", "failure"))},
		"what a crash left undone is finished without a second notification":  {comments: []forge.IssueComment{comment(7, "bot", oldE2E), comment(8, "bot", oldE2E, freshUnit)}, jobs: jobs(ended("unit", "failure")), want: commentPlan{remove: []int64{7}}},
		"comments of others are left alone":                                   {comments: []forge.IssueComment{comment(7, "mallory", oldUnit)}, jobs: jobs(ended("unit", "success"))},
		"an error makes no row (probe 23)":                                    {jobs: jobs(ended("unit", "error"))},
		"an error keeps the row of an earlier failure":                        {comments: []forge.IssueComment{comment(7, "bot", oldUnit)}, jobs: jobs(ended("unit", "error"))},
		"an abortion takes the row away":                                      {comments: []forge.IssueComment{comment(7, "bot", oldUnit)}, jobs: jobs(ended("unit", "aborted")), want: commentPlan{remove: []int64{7}}},
		"a summary tells that all passed (probe 26)":                          {jobs: jobs(ended("unit", "success")), summary: true, want: commentPlan{create: true}, rows: []string{}},
		"a summary that is told already is not told again":                    {comments: []forge.IssueComment{comment(7, "bot")}, jobs: jobs(ended("unit", "success")), summary: true},
		"a summary with an error tells no rows":                               {jobs: jobs(ended("unit", "error")), summary: true, want: commentPlan{create: true}, rows: []string{}},
		"a summary of aborted jobs says nothing (probe 26)":                   {jobs: jobs(ended("unit", "aborted")), summary: true},
		"a summary after a failure that was mended replaces the old comment":  {comments: []forge.IssueComment{comment(7, "bot", oldUnit)}, jobs: jobs(ended("unit", "success")), summary: true, want: commentPlan{create: true, remove: []int64{7}}, rows: []string{}},
		"of two rows about one context the later counts":                      {comments: []forge.IssueComment{comment(7, "bot", oldUnit), comment(8, "bot", freshUnit)}, jobs: jobs(ended("e2e", "success")), want: commentPlan{remove: []int64{7}}},
		"a context with blanks and bars is read back as it was written":       {comments: []forge.IssueComment{comment(7, "bot", row(ended("a  b", "failure")))}, jobs: jobs(ended("a  b", "success")), want: commentPlan{remove: []int64{7}}},
		"a comment that only quotes the marker of the bot is left alone":      {comments: []forge.IssueComment{{ID: 9, User: forge.User{Login: "eve"}, Body: commentTag}}, jobs: jobs(ended("unit", "success"))},
		"a summary with a failure of another job edits the comment in place ": {comments: []forge.IssueComment{comment(7, "bot", oldUnit, oldE2E)}, jobs: jobs(ended("unit", "success")), summary: true, want: commentPlan{edit: 7}, rows: []string{oldE2E}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.rows != nil {
				tc.want.text = plain(tc.rows)
			}
			got := planComment(tc.comments, isBot, tc.jobs, tc.summary, plain)
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

// carry does to comments what a plan says.
func carry(comments []forge.IssueComment, plan commentPlan, next *int64) []forge.IssueComment {
	out := slices.Clone(comments)
	if plan.create {
		*next++
		out = append(out, forge.IssueComment{ID: *next, User: forge.User{Login: "bot"}, Body: plan.text})
	}
	for i := range out {
		if out[i].ID == plan.edit {
			out[i].Body = plan.text
		}
	}
	return slices.DeleteFunc(out, func(c forge.IssueComment) bool { return slices.Contains(plan.remove, c.ID) })
}

func TestCommentsOfAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var comments []forge.IssueComment
		next := int64(100)
		failing := map[string]string{} // context → row, as the comment must say in the end
		others := []forge.IssueComment{{ID: 1, User: forge.User{Login: "eve"}, Body: plain([]string{"unit | x | y | z | w"})}}
		comments = append(comments, others...)
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			job := ended(rapid.SampledFrom([]string{"unit", "e2e", "lint"}).Draw(t, "context"),
				rapid.SampledFrom([]prowv1.ProwJobState{"success", "failure", "error", "aborted"}).Draw(t, "state"))
			job.Status.URL = fmt.Sprintf("https://prow/%d", step)
			plan := planComment(comments, isBot, []*prowv1.ProwJob{job}, false, plain)
			switch job.Status.State {
			case prowv1.FailureState:
				failing[job.Spec.Context] = row(job)
				if !plan.create {
					t.Fatal("a failure that notifies nobody")
				}
			case prowv1.SuccessState, prowv1.AbortedState:
				delete(failing, job.Spec.Context)
			}
			if rapid.Bool().Draw(t, "killed") {
				// After the write, before the deletions.
				undone := plan
				undone.remove = nil
				comments = carry(comments, undone, &next)
				plan = planComment(comments, isBot, []*prowv1.ProwJob{job}, false, plain)
				if plan.create {
					t.Fatal("a second notification about the same failure")
				}
			}
			comments = carry(comments, plan, &next)
			if again := planComment(comments, isBot, []*prowv1.ProwJob{job}, false, plain); !reflect.DeepEqual(again, commentPlan{}) {
				t.Fatalf("a plan that was carried out plans %+v", again)
			}
			var rows []string
			own := 0
			for _, c := range comments {
				if isBot(c.User.Login) {
					own++
					rows = append(rows, tableRows(c.Body)...)
				}
			}
			if len(comments)-own != len(others) {
				t.Fatal("a comment of somebody else was touched")
			}
			if own > 1 || len(rows) != len(failing) {
				t.Fatalf("%d comments with the rows %q, want one with %q", own, rows, failing)
			}
			for _, r := range rows {
				if failing[firstCell(r)] != r {
					t.Fatalf("row %q, want %q", r, failing[firstCell(r)])
				}
			}
		}
	})
}

func TestTheCommentCanBeReadBack(t *testing.T) {
	rows := []string{row(ended("a", "failure")), row(ended("b", "failure"))}
	text := commentText("dev", rows, "See the docs.")
	if got := tableRows(text); !slices.Equal(got, rows) {
		t.Errorf("read back %q", got)
	}
	if !strings.HasPrefix(text, "@dev: ") || !strings.HasSuffix(text, commentTag) || !strings.Contains(text, "/retest-required") || !strings.Contains(text, "See the docs.") {
		t.Error(text)
	}
}

func TestACommentIsNeverLongerThanTheForgeTakes(t *testing.T) {
	var rows []string
	for i := range 5000 {
		rows = append(rows, row(ended(fmt.Sprintf("job-%d", i), "failure")))
	}
	text := commentText("dev", rows, strings.Repeat("x", maxComment))
	if len(text) > maxComment || !strings.Contains(text, "job-4999 ") || !strings.HasSuffix(text, commentTag) {
		t.Errorf("%d bytes, ending with %q", len(text), text[len(text)-100:])
	}
}

func FuzzTableRows(f *testing.F) {
	f.Add("--- | ---\na | b\n\n")
	f.Fuzz(func(_ *testing.T, body string) {
		for _, r := range tableRows(body) {
			firstCell(r)
		}
	})
}

func TestFailedTestsAreReadFromJUnit(t *testing.T) {
	for name, tc := range map[string]struct {
		xml  string
		want []Failure
	}{
		"nested suites, with passing and skipped tests": {
			`<?xml version="1.0"?><testsuites><testsuite name="s"><testsuite><testcase classname="pkg" name="TestA"><failure message="boom">x_test.go:12: bad</failure></testcase>` +
				`<testcase name="TestB"/><testcase name="TestC"><skipped/></testcase></testsuite></testsuite></testsuites>`,
			[]Failure{{Test: "pkg TestA", File: "x_test.go", Line: 12, Message: "boom\nx_test.go:12: bad"}},
		},
		"attributes file and line win over the text": {
			`<testsuite><testcase name="t" file="tests/test_a.py" line="7"><error>other.py:3: bad</error></testcase></testsuite>`,
			[]Failure{{Test: "t", File: "tests/test_a.py", Line: 7, Message: "other.py:3: bad"}},
		},
		"a failure without a place":   {`<testsuite><testcase name="t"><failure/></testcase></testsuite>`, []Failure{{Test: "t"}}},
		"another encoding":            {`<?xml version="1.0" encoding="ISO-8859-1"?><testsuite><testcase name="t"><failure>no place</failure></testcase></testsuite>`, []Failure{{Test: "t", Message: "no place"}}},
		"a time is no place":          {`<testsuite><testcase name="t"><failure>at 10:11:12 it failed, see http://x.y:80/z</failure></testcase></testsuite>`, []Failure{{Test: "t", Message: "at 10:11:12 it failed, see http://x.y:80/z"}}},
		"an empty file":               {``, nil},
		"a document that is no JUnit": {`<html><body>x</body></html>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseJUnit([]byte(tc.xml), 10)
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
	if _, err := parseJUnit([]byte(`<testsuite><testcase name="t"><failure>`), 10); err == nil {
		t.Error("a file that breaks off is no error")
	}
	if got, _ := parseJUnit([]byte(strings.Repeat(`<testcase name="t"><failure/></testcase>`, 9)), 3); len(got) != 3 {
		t.Errorf("%d failures, want the limit", len(got))
	}
}

func FuzzParseJUnit(f *testing.F) {
	f.Add([]byte(`<testsuite><testcase name="t" file="a.py" line="7"><error message="/x/y.go:3">other.py:3: bad</error></testcase></testsuite>`))
	f.Fuzz(func(t *testing.T, content []byte) {
		failures, _ := parseJUnit(content, 20)
		if len(failures) > 20 {
			t.Fatal("too many")
		}
		for _, a := range annotationsFor(&prowv1.Refs{Org: "o", Repo: "r"}, failures) {
			if strings.HasPrefix(a.Path, "/") || strings.Contains("/"+a.Path+"/", "/../") || a.StartLine < 1 || a.Message == "" || len(a.Message) > maxMessage {
				t.Fatalf("annotation %+v", a)
			}
		}
	})
}

func TestAnnotationsStayInsideOfTheRepository(t *testing.T) {
	refs := &prowv1.Refs{Org: "o", Repo: "r"}
	for file, want := range map[string]string{
		"a/b.go": "a/b.go", "./a.go": "a.go", "../a.go": "", "/etc/passwd": "", "": "", "a/../../b": "",
		"/home/prow/go/src/github.com/o/r/pkg/x_test.go": "pkg/x_test.go", "/home/prow/go/src/github.com/o/other/x.go": "",
	} {
		if got := pathInRepo(refs, file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}

func TestWhatADeadProcessHasToldIsNotToldAgain(t *testing.T) {
	w := newWorld(t, "")
	job := w.job("unit", prowv1.SuccessState)
	tell := func(r *Reporter, job *prowv1.ProwJob, want int) {
		t.Helper()
		w.breaker.count("")
		w.must(r.status(t.Context(), job))
		if n := w.breaker.count("POST "); n != want {
			t.Errorf("%d statuses were posted, want %d", n, want)
		}
	}
	tell(w.reporter, job, 1)
	next := &Reporter{Forge: w.bot, Checks: w.bot, Config: w.reporter.Config, Jobs: w.jobs, Whole: w.jobs, Log: w.reporter.Log}
	tell(next, job, 0)
	job.Status.Description = "something else"
	tell(next, job, 1)
}
