package trigger

import (
	"context"
	"errors"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
)

const spec = "\n    spec: {containers: [{image: alpine, command: [\"true\"]}]}\n"

const jobs = `
presubmits:
  o/r:
  - name: a
    always_run: true` + spec + `
  - name: b
    optional: true` + spec + `
  - name: c
    run_if_changed: ^docs/` + spec + `
  - name: other-branch
    always_run: true
    branches: [release]` + spec + `
postsubmits:
  o/r:
  - name: post
    branches: [main]
    run_if_changed: ^docs/` + spec

func newWorld(t *testing.T, opts plugintest.Options) *plugintest.World {
	t.Helper()
	t.Parallel()
	opts.Plugin = New()
	if opts.Jobs == "" {
		opts.Jobs = jobs
	}
	w := plugintest.New(t, opts)
	w.TakeJobs()
	return w
}

// change opens a pull request that changes a file of its own.
func change(w *plugintest.World, login, branch string) int {
	w.Push(branch, map[string]string{branch: "x"})
	return w.Pull(login, branch, "Change", "please")
}

func TestCodeOfStrangersWaitsForATrustedUser(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "eve", "change")
	w.WantLabels(n, "needs-ok-to-test")
	w.WantComments(n, "/ok-to-test")
	w.WantJobs("")

	w.Comment("eve", n, "/test all")
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

	w.Comment("eve", n, "/ok-to-test cancel")
	w.WantLabels(n, "ok-to-test")
	w.Comment("alice", n, "/ok-to-test cancel")
	w.WantLabels(n, "needs-ok-to-test")
	w.WantJobs("")
	w.Comment("eve", n, "/test all")
	w.WantJobs("")

	w.AddLabel("boss", n, "lgtm")
	w.WantJobs("a") // somebody has looked at it
	w.AddLabel("boss", n, "ok-to-test")
	w.WantJobs("a")
}

func TestIgnoredOkToTest(t *testing.T) {
	w := newWorld(t, plugintest.Options{Plugins: "triggers: [{repos: [o], ignore_ok_to_test: true}]"})
	n := change(w, "eve", "change")
	w.WantLabels(n, "")
	w.WantComments(n, "only collaborators can start")
	w.Comment("alice", n, "/ok-to-test")
	w.WantLabels(n, "")
	w.WantJobs("")
	w.Comment("alice", n, "/test all")
	w.WantJobs("a")
}

func TestChoosingJobs(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	w.WantJobs("a")
	head := w.Head("change")
	for _, tc := range []struct{ comment, want string }{
		{"/test all", "a"}, {"/test b", "b"}, {"/test c", "c"}, {"/test a b", "a,b"}, {"/test other-branch", ""},
		{"```\n/test all\n```", ""}, {"```\n/test b\n```\n/test a", "a"}, {"```\n/test a", "a"}, {"/TEST all", ""}, {" /test all", ""},
		{"/test-manual-required", ""}, {"plain words", ""},
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
	if jobs := w.Jobs(); len(jobs) != 2 || jobs[0].Labels[prowv1.RetestLabel] != "true" {
		t.Errorf("want two retests, got %+v", jobs)
	}
	w.WantJobs("a,b")
	w.Status(head, "a", "success")
	w.Comment("alice", n, "/retest-required")
	w.WantJobs("")
	w.Comment("alice", n, "/retest")
	w.WantJobs("b")
}

func TestHelp(t *testing.T) {
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
	w.Comment("alice", n, "/test a")
	w.WantComments(n)
	w.WantJobs("a")
	w.Comment("alice", n, "/test")
	w.WantComments(n, needsTargets)
	w.Comment("alice", n, "/retest a\n/test b")
	w.WantComments(n, takesNoTargets)
	w.Comment("alice", n, "/test ?")
	w.WantComments(n, "@alice: "+requiredJobs)
	w.WantJobs("")
}

func TestPullRequestEvents(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	n := change(w, "alice", "change")
	first := w.Jobs()
	if len(first) != 1 || first[0].Spec.Refs.Pulls[0].SHA != w.Head("change") || first[0].Spec.Refs.BaseSHA != w.Head("main") || first[0].Labels[prowv1.EventGUIDLabel] == "" {
		t.Fatalf("jobs %+v", first)
	}
	w.Push("change", map[string]string{"docs/x": "y"})
	w.WantJobs("a,a:aborted,c")
	w.EditPull("alice", n, gogithub.PullRequest{Title: gogithub.Ptr("Other")})
	w.WantJobs("")
	w.Draft("alice", n, true)
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

	w.Push("release", nil)
	w.EditPull("alice", n, gogithub.PullRequest{Base: &gogithub.PullRequestBranch{Ref: gogithub.Ptr("release")}})
	w.WantJobs("a,c,other-branch")
}

func TestDraftsAreLeftAlone(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	w.Push("change", map[string]string{"x": "y"})
	n := w.OpenPull("alice", gogithub.NewPullRequest{Head: gogithub.Ptr("change"), Title: gogithub.Ptr("T"), Draft: gogithub.Ptr(true)})
	w.WantComments(n, "`/test all`")
	w.WantJobs("")
	w.Comment("alice", n, "/test all")
	w.WantJobs("a")
	w.Draft("alice", n, false)
	w.WantJobs("a")
}

// failing refuses the first creations.
type failing struct {
	client.Client
	left *int
}

func (f failing) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if *f.left--; *f.left >= 0 {
		return errors.New("the API server is not there")
	}
	return f.Client.Create(ctx, o, opts...)
}

func TestCreationIsTriedAgain(t *testing.T) {
	left := 0
	w := newWorld(t, plugintest.Options{ProwJobs: func(c client.Client) client.Client { return failing{c, &left} }})
	left = 2
	change(w, "alice", "change")
	w.WantJobs("a")
}

func TestADeliveryHandledTwiceStartsAJobOnce(t *testing.T) {
	w := newWorld(t, plugintest.Options{Jobs: strings.ReplaceAll(jobs, "^docs/", "^change")})
	change(w, "alice", "change")
	w.TakeJobs()
	w.Push("change", map[string]string{"y": "z"})
	w.HandleAgain("pull_request")
	w.WantJobs("a,c")
}

func TestNothingStartsOnAConflict(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	w.Push("change", map[string]string{"x": "1"})
	w.Push("main", map[string]string{"x": "2"})
	n := w.Pull("alice", "change", "T", "")
	w.TakeJobs()
	w.Comment("alice", n, "/test all")
	w.WantJobs("")
}

func TestPushes(t *testing.T) {
	w := newWorld(t, plugintest.Options{})
	sha := w.Push("main", map[string]string{"docs/x": "1"})
	got := w.Jobs()
	if len(got) != 1 || got[0].Spec.Type != prowv1.PostsubmitJob || got[0].Spec.Refs.BaseSHA != sha || got[0].Spec.Refs.BaseRef != "main" || got[0].Spec.Refs.Org != "o" {
		t.Errorf("got %+v", got)
	}
	w.TakeJobs()
	w.Push("main", map[string]string{"src/x": "1"})
	w.Push("side", map[string]string{"docs/x": "2"})
	w.DeleteBranch("side")
	w.WantJobs("")
}

func TestARepositoryWithoutJobsIsLeftAlone(t *testing.T) {
	w := newWorld(t, plugintest.Options{Jobs: "{}"})
	n := change(w, "eve", "change")
	w.WantLabels(n, "")
	w.WantComments(n)
}

const inRepoJob = "presubmits:\n- name: own\n  always_run: true\n  spec: {containers: [{image: alpine}]}\n"

func TestARepositorysOwnJobs(t *testing.T) {
	w := newWorld(t, plugintest.Options{Config: "in_repo_config: {enabled: {o/r: true}}"})
	bad := strings.Replace(inRepoJob, "always_run: true", "always_run: 7\n  run_if_changed: '(@eve```'", 1)
	head := w.Push("change", map[string]string{".prow.yaml": bad})
	n := w.Pull("alice", "change", "T", "")
	w.WantJobs("a")
	w.WantComments(n, ".prow.yaml:3")
	if got := w.Statuses(head)[ConfigContext]; !strings.HasPrefix(got, "failure: .prow.yaml:3") {
		t.Errorf("status %q", got)
	}
	if got := w.BotComments(n)[0]; strings.Count(got, "```") != 2 {
		t.Errorf("the code block can be left: %s", got)
	}
	w.Comment("alice", n, "/test a")
	w.WantComments(n, ".prow.yaml:3") // the same one
	w.TakeJobs()

	head = w.Push("change", map[string]string{".prow.yaml": inRepoJob})
	w.WantComments(n)
	w.WantJobs("a,own")
	if got := w.Statuses(head)[ConfigContext]; got != "" {
		t.Errorf("status %q of a commit that is fine", got)
	}
	w.Status(head, ConfigContext, "failure") // as by the base, before it was mended
	w.Comment("alice", n, "/test own")
	w.WantJobs("own")
	if got := w.Statuses(head)[ConfigContext]; !strings.HasPrefix(got, "success") {
		t.Errorf("status %q", got)
	}
}

func TestLabelsOfTrust(t *testing.T) {
	for name, tc := range map[string]struct {
		in   labelSituation
		want labelChange
	}{
		"nothing is said":                 {labelSituation{commenterTrusted: true, hasNeeds: true}, labelChange{}},
		"both labels are a contradiction": {labelSituation{hasOk: true, hasNeeds: true}, labelChange{removeNeeds: true}},
		"a trusted user vouches":          {labelSituation{okToTest: true, commenterTrusted: true, hasNeeds: true}, labelChange{addOk: true, removeNeeds: true}},
		"and again":                       {labelSituation{okToTest: true, commenterTrusted: true, hasOk: true}, labelChange{}},
		"an untrusted user on the pull request of a trusted": {labelSituation{okToTest: true, hasNeeds: true}, labelChange{}},
		"a trusted user takes it back":                       {labelSituation{cancel: true, commenterTrusted: true, hasOk: true}, labelChange{removeOk: true, addNeeds: true, stop: true}},
		"an untrusted user may not":                          {labelSituation{cancel: true, hasOk: true}, labelChange{refuse: true, stop: true}},
		"of both in one comment the careful one wins":        {labelSituation{okToTest: true, cancel: true, commenterTrusted: true, hasNeeds: true}, labelChange{stop: true}},
	} {
		if got := decideLabels(tc.in); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("```\n/test all\n```\n/ok-to-test cancel\r\n~~~")
	f.Fuzz(func(t *testing.T, text string) {
		rest := plugins.CommandText(text)
		if len(rest) > len(text) || isCommand(rest) && !mayAsk(rest, nil, false) {
			t.Errorf("%q became %q", text, rest)
		}
	})
}
