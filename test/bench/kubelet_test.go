package bench

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
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
	work := make(chan *corev1.Pod, 100_000)
	informer := cache.NewSharedInformer(cache.NewListWatchFromClient(set.CoreV1().RESTClient(), "pods", ns, fields.Everything()), &corev1.Pod{}, 0)
	came := func(o any) {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			return
		}
		k.mu.Lock()
		if c := k.seen[pod.Name]; c != nil {
			c <- time.Now()
			delete(k.seen, pod.Name)
		}
		k.mu.Unlock()
		if pod.Status.Phase == corev1.PodPending || pod.Status.Phase == corev1.PodRunning {
			select {
			case work <- pod:
			case <-ctx.Done():
			}
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: came, UpdateFunc: func(_, pod any) { came(pod) }})
	must(b, err)
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		b.Fatal("the pods cannot be listed")
	}
	for range 16 {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case pod := <-work:
					k.advance(ctx, set, pod.DeepCopy())
				}
			}
		}()
	}
	return k
}

// advance lets a pod run, or succeed if it runs.
func (k *kubelet) advance(ctx context.Context, set kubernetes.Interface, pod *corev1.Pod) {
	now := metav1.Now()
	if pod.Status.Phase == corev1.PodPending {
		pod.Status.Phase, pod.Status.StartTime = corev1.PodRunning, &now
	} else {
		pod.Status.Phase = corev1.PodSucceeded
	}
	// If it has changed meanwhile, that is another event.
	_, _ = set.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
}
