package exporter

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/jobview"
	"prow/internal/kube"
	"prow/internal/kube/kubetest"
	"prow/internal/secret"
	"prow/internal/service"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Run(m)) }

func TestLabelsAndAnnotationsOfTheNewestRun(t *testing.T) {
	job := func(name, of string, start int64, labels, annotations map[string]string) *jobview.Job {
		return &jobview.Job{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", Labels: labels, Annotations: annotations},
			Spec:       jobview.Spec{Job: of, Agent: prowv1.KubernetesAgent},
			Status:     jobview.Status{StartTime: metav1.Unix(start, 0)},
		}
	}
	jobs := []*jobview.Job{
		job("a", "unit", 2, map[string]string{
			"created-by-prow": "true", "prow.k8s.io/type": "presubmit", "prow.k8s.io/id": "a", "prow.k8s.io/build-id": "1", "prow.k8s.io/job": "unit",
			"prow.k8s.io/refs.org": "o", "prow.k8s.io/refs.repo": "r", "prow.k8s.io/refs.pull": "5", "prow.k8s.io/refs.base_ref": "main", "team-x": "1", "team.x": "2",
		}, map[string]string{"prow.k8s.io/job": "unit", "note": "a \\ \"b\"\nc"}),
		job("b", "unit", 1, map[string]string{"old": "yes"}, nil),
		job("c", "lint", 1, nil, nil),
	}
	want := `
# HELP prow_job_annotations Annotations of the newest run of each job.
# TYPE prow_job_annotations gauge
prow_job_annotations{collector_name="exporter",job_agent="kubernetes",job_name="lint",job_namespace="ns"} 1
prow_job_annotations{annotation_note="a \\ \"b\"\nc",annotation_prow_k8s_io_job="unit",collector_name="exporter",job_agent="kubernetes",job_name="unit",job_namespace="ns"} 1
# HELP prow_job_labels Labels of the newest run of each job.
# TYPE prow_job_labels gauge
prow_job_labels{collector_name="exporter",job_agent="kubernetes",job_name="lint",job_namespace="ns"} 1
prow_job_labels{collector_name="exporter",job_agent="kubernetes",job_name="unit",job_namespace="ns",label_prow_k8s_io_refs_base_ref="main",label_team_x="1",label_team_x_2="2"} 1
`
	if err := testutil.CollectAndCompare(metadata{func() []*jobview.Job { return jobs }}, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestSpent(t *testing.T) {
	at := func(seconds int64) *metav1.Time { s := metav1.Unix(seconds, 0); return &s }
	state := func(s prowv1.ProwJobState, pending, completed *metav1.Time) *jobview.Job {
		return &jobview.Job{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: *at(100)}, Status: jobview.Status{State: s, PendingTime: pending, CompletionTime: completed}}
	}
	for name, tc := range map[string]struct {
		before, after *jobview.Job
		want          time.Duration
		ok            bool
	}{
		"triggered until pending":           {state("triggered", nil, nil), state("pending", at(130), nil), 30 * time.Second, true},
		"triggered until its end":           {state("triggered", nil, nil), state("error", nil, at(107)), 7 * time.Second, true},
		"pending until its end":             {state("pending", at(130), nil), state("success", at(130), at(190)), time.Minute, true},
		"aborted and not yet complete":      {state("pending", at(130), nil), state("aborted", at(130), nil), 0, false},
		"no change of state":                {state("pending", at(130), nil), state("pending", at(131), nil), 0, false},
		"scheduling is not measured":        {state("scheduling", nil, nil), state("triggered", nil, nil), 0, false},
		"pending without a time of pending": {state("pending", nil, nil), state("success", nil, at(190)), 0, false},
	} {
		if got, ok := spent(tc.before, tc.after); got != tc.want || ok != tc.ok {
			t.Errorf("%s: got %s %v, want %s %v", name, got, ok, tc.want, tc.ok)
		}
	}
}

func TestTheProgramFollowsTheCluster(t *testing.T) {
	cluster := kubetest.Start(t)
	ns, proxy := cluster.Namespace(t), cluster.Proxy(t)
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	j := &prowv1.ProwJob{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "one", Labels: map[string]string{"team": "x"}},
		Spec: prowv1.ProwJobSpec{Type: prowv1.PeriodicJob, Job: "nightly", Agent: prowv1.KubernetesAgent, ExtraRefs: []prowv1.Refs{{Org: "o", Repo: "r", BaseRef: "main"}}}}
	j.Status = prowv1.ProwJobStatus{State: prowv1.TriggeredState, StartTime: metav1.Now()}
	if err := c.Create(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultOptions()
	cfg.ConfigPath = filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(cfg.ConfigPath, []byte("prowjob_namespace: "+ns+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	registry := prometheus.NewRegistry()
	rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), registry, new(secret.Store))
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, rt, &Options{Config: cfg, Kubernetes: kube.Flags{Kubeconfig: proxy.KubeconfigPath, NoInClusterConfig: true}})
	}()
	<-rt.Ready()
	before := j.DeepCopy()
	pending := metav1.NewTime(j.CreationTimestamp.Add(time.Minute))
	j.Status.State, j.Status.PendingTime = prowv1.PendingState, &pending
	if err := c.Patch(t.Context(), j, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(20 * time.Second)
	for n := 0; n == 0; {
		select {
		case <-deadline:
			t.Fatal("no run time within 20 s")
		case <-time.After(10 * time.Millisecond):
		}
		if n, err = testutil.GatherAndCount(registry, "prow_job_runtime_seconds"); err != nil {
			t.Fatal(err)
		}
	}
	want := `
# HELP prow_job_labels Labels of the newest run of each job.
# TYPE prow_job_labels gauge
prow_job_labels{collector_name="exporter",job_agent="kubernetes",job_name="nightly",job_namespace="` + ns + `",label_team="x"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "prow_job_labels"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := proxy.Mutations(); len(got) > 0 {
		t.Errorf("the exporter changed something: %q", got)
	}
}
