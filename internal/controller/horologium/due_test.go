package horologium

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
)

var now = time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)

// ran is a run that started and ended so long ago; a negative end is none.
func ran(started, ended time.Duration, state prowv1.ProwJobState, attempt string) *past {
	p := &past{name: "last", started: now.Add(-started), state: state, attempt: attempt}
	if ended >= 0 {
		p.ended = now.Add(-ended)
	}
	return p
}

func TestDue(t *testing.T) {
	const running = -1
	min := time.Minute
	type want struct {
		slot    string
		attempt int
	}
	for name, tc := range map[string]struct {
		periodic string
		last     *past
		since    time.Duration
		want     want
	}{
		"an interval job runs at first sight":                      {`interval: 1h`, nil, 0, want{slot: "first"}},
		"an interval job is due by the start of its last run":      {`interval: 1h`, ran(61*min, 2*min, "success", ""), 0, want{slot: "after last"}},
		"an interval job is not due before":                        {`interval: 1h`, ran(60*min, 2*min, "success", ""), 0, want{}},
		"an interval job does not overlap itself":                  {`interval: 1h`, ran(300*min, running, "pending", ""), 0, want{}},
		"a minimum interval job is due by the end of its last run": {`minimum_interval: 1h`, ran(300*min, 61*min, "failure", ""), 0, want{slot: "after last"}},
		"a minimum interval job is not due before":                 {`minimum_interval: 1h`, ran(300*min, 60*min, "failure", ""), 0, want{}},
		"a cron job waits for its first slot":                      {`cron: "0 13 * * *"`, nil, 0, want{}},
		"a cron job is due once its slot has passed":               {`cron: "0 12 * * *"`, nil, 31 * min, want{slot: "cron 2026-03-04T12:00:00Z"}},
		"a cron job runs a slot once":                              {`cron: "0 12 * * *"`, ran(29*min, 10*min, "success", ""), 300 * min, want{}},
		"a cron job runs a slot that a restart missed":             {`cron: "0 12 * * *"`, ran(24*60*min, 23*60*min, "success", ""), 0, want{slot: "cron 2026-03-04T12:00:00Z"}},
		"a slot during the last run is lost":                       {`cron: "0 12 * * *"`, ran(90*min, 10*min, "success", ""), 300 * min, want{}},
		"a cron job does not overlap itself":                       {`cron: "* * * * *"`, ran(90*min, running, "pending", ""), 300 * min, want{}},
		"a cron job with seconds":                                  {`cron: "30 29 12 * * *"`, ran(90*min, 80*min, "success", ""), 300 * min, want{slot: "cron 2026-03-04T12:29:30Z"}},
		"a cron job with a time zone":                              {`cron: "TZ=Europe/Berlin 15 13 * * *"`, ran(90*min, 80*min, "success", ""), 300 * min, want{slot: "cron 2026-03-04T12:15:00Z"}},
		"an @every job runs at first sight":                        {`cron: "@every 1h"`, nil, 0, want{slot: "first"}},
		"an @every job is due by the start of its last run":        {`cron: "@every 1h"`, ran(61*min, 1*min, "success", ""), 0, want{slot: "cron 2026-03-04T12:29:00Z"}},
		"a failed run is tried again":                              {"interval: 6h\nretry: {attempts: 2, interval: 10m}", ran(11*min, 5*min, "failure", ""), 0, want{"retry of last", 1}},
		"a failed run is not tried again too early":                {"interval: 6h\nretry: {attempts: 2, interval: 10m}", ran(10*min, 5*min, "failure", ""), 0, want{}},
		"a retry may be tried again":                               {"interval: 6h\nretry: {attempts: 2, interval: 10m}", ran(11*min, 5*min, "failure", "1"), 0, want{"retry of last", 2}},
		"retries end":                                              {"interval: 6h\nretry: {attempts: 2, interval: 10m}", ran(11*min, 5*min, "failure", "2"), 0, want{}},
		"a good run is not tried again":                            {"interval: 6h\nretry: {attempts: 2, interval: 10m}", ran(11*min, 5*min, "success", ""), 0, want{}},
		"a good run is tried again where all attempts are wanted":  {"interval: 6h\nretry: {attempts: 2, interval: 10m, run_all: true}", ran(11*min, running, "pending", ""), 0, want{"retry of last", 1}},
		"an attempt that is no number is not tried again":          {"interval: 6h\nretry: {attempts: 2, interval: 10m}", ran(11*min, 5*min, "failure", "x"), 0, want{}},
		"a failed cron run is tried again between slots":           {"cron: \"0 0 * * *\"\nretry: {attempts: 1, interval: 10m}", ran(20*min, 5*min, "failure", ""), 300 * min, want{"retry of last", 1}},
		"no more than ten attempts":                                {"interval: 6h\nretry: {attempts: 99, interval: 10m}", ran(11*min, 5*min, "failure", "10"), 0, want{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := periodic(t, tc.periodic)
			var schedule cron.Schedule
			if p.Cron != "" {
				var err error
				if schedule, err = config.ParseCron(p.Cron); err != nil {
					t.Fatal(err)
				}
			}
			var got want
			if r := due(p, schedule, tc.last, now.Add(-tc.since), now, 0); r != nil {
				got = want{r.slot, r.attempt}
			}
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// periodic loads one periodic from its YAML, as the configuration does.
func periodic(t *testing.T, fields string) *config.Periodic {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "periodics:\n- name: p\n  spec: {containers: [{image: i, command: [c]}]}\n  " + strings.ReplaceAll(fields, "\n", "\n  ") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), config.Options{ConfigPath: path})
	if err != nil {
		t.Fatal(err)
	}
	return &cfg.Periodics[0]
}
