package crier

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
