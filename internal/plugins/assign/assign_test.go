package assign

import (
	"strings"
	"testing"

	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

// read is what a text asks for, as "+added -removed"; "nothing" without a command.
func read(text string, cc bool) string {
	re := assignRe
	if cc {
		re = plugins.ReviewRequestRe
	}
	uses := re.FindAllStringSubmatch(text, -1)
	if uses == nil {
		return "nothing"
	}
	w := wishOf(uses, "Me")
	var out []string
	for _, name := range w.add {
		out = append(out, "+"+name)
	}
	for _, name := range w.remove {
		out = append(out, "-"+name)
	}
	return strings.Join(out, " ")
}

func TestAssignments(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"without a name it is the commenter":     {"/assign", "+Me"},
		"an end of line of the web counts":       {"/assign\r\n", "+Me"},
		"names with and without @":               {"/assign @bob alice", "+bob +alice"},
		"several blanks":                         {"/assign  bob\t alice ", "+bob +alice"},
		"any case of the command":                {"/ASSIGN bob\n/UNassign alice", "+bob -alice"},
		"the last mention counts, in any case":   {"/assign bob\n/unassign Bob", "-bob"},
		"and the other way round":                {"/unassign me\n/assign", "+me"},
		"several commands are one wish":          {"/assign a\n/assign b a", "+a +b"},
		"a name is no sentence":                  {"/assign bob, please", "nothing"},
		"a team cannot be assigned":              {"/assign o/team", "nothing"},
		"a longer word is another":               {"/assigned bob", "nothing"},
		"a command begins its line":              {"please /assign bob", "nothing"},
		"names do not go on in the next line":    {"/assign\nbob", "+Me"},
		"what only looks like a letter is none":  {"/assign b\u043eb", "nothing"},
		"a direction mark is not part of a name": {"/assign \u202ebob", "nothing"},
	} {
		if got := read(tc.text, false); got != tc.want {
			t.Errorf("%s: %q: got %q, want %q", name, tc.text, got, tc.want)
		}
	}
	for name, tc := range map[string]struct{ text, want string }{
		"a team":              {"/cc @o/team bob", "+o/team +bob"},
		"takes back":          {"/uncc  bob", "-bob"},
		"auto-cc is another":  {"/auto-cc", "nothing"},
		"ccs are not enough":  {"/ccs", "nothing"},
		"without a name":      {"text\n/cc\ntext", "+Me"},
		"the last one counts": {"/cc bob\n/uncc bob\n/cc BOB", "+bob"},
	} {
		if got := read(tc.text, true); got != tc.want {
			t.Errorf("%s: %q: got %q, want %q", name, tc.text, got, tc.want)
		}
	}
}

func FuzzWishes(f *testing.F) {
	f.Add("/assign @a b\r\n/unassign a", "me")
	f.Add("/cc o/t\n/cc", "x")
	f.Add("/assign \u202e\n"+strings.Repeat("/assign a ", 100), "")
	f.Fuzz(func(t *testing.T, text, commenter string) {
		w := wishOf(assignRe.FindAllStringSubmatch(plugins.CommandText(text), -1), commenter)
		seen := map[string]bool{}
		for _, name := range append(w.add, w.remove...) {
			if name != strings.TrimPrefix(commenter, "@") && strings.ContainsAny(name, " \t\r\n@/`") {
				t.Errorf("%q is no name", name)
			}
			if key := strings.ToLower(name); seen[key] {
				t.Errorf("%q is there twice", name)
			} else {
				seen[key] = true
			}
		}
	})
}

func TestProbe23_PeopleAndTeams(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	w.Team("Team", "bob")
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("alice", "change", "T", "/cc @bob")
	w.WantReviewers(n, "bob")
	w.Comment("eve", n, "/assign @bob alice")
	w.WantAssignees(n, "alice,bob")
	w.Comment("eve", n, "/assign bob\n/unassign bob")
	w.WantAssignees(n, "alice")
	w.Comment("eve", n, "/uncc bob\r\n/cc o/team\r\n")
	w.WantReviewers(n, "o/team")
	w.Comment("eve", n, "/uncc @o/team")
	w.WantReviewers(n, "")
	w.WantComments(n)

	w.Comment("eve", n, "/assign nobody\n/cc nobody")
	w.WantComments(n, "@eve: The forge did not assign `nobody`.", "@eve: The forge did not request a review of `nobody`.")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "did not assign", "did not request")
	w.Comment("alice", n, "/cc")
	w.WantComments(n, "did not assign", "did not request", "not request a review of `alice`")

	issue := w.Issue("eve", "T", "/assign\n/cc bob")
	w.WantAssignees(issue, "eve")
	w.Comment("bob", issue, "/assign\r\n/unassign @eve")
	w.WantAssignees(issue, "bob")
	w.WantComments(issue)
}

// An edit is no command, whatever the plugin.
func TestProbe40_EditedComments(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New()})
	n := w.Issue("eve", "T", "")
	id := w.Comment("bob", n, "hm")
	w.EditComment("bob", id, "/assign")
	w.WantAssignees(n, "")
}
