package tide

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/forge/local"
	"prow/internal/git"
	"prow/internal/inrepo"
	"prow/internal/kube"
	"prow/internal/statusdesc"
	"prow/internal/tide/history"
	"prow/internal/tide/planner"
)

// world is a forge with the repository acme/app, the robot's clients, and both
// controllers over a cluster of ProwJobs.
type world struct {
	t        *testing.T
	forge    *local.Forge
	gh       *github.Client
	proxy    *proxy
	clone    string
	runner   *git.Runner
	jobs     client.WithWatch
	provider *GitHubProvider
	sync     *Syncer
	status   *Statuses
	cfg      *config.Config
	past     *history.History
	slept    []time.Duration
	offset   time.Duration
	reg      *prometheus.Registry
}

// baseConfig is a configuration with one required job.
const baseConfig = `
prowjob_namespace: default
github: {link_url: "https://forge.example"}
tide:
  queries:
  - repos: [acme/app]
    labels: [lgtm]
    missingLabels: [do-not-merge/hold]
`

const unitJob = `
presubmits:
  acme/app:
  - name: unit
    always_run: true
    spec: {containers: [{image: x, command: [x]}]}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, reg: prometheus.NewRegistry()}
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String()
	if w.forge, err = local.Open(t.Context(), local.Options{Dir: filepath.Join(dir, "forge"), BaseURL: base, AnonymousRead: true}); err != nil {
		t.Fatal(err)
	}
	w.proxy = &proxy{next: w.forge.Handler()}
	server := &http.Server{Handler: w.proxy}
	go func() { _ = server.Serve(listener) }()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.forge.Run(ctx) }()
	t.Cleanup(func() {
		_ = server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := w.forge.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.forge.Apply(t.Context(), local.Seed{
		Users:  []local.User{{Login: "boss"}, {Login: "dev"}, {Login: "robot", Bot: true}},
		Orgs:   []local.SeedOrg{{Org: local.Org{Login: "acme"}, Members: map[string]string{"boss": "admin", "dev": "member", "robot": "admin"}}},
		Repos:  []local.SeedRepo{{Repo: local.Repo{Owner: "acme", Name: "app"}, Collaborators: map[string]string{"dev": "write"}}},
		Tokens: []local.SeedToken{{Login: "dev", Token: "token-of-dev"}, {Login: "robot", Token: "token-of-robot"}},
	}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w.gh, err = github.NewClient(github.ClientOptions{
		Endpoints: []string{w.forge.APIURL()}, GraphQLEndpoint: w.forge.GraphQLURL(), Logger: log,
		Token: func() (string, error) { return "token-of-robot", nil },
		Retry: github.RetryPolicy{MaxRetries: 1, Max404Retries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.runner = inrepo.Runner(os.Environ())
	w.clone = filepath.Join(dir, "clone")
	w.git(dir, "clone", "--quiet", strings.Replace(base, "http://", "http://dev:token-of-dev@", 1)+"/acme/app.git", w.clone)

	mirrors, err := git.NewCache(filepath.Join(dir, "mirrors"), filepath.Join(dir, "work"), func(_ context.Context, org, repo string) (git.Remote, error) {
		return git.Remote{URL: base + "/" + org + "/" + repo}, nil
	}, w.runner)
	if err != nil {
		t.Fatal(err)
	}
	w.jobs = newCluster(t)
	inRepo := config.NewInRepo(inrepo.Trees{Cache: mirrors}, config.InRepoOptions{})
	w.past, err = history.New(t.Context(), 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := w.now
	metrics, board, mergeability := NewMetrics(w.reg), NewBoard(), NewMergeability(w.gh, now)
	sleep := func(_ context.Context, d time.Duration) error { w.slept = append(w.slept, d); return nil }
	w.provider = &GitHubProvider{Forge: w.gh, Mergeability: mergeability, Metrics: metrics, Now: now, Sleep: sleep, Log: log}
	w.sync = &Syncer{
		Provider: w.provider, Jobs: w.jobs, InRepo: inRepo, Git: mirrors, Changes: NewChanges(w.provider.ChangedFiles), Board: board,
		History: w.past, Metrics: metrics, Plan: planner.Classic, Now: now, Log: log, Sleep: sleep,
	}
	w.status = &Statuses{
		Forge: w.gh, Jobs: w.jobs, InRepo: inRepo, Mergeability: mergeability, Board: board, Metrics: metrics, Now: now, After: time.After, Log: log,
	}
	w.configure(baseConfig, unitJob)
	return w
}

// now is the time, which goes on by a minute with each round.
func (w *world) now() time.Time { return time.Now().Add(w.offset) }

func newCluster(t *testing.T) client.WithWatch {
	t.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme)
	for name, f := range Indexes() {
		b = b.WithIndex(&prowv1.ProwJob{}, name, f)
	}
	return b.Build()
}

// configure replaces the configuration and the jobs.
func (w *world) configure(main, jobs string) {
	w.t.Helper()
	w.cfg = loadConfig(w.t, main, jobs)
	w.status.Config = func() *config.Config { return w.cfg }
}

func loadConfig(t *testing.T, main, jobs string) *config.Config {
	t.Helper()
	cfg, err := tryConfig(t, main, jobs)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func tryConfig(t *testing.T, main, jobs string) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	opts := config.DefaultOptions()
	opts.ConfigPath, opts.JobConfigPath = filepath.Join(dir, "config.yaml"), filepath.Join(dir, "jobs.yaml")
	for path, text := range map[string]string{opts.ConfigPath: main, opts.JobConfigPath: jobs} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return config.NewLoader(opts).Load(t.Context())
}

func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.runner.Output(w.t.Context(), dir, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// push commits a file to a branch made from a base and pushes it.
func (w *world) push(branch, base, file, content string) string {
	w.t.Helper()
	w.git(w.clone, "fetch", "--quiet", "origin")
	w.git(w.clone, "checkout", "--quiet", "-B", branch, "origin/"+base)
	path := filepath.Join(w.clone, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.git(w.clone, "add", "--all")
	w.git(w.clone, "commit", "--quiet", "-m", "Change "+file)
	w.git(w.clone, "push", "--quiet", "--force", "origin", branch)
	return w.git(w.clone, "rev-parse", "HEAD")
}

// pull opens a pull request with one changed file and these labels.
func (w *world) pull(file string, labels ...string) (number int, head string) {
	w.t.Helper()
	branch := "change-" + strings.ReplaceAll(file, "/", "-")
	head = w.push(branch, "main", file, file+"\n")
	number = w.open(branch, "Change "+file)
	w.label(number, labels...)
	return number, head
}

func (w *world) open(branch, title string) int {
	w.t.Helper()
	number, err := w.gh.CreatePullRequest(w.t.Context(), "acme", "app", title, "please", branch, "main")
	if err != nil {
		w.t.Fatal(err)
	}
	return number
}

func (w *world) label(number int, labels ...string) {
	w.t.Helper()
	if len(labels) > 0 {
		if err := w.gh.AddLabels(w.t.Context(), "acme", "app", number, labels...); err != nil {
			w.t.Fatal(err)
		}
	}
}

// report sets a status as a reporter does.
func (w *world) report(head, name, state, description string) {
	w.t.Helper()
	if err := w.gh.CreateStatus(w.t.Context(), "acme", "app", head, github.Status{Context: name, State: state, Description: description}); err != nil {
		w.t.Fatal(err)
	}
}

// passed reports a success on a base.
func (w *world) passed(head, name, base string) {
	w.t.Helper()
	w.report(head, name, "success", statusdesc.Description("Job succeeded.", base))
}

func (w *world) main() string {
	w.t.Helper()
	sha, err := w.gh.GetRef(w.t.Context(), "acme", "app", "heads/main")
	if err != nil {
		w.t.Fatal(err)
	}
	return sha
}

// round makes a round of both controllers.
func (w *world) round() {
	w.t.Helper()
	if err := w.sync.Sync(w.t.Context(), w.cfg); err != nil {
		w.t.Fatal(err)
	}
	w.status.Sync(w.t.Context(), w.cfg)
	w.offset += time.Minute
}

// runs are the ProwJobs in order of creation, which is that of names otherwise.
func (w *world) runs() []prowv1.ProwJob {
	w.t.Helper()
	var list prowv1.ProwJobList
	if err := w.jobs.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(list.Items, func(a, b prowv1.ProwJob) int {
		return cmp.Or(a.Status.StartTime.Compare(b.Status.StartTime.Time), cmp.Compare(a.Spec.Job, b.Spec.Job), cmp.Compare(a.Name, b.Name))
	})
	return list.Items
}

// running are the runs that are not complete, as "job #1 #2".
func (w *world) running() []string {
	var out []string
	for _, j := range w.runs() {
		if !j.Complete() {
			text := j.Spec.Job
			for _, p := range j.Spec.Refs.Pulls {
				text += fmt.Sprintf(" #%d", p.Number)
			}
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return out
}

// begin reports the runs as pending, as crier does for those that report.
func (w *world) begin() {
	w.t.Helper()
	for _, j := range w.runs() {
		if j.Complete() || j.Status.State == prowv1.PendingState {
			continue
		}
		j.Status.State = prowv1.PendingState
		w.update(&j)
		if j.Spec.Report {
			w.report(j.Spec.Refs.Pulls[0].SHA, j.Spec.Context, "pending", statusdesc.Description("Job triggered.", j.Spec.Refs.BaseSHA))
		}
	}
}

// finish ends all runs.
func (w *world) finish(state prowv1.ProwJobState) {
	w.t.Helper()
	for _, j := range w.runs() {
		if j.Complete() {
			continue
		}
		done := metav1.NewTime(w.now())
		j.Status.State, j.Status.CompletionTime = state, &done
		w.update(&j)
		if j.Spec.Report {
			text := "success"
			if state != prowv1.SuccessState {
				text = "failure"
			}
			w.report(j.Spec.Refs.Pulls[0].SHA, j.Spec.Context, text, statusdesc.Description("Job ended.", j.Spec.Refs.BaseSHA))
		}
	}
}

func (w *world) update(j *prowv1.ProwJob) {
	w.t.Helper()
	if err := w.jobs.Update(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) merged(number int) bool {
	w.t.Helper()
	pr, err := w.gh.GetPullRequest(w.t.Context(), "acme", "app", number)
	if err != nil {
		w.t.Fatal(err)
	}
	return pr.Merged
}

// action is what the last round did, as "KIND #1 #2"; "" without a pool.
func (w *world) action() string {
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

func (w *world) expect(action string) {
	w.t.Helper()
	if got := w.action(); got != action {
		w.t.Fatalf("the round did %q, want %q: %+v", got, action, w.sync.Pools())
	}
}

// tide is the own status of a commit, as "state: description".
func (w *world) tide(head string) string {
	w.t.Helper()
	combined, err := w.gh.GetCombinedStatus(w.t.Context(), "acme", "app", head)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range combined.Statuses {
		if s.Context == "tide" {
			return s.State + ": " + s.Description
		}
	}
	return ""
}

func (w *world) expectStatus(head, want string) {
	w.t.Helper()
	if got := w.tide(head); got != want {
		w.t.Errorf("the status is %q, want %q", got, want)
	}
}

// proxy stands before the forge, counts requests, and may answer in its stead.
type proxy struct {
	next http.Handler

	mu       sync.Mutex
	answer   func(r *http.Request, body string) (status int, text string)
	requests []string
	bodies   []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if strings.HasPrefix(r.URL.Path, "/api/") {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.URL.Path)
	p.bodies = append(p.bodies, string(body))
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		if status, text := answer(r, string(body)); status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
			return
		}
	}
	p.next.ServeHTTP(w, r)
}

// interpose sets what answers in the forge's stead; 0 leaves it to the forge.
func (p *proxy) interpose(f func(r *http.Request, body string) (int, string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// calls returns the bodies of the requests that begin with a prefix, and forgets all.
func (p *proxy) calls(prefix string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for i, r := range p.requests {
		if strings.HasPrefix(r, prefix) {
			out = append(out, p.bodies[i])
		}
	}
	return out
}

func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.bodies = nil, nil
}

func refusal(message string) string {
	b, _ := json.Marshal(map[string]string{"message": message})
	return string(b)
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// issue files an issue.
func (w *world) issue(title, label string) {
	w.t.Helper()
	body, _ := json.Marshal(map[string]any{"title": title, "labels": []string{label}})
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.forge.APIURL()+"/repos/acme/app/issues", strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "token token-of-robot")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("filing an issue: %d %s", resp.StatusCode, text)
	}
}

// blindCluster reads from one cluster and writes to another, as a cache does that
// is behind.
type blindCluster struct {
	client.WithWatch
	creates client.Client
}

func (b *blindCluster) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return b.creates.Create(ctx, o, opts...)
}

// counted is the sum of a counter over all that have a label of this value.
func (w *world) counted(name, value string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
