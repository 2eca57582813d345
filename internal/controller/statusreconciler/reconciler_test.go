package statusreconciler

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
	"prow/internal/storage/providers"
)

func load(t testing.TB, jobs string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("presubmits:\n"+jobs), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(context.Background(), config.Options{ConfigPath: path})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// presubmits writes jobs as YAML: each is its name and further fields.
func presubmits(repo string, jobs ...string) string {
	if len(jobs) == 0 {
		return "  " + repo + ": []\n"
	}
	text := "  " + repo + ":\n"
	for _, j := range jobs {
		name, fields, _ := strings.Cut(j, " ")
		text += "  - {name: " + name + ", spec: {containers: [{image: i, command: [c]}]}"
		if fields != "" {
			text += ", " + fields
		}
		text += "}\n"
	}
	return text
}

func TestPlan(t *testing.T) {
	type jobs = []string
	for name, tc := range map[string]struct {
		before, after jobs
		want          Plan
	}{
		"nothing changes":                                     {jobs{"a always_run: true"}, jobs{"a always_run: true"}, Plan{}},
		"a required job is added":                             {nil, jobs{"a always_run: true"}, Plan{Start: jobs{"a"}}},
		"a job for some changes is added":                     {nil, jobs{`a run_if_changed: x`}, Plan{Start: jobs{"a"}}},
		"an optional job is added":                            {nil, jobs{"a always_run: true, optional: true"}, Plan{}},
		"a job that does not report is added":                 {nil, jobs{"a always_run: true, skip_report: true"}, Plan{}},
		"a job that waits for a comment is added":             {nil, jobs{"a"}, Plan{}},
		"a job for other branches is added":                   {nil, jobs{"a always_run: true, branches: [release]"}, Plan{}},
		"a job reports now":                                   {jobs{"a always_run: true, skip_report: true"}, jobs{"a always_run: true"}, Plan{Start: jobs{"a"}}},
		"a job runs on other changes":                         {jobs{`a run_if_changed: x`}, jobs{`a run_if_changed: y`}, Plan{Start: jobs{"a"}}},
		"an optional job becomes required":                    {jobs{"a always_run: true, optional: true"}, jobs{"a always_run: true"}, Plan{}},
		"a job runs on this branch, too":                      {jobs{"a always_run: true, branches: [release]"}, jobs{"a always_run: true"}, Plan{Start: jobs{"a"}}},
		"a job is removed":                                    {jobs{"a context: ci/a"}, nil, Plan{Retire: jobs{"ci/a"}}},
		"an optional job is removed":                          {jobs{"a optional: true"}, nil, Plan{Retire: jobs{"a"}}},
		"a job of other branches is removed":                  {jobs{"a branches: [release]"}, nil, Plan{}},
		"a job leaves this branch":                            {jobs{"a always_run: true"}, jobs{"a always_run: true, branches: [release]"}, Plan{Retire: jobs{"a"}}},
		"a job is renamed and keeps its context":              {jobs{"a always_run: true, context: ci"}, jobs{"b always_run: true, context: ci"}, Plan{Start: jobs{"b"}}},
		"a context is renamed":                                {jobs{"a context: old"}, jobs{"a context: new"}, Plan{Move: []Move{{"old", "new"}}}},
		"the context of an optional job is renamed":           {jobs{"a context: old"}, jobs{"a context: new, optional: true"}, Plan{}},
		"a context is renamed, and another job takes the old": {jobs{"a context: old"}, jobs{"a context: new", "b context: old"}, Plan{}},
	} {
		t.Run(name, func(t *testing.T) {
			list := func(j jobs) []Job { return stateOf(load(t, presubmits("o/r", j...))).Presubmits["o/r"] }
			if diff := cmp.Diff(tc.want, plan(list(tc.before), list(tc.after), "main")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// bench is a real forge with a reconciler.
type bench struct {
	*plugintest.World
	t     *testing.T
	state string

	mu        sync.Mutex
	mutations []string
	fail      bool
	// dies, if set, is how many changes go through before the process dies; with
	// effect the last one is done, and nobody hears of it.
	dies   *int
	effect bool
}

// RoundTrip counts what changes something, and fails it if it is told to.
type transport struct {
	b    *bench
	next http.RoundTripper
}

func (tr transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.b.mu.Lock()
	defer tr.b.mu.Unlock()
	dead := errors.New("the process is dead")
	if tr.b.dies != nil && *tr.b.dies < 0 {
		return nil, dead
	}
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/graphql") {
		tr.b.mutations = append(tr.b.mutations, r.Method+" "+r.URL.Path)
		if tr.b.fail {
			return nil, errors.New("the line is dead")
		}
		if tr.b.dies != nil {
			if *tr.b.dies--; *tr.b.dies < 0 {
				if tr.b.effect {
					if resp, err := tr.next.RoundTrip(r); err == nil {
						_ = resp.Body.Close()
					}
				}
				return nil, dead
			}
		}
	}
	return tr.next.RoundTrip(r)
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, state: filepath.Join(t.TempDir(), "state.yaml")}
	b.World = plugintest.New(t, plugintest.Options{
		Plugin:    &plugins.Plugin{Name: "none"},
		Transport: func(next http.RoundTripper) http.RoundTripper { return transport{b, next} },
	})
	return b
}

// process makes a new one, as after a restart.
func (b *bench) process() *Reconciler {
	b.t.Helper()
	keeper, err := newBlob(providers.New(providers.Credentials{}), b.state)
	if err != nil {
		b.t.Fatal(err)
	}
	return &Reconciler{
		Forge: b.Agent("x").GitHub, Jobs: b.ProwJobs, Plugins: func() *pluginconfig.Configuration { return b.World.Plugins }, Keeper: keeper,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

func (b *bench) reconcile(r *Reconciler, jobs string) {
	b.t.Helper()
	if err := r.Reconcile(b.t.Context(), load(b.t, jobs)); err != nil {
		b.t.Fatal(err)
	}
}

// started lists the jobs that were started, with the pull requests.
func (b *bench) started() (out []string) {
	for _, j := range b.Jobs() {
		out = append(out, j.Spec.Job+" on "+j.Labels[prowv1.PullLabel])
	}
	slices.Sort(out)
	return out
}

func (b *bench) taken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.mutations
	b.mutations = nil
	return out
}

// Probe 33: remove a required presubmit: its context becomes success on open
// pull requests of matching branches; rename a context: copied, then retired;
// add a required always_run job: ProwJobs on trusted, non-draft, mergeable pull
// requests only; an org in --denylist-all: nothing.
func TestProbe33ChangesReachOpenPullRequests(t *testing.T) {
	b := newBench(t)
	b.Push("good", map[string]string{"a": "1"})
	b.Push("draft", map[string]string{"b": "1"})
	b.Push("strange", map[string]string{"c": "1"})
	good := b.Pull("alice", "good", "Good", "")
	draft := b.Pull("alice", "draft", "Draft", "")
	b.Draft("alice", draft, true)
	strange := b.Pull("eve", "strange", "Strange", "")
	if good != 1 || draft != 2 || strange != 3 {
		t.Fatal(good, draft, strange)
	}
	b.Status(b.Head("good"), "old", "failure")
	b.Status(b.Head("good"), "gone", "failure")
	b.Status(b.Head("good"), "release-only", "failure")
	b.taken()

	before := presubmits("o/r", "a context: old", "gone", "release-only branches: [release]")
	after := presubmits("o/r", "a context: new", "added always_run: true")
	b.reconcile(b.process(), before)
	if got := b.taken(); len(got) > 0 || len(b.Jobs()) > 0 {
		t.Fatalf("the first sight changed something: %q", got)
	}

	// Nothing is done where nothing may be done, and in a dry run.
	raw, err := os.ReadFile(b.state)
	if err != nil {
		t.Fatal(err)
	}
	dry := b.process()
	dry.DryRun = true
	b.reconcile(dry, after)
	if got, err := os.ReadFile(b.state); err != nil || string(got) != string(raw) {
		t.Errorf("a dry run changed the state: %s, %v", got, err)
	}
	ignoring := b.process()
	ignoring.Ignored, ignoring.Keeper = []string{"o"}, &memory{state: stateOf(load(t, before))}
	b.reconcile(ignoring, after)
	if got := b.taken(); len(got) > 0 || len(b.Jobs()) > 0 {
		t.Fatalf("something was changed: %q, %q", got, b.started())
	}

	// A new process: the state is all it knows, expressions of branches included.
	b.reconcile(b.process(), after)
	want := map[string]string{
		"old": `success: Context retired. Status moved to "new".`, "new": "failure: ", "gone": "success: Context retired without replacement.", "release-only": "failure: ",
	}
	if got := b.Statuses(b.Head("good")); !maps.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	if got := b.started(); !slices.Equal(got, []string{"added on 1"}) {
		t.Errorf("started %q", got)
	}
	job := b.Jobs()[0]
	if job.Labels[prowv1.EventGUIDLabel] != "none" || job.Spec.Refs.BaseSHA != b.Head("main") || job.Spec.Refs.Pulls[0].SHA != b.Head("good") {
		t.Errorf("the job is %+v", job)
	}

	// Dealing with it again, as after a crash before the state was written, changes nothing.
	b.taken()
	again := b.process()
	again.Keeper = &memory{state: stateOf(load(t, before))}
	b.reconcile(again, after)
	if got := b.started(); len(got) != 1 {
		t.Errorf("started again: %q", got)
	}
	if got := b.taken(); len(got) > 0 {
		t.Errorf("written again: %q", got)
	}
}

func TestWhatFailedIsDealtWithLater(t *testing.T) {
	b := newBench(t)
	b.Push("good", map[string]string{"a": "1"})
	b.Pull("alice", "good", "Good", "")
	b.Status(b.Head("good"), "gone", "failure")
	b.reconcile(b.process(), presubmits("o/r", "gone"))
	b.fail = true
	r := b.process()
	r.ContinueOnError = true
	after := presubmits("o/r", "added always_run: true")
	if err := r.Reconcile(t.Context(), load(t, after)); err == nil || !strings.Contains(err.Error(), "o/r: #1: set the status gone") {
		t.Errorf("got %v", err)
	}
	if got := b.started(); len(got) != 1 {
		t.Errorf("started %q: the error in a status kept jobs from being started", got)
	}
	b.mu.Lock()
	b.fail = false
	b.mu.Unlock()
	b.reconcile(b.process(), after)
	if got := b.Statuses(b.Head("good"))["gone"]; !strings.HasPrefix(got, "success") {
		t.Errorf("gone is %s", got)
	}
	if got := b.started(); len(got) != 1 {
		t.Errorf("started %q", got)
	}
}

// A process that dies at any of its changes, its state unsaved, leaves what the
// next one finishes: each status as it should be, each job started once.
func TestAProcessThatDiesAtAnyChangeLeavesWhatTheNextOneFinishes(t *testing.T) {
	for n := range 8 {
		b := newBench(t)
		b.Push("good", map[string]string{"a": "1"})
		b.Pull("alice", "good", "Good", "")
		b.Status(b.Head("good"), "old", "failure")
		b.Status(b.Head("good"), "gone", "failure")
		before, after := presubmits("o/r", "a context: old", "gone"), presubmits("o/r", "a context: new", "added always_run: true")
		b.reconcile(b.process(), before)
		writes := n / 2
		b.mu.Lock()
		b.dies, b.effect = &writes, n%2 == 1
		b.mu.Unlock()
		dying := b.process()
		dying.Keeper = forgetful{dying.Keeper}
		err := dying.Reconcile(t.Context(), load(t, after))
		if died := writes < 0; died != (err != nil) || n < 6 && !died {
			t.Errorf("change %d: died %t, and tells %v", n/2, died, err)
		}
		b.mu.Lock()
		b.dies = nil
		b.mu.Unlock()
		b.reconcile(b.process(), after)
		want := map[string]string{"old": `success: Context retired. Status moved to "new".`, "new": "failure: ", "gone": "success: Context retired without replacement."}
		if got := b.Statuses(b.Head("good")); !maps.Equal(got, want) {
			t.Errorf("change %d: statuses %v, want %v", n/2, got, want)
		}
		if got := b.started(); !slices.Equal(got, []string{"added on 1"}) {
			t.Errorf("change %d: started %q", n/2, got)
		}
	}
}

// forgetful dies before it can save.
type forgetful struct{ Keeper }

func (forgetful) Save(context.Context, *State) error { return nil }

func TestStartedOnlyForTheChangesThatTheJobIsAbout(t *testing.T) {
	b := newBench(t)
	b.Push("docs", map[string]string{"docs/a.md": "1"})
	b.Push("code", map[string]string{"code/a.go": "1"})
	b.Pull("alice", "docs", "Docs", "")
	b.Pull("alice", "code", "Code", "")
	b.reconcile(b.process(), "  x/y: []\n") // the repository is new to the configuration
	b.reconcile(b.process(), presubmits("o/r", `gofmt run_if_changed: '\.go$'`, "manual"))
	if got := b.started(); !slices.Equal(got, []string{"gofmt on 2"}) {
		t.Errorf("started %q", got)
	}
	denied := b.process()
	denied.NoTrigger = []string{"o/r"}
	b.reconcile(denied, presubmits("o/r", `gofmt run_if_changed: '\.go$'`, "more always_run: true"))
	if got := b.started(); len(got) != 1 {
		t.Errorf("started %q although denied", got)
	}
}

func TestAStateOfAWholeConfigurationIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	text := "plank: {}\nprowjob_namespace: x\npresubmits:\n  o/r:\n  - name: a\n    context: ci/a\n    branches: [re.*]\n    always_run: true\n    max_concurrency: 3\n    spec: {containers: []}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keeper, err := newBlob(providers.New(providers.Credentials{}), path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := keeper.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := plan(s.Presubmits["o/r"], nil, "release"); !slices.Equal(got.Retire, []string{"ci/a"}) {
		t.Errorf("got %+v", got)
	}
	keeper.key = "missing"
	if s, err := keeper.Load(t.Context()); s != nil || err != nil {
		t.Errorf("a missing state: %v, %v", s, err)
	}
}
