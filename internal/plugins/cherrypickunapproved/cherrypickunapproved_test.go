package cherrypickunapproved

import (
	"regexp"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestDecision(t *testing.T) {
	releases := regexp.MustCompile(`^release-.*$`)
	for name, tc := range map[string]struct {
		action, base, label, before string
		want                        verdict
	}{
		"opened":                          {"opened", "release-1", "", "", judge},
		"opened to another branch":        {"opened", "main", "", "", nothing},
		"reopened":                        {"reopened", "release-1", "", "", judge},
		"pushed":                          {"synchronize", "release-1", "", "", nothing},
		"approved":                        {"labeled", "release-1", "Cherry-Pick-Approved", "", judge},
		"no longer blocked":               {"unlabeled", "release-1", plugins.LabelCherryPickNotApproved, "", judge},
		"another label":                   {"labeled", "release-1", "lgtm", "", nothing},
		"a label on another branch":       {"labeled", "main", plugins.LabelCherryPickApproved, "", nothing},
		"the title":                       {"edited", "release-1", "", "", nothing},
		"moved to a release":              {"edited", "release-1", "", "main", judge},
		"moved from a release":            {"edited", "main", "", "release-1", forget},
		"moved between releases":          {"edited", "release-2", "", "release-1", nothing},
		"moved between ordinary branches": {"edited", "main", "", "other", nothing},
	} {
		e := &github.PullRequestEvent{Action: tc.action, Label: github.Label{Name: tc.label}}
		e.PullRequest.Base.Ref = tc.base
		if tc.before != "" {
			e.Changes = github.RawChanges(`{"base":{"ref":{"from":"` + tc.before + `"}}}`)
		}
		if got := decide(e, releases); got != tc.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestProbe35_CherryPicksNeedApproval(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "cherry_pick_unapproved: {comment: Ask a manager.}"})
	w.Push("release-1.0", nil)
	w.Push("change", map[string]string{"x": "y"})
	n := w.OpenPull("alice", gogithub.NewPullRequest{Title: gogithub.Ptr("T"), Head: gogithub.Ptr("change"), Base: gogithub.Ptr("release-1.0")})
	w.WantLabels(n, plugins.LabelCherryPickNotApproved)
	w.WantComments(n, "Ask a manager.")
	w.HandleAgain("pull_request")
	w.WantComments(n, "Ask a manager.")
	w.AddLabel("boss", n, plugins.LabelCherryPickApproved)
	w.WantLabels(n, plugins.LabelCherryPickApproved)
	w.WantComments(n)
	w.RemoveLabel("boss", n, plugins.LabelCherryPickApproved)
	w.WantLabels(n, plugins.LabelCherryPickNotApproved)
	w.WantComments(n, "Ask a manager.")
	// Both labels are changed before the plugin sees any of it.
	if _, _, err := w.As("boss").Issues.AddLabelsToIssue(t.Context(), plugintest.Org, plugintest.Repo, n, []string{plugins.LabelCherryPickApproved}); err != nil {
		t.Fatal(err)
	}
	w.RemoveLabel("boss", n, plugins.LabelCherryPickNotApproved)
	w.WantLabels(n, plugins.LabelCherryPickApproved)
	w.WantComments(n)
	w.RemoveLabel("boss", n, plugins.LabelCherryPickApproved)
	w.WantComments(n, "Ask a manager.")
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("main")}})
	w.WantLabels(n, "")
	w.WantComments(n)
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("release-1.0")}})
	w.WantLabels(n, plugins.LabelCherryPickNotApproved)
	w.AddLabel("boss", n, plugins.LabelCherryPickApproved)
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("main")}})
	w.WantLabels(n, "")
	w.WantComments(n)
}
