package tide

import (
	"context"
	"time"

	prowv1 "prow/api/prowjobs/v1"
	"prow/internal/config"
	"prow/internal/git"
)

// Provider is the forge that the pull requests of one process are on. Everything
// that GitHub and Gerrit do differently is behind it; what is decided and in which
// order is the same for both. It is used concurrently.
type Provider interface {
	// Candidates searches the open pull requests that the configuration wants merged,
	// by key, and counts the searches. The error tells of searches that found nothing
	// because they failed; what others found counts nevertheless.
	Candidates(ctx context.Context, cfg *config.Config) (map[string]*PullRequest, error)
	// Blockers finds what stops branches. Pull requests of the orgs that failed must be
	// left alone; with an error, all of them.
	Blockers(ctx context.Context, cfg *config.Config) (_ blockers, failed map[string]error, _ error)
	// Base is the commit of the branch that a pull request is for, as it is now.
	Base(ctx context.Context, pr *PullRequest) (string, error)
	// Refusal says why the forge would not merge a pull request; nil if it would.
	Refusal(ctx context.Context, cfg *config.Config, pr *PullRequest) (*Reason, error)
	// Contexts are the results that the head of a pull request has.
	Contexts(ctx context.Context, cfg *config.Config, pr *PullRequest) ([]Context, error)
	// Policy judges the contexts of a pull request whose repository has these
	// presubmits.
	Policy(cfg *config.Config, pr *PullRequest, all []config.Presubmit) (*config.ContextPolicy, error)
	// Rule tells of each of the presubmits of a repository whether a merge of a pull
	// request may need it, and whether it does whatever the pull request changes.
	Rule(cfg *config.Config, pr *PullRequest, all []config.Presubmit) func(*config.Presubmit) (counts, forced bool)
	// ChangedFiles lists the files that a pull request changes.
	ChangedFiles(ctx context.Context, pr *PullRequest) ([]string, error)

	// Standing tells what has become of a pull request that another one depends on.
	Standing(ctx context.Context, org, repo string, number int) (Standing, error)

	// Refs are what a run of pull requests of one branch on the base tests.
	Refs(cfg *config.Config, baseSHA string, prs []*PullRequest) prowv1.Refs
	// Marks are the labels and annotations of a run of a presubmit for pull requests.
	Marks(job *config.Presubmit, prs []*PullRequest) (labels, annotations map[string]string)

	// Strategy is how a pull request is brought into its branch; empty where that is
	// contradictory.
	Strategy(cfg *config.Config, pr *PullRequest) git.MergeStrategy
	// Merge merges one member of a target, at its head and nowhere else, with all that
	// the forge needs done before. It returns nil once the member is merged.
	Merge(ctx context.Context, cfg *config.Config, p *pool, pr *PullRequest, target []*PullRequest) *mergeFailure
	// Pause is how long the forge needs after a merge until it knows what it means for
	// others.
	Pause() time.Duration
}
