package horologium

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"prow/internal/config"
)

// slots lists the slots of an expression between two moments as a wall clock shows them.
func slots(t *testing.T, expression, from, to, zone string) (out []string) {
	t.Helper()
	schedule, err := config.ParseCron(expression)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for at := nextSlot(schedule, parse(from)); !at.After(parse(to)); at = nextSlot(schedule, at) {
		out = append(out, at.In(loc).Format("02 15:04 MST"))
		if len(out) > 100 {
			t.Fatal("too many slots")
		}
	}
	return out
}

// New York sets its clocks forward at 2:00 on 8 March 2026 and back at 2:00 on 1 November 2026.
func TestSummerTime(t *testing.T) {
	const zone = "America/New_York"
	spring := [2]string{"2026-03-07T12:00:00-05:00", "2026-03-09T12:00:00-04:00"}
	autumn := [2]string{"2026-10-31T12:00:00-04:00", "2026-11-02T12:00:00-05:00"}
	for name, tc := range map[string]struct {
		expression string
		days       [2]string
		want       []string
	}{
		"a slot in the hour that spring skips is made up for": {
			"TZ=America/New_York 30 2 * * *", spring, []string{"08 03:30 EDT", "09 02:30 EDT"}},
		"a slot in the hour that autumn repeats counts once": {
			"CRON_TZ=America/New_York 30 1 * * *", autumn, []string{"01 01:30 EDT", "02 01:30 EST"}},
		"slots beside the change keep to the clock on the wall": {
			"TZ=America/New_York 0 9 * * *", spring, []string{"08 09:00 EDT", "09 09:00 EDT"}},
		"a job of every hour goes by the time that passes, in spring": {
			"TZ=America/New_York 0 * * * *", [2]string{"2026-03-08T00:30:00-05:00", "2026-03-08T04:30:00-04:00"}, []string{"08 01:00 EST", "08 03:00 EDT", "08 04:00 EDT"}},
		"a job of every hour goes by the time that passes, in autumn": {
			"TZ=America/New_York 0 * * * *", [2]string{"2026-11-01T00:30:00-04:00", "2026-11-01T02:30:00-05:00"}, []string{"01 01:00 EDT", "01 01:00 EST", "01 02:00 EST"}},
		"two slots that spring makes one are run once": {
			"TZ=America/New_York 30 2,3 * * *", spring, []string{"08 03:30 EDT", "09 02:30 EDT", "09 03:30 EDT"}},
		"without a zone all is UTC": {
			"30 2 * * *", spring, []string{"07 21:30 EST", "08 22:30 EDT"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := slots(t, tc.expression, tc.days[0], tc.days[1], zone); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// From wherever in the repeated hours one looks, a slot is found once.
func TestARestartInTheRepeatedHourRepeatsNoSlot(t *testing.T) {
	schedule, err := config.ParseCron("TZ=America/New_York 30 1 * * *")
	if err != nil {
		t.Fatal(err)
	}
	slot := time.Date(2026, 11, 1, 5, 30, 0, 0, time.UTC) // 01:30 EDT
	for after := slot; after.Before(slot.Add(4 * time.Hour)); after = after.Add(7 * time.Minute) {
		if got := nextSlot(schedule, after); !got.Equal(slot.Add(25 * time.Hour)) {
			t.Fatalf("after %s: %s", after, got)
		}
	}
}

func TestJitter(t *testing.T) {
	daily, err := config.ParseCron("0 3 * * *")
	if err != nil {
		t.Fatal(err)
	}
	delays := map[time.Duration]int{}
	for i := range 1000 {
		name := fmt.Sprintf("periodic-%d", i)
		d := jitter(name, daily, 10*time.Minute)
		if d < 0 || d >= 10*time.Minute {
			t.Fatalf("%s is delayed by %s", name, d)
		}
		if d != jitter(name, daily, 10*time.Minute) {
			t.Fatal("a job does not keep its delay")
		}
		delays[d.Truncate(time.Minute)]++
	}
	for minute := range 10 {
		if n := delays[time.Duration(minute)*time.Minute]; n < 60 || n > 140 {
			t.Errorf("minute %d has %d of 1000 jobs", minute, n)
		}
	}
	often, err := config.ParseCron("*/2 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if d := jitter(fmt.Sprint(i), often, time.Hour); d >= time.Minute {
			t.Fatalf("a job of every two minutes is delayed by %s", d)
		}
	}
	if d := jitter("x", daily, 0); d != 0 {
		t.Errorf("delayed by %s although nobody asked", d)
	}
}
