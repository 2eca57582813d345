package hold

import (
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestCommands(t *testing.T) {
	const hold, release, nothing = "hold", "release", "nothing"
	for text, want := range map[string]string{
		"/hold": hold, "/hold\r": hold, "/HOLD": hold, "/hold because x": hold, "text\n/hold": hold, "/hold\ntext": hold,
		"/hold cancel": release, "/hold  CANCEL": release, "/unhold": release, "/remove-hold": release, "/hold\n/unhold": release, "/unhold now": release,
		"/holding": nothing, "/hold-cancel": nothing, " /hold": nothing, "> /hold": nothing, "hold": nothing, "/unholdx": nothing, "": nothing,
		"/hold cancelled by x": hold,
	} {
		got := nothing
		if uses := commandRe.FindAllStringSubmatch(text, -1); releases(uses) {
			got = release
		} else if uses != nil {
			got = hold
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestProbe24_Hold(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "/hold until later")
	w.WantLabels(n, plugins.LabelHold)
	for _, release := range []string{"/unhold", "/remove-hold", "/hold cancel"} {
		w.Comment("bob", n, release)
		w.WantLabels(n, "")
		w.Comment("eve", n, "/hold because x")
		w.WantLabels(n, plugins.LabelHold)
	}
	id := w.Comment("bob", n, "not yet")
	w.EditComment("bob", id, "/unhold")
	w.WantLabels(n, plugins.LabelHold)
	w.Review("bob", n, "COMMENT", "/unhold")
	w.WantLabels(n, "")
	w.EditPull("eve", n, gogithub.PullRequest{State: gogithub.Ptr("closed")})
	w.Comment("eve", n, "/hold")
	w.WantLabels(n, plugins.LabelHold)
	w.Comment("eve", n, "/holding")
	w.WantComments(n)
	issue := w.Issue("eve", "T", "/hold")
	w.WantLabels(issue, "")
}
