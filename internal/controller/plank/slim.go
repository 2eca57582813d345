package plank

import (
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	prowv1 "prow/api/prowjobs/v1"
)

// maxPodMessage bounds what is kept of a message in a pod's status, in bytes;
// its end tells most.
const maxPodMessage = 512

// slimMark is the generation of slim jobs, one that no API server gives: the first
// list of all jobs passes the transform twice, and a second copy of each would
// double the memory it takes.
const slimMark = -1

// SlimJob is a transform of the cache of ProwJobs: it keeps what decisions and
// metrics read. A job without work for this process keeps little more than its
// labels in metrics, so that finished jobs, which are most of them, cost little.
// What is written is never made from such an object alone: pods are made from a
// job that is read from the API server, and patches hold only differences.
func SlimJob(o any) (any, error) {
	job, ok := o.(*prowv1.ProwJob)
	if !ok || job.Generation == slimMark {
		return o, nil
	}
	slim := &prowv1.ProwJob{
		ObjectMeta: metav1.ObjectMeta{
			Generation: slimMark,
			Name:       job.Name, Namespace: shared(job.Namespace), UID: job.UID, ResourceVersion: job.ResourceVersion,
			CreationTimestamp: job.CreationTimestamp, DeletionTimestamp: job.DeletionTimestamp,
		},
		Spec: prowv1.ProwJobSpec{
			Type: prowv1.ProwJobType(shared(string(job.Spec.Type))), Agent: prowv1.ProwJobAgent(shared(string(job.Spec.Agent))),
			Job: shared(job.Spec.Job), Cluster: shared(job.Spec.Cluster),
		},
		Status: prowv1.ProwJobStatus{State: prowv1.ProwJobState(shared(string(job.Status.State))), CompletionTime: job.Status.CompletionTime},
	}
	slim.Labels = some(job.Labels, prowv1.RetestLabel)
	if job.Complete() {
		if refs := job.Spec.MainRefs(); refs != nil {
			slim.Spec.Refs = &prowv1.Refs{Org: shared(refs.Org), Repo: shared(refs.Repo), BaseRef: shared(refs.BaseRef)}
		}
		return slim, nil
	}
	slim.Labels = some(job.Labels, prowv1.RetestLabel, prowv1.EventGUIDLabel, prowv1.BuildIDLabel, prowv1.ProwJobIDLabel)
	slim.Annotations = some(job.Annotations, revivedAnnotation)
	slim.Spec.Refs = slimRefs(job.Spec.Refs)
	for i := range job.Spec.ExtraRefs {
		slim.Spec.ExtraRefs = append(slim.Spec.ExtraRefs, *slimRefs(&job.Spec.ExtraRefs[i]))
	}
	slim.Spec.MaxConcurrency, slim.Spec.JobQueueName, slim.Spec.ErrorOnEviction = job.Spec.MaxConcurrency, shared(job.Spec.JobQueueName), job.Spec.ErrorOnEviction
	if d := job.Spec.DecorationConfig; d != nil {
		slim.Spec.DecorationConfig = &prowv1.DecorationConfig{
			PodUnscheduledTimeout: d.PodUnscheduledTimeout, PodPendingTimeout: d.PodPendingTimeout, PodRunningTimeout: d.PodRunningTimeout,
		}
	}
	slim.Status = job.Status
	return slim, nil
}

// slimRefs keeps what tells which branch and pull requests refs are about.
func slimRefs(refs *prowv1.Refs) *prowv1.Refs {
	if refs == nil {
		return nil
	}
	slim := &prowv1.Refs{Org: shared(refs.Org), Repo: shared(refs.Repo), BaseRef: shared(refs.BaseRef)}
	for _, pull := range refs.Pulls {
		slim.Pulls = append(slim.Pulls, prowv1.Pull{Number: pull.Number})
	}
	return slim
}

// SlimPod is the same for the cache of pods. With keepLabels all labels stay,
// for a selector.
func SlimPod(keepLabels bool) func(o any) (any, error) {
	return func(o any) (any, error) {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			return o, nil
		}
		slim := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: shared(pod.Namespace), UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp, DeletionGracePeriodSeconds: pod.DeletionGracePeriodSeconds,
			Finalizers: pod.Finalizers, Labels: pod.Labels,
		}}
		if !keepLabels {
			slim.Labels = some(pod.Labels, prowv1.CreatedByProwLabel, prowv1.ProwJobIDLabel, prowv1.BuildIDLabel)
		}
		if slim.Labels[prowv1.BuildIDLabel] == "" {
			if id := podBuildID(pod); id != "" {
				metav1.SetMetaDataLabel(&slim.ObjectMeta, prowv1.BuildIDLabel, id)
			}
		}
		slim.Status = corev1.PodStatus{
			Phase: corev1.PodPhase(shared(string(pod.Status.Phase))), Reason: pod.Status.Reason, Message: tail(pod.Status.Message), StartTime: pod.Status.StartTime,
			InitContainerStatuses: slimContainers(pod.Status.InitContainerStatuses), ContainerStatuses: slimContainers(pod.Status.ContainerStatuses),
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse || c.Type == corev1.DisruptionTarget {
				slim.Status.Conditions = append(slim.Status.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: tail(c.Message)})
			}
		}
		return slim, nil
	}
}

func slimContainers(in []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(in) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(in))
	for i, c := range in {
		out[i] = corev1.ContainerStatus{Name: shared(c.Name)}
		if w := c.State.Waiting; w != nil {
			out[i].State.Waiting = &corev1.ContainerStateWaiting{Reason: w.Reason, Message: tail(w.Message)}
		}
		if t := c.State.Terminated; t != nil {
			out[i].State.Terminated = &corev1.ContainerStateTerminated{ExitCode: t.ExitCode, Reason: shared(t.Reason), Message: tail(t.Message), FinishedAt: t.FinishedAt}
		}
	}
	return out
}

// some picks these keys of a map; nil where it has none of them.
func some(m map[string]string, keys ...string) map[string]string {
	var out map[string]string
	for _, key := range keys {
		if value, ok := m[key]; ok {
			if out == nil {
				out = make(map[string]string, len(keys))
			}
			out[key] = value
		}
	}
	return out
}

// shared is an equal string whose bytes are held once in this process.
func shared(s string) string {
	if s == "" {
		return ""
	}
	return unique.Make(s).Value()
}

// tail is the end of a long message, in memory of its own.
func tail(s string) string {
	if len(s) <= maxPodMessage {
		return s
	}
	return strings.ToValidUTF8(strings.Clone(s[len(s)-maxPodMessage:]), "")
}
