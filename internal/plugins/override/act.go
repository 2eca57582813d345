package override

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/joblabels"
	"prow/internal/plugins"
	"prow/internal/prowjob"
	"prow/internal/statusdesc"
)

// pull is a pull request while a comment is obeyed.
type pull struct {
	agent     *plugins.Agent
	event     *github.CommentEvent
	org, repo string
	pr        *github.PullRequest
	base      config.SHAGetter
}

// candidates reads what can be overridden now.
func (p *pull) candidates(ctx context.Context) ([]candidate, error) {
	results, err := p.agent.Results(ctx, p.org, p.repo, p.pr.Head.SHA, p.agent.UsesCheckRuns(p.org, p.repo))
	if err != nil {
		return nil, err
	}
	return candidates(results, p.required(ctx), p.agent.Presubmits(ctx, p.pr, p.base), p.pr.Base.Ref), nil
}

// required are the contexts without which the forge merges nothing into the branch.
// Where they cannot be read there are none.
func (p *pull) required(ctx context.Context) []string {
	protection, err := p.agent.GitHub.GetBranchProtection(ctx, p.org, p.repo, p.pr.Base.Ref)
	switch {
	case github.IsNotFound(err):
		return nil
	case err != nil:
		p.agent.Log.WarnContext(ctx, "what the branch requires is not known", "branch", p.pr.Base.Ref, "error", err)
		return nil
	case protection == nil || protection.RequiredStatusChecks == nil:
		return nil
	}
	return protection.RequiredStatusChecks.Contexts
}

// override sets the named results to success. One name that means nothing keeps all
// from being overridden.
func (p *pull) override(ctx context.Context, n *names, sticky bool) error {
	all, err := p.candidates(ctx)
	if err != nil {
		return p.fail(ctx, "The results cannot be read", err)
	}
	chosen, unknown := pick(all, n.list)
	if len(unknown) > 0 {
		return p.agent.Reply(ctx, p.event, unknownText(unknown, all))
	}
	text, lasts := prefix+" "+p.event.User.Login, ""
	if sticky {
		text += " " + stickyMarker
		lasts = "\n\nThis lasts until the next push or `/override-cancel`."
	}
	base, err := p.base(ctx)
	if err != nil {
		return p.fail(ctx, "The base branch cannot be read", err)
	}
	var done []string
	seen := map[string]bool{}
	for _, c := range chosen {
		if err = p.set(ctx, c, text, base, !seen[c.Context]); err != nil {
			break
		}
		seen[c.Context] = true
		done = append(done, c.Context)
	}
	var says []string
	if len(done) > 0 {
		says = append(says, "Overrode contexts on behalf of "+plugins.Code(p.event.User.Login)+":\n"+list(done)+lasts)
	}
	if err != nil {
		says = append(says, "An override failed: "+plugins.Code(err.Error()))
	}
	return errors.Join(err, p.agent.Reply(ctx, p.event, strings.Join(says, "\n\n")))
}

// set overrides one result. The ProwJob comes first: the merge automation believes a
// status only together with it.
func (p *pull) set(ctx context.Context, c candidate, text, base string, first bool) error {
	if c.job != nil && first {
		if err := p.createJob(ctx, c.job, text, base); err != nil {
			return err
		}
	}
	r := c.Result
	r.State, r.Description = github.StatusSuccess, text
	if !c.CheckRun {
		r.Description = statusdesc.Description(text, base)
	}
	if c.Green() && c.Description == r.Description {
		return nil // such as by handling the comment before the process died
	}
	return p.agent.SetResult(ctx, p.org, p.repo, p.pr.Head.SHA, r, "This result is overridden: "+p.event.HTMLURL)
}

// createJob makes a ProwJob that has succeeded. Its result is reported already.
func (p *pull) createJob(ctx context.Context, job *config.Presubmit, text, base string) error {
	pr := p.pr
	refs := prowjob.PullRefs(prowjob.PullRequest{
		Org: p.org, Repo: p.repo, RepoURL: pr.Base.Repo.HTMLURL, BaseRef: pr.Base.Ref, Number: pr.Number, Title: pr.Title, URL: pr.HTMLURL,
		Author: pr.User.Login, AuthorURL: pr.User.HTMLURL, HeadSHA: pr.Head.SHA, HeadRef: pr.Head.Ref,
	}, base)
	pj := prowjob.NewPresubmit(job, refs, prowjob.Event{GUID: p.agent.Delivery},
		// Both commands in one comment may name one job.
		prowjob.WithName(p.agent.NameFor("override "+job.Name)), prowjob.InNamespace(p.agent.Config.ProwJobNamespace), prowjob.WithClock(p.agent.Now))
	now := metav1.NewTime(p.agent.Now())
	pj.Status = v1.ProwJobStatus{
		State: v1.SuccessState, StartTime: now, PendingTime: &now, CompletionTime: &now, Description: text, URL: p.event.HTMLURL,
		PrevReportStates: map[string]v1.ProwJobState{v1.GitHubReporterName: v1.SuccessState},
	}
	if err := p.agent.ProwJobs.Create(ctx, pj); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating a ProwJob of %s that has succeeded: %w", job.Name, err)
	}
	return nil
}

// cancel takes overrides back, all where none is named.
func (p *pull) cancel(ctx context.Context, n *names) error {
	all, err := p.candidates(ctx)
	if err != nil {
		return p.fail(ctx, "The results cannot be read", err)
	}
	text := "Override cancelled by " + p.event.User.Login
	done, canceled := map[string]bool{}, []string{}
	for _, c := range all {
		if len(n.list) > 0 {
			if chosen, _ := pick([]candidate{c}, n.list); chosen == nil {
				continue
			}
		}
		again := c.Description == text // by handling the comment before the process died
		if !c.overridden() && !again {
			continue
		}
		if !again {
			r := c.Result
			r.State, r.Description = github.StatusFailure, text
			if err := p.agent.SetResult(ctx, p.org, p.repo, p.pr.Head.SHA, r, "The override is taken back: "+p.event.HTMLURL); err != nil {
				return p.fail(ctx, "An override cannot be taken back", err)
			}
		}
		done[c.Context] = true
		canceled = append(canceled, c.Context)
	}
	if len(canceled) == 0 {
		return p.agent.Reply(ctx, p.event, "There is no override that could be cancelled.")
	}
	if err := p.discardJobs(ctx, done, text); err != nil {
		return p.fail(ctx, "The jobs that an override has made cannot be changed", err)
	}
	return p.agent.Reply(ctx, p.event, "Cancelled overrides on behalf of "+plugins.Code(p.event.User.Login)+":\n"+list(canceled))
}

// discardJobs makes the ProwJobs of overrides count for nothing.
func (p *pull) discardJobs(ctx context.Context, contexts map[string]bool, text string) error {
	labels, _ := joblabels.For(v1.ProwJobSpec{Type: v1.PresubmitJob, Refs: &v1.Refs{Org: p.org, Repo: p.repo, Pulls: []v1.Pull{{Number: p.event.Number}}}}, nil, nil)
	selector := client.MatchingLabels{}
	for _, key := range []string{v1.TypeLabel, v1.OrgLabel, v1.RepoLabel, v1.PullLabel} {
		if value, ok := labels[key]; ok {
			selector[key] = value
		}
	}
	var jobs v1.ProwJobList
	if err := p.agent.ProwJobs.List(ctx, &jobs, client.InNamespace(p.agent.Config.ProwJobNamespace), selector); err != nil {
		return fmt.Errorf("listing the jobs of overrides: %w", err)
	}
	for i := range jobs.Items {
		pj := &jobs.Items[i]
		refs := pj.Spec.Refs
		if !contexts[pj.Spec.Context] || pj.Status.State != v1.SuccessState || !strings.HasPrefix(pj.Status.Description, prefix) ||
			refs == nil || refs.Org != p.org || refs.Repo != p.repo || len(refs.Pulls) != 1 || refs.Pulls[0].SHA != p.pr.Head.SHA {
			continue
		}
		prowjob.Supersede(pj)
		pj.Status.Description = text
		if err := p.agent.ProwJobs.Update(ctx, pj); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("discarding the job %s of an override: %w", pj.Name, err)
		}
	}
	return nil
}
