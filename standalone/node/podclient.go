package node

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1informers "k8s.io/client-go/informers/core/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"
)

type podInformer = corev1informers.PodInformer

// podsGetter is the client given to virtual-kubelet's pod controller. It
// corrects two habits of it: statuses are written over whatever metadata the
// pod has by now, and pods are removed from the API although containers run.
type podsGetter struct {
	typedcorev1.PodsGetter
	provider *provider
}

func (g podsGetter) Pods(namespace string) typedcorev1.PodInterface {
	return podClient{g.PodsGetter.Pods(namespace), g.provider}
}

type podClient struct {
	typedcorev1.PodInterface
	provider *provider
}

// UpdateStatus writes the status alone: labels, annotations and finalizers that
// others have set since stay, and so do conditions this node does not own. A
// pod that is being deleted and has no container any more is then removed.
func (c podClient) UpdateStatus(ctx context.Context, pod *corev1.Pod, opts metav1.UpdateOptions) (*corev1.Pod, error) {
	var updated *corev1.Pod
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		current, err := c.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if current.UID != pod.UID || terminal(current.Status.Phase) {
			updated = current // of another life, or settled
			return nil
		}
		status := pod.Status.DeepCopy()
		status.QOSClass = current.Status.QOSClass
		for _, old := range current.Status.Conditions {
			if !slices.ContainsFunc(status.Conditions, func(n corev1.PodCondition) bool { return n.Type == old.Type }) {
				status.Conditions = append(status.Conditions, old)
			}
		}
		current.Status = *status
		updated, err = c.PodInterface.UpdateStatus(ctx, current, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	if updated.UID == pod.UID && updated.DeletionTimestamp != nil && terminal(updated.Status.Phase) {
		if err := c.Delete(ctx, pod.Name, *deleteNow(pod)); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return nil, err
		}
	}
	return updated, nil
}

// Delete removes a pod from the API once its containers have ended. Until then
// it makes them end; their last status then comes back here.
func (c podClient) Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error {
	if opts.Preconditions != nil && opts.Preconditions.UID != nil && c.provider.endFirst(*opts.Preconditions.UID) {
		return nil
	}
	return c.PodInterface.Delete(ctx, name, opts)
}

func deleteNow(pod *corev1.Pod) *metav1.DeleteOptions {
	opts := metav1.NewDeleteOptions(0)
	opts.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
	return opts
}

func terminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// quietRecorder drops the pod controller's own events ("Create pod in provider
// successfully"), which say nothing to the author of a pod.
type quietRecorder struct{ record.EventRecorder }

func (quietRecorder) Event(runtime.Object, string, string, string)          {}
func (quietRecorder) Eventf(runtime.Object, string, string, string, ...any) {}
func (quietRecorder) AnnotatedEventf(runtime.Object, map[string]string, string, string, string, ...any) {
}
