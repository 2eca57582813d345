package horologium

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/jobview"
)

// BenchmarkPlan is a tick in a cluster with 50,000 finished runs of 4,000
// periodics of which none is due.
func BenchmarkPlan(b *testing.B) {
	const runs, jobs = 50_000, 4_000
	fields := map[string]string{}
	for i := range jobs {
		fields[fmt.Sprintf("periodic-%d", i)] = [...]string{`cron: "17 3 * * 0"`, `cron: "TZ=Europe/Berlin 5 4 * * *"`, "interval: 24h", `cron: "@every 48h"`}[i%4]
	}
	w := &world{now: now, cfg: periodics(b, "", fields)}
	end := metav1.NewTime(now)
	for i := range runs {
		w.jobs = append(w.jobs, &jobview.Job{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("run-%d", i)},
			Spec:       jobview.Spec{Type: prowv1.PeriodicJob, Job: fmt.Sprintf("periodic-%d", i%jobs)},
			Status:     jobview.Status{StartTime: metav1.NewTime(now.Add(-time.Duration(i) * time.Second)), CompletionTime: &end, State: prowv1.SuccessState},
		})
	}
	h := w.process()
	tick(b, h)
	b.ResetTimer()
	for range b.N {
		starts, err := h.plan(w.cfg)
		if err != nil || len(starts) > 0 {
			b.Fatal(len(starts), err)
		}
	}
}
