package bench

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// kubelet lets pods run and succeed, and tells when a pod is seen.
type kubelet struct {
	mu   sync.Mutex
	seen map[string]chan time.Time
}

func (k *kubelet) expect(name string) <-chan time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[name] = make(chan time.Time, 1)
	return k.seen[name]
}

func startKubelet(ctx context.Context, b *testing.B, config *rest.Config, ns string) *kubelet {
	b.Helper()
	set, err := kubernetes.NewForConfig(config)
	must(b, err)
	k := &kubelet{seen: map[string]chan time.Time{}}
	watch, err := set.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{})
	must(b, err)
	work := make(chan *corev1.Pod, 100_000)
	go func() {
		defer close(work)
		for event := range watch.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			k.mu.Lock()
			if c := k.seen[pod.Name]; c != nil {
				c <- time.Now()
				delete(k.seen, pod.Name)
			}
			k.mu.Unlock()
			if event.Type != "DELETED" && (pod.Status.Phase == corev1.PodPending || pod.Status.Phase == corev1.PodRunning) {
				work <- pod
			}
		}
	}()
	for range 8 {
		go func() {
			for pod := range work {
				now := metav1.Now()
				if pod.Status.Phase == corev1.PodPending {
					pod.Status.Phase, pod.Status.StartTime = corev1.PodRunning, &now
				} else {
					pod.Status.Phase = corev1.PodSucceeded
				}
				_, _ = set.CoreV1().Pods(ns).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
			}
		}()
	}
	return k
}
