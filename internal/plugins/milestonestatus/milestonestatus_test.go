package milestonestatus

import (
	"testing"

	"prow/internal/plugins/plugintest"
)

func TestStatuses(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: `repo_milestone: {o/r: {maintainers_team: sticky-ones}}`})
	n := w.Issue("alice", "T", "/status in-progress\r\n")
	w.WantLabels(n, "status/in-progress")
	for _, nothing := range []string{"/status done", "/status", "/status\nin-review", "/Status in-review", "/status in-review now"} {
		w.Comment("alice", n, nothing)
		w.Comment("eve", n, nothing)
	}
	w.WantLabels(n, "status/in-progress")
	w.WantComments(n)
	w.Comment("bob", n, "/status in-review")
	w.WantLabels(n, "status/in-progress")
	w.WantComments(n, "@bob: You must be a member of the team `sticky-ones`")
	w.AddLabel("boss", n, "status/other")
	w.Comment("alice", n, "/status in-review\n/status approved-for-milestone")
	w.WantLabels(n, "status/approved-for-milestone,status/other")
}
