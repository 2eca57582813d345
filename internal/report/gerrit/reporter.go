// Package gerrit reports ProwJobs on Gerrit: jobs of one revision that vote on the
// same label are told together, in one review, once all of them have ended.
package gerrit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/gerrit"
	"prow/internal/prowjob"
	"prow/internal/report"
)

// Name is the key of the reporter in status.prev_report_states.
const Name = "gerrit-reporter"

const (
	// lookLimit bounds the look at the other jobs of a change.
	lookLimit = 10 * time.Second
	// reportLimit bounds one report, markLimit the marking of the jobs it told about.
	reportLimit = 5 * time.Minute
	markLimit   = 2 * time.Minute
)

// The votes, and the label that is voted on where a job names none.
const (
	codeReview = "Code-Review"
	voteYes    = "+1"
	voteNone   = "0"
	voteNo     = "-1"
)

// Client is what the reporter asks of Gerrit.
type Client interface {
	GetChange(ctx context.Context, instance, id string, fields ...string) (*forge.Change, error)
	SetReview(ctx context.Context, instance, id, revision, message string, votes map[string]string) error
}

// Reporter reviews changes.
type Reporter struct {
	Forge Client
	// Jobs lists the jobs of a change by report.SubjectIndex.
	Jobs client.Reader
	// Whole reads a job as it is now.
	Whole client.Reader
	// Mark records that the state of a job was reported.
	Mark func(ctx context.Context, job *prowv1.ProwJob) error
	Log  *slog.Logger

	changes report.Locks
}

// Name is the key in status.prev_report_states.
func (r *Reporter) Name() string { return Name }

// ended tells whether a job came to something that is told. Aborted jobs are told
// with the others, never by themselves.
func ended(state prowv1.ProwJobState) bool {
	return state == prowv1.SuccessState || state == prowv1.FailureState || state == prowv1.ErrorState
}

func running(state prowv1.ProwJobState) bool {
	return state == prowv1.SchedulingState || state == prowv1.TriggeredState || state == prowv1.PendingState
}

// ShouldReport takes a job that has ended, if it is the last of those with which
// it is told, and neither the job nor the patch set has a newer one.
func (r *Reporter) ShouldReport(ctx context.Context, job *prowv1.ProwJob) bool {
	if !job.Spec.Report || !ended(job.Status.State) || job.Annotations[prowv1.GerritIDAnnotation] == "" ||
		job.Annotations[prowv1.GerritInstanceAnnotation] == "" || job.Labels[prowv1.GerritRevisionLabel] == "" {
		return false
	}
	if job.Labels[prowv1.GerritReportLabel] == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	others, err := report.SameSubject(ctx, r.Jobs, job)
	if err != nil {
		prowjob.Logger(r.Log, job).ErrorContext(ctx, "the jobs of the change cannot be listed", "error", err)
		return false
	}
	for i := range others {
		o := &others[i]
		switch {
		case o.Name == job.Name:
		case toldTogether(o, job) && running(o.Status.State),
			o.Spec.Job == job.Spec.Job && o.CreationTimestamp.After(job.CreationTimestamp.Time),
			patchset(o) > patchset(job):
			return false
		}
	}
	return true
}

// toldTogether tells whether two jobs of a change belong into one review.
func toldTogether(a, b *prowv1.ProwJob) bool {
	for _, key := range []string{prowv1.GerritRevisionLabel, prowv1.TypeLabel, prowv1.GerritReportLabel} {
		if a.Labels[key] != b.Labels[key] {
			return false
		}
	}
	return true
}

func patchset(job *prowv1.ProwJob) int {
	n, err := strconv.Atoi(job.Labels[prowv1.GerritPatchsetLabel])
	if err != nil {
		return -1
	}
	return n
}

// Related are the jobs to be looked at again once a job is aborted: it may have
// been the last that they waited for.
func (r *Reporter) Related(ctx context.Context, job *prowv1.ProwJob) []types.NamespacedName {
	if job.Status.State != prowv1.AbortedState || job.Labels[prowv1.GerritReportLabel] == "" {
		return nil
	}
	others, err := report.SameSubject(ctx, r.Jobs, job)
	if err != nil {
		prowjob.Logger(r.Log, job).ErrorContext(ctx, "the jobs of the change cannot be listed", "error", err)
		return nil
	}
	var keys []types.NamespacedName
	for i := range others {
		if o := &others[i]; toldTogether(o, job) && ended(o.Status.State) && o.Status.PrevReportStates[Name] != o.Status.State {
			keys = append(keys, client.ObjectKeyFromObject(o))
		}
	}
	return keys
}

// Report reviews the change and marks all jobs that the review is about.
func (r *Reporter) Report(ctx context.Context, job *prowv1.ProwJob) ([]*prowv1.ProwJob, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLimit)
	defer cancel()
	done := []*prowv1.ProwJob{job}
	if job.Spec.Type == prowv1.PresubmitJob || job.Spec.Type == prowv1.PostsubmitJob {
		if job.Spec.Refs == nil || len(job.Spec.Refs.Pulls) != 1 {
			return nil, 0, report.UserError(fmt.Errorf("job %s is not about exactly one change", job.Name))
		}
	}
	unlock, err := r.changes.Lock(ctx, report.Subject(&job.Spec))
	if err != nil {
		return nil, 0, err
	}
	defer unlock()
	// Another worker may have told about it while this one waited.
	var now prowv1.ProwJob
	if err := r.Whole.Get(ctx, client.ObjectKeyFromObject(job), &now); err != nil {
		return nil, 0, client.IgnoreNotFound(err)
	}
	if now.Status.PrevReportStates[Name] == job.Status.State {
		return nil, 0, nil
	}
	told, all, err := r.together(ctx, job)
	if err != nil {
		return nil, 0, err
	}
	if err := r.review(ctx, job, told); err != nil {
		return nil, 0, err
	}
	// The review is out: a report that is told to end still marks what it told.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), markLimit)
	defer cancel()
	var errs []error
	for _, j := range all {
		if ended(j.Status.State) && j.Status.PrevReportStates[Name] != j.Status.State {
			errs = append(errs, r.Mark(ctx, j))
		}
	}
	return done, 0, errors.Join(errs...)
}

// together returns the newest run of each job with which a job is told, and all
// their runs.
func (r *Reporter) together(ctx context.Context, job *prowv1.ProwJob) (told, all []*prowv1.ProwJob, err error) {
	if job.Labels[prowv1.GerritReportLabel] == "" {
		return []*prowv1.ProwJob{job}, []*prowv1.ProwJob{job}, nil
	}
	others, err := report.SameSubject(ctx, r.Jobs, job)
	if err != nil {
		return nil, nil, err
	}
	all = []*prowv1.ProwJob{job}
	for i := range others {
		if o := &others[i]; o.Name != job.Name && toldTogether(o, job) && o.Spec.Report {
			all = append(all, o)
		}
	}
	newest := map[string]*prowv1.ProwJob{}
	for _, j := range all {
		if best := newest[j.Spec.Job]; best == nil || best.CreationTimestamp.Before(&j.CreationTimestamp) {
			newest[j.Spec.Job] = j
		}
	}
	for _, j := range newest {
		told = append(told, j)
	}
	slices.SortFunc(told, func(a, b *prowv1.ProwJob) int { return strings.Compare(a.Spec.Job, b.Spec.Job) })
	return told, all, nil
}

// decideVote is the vote about jobs of one type. A merged change is not voted
// down. An aborted job came to no verdict, so without a failure nor does the vote.
func decideVote(told []forge.JobReport, typ prowv1.ProwJobType, merged bool) string {
	passed, total := forge.Counts(told)
	switch {
	case passed == len(told):
		return voteYes
	case passed == total, typ != prowv1.PresubmitJob, merged:
		return voteNone
	}
	return voteNo
}

// voteLabel is the label to vote on, "" for none.
func voteLabel(job *prowv1.ProwJob) string {
	if label, ok := job.Labels[prowv1.GerritReportLabel]; ok {
		return label
	}
	return codeReview
}

// review posts the review, unless it is there or the change or revision is gone.
func (r *Reporter) review(ctx context.Context, job *prowv1.ProwJob, told []*prowv1.ProwJob) error {
	id, instance, revision := job.Annotations[prowv1.GerritIDAnnotation], job.Annotations[prowv1.GerritInstanceAnnotation], job.Labels[prowv1.GerritRevisionLabel]
	log := prowjob.Logger(r.Log, job).With("instance", instance, "change", id, "revision", revision)
	var lines []forge.JobReport
	tide := false
	for _, j := range told {
		lines = append(lines, forge.JobReport{Job: j.Spec.Job, State: j.Status.State, URL: j.Status.URL})
		tide = tide || j.Labels[prowv1.CreatedByTideLabel] == "true"
	}
	text := forge.NewReport(lines, tide).Message

	change, err := r.Forge.GetChange(ctx, instance, id, "ALL_REVISIONS", "MESSAGES")
	if errors.Is(err, forge.ErrNotFound) {
		log.InfoContext(ctx, "the change is gone, nothing is reported")
		return nil
	}
	if err != nil {
		log.WarnContext(ctx, "the change cannot be looked at", "error", err)
		change = &forge.Change{}
	}
	for _, m := range change.Messages {
		if strings.Contains(m.Message, strings.TrimSpace(text)) {
			log.InfoContext(ctx, "the change has the report already")
			return nil
		}
	}
	votes := map[string]string{}
	if label := voteLabel(job); label != "" {
		votes[label] = decideVote(lines, job.Spec.Type, change.Status == forge.StatusMerged)
	}
	err = r.Forge.SetReview(ctx, instance, id, revision, text, votes)
	if err == nil {
		return nil
	}
	now, lookErr := r.Forge.GetChange(ctx, instance, id, "ALL_REVISIONS")
	switch {
	case errors.Is(lookErr, forge.ErrNotFound):
		log.InfoContext(ctx, "the change is gone, nothing is reported")
		return nil
	case lookErr == nil && !hasRevision(now, revision):
		log.InfoContext(ctx, "the change has no such revision, nothing is reported")
		return nil
	case len(votes) == 0:
		return err
	}
	log.WarnContext(ctx, "the review is refused, it is tried without a vote", "error", err)
	return r.Forge.SetReview(ctx, instance, id, revision, noVoteNotice+text, nil)
}

// noVoteNotice stands before a report without the vote it should have had.
const noVoteNotice = "[NOTE FROM PROW: the vote of this report was refused, so it has none.]\n\n"

func hasRevision(change *forge.Change, revision string) bool {
	_, ok := change.Revisions[revision]
	return ok
}
