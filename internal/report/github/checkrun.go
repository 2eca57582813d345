package github

import (
	"context"
	"fmt"
	"slices"
	"strings"

	prowv1 "prow/api/prowjobs/v1"
	forge "prow/internal/forge/github"
	"prow/internal/prowjob"
)

// Checks is what the reporter asks of the forge about check runs.
type Checks interface {
	ListCheckRunsNamed(ctx context.Context, org, repo, ref, name string) ([]forge.CheckRun, error)
	CreateCheckRun(ctx context.Context, org, repo string, run forge.CheckRunRequest) (int64, error)
	UpdateCheckRun(ctx context.Context, org, repo string, id int64, run forge.CheckRunRequest) error
}

const (
	// maxAnnotations bounds the annotations of one check run: two requests.
	maxAnnotations = 2 * forge.MaxCheckAnnotations
	// maxListedFailures bounds the failed tests listed in the summary.
	maxListedFailures = 50
	maxSummary        = 60000
	maxMessage        = 4096
)

// checkRun makes or changes the check run of a job. Each run of a job has a check
// run of its own, known by the name of the ProwJob; GitHub shows the newest.
func (r *Reporter) checkRun(ctx context.Context, job *prowv1.ProwJob) error {
	unlock, err := r.locks.Lock(ctx, "check run "+job.Name)
	if err != nil {
		return err
	}
	defer unlock()
	refs := job.Spec.Refs
	runs, err := r.Checks.ListCheckRunsNamed(ctx, refs.Org, refs.Repo, headSHA(refs), job.Spec.Context)
	if err != nil {
		return fmt.Errorf("list check runs: %w", err)
	}
	var failures []Failure
	if r.Failures != nil && job.Complete() && job.Status.State == prowv1.FailureState {
		// The verdict is not kept waiting for its decoration.
		if failures, err = r.Failures(ctx, job); err != nil {
			prowjob.Logger(r.Log, job).WarnContext(ctx, "the results of the tests cannot be read", "error", err)
		}
	}
	want, err := checkRunFor(job, failures)
	if err != nil {
		return err
	}
	annotations := annotationsFor(refs, failures)
	i := slices.IndexFunc(runs, func(run forge.CheckRun) bool { return run.ExternalID == job.Name })
	var id int64
	if i < 0 {
		first := want
		first.Output, annotations = withAnnotations(want.Output, annotations)
		if id, err = r.Checks.CreateCheckRun(ctx, refs.Org, refs.Repo, first); err != nil {
			return fmt.Errorf("create the check run: %w", err)
		}
	} else {
		id = runs[i].ID
		// What was annotated before a crash is there; GitHub would show it twice.
		annotations = annotations[min(len(annotations), runs[i].Output.AnnotationsCount):]
		next := want
		next.HeadSHA = ""
		next.Output, annotations = withAnnotations(want.Output, annotations)
		if err := r.Checks.UpdateCheckRun(ctx, refs.Org, refs.Repo, id, next); err != nil {
			return fmt.Errorf("update check run %d: %w", id, err)
		}
	}
	for len(annotations) > 0 {
		var more forge.CheckRunRequest
		more.Output, annotations = withAnnotations(want.Output, annotations)
		if err := r.Checks.UpdateCheckRun(ctx, refs.Org, refs.Repo, id, more); err != nil {
			return fmt.Errorf("annotate check run %d: %w", id, err)
		}
	}
	return nil
}

// withAnnotations puts as many annotations into the output as a request may hold
// and returns the others.
func withAnnotations(output *forge.CheckOutput, annotations []forge.CheckAnnotation) (*forge.CheckOutput, []forge.CheckAnnotation) {
	n := min(len(annotations), forge.MaxCheckAnnotations)
	out := *output
	out.Annotations = annotations[:n]
	return &out, annotations[n:]
}

// RerunAction is the identifier of the button that runs a job again.
const RerunAction = "rerun"

// checkRunFor is the check run that shows a job.
func checkRunFor(job *prowv1.ProwJob, failures []Failure) (forge.CheckRunRequest, error) {
	status, conclusion, err := checkState(job.Status.State, job.Complete())
	if err != nil {
		return forge.CheckRunRequest{}, err
	}
	run := forge.CheckRunRequest{
		Name: job.Spec.Context, HeadSHA: headSHA(job.Spec.Refs), ExternalID: job.Name, DetailsURL: job.Status.URL,
		Status: status, Conclusion: conclusion, Output: &forge.CheckOutput{Title: title(job), Summary: summary(job, failures)},
	}
	if started := job.Status.StartTime.Time; !started.IsZero() {
		run.StartedAt = &started
	}
	if status == forge.CheckCompleted {
		if job.Complete() {
			run.CompletedAt = &job.Status.CompletionTime.Time
		}
		if job.Spec.Type == prowv1.PresubmitJob {
			run.Actions = []forge.CheckAction{{Label: "Re-run", Description: "Run this job again", Identifier: RerunAction}}
		}
	}
	return run, nil
}

// checkState maps the state of a job to the status and conclusion of a check run.
func checkState(state prowv1.ProwJobState, complete bool) (status, conclusion string, err error) {
	switch state {
	case prowv1.SchedulingState, prowv1.TriggeredState:
		return forge.CheckQueued, "", nil
	case prowv1.PendingState:
		return forge.CheckInProgress, "", nil
	case prowv1.SuccessState:
		return forge.CheckCompleted, forge.ConclusionSuccess, nil
	case prowv1.FailureState, prowv1.ErrorState:
		return forge.CheckCompleted, forge.ConclusionFailure, nil
	case prowv1.AbortedState:
		return forge.CheckCompleted, forge.ConclusionCancelled, nil
	}
	return "", "", fmt.Errorf("state %q has no check run", state)
}

func title(job *prowv1.ProwJob) string {
	if text := cell(job.Status.Description); text != "" {
		return cut(text, 255)
	}
	return "Job " + string(job.Status.State)
}

// summary is Markdown for people who look at the check run.
func summary(job *prowv1.ProwJob, failures []Failure) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, value)
		}
	}
	b.WriteString("| | |\n|---|---|\n")
	line("Job", "`"+cell(job.Spec.Job)+"`")
	line("State", string(job.Status.State))
	line("Base", short(job.Spec.Refs.BaseSHA))
	if job.Complete() {
		line("Took", job.Status.CompletionTime.Sub(job.Status.StartTime.Time).String())
	}
	if job.Spec.RerunCommand != "" {
		line("To run it again", "`"+cell(job.Spec.RerunCommand)+"`")
	}
	if job.Status.URL != "" {
		line("Output", "[log and artifacts]("+cell(job.Status.URL)+")")
	}
	if len(failures) > 0 {
		fmt.Fprintf(&b, "\n%d test%s failed:\n\n", len(failures), plural(len(failures)))
		for i, f := range failures {
			if i == maxListedFailures || b.Len() > maxSummary {
				fmt.Fprintf(&b, "- and %d more\n", len(failures)-i)
				break
			}
			fmt.Fprintf(&b, "- `%s`\n", cut(strings.ReplaceAll(cell(f.Test), "`", "'"), 200))
		}
	}
	return cut(b.String(), maxSummary+1024)
}

func short(sha string) string {
	if sha == "" {
		return ""
	}
	return "`" + cut(sha, 12) + "`"
}
