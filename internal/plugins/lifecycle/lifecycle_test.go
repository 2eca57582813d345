package lifecycle

import (
	"slices"
	"strings"
	"testing"

	"prow/internal/plugins/plugintest"
)

func TestFlags(t *testing.T) {
	for name, tc := range map[string]struct {
		text, set string
		isPR      bool
		want      string
		frozenPR  bool
	}{
		"setting one":                   {"/lifecycle stale", "", false, "lifecycle/stale", false},
		"takes the others":              {"/lifecycle frozen", "lifecycle/stale lifecycle/rotten", false, "lifecycle/frozen", false},
		"taking one":                    {"/remove-lifecycle stale\r\n", "lifecycle/stale lifecycle/active", false, "lifecycle/active", false},
		"the last of several counts":    {"/lifecycle stale\n/lifecycle rotten", "", false, "lifecycle/rotten", false},
		"taking what was just set":      {"/lifecycle stale\n/remove-lifecycle stale", "lifecycle/rotten", false, "", false},
		"any case":                      {"/LIFECYCLE Rotten", "", false, "lifecycle/rotten", false},
		"pull requests are not frozen":  {"/lifecycle FROZEN", "lifecycle/stale", true, "lifecycle/stale", true},
		"but thaw":                      {"/remove-lifecycle frozen", "lifecycle/frozen", true, "", false},
		"other flags of pull requests":  {"/lifecycle active", "", true, "lifecycle/active", false},
		"others are none":               {"/lifecycle dead", "lifecycle/stale", false, "lifecycle/stale", false},
		"something behind makes it one": {"/lifecycle stale now", "", false, "", false},
	} {
		got, frozenPR := decide(labelRe.FindAllStringSubmatch(tc.text, -1), tc.isPR, strings.Fields(tc.set))
		if !slices.Equal(got, strings.Fields(tc.want)) || frozenPR != tc.frozenPR {
			t.Errorf("%s: got %q, %v", name, got, frozenPR)
		}
	}
}

func TestProbe32_Lifecycle(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	n := w.Issue("alice", "T", "")
	w.Comment("eve", n, "/close")
	w.WantState(n, "open")
	w.WantComments(n, "@eve: You can't close an active issue")
	w.Comment("eve", n, "/lifecycle frozen\r\n")
	w.Comment("eve", n, "/lifecycle STALE")
	w.WantLabels(n, "lifecycle/stale")
	w.Comment("eve", n, "/close not-planned")
	w.WantState(n, "closed")
	w.WantComments(n, "can't close", "@eve: Closed this issue as not planned.")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "can't close", "not planned")

	w.Comment("eve", n, "/reopen")
	w.WantState(n, "closed")
	w.WantComments(n, "can't close", "not planned", "@eve: You can't reopen")
	w.Comment("alice", n, "/reopen")
	w.WantState(n, "open")
	w.Comment("bob", n, "/close")
	w.WantState(n, "closed")
	w.Comment("bob", n, "/remove-lifecycle stale")
	w.WantLabels(n, "")

	other := w.Issue("alice", "T", "")
	w.Comment("eve", other, "/close\n/lifecycle stale")
	w.HandleAgain("issue_comment")
	w.WantState(other, "open")
	w.WantLabels(other, "lifecycle/stale")
	w.WantComments(other, "can't close")

	w.Push("change", map[string]string{"x": "y"})
	pr := w.Pull("eve", "change", "T", "")
	w.Comment("eve", pr, "/close not-planned")
	w.WantState(pr, "open")
	w.WantComments(pr, "PRs cannot be closed as not planned")
	w.Comment("bob", pr, "/lifecycle Frozen")
	w.WantLabels(pr, "")
	w.Comment("eve", pr, "/close")
	w.WantState(pr, "closed")
	w.DeleteBranch("change")
	w.Comment("eve", pr, "/reopen")
	w.WantState(pr, "closed")
	w.WantComments(pr, "not planned", "cannot be applied to PRs", "@eve: Closed this PR.", "@eve: The forge does not reopen this")
}
