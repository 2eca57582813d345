package config

import "time"

// periodicSchedule holds the parsed times of a periodic.
type periodicSchedule struct {
	interval, minimumInterval, retryInterval time.Duration
}

// IntervalDuration is Interval parsed; zero where it is not set.
func (p *Periodic) IntervalDuration() time.Duration { return p.schedule.interval }

// MinimumIntervalDuration is MinimumInterval parsed; zero where it is not set.
func (p *Periodic) MinimumIntervalDuration() time.Duration { return p.schedule.minimumInterval }

// RetryInterval is the time between the attempts of a failed run; zero where
// the job is not retried.
func (p *Periodic) RetryInterval() time.Duration { return p.schedule.retryInterval }
