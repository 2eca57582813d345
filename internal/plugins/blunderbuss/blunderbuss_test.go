package blunderbuss

import (
	"path"
	"slices"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"
	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
)

// tree are owners by directory, "." being the root.
type tree struct{ reviewers, approvers, required map[string]string }

func layers(of map[string]string, file string) (out owners.Layers) {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if of[dir] != "" {
			out = append(out, sets.New(strings.Fields(of[dir])...))
		}
		if dir == "." {
			return out
		}
	}
}

func leaf(of map[string]string, file string) sets.Set[string] {
	if l := layers(of, file); len(l) > 0 {
		return l[0]
	}
	return nil
}

func deepest(of map[string]string, file string) string {
	dir := path.Dir(file)
	for ; of[dir] == "" && dir != "."; dir = path.Dir(dir) {
	}
	return dir
}

func (t tree) FindReviewersOwnersForFile(f string) string  { return deepest(t.reviewers, f) }
func (t tree) LeafReviewers(f string) sets.Set[string]     { return leaf(t.reviewers, f) }
func (t tree) Reviewers(f string) owners.Layers            { return layers(t.reviewers, f) }
func (t tree) FindApproverOwnersForFile(f string) string   { return deepest(t.approvers, f) }
func (t tree) LeafApprovers(f string) sets.Set[string]     { return leaf(t.approvers, f) }
func (t tree) Approvers(f string) owners.Layers            { return layers(t.approvers, f) }
func (t tree) RequiredReviewers(f string) sets.Set[string] { return layers(t.required, f).Union() }

func TestChoices(t *testing.T) {
	type m = map[string]string
	for name, tc := range map[string]struct {
		tree     tree
		files    string
		n, limit int
		fallback bool
		busy     string
		// always are asked in any case, some of these are, so that there are count.
		always, some string
		count        int
	}{
		"as many as wanted":                         {tree: tree{reviewers: m{".": "a b c d"}}, files: "x", n: 2, some: "a b c d", count: 2},
		"never the author":                          {tree: tree{reviewers: m{".": "me a"}}, files: "x", n: 2, always: "a", count: 1},
		"one for each directory":                    {tree: tree{reviewers: m{"a": "a", "b": "b", "c": "c", ".": "r"}}, files: "a/x a/y b/x c/x", n: 1, always: "a b c", count: 3},
		"but not more than the limit":               {tree: tree{reviewers: m{"a": "a", "b": "b", "c": "c"}}, files: "a/x b/x c/x", n: 1, limit: 2, some: "a b c", count: 2},
		"those closest first":                       {tree: tree{reviewers: m{"a": "a b", ".": "r"}}, files: "a/x", n: 2, always: "a b", count: 2},
		"then those further up":                     {tree: tree{reviewers: m{"a/b": "b", "a": "a", ".": "r s"}}, files: "a/b/x", n: 3, always: "a b", some: "r s", count: 3},
		"approvers where reviewers are too few":     {tree: tree{reviewers: m{".": "a"}, approvers: m{".": "p q r"}}, files: "x", n: 2, fallback: true, always: "a", some: "p q r", count: 2},
		"no more of them than wanted":               {tree: tree{approvers: m{"a": "p", "b": "q", "c": "r"}}, files: "a/x b/x c/x", n: 2, fallback: true, some: "p q r", count: 2},
		"no approvers if they are excluded":         {tree: tree{reviewers: m{".": "a"}, approvers: m{".": "p"}}, files: "x", n: 2, always: "a", count: 1},
		"not who is busy":                           {tree: tree{reviewers: m{".": "a b"}}, files: "x", n: 2, busy: "a", always: "b", count: 1},
		"required ones come on top":                 {tree: tree{reviewers: m{".": "a"}, required: m{"a": "z", ".": "y"}}, files: "a/x", n: 1, limit: 1, always: "a y z", count: 3},
		"but not the author, and nobody twice":      {tree: tree{reviewers: m{".": "a"}, required: m{".": "me a"}}, files: "x", n: 1, always: "a", count: 1},
		"a directory whose people are taken has no": {tree: tree{reviewers: m{"a": "a", "b": "a", ".": "r s"}}, files: "a/x b/x", n: 2, always: "a", some: "r s", count: 2},
		"nobody owns anything":                      {tree: tree{}, files: "x", n: 2, fallback: true},
	} {
		for delivery := range 20 {
			c := choice{random: randomFor(string(rune('a'+delivery)), 1), author: "me", busy: func(login string) bool { return login == tc.busy }}
			got := c.choose(tc.tree, strings.Fields(tc.files), tc.n, tc.limit, tc.fallback)
			possible := append(strings.Fields(tc.always), strings.Fields(tc.some)...)
			if len(got) != tc.count || sets.New(got...).Len() != len(got) || !sets.New(possible...).HasAll(got...) || !sets.New(got...).HasAll(strings.Fields(tc.always)...) {
				t.Errorf("%s: got %q", name, got)
			}
			again := choice{random: randomFor(string(rune('a'+delivery)), 1), author: "me", busy: c.busy}
			if same := again.choose(tc.tree, strings.Fields(tc.files), tc.n, tc.limit, tc.fallback); !slices.Equal(got, same) {
				t.Errorf("%s: handled again, %q became %q", name, got, same)
			}
		}
	}
}

func TestChoicesDifferBetweenDeliveries(t *testing.T) {
	seen := sets.New[string]()
	for delivery := range 50 {
		c := choice{random: randomFor(string(rune('a'+delivery)), 1)}
		seen.Insert(c.choose(tree{reviewers: map[string]string{".": "a b c"}}, []string{"x"}, 1, 0, false)...)
	}
	if len(seen) != 3 {
		t.Errorf("only %q were chosen", sets.List(seen))
	}
}

func TestIgnored(t *testing.T) {
	cfg := &pluginconfig.Blunderbuss{IgnoreDrafts: true, IgnoreAuthors: []string{"Robot"}}
	for name, tc := range map[string]struct {
		pr   github.PullRequest
		want bool
	}{
		"an ordinary one":             {github.PullRequest{}, false},
		"a draft":                     {github.PullRequest{Draft: true}, true},
		"an author who is ignored":    {github.PullRequest{User: github.User{Login: "robot"}}, true},
		"a text that chooses":         {github.PullRequest{Body: "text\r\n/CC @bob\r\n"}, true},
		"or takes back":               {github.PullRequest{Body: "/uncc"}, true},
		"not in a comment of HTML":    {github.PullRequest{Body: "<!--\n/cc @bob\n-->"}, false},
		"not in the middle of a line": {github.PullRequest{Body: "use /cc @bob"}, false},
		"the command to choose":       {github.PullRequest{Body: "/auto-cc"}, false},
	} {
		if got := ignores(cfg, &tc.pr); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestProbe22_Reviewers(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "blunderbuss: {request_count: 1}"})
	w.Push("change", map[string]string{"x": "y"})
	n := w.Pull("eve", "change", "T", "")
	w.WantReviewers(n, "bob")
	w.HandleAgain("pull_request/opened")
	w.WantReviewers(n, "bob")
	w.Push("other", map[string]string{"x": "z"})
	n = w.Pull("eve", "other", "T", "/cc @alice")
	w.WantReviewers(n, "")
	w.Comment("eve", n, "please\r\n/auto-cc\r\n")
	w.WantReviewers(n, "bob")
	w.Push("third", map[string]string{"x": "q"})
	w.WantReviewers(w.Pull("bob", "third", "T", ""), "alice") // the only approver
}

func TestDraftsAndAwaitedStatuses(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "blunderbuss: {request_count: 1, exclude_approvers: true, ignore_drafts: true}"})
	w.Push("change", map[string]string{"x": "y"})
	n := w.OpenPull("eve", gogithub.NewPullRequest{Head: gogithub.Ptr("change"), Title: gogithub.Ptr("T"), Draft: gogithub.Ptr(true)})
	w.WantReviewers(n, "")
	w.Draft("eve", n, false)
	w.WantReviewers(n, "bob")

	w = plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "blunderbuss: {request_count: 1, wait_for_status: {context: ready, state: success, description: '^go'}}"})
	sha := w.Push("change", map[string]string{"x": "y"})
	n = w.Pull("eve", "change", "T", "")
	w.WantReviewers(n, "")
	w.Status(sha, "ready", "success")
	w.WantReviewers(n, "")
	w.DescribedStatus(sha, "ready", "pending", "go")
	w.WantReviewers(n, "")
	w.DescribedStatus(sha, "ready", "success", "go on")
	w.WantReviewers(n, "bob")
	sha = w.Push("change", map[string]string{"x": "z"})
	if _, err := w.As("boss").PullRequests.RemoveReviewers(t.Context(), "o", "r", n, gogithub.ReviewersRequest{Reviewers: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	w.DescribedStatus(w.Parent(sha), "ready", "success", "go on again")
	w.WantReviewers(n, "") // an older commit
	w.DescribedStatus(sha, "ready", "success", "go on again")
	w.WantReviewers(n, "bob")
	w.HandleAgain("status")
	w.WantReviewers(n, "bob")
}
