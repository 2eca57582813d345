package milestone

import (
	"testing"

	"prow/internal/plugins/plugintest"
)

func TestCommands(t *testing.T) {
	for text, want := range map[string]string{
		"/milestone v1.2": "v1.2", "/milestone  My next  one \r\n": "My next  one", "/milestone clear": "clear", "/milestone a\n/milestone b": "b",
		"/milestone": "", "/milestone\nv1": "", "/Milestone v1": "", "/milestones v1": "", "x /milestone v1": "",
	} {
		got := ""
		if uses := commandRe.FindAllStringSubmatch(text, -1); uses != nil {
			got = uses[len(uses)-1][1]
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestMilestones(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: `repo_milestone: {"": {maintainers_team: sticky-ones, maintainers_friendly_name: "the @crew"}}`})
	w.Milestones("v1.10", "v1.9")
	n := w.Issue("eve", "T", "")
	w.Comment("bob", n, "/milestone v1.9")
	w.WantMilestone(n, "")
	w.WantComments(n, "@bob: You must be a member of the team `the @crew` of o")
	w.Comment("alice", n, "/milestone v1.9\r\n")
	w.WantMilestone(n, "v1.9")
	w.Comment("alice", n, "/milestone v1.1`@eve")
	w.WantMilestone(n, "v1.9")
	w.WantComments(n, "@bob", "no open milestone `v1.1'@eve`. The open milestones are `v1.10`, `v1.9`. `/milestone clear` clears")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "@bob", "no open milestone")
	w.Comment("alice", n, "/milestone v1.9\n/milestone v1.10")
	w.WantMilestone(n, "v1.10")
	w.CloseIssue("eve", n)
	w.Comment("alice", n, "/milestone clear")
	w.WantMilestone(n, "")
}

func TestWithoutATeamNobodyMay(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Milestones("v1")
	n := w.Issue("alice", "T", "/milestone v1")
	w.WantMilestone(n, "")
	w.WantComments(n, "@alice: Nobody may use this command here")
}
