package trigger

import (
	"context"
	"fmt"
	"log/slog"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// rerunAction is the identifier of the button with which check runs are reported.
const rerunAction = "rerun"

// handleCheckRun runs a job again whose check run somebody asks for, as if they
// had commented /test on the pull request: under the same rules of trust.
func handleCheckRun(ctx context.Context, a *plugins.Agent, e *github.CheckRunEvent) error {
	if e.Action != github.ActionRerequested && (e.Action != github.ActionRequestedAction || e.RequestedAction.Identifier != rerunAction) {
		return nil
	}
	number, err := pullOfCheckRun(ctx, a, e)
	if err != nil || number == 0 {
		return err
	}
	p := newPull(a, e.Repo, number)
	return p.result(p.rerunCheck(ctx, e))
}

// pullOfCheckRun finds the pull request by the ProwJob that the check run shows; 0
// where the check run is none of ours. The event does not name it for forks.
func pullOfCheckRun(ctx context.Context, a *plugins.Agent, e *github.CheckRunEvent) (int, error) {
	var pj v1.ProwJob
	if e.CheckRun.ExternalID == "" {
		return 0, nil
	}
	err := a.ProwJobs.Get(ctx, client.ObjectKey{Namespace: a.Config.ProwJobNamespace, Name: e.CheckRun.ExternalID}, &pj)
	if apierrors.IsNotFound(err) {
		a.Log.InfoContext(ctx, "the job of the check run is gone, it is not run again", "external_id", e.CheckRun.ExternalID)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the job of check run %d: %w", e.CheckRun.ID, err)
	}
	refs := pj.Spec.Refs
	if pj.Spec.Type != v1.PresubmitJob || pj.Spec.Context != e.CheckRun.Name || refs == nil || len(refs.Pulls) != 1 ||
		refs.Org != e.Repo.Owner.Login || refs.Repo != e.Repo.Name || refs.Pulls[0].SHA != e.CheckRun.HeadSHA {
		a.Log.InfoContext(ctx, "the check run is not that of the job it names", "external_id", e.CheckRun.ExternalID)
		return 0, nil
	}
	return refs.Pulls[0].Number, nil
}

// rerunCheck starts the job of a check run on the head of the pull request.
func (p *pull) rerunCheck(ctx context.Context, e *github.CheckRunEvent) error {
	log := p.agent.Log.With(slog.String("context", e.CheckRun.Name), slog.String("author", e.Sender.Login))
	pr, err := p.get(ctx)
	if err != nil {
		return err
	}
	if pr.State != "open" || pr.Head.SHA != e.CheckRun.HeadSHA {
		log.InfoContext(ctx, "nothing is run again: the check run is not of the head of an open pull request")
		return nil
	}
	sender, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, e.Sender)
	if err != nil {
		return err
	}
	if !sender.Trusted {
		trust, err := p.trustOf(ctx, pr.User)
		if err != nil {
			return err
		}
		if !trust.trusted {
			log.InfoContext(ctx, "nothing is run again: neither who asks nor the pull request is trusted", "reason", sender.Reason)
			return nil
		}
	}
	asked := func(job *config.Presubmit) (matches, forced, defaults bool) {
		named := job.Context == e.CheckRun.Name
		return named, named, true
	}
	chosen, err := config.FilterPresubmits(asked, pr.Base.Ref, p.changes(ctx), p.presubmits(ctx))
	if err != nil {
		return err
	}
	return p.start(ctx, chosen, true)
}

// checkContexts adds the check runs of a commit to the contexts that comments are
// about.
func (p *pull) checkContexts(ctx context.Context, sha string, failed, all map[string]bool) error {
	runs, err := p.agent.GitHub.ListCheckRuns(ctx, p.org, p.repo, sha)
	if err != nil {
		return fmt.Errorf("reading the check runs of %s: %w", sha, err)
	}
	for _, run := range runs {
		all[run.Name] = true
		switch run.Conclusion {
		case "", github.ConclusionSuccess, "neutral", "skipped":
		default:
			failed[run.Name] = true
		}
	}
	return nil
}
