package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/prowjob"
)

// BenchmarkTenThousandAtOnce measures prow-controller-manager as a process of its
// own against a real API server; a goroutine plays the kubelet (a pod runs and
// succeeds). PROW_BENCH_NEW_JOBS (10000) jobs come within seconds, with a pod
// specification of 3 KB each.
//
//	jobs/s             finished, from the first creation to the last completion
//	error-jobs         that ended otherwise than by success
//	rss-MB             most resident memory of the program (VmHWM)
//	cpu-ms/job         user and system time of the program
//	writes/transition  its writes at the API server for each of the two transitions of a job
//	reads/job          its single reads
func BenchmarkTenThousandAtOnce(b *testing.B) {
	for range b.N {
		measureMany(b, number("PROW_BENCH_NEW_JOBS", 10_000))
	}
}

func number(env string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

func measureMany(b *testing.B, jobs int) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	cluster := kubetest.Start(b)
	ns := cluster.Namespace(b)
	config := filepath.Join(b.TempDir(), "config.yaml")
	must(b, os.WriteFile(config, []byte(fmt.Sprintf("prowjob_namespace: %s\npod_namespace: %s\n"+
		// The simulated kubelet may be slow where this machine is busy.
		"plank: {pod_unscheduled_timeout: 2h, pod_pending_timeout: 2h}\n", ns, ns)), 0o600))
	startKubelet(ctx, b, cluster.Config, ns)
	plank := startProcess(ctx, b, cluster, config, "prow-controller-manager")
	begun := time.Now()
	cluster.Load(b, prowv1.SchemeGroupVersion.WithResource("prowjobs"), func(yield func(client.Object) bool) {
		for range jobs {
			if !yield(newJob(ns)) {
				return
			}
		}
	})
	b.Logf("%d ProwJobs came in %s", jobs, time.Since(begun).Round(time.Second))
	ended := func(state string) float64 { return metricSum(plank.lines(b), "prowjobs{", `state="`+state+`"`) }
	for ended("success")+ended("error")+ended("failure") < float64(jobs) {
		if time.Since(begun) > 15*time.Minute {
			plank.fail(b, "does not end all jobs")
		}
		<-time.After(200 * time.Millisecond)
	}
	b.ReportMetric(float64(jobs)/time.Since(begun).Seconds(), "jobs/s")
	b.ReportMetric(ended("error")+ended("failure"), "error-jobs")
	b.ReportMetric(plank.memory(b), "rss-MB")
	plank.end(b)
	cpu := plank.cmd.ProcessState.UserTime() + plank.cmd.ProcessState.SystemTime()
	b.ReportMetric(cpu.Seconds()*1000/float64(jobs), "cpu-ms/job")
	var writes, reads int
	for _, r := range plank.proxy.Requests() {
		method, path, _ := strings.Cut(r, " ")
		switch {
		case !strings.Contains(path, "/prowjobs") && !strings.Contains(path, "/pods"):
		case method == "GET":
			reads++
		default:
			writes++
		}
	}
	b.ReportMetric(float64(writes)/float64(2*jobs), "writes/transition")
	b.ReportMetric(float64(reads)/float64(jobs), "reads/job")
}

func apiClient(b *testing.B, cluster *kubetest.Cluster) client.Client {
	b.Helper()
	scheme, err := kube.NewScheme()
	must(b, err)
	api, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	must(b, err)
	return api
}

func newJob(ns string) *prowv1.ProwJob {
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
