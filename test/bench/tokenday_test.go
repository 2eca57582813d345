package bench

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/forge/github/apimetrics"
	"prow/internal/forge/local"
	"prow/internal/kube/kubetest"
	"prow/test/installation"
)

// BenchmarkTokenSavingDay plays a day of an installation as quickly as it goes: hook
// with its plugins, tide, crier and status-reconciler as processes of their own, a
// real API server, and a real forge that charges as GitHub does: nothing for an
// answer 304. Between them is ghproxy, or with DAY_DIRECT=1 nothing: then the
// components' own caches are what saves.
//
// Method: a round of tide is a minute, so the day has 1,440 of them and as many of its
// status controller, however long they take here (DAY_HOURS, 24). All else keeps to
// that clock: DAY_PULLS (24) pull requests live three hours each: opened, discussed,
// held, changed, reviewed, approved, and three of four merged by tide; and twice the
// jobs change. Jobs end at once. Hook asks every 15 minutes for deliveries that failed.
//
// Requests are counted in front of ghproxy and behind it, by component:
//
//	requests    what was asked
//	charged     what the forge charged
//	charged-%   the part of it
//	tide-rounds the rounds that there were
func BenchmarkTokenSavingDay(b *testing.B) {
	for range b.N {
		d := newDay(b, number("DAY_HOURS", 24), number("DAY_PULLS", 24))
		d.live()
		d.report()
	}
}

// dayMinute is the shortest minute of the day.
const dayMinute = 60 * time.Millisecond

// day is an installation whose day is short.
type day struct {
	b              *testing.B
	minutes, pulls int
	forge          *local.Forge
	dir, ns        string
	api            client.Client
	tide           *process
	// now is the minute.
	now atomic.Int64
	// asked is counted before ghproxy, charged behind it.
	asked, charged tally
}

const dayOrg, dayRepo = "o", "r"

func newDay(b *testing.B, hours, pulls int) *day {
	b.Helper()
	bin := installation.Programs(b)
	cluster := kubetest.Start(b)
	d := &day{b: b, minutes: hours * 60, pulls: pulls, dir: b.TempDir(), ns: cluster.Namespace(b), api: apiClient(b, cluster)}
	hookPort := freePort(b)
	d.openForge()
	front := d.serve(d.through(filepath.Join(bin, "prow")))
	flags := []string{"--github-host=" + strings.TrimPrefix(front, "http://"), "--github-endpoint=" + front, "--github-graphql-endpoint=" + front + "/graphql",
		"--github-token-path=" + d.write("token", "token-of-bot"), "--github-client.initial-delay=10ms"}
	config := d.write("config.yaml", fmt.Sprintf(`prowjob_namespace: %[1]s
pod_namespace: %[1]s
tide:
  sync_period: %[2]s
  queries:
  - repos: [o/r]
    labels: [lgtm, approved]
    missingLabels: [do-not-merge/hold, do-not-merge/work-in-progress, needs-ok-to-test]
`, d.ns, dayMinute))
	d.jobs("unit", "lint")
	pluginFile := d.write("plugins.yaml", `plugins:
  o:
    plugins: [approve, assign, blunderbuss, hold, label, lgtm, lifecycle, owners-label, size, trigger, verify-owners, wip]
triggers:
- repos: [o]
`)
	ctx := b.Context()
	jobConfig := "--job-config-path=" + filepath.Join(d.dir, "jobs.yaml")
	start := func(name string, more ...string) *process {
		return startProcess(ctx, b, cluster, config, name, slices.Concat([]string{jobConfig}, flags, more)...)
	}
	// As many in a short hour as in a long one.
	quicker := func(perHour int) string { return fmt.Sprint(perHour * int(time.Minute/dayMinute)) }
	d.tide = start("tide", fmt.Sprintf("--port=%d", freePort(b)), "--bind-address=127.0.0.1", "--sync-hourly-tokens="+quicker(800), "--status-hourly-tokens="+quicker(400), "--cache-dir-base="+filepath.Join(d.dir, "tide"))
	start("crier", "--github-workers=4")
	start("status-reconciler", "--plugin-config="+pluginFile)
	start("hook", "--plugin-config="+pluginFile, "--hmac-secret-file="+d.write("hmac", "s3cret"), "--store="+filepath.Join(d.dir, "hook.db"), "--cache-dir-base="+filepath.Join(d.dir, "hook"),
		fmt.Sprintf("--port=%d", hookPort), "--bind-address=127.0.0.1", "--redelivery-interval="+(15*4*dayMinute).String()) // a minute takes about four of the shortest
	// Only now: what nobody received would be asked for again all day long.
	must(b, d.forge.Apply(ctx, local.Seed{Hooks: []local.Hook{{Owner: dayOrg, URL: fmt.Sprintf("http://127.0.0.1:%d/hook", hookPort), Secret: "s3cret"}}}))
	return d
}

func (d *day) write(name, content string) string {
	path := filepath.Join(d.dir, name)
	must(d.b, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// jobs are the presubmits from now on.
func (d *day) jobs(names ...string) {
	text := "presubmits:\n  o/r:\n"
	for _, name := range names {
		text += fmt.Sprintf("  - {name: %s, always_run: true, spec: {containers: [{image: x, command: [\"true\"]}]}}\n", name)
	}
	// Moved into place: a component must not read a part of it.
	must(d.b, os.Rename(d.write("jobs.new", text), filepath.Join(d.dir, "jobs.yaml")))
}

func (d *day) openForge() {
	b := d.b
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	d.forge, err = local.Open(context.Background(), local.Options{Dir: b.TempDir(), BaseURL: "http://" + listener.Addr().String(), AnonymousRead: true})
	must(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = d.forge.Serve(ctx, listener) })
	running.Go(func() { _ = d.forge.Run(ctx) })
	b.Cleanup(func() {
		cancel()
		running.Wait()
		_ = d.forge.Close()
	})
	seed := local.Seed{
		Users: []local.User{{Login: "boss"}, {Login: "alice"}, {Login: "bob"}, {Login: "eve"}, {Login: "bot"}},
		Orgs:  []local.SeedOrg{{Org: local.Org{Login: dayOrg}, Members: map[string]string{"boss": "admin", "bot": "admin", "alice": "member", "bob": "member"}}},
		Repos: []local.SeedRepo{{Repo: local.Repo{Owner: dayOrg, Name: dayRepo}, Collaborators: map[string]string{"alice": "write", "bob": "write"}}},
	}
	for _, u := range seed.Users {
		seed.Tokens = append(seed.Tokens, local.SeedToken{Login: u.Login, Token: "token-of-" + u.Login})
	}
	must(b, d.forge.Apply(b.Context(), seed))
	d.file("boss", "main", "OWNERS", "approvers: [boss]\nreviewers: [bob]\n")
}

// serve serves until the end and returns the address.
func (d *day) serve(handler http.Handler) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(d.b, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	d.b.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// through passes requests on to the forge: those for the API counted, and through
// ghproxy, where they are counted once more.
func (d *day) through(program string) http.Handler {
	forge, err := url.Parse(d.forge.APIURL())
	must(d.b, err)
	base := &url.URL{Scheme: forge.Scheme, Host: forge.Host}
	behind := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(base) },
		ModifyResponse: func(resp *http.Response) error { d.charged.answered(resp); return nil },
	}
	toProxy := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", freePort(d.b))}
	api := http.Handler(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(toProxy) }})
	if number("DAY_DIRECT", 0) > 0 {
		api = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			prefix := "/api/v3"
			if r.URL.Path == "/graphql" {
				prefix = "/api"
			}
			r.URL.Path, r.URL.RawPath = prefix+r.URL.Path, prefix+r.URL.EscapedPath()
			behind.ServeHTTP(w, r)
		})
	} else {
		cmd := exec.CommandContext(context.Background(), program, "ghproxy", "--port="+toProxy.Port(), "--upstream="+d.serve(behind)+"/api/v3", "--metrics-port=0", "--pprof-port=0", "--health-port=0", "--log-level=error")
		must(d.b, cmd.Start())
		d.b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for deadline := time.Now().Add(startLimit); ; <-time.After(20 * time.Millisecond) {
			if conn, err := net.Dial("tcp", toProxy.Host); err == nil {
				_ = conn.Close()
				break
			} else if time.Now().After(deadline) {
				d.b.Fatal("ghproxy does not start")
			}
		}
	}
	git := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") || strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			git.ServeHTTP(w, r)
			return
		}
		d.asked.add(r)
		api.ServeHTTP(w, r)
	})
}

// tally counts requests by component, and whether they are GraphQL.
type tally struct {
	mu    sync.Mutex
	count map[[2]string]int
	// paths counts those of REST by method and template of the path.
	paths map[string]int
}

var dayPaths = apimetrics.NewPaths()

func (t *tally) add(r *http.Request) {
	component, _, _ := strings.Cut(r.UserAgent(), "/")
	component, _, _ = strings.Cut(component, ".")
	kind := "REST reads"
	switch {
	case strings.HasSuffix(r.URL.Path, "/graphql"):
		kind = "GraphQL"
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		kind = "REST writes"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == nil {
		t.count, t.paths = map[[2]string]int{}, map[string]int{}
	}
	if kind != "GraphQL" {
		t.paths[r.Method+" "+dayPaths.Template(strings.TrimPrefix(r.URL.Path, "/api/v3"))]++
	}
	t.count[[2]string{component, kind}]++
}

func (t *tally) answered(resp *http.Response) {
	if resp.StatusCode != http.StatusNotModified {
		t.add(resp.Request)
	}
}

func (t *tally) sum(component, kind string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, count := range t.count {
		if (component == "" || key[0] == component) && (kind == "" || key[1] == kind) {
			n += count
		}
	}
	return n
}

// as is a client of a person, who uses the forge itself.
func (d *day) as(login string) *gogithub.Client {
	c, err := gogithub.NewClient(nil).WithAuthToken("token-of-"+login).WithEnterpriseURLs(strings.TrimSuffix(d.forge.APIURL(), "/api/v3"), strings.TrimSuffix(d.forge.APIURL(), "/api/v3"))
	must(d.b, err)
	return c
}

func (d *day) file(login, branch, path, content string) {
	options := &gogithub.RepositoryContentFileOptions{Message: gogithub.Ptr("Write " + path), Content: []byte(content), Branch: &branch}
	old, _, _, err := d.as(login).Repositories.GetContents(d.b.Context(), dayOrg, dayRepo, path, &gogithub.RepositoryContentGetOptions{Ref: branch})
	if err == nil && old != nil {
		options.SHA = old.SHA
	}
	_, _, err = d.as(login).Repositories.CreateFile(d.b.Context(), dayOrg, dayRepo, path, options)
	d.try(err)
}

// try notes what did not work; the day goes on.
func (d *day) try(err error) {
	if err != nil && d.b.Context().Err() == nil {
		d.b.Errorf("a person was refused: %v", err)
	}
}

// live is the day.
func (d *day) live() {
	ctx, cancel := context.WithCancel(d.b.Context())
	defer cancel()
	go d.runJobs(ctx)
	first := d.rounds()
	go func() {
		for ctx.Err() == nil {
			d.now.Store(int64(d.rounds() - first))
			time.Sleep(50 * time.Millisecond)
		}
	}()
	at := func(part float64) {
		for float64(d.now.Load()) < part*float64(d.minutes) {
			time.Sleep(20 * time.Millisecond)
		}
	}
	var people sync.WaitGroup
	life := 3 * 60 / float64(d.minutes)
	for n := range d.pulls {
		people.Go(func() {
			from := float64(n) / float64(d.pulls) * (1 - life)
			at(from)
			d.pull(n, func(part float64) { at(from + part*life) })
		})
	}
	people.Go(func() {
		at(.33)
		d.jobs("unit", "lint", "extra")
		at(.66)
		d.jobs("unit", "lint")
	})
	people.Wait()
	at(1)
}

// rounds is how many rounds tide has made.
func (d *day) rounds() float64 { return metricSum(d.tide.lines(d.b), "tidesyncheartbeat", `"sync"`) }

// pull is the life of a pull request; at waits for a part of it.
func (d *day) pull(n int, at func(part float64)) {
	ctx, alice := d.b.Context(), d.as("alice")
	branch := fmt.Sprintf("change-%d", n)
	main, _, err := alice.Git.GetRef(ctx, dayOrg, dayRepo, "heads/main")
	d.try(err)
	_, _, err = alice.Git.CreateRef(ctx, dayOrg, dayRepo, gogithub.CreateRef{Ref: "refs/heads/" + branch, SHA: main.GetObject().GetSHA()})
	d.try(err)
	d.file("alice", branch, branch+".txt", "1\n")
	pr, _, err := alice.PullRequests.Create(ctx, dayOrg, dayRepo, &gogithub.NewPullRequest{Title: gogithub.Ptr("WIP: change"), Body: gogithub.Ptr("/kind bug\n/assign bob"), Head: &branch, Base: gogithub.Ptr("main")})
	d.try(err)
	say := func(login, text string) {
		_, _, err := d.as(login).Issues.CreateComment(ctx, dayOrg, dayRepo, pr.GetNumber(), &gogithub.IssueComment{Body: &text})
		d.try(err)
	}
	edit := func(change gogithub.PullRequest) {
		_, _, err := alice.PullRequests.Edit(ctx, dayOrg, dayRepo, pr.GetNumber(), &change)
		d.try(err)
	}
	for i, step := range []func(){
		func() { say("eve", "What does this do?") },
		func() { say("alice", "It makes things better.") },
		func() { edit(gogithub.PullRequest{Title: gogithub.Ptr("Change")}) },
		func() { say("bob", "/hold") },
		func() { say("bob", "/lgtm") },
		func() { d.file("alice", branch, branch+".txt", "2\n") },
		func() { say("alice", "Done. /retest") },
		func() { say("eve", "Thanks!") },
		func() { say("bob", "/lgtm") },
		func() { say("boss", "/approve") },
		func() {
			if n%4 == 3 {
				edit(gogithub.PullRequest{State: gogithub.Ptr("closed")})
			} else {
				say("bob", "/hold cancel")
			}
		},
	} {
		at(float64(i+1) / 12)
		step()
	}
}

// runJobs ends every job with success.
func (d *day) runJobs(ctx context.Context) {
	for ctx.Err() == nil {
		var list prowv1.ProwJobList
		if err := d.api.List(ctx, &list, client.InNamespace(d.ns)); err != nil {
			continue
		}
		for i := range list.Items {
			pj := &list.Items[i]
			if pj.Complete() {
				continue
			}
			next := prowv1.PendingState
			if pj.Status.State == prowv1.PendingState {
				next = prowv1.SuccessState
				pj.Status.CompletionTime = &metav1.Time{Time: time.Now()}
			} else {
				pj.Status.PendingTime = &metav1.Time{Time: time.Now()}
			}
			pj.Status.State, pj.Status.Description, pj.Status.URL, pj.Status.BuildID = next, "Job "+string(next)+".", "http://deck/view/"+pj.Name, "1"
			_ = d.api.Update(ctx, pj) // a conflict is tried again
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// open describes the pull requests that are open.
func (d *day) open() (out []string) {
	ctx, boss := d.b.Context(), d.as("boss")
	pulls, _, err := boss.PullRequests.List(ctx, dayOrg, dayRepo, nil)
	must(d.b, err)
	for _, pr := range pulls {
		text := fmt.Sprintf("#%d", pr.GetNumber())
		for _, l := range pr.Labels {
			text += " " + l.GetName()
		}
		statuses, _, err := boss.Repositories.GetCombinedStatus(ctx, dayOrg, dayRepo, pr.GetHead().GetSHA(), nil)
		must(d.b, err)
		for _, s := range statuses.Statuses {
			text += fmt.Sprintf("; %s %s: %s", s.GetContext(), s.GetState(), s.GetDescription())
		}
		out = append(out, text)
	}
	return out
}

func (d *day) report() {
	b := d.b
	var out strings.Builder
	row := func(component, kind string) {
		asked, charged := d.asked.sum(component, kind), d.charged.sum(component, kind)
		if asked > 0 {
			fmt.Fprintf(&out, "%-20s %-12s %8d %8d %6.1f %%\n", component, kind, asked, charged, 100*float64(charged)/float64(asked))
		}
	}
	fmt.Fprintf(&out, "\n%-20s %-12s %8s %8s %8s\n", "component", "kind", "requests", "charged", "part")
	var components []string
	for key := range d.asked.count {
		components = append(components, key[0])
	}
	slices.Sort(components)
	for _, component := range append(slices.Compact(components), "") {
		for _, kind := range []string{"REST reads", "REST writes", "GraphQL", ""} {
			row(component, kind)
		}
	}
	fmt.Fprintf(&out, "\nREST requests that were charged most:\n")
	paths := slices.SortedFunc(maps.Keys(d.charged.paths), func(x, y string) int { return d.charged.paths[y] - d.charged.paths[x] })
	for _, path := range paths[:min(len(paths), 20)] {
		fmt.Fprintf(&out, "%8d of %8d  %s\n", d.charged.paths[path], d.asked.paths[path], path)
	}
	merged, _, err := d.as("boss").Search.Issues(b.Context(), "repo:o/r is:pr is:merged", nil)
	must(b, err)
	for _, pr := range d.open() {
		fmt.Fprintln(&out, "still open:", pr)
	}
	b.Logf("%s\n%d of %d pull requests were merged", out.String(), merged.GetTotal(), d.pulls)
	if merged.GetTotal() == 0 {
		b.Error("tide merged nothing")
	}
	asked, charged := float64(d.asked.sum("", "")), float64(d.charged.sum("", ""))
	b.ReportMetric(asked, "requests")
	b.ReportMetric(charged, "charged")
	b.ReportMetric(100*charged/asked, "charged-%")
	b.ReportMetric(float64(d.now.Load()), "tide-rounds")
	b.ReportMetric(0, "ns/op")
}
