package releasenote

import (
	"slices"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func block(note string) string { return "Text\r\n\r\n```release-note\r\n" + note + "\r\n```\r\n" }

func TestDecision(t *testing.T) {
	const needed, note, none, action = plugins.LabelReleaseNoteNeeded, plugins.LabelReleaseNote, plugins.LabelReleaseNoteNone, plugins.LabelReleaseNoteActionRequired
	for name, tc := range map[string]struct{ body, labels, want string }{
		"no block":                              {"Text", "", needed},
		"no block, but the label":               {"Text", none, none},
		"no block, and it deprecates":           {"Text", "kind/deprecation " + none, needed},
		"an empty block":                        {block(""), "", needed},
		"a block that is not closed":            {"```release-note\nx", "", needed},
		"a block of something else":             {"```go\nx\n```", "", needed},
		"none":                                  {block("NONE"), "", none},
		"no":                                    {block(`"no".`), "", none},
		"none, and it deprecates":               {block("none"), "Kind/Deprecation", needed},
		"a note":                                {block("It is none of these."), none, note},
		"a note, and it deprecates":             {block("It goes."), "kind/deprecation", note},
		"a note that asks":                      {block("Action  Required? ACTION REQUIRED: look."), "", action},
		"a note in the block of a template":     {"**Release note**:\n<!-- how to -->\n```\nIt is new.\n```", "", note},
		"a note after the name of the template": {"Release note**: ```release-note\nIt is new.\n```", "", note},
		"the first block counts":                {block("NONE") + block("It is new."), "", none},
	} {
		var labels []github.Label
		for _, name := range strings.Fields(tc.labels) {
			labels = append(labels, github.Label{Name: name})
		}
		if got := decide(tc.body, labels); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestReplacing(t *testing.T) {
	if got, ok := replaceNote("A\n"+block("old")+"B", "/release-note-edit\r\n"+block("new\nlines")); !ok || got != "A\n"+block("new\nlines")+"B" {
		t.Errorf("%v, %q", ok, got)
	}
	for _, tc := range [][2]string{{"A", block("x")}, {block("x"), "A"}} {
		if got, ok := replaceNote(tc[0], tc[1]); ok {
			t.Errorf("%q", got)
		}
	}
}

func TestParents(t *testing.T) {
	for body, want := range map[string][]int{
		"":                           nil,
		"Cherry pick of #7 on main.": nil,
		"Cherry pick of #7 on release-1.0.\r\nCherry pick of #8 on release-1.0.\nCherry pick of #7 on release-1.0.": {7, 8},
		"Cherry pick of #99999999999999999999 on release-1.0.":                                                      nil,
	} {
		if got := parentsOf(body); !slices.Equal(got, want) {
			t.Errorf("%q: %d", body, got)
		}
	}
	var many strings.Builder
	for i := range 100 {
		many.WriteString("Cherry pick of #" + strings.Repeat("1", i%5+1) + string(rune('0'+i%10)) + " on release-1.0.\n")
	}
	if got := parentsOf(many.String()); len(got) > maxParents {
		t.Errorf("%d parents", len(got))
	}
}

func body(text string) gogithub.PullRequest { return gogithub.PullRequest{Body: &text} }

func TestProbe33_ReleaseNotes(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "Text")
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded)
	w.WantComments(n, marker)
	w.HandleAgain("pull_request")
	w.WantComments(n, marker)
	for _, tc := range []struct{ body, label string }{
		{block("It is new."), plugins.LabelReleaseNote},
		{block("NONE"), plugins.LabelReleaseNoteNone},
		{block("Action Required: look."), plugins.LabelReleaseNoteActionRequired},
	} {
		w.EditPull("eve", n, body(tc.body))
		w.WantLabels(n, tc.label)
		w.WantComments(n)
	}
	w.AddLabel("boss", n, plugins.LabelReleaseNoteNone)
	w.WantLabels(n, plugins.LabelReleaseNoteActionRequired)
	w.EditPull("eve", n, body("Text"))
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded)
	w.AddLabel("boss", n, plugins.LabelDeprecation)
	w.WantComments(n, "the pull request deprecates something")
	w.AddLabel("boss", n, plugins.LabelReleaseNoteNone)
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded+","+plugins.LabelDeprecation)
	w.RemoveLabel("boss", n, plugins.LabelDeprecation)
	w.WantComments(n, "no release note was found")
}

func TestNoNoteIsNeeded(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "Text")
	w.Comment("eve", n, "/release-note-none")
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded)
	w.WantComments(n, marker, "Only the author")
	w.EditPull("alice", n, body("Other"))
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded) // a stranger's word counts for no event
	w.Comment("bob", n, "/release-note-none\r\n")
	w.WantLabels(n, plugins.LabelReleaseNoteNone)
	w.WantComments(n, "Only the author")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "Only the author")
	w.RemoveLabel("boss", n, plugins.LabelReleaseNoteNone)
	w.EditPull("alice", n, body("More"))
	w.WantLabels(n, plugins.LabelReleaseNoteNone) // bob's word still stands
	w.EditPull("alice", n, body(block("It is new.")))
	w.Comment("alice", n, "/release-note-none")
	w.WantLabels(n, plugins.LabelReleaseNote)
	w.WantComments(n, "Only the author", "The body of the pull request holds a release note")

	w.Push("other", map[string]string{"z": "y"})
	other := w.Pull("eve", "other", "T", "Text\r\n/release-note-none\r\n")
	w.WantLabels(other, plugins.LabelReleaseNoteNone)
	w.WantComments(other)
}

func TestANoteIsEdited(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", block("NONE"))
	w.Comment("eve", n, "/release-note-edit\r\n"+block("It is new."))
	w.WantLabels(n, plugins.LabelReleaseNoteNone)
	w.WantComments(n, "Only members")
	w.Comment("bob", n, "/release-note-edit")
	w.WantComments(n, "Only members", "The comment has to hold")
	w.Comment("bob", n, "/release-note-edit\r\n"+block("It is new."))
	w.WantLabels(n, plugins.LabelReleaseNote)
	w.HandleAgain("issue_comment")
	w.EditPull("eve", n, body("Text"))
	w.Comment("bob", n, "/release-note-edit\r\n"+block("It is new."))
	w.Comment("bob", n, "/release-note")
	w.WantComments(n, "Only members", "The comment has to hold", marker, "no release note that could be replaced", "are deprecated")
}

func TestCherryPicksInheritTheirNotes(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Push("release-1.0", nil)
	w.Push("change", map[string]string{"x": "y"})
	noted := w.Pull("alice", "change", "T", block("It is new."))
	w.Push("other", map[string]string{"z": "y"})
	unnoted := w.Pull("alice", "other", "T", block("NONE"))
	if noted != 1 || unnoted != 2 {
		t.Fatal(noted, unnoted)
	}
	w.Push("pick", map[string]string{"v": "y"})
	pull := gogithub.NewPullRequest{
		Title: gogithub.Ptr("T"), Head: gogithub.Ptr("pick"), Base: gogithub.Ptr("release-1.0"),
		Body: gogithub.Ptr("Cherry pick of #1 on release-1.0.\r\nCherry pick of #2 on release-1.0.\r\nCherry pick of #404 on release-1.0."),
	}
	n := w.OpenPull("alice", pull)
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded)
	w.WantComments(n, "These have none:\n\n- #2\n- #404\n\n")
	w.EditPull("alice", n, body("Cherry pick of #1 on release-1.0."))
	w.WantLabels(n, "")
	w.WantComments(n)
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("main")}})
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded)
	w.Merge("boss", n)
	w.EditPull("alice", n, body("Merged"))
	w.WantLabels(n, plugins.LabelReleaseNoteNeeded)
}

func FuzzNotes(f *testing.F) {
	f.Add(block("x"), block("y"))
	f.Add("Release note**: <!-- -->```x```", strings.Repeat("`", 1<<10))
	f.Fuzz(func(t *testing.T, text, other string) {
		decide(text, nil)
		changed, ok := replaceNote(text, other)
		if _, there := noteOf(text); ok && !there {
			t.Fatal("replaced what is not there")
		}
		if _, there := noteOf(changed); ok && !there {
			t.Fatalf("no note left in %q", changed)
		}
	})
}
