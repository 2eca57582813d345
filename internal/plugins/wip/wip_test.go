package wip

import (
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestTitles(t *testing.T) {
	for title, want := range map[string]bool{
		"WIP: x": true, "[WIP] x": true, "wip-x": true, "WIP x": true, "(wip) x": true, "Wip\tx": true,
		"WIPs": false, "WIPER a": false, "WIP": false, "x WIP: y": false, "[[WIP]] x": false, "": false,
	} {
		if got := unready(title, false); got != want {
			t.Errorf("%q: %v", title, got)
		}
	}
	if !unready("x", true) {
		t.Error("drafts are not ready")
	}
}

func TestProbe25_WorkInProgress(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "WIP: a", "")
	w.WantLabels(n, plugins.LabelWorkInProgress)
	w.EditPull("eve", n, gogithub.PullRequest{Title: gogithub.Ptr("a")})
	w.WantLabels(n, "")
	w.EditPull("eve", n, gogithub.PullRequest{Title: gogithub.Ptr("[WIP] a")})
	w.WantLabels(n, plugins.LabelWorkInProgress)
	w.EditPull("eve", n, gogithub.PullRequest{Title: gogithub.Ptr("WIPER a")})
	w.WantLabels(n, "")
	w.Draft("eve", n, true)
	w.WantLabels(n, plugins.LabelWorkInProgress)
	w.EditPull("eve", n, gogithub.PullRequest{Title: gogithub.Ptr("b")})
	w.WantLabels(n, plugins.LabelWorkInProgress)
	w.Draft("eve", n, false)
	w.WantLabels(n, "")
	w.WantComments(n)
}
