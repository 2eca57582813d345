package branchcleaner

import (
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestCandidates(t *testing.T) {
	cfg := &pluginconfig.BranchCleaner{PreservedBranches: map[string][]string{"o": {"^release-"}, "o/r": {"keep"}}}
	for name, tc := range map[string]struct {
		change func(e *github.PullRequestEvent)
		want   bool
	}{
		"a merged branch goes":       {func(*github.PullRequestEvent) {}, true},
		"one that was given up":      {func(e *github.PullRequestEvent) { e.PullRequest.Merged = false }, false},
		"other events":               {func(e *github.PullRequestEvent) { e.Action = github.ActionLabeled }, false},
		"one of a fork":              {func(e *github.PullRequestEvent) { e.PullRequest.Head.Repo.FullName = "eve/r" }, false},
		"one of a fork that is gone": {func(e *github.PullRequestEvent) { e.PullRequest.Head.Repo.FullName = "" }, false},
		"preserved in the org":       {func(e *github.PullRequestEvent) { e.PullRequest.Head.Ref = "release-1" }, false},
		"preserved in the repo":      {func(e *github.PullRequestEvent) { e.PullRequest.Head.Ref = "keep" }, false},
		"the default branch":         {func(e *github.PullRequestEvent) { e.PullRequest.Head.Ref = "main" }, false},
	} {
		e := &github.PullRequestEvent{Action: github.ActionClosed}
		base := github.Repo{Owner: github.User{Login: "o"}, Name: "r", FullName: "o/r", DefaultBranch: "main"}
		e.PullRequest.Merged, e.PullRequest.Base.Repo, e.PullRequest.Head = true, base, github.Branch{Ref: "change", Repo: base}
		tc.change(e)
		if got := candidate(e, cfg); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestBranches(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "branch_cleaner: {preserved_branches: {o/r: [keep]}}"})
	w.Push("release", nil)
	merged := func(branch string) {
		w.Push(branch, map[string]string{branch: "x"})
		w.Merge("boss", w.Pull("alice", branch, "T", ""))
	}
	merged("gone")
	w.WantBranch("gone", false)
	w.HandleAgain("pull_request/closed")
	w.Push("gone", map[string]string{"again": "x"})
	w.HandleAgain("pull_request/closed")
	w.WantBranch("gone", true) // it has moved on
	merged("keep")
	w.WantBranch("keep", true)

	for _, other := range []gogithub.NewPullRequest{
		{Head: gogithub.Ptr("needed"), Base: gogithub.Ptr("release"), Title: gogithub.Ptr("from it")},
		{Head: gogithub.Ptr("next"), Base: gogithub.Ptr("needed"), Title: gogithub.Ptr("into it")},
	} {
		w.Push("needed", map[string]string{"n": *other.Title})
		w.Push("next", map[string]string{"m": *other.Title})
		n := w.OpenPull("alice", other)
		w.Merge("boss", w.Pull("alice", "needed", "T", ""))
		w.WantBranch("needed", true)
		w.CloseIssue("alice", n)
	}
	w.HandleAgain("pull_request/closed")
	w.WantBranch("needed", true) // what closed last was not merged
}
