package horologium

import (
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/jobview"
)

// reckoning remembers which runs seem to have begun or ended in the future, and
// since when. That happens when the clock was ahead and has been set right: had
// their times counted, the job would not run until the clock is there again.
type reckoning map[string]time.Time

// tolerance is how far a time may lie ahead: the clocks of replicas differ.
const tolerance = 2 * time.Second

// newestRuns picks the newest run of each job: the one that started last,
// whatever its state, and among equals the one of the greater name, so that
// every look sees the same. A time in the future counts as the moment at which
// that was noticed, which the new reckoning remembers.
func newestRuns(jobs []*jobview.Job, now time.Time, known reckoning) (map[string]*past, reckoning) {
	newest, reckoned := map[string]*past{}, reckoning{}
	horizon := now.Add(tolerance)
	for _, j := range jobs {
		if j.Spec.Type != prowv1.PeriodicJob {
			continue
		}
		started := j.Status.StartTime.Time
		var ended time.Time
		if j.Complete() {
			ended = j.Status.CompletionTime.Time
		}
		if started.After(horizon) || ended.After(horizon) {
			noticed := now
			if at, ok := known[j.Name]; ok && at.Before(now) {
				noticed = at
			}
			reckoned[j.Name] = noticed
			started = earlier(started, noticed)
			if j.Complete() {
				ended = earlier(ended, noticed)
			}
		}
		best := newest[j.Spec.Job]
		if best != nil && (best.started.After(started) || best.started.Equal(started) && best.name > j.Name) {
			continue
		}
		if best == nil {
			best = new(past)
			newest[j.Spec.Job] = best
		}
		*best = past{name: j.Name, started: started, ended: ended, state: j.Status.State, attempt: j.Labels[prowv1.RerunAttemptLabel]}
	}
	return newest, reckoned
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
