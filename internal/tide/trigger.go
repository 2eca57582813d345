package tide

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/prowjob"
)

// maxAttempts bounds how often one job is started for the same commits.
const maxAttempts = 1000

// trigger starts jobs for pull requests: as a batch, which reports to none of them,
// or as presubmits of a single one. Jobs that were started already, by this process
// or one before, are not started again.
func (s *Syncer) trigger(ctx context.Context, cfg *config.Config, p *pool, prs []*PullRequest, presubmits []*config.Presubmit, batch bool) error {
	refs := s.Provider.Refs(cfg, p.BaseSHA, prs)
	started := map[string]bool{}
	for _, job := range presubmits {
		if started[job.Context] {
			continue
		}
		started[job.Context] = true
		if err := s.start(ctx, cfg, job, refs, prs, batch); err != nil {
			return fmt.Errorf("start job %s for %s: %w", job.Name, p.key(), err)
		}
	}
	return nil
}

func (s *Syncer) start(ctx context.Context, cfg *config.Config, job *config.Presubmit, refs prowv1.Refs, prs []*PullRequest, batch bool) error {
	labels, annotations := s.Provider.Marks(job, prs)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[prowv1.CreatedByTideLabel] = "true"
	options := []prowjob.Option{
		prowjob.RequireScheduling(cfg.Scheduler.Enabled), prowjob.InNamespace(cfg.ProwJobNamespace), prowjob.WithClock(s.Now),
	}
	parts := []string{"tide", job.Name, poolJobsKey(refs.Org, refs.Repo, refs.BaseRef, refs.BaseSHA)}
	if batch && len(refs.Pulls) == 1 {
		parts[0] = "tide-trial" // told from the presubmit
	}
	for _, pull := range refs.Pulls {
		parts = append(parts, strconv.Itoa(pull.Number), pull.SHA)
	}
	if batch {
		live, err := jobs(ctx, s.Jobs, cfg.ProwJobNamespace, indexLiveBatch, liveBatchKey(job.Name, refs))
		if err != nil || len(live) > 0 {
			return err
		}
	}
	// The name follows from what is tested, so that a crash between creating a job
	// and learning of it starts nothing twice. Each failure has a successor.
	for attempt := range maxAttempts {
		name := prowjob.StableName(append(slices.Clip(parts), strconv.Itoa(attempt))...)
		var existing prowv1.ProwJob
		err := s.Jobs.Get(ctx, types.NamespacedName{Namespace: cfg.ProwJobNamespace, Name: name}, &existing)
		switch {
		case err == nil && unfailed(&existing):
			return nil
		case err == nil:
			continue
		case !apierrors.IsNotFound(err):
			return err
		}
		spec := prowjob.PresubmitSpec(job, refs)
		if batch {
			spec = prowjob.BatchSpec(job, refs)
		}
		pj := prowjob.New(spec, labels, annotations, append(options, prowjob.WithName(name))...)
		// Where it exists already the cache does not show it yet.
		if err := s.Jobs.Create(ctx, pj); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		s.Log.LogAttrs(ctx, slog.LevelInfo, "started a job", prowjob.LogAttrs(pj)...)
		return nil
	}
	return fmt.Errorf("it failed %d times for the same commits", maxAttempts)
}

// JobClient reads, creates and aborts ProwJobs. Reads know the [Indexes].
type JobClient interface {
	client.Reader
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error
}
