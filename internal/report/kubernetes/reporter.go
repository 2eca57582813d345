// Package kubernetes stores what the build cluster knows about a run: its pod,
// the events about the pod and the node it was on, as podinfo.json.
//
// All that is gone soon after a run, so a finalizer keeps the pod until it was
// read. The contract: this reporter puts the finalizer on pods of running jobs and
// removes it after the upload; the controller that makes a pod again removes it
// before it deletes the old one; and sinker removes it where this reporter never did.
package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/api/artifacts"
	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
	"prow/internal/report"
	reportstorage "prow/internal/report/storage"
	"prow/internal/storage"
)

// Name is the key of the reporter in status.prev_report_states.
const Name = "gcsk8sreporter"

// Finalizer keeps a pod until it was reported.
const Finalizer = "prow.x-k8s.io/gcsk8sreporter"

const (
	// reportLimit bounds one report.
	reportLimit = 20 * time.Second
	// lookAgain is when a job is looked at again whose pod is not where it will be.
	lookAgain = 10 * time.Second
	// maxEvents bounds the events of one pod.
	maxEvents = 1000
)

// Reporter stores what build clusters know about runs.
type Reporter struct {
	// Cluster returns the client of a build cluster by its alias, or why it cannot be
	// worked with.
	Cluster func(alias string) (client.Client, error)
	Storage *storage.Opener
	Config  func() *config.Config
	// Fraction of the jobs that are reported, from 0 to 1.
	Fraction float64
	Log      *slog.Logger
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return Name }

// ShouldReport takes the chosen fraction of the jobs that have had a pod.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	return job.Spec.Agent == prowv1.KubernetesAgent && job.Status.PendingTime != nil && job.Status.BuildID != "" && sampled(job.Name, r.Fraction)
}

// sampled tells whether a job belongs to the fraction; it is the same answer
// each time, whoever asks.
func sampled(name string, fraction float64) bool {
	if fraction >= 1 {
		return true
	}
	hash := crc32.Checksum([]byte(name), crc32.MakeTable(crc32.Castagnoli))
	return float64(hash) <= fraction*math.MaxUint32
}

// Report marks the pod of a running job and stores that of a finished one.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	done := []*prowv1.ProwJob{job}
	where, ok, err := reportstorage.DestinationOf(r.Config(), job)
	if err != nil {
		return nil, 0, report.UserError(err)
	}
	if !ok {
		return done, 0, nil
	}
	cluster, err := r.Cluster(job.ClusterAlias())
	if err != nil {
		return nil, 0, err
	}
	pod := &corev1.Pod{}
	err = cluster.Get(ctx, types.NamespacedName{Namespace: r.Config().PodNamespace, Name: podName(job)}, pod)
	if apierrors.IsNotFound(err) {
		pod, err = nil, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get pod %s: %w", podName(job), err)
	}
	if pod != nil && pod.Labels[prowv1.BuildIDLabel] != "" && pod.Labels[prowv1.BuildIDLabel] != job.Status.BuildID {
		pod = nil // the pod of another run under the same name
	}
	switch {
	case !job.Complete() && job.Status.State == prowv1.AbortedState:
		// The controller is deleting the pod; until the job is complete there may be
		// more to read.
		return nil, lookAgain, nil
	case !job.Complete() && pod == nil:
		// It is made anew or the job ends: either way there is something to do later.
		return nil, lookAgain, nil
	case !job.Complete():
		if err := addFinalizer(ctx, cluster, pod); err != nil {
			return nil, 0, err
		}
		return done, 0, nil
	case pod == nil:
		return done, 0, nil
	}
	info := r.read(ctx, cluster, job, pod)
	bucket, err := r.Storage.Open(ctx, where.Bucket)
	if err != nil {
		return nil, 0, err
	}
	defer bucket.Close() //nolint:errcheck // the Put has told how it went
	if err := reportstorage.WriteJSON(ctx, bucket, path.Join(where.Dir, artifacts.PodInfoFile), info, false); err != nil {
		return nil, 0, err
	}
	if err := removeFinalizer(ctx, cluster, pod); err != nil {
		return nil, 0, err
	}
	return done, 0, nil
}

// podName is the name of the job's pod.
func podName(job *prowv1.ProwJob) string {
	return cmp.Or(job.Status.PodName, job.Name)
}

// PodInfo is the content of podinfo.json.
type PodInfo struct {
	Pod    *corev1.Pod    `json:"pod,omitempty"`
	Events []corev1.Event `json:"events,omitempty"`
	Node   *corev1.Node   `json:"node,omitempty"`
}

// read gathers what belongs to the pod. Events and node are given up where they
// cannot be read: an account often may not.
func (r *Reporter) read(ctx context.Context, cluster client.Reader, job *prowv1.ProwJob, pod *corev1.Pod) PodInfo {
	log := prowjob.Logger(r.Log, job)
	info := PodInfo{Pod: pod}
	var events corev1.EventList
	if err := cluster.List(ctx, &events, client.InNamespace(pod.Namespace), client.MatchingFields{"involvedObject.uid": string(pod.UID)}, client.Limit(maxEvents)); err != nil {
		log.WarnContext(ctx, "the events of the pod cannot be read", "error", err)
	} else {
		info.Events = events.Items
	}
	if pod.Spec.NodeName == "" {
		return info
	}
	node := &corev1.Node{}
	if err := cluster.Get(ctx, types.NamespacedName{Name: pod.Spec.NodeName}, node); err != nil {
		log.InfoContext(ctx, "the node of the pod cannot be read", "error", err)
		return info
	}
	info.Node = node
	return info
}

func addFinalizer(ctx context.Context, cluster client.Writer, pod *corev1.Pod) error {
	if pod.DeletionTimestamp != nil || slices.Contains(pod.Finalizers, Finalizer) {
		return nil
	}
	err := patchFinalizers(ctx, cluster, pod, append(slices.Clone(pod.Finalizers), Finalizer))
	// It may be deleted between the look and the patch: then it needs none.
	if apierrors.IsNotFound(err) || err != nil && strings.Contains(err.Error(), "no new finalizers can be added if the object is being deleted") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("put the finalizer on pod %s: %w", pod.Name, err)
	}
	return nil
}

func removeFinalizer(ctx context.Context, cluster client.Writer, pod *corev1.Pod) error {
	if !slices.Contains(pod.Finalizers, Finalizer) {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(f string) bool { return f == Finalizer })
	if err := patchFinalizers(ctx, cluster, pod, kept); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove the finalizer of pod %s: %w", pod.Name, err)
	}
	return nil
}

// patchFinalizers writes the list on condition that the pod is the one that was
// read, unchanged: another controller may have finalizers of its own.
func patchFinalizers(ctx context.Context, cluster client.Writer, pod *corev1.Pod, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": pod.UID, "resourceVersion": pod.ResourceVersion, "finalizers": finalizers,
	}})
	if err != nil {
		return err
	}
	// The answer is of no use, and pod is still what was stored.
	return cluster.Patch(ctx, pod.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
}
