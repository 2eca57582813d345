package lgtm

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"

	"prow/internal/forge/github"
	"prow/internal/plugins/plugintest"
)

func TestWishes(t *testing.T) {
	for text, want := range map[string]wish{
		"/lgtm": add, "/LGTM\r": add, "/lgtm no-issue": add, "nice\n/lgtm\n": add, "/lgtm cancel\n/lgtm": add,
		"/lgtm cancel": remove, "/remove-lgtm": remove, "/LGTM CANCEL ": remove,
		"/lgtm not": nothing, "/lgtmx": nothing, "> /lgtm": nothing, "lgtm": nothing, "/lgtm  cancel": nothing,
	} {
		if got := wishOf(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	for _, tc := range []struct {
		state, body string
		want        wish
	}{{"approved", "", add}, {"APPROVED", "fine", add}, {"changes_requested", "", remove}, {"commented", "", nothing}, {"approved", "/lgtm cancel", nothing}, {"dismissed", "", nothing}} {
		if got := wishOfReview(tc.state, tc.body); got != tc.want {
			t.Errorf("review %s with %q: got %d, want %d", tc.state, tc.body, got, tc.want)
		}
	}
}

func TestDecision(t *testing.T) {
	for name, tc := range map[string]struct {
		who     person
		wish    wish
		refusal string
		assign  bool
	}{
		"authors cannot add":                     {person{author: true, collaborator: true}, add, "your own", false},
		"authors can cancel":                     {person{author: true}, remove, "", false},
		"collaborators add and are assigned":     {person{collaborator: true}, add, "", true},
		"assignees stay so":                      {person{collaborator: true, assignee: true}, add, "", false},
		"collaborators cancel and are assigned":  {person{collaborator: true}, remove, "", true},
		"strangers cannot add":                   {person{}, add, "collaborators", false},
		"strangers cannot cancel":                {person{assignee: true}, remove, "collaborators", false},
		"owners need not be collaborators":       {person{anybody: true, owner: true}, add, "", false},
		"but then collaborators must be owners":  {person{anybody: true, collaborator: true}, add, "OWNERS", false},
		"authors cannot add where anybody could": {person{anybody: true, owner: true, author: true}, add, "your own", false},
	} {
		refusal, assign := tc.who.decide(tc.wish)
		if (refusal == "") != (tc.refusal == "") || !strings.Contains(refusal, tc.refusal) || assign != tc.assign {
			t.Errorf("%s: got %q, %v", name, refusal, assign)
		}
	}
}

func TestNewestTree(t *testing.T) {
	hash := func(c string) string { return strings.Repeat(c, 40) }
	now := time.Now()
	comment := func(login, tree string, edited bool) github.IssueComment {
		c := github.IssueComment{Body: fmt.Sprintf(addedFormat, hash(tree)), User: github.User{Login: login}, CreatedAt: now, UpdatedAt: now}
		if edited {
			c.UpdatedAt = now.Add(time.Second)
		}
		return c
	}
	for name, tc := range map[string]struct {
		comments []github.IssueComment
		want     string
	}{
		"none":                     {nil, ""},
		"the newest counts":        {[]github.IssueComment{comment("bot", "a", false), comment("bot", "b", false)}, hash("b")},
		"others' do not count":     {[]github.IssueComment{comment("bot", "a", false), comment("eve", "b", false)}, hash("a")},
		"edited ones do not count": {[]github.IssueComment{comment("bot", "a", false), comment("bot", "b", true)}, hash("a")},
	} {
		if got := newestTree(tc.comments, func(u github.User) bool { return u.Login == "bot" }); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func newWorld(t *testing.T, config string) (*plugintest.World, int) {
	t.Helper()
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: config})
	w.Push("change", map[string]string{"x": "y"})
	return w, w.Pull("alice", "change", "T", "please")
}

func TestProbe19_Commands(t *testing.T) {
	w, n := newWorld(t, "{}")
	w.Comment("alice", n, "/lgtm")
	w.WantLabels(n, "")
	w.WantComments(n, "@alice: you cannot LGTM your own PR")
	w.Comment("eve", n, "/lgtm")
	w.WantLabels(n, "")
	w.WantComments(n, "own PR", "@eve: changing LGTM is restricted to collaborators")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "own PR", "restricted to collaborators")
	w.Comment("bob", n, "great\r\n/lgtm\r\n")
	w.WantLabels(n, "lgtm")
	issue, _, err := w.As("boss").Issues.Get(t.Context(), "o", "r", n)
	if err != nil || len(issue.Assignees) != 1 || issue.Assignees[0].GetLogin() != "bob" {
		t.Errorf("assignees %v, error %v", issue.Assignees, err)
	}
	w.Comment("eve", n, "/lgtm cancel")
	w.WantLabels(n, "lgtm")
	w.Comment("alice", n, "/lgtm cancel")
	w.WantLabels(n, "")
	id := w.Comment("bob", n, "hm")
	w.EditComment("bob", id, "/lgtm")
	w.WantLabels(n, "")
	w.Review("bob", n, "APPROVE", "")
	w.WantLabels(n, "")
	w.Review("bob", n, "COMMENT", "/lgtm")
	w.WantLabels(n, "lgtm")
	w.EditPull("alice", n, gogithub.PullRequest{State: gogithub.Ptr("closed")})
	w.Comment("bob", n, "/lgtm cancel")
	w.WantLabels(n, "lgtm")
}

func TestProbe20_NewCommits(t *testing.T) {
	w, n := newWorld(t, "{}")
	w.Push("change", map[string]string{"y": "0"})
	w.WantComments(n)
	w.Comment("bob", n, "/lgtm")
	w.Push("change", map[string]string{"y": "1"})
	w.WantLabels(n, "")
	w.WantComments(n, removalNotice)
	w.HandleAgain("pull_request/synchronize")
	w.WantComments(n, removalNotice)
	w.Comment("bob", n, "/lgtm")
	w.WantLabels(n, "lgtm")
	w.WantComments(n)
}

func TestProbe20_TreeHash(t *testing.T) {
	w, n := newWorld(t, "lgtm: [{repos: [o/r], store_tree_hash: true}]")
	w.Comment("bob", n, "/lgtm")
	w.WantComments(n, "LGTM label has been added.  <details>Git tree hash: ")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "Git tree hash")
	w.Reword("change")
	w.WantLabels(n, "lgtm")
	w.Push("change", map[string]string{"x": "z"})
	w.WantLabels(n, "")
	w.WantComments(n, "Git tree hash", removalNotice)
	pr, _, err := w.As("boss").PullRequests.Get(t.Context(), "o", "r", n)
	if err != nil || len(pr.RequestedReviewers) != 1 {
		t.Errorf("reviewers %v, error %v", pr.RequestedReviewers, err)
	}
	w.Comment("bob", n, "/lgtm")
	w.WantComments(n, "Git tree hash", "Git tree hash")
	w.Comment("bob", n, "/lgtm cancel")
	w.WantComments(n)
}

func TestAnotherBaseIsAnotherChange(t *testing.T) {
	w, n := newWorld(t, "lgtm: [{repos: [o/r], store_tree_hash: true}]")
	w.Push("release", nil)
	w.Comment("bob", n, "/lgtm")
	w.EditPull("alice", n, gogithub.PullRequest{Title: gogithub.Ptr("Other")})
	w.WantLabels(n, "lgtm")
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("release")}})
	w.WantLabels(n, "")
	w.WantComments(n, "Git tree hash", removalNotice)
}

func TestProbe21_ReviewsAsLGTM(t *testing.T) {
	w, n := newWorld(t, "lgtm: [{repos: [o], review_acts_as_lgtm: true}]")
	w.Review("bob", n, "APPROVE", "fine")
	w.WantLabels(n, "lgtm")
	w.Review("bob", n, "REQUEST_CHANGES", "on second thought")
	w.WantLabels(n, "")
	w.Review("bob", n, "APPROVE", "/lgtm cancel")
	w.WantLabels(n, "")
	w.Review("eve", n, "APPROVE", "")
	w.WantLabels(n, "")
	w.WantComments(n, "@eve: changing LGTM")
}

func TestStickyTeam(t *testing.T) {
	w, n := newWorld(t, "lgtm: [{repos: [o/r], trusted_team_for_sticky_lgtm: Sticky Ones, store_tree_hash: true}]")
	w.Comment("bob", n, "/lgtm")
	w.WantComments(n)
	w.Push("change", map[string]string{"x": "z"})
	w.WantLabels(n, "lgtm")
	w.Push("other", map[string]string{"q": "z"})
	n = w.Pull("bob", "other", "T", "")
	w.Comment("alice", n, "/lgtm")
	w.WantComments(n, "Git tree hash")
	w.Push("other", map[string]string{"q": "w"})
	w.WantLabels(n, "")
}

func TestOwnersWithoutCollaborators(t *testing.T) {
	t.Parallel()
	w := plugintest.New(t, plugintest.Options{Plugin: New(), Plugins: "owners: {skip_collaborators: [o]}", Files: map[string]string{"OWNERS": "approvers: [alice]\n", "a/OWNERS": "reviewers: [Eve]\n"}})
	w.Push("change", map[string]string{"b/x": "y"})
	n := w.Pull("boss", "change", "T", "")
	w.Comment("bob", n, "/lgtm")
	w.WantComments(n, "OWNERS")
	w.Comment("eve", n, "/lgtm")
	w.WantLabels(n, "")
	w.Push("change", map[string]string{"a/x": "y"})
	w.Comment("eve", n, "/lgtm")
	w.WantLabels(n, "lgtm")
}

func TestTreeAndCommentsAreAskedForAtOnce(t *testing.T) {
	w, n := newWorld(t, "lgtm: [{repos: [o], store_tree_hash: true}]")
	w.Comment("eve", n, "hello")
	a := w.Agent("x")
	once, err := lookAtOnce(t.Context(), a, plugintest.Org, plugintest.Repo, n)
	if err != nil {
		t.Fatal(err)
	}
	comments, err := a.GitHub.ListIssueComments(t.Context(), plugintest.Org, plugintest.Repo, n)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := treeOf(t.Context(), a, plugintest.Org, plugintest.Repo, w.Head("change"))
	if err != nil || tree != once.tree || len(once.comments) != len(comments) {
		t.Fatalf("%+v, want tree %s and %+v (%v)", once, tree, comments, err)
	}
	for i, c := range once.comments {
		if c.ID != comments[i].ID || c.Body != comments[i].Body || c.User.Login != comments[i].User.Login || !c.CreatedAt.Equal(comments[i].CreatedAt) || !c.UpdatedAt.Equal(comments[i].UpdatedAt) {
			t.Errorf("comment %+v, want %+v", c, comments[i])
		}
	}
}
