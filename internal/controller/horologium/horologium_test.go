package horologium

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/jobview"
)

// world is an API server of periodic runs, a clock, and what reads them.
type world struct {
	client.Writer
	mu   sync.Mutex
	now  time.Time
	jobs []*jobview.Job
	cfg  *config.Config
	// fail is what creations answer.
	fail error
}

func (w *world) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	j := o.(*prowv1.ProwJob)
	if slices.ContainsFunc(w.jobs, func(have *jobview.Job) bool { return have.Name == j.Name }) {
		return apierrors.NewAlreadyExists(prowv1.Resource("prowjobs"), j.Name)
	}
	w.jobs = append(w.jobs, &jobview.Job{
		ObjectMeta: metav1.ObjectMeta{Name: j.Name, Labels: j.Labels, CreationTimestamp: metav1.NewTime(w.now)},
		Spec:       jobview.Spec{Type: j.Spec.Type, Job: j.Spec.Job},
		Status:     jobview.Status{State: j.Status.State, StartTime: metav1.NewTime(j.Status.StartTime.Truncate(time.Second))},
	})
	return nil
}

// finish ends all runs.
func (w *world) finish(state prowv1.ProwJobState) {
	end := metav1.NewTime(w.now.Truncate(time.Second))
	for _, j := range w.jobs {
		if !j.Complete() {
			j.Status.CompletionTime, j.Status.State = &end, state
		}
	}
}

// started lists when runs started, relative to the first moment, in the order of their creation.
func (w *world) started() (out []string) {
	for _, j := range w.jobs {
		text := j.Status.StartTime.UTC().Format("15:04:05")
		if n := j.Labels[prowv1.RerunAttemptLabel]; n != "" {
			text += " #" + n
		}
		out = append(out, text)
	}
	return out
}

func (w *world) process() *Horologium {
	return &Horologium{
		Create: w, Config: func() *config.Config { return w.cfg }, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		Runs: func() []*jobview.Job { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.jobs) },
	}
}

func tick(t testing.TB, h *Horologium) {
	t.Helper()
	if err := h.Tick(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// periodics loads periodics from their YAML, as the configuration does.
func periodics(t testing.TB, header string, jobs map[string]string) *config.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "horologium-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "config.yaml")
	text := header + "\nperiodics:\n"
	for name, fields := range jobs {
		text += "- name: " + name + "\n  spec: {containers: [{image: i, command: [c]}]}\n  " + strings.ReplaceAll(fields, "\n", "\n  ") + "\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(context.Background(), config.Options{ConfigPath: path})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newWorld(t testing.TB, fields string) *world {
	return &world{now: now, cfg: periodics(t, "", map[string]string{"p": fields})}
}

// Probe 20: periodic interval 1m, last run started 59 s ago: none; 61 s ago and
// complete: one ProwJob; incomplete: none. minimum_interval counts from completion.
func TestProbe20Intervals(t *testing.T) {
	w := newWorld(t, "interval: 1m")
	h := w.process()
	tick(t, h)
	w.now = w.now.Add(30 * time.Second)
	w.finish(prowv1.SuccessState)
	w.now = now.Add(59 * time.Second)
	tick(t, h)
	if len(w.jobs) != 1 {
		t.Fatal("59 s after the start it ran again")
	}
	w.now = now.Add(61 * time.Second)
	tick(t, h)
	if len(w.jobs) != 2 {
		t.Fatal("61 s after the start it did not run")
	}
	w.now = now.Add(10 * time.Minute)
	tick(t, h)
	if len(w.jobs) != 2 {
		t.Fatal("it ran although the last run is not complete")
	}

	w = newWorld(t, "minimum_interval: 1m")
	h = w.process()
	tick(t, h)
	w.now = now.Add(5 * time.Minute)
	w.finish(prowv1.FailureState)
	w.now = now.Add(5*time.Minute + 59*time.Second)
	tick(t, h)
	if len(w.jobs) != 1 {
		t.Fatal("59 s after the end it ran again")
	}
	w.now = now.Add(5*time.Minute + 61*time.Second)
	tick(t, h)
	if len(w.jobs) != 2 {
		t.Fatal("61 s after the end it did not run")
	}
}

// Probe 21: retry {attempts: 2, interval: 5m}, interval 24h, run failed: retry
// with prow.k8s.io/re-run "1" after 5m, then "2", then none until 24h.
func TestProbe21Retries(t *testing.T) {
	w := newWorld(t, "interval: 24h\nretry: {attempts: 2, interval: 5m}")
	h := w.process()
	for range 26 * 60 {
		tick(t, h)
		w.now = w.now.Add(30 * time.Second)
		w.finish(prowv1.FailureState)
		w.now = w.now.Add(30 * time.Second)
	}
	want := []string{"12:30:00", "12:36:00 #1", "12:42:00 #2", "12:43:00", "12:49:00 #1", "12:55:00 #2"}
	if got := w.started(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Probe 22: cron "@every 1h": ProwJob at the first tick; cron "0 3 * * *"
// without history: first ProwJob at 03:00 UTC.
func TestProbe22Cron(t *testing.T) {
	w := newWorld(t, `cron: "@every 1h"`)
	tick(t, w.process())
	if len(w.jobs) != 1 {
		t.Errorf("@every ran %d times at the first tick", len(w.jobs))
	}
	w = newWorld(t, `cron: "0 3 * * *"`)
	h := w.process()
	for range 24 * 60 {
		tick(t, h)
		w.now = w.now.Add(time.Minute)
	}
	if got := w.started(); !slices.Equal(got, []string{"03:00:00"}) {
		t.Errorf("got %q", got)
	}
}

func TestExactlyOneRunPerSlot(t *testing.T) {
	daily := `cron: "0 13 * * *"`
	at := func(w *world, d time.Duration) { w.now = now.Add(d) } // 12:30 and d
	for name, tc := range map[string]struct {
		play func(t *testing.T, w *world)
		want []string
	}{
		"two processes start one run": {func(t *testing.T, w *world) {
			a, b := w.process(), w.process()
			tick(t, a)
			tick(t, b)
			at(w, 31*time.Minute)
			tick(t, a)
			tick(t, b)
			w.finish("success")
			tick(t, b)
			tick(t, a)
		}, []string{"13:01:00"}},
		"a new leader runs the slot that the last one missed, of a job that never ran": {func(t *testing.T, w *world) {
			at(w, 40*time.Minute)
			next := w.process()
			next.Since = now
			tick(t, next)
		}, []string{"13:10:00"}},
		"a new leader does not repeat what the last one ran": {func(t *testing.T, w *world) {
			first := w.process()
			tick(t, first)
			at(w, 30*time.Minute)
			tick(t, first)
			at(w, 32*time.Minute)
			w.finish("success")
			next := w.process()
			next.Since = now
			tick(t, next)
		}, []string{"13:00:00"}},
		"a clock that was ahead and is set right repeats no slot and loses none": {func(t *testing.T, w *world) {
			h := w.process()
			tick(t, h)
			at(w, 30*24*time.Hour+31*time.Minute) // a month ahead, for a moment
			tick(t, h)                            // runs the slot of today
			w.finish("success")
			at(w, 2*time.Minute)
			tick(t, h)
			at(w, 31*time.Minute)
			tick(t, h)
			w.finish("success")
			at(w, 35*time.Minute)
			tick(t, h)
			at(w, 24*time.Hour+31*time.Minute)
			tick(t, h)
		}, []string{"13:01:00", "13:01:00"}},
		"a clock that falls back over a slot does not repeat it": {func(t *testing.T, w *world) {
			h := w.process()
			tick(t, h)
			at(w, 31*time.Minute)
			tick(t, h)
			at(w, 33*time.Minute)
			w.finish("success")
			at(w, 10*time.Minute)
			for range 30 {
				tick(t, h)
				w.now = w.now.Add(time.Minute)
			}
		}, []string{"13:01:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daily)
			tc.play(t, w)
			if got := w.started(); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// However processes start, die and overlap: each slot of a cron job is run
// once, and every slot at which the job was not running is run.
func TestEverySlotIsRunOnceWhateverHappensToProcesses(t *testing.T) {
	cfg := periodics(t, "", map[string]string{"p": `cron: "*/10 * * * *"`})
	rapid.Check(t, func(t *rapid.T) {
		begin := time.Date(2026, 3, 4, 0, 5, 0, 0, time.UTC)
		w := &world{now: begin, cfg: cfg}
		h := []*Horologium{w.process()}
		if err := h[0].Tick(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(20, 200).Draw(t, "minutes") {
			w.now = w.now.Add(time.Minute)
			switch rapid.IntRange(0, 5).Draw(t, "event") {
			case 0: // killed, and started again
				fresh := w.process()
				fresh.Since = w.now.Add(-time.Minute)
				h = []*Horologium{fresh}
			case 1: // a second one by mistake
				second := w.process()
				second.Since = w.now.Add(-time.Minute)
				h = append(h, second)
			}
			for _, p := range h {
				if err := p.Tick(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			w.finish("success") // within the minute
		}
		want := int(w.now.Sub(begin.Truncate(10*time.Minute)) / (10 * time.Minute))
		if len(w.jobs) != want {
			t.Fatalf("%d runs in %s, want %d: %q", len(w.jobs), w.now.Sub(begin), want, w.started())
		}
	})
}

func TestAChangedJitterNeitherRepeatsNorStopsAJob(t *testing.T) {
	w := newWorld(t, `cron: "0 13 * * *"`)
	h := w.process()
	tick(t, h)
	w.now = now.Add(31 * time.Minute)
	tick(t, h)
	w.finish("success")
	w.cfg = periodics(t, "horologium: {jitter: 2h}", map[string]string{"p": `cron: "0 13 * * *"`})
	var delay time.Duration
	for range 2 * 24 * 60 {
		w.now = w.now.Add(time.Minute)
		tick(t, h)
		w.finish("success")
		delay = h.seen["p"].delay
	}
	if len(w.jobs) != 2 || delay == 0 {
		t.Fatalf("delay %s, runs %q", delay, w.started())
	}
	if slot := w.jobs[1].Status.StartTime.Time; slot.Sub(time.Date(2026, 3, 5, 13, 0, 0, 0, time.UTC)) < delay {
		t.Errorf("ran at %s although delayed by %s", slot, delay)
	}
}

func TestOneBadCreationDoesNotKeepOthersFromStarting(t *testing.T) {
	w := &world{now: now, cfg: periodics(t, "", map[string]string{"a": "interval: 1h", "b": "interval: 1h"})}
	h := w.process()
	w.fail = errors.New("no")
	err := h.Tick(t.Context())
	if err == nil || !strings.Contains(err.Error(), "periodic a: no") || !strings.Contains(err.Error(), "periodic b: no") {
		t.Errorf("got %v", err)
	}
	w.fail = nil
	tick(t, h)
	if len(w.jobs) != 2 {
		t.Errorf("%d runs", len(w.jobs))
	}
}

func TestDryRunStartsNothing(t *testing.T) {
	w := newWorld(t, "interval: 1h")
	h := w.process()
	h.DryRun = true
	tick(t, h)
	if len(w.jobs) != 0 {
		t.Error("it started a run")
	}
}
