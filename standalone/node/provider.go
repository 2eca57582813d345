package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
)

// provider keeps the runners of the node's pods, by UID: a pod made anew under
// the same name is another pod, even while the old one still ends.
type provider struct {
	client   kubernetes.Interface
	lister   corev1listers.PodLister
	recorder record.EventRecorder
	opts     Options

	mu      sync.Mutex
	runners map[types.UID]*runner
	notify  func(*corev1.Pod)
	stopped bool
	running sync.WaitGroup
	life    context.Context
	kill    context.CancelFunc
}

func newProvider(client kubernetes.Interface, lister corev1listers.PodLister, recorder record.EventRecorder, opts Options) *provider {
	p := &provider{client: client, lister: lister, recorder: recorder, opts: opts, runners: map[types.UID]*runner{}, notify: func(*corev1.Pod) {}}
	p.life, p.kill = context.WithCancel(context.Background())
	return p
}

func (p *provider) podDir(uid types.UID) string {
	return filepath.Join(p.opts.Dir, "pods", string(uid))
}

// admit says why a pod can never run here.
func (p *provider) admit(pod *corev1.Pod) error {
	if err := checkVolumes(pod, p.opts.HostPaths); err != nil {
		return err
	}
	return p.opts.Executor.Admit(pod)
}

// restore removes the files of pods that were deleted while no node ran.
func (p *provider) restore() error {
	entries, err := os.ReadDir(filepath.Join(p.opts.Dir, "pods"))
	if err != nil {
		return fmt.Errorf("list pods on disk: %w", err)
	}
	known := map[string]bool{}
	pods, err := p.lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list pods of the node: %w", err)
	}
	for _, pod := range pods {
		known[string(pod.UID)] = true
	}
	for _, e := range entries {
		if !known[e.Name()] {
			if err := removeAll(filepath.Join(p.opts.Dir, "pods", e.Name())); err != nil {
				return fmt.Errorf("remove files of a deleted pod: %w", err)
			}
		}
	}
	return nil
}

// startedFile marks a pod of which a container may have run.
const startedFile = "started"

func (p *provider) markStarted(pod *corev1.Pod) error {
	path := filepath.Join(p.podDir(pod.UID), startedFile)
	raw, err := json.Marshal(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
	if err != nil {
		return fmt.Errorf("mark pod as started: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("mark pod as started: %w", err)
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("mark pod as started: %w", err)
	}
	return nil
}

// wasStarted tells whether an earlier process may have run a container of the
// pod, by its own mark or by what it told the API.
func (p *provider) wasStarted(pod *corev1.Pod) (bool, error) {
	_, err := os.Stat(filepath.Join(p.podDir(pod.UID), startedFile))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for the mark of a started pod: %w", err)
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, s := range list {
			if s.State.Running != nil || s.State.Terminated != nil || s.RestartCount > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// CreatePod implements node.PodLifecycleHandler. It is also called for pods that
// ran when an earlier process ended.
func (p *provider) CreatePod(_ context.Context, pod *corev1.Pod) error {
	lost, err := p.wasStarted(pod)
	if err != nil {
		return err
	}
	p.add(pod, lost)
	return nil
}

func (p *provider) add(pod *corev1.Pod, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runners[pod.UID] != nil || p.stopped {
		return
	}
	r := newRunner(p, pod.DeepCopy())
	p.runners[pod.UID] = r
	p.running.Go(func() {
		if lost {
			r.declareLost()
			return
		}
		r.run(p.life)
	})
}

// UpdatePod implements node.PodLifecycleHandler. What may change in a running
// pod and matters here is its deadline.
func (p *provider) UpdatePod(_ context.Context, pod *corev1.Pod) error {
	p.mu.Lock()
	r := p.runners[pod.UID]
	p.mu.Unlock()
	if r != nil {
		r.update(pod)
	}
	return nil
}

// DeletePod implements node.PodLifecycleHandler: it makes the pod's containers
// end within its grace period and does not wait for that.
func (p *provider) DeletePod(_ context.Context, pod *corev1.Pod) error {
	p.mu.Lock()
	r := p.runners[pod.UID]
	p.mu.Unlock()
	switch {
	case r != nil:
		r.terminate(deletionGrace(pod))
	case !terminal(pod.Status.Phase):
		// It was being deleted when an earlier process ended: there is nothing
		// to wait a grace period for.
		p.add(pod, true)
	default:
		return errdefs.NotFoundf("pod %s/%s does not run here", pod.Namespace, pod.Name)
	}
	return nil
}

// deletionGrace is what the deletion says, or the pod if it does not.
func deletionGrace(pod *corev1.Pod) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.DeletionGracePeriodSeconds != nil {
		seconds = *pod.DeletionGracePeriodSeconds
	}
	return time.Duration(seconds) * time.Second
}

// endFirst tells whether containers of the pod are left, and makes them end.
func (p *provider) endFirst(uid types.UID) bool {
	p.mu.Lock()
	r := p.runners[uid]
	p.mu.Unlock()
	if r == nil || r.ended() {
		return false
	}
	grace := deletionGrace(r.pod)
	if current, err := p.lister.Pods(r.pod.Namespace).Get(r.pod.Name); err == nil && current.UID == uid {
		grace = deletionGrace(current)
	}
	r.terminate(grace)
	return true
}

// gone is told that a pod has left the API: whatever of it is left here goes.
func (p *provider) gone(obj any) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	p.mu.Lock()
	r := p.runners[pod.UID]
	stopped := p.stopped
	if !stopped {
		p.running.Add(1)
	}
	p.mu.Unlock()
	if stopped {
		return
	}
	go func() {
		defer p.running.Done()
		if r != nil {
			// Removed by force: nobody waits for it any more, but a last
			// moment for its own cleaning up costs nothing.
			r.terminate(time.Second)
			<-r.done
		}
		p.mu.Lock()
		delete(p.runners, pod.UID)
		p.mu.Unlock()
		if err := removeAll(p.podDir(pod.UID)); err != nil {
			p.opts.Logger.Warn("Files of a pod cannot be removed", "pod", pod.Name, "namespace", pod.Namespace, "error", err)
		}
	}()
}

// stop ends every container and waits.
func (p *provider) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.kill()
	p.running.Wait()
}

// current is the runner of the pod that has the name now.
func (p *provider) current(namespace, name string) (*runner, error) {
	pod, err := p.lister.Pods(namespace).Get(name)
	if err == nil {
		p.mu.Lock()
		r := p.runners[pod.UID]
		p.mu.Unlock()
		if r != nil {
			return r, nil
		}
	}
	return nil, errdefs.NotFoundf("pod %s/%s does not run here", namespace, name)
}

// GetPod implements node.PodLifecycleHandler.
func (p *provider) GetPod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	r, err := p.current(namespace, name)
	if err != nil {
		return nil, err
	}
	return r.snapshot(), nil
}

// GetPodStatus implements node.PodLifecycleHandler.
func (p *provider) GetPodStatus(_ context.Context, namespace, name string) (*corev1.PodStatus, error) {
	r, err := p.current(namespace, name)
	if err != nil {
		return nil, err
	}
	return &r.snapshot().Status, nil
}

// GetPods implements node.PodLifecycleHandler.
func (p *provider) GetPods(context.Context) ([]*corev1.Pod, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*corev1.Pod
	for _, r := range p.runners {
		out = append(out, r.snapshot())
	}
	return out, nil
}

// NotifyPods implements node.PodNotifier.
func (p *provider) NotifyPods(_ context.Context, notify func(*corev1.Pod)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notify = notify
}

func (p *provider) tell(pod *corev1.Pod) {
	p.mu.Lock()
	notify := p.notify
	p.mu.Unlock()
	notify(pod)
}
