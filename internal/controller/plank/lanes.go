package plank

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

const (
	// laneWorkers is how many jobs of one build cluster are handled at once.
	laneWorkers = 10
	// lookLimit bounds one look at a job, with all its requests.
	lookLimit = 90 * time.Second
	// stopGrace is how long a look that has begun may go on when the process is to end.
	stopGrace = 10 * time.Second
	// firstRetry and lastRetry bound the pause after a look that failed. The last
	// one is short: a cluster that heals should be noticed.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// lanes hold, for each build cluster, a queue of jobs to look at and workers of
// its own. A cluster that hangs fills its own workers only. A lane is made when
// its cluster gets its first job.
type lanes struct {
	look    func(ctx context.Context, key types.NamespacedName) (after time.Duration, err error)
	log     *slog.Logger
	observe func(lane string, took time.Duration, err error)

	mu      sync.Mutex
	stopped bool
	ctx     context.Context //nolint:containedctx // workers start when the first job of their lane comes
	queues  map[string]workqueue.TypedRateLimitingInterface[types.NamespacedName]
	workers sync.WaitGroup
}

// add asks for a look at a job; before run and after its end it is ignored.
func (l *lanes) add(lane string, key types.NamespacedName) {
	if q := l.queue(lane); q != nil {
		q.Add(key)
	}
}

func (l *lanes) queue(lane string) workqueue.TypedRateLimitingInterface[types.NamespacedName] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil || l.stopped {
		return nil
	}
	if q := l.queues[lane]; q != nil {
		return q
	}
	q := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, lastRetry))
	if l.queues == nil {
		l.queues = map[string]workqueue.TypedRateLimitingInterface[types.NamespacedName]{}
	}
	l.queues[lane] = q
	for range laneWorkers {
		l.workers.Go(func() {
			for l.next(lane, q) {
			}
		})
	}
	return q
}

// run lets the workers work until ctx ends; looks that have begun then finish
// within a grace. begin is called once jobs can be added.
func (l *lanes) run(ctx context.Context, begin func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.mu.Lock()
	l.ctx, l.stopped = work, false
	l.mu.Unlock()
	begin()
	<-ctx.Done()
	l.mu.Lock()
	l.stopped = true
	for _, q := range l.queues {
		q.ShutDown()
	}
	l.mu.Unlock()
	grace := time.AfterFunc(stopGrace, cancel)
	defer grace.Stop()
	l.workers.Wait()
	l.mu.Lock()
	l.queues, l.ctx = nil, nil
	l.mu.Unlock()
}

func (l *lanes) next(lane string, q workqueue.TypedRateLimitingInterface[types.NamespacedName]) bool {
	key, shutdown := q.Get()
	if shutdown {
		return false
	}
	defer q.Done(key)
	if q.ShuttingDown() {
		// What is left is found again at the next start.
		return true
	}
	begun := time.Now()
	after, err := l.guarded(key)
	l.observe(lane, time.Since(begun), err)
	switch {
	case apierrors.IsConflict(err):
		// Somebody else wrote first; the next look sees that.
		q.AddRateLimited(key)
	case err != nil:
		l.log.Warn("a job could not be handled and is tried again", "name", key.Name, "cluster", lane, "error", err)
		q.AddRateLimited(key)
	default:
		q.Forget(key)
		if after > 0 {
			q.AddAfter(key, after)
		}
	}
	return true
}

// guarded turns a panic into an error of this one job.
func (l *lanes) guarded(key types.NamespacedName) (after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, lookLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("handling a job panicked", "name", key.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("handling job %s panicked: %v", key.Name, p)
		}
	}()
	return l.look(ctx, key)
}

// lengths are how many jobs wait to be looked at, by lane.
func (l *lanes) lengths() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.queues))
	for lane, q := range l.queues {
		out[lane] = q.Len()
	}
	return out
}
