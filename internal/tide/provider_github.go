package tide

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/git"
)

// Forge is what the sync controller needs of GitHub.
type Forge interface {
	Querier
	StatusReader
	ChangeLister
	RepoReader
	RefReader
	StatusWriter
	Merger
	CommentCleaner
	PullReader
}

// PullReader reads one pull request.
type PullReader interface {
	GetPullRequest(ctx context.Context, org, repo string, number int) (*github.PullRequest, error)
}

// ChangeLister lists the files that a pull request changes.
type ChangeLister interface {
	GetPullRequestChanges(ctx context.Context, org, repo string, number int) ([]github.PullRequestChange, error)
}

// RefReader reads where a branch points.
type RefReader interface {
	// GetRef resolves a ref, which is given without "refs/".
	GetRef(ctx context.Context, org, repo, ref string) (string, error)
}

// StatusWriter sets the status of a commit.
type StatusWriter interface {
	CreateStatus(ctx context.Context, org, repo, sha string, s github.Status) error
}

// Merger merges pull requests. Refusals are told by the errors of package github.
type Merger interface {
	Merge(ctx context.Context, org, repo string, number int, details github.MergeDetails) error
}

// CommentCleaner deletes comments of this account.
type CommentCleaner interface {
	BotUserChecker(ctx context.Context) (func(login string) bool, error)
	ListIssueComments(ctx context.Context, org, repo string, number int) ([]github.IssueComment, error)
	DeleteComment(ctx context.Context, org, repo string, id int64) error
}

// GitHubProvider is the [Provider] for GitHub.
type GitHubProvider struct {
	Forge        Forge
	Mergeability *Mergeability
	Metrics      *Metrics
	// PerOrg searches each org by itself, as an installation of an app must.
	PerOrg bool
	Now    func() time.Time
	// Sleep waits, or returns the error of the context.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger
}

var _ Provider = &GitHubProvider{}

// betweenMerges lets GitHub find out which others can still be merged.
const betweenMerges = 5 * time.Second

// Base is the commit of the base branch.
func (g *GitHubProvider) Base(ctx context.Context, pr *PullRequest) (string, error) {
	ref := strings.TrimPrefix(cmp.Or(pr.BaseRefPrefix, "refs/heads/"), "refs/") + pr.BaseRefName
	return g.Forge.GetRef(ctx, pr.Org, pr.Repo, ref)
}

// Refusal says why GitHub would not merge a pull request.
func (g *GitHubProvider) Refusal(ctx context.Context, cfg *config.Config, pr *PullRequest) (*Reason, error) {
	return g.Mergeability.refusal(ctx, &cfg.Tide, pr)
}

// Contexts are statuses and checks of the head commit.
func (g *GitHubProvider) Contexts(ctx context.Context, _ *config.Config, pr *PullRequest) ([]Context, error) {
	return headContexts(ctx, g.Forge, g.Log, pr)
}

// Policy is what the configuration says about contexts.
func (g *GitHubProvider) Policy(cfg *config.Config, pr *PullRequest, all []config.Presubmit) (*config.ContextPolicy, error) {
	return contextPolicy(cfg, pr, all)
}

// Rule counts jobs that report and are not optional, and those that must run
// before every merge. Jobs that only run on request are forced where branch
// protection asks for them.
func (g *GitHubProvider) Rule(cfg *config.Config, pr *PullRequest, all []config.Presubmit) func(*config.Presubmit) (counts, forced bool) {
	manual := cfg.RequireManuallyTriggeredJobs(pr.Org, pr.Repo, pr.BaseRefName, all)
	return func(job *config.Presubmit) (counts, forced bool) {
		return job.ContextRequired() || job.RunBeforeMerge,
			job.RunBeforeMerge || manual && job.ContextRequired() && job.NeedsExplicitTrigger()
	}
}

// ChangedFiles lists the files that a pull request changes.
func (g *GitHubProvider) ChangedFiles(ctx context.Context, pr *PullRequest) ([]string, error) {
	changes, err := g.Forge.GetPullRequestChanges(ctx, pr.Org, pr.Repo, pr.Number)
	if err != nil {
		return nil, err
	}
	files := make([]string, len(changes))
	for i, change := range changes {
		files[i] = change.Filename
	}
	return files, nil
}

// Standing asks for the pull request.
func (g *GitHubProvider) Standing(ctx context.Context, org, repo string, number int) (Standing, error) {
	pr, err := g.Forge.GetPullRequest(ctx, org, repo, number)
	switch {
	case github.IsNotFound(err):
		return Standing{Trouble: "does not exist"}, nil
	case err != nil:
		return Standing{}, err
	case pr.Merged:
		return Standing{Merged: true}, nil
	case pr.State == "closed":
		return Standing{Trouble: "was closed without being merged"}, nil
	}
	return Standing{}, nil
}

// Refs link to the pages of GitHub, or of the host that the configuration names.
func (g *GitHubProvider) Refs(cfg *config.Config, baseSHA string, prs []*PullRequest) prowv1.Refs {
	host := cfg.GitHub.LinkURLParsed()
	link := func(elements ...string) string { return host.JoinPath(elements...).String() }
	first := prs[0]
	repo := link(first.Org, first.Repo)
	refs := prowv1.Refs{
		Org: first.Org, Repo: first.Repo, RepoLink: repo,
		BaseRef: first.BaseRefName, BaseSHA: baseSHA, BaseLink: repo + "/tree/" + baseSHA,
	}
	for _, pr := range prs {
		refs.Pulls = append(refs.Pulls, prowv1.Pull{
			Number: pr.Number, Title: pr.Title, Author: pr.AuthorLogin, SHA: pr.HeadRefOID, HeadRef: pr.HeadRefName,
			Link:       repo + "/pull/" + strconv.Itoa(pr.Number),
			CommitLink: repo + "/commit/" + pr.HeadRefOID,
			AuthorLink: link(pr.AuthorLogin),
		})
	}
	return refs
}

// Marks are those of the job.
func (g *GitHubProvider) Marks(job *config.Presubmit, _ []*PullRequest) (labels, annotations map[string]string) {
	return maps.Clone(job.Labels), job.Annotations
}

// Strategy is the merge method.
func (g *GitHubProvider) Strategy(cfg *config.Config, pr *PullRequest) git.MergeStrategy {
	return git.MergeStrategy(mergeMethod(&cfg.Tide, pr))
}

// Pause lets GitHub compute which pull requests can still be merged.
func (g *GitHubProvider) Pause() time.Duration { return betweenMerges }
