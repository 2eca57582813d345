package owners

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"
)

// tree is the files of a commit that counts how often contents are read.
type tree struct {
	files map[string]string
	reads *atomic.Int32
}

func (t tree) List(_ context.Context, visit func(path, blob string)) error {
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range t.files {
			if !yield(name) {
				return
			}
		}
	}) {
		visit(name, t.files[name])
	}
	return nil
}

func (t tree) Read(_ context.Context, blobs []string, _ int64, visit func(int, []byte)) error {
	t.reads.Add(1)
	for i, b := range blobs {
		visit(i, []byte(b))
	}
	return nil
}

// forge has one branch and collaborators.
type forge struct {
	head          string
	collaborators []string
	err           error
}

func (f forge) GetRef(context.Context, string, string, string) (string, error) { return f.head, nil }
func (f forge) CollaboratorLogins(context.Context, string, string) ([]string, error) {
	return f.collaborators, f.err
}

var builtin = []string{`\.git$`, `_output$`, `vendor/.*/.*`}

func load(t testing.TB, files map[string]string, settings Settings) *Index {
	t.Helper()
	settings.SkipCollaborators = true
	index, err := client(map[string]map[string]string{sha(1): files}, settings, forge{}).LoadRepoOwners(t.Context(), "o", "r", sha(1))
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func sha(n int) string { return fmt.Sprintf("%040x", n) }

func client(commits map[string]map[string]string, settings Settings, f forge) *Client {
	reads := &atomic.Int32{}
	return &Client{
		Forge: f, Settings: func(string, string) Settings { return settings }, Log: slog.New(slog.DiscardHandler),
		Cache: NewCache(func(_ context.Context, _, _, commit string, read func(Tree) error) error {
			files, ok := commits[commit]
			if !ok {
				return errors.New("no such commit")
			}
			return read(tree{files, reads})
		}),
	}
}

func names(s sets.Set[string]) string { return strings.Join(sets.List(s), " ") }

func layers(l Layers) string {
	var levels []string
	for _, level := range l {
		levels = append(levels, names(level))
	}
	return strings.Join(levels, " | ")
}

func TestIndex(t *testing.T) {
	files := map[string]string{
		"OWNERS":              "approvers: ['@Alice', TeamA]\nreviewers: [rita]\nrequired_reviewers: [sec]\nlabels: [Root]",
		"OWNERS_ALIASES":      "aliases: {teama: [BOB]}",
		"a/OWNERS":            "filters:\n  '\\.go$': {approvers: [x]}\n  .*: {approvers: [y], labels: [area/a]}",
		"a/b/c/OWNERS":        "approvers: [carl]\noptions: {no_parent_owners: true}",
		"f/OWNERS":            "filters: {'^only/': {approvers: [x]}}\noptions: {no_parent_owners: true}",
		"auto/OWNERS":         "approvers: [x]\noptions: {auto_approve_unowned_subfolders: true}",
		"bad/OWNERS":          "approvers: [",
		"re/OWNERS":           "filters: {'(': {approvers: [x]}, 'ok': {approvers: [y]}}",
		"vendor/OWNERS":       "approvers: [v]",
		"vendor/x/y/OWNERS":   "approvers: [w]",
		"docs/a.md":           "---\napprovers: [z]\n---\n",
		"docs/b.md":           "# Just text\n",
		"docs/OWNERS_ALIASES": "aliases: {rita: [nobody]}",
	}
	x := load(t, files, Settings{DenyDirs: builtin, Markdown: true})
	for what, tc := range map[string]struct{ got, want string }{
		"aliases are expanded and names normalised":               {layers(x.Approvers("main.go")), "alice bob"},
		"filters match relative to their directory":               {layers(x.Approvers("a/b.go")), "x y | alice bob"},
		"only the filters that match count":                       {layers(x.Approvers("a/b.md")), "y | alice bob"},
		"leaf approvers":                                          {names(x.LeafApprovers("a/deep/er/b.go")), "x y"},
		"leaf approvers of a place without owners":                {names(x.LeafApprovers("q/w/e")), "alice bob"},
		"no_parent_owners stops":                                  {layers(x.Approvers("a/b/c/d")), "carl"},
		"but not the search for reviewers, of whom it names none": {layers(x.Reviewers("a/b/c/d")), "rita"},
		"nor where its filters do not match":                      {layers(x.Approvers("f/x")), "alice bob"},
		"it stops where they match":                               {layers(x.Approvers("f/only/x")), "x"},
		"required reviewers come from all levels":                 {names(x.RequiredReviewers("a/b")), "sec"},
		"labels as written":                                       {names(x.Labels("a/b")), "Root area/a"},
		"the owners' directory is the deepest":                    {x.FindApproverOwnersForFile("a/b/c/d/e"), "a/b/c"},
		"the owners' directory for reviewers":                     {x.FindReviewersOwnersForFile("a/b/c/d/e"), ""},
		"a bad file is ignored":                                   {layers(x.Approvers("bad/x")), "alice bob"},
		"a bad expression is ignored, not its file":               {layers(x.Approvers("re/ok")), "y | alice bob"},
		"a denied directory is ignored":                           {names(x.LeafApprovers("vendor/x/y/z")), "v"},
		"Markdown carries its own":                                {names(x.LeafApprovers("docs/a.md")), "z"},
		"the directory of Markdown is the file":                   {x.FindApproverOwnersForFile("docs/a.md"), "docs/a.md"},
		"Markdown without a block asks the parent":                {names(x.LeafApprovers("docs/b.md")), "alice bob"},
		"a directory does not own its own name":                   {names(x.LeafApprovers("a/b/c")), "y"},
		"top-level approvers":                                     {names(x.TopLevelApprovers()), "alice bob"},
		"all approvers":                                           {names(x.AllApprovers()), "alice bob carl v x y z"},
		"all owners":                                              {names(x.AllOwners()), "alice bob carl rita v x y z"},
		"aliases count only at the root":                          {names(x.LeafReviewers("docs/x")), "rita"},
		"options are of exactly the directory":                    {fmt.Sprint(x.IsNoParentOwners("a/b/c"), x.IsNoParentOwners("a/b/c/d"), x.IsNoParentOwners("")), "true false false"},
		"auto approval":                                           {fmt.Sprint(x.IsAutoApproveUnownedSubfolders("auto"), x.IsAutoApproveUnownedSubfolders("a")), "true false"},
		"paths that lead elsewhere stay inside":                   {layers(x.Approvers("../../main.go")), "alice bob"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %q, want %q", what, tc.got, tc.want)
		}
	}
	var problems []string
	for _, p := range x.Problems() {
		problems = append(problems, p.Path)
	}
	if diff := cmp.Diff([]string{"bad/OWNERS", "re/OWNERS"}, problems); diff != "" {
		t.Errorf("problems: %s", diff)
	}
	if x := load(t, files, Settings{}); names(x.LeafApprovers("vendor/x/y/z")) != "w" || names(x.LeafApprovers("docs/a.md")) != "alice bob" {
		t.Error("without a deny list all directories count, and without Markdown no Markdown")
	}
	if x := load(t, files, Settings{DenyDirs: []string{"(", "."}}); names(x.LeafApprovers("a/b.go")) != "alice bob" {
		t.Error("an expression that matches everything must not take the root")
	}
	if x := load(t, map[string]string{"MINE": "approvers: [m, al]", "A": "aliases: {al: [n]}"}, Settings{Owners: "MINE", Aliases: "A"}); names(x.LeafApprovers("f")) != "m n" {
		t.Error("other file names must count")
	}
}

func TestCollaborators(t *testing.T) {
	files := map[string]map[string]string{sha(1): {
		"OWNERS":   "approvers: [alice, bob]\nrequired_reviewers: [bob]",
		"a/OWNERS": "approvers: [bob]\noptions: {no_parent_owners: true}",
	}}
	x, err := client(files, Settings{}, forge{collaborators: []string{"Alice"}}).LoadRepoOwners(t.Context(), "o", "r", sha(1))
	if err != nil {
		t.Fatal(err)
	}
	if got := layers(x.Approvers("f")); got != "alice" {
		t.Errorf("approvers %q", got)
	}
	if got := names(x.RequiredReviewers("f")); got != "bob" {
		t.Errorf("required reviewers %q", got)
	}
	if got := layers(x.Approvers("a/f")); got != "alice" {
		t.Errorf("a level without collaborators must be as one without people, got %q", got)
	}
	broken := forge{err: errors.New("502")}
	if _, err := client(files, Settings{}, broken).LoadRepoOwners(t.Context(), "o", "r", sha(1)); err == nil {
		t.Error("strangers must not count because collaborators cannot be listed")
	}
	if x, err = client(files, Settings{SkipCollaborators: true}, broken).LoadRepoOwners(t.Context(), "o", "r", sha(1)); err != nil || layers(x.Approvers("f")) != "alice bob" {
		t.Errorf("got %v, error %v", x, err)
	}
}

func TestCommitsAreReadOnceAndAgainOnlyForOtherOwners(t *testing.T) {
	reads := &atomic.Int32{}
	commits := map[string]map[string]string{
		sha(1): {"OWNERS": "approvers: [a]", "x": "1"},
		sha(2): {"OWNERS": "approvers: [a]", "x": "2"},
		sha(3): {"OWNERS": "approvers: [a]", "a/OWNERS": "approvers: [b]"},
	}
	fail := true
	c := &Client{
		Forge: forge{head: sha(2)}, Settings: func(string, string) Settings { return Settings{SkipCollaborators: true} }, Log: slog.New(slog.DiscardHandler),
		Cache: NewCache(func(_ context.Context, _, _, commit string, read func(Tree) error) error {
			if fail {
				return errors.New("the forge is down")
			}
			return read(tree{commits[commit], reads})
		}),
	}
	if _, err := c.LoadRepoOwners(t.Context(), "o", "r", sha(1)); err == nil {
		t.Error("an error must be told")
	}
	fail = false
	for n, step := range []struct {
		commit string
		reads  int32
	}{{sha(1), 1}, {sha(1), 1}, {"main", 1}, {sha(3), 2}, {sha(2), 2}} {
		if _, err := c.LoadRepoOwners(t.Context(), "o", "r", step.commit); err != nil {
			t.Fatal(err)
		}
		if got := reads.Load(); got != step.reads {
			t.Errorf("step %d: %d reads, want %d", n, got, step.reads)
		}
	}
}

func BenchmarkApproversOf500Files(b *testing.B) {
	files := map[string]string{}
	for i := range 5000 {
		files[fmt.Sprintf("d%d/e%d/OWNERS", i%50, i)] = fmt.Sprintf("approvers: [u%d, u%d]\nreviewers: [r%d]", i%97, i%31, i%13)
	}
	x := load(b, files, Settings{})
	b.ReportAllocs()
	for b.Loop() {
		for i := range 500 {
			x.Approvers(fmt.Sprintf("d%d/e%d/f/g.go", i%50, i))
		}
	}
}

func BenchmarkBuild5000Files(b *testing.B) {
	var files []source
	for i := range 5000 {
		files = append(files, source{filepath.Join(fmt.Sprintf("d%d/e%d", i%50, i), "OWNERS"), fmt.Appendf(nil, "approvers:\n- u%d\n- u%d\nreviewers: [r%d]\n", i%97, i%31, i%13)})
	}
	for b.Loop() {
		build(files, Settings{Owners: "OWNERS", Aliases: "OWNERS_ALIASES"})
	}
}

// The time of a query must not depend on how many OWNERS files there are.
func BenchmarkQueriesByTreeSize(b *testing.B) {
	for _, size := range []int{100, 20000} {
		files := map[string]string{}
		for i := range size {
			files[fmt.Sprintf("d%d/e%d/OWNERS", i%50, i)] = fmt.Sprintf("approvers: [u%d]\nreviewers: [r%d]\nlabels: [l%d]", i%97, i%13, i%7)
		}
		x := load(b, files, Settings{})
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				file := fmt.Sprintf("d%d/e%d/f/g/h.go", i%50, i%100)
				x.Labels(file)
				x.LeafReviewers(file)
				x.FindReviewersOwnersForFile(file)
			}
		})
	}
}

// BenchmarkIndexOf100000Paths reads a commit of 100,000 files, 5,000 of them OWNERS
// files of different content.
func BenchmarkIndexOf100000Paths(b *testing.B) {
	files := map[string]string{}
	for i := range 5000 {
		files[fmt.Sprintf("d%d/e%d/OWNERS", i%50, i)] = fmt.Sprintf("approvers: [u%d, u%d]\nreviewers: [r%d]\n# %d", i%97, i%31, i%13, i)
	}
	for i := range 95_000 {
		files[fmt.Sprintf("d%d/e%d/f%d.go", i%50, i%5000, i)] = ""
	}
	for b.Loop() {
		load(b, files, Settings{DenyDirs: []string{`\.git$`, `_output$`, `vendor/.*/.*`}})
	}
}
