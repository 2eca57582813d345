package plank

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
)

// runPods plays a kubelet for all pods of the namespace until the test ends: they
// run and succeed. made counts the pods it has seen.
func (w *world) runPods(made map[string]map[string]bool) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			var pods corev1.PodList
			if err := w.client.List(ctx, &pods, client.InNamespace(w.ns)); err != nil {
				continue
			}
			for i := range pods.Items {
				p := &pods.Items[i]
				if made[p.Name] == nil {
					made[p.Name] = map[string]bool{}
				}
				made[p.Name][string(p.UID)] = true
				now := metav1.Now()
				switch p.Status.Phase {
				case corev1.PodPending:
					p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &now
				case corev1.PodRunning:
					p.Status.Phase = corev1.PodSucceeded
				default:
					continue
				}
				_ = w.client.Status().Update(ctx, p)
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func TestAPlankThatDiesAfterAnyWriteLeavesAJobThatTheNextOneEnds(t *testing.T) {
	for writes := range 4 {
		for _, effect := range []bool{false, true} {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				var p *proxy
				w := newWorld(t, func(w *world) {
					p = newProxy(t, w.service)
					w.service, w.build = p.config, map[string]*rest.Config{"default": p.config}
				})
				var left atomic.Int32
				left.Store(int32(writes))
				dead := make(chan struct{})
				var died atomic.Bool
				p.failing(func(rw http.ResponseWriter, r *http.Request) bool {
					if !isWrite(r) || left.Add(-1) >= 0 {
						return false
					}
					if died.CompareAndSwap(false, true) {
						defer close(dead)
						if effect {
							// The server does it, but nobody hears of that.
							_ = forwardTo(p, r)
						}
					}
					panic(http.ErrAbortHandler)
				})
				pods := map[string]map[string]bool{}
				j := w.newJob(prowv1.ProwJobSpec{MaxConcurrency: 1})
				if err := w.client.Create(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				stop := w.start()
				stopPods := w.runPods(pods)
				select {
				case <-dead:
				case <-time.After(5 * time.Second):
					// There were not so many writes.
				}
				stop()
				p.failing(nil)
				w.start()
				done := w.until(j, "success", completeIn(prowv1.SuccessState))
				stopPods()
				if len(pods[j.Name]) != 1 || done.Status.PodRevivalCount != 0 || done.Status.BuildID != w.pod(j).Labels[prowv1.BuildIDLabel] {
					t.Errorf("%d pods, status %+v", len(pods[j.Name]), done.Status)
				}
			})
		}
	}
}

func TestEveryJobEndsThoughTheAPIServerFailsAndPlankIsRestarted(t *testing.T) {
	const jobs = 120
	var p *proxy
	w := newWorld(t, func(w *world) {
		p = newProxy(t, w.service)
		w.service, w.build = p.config, map[string]*rest.Config{"default": p.config}
	})
	var down atomic.Bool
	p.failing(func(rw http.ResponseWriter, r *http.Request) bool {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		if !isWrite(r) {
			return false
		}
		switch rand.IntN(12) {
		case 0:
			return answer(rw, 429, "TooManyRequests")
		case 1:
			return answer(rw, 409, "Conflict")
		case 2:
			return answer(rw, 503, "ServiceUnavailable")
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			_ = forwardTo(p, r)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	stop := w.start()
	pods := map[string]map[string]bool{}
	stopPods := w.runPods(pods)
	all := make([]*prowv1.ProwJob, jobs)
	for i := range all {
		all[i] = w.job(prowv1.ProwJobSpec{})
		switch i {
		case 30:
			// The API server goes away for a moment.
			down.Store(true)
			time.AfterFunc(2*time.Second, func() { down.Store(false) })
		case 80:
			stop()
			stop = w.start()
		}
	}
	for _, j := range all {
		done := w.until(j, "success", completeIn(prowv1.SuccessState))
		if done.Status.PodRevivalCount != 0 {
			t.Errorf("revived: %+v", done.Status)
		}
	}
	stopPods()
	for name, uids := range pods {
		if len(uids) != 1 {
			t.Errorf("job %s had %d pods", name, len(uids))
		}
	}
}
