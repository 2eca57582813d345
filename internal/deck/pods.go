package deck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/kube"
	"prow/internal/pod"
)

// errNoLog tells that there is no log to be had, now or ever.
var errNoLog = errors.New("there is no log")

// pods reaches the pods of runs.
type pods struct {
	clusters  map[string]kubernetes.Interface
	namespace func() string
}

func newPods(clusters kube.Clusters, namespace func() string) (*pods, error) {
	out := &pods{clusters: map[string]kubernetes.Interface{}, namespace: namespace}
	for alias, config := range clusters.Build() {
		c, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("build cluster %q: %w", alias, err)
		}
		out.clusters[alias] = c
	}
	return out, nil
}

func (p *pods) cluster(alias string) (kubernetes.Interface, error) {
	c, ok := p.clusters[alias]
	if !ok {
		return nil, fmt.Errorf("build cluster %q is unknown", alias)
	}
	return c, nil
}

// stream reads the log of a container from its beginning, and follows it if asked.
func (p *pods) stream(ctx context.Context, id containerID, follow bool) (io.ReadCloser, error) {
	c, err := p.cluster(id.cluster)
	if err != nil {
		return nil, err
	}
	return c.CoreV1().Pods(p.namespace()).GetLogs(id.pod, &corev1.PodLogOptions{Container: id.container, Follow: follow}).Stream(ctx)
}

// ended tells that a container has ended, or that its pod is gone.
func (p *pods) ended(ctx context.Context, id containerID) bool {
	c, err := p.cluster(id.cluster)
	if err != nil {
		return true
	}
	found, err := c.CoreV1().Pods(p.namespace()).Get(ctx, id.pod, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	if found.Status.Phase == corev1.PodSucceeded || found.Status.Phase == corev1.PodFailed {
		return true
	}
	return slices.ContainsFunc(found.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == id.container && s.State.Terminated != nil
	})
}

// get reads the pod of a job.
func (p *pods) get(ctx context.Context, pj *v1.ProwJob) (*corev1.Pod, error) {
	c, err := p.cluster(pj.ClusterAlias())
	if err != nil {
		return nil, err
	}
	return c.CoreV1().Pods(p.namespace()).Get(ctx, pj.Status.PodName, metav1.GetOptions{})
}

// events reads what happened to a pod, oldest first and at most 20.
func (p *pods) events(ctx context.Context, alias string, of *corev1.Pod) ([]corev1.Event, error) {
	c, err := p.cluster(alias)
	if err != nil {
		return nil, err
	}
	list, err := c.CoreV1().Events(of.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(of.UID)).String(), Limit: 200,
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list.Items, func(a, b corev1.Event) int { return eventTime(&a).Compare(eventTime(&b).Time) })
	return list.Items[max(0, len(list.Items)-20):], nil
}

func eventTime(e *corev1.Event) metav1.Time {
	switch {
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp
	case !e.EventTime.IsZero():
		return metav1.NewTime(e.EventTime.Time)
	default:
		return e.CreationTimestamp
	}
}

// containerID names a container of a pod in a build cluster.
type containerID struct{ cluster, pod, container string }

func containerOf(pj *v1.ProwJob, container string) containerID {
	if container == "" {
		container = pod.TestContainerName
	}
	return containerID{pj.ClusterAlias(), pj.Status.PodName, container}
}
