package mergecommitblocker

import (
	"testing"

	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestProbe36_MergeCommits(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, "")
	w.Push("main", map[string]string{"z": "1"})
	w.MergeInto("change", "main")
	w.WantLabels(n, plugins.LabelMergeCommits)
	w.WantComments(n, marker)
	w.HandleAgain("pull_request/synchronize")
	w.WantComments(n, marker)
	base, head := w.Head("main"), w.Head("change")
	for name, tc := range map[string]struct {
		base, head string
		want       bool
	}{
		"a merge":              {base, head, true},
		"the ordinary parents": {w.Parent(base), w.Parent(head), false},
		"nothing":              {head, head, false},
	} {
		got, err := gitHoldsMerges(t.Context(), w.Agent("").Git, "o", "r", tc.base, tc.head)
		if err != nil || got != tc.want {
			t.Errorf("%s: git says %v, %v", name, got, err)
		}
	}
	w.Rebase("change", "main")
	w.WantLabels(n, "")
	w.WantComments(n)
}
