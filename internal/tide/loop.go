package tide

import (
	"context"
	"time"

	toolscache "k8s.io/client-go/tools/cache"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// minPause is the least time between the starts of two rounds that news of jobs
// bring about.
const minPause = time.Second

// loop runs rounds: a period after the start of the one before, and earlier when a
// job has ended.
type loop struct {
	sync   *Syncer
	config func() *config.Config
	// early has an element when a round should come early.
	early <-chan struct{}
	after func(time.Duration) <-chan time.Time
}

// once makes one round, and returns when it started.
func (l *loop) once(ctx context.Context) time.Time {
	start := l.sync.Now()
	if err := l.sync.Sync(ctx, l.config()); err != nil && ctx.Err() == nil {
		l.sync.Log.ErrorContext(ctx, "the round was not complete", "error", err)
	}
	return start
}

// run goes on after a round that started at start, until ctx ends. The period is
// read again each time.
func (l *loop) run(ctx context.Context, start time.Time) {
	for {
		left := func(d time.Duration) <-chan time.Time { return l.after(max(d-l.sync.Now().Sub(start), 0)) }
		select {
		case <-ctx.Done():
			return
		case <-left(l.config().Tide.SyncPeriod.Duration):
		case <-l.early:
			select {
			case <-ctx.Done():
				return
			case <-left(minPause):
			}
		}
		start = l.once(ctx)
	}
}

// ended tells whether a job is of no more news: it is complete and, where it
// reports to GitHub, its status is there, without which a round would find it
// pending. Of a change on Gerrit the job itself is what a round looks at.
func ended(job *prowv1.ProwJob) bool {
	if !job.Complete() {
		return false
	}
	switch job.Spec.Type {
	case prowv1.BatchJob:
		return true
	case prowv1.PresubmitJob:
		return !job.Spec.Report || job.Labels[prowv1.GerritRevisionLabel] != "" || job.Status.PrevReportStates[prowv1.GitHubReporterName] == job.Status.State
	}
	return false
}

// whenEnded calls f when it sees a job end.
func whenEnded(f func()) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			old, ok1 := before.(*prowv1.ProwJob)
			new, ok2 := after.(*prowv1.ProwJob)
			if ok1 && ok2 && !ended(old) && ended(new) {
				f()
			}
		},
	}
}
