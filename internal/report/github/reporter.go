package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	forge "prow/internal/forge/github"
	"prow/internal/prowjob"
	"prow/internal/report"
	"prow/internal/statusdesc"
)

// reportLimit bounds one report.
const reportLimit = 5 * time.Minute

// Client is what the reporter asks of the forge about statuses and comments.
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
	Checks Checks
	Config func() *config.Config
	// Jobs lists the other jobs of a pull request by report.SubjectIndex.
	Jobs client.Reader
	// Whole reads a job with everything that a template may show.
	Whole client.Reader
	// Failures reads which tests of a run have failed, for check runs; nil reads none.
	Failures func(ctx context.Context, job *prowv1.ProwJob) ([]Failure, error)
	// Agent limits reports to jobs of one agent; empty is all.
	Agent prowv1.ProwJobAgent
	Log   *slog.Logger

	locks report.Locks
	begin sync.Once
	// began is when the first report was made.
	began time.Time
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return prowv1.GitHubReporterName }

// ShouldReport takes presubmits and postsubmits that report and are not Gerrit's.
// A job that waits for a cluster has nothing to tell yet.
func (r *Reporter) ShouldReport(_ context.Context, job *prowv1.ProwJob) bool {
	switch {
	case !job.Spec.Report, job.Spec.Refs == nil, job.Labels[prowv1.GerritReportLabel] != "",
		r.Agent != "" && job.Spec.Agent != r.Agent, job.Status.State == prowv1.SchedulingState:
		return false
	}
	return job.Spec.Type == prowv1.PresubmitJob || job.Spec.Type == prowv1.PostsubmitJob
}

// goneTexts tell that the forge will never take a status for this commit.
var goneTexts = []string{"This SHA and context has reached the maximum number of statuses", `"message":"Not Found"`, "No commit found for SHA:"}

// isGone tells whether a commit takes no status, now or later.
func isGone(err error) bool {
	return forge.IsNotFound(err) || slices.ContainsFunc(goneTexts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// lastingTexts tell of refusals that stay until a person does something.
var lastingTexts = []string{"issue is locked", "You must authenticate via a GitHub App"}

// lasting marks such refusals, so that they are not tried for ever.
func lasting(err error) error {
	if forge.StatusCode(err) == http.StatusGone || err != nil && slices.ContainsFunc(lastingTexts, func(text string) bool { return strings.Contains(err.Error(), text) }) {
		return report.UserError(err)
	}
	return err
}

// Report sets the commit status or check run and, for complete jobs of a pull
// request, renews the comment.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	cfg := r.Config().GitHubReporter
	if err := r.result(ctx, job, &cfg); err != nil {
		if isGone(err) {
			prowjob.Logger(r.Log, job).InfoContext(ctx, "the commit takes no status any more", "error", err)
			return []*prowv1.ProwJob{job}, 0, nil
		}
		return nil, 0, lasting(fmt.Errorf("set the status: %w", err))
	}
	if err := r.comment(ctx, job, &cfg); err != nil {
		return nil, 0, lasting(fmt.Errorf("comment: %w", err))
	}
	return []*prowv1.ProwJob{job}, 0, nil
}

// result sets the status or check run.
func (r *Reporter) result(ctx context.Context, job *prowv1.ProwJob, cfg *config.GitHubReporter) error {
	refs := job.Spec.Refs
	if !cfg.Reports(job.Spec.Type) || len(refs.Pulls) > 1 {
		return nil
	}
	if cfg.CheckRuns(refs.Org, refs.Repo) {
		return r.checkRun(ctx, job)
	}
	// From the look at the other runs until the status is written no other run may
	// write its own, or the older one could have the last word.
	unlock, err := r.locks.Lock(ctx, report.Subject(&job.Spec)+" "+job.Spec.Context)
	if err != nil {
		return err
	}
	defer unlock()
	if newer, err := r.newerRun(ctx, job); err != nil || newer == sameCommit {
		return err
	}
	return r.status(ctx, job)
}

func (r *Reporter) status(ctx context.Context, job *prowv1.ProwJob) error {
	state, err := statusState(job.Status.State)
	if err != nil {
		return err
	}
	refs := job.Spec.Refs
	want := forge.Status{
		State: state, Context: job.Spec.Context, TargetURL: job.Status.URL, Description: statusdesc.Description(job.Status.Description, refs.BaseSHA),
	}
	if r.mayBeTold(job) && r.told(ctx, refs, want) {
		return nil
	}
	return r.Forge.CreateStatus(ctx, refs.Org, refs.Repo, headSHA(refs), want)
}

// statusReader reads the newest statuses of a commit.
type statusReader interface {
	GetCombinedStatus(ctx context.Context, org, repo, ref string) (*forge.CombinedStatus, error)
}

// mayBeTold tells whether a job came into its state before this process reported
// anything: one that died may have told it and not have recorded that.
func (r *Reporter) mayBeTold(job *prowv1.ProwJob) bool {
	r.begin.Do(func() { r.began = time.Now() })
	changed := job.Status.StartTime.Time
	for _, t := range []*metav1.Time{job.Status.PendingTime, job.Status.CompletionTime} {
		if t != nil && t.After(changed) {
			changed = t.Time
		}
	}
	return changed.Before(r.began)
}

// told tells whether the status is the newest of its context. Where that cannot be
// found out it is told once more.
func (r *Reporter) told(ctx context.Context, refs *prowv1.Refs, want forge.Status) bool {
	reader, ok := r.Forge.(statusReader)
	if !ok {
		return false
	}
	combined, err := reader.GetCombinedStatus(ctx, refs.Org, refs.Repo, headSHA(refs))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(combined.Statuses, func(s forge.Status) bool {
		return s.Context == want.Context && s.State == want.State && s.Description == want.Description && s.TargetURL == want.TargetURL
	})
}

// headSHA is the commit that a job is reported on.
func headSHA(refs *prowv1.Refs) string {
	if len(refs.Pulls) > 0 {
		return refs.Pulls[0].SHA
	}
	return refs.BaseSHA
}

// newer says what newer runs of a job there are.
type newer int

const (
	none newer = iota
	// otherCommit: the pull request has a newer run on another commit.
	otherCommit
	// sameCommit: the commit has a newer run.
	sameCommit
)

// newerRun looks for a newer run of the same context that reports too.
func (r *Reporter) newerRun(ctx context.Context, job *prowv1.ProwJob) (newer, error) {
	others, err := report.SameSubject(ctx, r.Jobs, job)
	found := none
	for i := range others {
		o := &others[i]
		if o.Spec.Context != job.Spec.Context || o.Spec.Type != job.Spec.Type || !o.CreationTimestamp.After(job.CreationTimestamp.Time) || !r.ShouldReport(ctx, o) {
			continue
		}
		if headSHA(o.Spec.Refs) == headSHA(job.Spec.Refs) {
			return sameCommit, err
		}
		found = otherCommit
	}
	return found, err
}

func (r *Reporter) comment(ctx context.Context, job *prowv1.ProwJob, cfg *config.GitHubReporter) error {
	refs := job.Spec.Refs
	if job.Spec.Type == prowv1.PresubmitJob && len(refs.Pulls) != 1 {
		return report.UserError(fmt.Errorf("presubmit %s has %d pulls, not 1", job.Name, len(refs.Pulls)))
	}
	if len(refs.Pulls) != 1 || cfg.NoComments(refs.Org, refs.Repo) {
		return nil
	}
	unlock, err := r.locks.Lock(ctx, report.Subject(&job.Spec))
	if err != nil {
		return err
	}
	defer unlock()

	jobs, summary := []*prowv1.ProwJob{job}, cfg.SummaryComment(refs.Org, refs.Repo)
	if summary {
		jobs, err = r.allOfPull(ctx, job)
	} else if found, e := r.newerRun(ctx, job); e != nil || found != none {
		return e
	}
	if err != nil {
		return err
	}
	jobs = slices.DeleteFunc(jobs, func(j *prowv1.ProwJob) bool {
		return !j.Spec.Report || !j.Complete() || !cfg.Reports(j.Spec.Type)
	})
	if len(jobs) == 0 {
		return nil
	}
	isBot, err := r.Forge.BotUserChecker(ctx)
	if err != nil {
		return err
	}
	comments, err := r.Forge.ListIssueComments(ctx, refs.Org, refs.Repo, refs.Pulls[0].Number)
	if err != nil {
		return fmt.Errorf("list comments: %w", err)
	}
	plan := planComment(comments, isBot, jobs, summary, func(rows []string) string {
		return commentText(refs.Pulls[0].Author, rows, r.extra(ctx, jobs[0]))
	})
	return r.carryOut(ctx, refs, plan)
}

func (r *Reporter) carryOut(ctx context.Context, refs *prowv1.Refs, plan commentPlan) error {
	switch {
	case plan.create:
		if err := r.Forge.CreateComment(ctx, refs.Org, refs.Repo, refs.Pulls[0].Number, plan.text); err != nil {
			return fmt.Errorf("create the comment: %w", err)
		}
	case plan.edit != 0:
		if err := r.Forge.EditComment(ctx, refs.Org, refs.Repo, plan.edit, plan.text); err != nil {
			return fmt.Errorf("edit comment %d: %w", plan.edit, err)
		}
	}
	var errs []error
	for _, id := range plan.remove {
		// Somebody may have deleted it since.
		if err := r.Forge.DeleteComment(ctx, refs.Org, refs.Repo, id); err != nil && !forge.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete comment %d: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// extra renders the report template; a template that fails is logged and left out.
func (r *Reporter) extra(ctx context.Context, job *prowv1.ProwJob) string {
	t := r.Config().Plank.ReportTemplateFor(job.Spec.Refs)
	if t == nil {
		return ""
	}
	log := prowjob.Logger(r.Log, job)
	var whole prowv1.ProwJob
	if err := r.Whole.Get(ctx, client.ObjectKeyFromObject(job), &whole); err != nil {
		// It may be deleted by now; the slim job still has what most templates show.
		log.WarnContext(ctx, "the report template gets a part of the job only", "error", err)
		whole = *job
	}
	var b bytes.Buffer
	if err := t.Execute(&b, &whole); err != nil {
		log.ErrorContext(ctx, "the report template fails", "error", err)
		return ""
	}
	return b.String()
}

// allOfPull lists the newest run of each reporting job of the pull request, none
// while any run is incomplete. The job that is reported counts as it is now.
func (r *Reporter) allOfPull(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, error) {
	all, err := report.SameSubject(ctx, r.Jobs, job)
	if err != nil {
		return nil, err
	}
	newest := map[string]*prowv1.ProwJob{}
	add := func(j *prowv1.ProwJob) {
		if best := newest[j.Spec.Job]; j.Spec.Report && (best == nil || best.CreationTimestamp.Before(&j.CreationTimestamp)) {
			newest[j.Spec.Job] = j
		}
	}
	add(job)
	complete := job.Complete()
	for i := range all {
		if j := &all[i]; j.Name != job.Name {
			complete = complete && j.Complete()
			add(j)
		}
	}
	if !complete {
		return nil, nil
	}
	out := make([]*prowv1.ProwJob, 0, len(newest))
	for _, j := range newest {
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b *prowv1.ProwJob) int { return strings.Compare(a.Spec.Job, b.Spec.Job) })
	return out, nil
}
