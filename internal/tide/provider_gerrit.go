package tide

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/gerrit"
	"prow/internal/git"
	"prow/internal/statusdesc"
	"prow/internal/tide/planner"
)

// GerritForge is what the sync controller needs of Gerrit.
type GerritForge interface {
	QueryChanges(ctx context.Context, instance, query string, pageSize int, fields ...string) ([]*gerrit.Change, error)
	GetChange(ctx context.Context, instance, id string, fields ...string) (*gerrit.Change, error)
	BranchRevision(ctx context.Context, instance, project, branch string) (string, error)
	Submit(ctx context.Context, instance, id, revision string) error
	SetReview(ctx context.Context, instance, id, revision, message string, votes map[string]string) error
	SubmittedTogether(ctx context.Context, instance, id string) (others []*gerrit.Change, hidden int, err error)
}

// GerritProvider is the [Provider] for Gerrit, which keeps the rules of a merge
// itself: a change is a candidate if Gerrit would submit it. Results of jobs are
// not written onto a change one by one, so they are those of its ProwJobs.
type GerritProvider struct {
	Forge GerritForge
	// Jobs know the [Indexes].
	Jobs    client.Reader
	Metrics *Metrics
	Log     *slog.Logger

	company company
}

var _ Provider = &GerritProvider{}

const (
	// noHeadRef stands for the branch of a change, which has none.
	noHeadRef = "not_applicable"
	// noticeLimit bounds the notice on a change that was merged with others.
	noticeLimit = 30 * time.Second
)

// Blockers are none: Gerrit has no issues.
func (g *GerritProvider) Blockers(context.Context, *config.Config) (blockers, map[string]error, error) {
	return blockers{}, nil, nil
}

// Base is the commit of the branch.
func (g *GerritProvider) Base(ctx context.Context, pr *PullRequest) (string, error) {
	return g.Forge.BranchRevision(ctx, pr.Org, pr.Repo, pr.BaseRefName)
}

// Refusal is a conflict, or company that a change would be submitted with; for
// everything else the query asks Gerrit.
func (g *GerritProvider) Refusal(_ context.Context, _ *config.Config, pr *PullRequest) (*Reason, error) {
	if pr.Mergeable == mergeableConflicting {
		return &conflictReason, nil
	}
	return pr.refused, nil
}

// Contexts are the newest runs of presubmits on the head, one for each context.
func (g *GerritProvider) Contexts(ctx context.Context, cfg *config.Config, pr *PullRequest) ([]Context, error) {
	runs, err := jobs(ctx, g.Jobs, cfg.ProwJobNamespace, indexHead, headKey(pr.Org, pr.Repo, pr.Number, pr.HeadRefOID))
	if err != nil {
		return nil, err
	}
	newest := map[string]*prowv1.ProwJob{}
	for i := range runs {
		run := &runs[i]
		have := newest[run.Spec.Context]
		if run.Spec.Context != "" && (have == nil || have.CreationTimestamp.Before(&run.CreationTimestamp)) {
			newest[run.Spec.Context] = run
		}
	}
	var out []Context
	for _, run := range newest {
		out = append(out, Context{
			Context: run.Spec.Context, State: contextStateOf(run), Description: statusdesc.Description(run.Status.Description, run.Spec.Refs.BaseSHA),
		})
	}
	slices.SortFunc(out, func(a, b Context) int { return strings.Compare(a.Context, b.Context) })
	return out, nil
}

func contextStateOf(run *prowv1.ProwJob) planner.ContextState {
	switch planner.RunStateOf(string(run.Status.State)) {
	case planner.RunSuccess:
		return planner.ContextSuccess
	case planner.RunTriggered, planner.RunPending:
		return planner.ContextPending
	}
	return "FAILURE"
}

// Policy requires nothing: what has to pass are the jobs of [GerritProvider.Rule],
// and the labels that Gerrit itself asks for.
func (g *GerritProvider) Policy(*config.Config, *PullRequest, []config.Presubmit) (*config.ContextPolicy, error) {
	unknownIsOptional := true
	return &config.ContextPolicy{TideContextPolicy: config.TideContextPolicy{SkipUnknownContexts: &unknownIsOptional}}, nil
}

// Rule counts jobs that vote on a label without which the change cannot be
// submitted, and those that must run before every merge.
func (g *GerritProvider) Rule(_ *config.Config, pr *PullRequest, _ []config.Presubmit) func(*config.Presubmit) (counts, forced bool) {
	return func(job *config.Presubmit) (counts, forced bool) {
		label, needed := pr.change.Labels[job.Labels[prowv1.GerritReportLabel]]
		return job.RunBeforeMerge || needed && !label.Optional, job.RunBeforeMerge
	}
}

// ChangedFiles lists the files that the head changes.
func (g *GerritProvider) ChangedFiles(ctx context.Context, pr *PullRequest) ([]string, error) {
	if files, ok := pr.change.ChangedFiles(); ok {
		return files, nil
	}
	change, err := g.Forge.GetChange(ctx, pr.Org, pr.change.ID, "CURRENT_FILES", "CURRENT_REVISION")
	if err != nil {
		return nil, err
	}
	files, ok := change.ChangedFiles()
	if !ok || change.CurrentRevision != pr.HeadRefOID {
		return nil, fmt.Errorf("change %d has another revision by now", pr.Number)
	}
	return files, nil
}

// Standing asks for the change; its number is unique to the instance.
func (g *GerritProvider) Standing(ctx context.Context, org, _ string, number int) (Standing, error) {
	c, err := g.Forge.GetChange(ctx, org, strconv.Itoa(number))
	switch {
	case err != nil:
		return Standing{}, err
	case c.Status == "MERGED":
		return Standing{Merged: true}, nil
	case c.Status == "ABANDONED":
		return Standing{Trouble: "was abandoned"}, nil
	}
	return Standing{}, nil
}

// Refs link to the pages of Gerrit.
func (g *GerritProvider) Refs(_ *config.Config, baseSHA string, prs []*PullRequest) prowv1.Refs {
	first := prs[0]
	return gerrit.Refs(first.Org, first.Repo, first.BaseRefName, baseSHA, changesOf(prs)...)
}

// Marks let the reporter find the change.
func (g *GerritProvider) Marks(job *config.Presubmit, prs []*PullRequest) (labels, annotations map[string]string) {
	return gerrit.Marks(job.Labels, job.Annotations, prs[0].Org, changesOf(prs)...)
}

func changesOf(prs []*PullRequest) []*gerrit.Change {
	out := make([]*gerrit.Change, len(prs))
	for i, pr := range prs {
		out[i] = pr.change
	}
	return out
}

// Strategy follows from what Gerrit does with changes of the project.
func (g *GerritProvider) Strategy(_ *config.Config, pr *PullRequest) git.MergeStrategy {
	switch pr.change.SubmitType {
	case gerrit.SubmitMergeIfNecessary:
		return git.MergeIfNecessary
	case gerrit.SubmitRebaseIfNecessary, gerrit.SubmitRebaseAlways:
		return git.MergeRebase
	}
	return git.MergeCommit
}

// Merge submits a change. On one that was merged with others it says so: its own
// jobs may not have run on what it was merged into.
func (g *GerritProvider) Merge(ctx context.Context, cfg *config.Config, _ *pool, pr *PullRequest, target []*PullRequest) *mergeFailure {
	if err := g.Forge.Submit(ctx, pr.Org, pr.change.ID, pr.HeadRefOID); err != nil {
		// A conflict, or a change that was changed, is nothing to administer.
		var refused *gerrit.StatusError
		ordinary := errors.As(err, &refused) && refused.Code == http.StatusConflict
		return &mergeFailure{err: err, user: true, operator: !ordinary}
	}
	if len(target) < 2 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noticeLimit)
	defer cancel()
	if err := g.Forge.SetReview(ctx, pr.Org, pr.change.ID, pr.HeadRefOID, batchNotice(cfg, pr, target), nil); err != nil {
		g.Log.WarnContext(ctx, "a change was merged, but the notice about its batch could not be left", "pr", pr.key(), "error", err)
	}
	return nil
}

// batchNotice tells with which changes a change was tested.
func batchNotice(cfg *config.Config, pr *PullRequest, target []*PullRequest) string {
	var others []string
	for _, other := range target {
		if other != pr {
			others = append(others, fmt.Sprintf("%s/c/%s/+/%d", other.Org, other.Repo, other.Number))
		}
	}
	text := "Tide tested this change in a batch, together with " + strings.Join(others, " and ") + ". The batch passed, so it is merged."
	if deck := strings.TrimRight(cfg.Gerrit.DeckURL, "/"); deck != "" {
		text += " What Tide did is shown at " + deck + "/tide-history."
	}
	return text
}

// Pause is none: Gerrit merges when it answers.
func (g *GerritProvider) Pause() time.Duration { return 0 }
