package override

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v75/github"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/plugintest"
	"prow/internal/statusdesc"
)

func TestRequests(t *testing.T) {
	of := func(list ...string) *names { return &names{list} }
	for name, tc := range map[string]struct {
		text string
		want requestOf
	}{
		"one name":                   {"/override ci/a", requestOf{plain: of("ci/a")}},
		"several, of several uses":   {"/override a  b\r\n/Override b c\r\n", requestOf{plain: of("a", "b", "c")}},
		"quotes protect blanks":      {`/override "test / Unit" x"y z"`, requestOf{plain: of("test / Unit", "xy z")}},
		"the last quote is missing":  {`/override "a b`, requestOf{plain: of("a b")}},
		"empty quotes are no name":   {`/override "" a`, requestOf{plain: of("a")}},
		"no name":                    {"/override", requestOf{plain: of()}},
		"names are in the same line": {"/override\na", requestOf{plain: of()}},
		"sticky":                     {"/override-sticky a", requestOf{sticky: of("a")}},
		"cancel all":                 {"/override-cancel \t\r\n", requestOf{cancel: of()}},
		"all three":                  {"/override a\n/override-sticky b\n/override-cancel c", requestOf{of("a"), of("b"), of("c")}},
		"others":                     {"/overrides a\n/override-not a\n /override a\n> /override a", requestOf{}},
	} {
		if got := read(tc.text); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v %+v %+v", name, got.plain, got.sticky, got.cancel)
		}
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("/override \"a b\" c\r\n/override-cancel")
	f.Add("/override-sticky " + strings.Repeat(`" `, 1<<15))
	f.Add("/override `@eve`\u2028\u00a0x")
	f.Fuzz(func(t *testing.T, text string) {
		r := read(text)
		for _, n := range []*names{r.plain, r.sticky, r.cancel} {
			if n == nil {
				continue
			}
			if len(n.list) > maxNames {
				t.Error("too many names")
			}
			for _, line := range strings.Split(unknownText(append([]string{"x"}, n.list...), nil), "\n")[1:] {
				if strings.Count(line, "`") != 2 && !strings.HasPrefix(line, "* and ") {
					t.Errorf("%q is not quoted", line)
				}
			}
		}
	})
}

func TestCandidates(t *testing.T) {
	jobs := []config.Presubmit{
		{JobBase: config.JobBase{Name: "unit"}, Reporter: config.Reporter{Context: "ci/unit"}},
		{JobBase: config.JobBase{Name: "never"}, Reporter: config.Reporter{Context: "ci/never"}},
	}
	results := []plugins.Result{
		{Context: "ci/unit", State: github.StatusFailure}, {Context: "waits", State: github.StatusPending}, {Context: "fine", State: github.StatusSuccess},
		{Context: "done", State: github.StatusSuccess, Description: "Overridden by alice"},
		{Context: "run", State: github.StatusPending, CheckRun: true}, {Context: "check", State: github.StatusFailure, CheckRun: true},
	}
	all := candidates(results, []string{"ci/never", "fine", "waits"}, jobs, "main")
	for name, tc := range map[string]struct{ asked, want, unknown string }{
		"by context":                      {"ci/unit", "ci/unit", ""},
		"by the name of the job":          {"unit", "ci/unit", ""},
		"by both, once":                   {"ci/unit unit", "ci/unit", ""},
		"a status that waits":             {"waits", "waits", ""},
		"what is green needs none":        {"fine", "", "fine"},
		"what is overridden, again":       {"done", "done", ""},
		"a check run that goes on":        {"run", "", "run"},
		"a check run that has failed":     {"check", "check", ""},
		"what is required and never came": {"never", "ci/never", ""},
		"unknown":                         {"nope waits", "waits", "nope"},
	} {
		chosen, unknown := pick(all, strings.Fields(tc.asked))
		var got []string
		for _, c := range chosen {
			got = append(got, c.Context)
		}
		if strings.Join(got, " ") != tc.want || strings.Join(unknown, " ") != tc.unknown {
			t.Errorf("%s: got %q, unknown %q", name, got, unknown)
		}
	}
}

const jobs = `
presubmits:
  o/r:
  - name: unit
    context: ci/a
    always_run: true
    spec: {containers: [{image: alpine, command: ["true"]}]}
`

func newWorld(t *testing.T, opts plugintest.Options) (w *plugintest.World, number int, head string) {
	t.Helper()
	t.Parallel()
	opts.Plugin, opts.Jobs = New(), jobs
	w = plugintest.New(t, opts)
	w.Push("change", map[string]string{"x": "y"})
	return w, w.Pull("eve", "change", "T", ""), w.Head("change")
}

// statusesWritten is how many statuses a commit has, older ones too.
func statusesWritten(t *testing.T, w *plugintest.World, sha string) int {
	t.Helper()
	all, _, err := w.As("boss").Repositories.ListStatuses(t.Context(), "o", "r", sha, nil)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestProbe28_Override(t *testing.T) {
	w, n, head := newWorld(t, plugintest.Options{})
	w.Collaborator("alice", "admin")
	w.Status(head, "ci/a", "failure")
	w.Status(head, "other", "failure")
	w.Comment("bob", n, "/override ci/a")
	w.WantComments(n, "@bob: You are not authorised")
	w.Comment("alice", n, "/override nope")
	w.WantComments(n, "not authorised", "@alice: These names are of no result that can be overridden:\n* `nope`\n\nThese can be overridden:\n* `ci/a`\n* `other`\n* `unit`")
	w.WantStatuses(head, map[string]string{"ci/a": "failure: ", "other": "failure: "})
	w.Comment("alice", n, "/override")
	w.WantComments(n, "not authorised", "nope", "needs the name")

	w.Comment("alice", n, "/override unit\r\n")
	overridden := w.Statuses(head)["ci/a"]
	if !regexp.MustCompile(`^success: Overridden by alice\x{2001}+ BaseSHA:[0-9a-f]{40}$`).MatchString(overridden) || statusdesc.BaseSHA(overridden) != w.Head("main") {
		t.Errorf("status %q", overridden)
	}
	w.WantComments(n, "not authorised", "nope", "needs the name", "@alice: Overrode contexts on behalf of `alice`:\n* `ci/a`\n")
	made := w.Jobs()
	if len(made) != 1 || !made[0].Complete() || made[0].Status.State != v1.SuccessState || made[0].Spec.Refs.Pulls[0].SHA != head ||
		made[0].Spec.Refs.BaseSHA != w.Head("main") || made[0].Status.PrevReportStates[v1.GitHubReporterName] != v1.SuccessState || !strings.Contains(made[0].Status.URL, "#issuecomment") {
		t.Errorf("jobs %+v", made)
	}
	written := statusesWritten(t, w, head)
	w.HandleAgain("issue_comment/created")
	if len(w.Jobs()) != 1 || statusesWritten(t, w, head) != written {
		t.Error("a second job or status")
	}
	w.WantComments(n, "not authorised", "nope", "needs the name", "Overrode")

	w.Comment("bob", n, "/override-cancel")
	w.Comment("alice", n, "/override-cancel other")
	w.WantComments(n, "not authorised", "nope", "needs the name", "Overrode", "@bob", "no override")
	w.Comment("alice", n, "/override-cancel")
	want := map[string]string{"ci/a": "failure: Override cancelled by alice", "other": "failure: "}
	w.WantStatuses(head, want)
	w.WantJobs("unit:aborted")
	w.HandleAgain("issue_comment")
	w.WantStatuses(head, want)
	w.WantComments(n, "not authorised", "nope", "needs the name", "Overrode", "@bob", "no override", "Cancelled overrides on behalf of `alice`:\n* `ci/a`\n")

	w.Comment("alice", n, "/override-sticky other")
	if got := w.Statuses(head)["other"]; !strings.HasPrefix(got, "success: Overridden by alice [prow:skip-retest]") || statusdesc.BaseSHA(got) == "" {
		t.Errorf("status %q", got)
	}
	w.WantJobs("")
	w.Status(head, "other", "success")
	w.Comment("alice", n, "/override other")
	if got := w.Statuses(head)["other"]; got != "success: " {
		t.Errorf("only the newest status of a context counts, got %q", got)
	}
}

func TestProbe28_CheckRuns(t *testing.T) {
	w, n, head := newWorld(t, plugintest.Options{Config: "github_reporter: {check_run_repos: [o/r]}"})
	w.CheckRun(head, "test / Unit", "failure")
	w.CheckRun(head, "fine", "success")
	w.Comment("boss", n, `/override "test / Unit"`)
	w.WantCheckRuns(head, map[string]string{"test / Unit": "success: Overridden by boss", "fine": "success: "})
	w.HandleAgain("issue_comment")
	w.Comment("boss", n, "/override fine")
	w.WantComments(n, "Overrode contexts", "and there are none. This is not among them:\n* `fine`")
	w.Comment("boss", n, "/override-cancel")
	w.WantCheckRuns(head, map[string]string{"test / Unit": "failure: Override cancelled by boss", "fine": "success: "})
}

func TestRequiredContextsThatNeverCame(t *testing.T) {
	w, n, head := newWorld(t, plugintest.Options{})
	_, _, err := w.As("boss").Repositories.UpdateBranchProtection(t.Context(), "o", "r", "main", &gogithub.ProtectionRequest{
		RequiredStatusChecks: &gogithub.RequiredStatusChecks{Contexts: &[]string{"gone", "ci/a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Comment("boss", n, "/override gone ci/a")
	if got := w.Statuses(head); !strings.HasPrefix(got["gone"], "success: Overridden by boss") || !strings.HasPrefix(got["ci/a"], "success: Overridden by boss") {
		t.Errorf("statuses %q", got)
	}
	w.WantJobs("unit:success")
}

func TestWhoMayOverride(t *testing.T) {
	w, n, head := newWorld(t, plugintest.Options{Plugins: "override: {allow_top_level_owners: true, allowed_github_teams: {o: [bosses]}}"})
	w.Team("bosses", "bob")
	w.Status(head, "x", "failure")
	w.Status(head, "y", "failure")
	w.Comment("eve", n, "/override x")
	w.WantComments(n, "Those who are: admins of the repository, members of the team `o/bosses`, approvers of the root OWNERS file.")
	w.Comment("bob", n, "/override x")
	w.Comment("alice", n, "/override y")
	if got := w.Statuses(head); !strings.HasPrefix(got["x"], "success: Overridden by bob") || !strings.HasPrefix(got["y"], "success: Overridden by alice") {
		t.Errorf("statuses %q", got)
	}
}
