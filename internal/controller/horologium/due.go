package horologium

import (
	"strconv"
	"time"

	"github.com/robfig/cron/v3"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
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

// name is the name of the ProwJob that fills the slot.
func (r run) name(job string) string { return prowjob.StableName("periodic", job, r.slot) }

// past is the newest run of a periodic.
type past struct {
	name           string
	started, ended time.Time // ended is zero while it is not complete
	state          prowv1.ProwJobState
	// attempt is the number of the retry that it is; empty for a regular run.
	attempt string
}

func (p *past) complete() bool { return !p.ended.IsZero() }

// due decides whether a periodic is to run. last is its newest run, nil where
// there is none; since is when the job was first seen as it is now; delay is
// how much later than its slots it runs.
//
//	interval          the last run is complete and started longer ago
//	minimum_interval  the last run is complete and ended longer ago
//	cron              the last run is complete and a slot has passed since it ended
//
// A periodic that never ran is due at once, with cron at its first slot.
func due(p *config.Periodic, schedule cron.Schedule, last *past, since, now time.Time, delay time.Duration) *run {
	if schedule != nil {
		return dueByCron(p, schedule, last, since, now, delay)
	}
	if last == nil {
		return &run{slot: "first"}
	}
	next := &run{slot: "after " + last.name}
	if last.complete() {
		if i := p.IntervalDuration(); i > 0 && now.Sub(last.started) > i {
			return next
		}
		if i := p.MinimumIntervalDuration(); i > 0 && now.Sub(last.ended) > i {
			return next
		}
	}
	return dueRetry(p, last, now)
}

func dueByCron(p *config.Periodic, schedule cron.Schedule, last *past, since, now time.Time, delay time.Duration) *run {
	base := since
	_, every := schedule.(cron.ConstantDelaySchedule)
	if every && last == nil {
		return &run{slot: "first"}
	}
	if last != nil {
		if !last.complete() {
			return dueRetry(p, last, now)
		}
		// A slot that passed while the last run was going is lost, not queued.
		base = last.ended
		if every || last.started.After(base) {
			base = last.started
		}
	}
	next, slot := slotAfter(p.Name, schedule, base.Add(-delay), last)
	if slot.IsZero() || slot.Add(delay).After(now) {
		if last != nil {
			return dueRetry(p, last, now)
		}
		return nil
	}
	return next
}

// slotAfter is the first slot after base that the last run has not filled. A
// delay that has changed since may lead back to the slot that it has.
func slotAfter(job string, schedule cron.Schedule, base time.Time, last *past) (*run, time.Time) {
	for {
		slot := nextSlot(schedule, base)
		if slot.IsZero() {
			return nil, slot
		}
		next := &run{slot: "cron " + slot.UTC().Format(time.RFC3339)}
		if last == nil || next.name(job) != last.name {
			return next, slot
		}
		base = slot
	}
}

// dueRetry decides whether a failed run is tried again.
func dueRetry(p *config.Periodic, last *past, now time.Time) *run {
	retry := p.Retry
	if retry == nil || !last.complete() && !retry.RunAll {
		return nil
	}
	attempt := 1
	if last.attempt != "" {
		n, err := strconv.Atoi(last.attempt)
		if err != nil {
			return nil
		}
		attempt = n + 1
	}
	switch {
	case attempt > min(retry.Attempts, maxAttempts),
		now.Sub(last.started) <= p.RetryInterval(),
		!retry.RunAll && last.state == prowv1.SuccessState:
		return nil
	}
	return &run{slot: "retry of " + last.name, attempt: attempt}
}
