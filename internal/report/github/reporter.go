package github

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	forge "prow/internal/forge/github"
	"prow/internal/prowjob"
	"prow/internal/statusdesc"
)

// reportLimit bounds one report.
const reportLimit = 5 * time.Minute

// Client is what the reporter asks of the forge.
type Client interface {
	BotUserChecker(ctx context.Context) (func(login string) bool, error)
	CreateStatus(ctx context.Context, org, repo, sha string, s forge.Status) error
	ListIssueComments(ctx context.Context, org, repo string, number int) ([]forge.IssueComment, error)
	CreateComment(ctx context.Context, org, repo string, number int, body string) error
	EditComment(ctx context.Context, org, repo string, id int64, body string) error
	DeleteComment(ctx context.Context, org, repo string, id int64) error
}

// Reporter reports presubmits and postsubmits on GitHub.
type Reporter struct {
	Forge  Client
	Config func() *config.Config
	// Jobs lists the other jobs of a pull request, for summary comments.
	Jobs client.Reader
	// Agent limits reports to jobs of one agent; empty is all.
	Agent prowv1.ProwJobAgent
	Log   *slog.Logger

	pulls pullLocks
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return prowv1.GitHubReporterName }

// ShouldReport takes presubmits and postsubmits that report and are not Gerrit's.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	switch {
	case !job.Spec.Report, job.Spec.Refs == nil, job.Labels[prowv1.GerritReportLabel] != "",
		r.Agent != "" && job.Spec.Agent != r.Agent, job.Status.State == prowv1.SchedulingState:
		return false
	}
	return job.Spec.Type == prowv1.PresubmitJob || job.Spec.Type == prowv1.PostsubmitJob
}

// goneTexts tell that the forge will never take a status for this commit.
var goneTexts = []string{"This SHA and context has reached the maximum number of statuses", "Not Found", "No commit found for SHA:"}

// Report sets the commit status and, for complete presubmits, renews the comment.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	cfg := r.Config().GitHubReporter
	if err := r.status(ctx, job, cfg.JobTypesToReport); err != nil {
		if slices.ContainsFunc(goneTexts, func(text string) bool { return strings.Contains(err.Error(), text) }) {
			prowjob.Logger(r.Log, job).InfoContext(ctx, "the commit takes no status any more", "error", err)
			return []*prowv1.ProwJob{job}, 0, nil
		}
		return nil, 0, fmt.Errorf("set the status: %w", err)
	}
	if err := r.comment(ctx, job, cfg); err != nil {
		return nil, 0, fmt.Errorf("comment: %w", err)
	}
	return []*prowv1.ProwJob{job}, 0, nil
}

func (r *Reporter) status(ctx context.Context, job *prowv1.ProwJob, types []prowv1.ProwJobType) error {
	refs := job.Spec.Refs
	if !slices.Contains(types, job.Spec.Type) || len(refs.Pulls) > 1 {
		return nil
	}
	state, err := statusState(job.Status.State)
	if err != nil {
		return err
	}
	sha := refs.BaseSHA
	if len(refs.Pulls) > 0 {
		sha = refs.Pulls[0].SHA
	}
	return r.Forge.CreateStatus(ctx, refs.Org, refs.Repo, sha, forge.Status{
		State: state, Context: job.Spec.Context, TargetURL: job.Status.URL, Description: statusdesc.Description(job.Status.Description, refs.BaseSHA),
	})
}

func listed(repos []string, refs *prowv1.Refs) bool {
	return slices.Contains(repos, refs.Org) || slices.Contains(repos, refs.Org+"/"+refs.Repo)
}

func (r *Reporter) comment(ctx context.Context, job *prowv1.ProwJob, cfg config.GitHubReporter) error {
	refs := job.Spec.Refs
	if job.Spec.Type == prowv1.PresubmitJob && len(refs.Pulls) != 1 {
		return fmt.Errorf("presubmit %s has %d pulls, not 1", job.Name, len(refs.Pulls))
	}
	if len(refs.Pulls) != 1 || listed(cfg.NoCommentRepos, refs) {
		return nil
	}
	unlock, err := r.pulls.lock(ctx, fmt.Sprintf("%s/%s#%d", refs.Org, refs.Repo, refs.Pulls[0].Number))
	if err != nil {
		return err
	}
	defer unlock()

	jobs, summary := []*prowv1.ProwJob{job}, listed(cfg.SummaryCommentRepos, refs)
	if summary {
		if jobs, err = r.allOfPull(ctx, job); err != nil || jobs == nil {
			return err
		}
	}
	jobs = slices.DeleteFunc(jobs, func(j *prowv1.ProwJob) bool {
		return !j.Spec.Report || !j.Complete() || !slices.Contains(cfg.JobTypesToReport, j.Spec.Type)
	})
	if len(jobs) == 0 {
		return nil
	}
	isBot, err := r.Forge.BotUserChecker(ctx)
	if err != nil {
		return err
	}
	number := refs.Pulls[0].Number
	comments, err := r.Forge.ListIssueComments(ctx, refs.Org, refs.Repo, number)
	if err != nil {
		return fmt.Errorf("list comments: %w", err)
	}
	plan := planComment(comments, isBot, jobs, summary)
	for _, id := range plan.remove {
		if err := r.Forge.DeleteComment(ctx, refs.Org, refs.Repo, id); err != nil {
			return fmt.Errorf("delete comment %d: %w", id, err)
		}
	}
	if !plan.write {
		return nil
	}
	text := commentText(refs.Pulls[0].Author, plan.rows, r.extra(ctx, jobs[0]))
	if plan.edit != 0 {
		return r.Forge.EditComment(ctx, refs.Org, refs.Repo, plan.edit, text)
	}
	return r.Forge.CreateComment(ctx, refs.Org, refs.Repo, number, text)
}

// extra renders the report template; a template that fails is logged and left out.
func (r *Reporter) extra(ctx context.Context, job *prowv1.ProwJob) string {
	t := r.Config().Plank.ReportTemplateFor(job.Spec.Refs)
	if t == nil {
		return ""
	}
	var b bytes.Buffer
	if err := t.Execute(&b, job); err != nil {
		prowjob.Logger(r.Log, job).ErrorContext(ctx, "the report template fails", "error", err)
		return ""
	}
	return b.String()
}

// allOfPull lists the newest run of each reporting job of the pull request, nil
// while any run is incomplete.
func (r *Reporter) allOfPull(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, error) {
	same := client.MatchingLabels{}
	for _, key := range []string{prowv1.OrgLabel, prowv1.RepoLabel, prowv1.PullLabel} {
		same[key] = job.Labels[key]
	}
	var list prowv1.ProwJobList
	if err := r.Jobs.List(ctx, &list, client.InNamespace(job.Namespace), same); err != nil {
		return nil, fmt.Errorf("list the jobs of the pull request: %w", err)
	}
	newest := map[string]*prowv1.ProwJob{}
	for i := range list.Items {
		j := &list.Items[i]
		if !j.Complete() {
			return nil, nil
		}
		if best := newest[j.Spec.Job]; j.Spec.Report && (best == nil || best.CreationTimestamp.Before(&j.CreationTimestamp)) {
			newest[j.Spec.Job] = j
		}
	}
	out := make([]*prowv1.ProwJob, 0, len(newest))
	for _, j := range newest {
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b *prowv1.ProwJob) int { return strings.Compare(a.Spec.Job, b.Spec.Job) })
	return out, nil
}

// pullLocks serialise the comments of one pull request. A lock nobody holds or
// waits for takes no memory.
type pullLocks struct {
	mu    sync.Mutex
	locks map[string]*pullLock
}

type pullLock struct {
	ch    chan struct{}
	users int
}

func (l *pullLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = map[string]*pullLock{}
	}
	p := l.locks[key]
	if p == nil {
		p = &pullLock{ch: make(chan struct{}, 1)}
		l.locks[key] = p
	}
	p.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if p.users--; p.users == 0 {
			delete(l.locks, key)
		}
	}
	select {
	case p.ch <- struct{}{}:
		return func() { <-p.ch; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
