package plank

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
)

var (
	noon       = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	testLimits = Timeouts{Unscheduled: 5 * time.Minute, Pending: 10 * time.Minute, Running: 48 * time.Hour}
)

const testRevivals = 3

func ago(d time.Duration) *metav1.Time {
	t := metav1.NewTime(noon.Add(-d))
	return &t
}

// cell is one square of the table: a job and a pod as far as decisions differ.
type cell struct {
	state    prowv1.ProwJobState
	complete bool
	// strict is error_on_eviction.
	strict bool
	// counted: the loss of this run is written down already. spent: no revival is left.
	counted, spent bool

	noPod    bool
	phase    corev1.PodPhase
	cause    string
	deletion string
	clock    string
	buildID  string
}

func (c cell) String() string {
	if c.noPod {
		return fmt.Sprintf("%s complete=%v strict=%v counted=%v spent=%v without a pod", c.state, c.complete, c.strict, c.counted, c.spent)
	}
	return fmt.Sprintf("%s complete=%v strict=%v counted=%v spent=%v pod in %q cause=%q deletion=%q clock=%q build=%q",
		c.state, c.complete, c.strict, c.counted, c.spent, c.phase, c.cause, c.deletion, c.clock, c.buildID)
}

func (c cell) job() *prowv1.ProwJob {
	j := &prowv1.ProwJob{Spec: prowv1.ProwJobSpec{Agent: prowv1.KubernetesAgent, ErrorOnEviction: c.strict}, Status: prowv1.ProwJobStatus{State: c.state, BuildID: "1"}}
	if c.complete {
		j.Status.CompletionTime = ago(time.Minute)
	}
	if c.counted {
		j.Annotations = map[string]string{revivedAnnotation: "1"}
	}
	if c.spent {
		j.Status.PodRevivalCount = testRevivals
	}
	return j
}

// causes are what a pod can tell beyond its phase.
var causes = map[string]func(*corev1.Pod){
	"":                 func(*corev1.Pod) {},
	"Evicted":          podReason("Evicted"),
	"NodeLost":         podReason("NodeLost"),
	"Terminated":       podReason("Terminated"),
	"Preempting":       podReason("Preempting"),
	"OutOfcpu":         podReason("OutOfcpu"),
	"DeadlineExceeded": podReason("DeadlineExceeded"),
	"Odd":              podReason("Odd"),
	"preempted":        disrupted("PreemptionByScheduler"),
	"drained":          disrupted("EvictionByEvictionAPI"),
	"collected":        disrupted("DeletionByPodGC"),
	"stopped by node":  disrupted("TerminationByKubelet"),
	"out of memory":    container("test", 137, "OOMKilled"),
	"test failed":      container("test", 1, "Error"),
	"ended well":       container("test", 0, "Completed"),
	"clone failed":     initContainer("clonerefs", 1, ""),
	"clone recorded":   initContainer("initupload", 1, "cloning the code of the job failed; see its clone log"),
	"init failed":      initContainer("setup", 1, ""),
	"no end time": func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	},
	"sidecar failed": func(p *corev1.Pod) {
		container("test", 0, "Completed")(p)
		container("sidecar", 1, "Error")(p)
	},
	"image missing": func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}
	},
	"secret missing": func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError"}}}}
	},
	"no node": func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}
	},
}

func podReason(r string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Reason = r } }

func disrupted(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason}}
	}
}

func container(name string, exit int32, reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Reason: reason, FinishedAt: *ago(time.Second)}}})
	}
}

func initContainer(name string, exit int32, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: name, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Reason: "Error", Message: message, FinishedAt: *ago(time.Second)}}}}
	}
}

var clocks = map[string]struct {
	created time.Duration
	started time.Duration
}{
	"new":               {time.Second, -1},
	"unscheduled":       {time.Minute, -1},
	"unscheduled late":  {5 * time.Minute, -1},
	"running late":      {49 * time.Hour, 48 * time.Hour},
	"started":           {time.Hour, time.Minute},
	"started, too long": {time.Hour, 10 * time.Minute},
}

func (c cell) pod() *corev1.Pod {
	if c.noPod {
		return nil
	}
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: c.phase}}
	if c.buildID != "" {
		p.Labels = map[string]string{prowv1.BuildIDLabel: c.buildID}
	}
	p.CreationTimestamp = *ago(clocks[c.clock].created)
	if d := clocks[c.clock].started; d >= 0 {
		p.Status.StartTime = ago(d)
	}
	grace := int64(30)
	switch c.deletion {
	case "now":
		grace = 0
		fallthrough
	case "graceful":
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = ago(time.Second), &grace
	}
	causes[c.cause](p)
	return p
}

// expected is the table: the rules of the state machine, the first that fits a
// cell decides. It knows cells only, not how the code recognizes them.
func (c cell) expected() string {
	in := func(list ...string) bool { return slices.Contains(list, c.cause) }
	lost := func(reason prowv1.Reason, disruption bool) string {
		switch {
		case disruption && c.strict, c.spent:
			return "error " + string(reason)
		}
		return "count " + string(reason)
	}
	deleted := c.deletion != ""
	disruptable := !c.noPod && (c.phase == corev1.PodFailed || deleted && c.phase != corev1.PodSucceeded)
	switch {
	case c.complete:
		return "nothing"
	case c.state == prowv1.TriggeredState:
		return "start"
	case c.state == prowv1.AbortedState:
		return "complete Aborted, delete"
	case c.state != prowv1.PendingState:
		return "nothing"
	case c.noPod && c.counted:
		return "start"
	case c.noPod:
		return lost(prowv1.ReasonPodVanished, false)
	case c.buildID == "2":
		return "start"
	case c.counted && deleted:
		return "wait"
	case c.counted:
		return "delete"
	case in("Evicted"):
		return lost(prowv1.ReasonEvicted, true)
	case in("NodeLost") && deleted:
		return lost(prowv1.ReasonNodeLost, false)
	case in("preempted") && disruptable:
		return lost(prowv1.ReasonPreempted, true)
	case in("drained", "stopped by node") && disruptable:
		return lost(prowv1.ReasonEvicted, true)
	case in("collected") && disruptable:
		return lost(prowv1.ReasonNodeLost, true)
	case in("Terminated") && c.phase == corev1.PodFailed:
		return lost(prowv1.ReasonNodeShutdown, true)
	case in("Preempting") && c.phase == corev1.PodFailed:
		return lost(prowv1.ReasonPreempted, true)
	case in("OutOfcpu") && c.phase == corev1.PodFailed:
		return lost(prowv1.ReasonNodeRefused, true)
	case in("out of memory") && (c.phase == corev1.PodRunning || c.phase == corev1.PodFailed):
		return "error OOMKilled"
	}
	waits := "wait"
	ending := map[string]prowv1.Reason{"image missing": prowv1.ReasonImagePullFailed, "secret missing": prowv1.ReasonContainerConfigFailed, "no node": prowv1.ReasonUnschedulable}[c.cause]
	if ending != "" {
		waits = "wait " + string(ending)
	}
	orTimeout := func(r prowv1.Reason) string {
		if ending != "" {
			r = ending
		}
		return "error " + string(r) + ", delete"
	}
	switch c.phase {
	case corev1.PodUnknown:
		return lost(prowv1.ReasonPodUnknown, false)
	case corev1.PodSucceeded:
		// Init containers and containers must all have ended well.
		if in("out of memory", "test failed", "clone failed", "clone recorded", "init failed", "no end time", "sidecar failed", "image missing", "secret missing") {
			return "error ContainersUnfinished"
		}
		return "success Succeeded"
	case corev1.PodFailed:
		switch c.cause {
		case "NodeLost":
			return "error NodeLost"
		case "DeadlineExceeded":
			return "failure DeadlineExceeded"
		case "clone failed", "clone recorded":
			return "failure CloneFailed"
		case "init failed":
			return "failure InitContainerFailed"
		case "sidecar failed":
			return "failure SidecarFailed"
		}
		return "failure TestFailed"
	case corev1.PodPending:
		switch {
		case deleted:
		case c.clock == "unscheduled late":
			return orTimeout(prowv1.ReasonSchedulingTimeout)
		case c.clock == "started, too long", c.clock == "running late":
			return orTimeout(prowv1.ReasonPendingTimeout)
		case c.clock == "new":
			return "wait" // so short a wait is not told
		default:
			return waits
		}
	case corev1.PodRunning:
		switch {
		case deleted:
		case c.clock == "running late":
			return "aborted RunningTimeout, delete"
		default:
			return waits
		}
	}
	switch c.deletion {
	case "graceful":
		return "error PodDeleted"
	case "now":
		return "wait"
	}
	return "nothing"
}

func outcome(d decision) string {
	var out []string
	switch {
	case d.complete && d.state == "":
		out = append(out, "complete "+string(d.reason))
	case d.complete:
		out = append(out, string(d.state)+" "+string(d.reason))
	case d.pod == countPod:
		out = append(out, "count "+string(d.reason))
	case d.pod == startPod:
		out = append(out, "start")
	case d.pod == leavePod && d.after > 0:
		out = append(out, strings.TrimSpace("wait "+string(d.reason)))
	case d.pod == leavePod:
		out = append(out, "nothing")
	}
	if d.pod == deletePod {
		out = append(out, "delete")
	}
	return strings.Join(out, ", ")
}

func allCells(visit func(cell)) {
	flags := []bool{false, true}
	for _, state := range prowv1.AllStates() {
		for _, complete := range flags {
			for _, strict := range flags {
				for _, counted := range flags {
					for _, spent := range flags {
						base := cell{state: state, complete: complete, strict: strict, counted: counted, spent: spent}
						without := base
						without.noPod = true
						visit(without)
						for _, phase := range []corev1.PodPhase{"", corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown, "Surprise"} {
							for cause := range causes {
								for _, deletion := range []string{"", "graceful", "now"} {
									for clock := range clocks {
										for _, id := range []string{"", "1", "2"} {
											c := base
											c.phase, c.cause, c.deletion, c.clock, c.buildID = phase, cause, deletion, clock, id
											visit(c)
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

func TestEveryCellOfTheStateMachineHasItsOutcome(t *testing.T) {
	cells, wrong := 0, 0
	seen := map[string]bool{}
	allCells(func(c cell) {
		cells++
		d := decide(c.job(), c.pod(), rules{testLimits, testRevivals}, noon)
		got, want := outcome(d), c.expected()
		seen[got] = true
		if got != want {
			if wrong++; wrong <= 20 {
				t.Errorf("%s\n got %s\nwant %s", c, got, want)
			}
		}
		switch {
		case d.complete && d.sentence == "" && c.state != prowv1.AbortedState:
			t.Fatalf("%s ends without a sentence", c)
		case d.complete && d.after != 0 || d.after < 0:
			t.Fatalf("%s is looked at again after %s", c, d.after)
		case d.reason != "" && !slices.Contains(prowv1.AllReasons(), d.reason):
			t.Fatalf("%s has the reason %q, which is on no list", c, d.reason)
		}
	})
	t.Logf("%d cells, %d wrong, %d different outcomes", cells, wrong, len(seen))
}

func TestSentencesTellTheCause(t *testing.T) {
	pending := func(f func(*prowv1.ProwJob)) *prowv1.ProwJob {
		j := cell{state: prowv1.PendingState}.job()
		if f != nil {
			f(j)
		}
		return j
	}
	in := func(phase corev1.PodPhase, clock string, f ...func(*corev1.Pod)) *corev1.Pod {
		p := cell{phase: phase, clock: clock, buildID: "1"}.pod()
		for _, f := range f {
			f(p)
		}
		return p
	}
	says := func(message string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Message = message } }
	for name, tc := range map[string]struct {
		job  *prowv1.ProwJob
		pod  *corev1.Pod
		want string
	}{
		"a test that failed":            {pending(nil), in(corev1.PodFailed, "started", causes["test failed"]), "Job failed."},
		"a container out of memory":     {pending(nil), in(corev1.PodFailed, "started", causes["out of memory"]), "Container test was killed because it ran out of memory."},
		"an evicted pod":                {pending(nil), in(corev1.PodFailed, "started", podReason("Evicted"), says("The node was low on memory.")), "The pod was evicted (The node was low on memory); it is made again (1 of at most 3 times)."},
		"a pod evicted too often":       {pending(func(j *prowv1.ProwJob) { j.Status.PodRevivalCount = 3 }), in(corev1.PodFailed, "started", podReason("Evicted")), "The pod was evicted, after it had been made again 3 times."},
		"no node":                       {pending(nil), in(corev1.PodPending, "unscheduled late", causes["no node"]), "Scheduling timeout: no node took the pod within 5m0s (Unschedulable: no reason was given)."},
		"an image that is missing":      {pending(nil), in(corev1.PodPending, "started", causes["image missing"]), "container test: ImagePullBackOff: no reason was given"},
		"an init container that failed": {pending(nil), in(corev1.PodFailed, "started", causes["init failed"]), "Job failed: init container setup ended with exit code 1."},
		"a clone that failed":           {pending(nil), in(corev1.PodFailed, "started", causes["clone failed"]), "The code of the job could not be cloned (init container clonerefs ended with exit code 1)."},
		"a node that stopped":           {pending(nil), in(corev1.PodFailed, "started", podReason("NodeLost"), says("it was switched off")), "The node stopped while the job ran: it was switched off"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decide(tc.job, tc.pod, rules{testLimits, testRevivals}, noon).sentence; got != tc.want {
				t.Errorf("says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDecisionsNeedNoMoreThanWhatCachesKeep(t *testing.T) {
	keep := SlimPod(false)
	n := 0
	allCells(func(c cell) {
		if n++; c.noPod || n%7 != 0 {
			return
		}
		job, _ := SlimJob(c.job())
		pod, _ := keep(c.pod())
		r := rules{testLimits, testRevivals}
		if got, want := decide(job.(*prowv1.ProwJob), pod.(*corev1.Pod), r, noon), decide(c.job(), c.pod(), r, noon); got != want {
			t.Fatalf("%s\n got %+v\nwant %+v", c, got, want)
		}
	})
}
