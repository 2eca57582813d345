package help

import (
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/plugins/plugintest"
)

func TestProbe32_Help(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "help: {help_guidelines_summary: Be kind.}"})
	n := w.Issue("eve", "T", "something")
	for _, step := range []struct {
		body, labels string
		comments     []string
	}{
		{"/helpx", "", nil},
		{"/remove-help", "", nil},
		{"/help\r", "help wanted", []string{helpText}},
		{"/help", "help wanted", []string{helpText}},
		{"/good-first-issue", "good first issue,help wanted", []string{helpText, firstText}},
		{"/remove-good-first-issue", "help wanted", []string{helpText}},
		{"/GOOD-first-issue", "good first issue,help wanted", []string{helpText, "help-wanted.md#good-first-issue"}},
		{"/remove-help", "", nil},
		{"/good-first-issue", "good first issue,help wanted", []string{"Be kind."}},
		{"/remove-help\n/help", "", nil}, // of two commands the first that changes something counts
		{"/remove-help\n/help", "help wanted", []string{helpText}},
		{"/good-first-issue\n/remove-good-first-issue", "good first issue,help wanted", []string{helpText, firstText}},
		{"/remove-help", "", nil},
	} {
		w.Comment("eve", n, step.body)
		w.WantLabels(n, step.labels)
		w.WantComments(n, step.comments...)
		w.HandleAgain("issue_comment")
		w.WantLabels(n, step.labels)
		w.WantComments(n, step.comments...)
	}
	w.Push("change", map[string]string{"x": "y"})
	pr := w.Pull("alice", "change", "T", "/help")
	w.WantLabels(pr, "")
	_, _, err := w.As("eve").Issues.Edit(t.Context(), "o", "r", n, &gogithub.IssueRequest{State: gogithub.Ptr("closed")})
	if err != nil {
		t.Fatal(err)
	}
	w.Comment("eve", n, "/help")
	w.WantLabels(n, "")
	w.WantComments(w.Issue("eve", "T", "/help"), helpText)
}
