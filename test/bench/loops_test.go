package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/prowjob"
	"prow/test/installation"
)

const (
	manyJobs     = 50_000
	periodicJobs = 4_000
)

// finishedJobs is how many ProwJobs there are: 50,000, or what PROW_BENCH_JOBS
// says where there is no time to make so many.
func finishedJobs(b *testing.B) int {
	b.Helper()
	text := os.Getenv("PROW_BENCH_JOBS")
	if text == "" {
		return manyJobs
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < periodicJobs {
		b.Fatalf("PROW_BENCH_JOBS=%s is no number of at least %d", text, periodicJobs)
	}
	return n
}

// BenchmarkLoops measures sinker and horologium in a cluster with 50,000
// finished ProwJobs, all runs of 4,000 periodics of which none is due.
//
// Method: a real API server holds the ProwJobs, each with the pod
// specification of a decorated job. The built program runs as it does in a
// cluster, without dry-run and with leader election, through a proxy that
// counts its requests:
//
//	start-s      from the start of the program until its first pass or tick has ended
//	pass-s, tick-ms   what the program says of its last pass or tick
//	rss-MB       the most memory that was resident, from the system's accounting
//	cpu-s        user and system time of the whole run
//	requests     requests to the API server in the whole run
func BenchmarkLoops(b *testing.B) {
	cluster := kubetest.Start(b)
	ns := cluster.Namespace(b)
	path := filepath.Join(b.TempDir(), "config.yaml")
	cfg := loopsConfig(b, path, ns)
	began := time.Now()
	fill(b, cluster, cfg)
	b.Logf("%d ProwJobs made in %s", finishedJobs(b), time.Since(began).Round(time.Second))
	for name, metric := range map[string]string{"sinker": "sinker_loop_duration_seconds", "horologium": "horologium_tick_duration_seconds"} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				measureLoop(b, cluster, path, name, metric)
			}
		})
	}
}

// loopsConfig writes a configuration with the periodics.
func loopsConfig(b *testing.B, path, ns string) *config.Config {
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

// fill makes the ProwJobs: complete, started within the last minutes.
func fill(b *testing.B, cluster *kubetest.Cluster, cfg *config.Config) {
	b.Helper()
	scheme, err := kube.NewScheme()
	if err != nil {
		b.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(24)
	for i := range finishedJobs(b) {
		group.Go(func() error {
			j := prowjob.NewPeriodic(&cfg.Periodics[i%periodicJobs], 0, prowjob.InNamespace(cfg.ProwJobNamespace))
			end := metav1.Now()
			j.Spec.PodSpec.Volumes = []corev1.Volume{{Name: "service", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "service-account"}}}}
			j.Status.State, j.Status.CompletionTime, j.Status.PendingTime = prowv1.SuccessState, &end, &end
			j.Status.BuildID, j.Status.PodName = strconv.Itoa(i), j.Name
			j.Status.Description, j.Status.URL = "Job succeeded.", "https://prow.k8s.io/view/gs/kubernetes-jenkins/logs/"+j.Spec.Job+"/"+strconv.Itoa(i)
			j.Status.PrevReportStates = map[string]prowv1.ProwJobState{"gcsreporter": "success", "github-reporter": "success", "gcsk8sreporter": "success"}
			return c.Create(context.Background(), j)
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func measureLoop(b *testing.B, cluster *kubetest.Cluster, configPath, name, metric string) {
	b.Helper()
	proxy, port := cluster.Proxy(b), freePort(b)
	cmd := exec.Command(filepath.Join(installation.Programs(b), "prow"), name, "--dry-run=false", "--config-path="+configPath,
		"--kubeconfig="+proxy.KubeconfigPath, "--no-in-cluster-config", "--metrics-port="+strconv.Itoa(port), "--health-port=0", "--pprof-port=0")
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	var took float64
	deadline, tick := time.After(5*time.Minute), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for took == 0 {
		select {
		case <-deadline:
			_ = cmd.Process.Kill()
			raw, _ := os.ReadFile(log.Name())
			b.Fatalf("%s has not ended a round in time: %s", name, raw[:min(len(raw), 2000)])
		case <-tick.C:
			took = gauge(port, metric)
		}
	}
	start := time.Since(began)
	if name == "horologium" { // the first tick reads the schedules; the later ones count
		settled := time.After(5 * time.Second)
		<-settled
		took = gauge(port, metric)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		raw, _ := os.ReadFile(log.Name())
		b.Fatalf("%s: %v: %s", name, err, raw[:min(len(raw), 2000)])
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage) //nolint:errcheck // it is one on Linux
	b.ReportMetric(start.Seconds(), "start-s")
	if name == "horologium" {
		b.ReportMetric(took*1000, "tick-ms")
	} else {
		b.ReportMetric(took, "pass-s")
	}
	b.ReportMetric(float64(usage.Maxrss)/1024, "rss-MB")
	b.ReportMetric((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), "cpu-s")
	b.ReportMetric(float64(len(proxy.Requests())), "requests")
	for _, r := range proxy.Mutations() {
		if !strings.Contains(r, "/leases") {
			b.Errorf("%s changed something: %s", name, r)
		}
	}
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port //nolint:errcheck // it is one
}

// gauge reads a metric without labels; 0 where it is not there yet.
func gauge(port int, name string) float64 {
	resp, err := http.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || families[name] == nil || len(families[name].Metric) == 0 {
		return 0
	}
	return families[name].Metric[0].GetGauge().GetValue()
}
