package deck

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube/kubetest"
	"prow/internal/store"
	"prow/test/installation"
)

const (
	scaleJobs, scaleRepos = 2_000, 150
	// firstLoadBytes is what the list with its style and scripts may have, compressed.
	firstLoadBytes = 100 << 10
)

// scaleJob is a ProwJob of 9 to 10 KB: a decorated pod with two containers.
func scaleJob(bucket string, i int, began time.Time) *v1.ProwJob {
	n := i * 7919 % scaleJobs
	repo := n % scaleRepos
	sha := fmt.Sprintf("%040x", uint64(i+1)*0x9E3779B97F4A7C15)
	env := func(k int) (out []corev1.EnvVar) {
		for j := range 24 {
			out = append(out, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d_OF_CONTAINER_%d", j, k), Value: fmt.Sprintf("/etc/service-account/service-account-%d.json", n*j)})
		}
		return out
	}
	container := func(name string, k int) corev1.Container {
		return corev1.Container{
			Name: name, Image: "gcr.io/k8s-staging-test-infra/kubekins-e2e:v20260101-0123456789-main", Command: []string{"runner.sh", "/workspace/scenarios/execute.py"},
			Args: []string{"--check-leaked-resources", "--provider=gce", "--timeout=600m", `--test_args=--ginkgo.focus=\[Slow\] --minStartupPods=8`, fmt.Sprintf("--cluster=e2e-%d", n)},
			Env:  env(k), Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("14Gi")}, Limits: corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("14Gi")},
			},
			VolumeMounts: []corev1.VolumeMount{{Name: "service", MountPath: "/etc/service-account", ReadOnly: true}, {Name: "cache", MountPath: "/root/.cache"}},
		}
	}
	out := &v1.ProwJob{
		TypeMeta: metav1.TypeMeta{APIVersion: v1.SchemeGroupVersion.String(), Kind: "ProwJob"},
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%08x-5c1d-4e2f-9a3b-%012x", uint32(i)*2654435761, i), UID: types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)), ResourceVersion: strconv.Itoa(i + 1),
			Labels: map[string]string{
				"created-by-prow": "true", "prow.k8s.io/job": fmt.Sprintf("pull-job-%d", n), "prow.k8s.io/type": "presubmit", "prow.k8s.io/refs.org": "kubernetes",
				"prow.k8s.io/refs.repo": fmt.Sprintf("repo-%d", repo), "prow.k8s.io/refs.pull": strconv.Itoa(i % 3000), "prow.k8s.io/context": "unit", "event-GUID": sha[:36],
			},
			Annotations: map[string]string{"prow.k8s.io/job": fmt.Sprintf("pull-job-%d", n), "testgrid-dashboards": "sig-testing", "description": "what this job is about, in a sentence of some length"},
		},
		Spec: v1.ProwJobSpec{
			Type: v1.PresubmitJob, Agent: v1.KubernetesAgent, Cluster: "build" + strconv.Itoa(n%4), Job: fmt.Sprintf("pull-job-%d", n), Context: fmt.Sprintf("pull-job-%d", n),
			RerunCommand: fmt.Sprintf("/test pull-job-%d", n), Report: true,
			Refs: &v1.Refs{
				Org: "kubernetes", Repo: fmt.Sprintf("repo-%d", repo), BaseRef: "main", BaseSHA: sha, RepoLink: fmt.Sprintf("https://github.com/kubernetes/repo-%d", repo),
				Pulls: []v1.Pull{{Number: i%3000 + 1, Author: fmt.Sprintf("author-%d", i%700), SHA: sha, Title: "Make the scheduler consider what was said in the last meeting", Link: fmt.Sprintf("https://github.com/kubernetes/repo-%d/pull/%d", repo, i%3000+1)}},
			},
			DecorationConfig: &v1.DecorationConfig{
				GCSConfiguration: &v1.GCSConfiguration{Bucket: "file://" + bucket, PathStrategy: v1.PathStrategyExplicit, DefaultOrg: "kubernetes", DefaultRepo: "kubernetes"},
				UtilityImages: &v1.UtilityImages{
					CloneRefs: "us-docker.pkg.dev/k8s-infra-prow/images/clonerefs:v20260101-0123456789", InitUpload: "us-docker.pkg.dev/k8s-infra-prow/images/initupload:v20260101-0123456789",
					Entrypoint: "us-docker.pkg.dev/k8s-infra-prow/images/entrypoint:v20260101-0123456789", Sidecar: "us-docker.pkg.dev/k8s-infra-prow/images/sidecar:v20260101-0123456789",
				},
			},
			PodSpec: &corev1.PodSpec{Containers: []corev1.Container{container("test", 0), container("registry", 1)}},
		},
		Status: v1.ProwJobStatus{
			StartTime: metav1.NewTime(began.Truncate(time.Second)), State: v1.TriggeredState, Description: "Job triggered.",
			URL: fmt.Sprintf("https://prow.example.com/view/gs/kubernetes-ci-logs/pr-logs/pull/kubernetes_repo-%d/%d/pull-job-%d/%d", repo, i%3000+1, n, 1_900_000_000_000_000_000+i), BuildID: strconv.Itoa(1_900_000_000_000_000_000 + i),
		},
	}
	return out
}

func scaleFinished(bucket string, i int, began time.Time) *v1.ProwJob {
	pj := scaleJob(bucket, i, began)
	end, pending := metav1.NewTime(began.Truncate(time.Second).Add(17*time.Minute)), metav1.NewTime(began.Truncate(time.Second).Add(3*time.Second))
	pj.Status.CompletionTime, pj.Status.PendingTime, pj.Status.PodName = &end, &pending, pj.Name
	pj.Status.State, pj.Status.Description = v1.SuccessState, "Job succeeded."
	if i%5 == 0 {
		pj.Status.State, pj.Status.Description = v1.FailureState, "Job failed."
	}
	pj.Status.PrevReportStates = map[string]v1.ProwJobState{"gcsreporter": pj.Status.State, "github-reporter": pj.Status.State}
	return pj
}

// fillScale writes runs that ended within the last weeks into a store.
func fillScale(b *testing.B, path, bucket string, n int, now time.Time) {
	b.Helper()
	kept, err := store.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer kept.Close()
	var rows []store.Run
	for i := range n {
		pj := scaleFinished(bucket, i, now.Add(-time.Duration(n-i)*20*time.Second-time.Hour))
		body, err := packBody(pj)
		if err != nil {
			b.Fatal(err)
		}
		_, key, _ := strings.Cut(pj.Status.URL, "kubernetes-ci-logs/")
		rows = append(rows, entryOf(pj).row("file"+bucket+"/"+key, body))
		if len(rows) == 1000 || i == n-1 {
			if err := kept.PutRuns(b.Context(), rows, now); err != nil {
				b.Fatal(err)
			}
			rows = rows[:0]
		}
	}
}

func scaleNumber(name string, or int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return or
}

// BenchmarkScale measures deck beside PROW_BENCH_RUNS (100000) finished runs in its store
// and PROW_BENCH_LIVE (5000) ProwJobs of 9 to 10 KB in the cluster.
//
// Method: a real API server holds the ProwJobs, an SQLite file the runs; the built program
// runs as in a cluster. It is asked over HTTP, with compression as browsers do, one request
// after the other, SCALE_REQUESTS (60) of each kind, each with another filter or page.
// Figures:
//
//	ready-s          from the start of the program until it is ready
//	rss-MB           the most memory that was resident (VmHWM), in the end
//	KIND-p95-ms      95 of 100 answers came within that time, the last byte included
//	first-load-KB    the list with its style, scripts and icons, compressed, as it is sent
//	store-MB         the size of the SQLite file
//
// PROW_BIN=$PWD/bin go test -run '^$' -bench BenchmarkScale -benchtime 1x -timeout 30m ./internal/deck
func BenchmarkScale(b *testing.B) {
	runs, live, each := scaleNumber("PROW_BENCH_RUNS", 100_000), scaleNumber("PROW_BENCH_LIVE", 5_000), scaleNumber("SCALE_REQUESTS", 60)
	programs := installation.Programs(b)
	dir, now := b.TempDir(), time.Now()
	db := filepath.Join(dir, "deck.db")
	bucket := filepath.Join(dir, "bucket")
	fillScale(b, db, bucket, runs, now)
	cluster := kubetest.Start(b, "--node")
	ns := cluster.Namespace(b)
	cluster.Load(b, v1.SchemeGroupVersion.WithResource("prowjobs"), func(yield func(client.Object) bool) {
		for i := range live {
			pj := scaleJob(bucket, runs+i, now.Add(-time.Duration(live-i)*time.Second/2))
			pj.Namespace, pj.ResourceVersion, pj.UID = ns, "", ""
			if !yield(pj) {
				return
			}
		}
	})
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(configText(ns, bucket, "")), 0o600); err != nil {
		b.Fatal(err)
	}
	for i := 1; i <= 300; i++ {
		run := filepath.Join(bucket, "logs", "nightly", strconv.Itoa(1000+i))
		if err := os.MkdirAll(run, 0o755); err != nil {
			b.Fatal(err)
		}
		for name, content := range map[string]string{"started.json": `{"timestamp":1700000000}`, "finished.json": `{"timestamp":1700000100,"result":"SUCCESS"}`} {
			if err := os.WriteFile(filepath.Join(run, name), []byte(content), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		p := startDeck(b, programs, cluster, "--config-path="+file, "--store="+db, "--spyglass")
		b.ReportMetric(p.ready.Seconds(), "ready-s")
		b.ReportMetric(float64(p.firstLoad(b))/1024, "first-load-KB")
		for kind, paths := range map[string]iter.Seq[string]{
			"list":    numberedPath("/?repo=&state=%s", "", "success", "failure", "triggered"),
			"page":    p.pagesOf(b, "/?repo=kubernetes%2Frepo-7"),
			"filter":  numberedPath("/?repo=kubernetes%%2Frepo-%d&author=author-%d&since=30d", 0),
			"search":  numberedPath("/?job=*job-%d*&pull=&type=presubmit", 0),
			"history": numberedPath("/job-history/file"+bucket+"/logs/nightly?buildId=%d", 0),
			"pull":    numberedPath("/pr-history/?org=kubernetes&repo=repo-%d&pr=%d", 0),
			"run":     p.runPages(b),
		} {
			b.ReportMetric(p.p95(b, paths, each), kind+"-p95-ms")
		}
		begun := time.Now()
		b.ReportMetric(float64(p.bytes(b, "/prowjobs.js"))/(1<<20), "prowjobs.js-MB")
		b.ReportMetric(time.Since(begun).Seconds(), "prowjobs.js-s")
		b.ReportMetric(p.memory(b), "rss-MB")
		p.end(b)
	}
	info, err := os.Stat(db)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "store-MB")
}

// numberedPath fills a form with words in turn, or with numbers.
func numberedPath(form string, words ...any) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; ; i++ {
			args := make([]any, strings.Count(form, "%s")+strings.Count(form, "%d"))
			for j := range args {
				switch {
				case words[0] != 0:
					args[j] = words[i%len(words)]
				case strings.Contains(form, "buildId"):
					args[j] = 1300 - i*4
				default:
					args[j] = i*(j+1)%150 + 1
				}
			}
			if !yield(fmt.Sprintf(form, args...)) {
				return
			}
		}
	}
}

// deckProcess is the program as in a cluster.
type deckProcess struct {
	cmd   *exec.Cmd
	url   string
	ready time.Duration
}

func startDeck(b *testing.B, programs string, cluster *kubetest.Cluster, args ...string) *deckProcess {
	b.Helper()
	ports := make([]string, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
		_ = l.Close() // the port is what counts
	}
	p := &deckProcess{url: "http://127.0.0.1:" + ports[0]}
	p.cmd = exec.CommandContext(context.WithoutCancel(b.Context()), filepath.Join(programs, "prow"), append([]string{
		"deck", "--kubeconfig=" + cluster.KubeconfigPath, "--no-in-cluster-config", "--port=" + ports[0], "--health-port=" + ports[1], "--metrics-port=" + ports[2], "--pprof-port=" + strconv.Itoa(scaleNumber("PROW_BENCH_PPROF_PORT", 0)),
	}, args...)...)
	log := &strings.Builder{}
	p.cmd.Stderr = log
	begun := time.Now()
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for {
		resp, err := http.Get("http://127.0.0.1:" + ports[1] + "/healthz/ready")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				p.ready = time.Since(begun)
				return p
			}
		}
		if time.Since(begun) > time.Minute {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
			b.Fatalf("it is not ready: %s", log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *deckProcess) end(b *testing.B) {
	b.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

// fetch returns how many bytes are sent, and the text.
func (p *deckProcess) fetch(b *testing.B, path string) (sent int, text string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s %v", path, resp.Status, err)
	}
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return len(raw), string(raw)
	}
	unpacked, err := gzip.NewReader(strings.NewReader(string(raw)))
	if err != nil {
		b.Fatal(err)
	}
	all, err := io.ReadAll(unpacked)
	if err != nil {
		b.Fatal(err)
	}
	return len(raw), string(all)
}

func (p *deckProcess) bytes(b *testing.B, path string) int {
	b.Helper()
	sent, _ := p.fetch(b, path)
	return sent
}

var loads = regexp.MustCompile(`(?:src|href)="\.?/?(static/[^"#]+)`)

// firstLoad is how many bytes the list and all that it loads are.
func (p *deckProcess) firstLoad(b *testing.B) int {
	b.Helper()
	sum, text := p.fetch(b, "/")
	seen := map[string]bool{}
	for _, m := range loads.FindAllStringSubmatch(text, -1) {
		if path, _ := url.PathUnescape(m[1]); !seen[path] {
			seen[path] = true
			sum += p.bytes(b, "/"+path)
		}
	}
	for _, module := range []string{"refresh.js", "times.js"} {
		sum += p.bytes(b, "/static/"+module)
	}
	if len(seen) < 3 || sum > firstLoadBytes {
		b.Errorf("the first load has %d bytes in %d files, more than %d are too many", sum, len(seen)+1, firstLoadBytes)
	}
	return sum
}

func (p *deckProcess) p95(b *testing.B, paths iter.Seq[string], n int) float64 {
	b.Helper()
	var took []time.Duration
	for path := range paths {
		begun := time.Now()
		p.fetch(b, path)
		if took = append(took, time.Since(begun)); len(took) == n {
			break
		}
	}
	slices.Sort(took)
	return float64(took[len(took)*95/100].Microseconds()) / 1000
}

var nextPage = regexp.MustCompile(`href="\.?/?(\?[^"]*after=[^"]*)"`)

// pagesOf are a list and its further pages.
func (p *deckProcess) pagesOf(b *testing.B, path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := path; yield(at); {
			_, text := p.fetch(b, at)
			m := nextPage.FindStringSubmatch(text)
			if at = path; m != nil {
				at = "/" + strings.ReplaceAll(m[1], "&amp;", "&")
			}
		}
	}
}

var runLink = regexp.MustCompile(`href="\.?/?((?:run|view)/[^"]+)"`)

// runPages are the pages of finished runs.
func (p *deckProcess) runPages(b *testing.B) iter.Seq[string] {
	return func(yield func(string) bool) {
		for page := range p.pagesOf(b, "/?state=failure") {
			_, text := p.fetch(b, page)
			for _, m := range runLink.FindAllStringSubmatch(text, -1) {
				if strings.Contains(m[1], "/rerun") || strings.Contains(m[1], "/abort") {
					continue
				}
				if !yield("/" + m[1]) {
					return
				}
			}
		}
	}
}

func (p *deckProcess) memory(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	b.Fatal("there is no VmHWM")
	return 0
}
