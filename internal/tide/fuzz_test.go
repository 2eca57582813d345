package tide

import (
	"strings"
	"testing"

	"prow/internal/forge/github"
)

// Titles of issues are written by everyone who may file one.
func FuzzTitlesOfBlockers(f *testing.F) {
	for _, s := range []string{"", "branch:foo", `branch:"a/b" Branch: x.y`, "branch:\n-", "branch:é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, title string) {
		issue := blockerIssue{Number: 1, Title: title}
		issue.Repository.Name, issue.Repository.Owner.Login = "r", "o"
		b := newBlockers([]blockerIssue{issue})
		if len(b.repos)+len(b.branches) == 0 || len(b.repos) > 0 && len(b.branches) > 0 {
			t.Errorf("%q blocks %v and %v", title, b.repos, b.branches)
		}
	})
}

// Labels, contexts and branches are named by everyone who may push.
func FuzzDescriptions(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add(strings.Repeat("x", 200), "ä", "\xff")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		names := []string{a, b, c}
		if got := nameList(names); len(got) > maxNames && got != min(a, b, c) {
			t.Errorf("%q is too long", got)
		}
	})
}

func FuzzWindows(f *testing.F) {
	f.Add("acme: {LatestPR: 2020-01-02T03:04:05Z, PreviousQuery: q}\n")
	f.Add("LatestPR: 2020-01-02T03:04:05Z\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parseWindows([]byte(text)); got == nil && err == nil {
			t.Error("neither windows nor an error")
		}
	})
}

var _ Forge = (*github.Client)(nil)
