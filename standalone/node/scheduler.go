package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// unboundPods are those a scheduler has to look at.
var unboundPods = fields.AndSelectors(
	fields.OneTermEqualSelector("spec.nodeName", ""),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)

// fit decides whether the pod can run on the machine: nil, or the reason why
// not. Requests for CPU and memory are not counted: on one machine a job that
// has to share is of more use than one that never starts.
func fit(pod *corev1.Pod, machine *corev1.Node, admit func(*corev1.Pod) error) error {
	matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(machine)
	if err != nil {
		return fmt.Errorf("node affinity cannot be read: %w", err)
	}
	if !matches {
		return fmt.Errorf("the only node (labels %s=%s, %s=%s, %s=%s) does not match the pod's node selector or affinity",
			corev1.LabelHostname, machine.Labels[corev1.LabelHostname], corev1.LabelOSStable, machine.Labels[corev1.LabelOSStable], corev1.LabelArchStable, machine.Labels[corev1.LabelArchStable])
	}
	return admit(pod)
}

// schedule binds pods that belong to no node yet, and tells the others why they
// have to wait, until ctx ends.
func schedule(ctx context.Context, client kubernetes.Interface, machine *corev1.Node, admit func(*corev1.Pod) error, log *slog.Logger) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = unboundPods.String()
	}))
	pods := factory.Core().V1().Pods()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](5*time.Millisecond, 10*time.Second))
	defer queue.ShutDown()
	enqueue := func(obj any) {
		if pod, ok := obj.(*corev1.Pod); ok {
			queue.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		}
	}
	if _, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, obj any) { enqueue(obj) },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	context.AfterFunc(ctx, queue.ShutDown)
	for {
		key, quit := queue.Get()
		if quit {
			return nil
		}
		pod, err := pods.Lister().Pods(key.Namespace).Get(key.Name)
		if err == nil {
			err = place(ctx, client, pod, machine, admit)
		}
		switch {
		case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, or bound by another
			queue.Forget(key)
		default:
			log.WarnContext(ctx, "Pod cannot be bound, trying again", "pod", key.String(), "error", err)
			queue.AddRateLimited(key)
		}
		queue.Done(key)
	}
}

func place(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, machine *corev1.Node, admit func(*corev1.Pod) error) error {
	if pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 {
		return nil
	}
	if reason := fit(pod, machine, admit); reason != nil {
		return markUnschedulable(ctx, client, pod, reason.Error())
	}
	return client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: machine.Name},
	}, metav1.CreateOptions{})
}

func markUnschedulable(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, message string) error {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Message == message {
			return nil
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now(),
			Reason: corev1.PodReasonUnschedulable, Message: message,
		}}},
	})
	if err != nil {
		return fmt.Errorf("describe why the pod cannot be bound: %w", err)
	}
	_, err = client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
