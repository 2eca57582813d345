package trigger

import (
	"regexp"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/plugins/plugintest"
)

func TestProbe01_CodeOfStrangersWaitsForATrustedUser(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "eve", "change")
	w.WantLabels(n, "needs-ok-to-test")
	w.WantComments(n, "/ok-to-test")
	w.HandleAgain("pull_request/opened")
	w.WantComments(n, "/ok-to-test")
	w.WantJobs("")
	w.Comment("eve", n, "/test all")
	w.WantComments(n, "/ok-to-test", "Cannot trigger testing")
	w.HandleAgain("issue_comment")
	w.WantComments(n, "/ok-to-test", "Cannot trigger testing")
	w.WantJobs("")
	w.Comment("eve", n, "/ok-to-test")
	w.WantLabels(n, "needs-ok-to-test")
	w.WantJobs("")
	w.Comment("alice", n, "looks good\r\n/ok-to-test\r\n")
	w.WantLabels(n, "ok-to-test")
	w.WantJobs("a")
	w.Comment("eve", n, "/test b")
	w.WantJobs("b")
}

func TestProbe02_TrustIsTakenBack(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "eve", "change")
	w.Comment("alice", n, "/ok-to-test")
	w.TakeJobs()
	w.Comment("eve", n, "/ok-to-test cancel")
	w.WantLabels(n, "ok-to-test")
	w.WantComments(n, "/ok-to-test", "@eve: Only trusted users can take `/ok-to-test` back")
	w.Comment("alice", n, "/ok-to-test cancel")
	w.WantLabels(n, "needs-ok-to-test")
	w.Comment("alice", n, "/ok-to-test\n/ok-to-test cancel")
	w.WantLabels(n, "needs-ok-to-test")
	w.WantJobs("")
	w.Comment("eve", n, "/test all")
	w.WantJobs("")
}

func TestProbe03_FencesAndCase(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	w.TakeJobs()
	for comment, want := range map[string]string{
		"```\n/test all\n```": "", "~~~ sh\r\n/test all\r\n~~~\r\n": "", "```\n/test b\n```\n/test a": "a", "```\n/test a": "a",
		"/TEST all": "", "/Test a": "", " /test all": "", "<!--\n/test all\n-->": "", "> /test all": "", "plain words": "",
	} {
		w.Comment("alice", n, comment)
		if got := w.TakeJobs(); got != want {
			t.Errorf("%q starts %q, want %q", comment, got, want)
		}
	}
	w.WantComments(n)
}

func TestProbe04_ChoosingJobs(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	w.WantJobs("a")
	head := w.Head("change")
	for _, tc := range []struct{ comment, want string }{
		{"/test all", "a"}, {"/test b", "b"}, {"/test c", "c"}, {"/test a b", "a,b"}, {"/test all,", "a"}, {"/test other-branch", ""}, {"/test-manual-required", ""},
	} {
		w.Comment("alice", n, tc.comment)
		if got := w.TakeJobs(); got != tc.want {
			t.Errorf("%q starts %q, want %q", tc.comment, got, tc.want)
		}
	}
	w.Comment("alice", n, "/retest")
	w.WantJobs("a") // it was never reported
	w.Status(head, "b", "failure")
	w.Comment("alice", n, "/retest")
	if all := w.Jobs(); len(all) != 2 || all[0].Labels[prowv1.RetestLabel] != "true" {
		t.Errorf("want two retests, got %+v", all)
	}
	w.WantJobs("a,b")
	w.Status(head, "a", "success")
	w.Comment("alice", n, "/retest-required")
	w.WantJobs("")
	w.Comment("alice", n, "/retest")
	w.WantJobs("b")
}

func TestProbe05_HelpIsReplaced(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	w.TakeJobs()
	w.Comment("bob", n, "/test nonsense")
	w.WantComments(n, notFound)
	for _, want := range []string{requiredJobs + "\n```\n/test a\n```\n```\n/test c\n```\n", optionalJobs + "\n```\n/test b\n```\n", "`/test all`", "```\na\n```"} {
		if got := w.BotComments(n)[0]; !strings.Contains(got, want) {
			t.Errorf("help without %q:\n%s", want, got)
		}
	}
	w.HandleAgain("issue_comment")
	w.WantComments(n, notFound)
	w.Comment("alice", n, "/test a")
	w.WantComments(n)
	w.WantJobs("a")
}

func TestProbe06_MalformedCommands(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	w.TakeJobs()
	w.Comment("alice", n, "/test")
	w.WantComments(n, needsTargets)
	w.Comment("alice", n, "/retest a\n/test b")
	w.WantComments(n, takesNoTargets)
	w.Comment("alice", n, "/test ?")
	w.WantComments(n, "@alice: "+requiredJobs)
	w.WantJobs("")
}

func TestProbe07_PushesAndClosing(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	first := w.Jobs()
	if len(first) != 1 || first[0].Spec.Refs.Pulls[0].SHA != w.Head("change") || first[0].Spec.Refs.BaseSHA != w.Head("main") || first[0].Labels[prowv1.EventGUIDLabel] == "" {
		t.Fatalf("jobs %+v", first)
	}
	w.Push("change", map[string]string{"docs/x": "y"})
	w.WantJobs("a,a:aborted,c")
	w.Comment("alice", n, "/test a")
	w.Draft("alice", n, true)
	w.WantJobs("a:aborted")
	w.Push("change", map[string]string{"more": "z"})
	w.WantJobs("")
	w.Draft("alice", n, false)
	w.WantJobs("a,c")
	w.Comment("alice", n, "/test a")
	w.EditPull("alice", n, gogithub.PullRequest{State: gogithub.Ptr("closed")})
	w.WantJobs("a:aborted")
	w.Comment("alice", n, "/test a")
	w.WantJobs("")
	w.EditPull("alice", n, gogithub.PullRequest{State: gogithub.Ptr("open")})
	w.WantJobs("a,c")
}

func TestANewBaseIsTestedAndANewTitleIsNot(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	w.TakeJobs()
	w.EditPull("alice", n, gogithub.PullRequest{Title: gogithub.Ptr("Other")})
	w.WantJobs("")
	w.Push("release", nil)
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("release")}})
	w.WantJobs("a,other-branch")
}

func TestProbe08_DraftsAreLeftAlone(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	w.Push("change", map[string]string{"x": "y"})
	n := w.OpenPull("alice", gogithub.NewPullRequest{Head: gogithub.Ptr("change"), Title: gogithub.Ptr("T"), Draft: gogithub.Ptr(true)})
	w.WantComments(n, "`/test all`")
	w.HandleAgain("pull_request/opened")
	w.WantComments(n, "`/test all`")
	w.WantJobs("")
	w.Comment("alice", n, "/test all")
	w.WantJobs("a")
	w.Draft("alice", n, false)
	w.WantJobs("a")
}

func TestProbe09_ConflictsAndFailingCreations(t *testing.T) {
	left := 0
	w := newWorld(t, plugintest.Options{ProwJobs: func(c client.Client) client.Client { return failing{c, &left} }})
	left = 2
	change(w, "alice", "fine")
	w.WantJobs("a")

	w.Push("change", map[string]string{"x": "1"})
	w.Push("main", map[string]string{"x": "2"})
	n := w.Pull("alice", "change", "T", "")
	w.TakeJobs() // the forge did not know yet
	w.Comment("alice", n, "/test all")
	w.WantJobs("")
	w.WantComments(n, "@alice: No job is started: this pull request conflicts with its base branch")
}

func TestProbe10_AnLGTMIsAReview(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "eve", "change")
	w.AddLabel("boss", n, "lgtm")
	w.WantJobs("a")
	w.RemoveLabel("boss", n, "lgtm")
	w.AddLabel("boss", n, "ok-to-test")
	w.WantJobs("a")
	w.AddLabel("boss", n, "lgtm")
	w.WantJobs("") // it is trusted, and was started before
}

func TestProbe11_PushEvents(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	sha := w.Push("main", map[string]string{"docs/x": "1"})
	got := w.Jobs()
	if len(got) != 1 || got[0].Spec.Type != prowv1.PostsubmitJob || got[0].Spec.Refs.BaseSHA != sha || got[0].Spec.Refs.BaseRef != "main" || got[0].Spec.Refs.Org != "o" ||
		!regexp.MustCompile("/compare/").MatchString(got[0].Spec.Refs.BaseLink) {
		t.Errorf("got %+v", got)
	}
	w.TakeJobs()
	w.Push("main", map[string]string{"src/x": "1"})
	w.Push("side", map[string]string{"docs/x": "2"})
	w.DeleteBranch("side")
	w.WantJobs("")
}
