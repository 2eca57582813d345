package sinker

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/jobview"
)

var (
	now   = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	limit = ages{prowJob: 168 * time.Hour, pod: 24 * time.Hour, terminatedPod: time.Hour}
)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func job(name string, kind prowv1.ProwJobType, started, ended time.Duration) *jobview.Job {
	j := &jobview.Job{Spec: jobview.Spec{Type: kind, Job: "of-" + string(kind)}}
	j.Name, j.Status.StartTime = name, ago(started)
	if ended >= 0 {
		end := ago(ended)
		j.Status.CompletionTime = &end
	}
	return j
}

func TestCollectJobs(t *testing.T) {
	const running = -1
	h := time.Hour
	jobs := []*jobview.Job{
		job("old presubmit", prowv1.PresubmitJob, 169*h, 168*h),
		job("presubmit at the limit", prowv1.PresubmitJob, 168*h, 167*h),
		job("old presubmit that runs", prowv1.PresubmitJob, 999*h, running),
		job("older periodic", prowv1.PeriodicJob, 300*h, 299*h),
		job("newest periodic", prowv1.PeriodicJob, 200*h, 199*h),
	}
	names := func(periodics ...string) (out []string) {
		for _, r := range collectJobs(jobs, sets.New(periodics...), limit, now) {
			out = append(out, r.object.Name+": "+r.reason)
		}
		return out
	}
	if got, want := names("of-periodic"), []string{"old presubmit: aged", "older periodic: aged-periodic"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := names(), []string{"old presubmit: aged", "older periodic: aged-periodic", "newest periodic: aged-periodic"}; !slices.Equal(got, want) {
		t.Errorf("a periodic that is no longer configured: got %q, want %q", got, want)
	}
}

func TestCollectPods(t *testing.T) {
	done, running := job("done", prowv1.PresubmitJob, 3*time.Hour, 2*time.Hour), job("running", prowv1.PresubmitJob, 3*time.Hour, -1)
	fresh := job("fresh", prowv1.PresubmitJob, 30*time.Hour, time.Minute)
	jobs := map[string]*jobview.Job{"done": done, "running": running, "fresh": fresh}
	pod := func(name string, created, started time.Duration) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: ago(created)}}
		if started > 0 {
			s := ago(started)
			p.Status.StartTime = &s
		}
		return p
	}
	for name, tc := range map[string]struct {
		pod  corev1.Pod
		want string
	}{
		"the pod of a running job stays, however old":      {pod("running", 999*time.Hour, 999*time.Hour), ""},
		"the pod of a job that ended long ago goes":        {pod("done", 3*time.Hour, 3*time.Hour), "ttled"},
		"the pod of a job that just ended stays":           {pod("fresh", 2*time.Hour, 2*time.Hour), ""},
		"an old pod of a job that just ended goes":         {pod("fresh", 25*time.Hour, 25*time.Hour), "aged"},
		"a pod that never started goes with its job's ttl": {pod("done", 3*time.Hour, 0), "ttled"},
		"a pod without a job is orphaned":                  {pod("nobody's", time.Minute, 0), "orphaned"},
		"a very young pod without a job may have one":      {pod("nobody's", 30*time.Second, 0), ""},
	} {
		fate := decidePod(&tc.pod, jobs[jobName(&tc.pod)], limit, now)
		if got := fate.reason; got != tc.want || fate.ask != (got == reasonOrphaned) {
			t.Errorf("%s: got %+v, want %q", name, fate, tc.want)
		}
	}
}

func TestAJobIsKeptForAReporterThatMayStillCome(t *testing.T) {
	for name, tc := range map[string]struct {
		ended time.Duration
		prev  map[string]prowv1.ProwJobState
		want  bool
	}{
		"a reporter knows an earlier state":         {30 * time.Minute, map[string]prowv1.ProwJobState{"a": "success", "b": "pending"}, true},
		"a reporter has not come for an hour":       {61 * time.Minute, map[string]prowv1.ProwJobState{"a": "pending"}, false},
		"every reporter that knows it told the end": {time.Minute, map[string]prowv1.ProwJobState{"a": "success"}, false},
		"no reporter knows it":                      {time.Minute, nil, false},
	} {
		j := job("slow", prowv1.PresubmitJob, 200*time.Hour, tc.ended)
		j.Status.State, j.Status.PrevReportStates = prowv1.SuccessState, tc.prev
		if kept := len(collectJobs([]*jobview.Job{j}, nil, limit, now)) == 0; kept != tc.want {
			t.Errorf("%s: kept %v", name, kept)
		}
	}
}
