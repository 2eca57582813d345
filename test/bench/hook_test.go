package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"prow/internal/webhook"
)

// forgeDelay is how long the forge takes for each answer.
const forgeDelay = 20 * time.Millisecond

// BenchmarkHook measures hook as a process of its own, with the configuration and
// the plugins of the real installation in PROW_REAL_CONFIG, and a forge that takes
// 20 ms for each answer. The sender shares the machine.
//
// The external plugins of that configuration are left out.
//
//	plain comments         2,000 a second for HOOK_SECONDS (20): nobody has anything to do for them
//	lgtm and hold          200 a second of "/lgtm" with "/hold"
//	accept-p50-ms, -p99-ms time to the answer of a delivery, which is then on disk
//	sent/s                 the rate that was reached
//	cpu-ms/delivery        user and system time of hook
//	rss-MB                 its most resident memory (VmHWM)
//	requests/delivery      what it asked of the forge
//	behind-s               from the last answer until all work has ended
func BenchmarkHook(b *testing.B) {
	real, bin := os.Getenv("PROW_REAL_CONFIG"), os.Getenv("PROW_BIN")
	if real == "" || bin == "" {
		b.Skip("SKIPPED: PROW_REAL_CONFIG or PROW_BIN is not set")
	}
	seconds := number("HOOK_SECONDS", 20)
	for _, load := range []struct {
		name, comment string
		perSecond     int
	}{
		{"plain comments", "Thanks, this looks good to me now.\n\nI have one more question about the retries.", 2000},
		{"lgtm and hold", "/lgtm\n/hold", 200},
	} {
		b.Run(load.name, func(b *testing.B) {
			for range b.N {
				h := startHook(b, real, filepath.Join(bin, "prow"))
				h.run(b, load.comment, load.perSecond, seconds)
			}
		})
	}
}

// hookProcess is a running hook with its forge.
type hookProcess struct {
	cmd      *exec.Cmd
	url      string
	metrics  int
	log      string
	requests atomic.Int64
}

func startHook(b *testing.B, real, program string) *hookProcess {
	b.Helper()
	h := &hookProcess{}
	forge := httptest.NewServer(http.HandlerFunc(h.forge))
	b.Cleanup(forge.Close)
	dir := b.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(b, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	port := freePort(b)
	h.metrics, h.url, h.log = freePort(b), fmt.Sprintf("http://127.0.0.1:%d/hook", port), filepath.Join(dir, "log")
	// External plugins are other services, which this machine does not have.
	pluginConfig, err := os.ReadFile(filepath.Join(real, "config", "plugins.yaml"))
	must(b, err)
	inside, _, found := strings.Cut(string(pluginConfig), "\nexternal_plugins:")
	if found {
		_, after, _ := strings.Cut(string(pluginConfig)[len(inside)+1:], "\n")
		for line := range strings.Lines(after) {
			if line[0] != ' ' && line[0] != '-' && line[0] != '#' && line[0] != '\n' {
				_, rest, _ := strings.Cut(after, line)
				inside += "\n" + line + rest
				break
			}
		}
	}
	kubeconfig := `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], users: [{name: c, user: {}}], contexts: [{name: c, context: {cluster: c, user: c}}]}`
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	h.cmd = exec.CommandContext(ctx, program, "hook", "--config-path="+filepath.Join(real, "config", "config.yaml"), "--job-config-path="+filepath.Join(real, "jobs"),
		"--plugin-config="+write("plugins.yaml", inside), "--hmac-secret-file="+write("hmac", "s3cret"), "--github-token-path="+write("token", "t0ken"),
		"--github-endpoint="+forge.URL, "--github-graphql-endpoint="+forge.URL+"/graphql", "--kubeconfig="+write("kubeconfig", kubeconfig), "--dry-run=false", "--redelivery-interval=0",
		"--store="+filepath.Join(dir, "hook.db"), "--cache-dir-base="+filepath.Join(dir, "cache"), "--bind-address=127.0.0.1",
		fmt.Sprintf("--port=%d", port), fmt.Sprintf("--metrics-port=%d", h.metrics), "--pprof-port=0", "--health-port=0")
	log, err := os.Create(h.log)
	must(b, err)
	h.cmd.Stdout, h.cmd.Stderr = log, log
	must(b, h.cmd.Start())
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
			return h
		}
		if time.Now().After(deadline) {
			raw, _ := os.ReadFile(h.log)
			b.Fatalf("hook does not start: %s", raw[max(0, len(raw)-3000):])
		}
	}
}

// forge answers what plugins ask about pull requests, each after a while.
func (h *hookProcess) forge(w http.ResponseWriter, r *http.Request) {
	h.requests.Add(1)
	time.Sleep(forgeDelay)
	path := r.URL.Path
	w.Header().Set("Content-Type", "application/json")
	switch {
	case path == "/user":
		_, _ = io.WriteString(w, `{"login":"k8s-ci-robot","id":1,"type":"User"}`)
	case path == "/graphql": // the tree of the head, and comments
		_, _ = io.WriteString(w, `{"data":{"repository":{"pullRequest":{"commits":{"nodes":[{"commit":{"tree":{"oid":"2222222222222222222222222222222222222222"}}}]},"comments":{"totalCount":0,"nodes":[]}}}}}`)
	case strings.HasSuffix(path, "/comments") && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":9}`)
	case strings.Contains(path, "/collaborators/"), strings.Contains(path, "/members/"):
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(path, "/assignees"):
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"number":1,"assignees":[{"login":"reviewer","id":7}]}`)
	case strings.HasSuffix(path, "/labels") && r.Method == http.MethodPost:
		_, _ = io.WriteString(w, `[{"name":"lgtm"}]`)
	case strings.HasSuffix(path, "/labels"), strings.HasSuffix(path, "/comments"):
		_, _ = io.WriteString(w, `[]`)
	case strings.Contains(path, "/pulls/"):
		_, _ = io.WriteString(w, `{"number":1,"state":"open","user":{"login":"author","id":6},"head":{"sha":"1111111111111111111111111111111111111111"},"base":{"ref":"master"}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"Not Found"}`)
	}
}

// payload is a comment on a pull request, as large as the forge's usually are.
func payload(comment string, number int) []byte {
	user := func(login string, id int) string {
		return fmt.Sprintf(`{"login":%q,"id":%d,"node_id":"MDQ6VXNlcg==","avatar_url":"https://avatars.example/u/%d?v=4","url":"https://api.example/users/%s","html_url":"https://example/%s","followers_url":"https://api.example/users/%s/followers","repos_url":"https://api.example/users/%s/repos","type":"User","site_admin":false}`, login, id, id, login, login, login, login)
	}
	var links strings.Builder
	for _, what := range []string{"forks", "keys", "collaborators", "teams", "hooks", "issue_events", "events", "assignees", "branches", "tags", "blobs", "git_tags", "git_refs", "trees", "statuses", "languages", "stargazers", "contributors", "subscribers", "subscription", "commits", "git_commits", "comments", "issue_comment", "contents", "compare", "merges", "archive", "downloads", "issues", "pulls", "milestones", "notifications", "labels", "releases", "deployments"} {
		fmt.Fprintf(&links, `"%s_url":"https://api.example/repos/kubernetes/kubernetes/%s{/number}",`, what, what)
	}
	return fmt.Appendf(nil, `{"action":"created","issue":{"url":"https://api.example/repos/kubernetes/kubernetes/issues/%[1]d","html_url":"https://example/kubernetes/kubernetes/pull/%[1]d","id":%[1]d,"number":%[1]d,"title":"Retry what may be retried","user":%[2]s,"labels":[{"id":1,"name":"size/M","color":"eebb00","description":"Denotes a PR that changes 30-99 lines, ignoring generated files."},{"id":2,"name":"sig/node","color":"d2b48c","description":"Categorizes an issue or PR as relevant to SIG Node."}],"state":"open","locked":false,"assignees":[],"comments":4,"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","author_association":"MEMBER","pull_request":{"url":"https://api.example/repos/kubernetes/kubernetes/pulls/%[1]d"},"body":%[3]q},"comment":{"url":"https://api.example/repos/kubernetes/kubernetes/issues/comments/9","html_url":"https://example/kubernetes/kubernetes/pull/%[1]d#issuecomment-9","id":9,"user":%[4]s,"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","author_association":"MEMBER","body":%[5]q},"repository":{"id":20580498,"name":"kubernetes","full_name":"kubernetes/kubernetes","private":false,"owner":%[6]s,%[7]s"default_branch":"master"},"organization":{"login":"kubernetes","id":13629408},"sender":%[4]s}`,
		number, user("author", 6), strings.Repeat("What this changes and why, in many words.\r\n", 40), user("reviewer", 7), comment, user("kubernetes", 13629408), links.String())
}

// run sends deliveries at a rate and reports.
func (h *hookProcess) run(b *testing.B, comment string, perSecond, seconds int) {
	b.Helper()
	total := perSecond * seconds
	bodies, signatures := make([][]byte, 500), make([]string, 500)
	for n := range bodies {
		bodies[n] = payload(comment, n+1)
		signatures[n] = webhook.Sign(bodies[n], "s3cret")
	}
	b.SetBytes(int64(len(bodies[0])))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}}
	var mu sync.Mutex
	took := make([]time.Duration, 0, total)
	var refused atomic.Int64
	before := h.cpu(b)
	begun := time.Now()
	tickets := make(chan int, total)
	var senders sync.WaitGroup
	for range 128 {
		senders.Go(func() {
			for n := range tickets {
				start := time.Now()
				if !send(client, h.url, fmt.Sprintf("d-%d", n), bodies[n%len(bodies)], signatures[n%len(bodies)]) {
					refused.Add(1)
				}
				d := time.Since(start)
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	for n := range total {
		if wait := time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(perSecond))); wait > 0 {
			time.Sleep(wait)
		}
		tickets <- n
	}
	close(tickets)
	senders.Wait()
	rate := float64(total) / time.Since(begun).Seconds()
	idle := time.Now()
	h.untilIdle(b)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "accept-p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "accept-p99-ms")
	b.ReportMetric(rate, "sent/s")
	b.ReportMetric((h.cpu(b)-before).Seconds()*1000/float64(total), "cpu-ms/delivery")
	b.ReportMetric((&process{cmd: h.cmd}).memory(b), "rss-MB")
	b.ReportMetric(float64(h.requests.Load())/float64(total), "requests/delivery")
	b.ReportMetric(time.Since(idle).Seconds(), "behind-s")
	b.ReportMetric(0, "ns/op")
	if n := refused.Load(); n > 0 {
		b.Errorf("%d deliveries were not accepted", n)
	}
	must(b, h.cmd.Process.Signal(syscall.SIGTERM))
	_ = h.cmd.Wait()
}

func send(client *http.Client, url, id string, body []byte, signature string) bool {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("X-GitHub-Event", "issue_comment")
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-Hub-Signature-256", signature)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// cpu is the time the process has used.
func (h *hookProcess) cpu(b *testing.B) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	must(b, err)
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var user, system int64
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	must(b, err)
	return time.Duration(user+system) * time.Second / 100
}

// untilIdle waits until no work is in memory or in the store.
func (h *hookProcess) untilIdle(b *testing.B) {
	b.Helper()
	p := &process{cmd: h.cmd, metrics: h.metrics, log: h.log, name: "hook"}
	p.until(b, "prow_webhook_running", func(v float64) bool { return v == 0 })
}
