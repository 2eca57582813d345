package cherrypicker

import (
	"fmt"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins/plugintest"
)

func TestRequestsInATextAreFound(t *testing.T) {
	for text, want := range map[string]string{
		"/cherrypick release-1":          "release-1",
		"/cherry-pick release-1\r":       "release-1",
		"/cherrypick b\n/cherrypick a":   "a b",
		"/cherrypick a b c":              "a>b,c",
		"/cherrypick a b\n/cherrypick a": "a>b",
		"/cherrypick":                    "",
		"/cherrypick  \t ":               "",
		"/cherrypick\nmain":              "",
		"text /cherrypick a":             "",
		"```\n/cherrypick a\n```":        "",
		"<!-- \n/cherrypick a\n-->":      "",
		"/cherrypicked a":                "",
	} {
		var got []string
		for _, r := range requestsIn(text, github.User{}) {
			s := r.target
			if len(r.chain) > 0 {
				s += ">" + strings.Join(r.chain, ",")
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("/cherrypick a b\r\n/cherry-pick \u00a0 \n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range requestsIn(text, github.User{}) {
			if r.target == "" || strings.ContainsAny(r.target, " \n\r\t") || len(r.chain) > maxChain {
				t.Errorf("%q asks for %+v", text, r)
			}
		}
	})
}

func TestTitlesAndTexts(t *testing.T) {
	if got := titleFor("[main] Fix [main] x", "main", "release-1"); got != "[release-1] Fix [main] x" {
		t.Error(got)
	}
	pr := &github.PullRequest{Number: 7, Body: "Why.\n```release-note\r\nIt works. @everyone\r\n```\n/lgtm"}
	got := bodyFor(pr, request{target: "a", chain: []string{"b", "c"}, by: github.User{Login: "alice"}}, []github.Label{{Name: "kind/feature"}, {Name: "x"}, {Name: "kind/bug"}}, true)
	want := "This is an automated cherry-pick of #7\n\n/assign alice\n\n```release-note\nIt works. @everyone\n```\n\n/cherrypick b c\n\n/kind bug\n/kind feature"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func newWorld(t *testing.T, s settings) *plugintest.World {
	t.Helper()
	t.Parallel()
	if s.labelPrefix == "" {
		s.labelPrefix = "cherrypick/"
	}
	s.identity = (&github.Flags{Host: "forge.example"}).Identity
	w := plugintest.New(t, plugintest.Options{Plugin: newPlugin(s).describe()})
	w.Push("release", map[string]string{"released": "1"})
	return w
}

// copies are the titles of the open pull requests to a branch.
func copies(t *testing.T, w *plugintest.World, base string) (out []*gogithub.PullRequest) {
	t.Helper()
	pulls, _, err := w.As("boss").PullRequests.List(t.Context(), plugintest.Org, plugintest.Repo, &gogithub.PullRequestListOptions{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	return pulls
}

func merge(t *testing.T, w *plugintest.World, number int) {
	t.Helper()
	if _, _, err := w.As("boss").PullRequests.Merge(t.Context(), plugintest.Org, plugintest.Repo, number, "", nil); err != nil {
		t.Fatal(err)
	}
	w.Settle()
}

func TestProbe38_ACommandBeforeTheMergeIsDoneAfterIt(t *testing.T) {
	w := newWorld(t, settings{assign: true, labels: []string{"backport"}})
	w.Push("change", map[string]string{"fix": "y"})
	n := w.Pull("alice", "change", "Fix it", "```release-note\nfixed\n```")
	w.Comment("eve", n, "/cherrypick release")
	w.WantComments(n, "only [o](https://github.com/orgs/o/people) org members may request cherry picks")
	w.Comment("bob", n, "/cherrypick main")
	w.Comment("bob", n, "/cherrypick release")
	w.WantComments(n, "only [o]", "needs to differ from target branch", "once the present PR merges, I will cherry-pick it on top of `release`")
	if got := copies(t, w, "release"); len(got) != 0 {
		t.Fatalf("it was copied before the merge: %v", got)
	}
	merge(t, w, n)
	pulls := copies(t, w, "release")
	if len(pulls) != 1 || pulls[0].GetTitle() != "[release] Fix it" || pulls[0].GetHead().GetRef() != branchFor(n, "release") || pulls[0].GetUser().GetLogin() != "bot" {
		t.Fatalf("copies %+v", pulls)
	}
	if body := pulls[0].GetBody(); !strings.Contains(body, "/assign bob") || !strings.Contains(body, "```release-note\nfixed\n```") {
		t.Errorf("text %q", body)
	}
	commit, _, err := w.As("boss").Repositories.GetCommit(t.Context(), plugintest.Org, plugintest.Repo, pulls[0].GetHead().GetSHA(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if by := commit.GetCommit().GetCommitter(); by.GetName() != "bot" || by.GetEmail() != "bot@users.noreply.forge.example" || commit.GetCommit().GetAuthor().GetName() != "Boss" {
		t.Errorf("committed by %v, author %v", by, commit.GetCommit().GetAuthor())
	}
	if got := w.Labels(pulls[0].GetNumber()); got != "backport" {
		t.Errorf("labels %q", got)
	}
	told := w.Comments(n)
	if _, err := w.As("boss").Issues.DeleteComment(t.Context(), plugintest.Org, plugintest.Repo, told[len(told)-1].ID); err != nil {
		t.Fatal(err)
	}
	w.HandleAgain("pull_request/closed") // as if the process had died before it told
	w.HandleAgain("pull_request/closed")
	w.WantComments(n, "only [o]", "needs to differ", "once the present PR merges", "needs to differ", "new pull request created")
	w.Comment("bob", n, "/cherrypick release")
	if got := w.BotComments(n); !strings.Contains(got[len(got)-1], "already been cherry picked") || len(copies(t, w, "release")) != 1 {
		t.Errorf("comments %q", got)
	}
	w.HandleAgain(github.EventIssueComment)
	if len(copies(t, w, "release")) != 1 {
		t.Error("a repeated delivery copies again")
	}
}

func TestProbe38_CopiesAreChained(t *testing.T) {
	w := newWorld(t, settings{assign: true})
	w.Push("rel-1", nil)
	w.Push("change", map[string]string{"fix": "y"})
	n := w.Pull("alice", "change", "[main] fix", "")
	merge(t, w, n)
	w.Comment("eve", n, "/cherrypick rel-1 rel-2")
	w.Comment("bob", n, "/cherrypick main")
	w.Comment("bob", n, "/cherrypick  \t ")
	w.WantComments(n, "only [o]", "needs to differ from target branch")
	w.Comment("bob", n, "/cherrypick rel-1 rel-2")
	pulls := copies(t, w, "rel-1")
	if len(pulls) != 1 || pulls[0].GetTitle() != "[rel-1] fix" || pulls[0].GetHead().GetRef() != fmt.Sprintf("cherry-pick-%d-to-rel-1", n) {
		t.Fatalf("copies %+v", pulls)
	}
	for _, want := range []string{"/assign bob", "/cherrypick rel-2"} {
		if !strings.Contains(pulls[0].GetBody(), want) {
			t.Errorf("the text has no %q: %s", want, pulls[0].GetBody())
		}
	}
}

func TestALabelAsksToo(t *testing.T) {
	w := newWorld(t, settings{})
	w.Push("change", map[string]string{"fix": "y"})
	n := w.Pull("alice", "change", "Fix it", "")
	w.AddLabel("boss", n, "cherrypick/release")
	w.WantComments(n, "once the present PR merges")
	if got := w.BotComments(n)[0]; !strings.Contains(got, `In response to the label "cherrypick/release"`) || !strings.HasPrefix(got, "@alice: ") {
		t.Errorf("%q", got)
	}
	merge(t, w, n)
	if got := copies(t, w, "release"); len(got) != 1 {
		t.Errorf("copies %v", got)
	}
}

func TestProbe38_AConflictIsTold(t *testing.T) {
	w := newWorld(t, settings{createIssueOnConflict: true})
	w.Push("release", map[string]string{"fix": "other"})
	w.Push("change", map[string]string{"fix": "y"})
	n := w.Pull("alice", "change", "Fix it", "/cherrypick release nosuch")
	merge(t, w, n)
	w.HandleAgain("pull_request/closed")
	got := w.BotComments(n)
	if len(got) != 1 || !strings.Contains(got[0], "failed to apply on top of branch `release`") {
		t.Fatalf("comments %q", got)
	}
	issues, _, err := w.As("boss").Issues.ListByRepo(t.Context(), plugintest.Org, plugintest.Repo, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, i := range issues {
		if i.GetTitle() == "[release] Fix it" && !i.IsPullRequest() {
			found++
		}
	}
	if found != 1 || len(copies(t, w, "release")) != 0 {
		t.Errorf("issues %v", issues)
	}
	w.Comment("alice", n, "/cherrypick no/such\n/cherrypick --help")
	if got := w.BotComments(n); len(got) != 3 || !strings.Contains(got[1], "cannot checkout `--help`") || !strings.Contains(got[2], "cannot checkout `no/such`") {
		t.Errorf("comments %q", got)
	}
}

func TestWhatWasNotMergedIsNotCopied(t *testing.T) {
	w := newWorld(t, settings{allowAll: true})
	w.Push("change", map[string]string{"fix": "y"})
	n := w.Pull("alice", "change", "Fix it", "")
	w.EditPull("alice", n, gogithub.PullRequest{State: gogithub.Ptr("closed")})
	w.Comment("eve", n, "/cherrypick release")
	w.WantComments(n, "cannot cherry-pick an unmerged PR")
}
