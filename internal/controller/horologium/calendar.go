package horologium

import (
	"hash/fnv"
	"time"

	"github.com/robfig/cron/v3"
)

// anyHour is how a schedule marks that its hour is "*" or "*/n".
const anyHour = 1 << 63

// nextSlot is the first slot of a schedule after a time; zero if there is none.
//
// In a zone with summer time, a schedule that names its hours means the clock
// on the wall: an hour that the night in spring skips is made up for right
// after, and one that the night in autumn repeats counts once. A schedule of
// any hour ("*/30 * * * *") goes by the time that really passes. A schedule
// without a zone is in UTC.
func nextSlot(schedule cron.Schedule, after time.Time) time.Time {
	spec, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return schedule.Next(after.UTC())
	}
	if spec.Location == time.Local || spec.Location == time.UTC || spec.Hour&anyHour != 0 {
		return schedule.Next(after.UTC())
	}
	wall := *spec
	wall.Location = time.UTC
	for t := onWall(after.In(spec.Location), time.UTC); ; {
		if t = wall.Next(t); t.IsZero() {
			return t
		}
		// The wall may show a time before after once more, in autumn.
		if slot := onWall(t, spec.Location); slot.After(after) {
			return slot
		}
	}
}

// onWall is the moment at which the clock on the wall of a zone shows what t
// shows. A time that the clock skips is as long after the change as it would be
// had the clock not been changed: half past two is half past three.
func onWall(t time.Time, zone *time.Location) time.Time {
	at := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
	_, want := t.Zone()
	_, got := at.Zone()
	// How much later t is, as the walls show it.
	behind := t.Sub(at) + time.Duration(want-got)*time.Second
	return at.Add(max(behind, 0))
}

// sampled is how many slots of a schedule are looked at to learn how close
// together they may be.
const sampled = 32

// sampleFrom is where looking begins: always the same, so that a job keeps its
// delay over restarts.
var sampleFrom = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

// jitter is the delay of a job's slots: a share of limit that depends on the
// name alone, so that jobs of one slot are spread and each keeps its time. It
// stays below half the time between two slots.
func jitter(name string, schedule cron.Schedule, limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	slot := nextSlot(schedule, sampleFrom)
	for range sampled {
		next := nextSlot(schedule, slot)
		if slot.IsZero() || next.IsZero() {
			break
		}
		limit = min(limit, next.Sub(slot)/2)
		slot = next
	}
	if limit < time.Second {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(name)) //nolint:errcheck // a hash takes everything
	return time.Duration(mix(h.Sum64())%uint64(limit/time.Second)) * time.Second
}

// mix spreads names that differ in their last character only.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
