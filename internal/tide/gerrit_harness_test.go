package tide

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/gerrit"
	"prow/internal/forge/gerrit/gerrittest"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/secret"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
)

// gerritWorld is a Gerrit with the project dir/app, and the sync controller over a
// cluster of ProwJobs.
type gerritWorld struct {
	t      *testing.T
	server *gerrittest.Server
	jobs   client.WithWatch
	git    *git.Cache
	sync   *Syncer
	cfg    *config.Config
	past   *history.History
	reg    *prometheus.Registry
	offset time.Duration
}

const project = "dir/app"

// gerritConfig is the configuration; INSTANCE stands for the address.
const gerritConfig = `
prowjob_namespace: default
gerrit: {deck_url: "https://deck.example/"}
tide:
  gerrit:
    ratelimit: 2
    queries:
    - {org: INSTANCE, repos: [dir/app]}
`

const gerritJobs = `
presubmits:
  INSTANCE/dir/app:
  - name: unit
    always_run: true
    labels: {prow.k8s.io/gerrit-report-label: Code-Review}
    spec: {containers: [{image: x, command: [x]}]}
`

func newGerritWorld(t *testing.T, p gerrittest.Project) *gerritWorld {
	t.Helper()
	w := &gerritWorld{t: t, server: gerrittest.Start(t), jobs: newCluster(t)}
	w.server.AddProject(project, p)
	dir := t.TempDir()
	var err error
	w.git, err = git.NewCache(filepath.Join(dir, "mirrors"), filepath.Join(dir, "work"), func(_ context.Context, org, repo string) (git.Remote, error) {
		return git.Remote{URL: gerrit.CloneURI(org, repo)}, nil
	}, inrepo.Runner(os.Environ()))
	if err != nil {
		t.Fatal(err)
	}
	if w.past, err = history.New(t.Context(), 10, nil); err != nil {
		t.Fatal(err)
	}
	w.configure(gerritConfig, gerritJobs)
	w.start()
	return w
}

// start makes a controller that knows nothing of what was before.
func (w *gerritWorld) start() {
	w.t.Helper()
	log := quiet
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	forge := gerrit.NewClient(gerrit.Options{
		Instances: func() []string { return []string{w.server.URL} }, Component: "tide",
		Cookie: func() secret.Value { return secret.New(gerrittest.Cookie) },
	})
	w.reg = prometheus.NewRegistry()
	metrics := NewMetrics(w.reg)
	provider := &GerritProvider{Forge: forge, Jobs: w.jobs, Metrics: metrics, Log: log}
	w.sync = &Syncer{
		Provider: provider, Jobs: w.jobs, InRepo: config.NewInRepo(inrepo.Trees{Cache: w.git}, config.InRepoOptions{}), Git: w.git,
		Changes: NewChanges(provider.ChangedFiles), Board: NewBoard(), History: w.past, Metrics: metrics, Plan: planner.Classic,
		Now: w.now, Log: log, Sleep: func(context.Context, time.Duration) error { return nil },
	}
}

func (w *gerritWorld) now() time.Time { return time.Now().Add(w.offset) }

func (w *gerritWorld) configure(main, jobs string) {
	w.t.Helper()
	fill := func(s string) string { return strings.ReplaceAll(s, "INSTANCE", w.server.URL) }
	w.cfg = loadConfig(w.t, fill(main), fill(jobs))
}

// open opens a change with one file that is ready to be merged.
func (w *gerritWorld) open(file string) (number int, head string) {
	w.t.Helper()
	number, head = w.server.Open(project, "main", "", "Add "+file, map[string]string{file: file + "\n"})
	w.server.Approve(number)
	return number, head
}

// round makes a round, and tells what was done, as "KIND #1 #2".
func (w *gerritWorld) round() string {
	w.t.Helper()
	if err := w.sync.Sync(w.t.Context(), w.cfg); err != nil {
		w.t.Fatal(err)
	}
	w.offset += time.Minute
	pools := w.sync.Pools()
	if len(pools) == 0 {
		return ""
	}
	text := string(pools[0].Action)
	for _, pr := range pools[0].Target {
		text += fmt.Sprintf(" #%d", pr.Number)
	}
	return text
}

func (w *gerritWorld) expect(want string) {
	w.t.Helper()
	if got := w.round(); got != want {
		w.t.Fatalf("the round did %q, want %q: %+v", got, want, w.sync.Pools())
	}
}

// unfinished are the runs that are not complete.
func (w *gerritWorld) unfinished() []prowv1.ProwJob {
	w.t.Helper()
	var list prowv1.ProwJobList
	if err := w.jobs.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(j prowv1.ProwJob) bool { return j.Complete() })
}

// finish ends all runs, and returns how many.
func (w *gerritWorld) finish(state prowv1.ProwJobState) int {
	w.t.Helper()
	running := w.unfinished()
	for i := range running {
		done := metav1.NewTime(w.now())
		running[i].Status.State, running[i].Status.CompletionTime = state, &done
		if err := w.jobs.Update(w.t.Context(), &running[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	return len(running)
}

func (w *gerritWorld) merged(numbers ...int) bool {
	w.t.Helper()
	return !slices.ContainsFunc(numbers, func(n int) bool { return w.server.Status(n) != gerrit.StatusMerged })
}
