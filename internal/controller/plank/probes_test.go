package plank

import (
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	prowv1 "prow/api/prowjobs/v1"
)

func TestProbe1ATriggeredJobGetsAPodOfItsNameAndIsPending(t *testing.T) {
	w := newWorld(t)
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	pending := w.until(j, "pending", inState(prowv1.PendingState))
	p := w.pod(j)
	if p == nil || pending.Status.BuildID == "" || pending.Status.PendingTime == nil || pending.Status.PodName != j.Name || pending.Status.URL != "https://prow/"+pending.Status.BuildID {
		t.Fatalf("pod %v, status %+v", p, pending.Status)
	}
	if pending.Status.Description != startedDescription || pending.Status.Reason != "" {
		t.Errorf("status %+v", pending.Status)
	}
	for key, want := range map[string]string{prowv1.ProwJobIDLabel: j.Name, prowv1.BuildIDLabel: pending.Status.BuildID} {
		if p.Labels[key] != want || pending.Labels[key] != want {
			t.Errorf("label %s is %q on the pod and %q on the job, want %q", key, p.Labels[key], pending.Labels[key], want)
		}
	}
	if p.Labels[prowv1.PlankVersionLabel] != "v1" {
		t.Errorf("labels %v", p.Labels)
	}
	w.kubelet(j, phase(corev1.PodRunning, ""))
	w.kubelet(j, phase(corev1.PodSucceeded, ""))
	done := w.until(j, "success", completeIn(prowv1.SuccessState))
	if done.Status.Description == "" || done.Status.Reason != prowv1.ReasonSucceeded || done.Spec.PodSpec == nil {
		t.Errorf("status %+v", done.Status)
	}
}

func TestProbe2RefusedPodsEndTheJobAndOtherAnswersAreTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		code   int
		reason string
		final  bool
	}{
		"422 is final":                 {422, "Invalid", true},
		"403 is final":                 {403, "Forbidden", true},
		"404, no namespace, is final":  {404, "NotFound", true},
		"500 is tried again":           {500, "InternalError", false},
		"401 is tried again":           {401, "Unauthorized", false},
		"409, a conflict, tried again": {409, "Conflict", false},
		"429 is tried again":           {429, "TooManyRequests", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p *proxy
			w := newWorld(t, func(w *world) {
				p = newProxy(t, w.service)
				p.failing(func(w http.ResponseWriter, r *http.Request) bool {
					return podCreation(r) && answer(w, tc.code, tc.reason)
				})
				w.build = map[string]*rest.Config{"default": p.config}
			})
			w.start()
			j := w.job(prowv1.ProwJobSpec{})
			if tc.final {
				done := w.until(j, "an error", completeIn(prowv1.ErrorState))
				if done.Status.BuildID == "" || done.Status.Reason != prowv1.ReasonPodRefused || !strings.Contains(done.Status.Description, "cannot be created") {
					t.Errorf("status %+v", done.Status)
				}
				if n := p.written("POST pods"); n != 1 {
					t.Errorf("%d attempts", n)
				}
				return
			}
			waits := w.until(j, "a reason", because1(prowv1.ReasonPodCreationFailing))
			if waits.Status.State != prowv1.TriggeredState || waits.Complete() {
				t.Errorf("status %+v", waits.Status)
			}
			p.failing(nil)
			j = w.until(j, "pending", inState(prowv1.PendingState))
			if j.Status.Reason != "" {
				t.Errorf("reason %s stays", j.Status.Reason)
			}
			if n := p.written("POST pods"); n < 2 {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

func TestProbe3AnUnknownClusterEndsTheJobInOneAttempt(t *testing.T) {
	var p *proxy
	w := newWorld(t, func(w *world) {
		p = newProxy(t, w.service)
		w.service = p.config
	})
	w.start()
	done := w.until(w.job(prowv1.ProwJobSpec{Cluster: "nosuch"}), "an error", completeIn(prowv1.ErrorState))
	if done.Status.Reason != prowv1.ReasonUnknownCluster || !strings.Contains(done.Status.Description, `no build cluster "nosuch"`) {
		t.Errorf("status %+v", done.Status)
	}
	if n := p.written(""); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestProbe4AVanishedPodIsMadeAgainUnderANewBuildIDAndCounted(t *testing.T) {
	one := 1
	w := newWorld(t, func(w *world) { w.cfg.Plank.MaxRevivals = &one })
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	first := w.newPod(j, nil)
	w.kill(j)
	second := w.newPod(j, first)
	j = w.get(j)
	if first.Labels[prowv1.BuildIDLabel] == second.Labels[prowv1.BuildIDLabel] || j.Status.PodRevivalCount != 1 || j.Status.Reason != "" {
		t.Errorf("build IDs %s and %s, status %+v", first.Labels[prowv1.BuildIDLabel], second.Labels[prowv1.BuildIDLabel], j.Status)
	}
	w.kill(j)
	done := w.until(j, "the end", completeIn(prowv1.ErrorState))
	if done.Status.Reason != prowv1.ReasonPodVanished || done.Status.PodRevivalCount != 1 {
		t.Errorf("status %+v", done.Status)
	}
}

func TestProbe5AnEvictedPodIsMadeAgainThreeTimes(t *testing.T) {
	w := newWorld(t)
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	var last *corev1.Pod
	for n := range 4 {
		last = w.newPod(j, last)
		if got := w.get(j).Status.PodRevivalCount; got != n {
			t.Fatalf("the count is %d, want %d", got, n)
		}
		w.kubelet(j, phase(corev1.PodFailed, "Evicted"))
	}
	done := w.until(j, "an error", completeIn(prowv1.ErrorState))
	if done.Status.PodRevivalCount != 3 || done.Status.Reason != prowv1.ReasonEvicted || w.ids.Load() != 4 {
		t.Errorf("status %+v after %d pods", done.Status, w.ids.Load())
	}

	strict := w.job(prowv1.ProwJobSpec{ErrorOnEviction: true})
	w.newPod(strict, nil)
	w.kubelet(strict, phase(corev1.PodFailed, "Evicted"))
	done = w.until(strict, "an error", completeIn(prowv1.ErrorState))
	if p := w.pod(strict); p == nil || p.DeletionTimestamp != nil || done.Status.PodRevivalCount != 0 {
		t.Errorf("the pod is not kept; status %+v", done.Status)
	}
}

func TestALostPodThatAReporterHoldsIsReleased(t *testing.T) {
	w := newWorld(t)
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	first := w.newPod(j, nil)
	first.Finalizers = append(first.Finalizers, reporterFinalizer)
	if err := w.client.Update(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.kubelet(j, phase(corev1.PodFailed, "Evicted"))
	w.newPod(j, first)
}

func TestProbe6AContainerOutOfMemoryIsAnError(t *testing.T) {
	w := newWorld(t)
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	w.newPod(j, nil)
	w.kubelet(j, func(s *corev1.PodStatus) {
		phase(corev1.PodRunning, "")(s)
		s.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.Now()}}}}
	})
	if done := w.until(j, "an error", completeIn(prowv1.ErrorState)); done.Status.Reason != prowv1.ReasonOOMKilled {
		t.Errorf("status %+v", done.Status)
	}
}

func TestProbe7ASucceededPodNeedsAllContainersToHaveEndedWell(t *testing.T) {
	w := newWorld(t)
	w.start()
	for _, ended := range []bool{true, false} {
		j := w.job(prowv1.ProwJobSpec{})
		w.newPod(j, nil)
		w.kubelet(j, func(s *corev1.PodStatus) {
			phase(corev1.PodSucceeded, "")(s)
			s.ContainerStatuses = []corev1.ContainerStatus{{Name: "test"}}
			if ended {
				s.ContainerStatuses[0].State.Terminated = &corev1.ContainerStateTerminated{FinishedAt: metav1.Now()}
			}
		})
		want := prowv1.ErrorState
		if ended {
			want = prowv1.SuccessState
		}
		w.until(j, string(want), completeIn(want))
	}
}

// The clock of plank goes first, the one of the API server stays.
func ahead(d time.Duration) func(*world) {
	return func(w *world) { w.now = func() time.Time { return time.Now().Add(d) } }
}

func TestProbe8APodThatDoesNotStartInTimeIsAnErrorAndGoes(t *testing.T) {
	for name, tc := range map[string]struct {
		ahead   time.Duration
		started bool
		says    string
	}{
		"no node within 5m":   {5*time.Minute + time.Second, false, "Scheduling timeout"},
		"not running for 10m": {10*time.Minute + time.Second, true, "Pending timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			// It starts with the true time, and later with one that is ahead.
			stop := w.start()
			j, patient := w.job(prowv1.ProwJobSpec{}), w.job(prowv1.ProwJobSpec{DecorationConfig: &prowv1.DecorationConfig{
				PodPendingTimeout: &metav1.Duration{Duration: 2 * time.Hour}, PodUnscheduledTimeout: &metav1.Duration{Duration: 2 * time.Hour},
			}})
			for _, waiting := range []*prowv1.ProwJob{j, patient} {
				w.newPod(waiting, nil)
				w.kubelet(waiting, func(s *corev1.PodStatus) {
					if tc.started {
						phase(corev1.PodPending, "")(s)
					}
				})
			}
			stop()
			ahead(tc.ahead)(w)
			stop = w.start()
			defer func() {
				stop()
				ahead(2*time.Hour + tc.ahead)(w)
				w.start()
				w.until(patient, "an error after its own time", completeIn(prowv1.ErrorState))
			}()
			done := w.until(j, "an error", completeIn(prowv1.ErrorState))
			if !strings.Contains(done.Status.Description, tc.says) {
				t.Errorf("description %q", done.Status.Description)
			}
			if p := w.pod(j); p != nil && p.DeletionTimestamp == nil {
				t.Error("the pod stays")
			}
			if got := w.get(patient); got.Complete() || w.pod(patient).DeletionTimestamp != nil {
				t.Errorf("a job with more time is %+v", got.Status)
			}
		})
	}
}

func TestProbe9AJobThatRunsTooLongIsAbortedWithoutAnyOtherEvent(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Plank.PodRunningTimeout = &metav1.Duration{Duration: 4 * time.Second} })
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	w.newPod(j, nil)
	w.kubelet(j, phase(corev1.PodRunning, ""))
	done := w.until(j, "abortion", completeIn(prowv1.AbortedState))
	if p := w.pod(j); p != nil && p.DeletionTimestamp == nil || done.Status.Reason != prowv1.ReasonRunningTimeout {
		t.Errorf("pod %v, status %+v", p, done.Status)
	}
}

func TestProbe10ANewerRunReplacesAnOlderOne(t *testing.T) {
	var p *proxy
	w := newWorld(t, func(w *world) {
		p = newProxy(t, w.service)
		w.build = map[string]*rest.Config{"default": p.config}
	})
	w.start()
	p.failing(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodDelete && answer(w, 500, "InternalError")
	})
	refs := func(sha string) *prowv1.Refs {
		return &prowv1.Refs{Org: "o", Repo: "r", BaseRef: "main", Pulls: []prowv1.Pull{{Number: 1, Author: "a", SHA: sha}}}
	}
	old := w.until(w.job(prowv1.ProwJobSpec{Type: prowv1.PresubmitJob, Refs: refs("aa")}, func(j *prowv1.ProwJob) {
		j.Status.StartTime = metav1.NewTime(time.Now().Add(-time.Minute))
	}), "pending", inState(prowv1.PendingState))
	batches := []*prowv1.ProwJob{w.job(prowv1.ProwJobSpec{Type: prowv1.BatchJob, Refs: refs("aa")}), w.job(prowv1.ProwJobSpec{Type: prowv1.BatchJob, Refs: refs("bb")})}
	other := refs("aa")
	other.BaseRef = "release"
	elsewhere := w.job(prowv1.ProwJobSpec{Type: prowv1.PresubmitJob, Refs: other})
	fresh := w.job(prowv1.ProwJobSpec{Type: prowv1.PresubmitJob, Refs: refs("bb")})
	gone := w.until(old, "abortion", inState(prowv1.AbortedState))
	if gone.Status.PrevReportStates[prowv1.GitHubReporterName] != prowv1.AbortedState {
		t.Error("the reporter would write over the newer run's status")
	}
	for attempts := p.written("DELETE pods"); p.written("DELETE pods") < attempts+3; {
		<-time.After(10 * time.Millisecond)
	}
	if gone = w.get(old); gone.Complete() || gone.Status.Description != startedDescription || gone.Status.URL == "" {
		t.Errorf("the pod is still there, and the job is %+v", gone.Status)
	}
	p.failing(nil)
	gone = w.until(old, "completion", completeIn(prowv1.AbortedState))
	if pod := w.pod(old); pod != nil && pod.DeletionTimestamp == nil || gone.Status.Reason != prowv1.ReasonSuperseded || gone.Status.Description != startedDescription {
		t.Errorf("pod %v, status %+v", pod, gone.Status)
	}
	for _, j := range append(batches, fresh, elsewhere) {
		w.until(j, "pending", inState(prowv1.PendingState))
	}
}

func TestProbe11JobsOfOneNameRunOldestFirstAndOneAtATime(t *testing.T) {
	w := newWorld(t)
	jobs := make([]*prowv1.ProwJob, 3)
	for i := range jobs {
		// Creation times have seconds.
		for begun := time.Now().Truncate(time.Second); i > 0 && time.Now().Truncate(time.Second).Equal(begun); {
			<-time.After(20 * time.Millisecond)
		}
		jobs[i] = w.job(prowv1.ProwJobSpec{Job: "one-at-a-time", MaxConcurrency: 1})
	}
	w.start()
	other := w.job(prowv1.ProwJobSpec{Job: "another", MaxConcurrency: 1})
	w.until(other, "pending", inState(prowv1.PendingState))
	for i, j := range jobs {
		w.until(j, "pending", inState(prowv1.PendingState))
		for _, later := range jobs[i+1:] {
			if w.pod(later) != nil {
				t.Fatal("a younger one has a pod beside an older one")
			}
		}
		begun := time.Now()
		w.kubelet(j, phase(corev1.PodSucceeded, ""))
		w.until(j, "success", completeIn(prowv1.SuccessState))
		if i+1 < len(jobs) {
			w.until(jobs[i+1], "pending", inState(prowv1.PendingState))
			if took := time.Since(begun); took > limitRetry-time.Second {
				t.Errorf("the next one was not woken but waited %s", took)
			}
		}
	}
}

func TestProbe12QueuesHaveCapacities(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Plank.JobQueueCapacities = map[string]int{"closed": 0, "open": -1}
		// The jobs look as if they had waited long enough to be told why.
		ahead(limitRetry)(w)
	})
	w.start()
	closed, missing := w.job(prowv1.ProwJobSpec{JobQueueName: "closed"}), w.job(prowv1.ProwJobSpec{JobQueueName: "missing"})
	for range 3 {
		w.until(w.job(prowv1.ProwJobSpec{JobQueueName: "open"}), "pending", inState(prowv1.PendingState))
	}
	for _, j := range []*prowv1.ProwJob{closed, missing} {
		waits := w.until(j, "a reason", because1(prowv1.ReasonWaitingForQueue))
		if waits.Status.State != prowv1.TriggeredState || w.pod(j) != nil {
			t.Errorf("status %+v", waits.Status)
		}
	}
	if !strings.Contains(w.log.String(), "a job waits for a queue that is not configured") || strings.Contains(w.log.String(), "queue=closed") {
		t.Errorf("the log has %s", w.log.String())
	}
}

func TestAPodThatAnEarlierLifeMadeIsAdopted(t *testing.T) {
	w := newWorld(t)
	lost := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "11111111-2222-4333-8444-555555555555", Namespace: w.ns, Labels: map[string]string{
		prowv1.CreatedByProwLabel: "true", prowv1.BuildIDLabel: "4711",
	}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "image"}}}}
	if err := w.client.Create(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	w.start()
	j := w.job(prowv1.ProwJobSpec{}, func(j *prowv1.ProwJob) { j.Name = lost.Name })
	got := w.until(j, "pending", inState(prowv1.PendingState))
	if got.Status.BuildID != "4711" || w.ids.Load() != 0 || w.pod(j).UID != lost.UID {
		t.Errorf("build id %s, %d ids were vended", got.Status.BuildID, w.ids.Load())
	}
}

func TestSomebodyElsesPodOfTheSameNameIsNotTaken(t *testing.T) {
	w := newWorld(t)
	theirs := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "11111111-2222-4333-8444-666666666666", Namespace: w.ns},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "image"}}}}
	if err := w.client.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	w.start()
	j := w.job(prowv1.ProwJobSpec{}, func(j *prowv1.ProwJob) { j.Name = theirs.Name })
	if done := w.until(j, "an error", completeIn(prowv1.ErrorState)); done.Status.Reason != prowv1.ReasonPodRefused {
		t.Errorf("status %+v", done.Status)
	}
}

func TestAnAbortedJobLosesItsPodFirstAndIsThenCompleteOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	j := w.until(w.job(prowv1.ProwJobSpec{}), "pending", inState(prowv1.PendingState))
	w.abort(j, "stop it")
	done := w.until(j, "completion", completeIn(prowv1.AbortedState))
	if done.Status.Description != "stop it" || done.Status.Reason != prowv1.ReasonAborted {
		t.Errorf("status %+v", done.Status)
	}
	if p := w.pod(j); p != nil && p.DeletionTimestamp == nil {
		t.Error("the pod is still there")
	}
	scheduling := w.job(prowv1.ProwJobSpec{}, func(j *prowv1.ProwJob) { j.Status.State = prowv1.SchedulingState })
	w.abort(scheduling, "never mind")
	w.until(scheduling, "completion", completeIn(prowv1.AbortedState))
}

func TestAWaitingPodTellsWhy(t *testing.T) {
	w := newWorld(t)
	w.start()
	j := w.job(prowv1.ProwJobSpec{})
	w.newPod(j, nil)
	w.kubelet(j, func(s *corev1.PodStatus) {
		phase(corev1.PodPending, "")(s)
		s.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}}}
	})
	told := w.until(j, "a reason", because1(prowv1.ReasonImagePullFailed))
	if !strings.Contains(told.Status.Description, "no such image") || told.Complete() {
		t.Errorf("status %+v", told.Status)
	}
	w.kubelet(j, func(s *corev1.PodStatus) {
		phase(corev1.PodRunning, "")(s)
		s.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	})
	told = w.until(j, "no reason", because1(""))
	if told.Status.Description != startedDescription {
		t.Errorf("status %+v", told.Status)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	var p *proxy
	w := newWorld(t, func(w *world) {
		p = newProxy(t, w.service)
		w.service, w.build, w.dryRun = p.config, map[string]*rest.Config{"default": p.config}, true
	})
	var jobs []*prowv1.ProwJob
	for _, state := range []prowv1.ProwJobState{prowv1.TriggeredState, prowv1.PendingState, prowv1.AbortedState} {
		jobs = append(jobs, w.job(prowv1.ProwJobSpec{}, func(j *prowv1.ProwJob) { j.Status.State = state }),
			w.job(prowv1.ProwJobSpec{Cluster: "nosuch"}, func(j *prowv1.ProwJob) { j.Status.State = state }))
	}
	stop := w.start()
	<-time.After(2 * time.Second) // There is no event to wait for: nothing is to happen.
	stop()
	if n := p.written(""); n != 0 || w.ids.Load() != 0 {
		t.Errorf("%d writes, %d build IDs", n, w.ids.Load())
	}
	for _, j := range jobs {
		if got := w.get(j); got.ResourceVersion != j.ResourceVersion {
			t.Errorf("job in state %s was changed", j.Status.State)
		}
	}
}
