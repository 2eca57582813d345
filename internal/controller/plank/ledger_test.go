package plank

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	prowv1 "prow/api/prowjobs/v1"
)

func ledgerJob(name, job, queue string, state prowv1.ProwJobState, limit int, age time.Duration) *prowv1.ProwJob {
	return &prowv1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), ResourceVersion: "1", CreationTimestamp: *ago(age)},
		Spec:       prowv1.ProwJobSpec{Agent: prowv1.KubernetesAgent, Type: prowv1.PeriodicJob, Job: job, JobQueueName: queue, MaxConcurrency: limit},
		Status:     prowv1.ProwJobStatus{State: state},
	}
}

func TestLimits(t *testing.T) {
	const triggered, pending = prowv1.TriggeredState, prowv1.PendingState
	for name, tc := range map[string]struct {
		job    *prowv1.ProwJob
		others []*prowv1.ProwJob
		limits limits
		want   prowv1.Reason
	}{
		"nothing limits": {ledgerJob("a", "x", "", triggered, 0, 0), []*prowv1.ProwJob{ledgerJob("b", "x", "", pending, 0, 0)}, limits{}, ""},
		"the limit of all jobs counts pending ones":           {ledgerJob("a", "x", "", triggered, 0, 0), []*prowv1.ProwJob{ledgerJob("b", "y", "", pending, 0, 0)}, limits{global: 1}, prowv1.ReasonWaitingForConcurrency},
		"the limit of all jobs does not count triggered ones": {ledgerJob("a", "x", "", triggered, 0, 0), []*prowv1.ProwJob{ledgerJob("b", "y", "", triggered, 0, time.Hour)}, limits{global: 1}, ""},
		"a running run of the job is ahead":                   {ledgerJob("a", "x", "", triggered, 1, 0), []*prowv1.ProwJob{ledgerJob("b", "x", "", pending, 1, 0)}, limits{}, prowv1.ReasonWaitingForConcurrency},
		"an older waiting run of the job is ahead":            {ledgerJob("a", "x", "", triggered, 1, 0), []*prowv1.ProwJob{ledgerJob("b", "x", "", triggered, 1, time.Second)}, limits{}, prowv1.ReasonWaitingForConcurrency},
		"a younger waiting run is not":                        {ledgerJob("a", "x", "", triggered, 1, time.Second), []*prowv1.ProwJob{ledgerJob("b", "x", "", triggered, 1, 0)}, limits{}, ""},
		"nor one made in the same second":                     {ledgerJob("b", "x", "", triggered, 1, 0), []*prowv1.ProwJob{ledgerJob("a", "x", "", triggered, 1, 0)}, limits{}, ""},
		"another job is not ahead":                            {ledgerJob("a", "x", "", triggered, 1, 0), []*prowv1.ProwJob{ledgerJob("b", "y", "", pending, 1, 0)}, limits{}, ""},
		"a job that is being scheduled is not ahead":          {ledgerJob("a", "x", "", triggered, 1, 0), []*prowv1.ProwJob{ledgerJob("b", "x", "", prowv1.SchedulingState, 1, time.Hour)}, limits{}, ""},
		"a full queue":                                          {ledgerJob("a", "x", "q", triggered, 0, 0), []*prowv1.ProwJob{ledgerJob("b", "y", "q", pending, 0, 0)}, limits{queues: map[string]int{"q": 1}}, prowv1.ReasonWaitingForQueue},
		"a queue with room":                                     {ledgerJob("a", "x", "q", triggered, 0, 0), []*prowv1.ProwJob{ledgerJob("b", "y", "q", pending, 0, 0)}, limits{queues: map[string]int{"q": 2}}, ""},
		"a queue of capacity 0 is closed":                       {ledgerJob("a", "x", "q", triggered, 0, 0), nil, limits{queues: map[string]int{"q": 0}}, prowv1.ReasonWaitingForQueue},
		"a queue of negative capacity is open":                  {ledgerJob("a", "x", "q", triggered, 0, 0), []*prowv1.ProwJob{ledgerJob("b", "y", "q", pending, 0, 0)}, limits{queues: map[string]int{"q": -1}}, ""},
		"an unknown queue":                                      {ledgerJob("a", "x", "q", triggered, 0, 0), nil, limits{}, prowv1.ReasonWaitingForQueue},
		"a job of a queue is limited by its own limit, as well": {ledgerJob("a", "x", "q", triggered, 1, 0), []*prowv1.ProwJob{ledgerJob("b", "x", "", pending, 1, 0)}, limits{queues: map[string]int{"q": -1}}, prowv1.ReasonWaitingForConcurrency},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger()
			for _, other := range append(tc.others, tc.job) {
				l.observe(other, true)
			}
			ok, reason, why := l.reserve(tc.job, tc.limits)
			if ok != (tc.want == "") || reason != tc.want || !ok && why == "" {
				t.Errorf("ok %v, reason %q, why %q", ok, reason, why)
			}
		})
	}
}

// However events are lost, doubled and reordered, the counters are those of the
// jobs as they are known last, and a limit is never exceeded.
func TestTheLedgerCountsRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger()
		const limit = 2
		known := map[string]*prowv1.ProwJob{}
		reserved := map[string]bool{}
		version := 1
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "job")
			state := rapid.SampledFrom([]prowv1.ProwJobState{prowv1.SchedulingState, prowv1.TriggeredState, prowv1.PendingState, prowv1.AbortedState, prowv1.SuccessState}).Draw(t, "state")
			switch rapid.SampledFrom([]string{"event", "stale event", "reserve", "release", "forget"}).Draw(t, "step") {
			case "event":
				version++
				job := ledgerJob(name, "x", "q", state, limit, time.Duration(name[0])*time.Second)
				job.ResourceVersion = fmt.Sprint(version)
				if state == prowv1.SuccessState {
					job.Status.CompletionTime = ago(0)
				}
				l.observe(job, true)
				if delete(known, name); active(state) {
					known[name] = job
				} else {
					delete(reserved, name)
				}
			case "stale event":
				if known[name] != nil {
					job := ledgerJob(name, "x", "q", state, limit, time.Duration(name[0])*time.Second)
					l.observe(job, true)
				}
			case "reserve":
				if job := known[name]; job != nil && job.Status.State == prowv1.TriggeredState {
					running := len(reserved)
					for n, other := range known {
						if other.Status.State == prowv1.PendingState && !reserved[n] {
							running++
						}
					}
					if ok, _, _ := l.reserve(job, limits{queues: map[string]int{"q": -1}}); ok && !reserved[name] {
						if running >= limit {
							t.Fatalf("%s starts beside %d others", name, running)
						}
						reserved[name] = true
					}
				}
			case "release":
				l.release(types.UID(name))
				delete(reserved, name)
			case "forget":
				l.forget(types.UID(name))
				delete(known, name)
				delete(reserved, name)
			}
			running, waiting := 0, 0
			for n, job := range known {
				switch {
				case job.Status.State == prowv1.PendingState, job.Status.State == prowv1.TriggeredState && reserved[n]:
					running++
				case job.Status.State == prowv1.TriggeredState:
					waiting++
				}
			}
			if l.all.running != running || len(l.all.waiting) != waiting || l.size() != len(known) {
				t.Fatalf("%d running, %d waiting, %d in all; want %d, %d, %d", l.all.running, len(l.all.waiting), l.size(), running, waiting, len(known))
			}
			if len(known) == 0 && len(l.jobs)+len(l.queues)+len(l.identities) > 0 {
				t.Fatal("groups without members are kept")
			}
		}
	})
}

func TestWhoWaitsIsWokenOldestFirst(t *testing.T) {
	l := newLedger()
	l.observe(ledgerJob("running", "x", "", prowv1.PendingState, 1, time.Hour), true)
	for i := range 10 {
		job := ledgerJob(fmt.Sprint("waiting", i), "x", "", prowv1.TriggeredState, 1, time.Duration(10-i)*time.Second)
		l.observe(job, true)
		if ok, _, _ := l.reserve(job, limits{}); ok {
			t.Fatal("started beside another")
		}
	}
	done := ledgerJob("running", "x", "", prowv1.SuccessState, 1, time.Hour)
	done.ResourceVersion, done.Status.CompletionTime = "2", ago(0)
	wake := l.observe(done, false)
	if len(wake) == 0 || len(wake) > 2*wakeAtMost || wake[0].Name != "waiting0" {
		t.Errorf("woken: %v", wake)
	}
	if again := l.observe(done, true); len(again) != 0 {
		t.Errorf("woken twice: %v", again)
	}
}
