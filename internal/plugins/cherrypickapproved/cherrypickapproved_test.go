package cherrypickapproved

import (
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

func TestTheLastEntryCounts(t *testing.T) {
	cfg := &pluginconfig.Configuration{CherryPickApproved: []pluginconfig.CherryPickApproved{
		{Org: "o", Repo: "r", BranchRegexp: "1"}, {Org: "o", Repo: "r", BranchRegexp: "2"}, {Org: "o", BranchRegexp: "3"},
	}}
	if c := configFor(cfg, "o", "r"); c == nil || c.BranchRegexp != "2" {
		t.Errorf("%+v", c)
	}
	if c := configFor(cfg, "o", "other"); c != nil {
		t.Errorf("%+v", c)
	}
}

func TestLabelsThatRefuse(t *testing.T) {
	for name, tc := range map[string]struct {
		lgtm, approved bool
		labels, want   string
	}{
		"nothing":                         {false, false, "", "it lacks the label lgtm"},
		"only lgtm":                       {false, false, "LGTM", "it lacks the label approved"},
		"only approved":                   {false, false, "approved", "it lacks the label lgtm"},
		"both":                            {false, false, "lgtm,approved,other", ""},
		"neither is needed":               {true, true, "", ""},
		"one blocking label is enough":    {true, true, "do-not-merge/hold", "it has the label do-not-merge/hold"},
		"so is another, in whatever case": {true, true, "CNCF-CLA: no", "it has the label cncf-cla: no"},
	} {
		var labels []github.Label
		for _, name := range strings.Split(tc.labels, ",") {
			labels = append(labels, github.Label{Name: name})
		}
		c := &pluginconfig.CherryPickApproved{AllowMissingLGTMLabel: tc.lgtm, AllowMissingApprovedLabel: tc.approved}
		if got := refusalByLabels(c, labels); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if len(blocking) != 10 {
		t.Error("ten labels block")
	}
}

func TestReleaseManagersApprove(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "cherry_pick_approved: [{org: o, repo: r, approvers: [Bob], allow_missing_approved_label: true}]"})
	w.Push("release-1.0", nil)
	head := w.Push("change", map[string]string{"x": "y"})
	n := w.OpenPull("alice", gogithub.NewPullRequest{Title: gogithub.Ptr("T"), Head: gogithub.Ptr("change"), Base: gogithub.Ptr("release-1.0")})
	w.AddLabel("boss", n, plugins.LabelCherryPickNotApproved)
	unchanged := plugins.LabelCherryPickNotApproved
	w.Review("bob", n, "APPROVE", "")
	w.WantLabels(n, unchanged) // no lgtm
	w.AddLabel("boss", n, plugins.LabelLGTM)
	unchanged += "," + plugins.LabelLGTM
	w.Status(head, "ci", "failure")
	w.Review("bob", n, "APPROVE", "")
	w.WantLabels(n, unchanged)
	w.Status(head, "ci", "success")
	w.Review("eve", n, "APPROVE", "")
	w.Review("bob", n, "COMMENT", "x")
	w.WantLabels(n, unchanged)
	w.Review("bob", n, "APPROVE", "")
	w.WantLabels(n, plugins.LabelCherryPickApproved+","+plugins.LabelLGTM)
	w.HandleAgain("pull_request_review")
	w.WantLabels(n, plugins.LabelCherryPickApproved+","+plugins.LabelLGTM)
	w.WantComments(n)

	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("main")}})
	w.RemoveLabel("boss", n, plugins.LabelCherryPickApproved)
	w.Review("bob", n, "APPROVE", "")
	w.WantLabels(n, plugins.LabelLGTM)
}
