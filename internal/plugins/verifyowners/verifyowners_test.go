package verifyowners

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

func TestFilesAreJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		root    bool
		want    string
	}{
		"fine":                                {"approvers: [alice]", true, ""},
		"fine in the full form":               {"filters: {'.*': {approvers: [alice]}}", true, ""},
		"no YAML":                             {"approvers: [alice", false, "cannot be parsed: "},
		"no map":                              {"- alice", false, "cannot be parsed: "},
		"a symbolic link":                     {"../../etc/passwd", false, "cannot be parsed: "},
		"no list":                             {"approvers: alice", false, "cannot be parsed: line 1: approvers: found no list"},
		"no approvers at the root":            {"reviewers: [alice]", true, "names no approvers"},
		"nothing at the root":                 {"", true, "names no approvers"},
		"no approvers elsewhere":              {"reviewers: [alice]", false, ""},
		"a label that is denied":              {"approvers: [alice]\nlabels: [LGTM]", false, "sets the label `LGTM`"},
		"a label that is denied, of a filter": {"filters: {x: {labels: [lgtm]}}", false, "sets the label `lgtm`"},
		"a filter that is no expression":      {"filters: {'(': {approvers: [alice]}}", false, "has a filter that is no expression"},
	} {
		_, err := judge([]byte(tc.content), tc.root, []string{"approved", "lgtm"})
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPositionInThePatch(t *testing.T) {
	const patch = "@@ -1,3 +1,4 @@\n a\n-b\n+c\n+d\n e\n@@ -10,2 +11,3 @@ f\n g\n+h\n i"
	for line, want := range map[int]int{2: 3, 3: 4, 12: 8, 1: 1, 4: 1, 11: 1, 0: 1, -1: 1, 99: 1} {
		if got := position(patch, line); got != want {
			t.Errorf("line %d: %d, want %d", line, got, want)
		}
	}
	if got := position("", 1); got != 1 {
		t.Error(got)
	}
	for text, want := range map[string]int{"yaml: line 3: x": 3, "cannot be parsed: line 12: x": 12, "x": 0, "outline 7": 0, "line 99999999999999999999": 0} {
		if got := lineOf(errors.New(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("@@ -1 +1 @@\n+a\n\\ No newline", 1)
	f.Fuzz(func(t *testing.T, patch string, line int) {
		if got := position(patch, line); got < 1 || got > max(1, strings.Count(patch, "\n")) {
			t.Fatal(got)
		}
	})
}

func parse(t *testing.T, content string) *owners.Parsed {
	t.Helper()
	p, err := owners.Parse([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewPeople(t *testing.T) {
	aliases := owners.Aliases{"team": {"carl"}}
	for name, tc := range map[string]struct{ before, after, want string }{
		"nobody":                      {"approvers: [alice]", "approvers: [alice]", ""},
		"somebody":                    {"approvers: [alice]", "approvers: [alice, EVE]", "eve"},
		"somebody without a file":     {"", "approvers: ['@alice']", "alice"},
		"an alias is no person":       {"", "approvers: [Team, alice]", "alice"},
		"a reviewer becomes approver": {"reviewers: [bob]", "approvers: [bob]\nreviewers: [bob]", "bob"},
		"a required reviewer":         {"", "required_reviewers: [bob]", "bob"},
		"somebody goes":               {"approvers: [alice, bob]", "approvers: [bob]", ""},
		"another filter":              {"filters: {a: {approvers: [bob]}}", "filters: {a: {approvers: [bob]}, b: {approvers: [bob, eve]}}", "bob eve"},
	} {
		if got := strings.Join(newOwners(parse(t, tc.before), parse(t, tc.after), aliases), " "); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	got := newMembers(owners.Aliases{"a": {"x", "y"}, "b": {"z"}}, owners.Aliases{"a": {"x", "z"}, "c": {"z", "q"}})
	if !slices.Equal(got, []string{"q", "z"}) {
		t.Error(got)
	}
}

func TestStrangers(t *testing.T) {
	p := newPeople()
	p.note("b/OWNERS", []string{"eve", "alice", "o/team", "a b"})
	p.note("a/OWNERS", []string{"eve"})
	got, err := p.strangers(func(login string) (string, error) {
		if login == "alice" {
			return "", nil
		}
		return "user is nobody", nil
	})
	if err != nil || len(got) != 3 || got[0].login != "a b" || got[1].login != "eve" || !slices.Equal(got[1].files, []string{"b/OWNERS", "a/OWNERS"}) || got[2].reason != "this is no login" {
		t.Errorf("%+v, %v", got, err)
	}
	crowd := newPeople()
	for i := range maxPeople + 5 {
		crowd.note("OWNERS", []string{"u" + strings.Repeat("x", i%90) + string(rune('a'+i/90))})
	}
	asked := 0
	got, err = crowd.strangers(func(string) (string, error) { asked++; return "", nil })
	if err != nil || asked != maxPeople || len(got) != 5 {
		t.Errorf("asked %d times, %d strangers, %v", asked, len(got), err)
	}
	failure := errors.New("502")
	if _, err := p.strangers(func(string) (string, error) { return "", failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}

func TestRelevantFiles(t *testing.T) {
	names := owners.Settings{Owners: "OWNERS", Aliases: "OWNERS_ALIASES"}
	got := relevant([]github.PullRequestChange{
		{Filename: "OWNERS"}, {Filename: "a/OWNERS", Status: "removed"}, {Filename: "x"}, {Filename: "OWNERS_ALIASES"}, {Filename: "a/OWNERS_ALIASES"}, {Filename: "vendor/OWNERS"}, {Filename: "b/OWNERS"},
	}, names, func(file string) bool { return strings.HasPrefix(file, "vendor/") })
	var files []string
	for _, c := range got {
		files = append(files, c.Filename)
	}
	if !slices.Equal(files, []string{"OWNERS", "OWNERS_ALIASES", "b/OWNERS"}) {
		t.Error(files)
	}
}

func TestReviewsWithoutAPatchTellInTheirBody(t *testing.T) {
	r := draft("head", []fileProblem{{github.PullRequestChange{Filename: "a/OWNERS"}, errors.New("is bad, @alice")}, {github.PullRequestChange{Filename: "OWNERS", Patch: "@@ -0,0 +1 @@\n+x"}, errors.New("bad")}})
	if len(r.Comments) != 1 || !strings.Contains(r.Body, "2 OWNERS files are invalid.\n\n- `a/OWNERS` is bad, @\u200balice") {
		t.Errorf("%+v", r)
	}
}

const root = "approvers:\n- alice\nreviewers:\n- bob\n"

func reviews(t *testing.T, w *plugintest.World, number int) (bodies []string, inline int) {
	t.Helper()
	gh := w.Agent("").GitHub
	all, err := gh.ListReviews(t.Context(), "o", "r", number)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		bodies = append(bodies, r.Body)
	}
	comments, err := gh.ListPullRequestComments(t.Context(), "o", "r", number)
	if err != nil {
		t.Fatal(err)
	}
	return bodies, len(comments)
}

func TestProbe27_NewOwnersAreTrusted(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Files: map[string]string{"OWNERS": root}})
	w.Push("change", map[string]string{"OWNERS": "approvers: [alice, eve]\nreviewers:\n- bob\n"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, plugins.LabelInvalidOwnersFile)
	w.WantComments(n, "- `eve`: user is not a member of the org o and not a collaborator of o/r (`OWNERS`)\n")
	w.HandleAgain("pull_request")
	w.WantComments(n, strangersMarker)
	w.Push("change", map[string]string{"OWNERS": root + "- eve\n"})
	w.WantComments(n, strangersMarker)
	w.Push("change", map[string]string{"OWNERS": root + "# more\n"})
	w.WantLabels(n, "")
	w.WantComments(n)
	w.Push("change", map[string]string{"OWNERS": root + "- eve\n"})
	w.WantLabels(n, plugins.LabelInvalidOwnersFile)
	w.Collaborator("eve", "push")
	w.Comment("eve", n, "/verify-owners\r\n")
	w.WantLabels(n, "")
	w.WantComments(n)
	if bodies, inline := reviews(t, w, n); len(bodies)+inline != 0 {
		t.Errorf("%d reviews, %d comments of lines", len(bodies), inline)
	}
}

func TestProbe27_WrongFilesAreReviewed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, content, want string }{
		"YAML":      {"a/OWNERS", "approvers:\n- alice\n  b: [", "cannot be parsed"},
		"approvers": {"OWNERS", "reviewers:\n- bob\n", "names no approvers"},
		"labels":    {"a/OWNERS", "labels: [lgtm]\n", "sets the label `lgtm`"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := plugintest.New(t, plugintest.Options{Plugin: New(), Files: map[string]string{"OWNERS": root}})
			w.Push("change", map[string]string{tc.file: tc.content})
			n := w.Pull("alice", "change", "T", "")
			w.WantLabels(n, plugins.LabelInvalidOwnersFile)
			w.HandleAgain("pull_request")
			if bodies, inline := reviews(t, w, n); len(bodies) != 1 || inline != 1 || !strings.HasPrefix(bodies[0], "1 OWNERS file is invalid.") {
				t.Errorf("reviews %q, %d comments of lines", bodies, inline)
			}
			comments, err := w.Agent("").GitHub.ListPullRequestComments(t.Context(), "o", "r", n)
			if err != nil || len(comments) != 1 || comments[0].Path != tc.file || !strings.Contains(comments[0].Body, tc.want) {
				t.Errorf("%+v, %v", comments, err)
			}
			w.Push("change", map[string]string{"a/OWNERS": "", "OWNERS": root})
			w.WantLabels(n, "")
		})
	}
}

func TestAliasesAreChecked(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Files: map[string]string{"OWNERS": root, "OWNERS_ALIASES": "aliases:\n  team: [alice]\n"}})
	w.Push("change", map[string]string{"OWNERS_ALIASES": "aliases:\n  team: [alice, eve]\n  nobody: []\n"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, plugins.LabelInvalidOwnersFile)
	if got := strings.Join(w.BotComments(n), "\n"); !strings.Contains(got, "`eve`") || !strings.Contains(got, emptyMarker+" `nobody`") {
		t.Error(got)
	}
	w.Push("change", map[string]string{"OWNERS_ALIASES": "aliases: [x]\n"})
	w.WantLabels(n, plugins.LabelInvalidOwnersFile)
	w.WantComments(n, aliasesMarker)
	w.Push("change", map[string]string{"OWNERS_ALIASES": "aliases:\n  team: [alice, bob]\n", "b/OWNERS": "approvers: [team]\n"})
	w.WantLabels(n, "")
	w.WantComments(n)
	// What counts is the outcome of the merge: the alias is on the base branch only.
	w.Push("late", map[string]string{"c/OWNERS": "approvers: [crew]\n"})
	w.Push("main", map[string]string{"OWNERS_ALIASES": "aliases:\n  crew: [bob]\n  team: [bob]\n"})
	late := w.Pull("alice", "late", "T", "")
	w.WantLabels(late, "")
	// What conflicts with its base is looked at as its author wrote it.
	w.Push("change", map[string]string{"OWNERS_ALIASES": "aliases:\n  team: [eve]\n"})
	w.WantLabels(n, plugins.LabelInvalidOwnersFile)
}

func TestNobodyIsCheckedWhereOwnersNeedNotCollaborate(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Files: map[string]string{"OWNERS": root}, Plugins: "owners: {skip_collaborators: [o]}"})
	w.Push("change", map[string]string{"OWNERS": root + "- eve\n"})
	n := w.Pull("alice", "change", "T", "")
	w.WantLabels(n, "")
	w.AddLabel("boss", n, plugins.LabelInvalidOwnersFile)
	w.Comment("eve", n, "/verify-owners")
	w.WantLabels(n, "")
}
