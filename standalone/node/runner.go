package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// retryDelay is the pause between tries of what a user can still put right,
// such as a missing secret.
const retryDelay = 2 * time.Second

// runner is the life of one pod.
type runner struct {
	p   *provider
	pod *corev1.Pod // as it was handed over; its status is not kept up to date
	log *slog.Logger

	// end is cancelled when the pod has to end: deletion, deadline, or the
	// stop of the program.
	end      context.Context
	endPod   context.CancelCauseFunc
	done     chan struct{}
	announce chan struct{}

	mu           sync.Mutex
	init         []*container
	containers   []*container
	status       corev1.PodStatus
	volumesReady bool
	killAt       time.Time // valid once end is cancelled
	killMoved    chan struct{}
	deadline     *time.Timer
	over         bool // no container is left
	silent       bool // the program stops: what happens now is told by the next start
}

// Causes of an early end.
var (
	errDeleted = errors.New("the pod is deleted")
	//lint:ignore ST1005 users of Kubernetes know this sentence
	errDeadline = errors.New("Pod was active on the node longer than the specified deadline")
	errStopped  = errors.New("the program stops")
)

func newRunner(p *provider, pod *corev1.Pod) *runner {
	r := &runner{
		p: p, pod: pod,
		log:       p.opts.Logger.With("namespace", pod.Namespace, "pod", pod.Name),
		done:      make(chan struct{}),
		announce:  make(chan struct{}, 1),
		killMoved: make(chan struct{}),
	}
	r.end, r.endPod = context.WithCancelCause(context.Background())
	for i := range pod.Spec.InitContainers {
		c := newContainer(r, &pod.Spec.InitContainers[i], reasonPodInitializing)
		c.initial = !isSidecar(*c.spec)
		r.init = append(r.init, c)
	}
	waiting := reasonContainerCreating
	if len(pod.Spec.InitContainers) > 0 {
		waiting = reasonPodInitializing
	}
	for i := range pod.Spec.Containers {
		r.containers = append(r.containers, newContainer(r, &pod.Spec.Containers[i], waiting))
	}
	now := metav1.Now()
	r.status = corev1.PodStatus{
		StartTime: &now,
		HostIP:    address, HostIPs: []corev1.HostIP{{IP: address}},
		PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
		Conditions: pod.Status.Conditions,
	}
	return r
}

// run runs the pod to its end. life ends with the program.
func (r *runner) run(life context.Context) {
	defer close(r.done)
	told := make(chan struct{})
	go func() {
		defer close(told)
		r.tellChanges()
	}()
	stopWatch := context.AfterFunc(life, func() {
		r.mu.Lock()
		r.silent = true
		r.mu.Unlock()
		r.endAfter(errStopped, r.p.opts.StopGrace)
	})
	r.setDeadline(r.pod)
	r.changed()

	if err := r.live(); err != nil {
		r.log.Info("Pod ended early", "reason", context.Cause(r.end), "error", err)
	}
	stopWatch()
	r.finish()
	close(r.announce)
	<-told
}

// live goes through the stages of a pod. It returns early when the pod has to
// end or an init container has failed; no container is left then.
func (r *runner) live() error {
	volumes, err := r.prepareVolumes()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.volumesReady = true
	r.mu.Unlock()
	r.changed()

	var sidecars []*container
	defer func() { r.stopSidecars(sidecars) }()
	for _, c := range r.init {
		c.volumes = volumes
		if isSidecar(*c.spec) {
			sidecars = append(sidecars, c)
			if err := c.startSidecar(); err != nil {
				return err
			}
			continue
		}
		if err := c.runUntilSuccess(); err != nil {
			return err
		}
	}
	var running sync.WaitGroup
	for _, c := range r.containers {
		c.volumes = volumes
		running.Go(c.runToTheEnd)
	}
	running.Wait()
	return context.Cause(r.end)
}

// stopSidecars ends them last first, as they were started in order.
func (r *runner) stopSidecars(sidecars []*container) {
	for i := len(sidecars) - 1; i >= 0; i-- {
		sidecars[i].stopSidecar(r.pod)
	}
}

// prepareVolumes makes the pod's volumes, trying again while something is
// missing that may still come.
func (r *runner) prepareVolumes() (*volumes, error) {
	for {
		v, err := makeVolumes(r.end, r.p, r.pod)
		if err == nil {
			return v, r.p.markStarted(r.pod)
		}
		r.p.recorder.Eventf(r.pod, corev1.EventTypeWarning, "FailedMount", "%v", err)
		r.log.Info("Volumes are not ready", "error", err)
		if err := r.pause(retryDelay); err != nil {
			return nil, err
		}
	}
}

// pause waits, unless the pod has to end.
func (r *runner) pause(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.end.Done():
		return context.Cause(r.end)
	}
}

// terminate makes the pod end within grace. A second call can only shorten it.
func (r *runner) terminate(grace time.Duration) { r.endAfter(errDeleted, grace) }

func (r *runner) endAfter(cause error, grace time.Duration) {
	at := time.Now().Add(grace)
	r.mu.Lock()
	if r.killAt.IsZero() || at.Before(r.killAt) {
		r.killAt = at
		close(r.killMoved)
		r.killMoved = make(chan struct{})
	}
	r.mu.Unlock()
	r.endPod(cause)
}

// untilKill waits for the moment to kill, or until stopped is closed.
func (r *runner) untilKill(stopped <-chan struct{}) {
	for {
		r.mu.Lock()
		at, moved := r.killAt, r.killMoved
		r.mu.Unlock()
		timer := time.NewTimer(time.Until(at))
		select {
		case <-timer.C:
			return
		case <-moved:
			timer.Stop()
		case <-stopped:
			timer.Stop()
			return
		}
	}
}

// setDeadline applies the pod's activeDeadlineSeconds.
func (r *runner) setDeadline(pod *corev1.Pod) {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	left := time.Until(r.status.StartTime.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second))
	if r.deadline != nil {
		r.deadline.Reset(left)
		return
	}
	r.deadline = time.AfterFunc(left, func() { r.endAfter(errDeadline, podGrace(pod)) })
}

func podGrace(pod *corev1.Pod) time.Duration {
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

func (r *runner) update(pod *corev1.Pod) { r.setDeadline(pod) }

// finish settles the status of a pod of which no container is left.
func (r *runner) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deadline != nil {
		r.deadline.Stop()
	}
	r.over = true
	if r.silent {
		return
	}
	cause := context.Cause(r.end)
	r.status.InitContainerStatuses, r.status.ContainerStatuses = r.statuses()
	phase := podPhase(&r.pod.Spec, r.status.InitContainerStatuses, r.status.ContainerStatuses)
	if cause != nil {
		now := metav1.Now()
		const message = "The container could not be located when the pod was terminated"
		r.status.InitContainerStatuses = settle(r.pod.Spec.InitContainers, r.status.InitContainerStatuses, now, message)
		r.status.ContainerStatuses = settle(r.pod.Spec.Containers, r.status.ContainerStatuses, now, message)
		if phase != corev1.PodSucceeded {
			phase = corev1.PodFailed
		}
	}
	r.status.Phase = phase
	if errors.Is(cause, errDeadline) {
		r.status.Phase, r.status.Reason, r.status.Message = corev1.PodFailed, reasonDeadline, cause.Error()
	}
	r.log.Info("Pod ended", "phase", r.status.Phase, "reason", r.status.Reason)
	r.wake()
}

// declareLost is the whole life of a pod that ran when an earlier process ended.
func (r *runner) declareLost() {
	defer close(r.done)
	r.mu.Lock()
	r.status = lostStatus(r.pod, metav1.Now())
	r.over = true
	r.mu.Unlock()
	r.log.Info("Pod was lost when the program ended")
	r.p.tell(r.snapshot())
}

// ended tells that no container is left.
func (r *runner) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// changed tells the API of a new state, soon.
func (r *runner) changed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wake()
}

func (r *runner) wake() {
	if r.silent {
		return
	}
	select {
	case r.announce <- struct{}{}:
	default: // one is due already and will see this change too
	}
}

func (r *runner) tellChanges() {
	for range r.announce {
		r.p.tell(r.snapshot())
	}
}

func (r *runner) statuses() (init, containers []corev1.ContainerStatus) {
	for _, c := range r.init {
		init = append(init, c.snapshot())
	}
	for _, c := range r.containers {
		containers = append(containers, c.snapshot())
	}
	return init, containers
}

// snapshot is the pod with its status of this moment.
func (r *runner) snapshot() *corev1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	pod := r.pod.DeepCopy()
	if !r.over {
		r.status.InitContainerStatuses, r.status.ContainerStatuses = r.statuses()
		r.status.Phase = podPhase(&r.pod.Spec, r.status.InitContainerStatuses, r.status.ContainerStatuses)
		if terminal(r.status.Phase) {
			// The last container has ended, but sidecars have not: the
			// phase is final only in finish.
			r.status.Phase = corev1.PodRunning
		}
	}
	r.status.DeepCopyInto(&pod.Status)
	r.status.Conditions = conditions(pod, r.status.Conditions, r.volumesReady, metav1.Now())
	pod.Status.Conditions = append([]corev1.PodCondition(nil), r.status.Conditions...)
	return pod
}

// containerDir is the directory of a container's own files.
func (r *runner) containerDir(name string) string {
	return filepath.Join(r.p.podDir(r.pod.UID), "containers", name)
}
