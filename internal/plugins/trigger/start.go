package trigger

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/joblabels"
	"prow/internal/plugins"
	"prow/internal/prowjob"
)

// creation is how the creation of a ProwJob is tried again.
var creation = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 8}

// startAutomatic starts the jobs that do not wait to be asked for. Drafts are left alone.
func (p *pull) startAutomatic(ctx context.Context) error {
	pr, err := p.get(ctx)
	if err != nil || pr.Draft {
		return err
	}
	chosen, err := config.FilterPresubmits(config.TestAllFilter(), pr.Base.Ref, p.changes(ctx), p.presubmits(ctx))
	if err != nil {
		return err
	}
	return p.start(ctx, chosen, false)
}

// start creates a ProwJob for each presubmit. One that cannot be created does not
// stop the others.
func (p *pull) start(ctx context.Context, jobs []*config.Presubmit, retest bool) error {
	if len(jobs) == 0 {
		return nil
	}
	pr, err := p.get(ctx)
	if err != nil {
		return err
	}
	if conflicts(pr) {
		p.agent.Log.InfoContext(ctx, "nothing is started: the pull request cannot be merged")
		return nil
	}
	base, err := p.baseSHA(ctx)
	if err != nil {
		return err
	}
	refs := prowjob.PullRefs(prowjob.PullRequest{
		Org: p.org, Repo: p.repo, RepoURL: pr.Base.Repo.HTMLURL, BaseRef: pr.Base.Ref, Number: pr.Number, Title: pr.Title, URL: pr.HTMLURL,
		Author: pr.User.Login, AuthorURL: pr.User.HTMLURL, HeadSHA: pr.Head.SHA, HeadRef: pr.Head.Ref,
	}, base)
	var errs []error
	for _, job := range jobs {
		pj := prowjob.NewPresubmit(job, refs, prowjob.Event{GUID: p.agent.Delivery, Retest: retest}, jobOptions(p.agent, "presubmit "+job.Name)...)
		errs = append(errs, create(ctx, p.agent, pj))
	}
	return errors.Join(errs...)
}

// conflicts tells whether the forge says that a pull request cannot be merged. As
// long as it does not know yet, it can.
func conflicts(pr *github.PullRequest) bool { return pr.Mergable != nil && !*pr.Mergable }

func jobOptions(a *plugins.Agent, what string) []prowjob.Option {
	return []prowjob.Option{
		// The same delivery asks for each job once, whichever of its texts does.
		prowjob.WithName(a.NameFor(what)), prowjob.InNamespace(a.Config.ProwJobNamespace), prowjob.WithClock(a.Now),
		prowjob.RequireScheduling(a.Config.Scheduler.Enabled),
	}
}

func create(ctx context.Context, a *plugins.Agent, pj *v1.ProwJob) error {
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, creation, func(ctx context.Context) (done bool, err error) {
		last = a.ProwJobs.Create(ctx, pj.DeepCopy())
		switch {
		case last == nil:
			a.Log.InfoContext(ctx, "started a job", "job", pj.Spec.Job, "name", pj.Name)
			return true, nil
		case apierrors.IsAlreadyExists(last):
			return true, nil
		case apierrors.IsInvalid(last):
			return false, last
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("creating a ProwJob of %s: %w", pj.Spec.Job, errors.Join(err, last))
	}
	return nil
}

// abort stops all jobs of the pull request but those that this very event started
// when it was handled before.
func (p *pull) abort(ctx context.Context) error {
	labels, _ := joblabels.For(v1.ProwJobSpec{Type: v1.PresubmitJob, Refs: &v1.Refs{Org: p.org, Repo: p.repo, Pulls: []v1.Pull{{Number: p.number}}}}, nil, nil)
	selector := client.MatchingLabels{}
	for _, key := range []string{v1.TypeLabel, v1.OrgLabel, v1.RepoLabel, v1.PullLabel} {
		if value, ok := labels[key]; ok {
			selector[key] = value
		}
	}
	var list v1.ProwJobList
	if err := p.agent.ProwJobs.List(ctx, &list, client.InNamespace(p.agent.Config.ProwJobNamespace), selector); err != nil {
		return fmt.Errorf("listing the jobs to abort: %w", err)
	}
	var errs []error
	for i := range list.Items {
		pj := &list.Items[i]
		// Labels are cut to what a label may hold; the refs are the truth.
		refs := pj.Spec.Refs
		if pj.Complete() || refs == nil || refs.Org != p.org || refs.Repo != p.repo || pj.Labels[v1.EventGUIDLabel] == p.agent.Delivery {
			continue
		}
		pj.Status.State = v1.AbortedState
		pj.Status.Description = "Aborted by the " + Name + " plugin."
		// The completion is left to the controller, which stops the workload first. On
		// a conflict it has just decided about the job itself.
		if err := p.agent.ProwJobs.Update(ctx, pj); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("aborting %s: %w", pj.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Events by which GitHub's own workflows run for a pull request.
const pullRequestEvents = "pull_request OR pull_request_target"

// approveWorkflows lets GitHub's own workflows run that wait for approval.
func (p *pull) approveWorkflows(ctx context.Context, pr *github.PullRequest) error {
	runs, err := p.agent.GitHub.ListWorkflowRuns(ctx, p.org, p.repo, pr.Head.SHA, pr.Head.Ref, pullRequestEvents, "action_required")
	if err != nil {
		return fmt.Errorf("listing the workflows that wait for approval: %w", err)
	}
	for _, run := range runs {
		p.logWorkflow(ctx, "approve", run, p.agent.GitHub.ApproveWorkflowRun(ctx, p.org, p.repo, run.ID))
	}
	return nil
}

// rerunWorkflows runs the failed jobs of GitHub's own workflows again.
func (p *pull) rerunWorkflows(ctx context.Context, pr *github.PullRequest) error {
	runs, err := p.agent.GitHub.ListWorkflowRuns(ctx, p.org, p.repo, pr.Head.SHA, pr.Head.Ref, pullRequestEvents+" OR workflow_call", "")
	if err != nil {
		return fmt.Errorf("listing the workflows that have failed: %w", err)
	}
	for _, run := range runs {
		if run.Status == "completed" && run.Conclusion != "success" && run.Conclusion != "skipped" {
			p.logWorkflow(ctx, "rerun", run, p.agent.GitHub.RerunFailedJobs(ctx, p.org, p.repo, run.ID))
		}
	}
	return nil
}

func (p *pull) logWorkflow(ctx context.Context, what string, run github.WorkflowRun, err error) {
	log := p.agent.Log.With("workflow", run.Name, "run", run.ID, "request", what)
	switch {
	case err == nil:
	case github.IsNotFound(err):
		log.InfoContext(ctx, "the workflow run is gone", "error", err)
	case github.IsForbidden(err):
		log.WarnContext(ctx, "the bot may not touch the workflow run", "error", err)
	default:
		log.ErrorContext(ctx, "the workflow run stays as it is", "error", err)
	}
}
