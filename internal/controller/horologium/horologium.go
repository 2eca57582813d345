package horologium

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

// Horologium starts periodics.
type Horologium struct {
	// Jobs lists and creates ProwJobs. It reads the API server or a synced cache.
	Jobs   client.Client
	Config func() *config.Config
	DryRun bool
	Now    func() time.Time
	Log    *slog.Logger

	seen map[string]sighting
}

// sighting remembers a cron expression, its schedule, and since when it is as it is.
type sighting struct {
	cron     string
	schedule cron.Schedule
	since    time.Time
}

// Tick looks at every periodic once. An error about one does not keep the
// others from starting.
func (h *Horologium) Tick(ctx context.Context) error {
	cfg := h.Config()
	var list prowv1.ProwJobList
	if err := h.Jobs.List(ctx, &list, client.InNamespace(cfg.ProwJobNamespace), client.MatchingLabels{prowv1.TypeLabel: string(prowv1.PeriodicJob)}); err != nil {
		return fmt.Errorf("list periodic ProwJobs: %w", err)
	}
	jobs := make([]*prowv1.ProwJob, len(list.Items))
	for i := range list.Items {
		jobs[i] = &list.Items[i]
	}
	newest := prowjob.LatestPerJob(jobs, prowv1.PeriodicJob)
	now := h.Now()
	seen := make(map[string]sighting, len(cfg.Periodics))
	var errs []error
	for i := range cfg.Periodics {
		p := &cfg.Periodics[i]
		s, err := h.sight(p, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("periodic %s: %w", p.Name, err))
			continue
		}
		seen[p.Name] = s
		next := due(p, s.schedule, newest[p.Name], s.since, now)
		if next == nil {
			continue
		}
		if err := h.start(ctx, cfg, p, next); err != nil {
			errs = append(errs, fmt.Errorf("start periodic %s: %w", p.Name, err))
		}
	}
	h.seen = seen
	return errors.Join(errs...)
}

func (h *Horologium) sight(p *config.Periodic, now time.Time) (sighting, error) {
	if s, ok := h.seen[p.Name]; ok && s.cron == p.Cron {
		return s, nil
	}
	s := sighting{cron: p.Cron, since: now}
	if p.Cron != "" {
		schedule, err := config.ParseCron(p.Cron)
		if err != nil {
			return s, err
		}
		s.schedule = schedule
	}
	return s, nil
}

func (h *Horologium) start(ctx context.Context, cfg *config.Config, p *config.Periodic, next *run) error {
	job := prowjob.NewPeriodic(p, next.attempt, prowjob.InNamespace(cfg.ProwJobNamespace), prowjob.WithClock(h.Now),
		prowjob.RequireScheduling(cfg.Scheduler.Enabled), prowjob.WithName(prowjob.StableName("periodic", p.Name, next.slot)))
	log := prowjob.Logger(h.Log, job).With("slot", next.slot)
	if h.DryRun {
		log.InfoContext(ctx, "dry-run: the periodic is due and not started")
		return nil
	}
	if err := h.Jobs.Create(ctx, job); apierrors.IsAlreadyExists(err) {
		return nil
	} else if err != nil {
		return err
	}
	log.InfoContext(ctx, "periodic started")
	return nil
}
