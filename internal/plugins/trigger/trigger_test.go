package trigger

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

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

func TestADeliveryHandledTwiceStartsAJobOnce(t *testing.T) {
	w := newWorld(t, plugintest.Options{Jobs: strings.ReplaceAll(jobs, "^docs/", "^change")})
	change(w, "alice", "change")
	w.TakeJobs()
	w.Push("change", map[string]string{"y": "z"})
	w.HandleAgain("pull_request/synchronize")
	w.WantJobs("a,c")
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
		"nothing is said":                                    {labelSituation{commenterTrusted: true, hasNeeds: true}, labelChange{}},
		"both labels are a contradiction":                    {labelSituation{hasOk: true, okCounts: true, hasNeeds: true}, labelChange{removeNeeds: true}},
		"a trusted user vouches":                             {labelSituation{okToTest: true, commenterTrusted: true, hasNeeds: true}, labelChange{vouch: true, addOk: true, removeNeeds: true}},
		"the label is about another commit":                  {labelSituation{okToTest: true, commenterTrusted: true, hasOk: true, hasNeeds: true}, labelChange{vouch: true, removeNeeds: true}},
		"and does not count":                                 {labelSituation{commenterTrusted: true, hasOk: true, hasNeeds: true}, labelChange{}},
		"and again":                                          {labelSituation{okToTest: true, commenterTrusted: true, hasOk: true, okCounts: true}, labelChange{}},
		"an untrusted user on the pull request of a trusted": {labelSituation{okToTest: true, hasNeeds: true}, labelChange{}},
		"a trusted user takes it back":                       {labelSituation{cancel: true, commenterTrusted: true, hasOk: true, okCounts: true}, labelChange{removeOk: true, addNeeds: true, stop: true}},
		"an untrusted user may not":                          {labelSituation{cancel: true, hasOk: true, okCounts: true}, labelChange{refuse: true, stop: true}},
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

func TestTrustOfEachCommit(t *testing.T) {
	w := newWorld(t, plugintest.Options{Plugins: "triggers: [{repos: [o], only_org_members: true, ok_to_test_per_commit: true}]"})
	w.Collaborator("eve", "write")
	w.Collaborator("alice", "write")
	n := change(w, "eve", "change")
	w.WantLabels(n, "needs-ok-to-test")
	w.Comment("alice", n, "/ok-to-test")
	w.WantLabels(n, "ok-to-test")
	w.WantJobs("a")
	first := w.Head("change")
	if got := w.Statuses(first)[VouchContext]; got != "success: alice allowed the tests of this commit" {
		t.Errorf("status %q", got)
	}
	w.Comment("eve", n, "/test a")
	w.WantJobs("a")

	push := func(login, content string) {
		t.Helper()
		w.PushAs(login, "change", map[string]string{"more": content})
	}
	push("eve", "1")
	w.WantLabels(n, "needs-ok-to-test")
	w.WantComments(n, "/ok-to-test", "needed again")
	w.HandleAgain("pull_request/synchronize")
	w.WantComments(n, "/ok-to-test", "needed again")
	w.Comment("eve", n, "/test a")
	w.WantComments(n, "/ok-to-test", "needed again", "Cannot trigger testing")
	w.WantJobs("")

	w.AddLabel("alice", n, "ok-to-test") // by hand is as by comment
	w.WantJobs("a")
	w.Comment("eve", n, "/test a")
	w.WantJobs("a")
	push("alice", "2") // a trusted user knows what they push
	w.WantJobs("a")
	w.AddLabel("boss", n, "needs-ok-to-test")
	w.Comment("alice", n, "/test a")
	w.WantLabels(n, "ok-to-test")
	w.WantJobs("a")
	push("eve", "3")
	w.WantJobs("")
	w.WantComments(n, "/ok-to-test", "needed again", "Cannot trigger testing")
	w.Comment("bob", n, "/ok-to-test")
	w.WantLabels(n, "ok-to-test")
	w.WantJobs("a")

	// The label alone, such as that of before the setting, says nothing of the head.
	w.Push("other", map[string]string{"x": "z"})
	m := w.Pull("eve", "other", "T", "")
	w.AddLabel("bot", m, "ok-to-test")
	w.Comment("eve", m, "/test a")
	w.WantJobs("")
}
