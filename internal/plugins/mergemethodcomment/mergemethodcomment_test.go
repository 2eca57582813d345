package mergemethodcomment

import (
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/config"
	"prow/internal/plugins/plugintest"
)

func TestMessages(t *testing.T) {
	for name, tc := range map[string]struct {
		method        config.MergeMethod
		merge, squash string
		want          string
	}{
		"squash with a label":    {config.MergeSquash, "m", "s", "merged using the label: `m`"},
		"squash without a label": {config.MergeSquash, "", "s", "will be squashed"},
		"merge with a label":     {config.MergeMerge, "m", "s", "squashed using the label: `s`"},
		"merge without a label":  {config.MergeMerge, "m", "", "will be merged"},
		"rebase":                 {config.MergeRebase, "m", "s", "method is: rebase."},
	} {
		if got := message(tc.method, tc.merge, tc.squash); !strings.Contains(got, tc.want) || !strings.Contains(got, "method is: "+string(tc.method)) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Config: "tide: {merge_method: {o/r: squash}, merge_label: tide/merge}"})
	w.Push("change", map[string]string{"x": "1"})
	n := w.Pull("alice", "change", "T", "")
	w.WantComments(n)
	w.Push("change", map[string]string{"x": "2"})
	w.WantComments(n, "method is: squash.\nYou can request commits to be merged using the label: `tide/merge`")
	w.Push("change", map[string]string{"x": "3"})
	w.EditPull("alice", n, gogithub.PullRequest{Title: gogithub.Ptr("Other")})
	w.WantComments(n, "squash")
}
