package manager

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/kube/kubetest"
	"prow/internal/prowjob"
	"prow/internal/secret"
	"prow/internal/service"
)

// The API server is killed twice while 300 jobs are made and run. The program is
// started again whenever it ends, as a cluster does: it may lose its lease.
func TestEveryJobEndsThoughTheControlPlaneIsKilledUnderLoad(t *testing.T) {
	const count = 300
	cluster := kubetest.StartOwn(t)
	in := newInstallationOn(t, cluster, "")
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var background sync.WaitGroup
	defer background.Wait()
	stop, stopAll := context.WithCancel(ctx)
	defer stopAll()
	background.Go(func() {
		for stop.Err() == nil {
			rt := service.NewRuntime(Name, slog.New(slog.DiscardHandler), new(slog.LevelVar), prometheus.NewRegistry(), new(secret.Store))
			if err := Run(stop, rt, in.options); err != nil && stop.Err() == nil {
				t.Logf("the program ended, and starts again: %v", err)
				pause(stop, 200*time.Millisecond)
			}
		}
	})
	pods := &podLog{seen: map[string]map[types.UID]bool{}}
	background.Go(func() { pods.play(stop, in.client, in.ns) })

	jobs := make([]*prowv1.ProwJob, count)
	for i := range jobs {
		jobs[i] = newJob(in.ns)
		if i == count/3 || i == 2*count/3 {
			cluster.Kill(t)
			background.Go(func() { cluster.Restart(t) })
		}
		insist(ctx, t, func() error {
			err := in.client.Create(ctx, jobs[i].DeepCopy())
			if apierrors.IsAlreadyExists(err) {
				return nil // the answer was lost
			}
			return err
		})
	}
	for _, j := range jobs {
		var got prowv1.ProwJob
		for !got.Complete() {
			insist(ctx, t, func() error { return in.client.Get(ctx, client.ObjectKeyFromObject(j), &got) })
			if !pause(ctx, 20*time.Millisecond) {
				t.Fatalf("job %s does not end: %+v", j.Name, got.Status)
			}
		}
		if got.Status.State != prowv1.SuccessState || got.Status.PodRevivalCount != 0 {
			t.Errorf("job %s ended as %+v", j.Name, got.Status)
		}
	}
	stopAll()
	background.Wait()
	if len(pods.seen) != count {
		t.Errorf("pods of %d jobs were seen, want %d", len(pods.seen), count)
	}
	for name, uids := range pods.seen {
		if len(uids) != 1 {
			t.Errorf("job %s had %d pods", name, len(uids))
		}
	}
}

func newJob(ns string) *prowv1.ProwJob {
	return prowjob.New(prowv1.ProwJobSpec{
		Type: prowv1.PeriodicJob, Job: "unit", Agent: prowv1.KubernetesAgent,
		PodSpec: &corev1.PodSpec{Containers: []corev1.Container{{Name: "test", Image: "image", Command: []string{"true"}}}},
	}, nil, nil, prowjob.InNamespace(ns))
}

// podLog plays the kubelet: pods run and succeed. It remembers all it has seen.
type podLog struct{ seen map[string]map[types.UID]bool }

func (l *podLog) play(ctx context.Context, c client.Client, ns string) {
	for pause(ctx, 100*time.Millisecond) {
		var pods corev1.PodList
		if err := c.List(ctx, &pods, client.InNamespace(ns)); err != nil {
			continue
		}
		for i := range pods.Items {
			p := &pods.Items[i]
			if l.seen[p.Name] == nil {
				l.seen[p.Name] = map[types.UID]bool{}
			}
			l.seen[p.Name][p.UID] = true
			now := metav1.Now()
			switch p.Status.Phase {
			case corev1.PodPending:
				p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &now
			case corev1.PodRunning:
				p.Status.Phase = corev1.PodSucceeded
			default:
				continue
			}
			_ = c.Status().Update(ctx, p) // the next look tries again
		}
	}
}

// insist tries until f succeeds: the API server comes back.
func insist(ctx context.Context, t *testing.T, f func() error) {
	t.Helper()
	for {
		err := f()
		if err == nil {
			return
		}
		if apierrors.IsNotFound(err) || !pause(ctx, 100*time.Millisecond) {
			t.Fatal(errors.Join(err, ctx.Err()))
		}
	}
}

// pause waits, and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
