package owners

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
)

// wantApprovers checks the approvers of a path, level by level.
func wantApprovers(t *testing.T, x *Index, path, want string) {
	t.Helper()
	if got := layers(x.Approvers(path)); got != want {
		t.Errorf("approvers of %s: %q, want %q", path, got, want)
	}
}

func TestProbe30_NamesAreNormalisedAndAliasesExpanded(t *testing.T) {
	x := load(t, map[string]string{"OWNERS": `approvers: ["@Alice", TeamA]`, "OWNERS_ALIASES": "aliases: {teama: [BOB]}"}, Settings{})
	wantApprovers(t, x, "f", "alice bob")
}

func TestProbe31_Filters(t *testing.T) {
	x := load(t, map[string]string{"a/OWNERS": "filters:\n  \"\\\\.go$\": {approvers: [x]}\n  \".*\": {approvers: [y]}\n"}, Settings{})
	wantApprovers(t, x, "a/b.go", "x y")
	wantApprovers(t, x, "a/b.md", "y")
}

func TestProbe32_ParentsThatDoNotCount(t *testing.T) {
	root := "approvers: [r]"
	x := load(t, map[string]string{"OWNERS": root, "a/OWNERS": "options: {no_parent_owners: true}\napprovers: [x]"}, Settings{})
	wantApprovers(t, x, "a/f", "x")
	x = load(t, map[string]string{"OWNERS": root, "a/OWNERS": "options: {no_parent_owners: true}\nfilters: {nosuch: {approvers: [x]}}"}, Settings{})
	wantApprovers(t, x, "a/f", "r")
}

func TestProbe33_OnlyCollaboratorsCount(t *testing.T) {
	commits := map[string]map[string]string{sha(1): {"OWNERS": "approvers: [alice, bob]\nrequired_reviewers: [bob]"}}
	for skip, want := range map[bool]string{false: "alice", true: "alice bob"} {
		x, err := client(commits, Settings{SkipCollaborators: skip}, forge{collaborators: []string{"alice"}}).LoadRepoOwners(t.Context(), "o", "r", sha(1))
		if err != nil {
			t.Fatal(err)
		}
		wantApprovers(t, x, "f", want)
		if got := names(x.RequiredReviewers("f")); got != "bob" {
			t.Errorf("required reviewers %q", got)
		}
	}
}

func TestProbe34_DeniedDirectories(t *testing.T) {
	files := map[string]string{"vendor/OWNERS": "approvers: [v]", "vendor/x/y/OWNERS": "approvers: [w]"}
	for _, tc := range []struct {
		deny          []string
		shallow, deep string
	}{{builtin, "v", "v"}, {nil, "v", "w"}} {
		x := load(t, files, Settings{DenyDirs: tc.deny})
		if shallow, deep := names(x.LeafApprovers("vendor/f")), names(x.LeafApprovers("vendor/x/y/f")); shallow != tc.shallow || deep != tc.deep {
			t.Errorf("without %q: %q and %q, want %q and %q", tc.deny, shallow, deep, tc.shallow, tc.deep)
		}
	}
}

func TestProbe35_Markdown(t *testing.T) {
	x := load(t, map[string]string{"docs/OWNERS": "approvers: [p]", "docs/a.md": "---\napprovers: [z]\n---\ntext\n", "docs/b.md": "text\n"}, Settings{Markdown: true})
	if a, b := names(x.LeafApprovers("docs/a.md")), names(x.LeafApprovers("docs/b.md")); a != "z" || b != "p" {
		t.Errorf("approvers %q and %q", a, b)
	}
}

func TestProbe36_OwnersAreReadOncePerChangeOfThem(t *testing.T) {
	commits := map[string]map[string]string{
		sha(1): {"OWNERS": "approvers: [r]", "x": "1"},
		sha(2): {"OWNERS": "approvers: [r]", "x": "2"},
		sha(3): {"OWNERS": "approvers: [r]", "x": "2", "a/OWNERS": "approvers: [a]"},
	}
	clones, reads := 0, &atomic.Int32{}
	c := &Client{
		Forge: forge{}, Settings: func(string, string) Settings { return Settings{SkipCollaborators: true} }, Log: slog.New(slog.DiscardHandler),
		Cache: NewCache(func(_ context.Context, _, _, commit string, read func(Tree) error) error {
			clones++
			return read(tree{commits[commit], reads})
		}),
	}
	for _, step := range []struct {
		what, commit  string
		clones, reads int
		approvers     string
	}{
		{"the first event", sha(1), 1, 1, "r"},
		{"another of the same base", sha(1), 1, 1, "r"},
		{"a base whose owners are the same", sha(2), 2, 1, "r"},
		{"a base with other owners", sha(3), 3, 2, "a | r"},
	} {
		x, err := c.LoadRepoOwners(t.Context(), "o", "r", step.commit)
		if err != nil {
			t.Fatal(err)
		}
		wantApprovers(t, x, "a/f", step.approvers)
		if clones != step.clones || int(reads.Load()) != step.reads {
			t.Errorf("%s: %d listings and %d reads, want %d and %d", step.what, clones, reads.Load(), step.clones, step.reads)
		}
	}
}
