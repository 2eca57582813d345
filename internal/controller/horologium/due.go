package horologium

import (
	"strconv"
	"time"

	"github.com/robfig/cron/v3"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

// maxAttempts caps retry.attempts.
const maxAttempts = 10

// run is a run that is due.
type run struct {
	// slot names what the run fills; equal slots are the same run.
	slot string
	// attempt is the number of the retry, 0 for a regular run.
	attempt int
}

// due decides whether a periodic is to run. last is its newest run, nil where
// there is none; since is when this process first saw the job as it is now.
//
//	interval          the last run is complete and started longer ago
//	minimum_interval  the last run is complete and ended longer ago
//	cron              the last run is complete and a slot has passed since it ended
//
// A periodic that never ran is due at once, with cron at its first slot.
func due(p *config.Periodic, schedule cron.Schedule, last *prowv1.ProwJob, since, now time.Time) *run {
	if schedule != nil {
		return dueByCron(p, schedule, last, since, now)
	}
	if last == nil {
		return &run{slot: "first"}
	}
	next := &run{slot: "after " + last.Name}
	if last.Complete() {
		if i := p.IntervalDuration(); i > 0 && now.Sub(last.Status.StartTime.Time) > i {
			return next
		}
		if i := p.MinimumIntervalDuration(); i > 0 && now.Sub(last.Status.CompletionTime.Time) > i {
			return next
		}
	}
	return dueRetry(p, last, now)
}

func dueByCron(p *config.Periodic, schedule cron.Schedule, last *prowv1.ProwJob, since, now time.Time) *run {
	base := since
	every := false
	if _, every = schedule.(cron.ConstantDelaySchedule); every && last == nil {
		return &run{slot: "first"}
	}
	if last != nil {
		if !last.Complete() {
			return dueRetry(p, last, now)
		}
		// A slot that passed while the last run was going is lost, not queued.
		base = last.Status.CompletionTime.Time
		if start := last.Status.StartTime.Time; every || start.After(base) {
			base = start
		}
	}
	// A schedule without a time zone of its own takes that of the time it is given.
	slot := schedule.Next(base.UTC())
	if slot.IsZero() || slot.After(now) {
		if last != nil {
			return dueRetry(p, last, now)
		}
		return nil
	}
	return &run{slot: "cron " + slot.UTC().Format(time.RFC3339)}
}

// dueRetry decides whether a failed run is tried again.
func dueRetry(p *config.Periodic, last *prowv1.ProwJob, now time.Time) *run {
	retry := p.Retry
	if retry == nil || !last.Complete() && !retry.RunAll {
		return nil
	}
	attempt := 1
	if label, ok := last.Labels[prowv1.RerunAttemptLabel]; ok {
		n, err := strconv.Atoi(label)
		if err != nil {
			return nil
		}
		attempt = n + 1
	}
	switch {
	case attempt > min(retry.Attempts, maxAttempts),
		now.Sub(last.Status.StartTime.Time) <= p.RetryInterval(),
		!retry.RunAll && last.Status.State == prowv1.SuccessState:
		return nil
	}
	return &run{slot: "retry of " + last.Name, attempt: attempt}
}
