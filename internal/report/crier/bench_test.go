package crier

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/joblabels"
	"prow/internal/report"
	"prow/internal/report/gerrit"
	"prow/internal/report/kubernetes"
	"prow/internal/report/pubsub"
	"prow/internal/report/resultstore"
	"prow/internal/report/slack"
	reportstorage "prow/internal/report/storage"
)

// finishedJobs is how many jobs the benchmark has.
const finishedJobs = 50000

// BenchmarkFiftyThousandFinishedJobs starts crier, as a process of its own with
// GitHub, Gerrit, Pub/Sub, Slack-less storage reporters, beside 50,000 finished
// jobs that all have been reported. It tells how long crier takes until a new job
// is reported, its peak memory, and how many requests it sends to the forge.
//
//	go test -run '^$' -bench FiftyThousand -benchtime 1x ./internal/report/crier
func BenchmarkFiftyThousandFinishedJobs(b *testing.B) {
	w := newWorld(b)
	began := time.Now()
	w.fill(finishedJobs)
	b.Logf("made %d jobs in %s", finishedJobs, time.Since(began).Round(time.Second))
	for n := range b.N {
		asked := w.forge.asked()
		crier := w.child(b)
		j := w.job(fmt.Sprint("new-", n), prowv1.PendingState)
		w.until("the new job is reported", func() bool { return w.recorded(j) == prowv1.PendingState })
		peak := highWater(b, crier.Process.Pid)
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		b.ReportMetric(float64(w.forge.asked()-asked-1), "needless-requests")
		_ = crier.Process.Signal(os.Interrupt)
		_ = crier.Wait()
	}
}

// BenchmarkSlimJobs tells what the cache holds of 50,000 finished jobs, without an
// API server.
func BenchmarkSlimJobs(b *testing.B) {
	raw, err := json.Marshal(busyJob(1))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(raw)), "JSON-bytes/job")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		var slimmer report.Slimmer
		kept := make([]any, 0, finishedJobs)
		for i := range finishedJobs {
			whole := busyJob(i)
			whole.Status.PrevReportStates = reported()
			raw, err := json.Marshal(whole)
			if err != nil {
				b.Fatal(err)
			}
			var job prowv1.ProwJob
			if err := json.Unmarshal(raw, &job); err != nil {
				b.Fatal(err)
			}
			slim, err := slimmer.Slim(&job)
			if err != nil {
				b.Fatal(err)
			}
			kept = append(kept, slim)
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB-kept")
		runtime.KeepAlive(kept)
	}
}

// reported is the record of a job that every reporter has told about.
func reported() map[string]prowv1.ProwJobState {
	states := map[string]prowv1.ProwJobState{}
	for _, name := range []string{prowv1.GitHubReporterName, gerrit.Name, pubsub.Name, slack.Name, reportstorage.Name, kubernetes.Name, resultstore.Name} {
		states[name] = prowv1.SuccessState
	}
	return states
}

// fill makes finished jobs such as a busy installation has.
func (w *world) fill(n int) {
	work := make(chan int)
	var running sync.WaitGroup
	for range 96 { // etcd takes many writes at once
		running.Go(func() {
			for i := range work {
				j := busyJob(i)
				j.Namespace, j.Status.PrevReportStates = w.ns, reported()
				if err := w.jobs.Create(w.t.Context(), j, &client.CreateOptions{FieldManager: "plank"}); err != nil {
					w.t.Error(err)
					return
				}
			}
		})
	}
	for i := range n {
		if i%5000 == 0 {
			w.t.Logf("%s: %d jobs", time.Now().Format(time.TimeOnly), i)
		}
		work <- i
	}
	close(work)
	running.Wait()
}

// busyJob is a presubmit of about 6 KB.
func busyJob(i int) *prowv1.ProwJob {
	job := fmt.Sprintf("pull-project-component-%d-e2e", i%400)
	var env []corev1.EnvVar
	for n := range 20 {
		env = append(env, corev1.EnvVar{Name: fmt.Sprint("SETTING_", n), Value: strings.Repeat("value ", 8)})
	}
	started := metav1.NewTime(time.Now().Add(-time.Hour))
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{
		Type: prowv1.PresubmitJob, Agent: prowv1.KubernetesAgent, Cluster: "default", Job: job, Context: job, Report: true, RerunCommand: "/test " + job,
		Refs: &prowv1.Refs{
			Org: "organisation", Repo: fmt.Sprint("repository-", i%50), BaseRef: "main", BaseSHA: fmt.Sprintf("%040d", i), BaseLink: "https://github.com/organisation/repository/commit/x",
			Pulls: []prowv1.Pull{{Number: i / 10, Author: "author", SHA: fmt.Sprintf("%040d", i), Title: "Change something for the better", Link: "https://github.com/o/r/pull/1"}},
		},
		PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "registry/image:v1", Command: []string{"make"}, Args: []string{"test", strings.Repeat("flag ", 100)}, Env: env}}},
		DecorationConfig: &prowv1.DecorationConfig{GCSConfiguration: &prowv1.GCSConfiguration{Bucket: "bucket", PathStrategy: "explicit"}, UtilityImages: &prowv1.UtilityImages{
			CloneRefs: "registry/clonerefs:v1", InitUpload: "registry/initupload:v1", Entrypoint: "registry/entrypoint:v1", Sidecar: "registry/sidecar:v1",
		}},
	}}
	j.Name = fmt.Sprintf("%08d-aaaa-4bbb-8ccc-%012d", i, i)
	j.Labels, j.Annotations = joblabels.For(j.Spec, map[string]string{prowv1.EventGUIDLabel: j.Name, prowv1.IsOptionalLabel: "false"}, nil)
	j.Status = prowv1.ProwJobStatus{
		State: prowv1.SuccessState, StartTime: started, PendingTime: &started, CompletionTime: &started, Description: "Job succeeded.", BuildID: strconv.Itoa(i), PodName: j.Name,
		URL: fmt.Sprintf("https://prow.example.com/view/gs/bucket/pr-logs/pull/organisation_repository/%d/%s/%d", i/10, job, i),
	}
	return j
}

// child starts crier as a process.
func (w *world) child(b *testing.B) *exec.Cmd {
	b.Helper()
	o := w.options
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	health := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{
		"--config-path=" + o.Config.ConfigPath, "--kubeconfig=" + o.Kubernetes.Kubeconfig, "--no-in-cluster-config", "--github-endpoint=" + o.GitHub.Endpoints[0],
		"--github-workers=4", "--gerrit-workers=4", "--pubsub-workers=4", "--blob-storage-workers=4", "--kubernetes-blob-storage-workers=4", "--resultstore-workers=4",
		"--metrics-port=0", "--pprof-port=0", "--health-port=" + strconv.Itoa(health),
	}, "\n"))
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill() })
	w.until("crier is ready", func() bool {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", health))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	b.ReportMetric(time.Since(began).Seconds(), "s-to-ready")
	return cmd
}

// highWater is the most memory that a process has held, in bytes.
func highWater(b *testing.B, pid int) int {
	b.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("this machine does not tell of the memory of processes")
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	b.Fatal("no peak in the status of the process")
	return 0
}
