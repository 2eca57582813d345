package github

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/github"
)

func failed(context string, state prowv1.ProwJobState) *prowv1.ProwJob {
	done := metav1.Now()
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Context: context, RerunCommand: "/test " + context, Report: true,
		Refs: &prowv1.Refs{Pulls: []prowv1.Pull{{Number: 1, SHA: "head", Author: "dev"}}},
	}, Status: prowv1.ProwJobStatus{State: state, URL: "https://prow/" + context, CompletionTime: &done}}
	j.Labels = map[string]string{prowv1.IsOptionalLabel: "false"}
	return j
}

func report(id int64, who string, rows ...string) forge.IssueComment {
	return forge.IssueComment{ID: id, User: forge.User{Login: who}, Body: strings.ReplaceAll(commentText("dev", rows, ""), "\n", "\r\n")}
}

func TestPlanComment(t *testing.T) {
	isBot := func(l string) bool { return l == "bot" }
	oldUnit, oldE2E := "unit | old | [link](u) | true | `/test unit`", "e2e | old | [link](u) | true | `/test e2e`"
	freshUnit := "unit | head | [link](https://prow/unit) | true | `/test unit`"
	for name, tc := range map[string]struct {
		comments []forge.IssueComment
		jobs     []*prowv1.ProwJob
		must     bool
		want     commentPlan
	}{
		"a failure makes a comment":                                    {nil, []*prowv1.ProwJob{failed("unit", "failure")}, false, commentPlan{rows: []string{freshUnit}, write: true}},
		"a success without a comment says nothing":                     {nil, []*prowv1.ProwJob{failed("unit", "success")}, false, commentPlan{}},
		"a success whose row is the only one removes the comment":      {[]forge.IssueComment{report(7, "bot", oldUnit)}, []*prowv1.ProwJob{failed("unit", "success")}, false, commentPlan{remove: []int64{7}}},
		"a success with other rows edits in place":                     {[]forge.IssueComment{report(7, "bot", oldUnit, oldE2E)}, []*prowv1.ProwJob{failed("unit", "success")}, false, commentPlan{edit: 7, rows: []string{oldE2E}, write: true}},
		"a failure replaces all comments by a new one with their rows": {[]forge.IssueComment{report(7, "bot", oldUnit), report(8, "bot", oldE2E)}, []*prowv1.ProwJob{failed("unit", "failure")}, false, commentPlan{remove: []int64{7, 8}, rows: []string{oldE2E, freshUnit}, write: true}},
		"comments of others are left alone":                            {[]forge.IssueComment{report(7, "mallory", oldUnit)}, []*prowv1.ProwJob{failed("unit", "success")}, false, commentPlan{}},
		"an error makes no row":                                        {nil, []*prowv1.ProwJob{failed("unit", "error")}, false, commentPlan{}},
		"a summary tells that all passed":                              {nil, []*prowv1.ProwJob{failed("unit", "success")}, true, commentPlan{write: true}},
		"a summary of aborted jobs says nothing":                       {nil, []*prowv1.ProwJob{failed("unit", "aborted")}, true, commentPlan{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := planComment(tc.comments, isBot, tc.jobs, tc.must)
			if !slices.Equal(got.remove, tc.want.remove) || got.edit != tc.want.edit || !slices.Equal(got.rows, tc.want.rows) || got.write != tc.want.write {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestTheCommentCanBeReadBack(t *testing.T) {
	rows := []string{row(failed("a", "failure")), row(failed("b", "failure"))}
	text := commentText("dev", rows, "See the docs.")
	if got := tableRows(text); !slices.Equal(got, rows) {
		t.Errorf("read back %q", got)
	}
	if !strings.HasPrefix(text, "@dev: ") || !strings.HasSuffix(text, commentTag) || !strings.Contains(text, "/retest-required") || !strings.Contains(text, "See the docs.") {
		t.Error(text)
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
