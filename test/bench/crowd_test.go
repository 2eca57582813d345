package bench

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube/kubetest"
	"prow/internal/prowjob"
)

const periodicJobs = 4_000

// BenchmarkFiftyThousandFinished measures the controllers beside
// PROW_BENCH_JOBS (50000) finished ProwJobs, half of them runs of 4,000 periodics of
// which none is due, half of them presubmits; all have been reported.
//
// Method: a real API server holds the ProwJobs, each with the pod specification
// of a decorated job. The built program runs as it does in a cluster, without
// dry-run and with leader election, through a proxy that counts its requests.
// Each sub-benchmark tells
//
//	ready-s   from the start of the program until it is ready
//	rss-MB    the most memory that was resident (VmHWM)
//	cpu-s     user and system time of the whole run
//	requests  requests to the API server in the whole run
//
// and besides:
//
//	plank       200 jobs are made, five a second
//	  look-p99-ms        99 of 100 looks at them took at most that (upper end of the bucket)
//	  job-to-pod-p99-ms  from a job's creation until its pod is seen
//	sinker      pass-s, what the program says of its first pass, which removes nothing
//	horologium  tick-ms, what the program says of a tick after the first ones
//	crier       all reporters; a job is made
//	  report-s           from its creation until it is told to the forge
//	  needless-requests  to the forge, beside that
func BenchmarkFiftyThousandFinished(b *testing.B) {
	c := newCrowd(b)
	b.Run("plank", c.plank)
	b.Run("sinker", c.sinker)
	b.Run("horologium", c.horologium)
	b.Run("crier", c.crier)
}

// crowd is a cluster with many finished jobs.
type crowd struct {
	cluster    *kubetest.Cluster
	api        client.Client
	ns, config string
}

func newCrowd(b *testing.B) *crowd {
	b.Helper()
	c := &crowd{cluster: kubetest.Start(b), config: filepath.Join(b.TempDir(), "config.yaml")}
	c.ns, c.api = c.cluster.Namespace(b), apiClient(b, c.cluster)
	cfg := crowdConfig(b, c.config, c.ns)
	n := number("PROW_BENCH_JOBS", 50_000)
	begun := time.Now()
	c.cluster.Load(b, prowv1.SchemeGroupVersion.WithResource("prowjobs"), finishedJobs(cfg, n))
	b.Logf("%d ProwJobs came in %s", n, time.Since(begun).Round(time.Second))
	return c
}

func (c *crowd) plank(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	kubelet := startKubelet(ctx, b, c.cluster.Config, c.ns)
	plank := startProcess(ctx, b, c.cluster, c.config, "prow-controller-manager")
	var waits []time.Duration
	// Five a second: what is measured is a look at a job, not how many the API server,
	// the kubelet and plank can do together on the processors that they share.
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for range 200 {
		<-pace.C
		j := newJob(c.ns)
		seen := kubelet.expect(j.Name)
		made := time.Now()
		must(b, c.api.Create(ctx, j))
		waits = append(waits, (<-seen).Sub(made))
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "job-to-pod-p99-ms")
	b.ReportMetric(quantile(plank.lines(b), "plank_reconcile_duration_seconds_bucket", .99)*1000, "look-p99-ms")
	plank.report(b)
}

func (c *crowd) sinker(b *testing.B) {
	sinker := startProcess(b.Context(), b, c.cluster, c.config, "sinker")
	b.ReportMetric(sinker.until(b, "sinker_loop_duration_seconds", func(v float64) bool { return v > 0 }), "pass-s")
	sinker.report(b)
	c.unchanged(b, sinker)
}

func (c *crowd) horologium(b *testing.B) {
	horologium := startProcess(b.Context(), b, c.cluster, c.config, "horologium")
	const metric = "horologium_tick_duration_seconds"
	horologium.until(b, metric, func(v float64) bool { return v > 0 })
	// The first ticks read the schedules; one is due every second.
	settled := time.After(5 * time.Second)
	<-settled
	b.ReportMetric(horologium.until(b, metric, func(float64) bool { return true })*1000, "tick-ms")
	horologium.report(b)
	c.unchanged(b, horologium)
}

func (c *crowd) crier(b *testing.B) {
	var asked, told atomic.Int64
	came := make(chan struct{}, 1)
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("{}"))
		if strings.Contains(r.URL.Path, "/statuses/") && told.Add(1) == 1 {
			came <- struct{}{}
		}
	}))
	defer forge.Close()
	crier := startProcess(b.Context(), b, c.cluster, c.config, "crier", "--github-endpoint="+forge.URL, "--github-workers=4", "--gerrit-workers=4",
		"--pubsub-workers=4", "--blob-storage-workers=4", "--kubernetes-blob-storage-workers=4", "--resultstore-workers=4")
	j := newJob(c.ns)
	j.Spec.Report, j.Status.State = true, prowv1.PendingState
	made := time.Now()
	must(b, c.api.Create(b.Context(), j))
	select {
	case <-came:
	case <-time.After(startLimit):
		crier.fail(b, "tells nothing")
	}
	b.ReportMetric(time.Since(made).Seconds(), "report-s")
	b.ReportMetric(float64(asked.Load()-1), "needless-requests")
	crier.report(b)
	must(b, c.api.Delete(b.Context(), j))
}

// unchanged checks that a process wrote nothing but its lease.
func (c *crowd) unchanged(b *testing.B, p *process) {
	b.Helper()
	for _, r := range p.proxy.Mutations() {
		if !strings.Contains(r, "/leases") {
			b.Errorf("%s changed something: %s", p.name, r)
		}
	}
}

// crowdConfig writes a configuration with the periodics.
func crowdConfig(b *testing.B, path, ns string) *config.Config {
	b.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "prowjob_namespace: %s\npod_namespace: %s\nhorologium: {tick_interval: 1s}\nperiodics:\n", ns, ns)
	for i := range periodicJobs {
		fmt.Fprintf(&text, `- name: periodic-%d
  %s
  labels: {team: "t%d"}
  annotations: {testgrid-dashboards: dashboard-%d, description: "what this job is about, in a sentence of some length"}
  extra_refs: [{org: kubernetes, repo: kubernetes, base_ref: main}]
  spec:
    containers:
    - image: gcr.io/k8s-staging-test-infra/kubekins-e2e:v20260101-0123456789-main
      command: [runner.sh, /workspace/scenarios/execute.py]
      args: ["--check-leaked-resources", "--provider=gce", "--timeout=600m", "--test_args=--ginkgo.focus=\\[Slow\\] --minStartupPods=8"]
      env: [{name: GOOGLE_APPLICATION_CREDENTIALS, value: /etc/service-account/service-account.json}, {name: E2E_GOOGLE_APPLICATION_CREDENTIALS, value: /etc/service-account/service-account.json}]
      resources: {requests: {cpu: "4", memory: 14Gi}, limits: {cpu: "4", memory: 14Gi}}
`, i, [...]string{`cron: "17 3 * * 0"`, `cron: "TZ=Europe/Berlin 5 4 * * *"`, "interval: 24h", `cron: "@every 48h"`}[i%4], i%50, i%50)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	cfg, err := config.Load(context.Background(), config.Options{ConfigPath: path})
	if err != nil {
		b.Fatal(err)
	}
	return cfg
}

// finishedJobs are complete, and began within the last minutes.
func finishedJobs(cfg *config.Config, n int) iter.Seq[client.Object] {
	return func(yield func(client.Object) bool) {
		for i := range n {
			var j *prowv1.ProwJob
			if i%2 == 0 {
				j = prowjob.NewPeriodic(&cfg.Periodics[i/2%periodicJobs], 0, prowjob.InNamespace(cfg.ProwJobNamespace))
				j.Spec.PodSpec = j.Spec.PodSpec.DeepCopy()
				j.Spec.PodSpec.Volumes = []corev1.Volume{{Name: "service", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "service-account"}}}}
			} else {
				j = newJob(cfg.ProwJobNamespace)
				j.Spec.Job = fmt.Sprintf("pull-project-component-%d-e2e", i%400)
				j.Spec.Context, j.Spec.RerunCommand, j.Spec.Report = j.Spec.Job, "/test "+j.Spec.Job, true
				j.Spec.Refs.Repo = fmt.Sprint("repository-", i%50)
				// Ten jobs ran on each pull request.
				j.Spec.Refs.Pulls[0].Number, j.Spec.Refs.Pulls[0].SHA = i/20, fmt.Sprintf("%040d", i/20)
			}
			end := metav1.Now()
			j.Status.State, j.Status.CompletionTime, j.Status.PendingTime = prowv1.SuccessState, &end, &end
			j.Status.BuildID, j.Status.PodName, j.Status.Description = strconv.Itoa(i), j.Name, "Job succeeded."
			j.Status.URL = "https://prow.example.com/view/gs/bucket/logs/" + j.Spec.Job + "/" + j.Status.BuildID
			j.Status.PrevReportStates = map[string]prowv1.ProwJobState{}
			for _, reporter := range []string{"github-reporter", "gerrit-reporter", "pubsub-reporter", "gcsreporter", "gcsk8sreporter", "resultstorereporter"} {
				j.Status.PrevReportStates[reporter] = prowv1.SuccessState
			}
			if !yield(j) {
				return
			}
		}
	}
}
