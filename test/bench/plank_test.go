package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/prowjob"
)

// BenchmarkPlank measures prow-controller-manager as a process of its own against
// a real API server; a goroutine plays the kubelet (a pod runs and succeeds).
// PLANK_JOBS (10000) jobs are made as fast as the API server takes them, with a
// pod specification of 3 KB each; then finished ones are added up to
// PLANK_FINISHED (50000), the program is started anew, and 200 jobs are made one
// after the other.
//
//	jobs/s             finished, from the first creation to the last completion
//	rss-MB             most resident memory of the program up to then (VmHWM)
//	cpu-ms/job         user and system time of the program
//	writes/transition  its writes at the API server for each of the two transitions of a job
//	reads/job          its single reads
//	full-rss-MB        most resident memory of the new program among the finished jobs
//	full-ready-s       from its start until it is ready
//	look-p99-ms        99 of 100 looks at the 200 jobs took at most that (upper end of the bucket)
//	job-to-pod-p99-ms  from a job's creation until its pod is seen
func BenchmarkPlank(b *testing.B) {
	bin := os.Getenv("PROW_BIN")
	if bin == "" {
		b.Skip("PROW_BIN does not say where the programs are; use make bench")
	}
	for range b.N {
		measurePlank(b, filepath.Join(bin, "prow"), number("PLANK_JOBS", 10_000), number("PLANK_FINISHED", 50_000))
	}
}

func number(env string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return otherwise
}

func measurePlank(b *testing.B, program string, jobs, finished int) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	cluster := kubetest.Start(b)
	ns := cluster.Namespace(b)
	scheme, err := kube.NewScheme()
	must(b, err)
	api, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	must(b, err)
	counter := newCounter(b, cluster.Config)
	kubelet := startKubelet(ctx, b, cluster.Config, ns)

	first := startManager(ctx, b, program, counter.url, ns)
	begun := time.Now()
	create(ctx, b, api, jobs, func() *prowv1.ProwJob { return benchJob(ns) })
	for metricSum(first.metrics(b), "prowjobs{", `state="success"`) < float64(jobs) {
		<-time.After(200 * time.Millisecond)
	}
	took := time.Since(begun)
	b.ReportMetric(float64(jobs)/took.Seconds(), "jobs/s")
	b.ReportMetric(first.memory(b), "rss-MB")
	b.ReportMetric(first.cpu(b).Seconds()*1000/float64(jobs), "cpu-ms/job")
	b.ReportMetric(float64(counter.writes.Load())/float64(2*jobs), "writes/transition")
	b.ReportMetric(float64(counter.reads.Load())/float64(jobs), "reads/job")
	first.end(b)

	create(ctx, b, api, finished-jobs, func() *prowv1.ProwJob {
		j := benchJob(ns)
		now := metav1.Now()
		j.Status.State, j.Status.CompletionTime, j.Status.BuildID = prowv1.SuccessState, &now, "1"
		return j
	})
	begun = time.Now()
	second := startManager(ctx, b, program, counter.url, ns)
	b.ReportMetric(time.Since(begun).Seconds(), "full-ready-s")
	var waits []time.Duration
	for range 200 {
		j := benchJob(ns)
		seen := kubelet.expect(j.Name)
		made := time.Now()
		must(b, api.Create(ctx, j))
		waits = append(waits, (<-seen).Sub(made))
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "job-to-pod-p99-ms")
	b.ReportMetric(quantile(second.metrics(b), "plank_reconcile_duration_seconds_bucket", .99)*1000, "look-p99-ms")
	b.ReportMetric(second.memory(b), "full-rss-MB")
	second.end(b)
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func benchJob(ns string) *prowv1.ProwJob {
	env := make([]corev1.EnvVar, 30)
	for i := range env {
		env[i] = corev1.EnvVar{Name: fmt.Sprintf("SETTING_OF_THE_JOB_%d", i), Value: strings.Repeat("value ", 10)}
	}
	return prowjob.New(prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Job: "pull-project-unit-test", Context: "pull-project-unit-test", Agent: prowv1.KubernetesAgent,
		Refs: &prowv1.Refs{Org: "organization", Repo: "repository", BaseRef: "main", BaseSHA: strings.Repeat("a", 40),
			Pulls: []prowv1.Pull{{Number: int(nextPull.Add(1)), Author: "author", SHA: strings.Repeat("b", 40)}}},
		PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "registry.example/image:v1", Command: []string{"make", "test"}, Env: env}}},
	}, map[string]string{"event-GUID": "11111111-2222-3333-4444-555555555555"}, nil, prowjob.InNamespace(ns))
}

var nextPull atomic.Int64

func create(ctx context.Context, b *testing.B, api client.Client, n int, job func() *prowv1.ProwJob) {
	b.Helper()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for range n {
		group.Go(func() error { return api.Create(ctx, job()) })
	}
	must(b, group.Wait())
}

// counter is the API server, with requests counted on the way.
type counter struct {
	url           string
	writes, reads atomic.Int64
}

func newCounter(b *testing.B, to *rest.Config) *counter {
	b.Helper()
	target, err := url.Parse(to.Host)
	must(b, err)
	transport, err := rest.TransportFor(to)
	must(b, err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1}
	c := &counter{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/prowjobs") || strings.Contains(r.URL.Path, "/pods") {
			if r.Method == http.MethodGet {
				c.reads.Add(1)
			} else {
				c.writes.Add(1)
			}
		}
		forward.ServeHTTP(w, r)
	}))
	b.Cleanup(func() { _ = server.Config.Close() })
	c.url = server.URL
	return c
}

// kubelet lets pods run and succeed, and tells when a pod is seen.
type kubelet struct {
	mu   sync.Mutex
	seen map[string]chan time.Time
}

func (k *kubelet) expect(name string) <-chan time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[name] = make(chan time.Time, 1)
	return k.seen[name]
}

func startKubelet(ctx context.Context, b *testing.B, config *rest.Config, ns string) *kubelet {
	b.Helper()
	set, err := kubernetes.NewForConfig(config)
	must(b, err)
	k := &kubelet{seen: map[string]chan time.Time{}}
	watch, err := set.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{})
	must(b, err)
	work := make(chan *corev1.Pod, 100_000)
	go func() {
		defer close(work)
		for event := range watch.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			k.mu.Lock()
			if c := k.seen[pod.Name]; c != nil {
				c <- time.Now()
				delete(k.seen, pod.Name)
			}
			k.mu.Unlock()
			if event.Type != "DELETED" && (pod.Status.Phase == corev1.PodPending || pod.Status.Phase == corev1.PodRunning) {
				work <- pod
			}
		}
	}()
	for range 8 {
		go func() {
			for pod := range work {
				now := metav1.Now()
				if pod.Status.Phase == corev1.PodPending {
					pod.Status.Phase, pod.Status.StartTime = corev1.PodRunning, &now
				} else {
					pod.Status.Phase = corev1.PodSucceeded
				}
				_, _ = set.CoreV1().Pods(ns).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
			}
		}()
	}
	return k
}

// process is a running prow-controller-manager.
type process struct {
	cmd  *exec.Cmd
	port int
}

func startManager(ctx context.Context, b *testing.B, program, server, ns string) *process {
	b.Helper()
	dir := b.TempDir()
	c := clientcmdapi.NewConfig()
	c.Clusters["main"], c.Contexts["main"], c.CurrentContext = &clientcmdapi.Cluster{Server: server}, &clientcmdapi.Context{Cluster: "main"}, "main"
	must(b, clientcmd.WriteToFile(*c, filepath.Join(dir, "kubeconfig")))
	must(b, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(fmt.Sprintf("prowjob_namespace: %s\npod_namespace: %s\n", ns, ns)), 0o600))
	p := &process{port: freePort(b)}
	health := freePort(b)
	p.cmd = exec.CommandContext(ctx, program, "prow-controller-manager", "--dry-run=false", "--config-path="+filepath.Join(dir, "config.yaml"),
		"--kubeconfig="+filepath.Join(dir, "kubeconfig"), "--metrics-port="+strconv.Itoa(p.port), "--health-port="+strconv.Itoa(health), "--pprof-port=0")
	p.cmd.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST=")
	p.cmd.Stderr = io.Discard
	must(b, p.cmd.Start())
	b.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(20 * time.Millisecond) {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", health))
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(deadline) {
			b.Fatal("prow-controller-manager is not ready")
		}
	}
}

func (p *process) end(b *testing.B) {
	b.Helper()
	must(b, p.cmd.Process.Signal(os.Interrupt))
	must(b, p.cmd.Wait())
}

func (p *process) metrics(b *testing.B) []string {
	b.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", p.port))
	must(b, err)
	defer func() { _ = resp.Body.Close() }()
	var lines []string
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// memory is the most resident memory so far, in MB.
func (p *process) memory(b *testing.B) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(b, err)
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			must(b, err)
			return kb / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

// cpu is the time the process used so far; the kernel counts it in 1/100 s.
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	must(b, err)
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	var ticks float64
	for _, i := range []int{11, 12} {
		n, err := strconv.ParseFloat(fields[i], 64)
		must(b, err)
		ticks += n
	}
	return time.Duration(ticks * float64(10*time.Millisecond))
}

// metricSum adds the values of a metric's lines that contain a text.
func metricSum(lines []string, name, with string) float64 {
	var sum float64
	for _, line := range lines {
		if strings.HasPrefix(line, name) && strings.Contains(line, with) {
			n, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			sum += n
		}
	}
	return sum
}

// quantile is the upper end of the bucket that a quantile falls into.
func quantile(lines []string, name string, q float64) float64 {
	total := metricSum(lines, name, `le="+Inf"`)
	for _, line := range lines {
		if !strings.HasPrefix(line, name) {
			continue
		}
		_, rest, _ := strings.Cut(line, `le="`)
		le, _, _ := strings.Cut(rest, `"`)
		if metricSum(lines, name, `le="`+le+`"`) >= q*total {
			n, _ := strconv.ParseFloat(le, 64)
			return n
		}
	}
	return 0
}
