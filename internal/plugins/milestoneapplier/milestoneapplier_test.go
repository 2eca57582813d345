package milestoneapplier

import (
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins/plugintest"
)

func TestMoments(t *testing.T) {
	for name, tc := range map[string]struct {
		action, base string
		merged, want bool
	}{
		"merged":                      {github.ActionClosed, "main", true, true},
		"merged to a release":         {github.ActionClosed, "release", true, true},
		"given up":                    {github.ActionClosed, "main", false, false},
		"opened for a release":        {github.ActionOpened, "release", false, true},
		"opened for the default":      {github.ActionOpened, "main", false, false},
		"other events for a release":  {github.ActionSynchronize, "release", false, false},
		"reopened is not opened anew": {github.ActionReopened, "release", false, false},
	} {
		e := &github.PullRequestEvent{Action: tc.action}
		e.PullRequest.Merged, e.PullRequest.Base.Ref, e.PullRequest.Base.Repo.DefaultBranch = tc.merged, tc.base, "main"
		if got := due(e); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestMilestonesOfBranches(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "milestone_applier: {o/r: {main: v2, release: v1, other: gone}}"})
	w.Milestones("v1", "v2", "v3")
	w.Push("release", nil)
	w.Push("other", nil)
	open := func(branch, base string) int {
		w.Push(branch, map[string]string{branch: "x"})
		return w.OpenPull("alice", gogithub.NewPullRequest{Head: &branch, Base: &base, Title: gogithub.Ptr("T")})
	}
	n := open("a", "main")
	w.WantMilestone(n, "")
	w.Merge("boss", n)
	w.WantMilestone(n, "v2")
	w.WantMilestone(open("b", "release"), "v1")
	w.WantMilestone(open("c", "other"), "")

	n = open("d", "main")
	if _, _, err := w.As("boss").Issues.Edit(t.Context(), "o", "r", n, &gogithub.IssueRequest{Milestone: gogithub.Ptr(3)}); err != nil {
		t.Fatal(err)
	}
	w.Settle()
	w.Merge("boss", n)
	w.WantMilestone(n, "v3")
}
