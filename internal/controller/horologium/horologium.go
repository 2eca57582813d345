package horologium

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"prow/internal/config"
	"prow/internal/jobview"
	"prow/internal/prowjob"
)

// creators is how many ProwJobs are created at a time.
const creators = 8

// Horologium starts periodics.
type Horologium struct {
	// Create makes a ProwJob in the service cluster.
	Create client.Writer
	// Runs are the known runs of periodics; they may lag behind.
	Runs   func() []*jobview.Job
	Config func() *config.Config
	// Since is when periodics were last looked at before this process; zero if
	// that is not known. A cron job that has never run is due at the slots since then.
	Since  time.Time
	DryRun bool
	Now    func() time.Time
	Log    *slog.Logger
	// Took, if set, is told how long each tick took.
	Took func(time.Duration)

	seen     map[string]sighting
	reckoned reckoning
}

// sighting remembers a cron expression, its schedule, and since when it is as it is.
type sighting struct {
	cron     string
	schedule cron.Schedule
	since    time.Time
	// delay is that of the limit.
	delay, limit time.Duration
}

// start is a run that is to be started.
type start struct {
	periodic *config.Periodic
	run      *run
}

// Tick looks at every periodic once. An error about one does not keep the
// others from starting.
func (h *Horologium) Tick(ctx context.Context) error {
	if h.Took != nil {
		begin := h.Now()
		defer func() { h.Took(h.Now().Sub(begin)) }()
	}
	cfg := h.Config()
	starts, err := h.plan(cfg)
	errs := []error{err}
	var mu sync.Mutex
	group := new(errgroup.Group)
	group.SetLimit(creators)
	for _, s := range starts {
		group.Go(func() error {
			if err := h.start(ctx, cfg, s); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("start periodic %s: %w", s.periodic.Name, err))
			}
			return nil
		})
	}
	_ = group.Wait() // its functions return nil
	return errors.Join(errs...)
}

// plan decides which periodics are due. It writes nothing.
func (h *Horologium) plan(cfg *config.Config) ([]start, error) {
	now := h.Now()
	newest, reckoned := newestRuns(h.Runs(), now, h.reckoned)
	seen := make(map[string]sighting, len(cfg.Periodics))
	var starts []start
	var errs []error
	for i := range cfg.Periodics {
		p := &cfg.Periodics[i]
		s, err := h.sight(p, cfg.Horologium.JitterLimit(), now)
		if err != nil {
			errs = append(errs, fmt.Errorf("periodic %s: %w", p.Name, err))
			continue
		}
		seen[p.Name] = s
		if next := due(p, s.schedule, newest[p.Name], s.since, now, s.delay); next != nil {
			starts = append(starts, start{p, next})
		}
	}
	h.seen, h.reckoned = seen, reckoned
	return starts, errors.Join(errs...)
}

func (h *Horologium) sight(p *config.Periodic, limit time.Duration, now time.Time) (sighting, error) {
	s, known := h.seen[p.Name]
	if known && s.cron == p.Cron && s.limit == limit {
		if s.since.After(now) { // the clock was set back
			s.since = now
		}
		return s, nil
	}
	if !known || s.cron != p.Cron {
		s = sighting{cron: p.Cron, since: now}
		if h.seen == nil && !h.Since.IsZero() && h.Since.Before(now) {
			s.since = h.Since
		}
		if p.Cron != "" {
			schedule, err := config.ParseCron(p.Cron)
			if err != nil {
				return s, err
			}
			s.schedule = schedule
		}
	}
	s.limit = limit
	if _, every := s.schedule.(cron.ConstantDelaySchedule); s.schedule != nil && !every {
		s.delay = jitter(p.Name, s.schedule, limit)
	}
	return s, nil
}

func (h *Horologium) start(ctx context.Context, cfg *config.Config, s start) error {
	job := prowjob.NewPeriodic(s.periodic, s.run.attempt, prowjob.InNamespace(cfg.ProwJobNamespace), prowjob.WithClock(h.Now),
		prowjob.RequireScheduling(cfg.Scheduler.Enabled), prowjob.WithName(s.run.name(s.periodic.Name)))
	log := prowjob.Logger(h.Log, job).With("slot", s.run.slot)
	if h.DryRun {
		log.InfoContext(ctx, "dry-run: the periodic is due and not started")
		return nil
	}
	if err := h.Create.Create(ctx, job); apierrors.IsAlreadyExists(err) {
		return nil // by another process, or before what Runs knows
	} else if err != nil {
		return err
	}
	log.InfoContext(ctx, "periodic started")
	return nil
}
