package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

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

var cronParser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// ParseCron reads the times of a periodic: five fields, or six with leading
// seconds, or a descriptor such as @daily or @every 1h; TZ= or CRON_TZ= and a
// zone may stand before them.
func ParseCron(spec string) (cron.Schedule, error) {
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		if !strings.Contains(spec, " ") {
			return nil, errors.New("a time zone without times")
		}
	}
	if strings.TrimSpace(spec) == "" {
		return nil, errors.New("empty")
	}
	schedule, err := cronParser.Parse(spec)
	if err != nil {
		return nil, fmt.Errorf("parsing cron: %w", err)
	}
	return schedule, nil
}

// resolveSchedule parses the times of a periodic and checks that there is
// exactly one of them.
func (p *Periodic) resolveSchedule(report fieldReporter) {
	var set []string
	for _, f := range []struct {
		name, value string
		parsed      *time.Duration
	}{
		{"cron", p.Cron, nil},
		{"interval", p.Interval, &p.schedule.interval},
		{"minimum_interval", p.MinimumInterval, &p.schedule.minimumInterval},
	} {
		switch {
		case f.value == "":
			continue
		case f.parsed == nil:
			if _, err := ParseCron(f.value); err != nil {
				report(f.name, "found %q, expected five or six fields, or a descriptor: %v", f.value, err)
			}
		default:
			*f.parsed = parseInterval(f.name, f.value, report)
		}
		set = append(set, f.name)
	}
	switch len(set) {
	case 0:
		report("cron", "missing, expected one of cron, interval and minimum_interval")
	case 1:
	default:
		report(set[1], "found together with %s, expected one of cron, interval and minimum_interval", set[0])
	}
	if p.Retry == nil {
		return
	}
	if p.Retry.Interval == "" {
		report("retry.interval", "missing, expected a duration such as 10m")
		return
	}
	p.schedule.retryInterval = parseInterval("retry.interval", p.Retry.Interval, report)
}

func parseInterval(field, value string, report fieldReporter) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil {
		report(field, "found %q, expected a duration such as 1h30m", value)
	}
	return d
}
