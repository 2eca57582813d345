package plank

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stypes "k8s.io/apimachinery/pkg/types"

	prowv1 "prow/api/prowjobs/v1"
)

var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(-d))
	return &t
}

func jobIn(state prowv1.ProwJobState, tweak ...func(*prowv1.ProwJob)) *prowv1.ProwJob {
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Agent: prowv1.KubernetesAgent}, Status: prowv1.ProwJobStatus{State: state}}
	for _, f := range tweak {
		f(j)
	}
	return j
}

func podIn(phase corev1.PodPhase, tweak ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
	p.CreationTimestamp = *ago(time.Minute)
	for _, f := range tweak {
		f(p)
	}
	return p
}

func started(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.StartTime = ago(d) }
}

func created(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.CreationTimestamp = *ago(d) }
}

func reason(r string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Reason = r } }

func beingDeleted(p *corev1.Pod) { p.DeletionTimestamp = ago(time.Second) }

func terminated(name, why string, exit int32, finished bool) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		t := &corev1.ContainerStateTerminated{ExitCode: exit, Reason: why}
		if finished {
			t.FinishedAt = *ago(time.Second)
		}
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: t}})
	}
}

func revived(n int) func(*prowv1.ProwJob) {
	return func(j *prowv1.ProwJob) { j.Status.PodRevivalCount = n }
}

func TestDecide(t *testing.T) {
	limits := Timeouts{Unscheduled: 5 * time.Minute, Pending: 10 * time.Minute, Running: 48 * time.Hour}
	pending := prowv1.PendingState
	errorOnEviction := func(j *prowv1.ProwJob) { j.Spec.ErrorOnEviction = true }

	for name, tc := range map[string]struct {
		job  *prowv1.ProwJob
		pod  *corev1.Pod
		want decision
		says string
	}{
		"a triggered job gets a pod":                                  {jobIn(prowv1.TriggeredState), nil, decision{code: CodeStarted, pod: createPod}, ""},
		"a triggered job adopts the pod an earlier look made":         {jobIn(prowv1.TriggeredState), podIn(corev1.PodRunning), decision{code: CodeStarted, pod: createPod}, ""},
		"an aborted job loses its pod and is complete":                {jobIn(prowv1.AbortedState), podIn(corev1.PodRunning), decision{code: CodeAborted, complete: true, pod: deletePod}, ""},
		"an aborted job without a pod is complete":                    {jobIn(prowv1.AbortedState), nil, decision{code: CodeAborted, complete: true, pod: deletePod}, ""},
		"a job that is being scheduled is left alone":                 {jobIn(prowv1.SchedulingState), nil, decision{}, ""},
		"a pending job whose pod is missing gets another":             {jobIn(pending), nil, decision{code: CodePodMissing, pod: createPod}, ""},
		"a succeeded pod is success":                                  {jobIn(pending), podIn(corev1.PodSucceeded, terminated("test", "Completed", 0, true)), decision{code: CodeSucceeded, state: prowv1.SuccessState, complete: true}, "succeeded"},
		"a succeeded pod without statuses is success":                 {jobIn(pending), podIn(corev1.PodSucceeded), decision{code: CodeSucceeded, state: prowv1.SuccessState, complete: true}, "succeeded"},
		"a succeeded pod with a failed container is an error":         {jobIn(pending), podIn(corev1.PodSucceeded, terminated("side", "Error", 3, true)), decision{code: CodeUnfinished, state: prowv1.ErrorState, complete: true}, "container side"},
		"a succeeded pod with a container without end is an error":    {jobIn(pending), podIn(corev1.PodSucceeded, terminated("test", "Completed", 0, false)), decision{code: CodeUnfinished, state: prowv1.ErrorState, complete: true}, "container test"},
		"a failed pod is failure":                                     {jobIn(pending), podIn(corev1.PodFailed, terminated("test", "Error", 1, true)), decision{code: CodeFailed, state: prowv1.FailureState, complete: true}, "Job failed."},
		"a failed pod of a terminated node is failure":                {jobIn(pending), podIn(corev1.PodFailed, reason("Terminated")), decision{code: CodeFailed, state: prowv1.FailureState, complete: true}, "Terminated"},
		"a pod that its node lost has no verdict":                     {jobIn(pending), podIn(corev1.PodFailed, reason("NodeLost")), decision{code: CodeLost, state: prowv1.ErrorState, complete: true}, "node stopped"},
		"a container out of memory while running is an error":         {jobIn(pending), podIn(corev1.PodRunning, started(time.Minute), terminated("test", "OOMKilled", 137, true)), decision{code: CodeOOMKilled, state: prowv1.ErrorState, complete: true}, "Container test was killed because it ran out of memory"},
		"a container out of memory in a failed pod is failure":        {jobIn(pending), podIn(corev1.PodFailed, terminated("test", "OOMKilled", 137, true)), decision{code: CodeFailed, state: prowv1.FailureState, complete: true}, "OOMKilled"},
		"an evicted pod is made again":                                {jobIn(pending), podIn(corev1.PodFailed, reason("Evicted")), decision{code: CodeRevived, pod: revivePod}, ""},
		"an evicted pod is an error where the job says so":            {jobIn(pending, errorOnEviction), podIn(corev1.PodFailed, reason("Evicted")), decision{code: CodeEvicted, state: prowv1.ErrorState, complete: true}, "evicted"},
		"a pod evicted too often is an error":                         {jobIn(pending, revived(3)), podIn(corev1.PodFailed, reason("Evicted")), decision{code: CodeTooManyRevivals, state: prowv1.ErrorState, complete: true}, "4 times, last because it was evicted"},
		"a pod that was counted already is not counted again":         {jobIn(pending, revived(3), func(j *prowv1.ProwJob) { j.Annotations = map[string]string{revivedPodAnnotation: "u"} }), podIn(corev1.PodFailed, reason("Evicted"), func(p *corev1.Pod) { p.UID = "u" }), decision{code: CodeRevived, pod: revivePod}, ""},
		"a pod of an unreachable node is made again":                  {jobIn(pending), podIn(corev1.PodRunning, reason("NodeLost"), beingDeleted), decision{code: CodeRevived, pod: revivePod}, ""},
		"a pod in phase unknown is made again":                        {jobIn(pending, revived(2)), podIn(corev1.PodUnknown), decision{code: CodeRevived, pod: revivePod}, ""},
		"a pod in phase unknown too often is an error":                {jobIn(pending, revived(3)), podIn(corev1.PodUnknown), decision{code: CodeTooManyRevivals, state: prowv1.ErrorState, complete: true}, "unknown"},
		"a pod without a node is waited for":                          {jobIn(pending), podIn(corev1.PodPending, created(time.Minute)), decision{code: CodeWaiting, after: 4 * time.Minute}, ""},
		"a pod without a node for too long is an error and goes":      {jobIn(pending), podIn(corev1.PodPending, created(5*time.Minute)), decision{code: CodeUnscheduled, state: prowv1.ErrorState, complete: true, pod: deletePod}, "Scheduling timeout"},
		"a pod that starts is waited for":                             {jobIn(pending), podIn(corev1.PodPending, created(time.Hour), started(time.Minute)), decision{code: CodeWaiting, after: 9 * time.Minute}, ""},
		"a pod that does not start for too long is an error and goes": {jobIn(pending), podIn(corev1.PodPending, started(10*time.Minute)), decision{code: CodePendingTimeout, state: prowv1.ErrorState, complete: true, pod: deletePod}, "Pending timeout"},
		"a running pod is waited for":                                 {jobIn(pending), podIn(corev1.PodRunning, started(47*time.Hour)), decision{code: CodeWaiting, after: time.Hour}, ""},
		"a pod that runs too long is aborted and goes":                {jobIn(pending), podIn(corev1.PodRunning, started(48*time.Hour)), decision{code: CodeRunningTimeout, state: prowv1.AbortedState, complete: true, pod: deletePod}, "Running timeout"},
		"a running pod that somebody deletes is an error":             {jobIn(pending), podIn(corev1.PodRunning, started(time.Minute), beingDeleted), decision{code: CodePodDeleted, state: prowv1.ErrorState, complete: true}, "deleted unexpectedly"},
		"a pending pod that somebody deletes is an error":             {jobIn(pending), podIn(corev1.PodPending, beingDeleted), decision{code: CodePodDeleted, state: prowv1.ErrorState, complete: true}, "deleted unexpectedly"},
		"a succeeded pod that is being deleted is success":            {jobIn(pending), podIn(corev1.PodSucceeded, beingDeleted), decision{code: CodeSucceeded, state: prowv1.SuccessState, complete: true}, "succeeded"},
		"a pod without a phase is left alone":                         {jobIn(pending), podIn(""), decision{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(tc.job, tc.pod, limits, 3, now)
			if !strings.Contains(got.description, tc.says) {
				t.Errorf("says %q, want %q in it", got.description, tc.says)
			}
			if got.description = ""; got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// Whatever a job and a pod look like, a decision is coherent: a finished job has
// a sentence (an aborted one keeps its own), and only running things are waited for.
func TestEveryDecisionIsCoherent(t *testing.T) {
	limits := Timeouts{Unscheduled: 5 * time.Minute, Pending: 10 * time.Minute, Running: 48 * time.Hour}
	for _, state := range prowv1.AllStates() {
		for _, phase := range []corev1.PodPhase{"", corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown, "Surprise"} {
			for _, why := range []string{"", "Evicted", "NodeLost", "Terminated", "DeadlineExceeded"} {
				for _, tweak := range []func(*corev1.Pod){func(*corev1.Pod) {}, beingDeleted, started(time.Hour), terminated("test", "OOMKilled", 137, true)} {
					for n := range 5 {
						d := decide(jobIn(state, revived(n)), podIn(phase, reason(why), tweak), limits, 3, now)
						switch {
						case d.complete && d.description == "" && state != prowv1.AbortedState:
							t.Errorf("%s/%s/%s ends without a sentence", state, phase, why)
						case d.complete && d.after != 0, d.after < 0:
							t.Errorf("%s/%s/%s is looked at again after %s", state, phase, why, d.after)
						case d.pod == revivePod && n >= 3:
							t.Errorf("%s/%s/%s is revived %d times", state, phase, why, n+1)
						}
					}
				}
			}
		}
	}
}

func TestMayStart(t *testing.T) {
	job := func(uid, name, queue string, state prowv1.ProwJobState, age time.Duration, max int) prowv1.ProwJob {
		j := prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Job: name, JobQueueName: queue, MaxConcurrency: max}, Status: prowv1.ProwJobStatus{State: state}}
		j.UID, j.CreationTimestamp = k8stypes.UID(uid), *ago(age)
		return j
	}
	triggered, pending := prowv1.TriggeredState, prowv1.PendingState
	for name, tc := range map[string]struct {
		job    prowv1.ProwJob
		others []prowv1.ProwJob
		limits limits
		ok     bool
		err    bool
	}{
		"no limit": {job("a", "x", "", triggered, 0, 0), []prowv1.ProwJob{job("b", "x", "", pending, 1, 0)}, limits{}, true, false},
		"the global limit counts pending jobs of all names": {job("a", "x", "", triggered, 0, 0), []prowv1.ProwJob{job("b", "y", "", pending, 1, 0)}, limits{global: 1}, false, false},
		"the global limit does not count waiting jobs":      {job("a", "x", "", triggered, 0, 0), []prowv1.ProwJob{job("b", "y", "", triggered, 1, 0)}, limits{global: 1}, true, false},
		"a running one of the same job blocks":              {job("a", "x", "", triggered, 0, 1), []prowv1.ProwJob{job("b", "x", "", pending, 0, 1)}, limits{}, false, false},
		"an older waiting one goes first":                   {job("a", "x", "", triggered, time.Minute, 1), []prowv1.ProwJob{job("b", "x", "", triggered, time.Hour, 1)}, limits{}, false, false},
		"a younger waiting one does not block":              {job("a", "x", "", triggered, time.Hour, 1), []prowv1.ProwJob{job("b", "x", "", triggered, time.Minute, 1)}, limits{}, true, false},
		"one of equal age does not block":                   {job("a", "x", "", triggered, time.Hour, 1), []prowv1.ProwJob{job("b", "x", "", triggered, time.Hour, 1)}, limits{}, true, false},
		"the job itself does not count":                     {job("a", "x", "", triggered, 0, 1), []prowv1.ProwJob{job("a", "x", "", pending, 0, 1)}, limits{}, true, false},
		"another job does not count":                        {job("a", "x", "", triggered, 0, 1), []prowv1.ProwJob{job("b", "y", "", pending, 0, 1)}, limits{}, true, false},
		"a queue counts all its jobs":                       {job("a", "x", "q", triggered, 0, 0), []prowv1.ProwJob{job("b", "y", "q", pending, 0, 0)}, limits{queues: map[string]int{"q": 1}}, false, false},
		"a queue of capacity 0 is blocked":                  {job("a", "x", "q", triggered, 0, 0), nil, limits{queues: map[string]int{"q": 0}}, false, false},
		"a queue of negative capacity is open":              {job("a", "x", "q", triggered, 0, 0), []prowv1.ProwJob{job("b", "y", "q", pending, 0, 0)}, limits{queues: map[string]int{"q": -1}}, true, false},
		"an unknown queue is an error":                      {job("a", "x", "q", triggered, 0, 0), nil, limits{}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			ok, why, err := mayStart(&tc.job, tc.others, tc.limits)
			if ok != tc.ok || (err != nil) != tc.err || !ok && err == nil && why == "" {
				t.Errorf("ok %v, why %q, error %v", ok, why, err)
			}
		})
	}
}
