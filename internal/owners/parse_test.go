package owners

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	all := func(p People) map[string]People { return map[string]People{".*": p} }
	for name, tc := range map[string]struct {
		content string
		want    *Parsed
		wantErr string
	}{
		"the simple form": {
			content: "approvers: [a, b]\nreviewers:\n- c\nrequired_reviewers: [d]\nlabels: [kind/x]\n",
			want: &Parsed{Simple: true, Filters: all(People{
				Approvers: []string{"a", "b"}, Reviewers: []string{"c"}, RequiredReviewers: []string{"d"}, Labels: []string{"kind/x"}})},
		},
		"the full form": {
			content: "options: {no_parent_owners: true}\nfilters:\n  '\\.go$': {approvers: [x]}\n  .*: {reviewers: [y]}\n",
			want: &Parsed{Options: Options{NoParentOwners: true},
				Filters: map[string]People{`\.go$`: {Approvers: []string{"x"}}, ".*": {Reviewers: []string{"y"}}}},
		},
		"people beside filters make the file simple": {
			content: "labels: [l]\nfilters: {x: {approvers: [y]}}\n",
			want:    &Parsed{Simple: true, Filters: all(People{Labels: []string{"l"}})},
		},
		"options alone":                           {content: "options: {no_parent_owners: true, auto_approve_unowned_subfolders: true}\n", want: &Parsed{Options: Options{NoParentOwners: true, AutoApproveUnownedSubfolders: true}}},
		"an empty file names nobody":              {content: "", want: &Parsed{}},
		"unknown keys are ignored":                {content: "approvers: [a]\nemeritus_approvers: [b]\n", want: &Parsed{Simple: true, Filters: all(People{Approvers: []string{"a"}})}},
		"numbers are names":                       {content: "approvers: [123]\n", want: &Parsed{Simple: true, Filters: all(People{Approvers: []string{"123"}})}},
		"no YAML":                                 {content: "approvers: [a\n", wantErr: "yaml"},
		"a login where a list is wanted":          {content: "approvers: a\n", wantErr: "approvers"},
		"wrong people beside filters do not harm": {content: "approvers: a\nfilters: {x: {approvers: [y]}}\n", want: &Parsed{Filters: map[string]People{"x": {Approvers: []string{"y"}}}}},
		"YAML aliases and merges count": {content: "filters:\n  a: &a {approvers: [x], labels: [l]}\n  b: {<<: *a, approvers: [y]}\n", want: &Parsed{Filters: map[string]People{
			"a": {Approvers: []string{"x"}, Labels: []string{"l"}}, "b": {Approvers: []string{"y"}, Labels: []string{"l"}}}}},
		"a map that merges itself": {content: "filters: &a {<<: *a, <<: *a}\n", wantErr: "more than"},
		"too large":                {content: strings.Repeat("#", maxFile+1), wantErr: "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.content))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseMarkdown(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		want    []string
		none    bool
	}{
		"a block at the head":                      {content: "---\napprovers: [z]\n---\n# Title\n", want: []string{"z"}},
		"no block":                                 {content: "# Title\n", none: true},
		"a block that does not end":                {content: "---\napprovers: [z]\n", none: true},
		"the last line of dashes ends the block":   {content: "---\napprovers: [z]\n---\nreviewers: [y]\n---\n", want: []string{"z"}},
		"only the line that opens, and its ending": {content: "---\n---", want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseMarkdown([]byte(tc.content))
			if err != nil {
				t.Fatal(err)
			}
			if (got == nil) != tc.none {
				t.Fatalf("got %+v", got)
			}
			if got != nil {
				if diff := cmp.Diff(tc.want, got.Filters[MatchAll].Approvers); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestParseAliases(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		want    Aliases
		wantErr string
	}{
		"names and members are normalised":    {content: "aliases: {TeamA: ['@BOB', Alice]}", want: Aliases{"teama": {"bob", "alice"}}},
		"null is empty":                       {content: "aliases:\n  a:\n", want: Aliases{"a": {}}},
		"a flow map is a set":                 {content: "aliases: {a: {x, y}}", want: Aliases{"a": {"x", "y"}}},
		"a text is an error, others are kept": {content: "aliases: {a: x, b: [y]}", want: Aliases{"b": {"y"}}, wantErr: "aliases.a"},
		"a number is an error":                {content: "aliases: {a: [1]}", want: Aliases{}, wantErr: "aliases.a"},
		"no aliases":                          {content: "", want: Aliases{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseAliases([]byte(tc.content))
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error %v, want %q", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"approvers: [a]", "filters: {x: {labels: [y]}}", "---\napprovers: [z]\n---", "aliases: {a: {x, y}}", "a: &a [*a]", "- !!binary x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = ParseAliases(content)
		_, _ = ParseMarkdown(content)
		parsed, err := Parse(content)
		if (parsed == nil) == (err == nil) {
			t.Errorf("parsed %v, error %v", parsed, err)
		}
		index := &Index{data: build([]source{{"OWNERS", content}, {"OWNERS_ALIASES", content}, {"x.md", content}}, Settings{Owners: "OWNERS", Aliases: "OWNERS_ALIASES", Markdown: true})}
		for login := range index.AllOwners() {
			if Normalize(login) != login && !strings.HasPrefix(login, "@") {
				t.Errorf("login %q is not normalised", login)
			}
		}
		index.Approvers("a/b.go")
		index.LeafReviewers("x.md")
	})
}
