package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v75/github"
	"github.com/prometheus/client_golang/prometheus"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/hook"
	"prow/internal/kube/kubetest"
	"prow/internal/plugins/all"
	"prow/internal/plugins/pluginconfig"
	"prow/internal/plugins/plugintest"
	"prow/internal/secret"
	"prow/internal/service"
	"prow/internal/webhook"
)

// hookPage holds the table of events: what each may ask of the forge.
const hookPage = "../../docs/hook.md"

// The table stands between these lines.
const (
	tableBegin = "<!-- events: written by `make bench BENCH=TenEvents` -->\n"
	tableEnd   = "<!-- /events -->\n"
)

// The plugins are those that Kubernetes has for its main repository, of those there are.
const (
	eventPlugins = `
plugins:
  o/r: {plugins: [approve, assign, blockade, blunderbuss, cherry-pick-approved, cherry-pick-unapproved, cla, help, hold, invalidcommitmsg, label, lgtm, lifecycle, mergecommitblocker, milestone, milestoneapplier, milestonestatus, override, owners-label, release-note, require-matching-label, retitle, size, skip, trigger, verify-owners, wip]}
approve: [{repos: [o], require_self_approval: true}]
lgtm: [{repos: [o], review_acts_as_lgtm: true, store_tree_hash: true}]
triggers: [{repos: [o], trusted_org: o}]
blockades: [{repos: [o/r], blockregexps: [^secret/], explanation: ask}]
cherry_pick_unapproved: {branchregexp: ^release-.*$}
require_matching_label: [{org: o, repo: r, prs: true, issues: true, regexp: ^kind/, missing_label: needs-kind, grace_period: 1ms}]
`
	eventJobs = `
presubmits:
  o/r:
  - {name: unit, always_run: true, spec: {containers: [{image: alpine}]}}
  - {name: e2e, always_run: true, spec: {containers: [{image: alpine}]}}
  - {name: docs, run_if_changed: ^docs/, spec: {containers: [{image: alpine}]}}
`
)

// events are what is measured: what people do, on pull requests and an issue that
// are there already. member opened one pull request, stranger is by somebody who
// is not in the org.
var events = []struct {
	name string
	do   func(w *plugintest.World, n *numbers)
}{
	{"a comment without a command", func(w *plugintest.World, n *numbers) { w.Comment("bob", n.member, "Looks good to me.") }},
	{"a pull request of a member", func(w *plugintest.World, n *numbers) {
		w.Push(n.branch("member"), map[string]string{n.branch("a.txt"): "a\n"})
		n.begin()
		n.member = w.Pull("alice", n.branch("member"), "A change", "```release-note\nNONE\n```")
	}},
	{"a pull request of a stranger", func(w *plugintest.World, n *numbers) {
		w.Push(n.branch("stranger"), map[string]string{n.branch("b.txt"): "b\n"})
		n.begin()
		n.stranger = w.Pull("eve", n.branch("stranger"), "Another change", "")
	}},
	{"`/ok-to-test`", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.stranger, "/ok-to-test") }},
	{"a push to a pull request", func(w *plugintest.World, n *numbers) {
		w.Push(n.branch("member"), map[string]string{n.branch("a.txt"): "b\n"})
	}},
	{"`/test all`", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.member, "/test all") }},
	{"`/retest` after a failure", func(w *plugintest.World, n *numbers) {
		w.Status(w.Head(n.branch("member")), "unit", "failure")
		n.begin()
		w.Comment("alice", n.member, "/retest")
	}},
	{"a failed status", func(w *plugintest.World, n *numbers) { w.Status(w.Head(n.branch("member")), "e2e", "failure") }},
	{"`/assign` of two", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.member, "/assign @bob @boss") }},
	{"`/kind bug`", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.member, "/kind bug") }},
	{"`/lgtm` with `/hold`", func(w *plugintest.World, n *numbers) { w.Comment("bob", n.member, "/lgtm\n/hold") }},
	{"`/approve`", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.member, "/approve") }},
	{"an approving review", func(w *plugintest.World, n *numbers) { w.Review("bob", n.stranger, "APPROVE", "") }},
	{"a new title", func(w *plugintest.World, n *numbers) {
		w.EditPull("alice", n.member, gogithub.PullRequest{Title: gogithub.Ptr("WIP: a change")})
	}},
	{"an issue", func(w *plugintest.World, n *numbers) { n.issue = w.Issue("eve", "It breaks", "/kind bug") }},
	{"`/close`", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.issue, "/close") }},
	{"`/lifecycle frozen` with `/reopen`", func(w *plugintest.World, n *numbers) { w.Comment("alice", n.issue, "/lifecycle frozen\n/reopen") }},
}

// numbers are those of the pull requests and the issue of one round.
type numbers struct {
	round                   int
	member, stranger, issue int
	begin                   func()
}

// branch makes a name of this round.
func (n *numbers) branch(name string) string { return strconv.Itoa(n.round) + "-" + name }

// cost is what an event makes hook ask of the forge.
type cost struct {
	// own are requests for the event itself, once those without what was read again.
	own, once int
	// caused are those for what the bot does because of it.
	caused int
}

// chance is by how many requests one run may differ from another: handlers run at
// the same time, and what one of them changes the others read again.
const chance = 3

// eventHook is a hook with a real forge, between which it listens.
type eventHook struct {
	tb    testing.TB
	world *plugintest.World
	url   string

	mu    sync.Mutex
	asked []string
	// now collects for the event under way, by who caused it.
	now  cost
	list []string
}

func startEventHook(tb testing.TB) *eventHook {
	tb.Helper()
	h := &eventHook{tb: tb}
	h.world = plugintest.New(tb, plugintest.Options{
		Plugins: eventPlugins, Jobs: eventJobs,
		Files:   map[string]string{"OWNERS": "approvers: [alice]\nreviewers: [bob]\nlabels: [area/x]\n"},
		Deliver: func(id, kind string, payload []byte) { h.deliver(id, kind, payload) },
	})
	h.world.RepoLabels("kind/bug", "kind/feature", "needs-kind", "area/x", "lgtm", "approved")
	cluster := kubetest.Start(tb)
	target, err := url.Parse("http://" + h.world.Address())
	must(tb, err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			h.mu.Lock()
			h.asked = append(h.asked, r.Method+" "+r.URL.String())
			h.mu.Unlock()
		}
		forward.ServeHTTP(w, r)
	}))
	tb.Cleanup(between.Close)

	dir := tb.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(tb, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	port := freePort(tb)
	o := &hook.Options{
		Config: config.DefaultOptions(), Plugins: pluginconfig.Options{Path: write("plugins.yaml", eventPlugins)}, WebhookPath: "/hook", Address: "127.0.0.1", Port: port,
		HMACFile: write("hmac", "s3cret"), AdminTokenFile: write("admin", "administrator"), Store: filepath.Join(dir, "hook.db"), CacheDir: filepath.Join(dir, "cache"),
		GracePeriod: 10 * time.Second, SweepWindow: time.Hour,
	}
	o.Config.ConfigPath, o.Config.JobConfigPath = write("config.yaml", "prowjob_namespace: "+cluster.Namespace(tb)), write("jobs.yaml", eventJobs)
	o.Kubernetes.Kubeconfig = cluster.KubeconfigPath
	// Without its cache of answers: those that have not changed would be free.
	o.GitHub = github.Flags{
		Host: strings.TrimPrefix(between.URL, "http://"), Endpoints: []string{between.URL + "/api/v3"}, GraphQLEndpoint: between.URL + "/api/graphql",
		TokenPath: write("token", plugintest.Token("bot")), MaxRetries: 1, Max404Retries: -1, RequestTimeout: time.Minute, InitialDelay: time.Millisecond,
	}
	must(tb, o.Validate())
	log, err := os.Create(filepath.Join(dir, "log"))
	must(tb, err)
	secrets := new(secret.Store)
	rt := service.NewRuntime(hook.Name, slog.New(slog.NewJSONHandler(log, nil)), new(slog.LevelVar), prometheus.NewRegistry(), secrets)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = secrets.Run(ctx, rt.Log) })
	ended := make(chan error, 1)
	running.Go(func() { ended <- hook.Run(ctx, rt, o, all.Plugins()) })
	tb.Cleanup(func() {
		cancel()
		running.Wait()
		if raw, _ := os.ReadFile(log.Name()); bytes.Contains(raw, []byte(`"level":"ERROR"`)) {
			tb.Errorf("hook reports errors:\n%s", raw)
		}
		_ = log.Close()
	})
	select {
	case <-rt.Ready():
	case err := <-ended:
		tb.Fatalf("hook does not start: %v", err)
	case <-time.After(time.Minute):
		tb.Fatal("hook does not get ready")
	}
	h.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	return h
}

// deliver gives a webhook to hook and waits until it is handled.
func (h *eventHook) deliver(id, kind string, payload []byte) {
	if h.url == "" {
		return // the World begins before hook does
	}
	var about struct {
		Action string
		Sender struct{ Login string }
	}
	must(h.tb, json.Unmarshal(payload, &about))
	before := h.used()
	h.mu.Lock()
	h.asked = nil
	h.mu.Unlock()
	h.post(id, kind, payload)
	h.handled(id)
	spent := h.used() - before
	h.mu.Lock()
	defer h.mu.Unlock()
	if about.Sender.Login == "bot" {
		h.now.caused += spent
	} else {
		h.now.own += spent
		h.now.once += spent - again(h.asked)
	}
	h.list = append(h.list, fmt.Sprintf("%s/%s by %s: %d", kind, about.Action, about.Sender.Login, spent))
	slices.Sort(h.asked)
	for _, each := range h.asked {
		h.list = append(h.list, "  "+each)
	}
}

// again counts what was read more than once.
func again(asked []string) (times int) {
	seen := map[string]bool{}
	for _, each := range asked {
		if strings.HasPrefix(each, http.MethodGet) && seen[each] {
			times++
		}
		seen[each] = true
	}
	return times
}

func (h *eventHook) post(id, kind string, payload []byte) {
	req, err := http.NewRequest(http.MethodPost, h.url+"/hook", bytes.NewReader(payload))
	must(h.tb, err)
	for key, value := range map[string]string{"X-GitHub-Event": kind, "X-GitHub-Delivery": id, "X-Hub-Signature-256": webhook.Sign(payload, "s3cret"), "Content-Type": "application/json"} {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	must(h.tb, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		h.tb.Fatalf("a delivery is answered with %s", resp.Status)
	}
}

// handled waits until a delivery has ended; one that nobody handles is not kept.
func (h *eventHook) handled(id string) {
	for deadline := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodGet, h.url+hook.DeliveriesPath+"/"+id, nil)
		must(h.tb, err)
		req.Header.Set("Authorization", "Bearer administrator")
		resp, err := http.DefaultClient.Do(req)
		must(h.tb, err)
		var d hook.Delivery
		err = json.NewDecoder(resp.Body).Decode(&d)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusOK && err == nil && d.State != "new" {
			return
		}
		if time.Now().After(deadline) {
			h.tb.Fatalf("the delivery %s does not end: %s %v", id, resp.Status, err)
		}
	}
}

// used is how many requests the forge has counted for the bot.
func (h *eventHook) used() int {
	limits, _, err := h.world.As("bot").RateLimit.Get(context.Background())
	must(h.tb, err)
	return limits.Core.Used + limits.GraphQL.Used + limits.Search.Used
}

// measure lets all events happen, several times, and returns the most each took.
func (h *eventHook) measure(rounds int) map[string]cost {
	most := map[string]cost{}
	n := &numbers{begin: func() { h.now, h.list = cost{}, nil }}
	h.world.Push("0-member", map[string]string{"first.txt": "x\n"})
	n.member = h.world.Pull("alice", "0-member", "The first change", "") // what hook asks only once is asked here
	h.world.Comment("alice", n.member, "/lgtm cancel")
	for range rounds {
		n.round++
		for _, e := range events {
			n.begin()
			e.do(h.world, n)
			m := most[e.name]
			most[e.name] = cost{max(m.own, h.now.own), max(m.once, h.now.once), max(m.caused, h.now.caused)}
			h.tb.Logf("%d. %s: %d, and %d for what it causes\n%s", n.round, e.name, h.now.own, h.now.caused, strings.Join(h.list, "\n"))
		}
	}
	return most
}

// table is what the page shows.
func table(costs map[string]cost) string {
	var b strings.Builder
	b.WriteString(tableBegin + "| what happens | requests | without what is read again | for what the bot does then |\n|---|---|---|---|\n")
	for _, e := range events {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", e.name, costs[e.name].own, costs[e.name].once, costs[e.name].caused)
	}
	return b.String() + tableEnd
}

// limits reads the table of the page.
func limits(tb testing.TB) (page, shown string, byName map[string]cost) {
	raw, err := os.ReadFile(hookPage)
	must(tb, err)
	_, rest, found := strings.Cut(string(raw), tableBegin)
	shown, _, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		tb.Fatalf("%s has no table of events", hookPage)
	}
	byName = map[string]cost{}
	for line := range strings.Lines(shown) {
		cells := strings.Split(line, "|")
		var c cost
		if len(cells) != 6 {
			continue
		}
		if _, err := fmt.Sscan(strings.Join(cells[2:5], " "), &c.own, &c.once, &c.caused); err == nil { // else it is the head
			byName[strings.TrimSpace(cells[1])] = c
		}
	}
	return string(raw), tableBegin + shown + tableEnd, byName
}

// TestEventsAskNoMoreOfTheForgeThanThePageSays fails where a common event makes
// hook ask the forge more often than the table in docs/hook.md says.
func TestEventsAskNoMoreOfTheForgeThanThePageSays(t *testing.T) {
	_, _, allowed := limits(t)
	costs := startEventHook(t).measure(1)
	for _, e := range events {
		limit, known := allowed[e.name]
		switch got := costs[e.name]; {
		case !known:
			t.Errorf("%s: not in %s; run `make bench BENCH=TenEvents`", e.name, hookPage)
		case got.once > limit.once || got.own > limit.own+chance || got.caused > limit.caused+chance:
			t.Errorf("%s: %d requests, %d without what was read again, and %d for what it causes; %s has %d, %d and %d", e.name, got.own, got.once, got.caused, hookPage, limit.own, limit.once, limit.caused)
		}
	}
}

// BenchmarkTenEvents counts what common events make hook ask of the forge, with the
// plugins of Kubernetes, as the forge counts it for the rate limit, and with
// nothing in a cache. It writes the table in docs/hook.md, the most of three rounds.
func BenchmarkTenEvents(b *testing.B) {
	for range b.N {
		costs := startEventHook(b).measure(3)
		page, shown, _ := limits(b)
		must(b, os.WriteFile(hookPage, []byte(strings.Replace(page, shown, table(costs), 1)), 0o644))
		total := 0
		for _, c := range costs {
			total += c.own + c.caused
		}
		b.ReportMetric(float64(total), "requests")
		b.ReportMetric(0, "ns/op")
	}
}
