package tide

import (
	"context"
	"fmt"
	"sync"
	"time"

	"prow/internal/config"
	"prow/internal/forge/github"
)

// RepoReader reads the settings of repositories.
type RepoReader interface {
	GetRepo(ctx context.Context, org, repo string) (*github.Repo, error)
}

const (
	// settingsAge is how long the settings of a repository are believed.
	settingsAge = time.Hour
	// refusalAge is how long they are believed where they forbid something, so that
	// a method that was just permitted is soon used.
	refusalAge = time.Minute
)

// Mergeability tells whether the forge could merge pull requests at all. It may be
// used concurrently.
type Mergeability struct {
	forge RepoReader
	now   func() time.Time

	mu    sync.Mutex
	repos map[string]repoSettings
}

type repoSettings struct {
	repo *github.Repo
	at   time.Time
}

// NewMergeability asks the forge for settings of repositories.
func NewMergeability(forge RepoReader, now func() time.Time) *Mergeability {
	return &Mergeability{forge: forge, now: now, repos: map[string]repoSettings{}}
}

// mergeMethod is how a pull request is merged; its labels go before the
// configuration. It is empty where labels contradict each other.
func mergeMethod(tide *config.Tide, pr *PullRequest) config.MergeMethod {
	var chosen config.MergeMethod
	for _, override := range []struct {
		label  string
		method config.MergeMethod
	}{{tide.SquashLabel, config.MergeSquash}, {tide.RebaseLabel, config.MergeRebase}, {tide.MergeLabel, config.MergeMerge}} {
		if override.label == "" || !pr.hasLabel(override.label) {
			continue
		}
		if chosen != "" {
			return ""
		}
		chosen = override.method
	}
	if chosen != "" {
		return chosen
	}
	return tide.MergeMethod(pr.Org, pr.Repo, pr.BaseRefName)
}

// refusal says why a pull request cannot be merged; nil if it can.
func (m *Mergeability) refusal(ctx context.Context, tide *config.Tide, pr *PullRequest) (*Reason, error) {
	if pr.Mergeable == mergeableConflicting {
		return &conflictReason, nil
	}
	method := mergeMethod(tide, pr)
	switch {
	case method == "":
		return &Reason{Code: "method-labels", Sentence: "its labels ask for more than one merge method"}, nil
	case method == config.MergeRebase && pr.GitHub != nil && !pr.GitHub.CanBeRebased:
		return &Reason{Code: "rebase", Sentence: "it cannot be rebased"}, nil
	}
	allowed, err := m.allows(ctx, pr.Org, pr.Repo, method)
	switch {
	case err != nil:
		return nil, err
	case !allowed:
		return &Reason{Code: "method", Sentence: fmt.Sprintf("the repository does not allow the merge method %s", method)}, nil
	}
	if pr.GitHub != nil && pr.GitHub.MergeStateStatus == mergeStateBlocked &&
		tide.GitHubMergeBlocksPolicy(pr.Org, pr.Repo) == config.MergeBlocksBlock {
		return &Reason{Code: "blocked-by-github", Sentence: "GitHub blocks it, by branch protection or a ruleset"}, nil
	}
	return nil, nil
}

// allows tells whether the settings of a repository permit a method. Settings that
// the account may not see permit it: the forge has the last word anyway.
func (m *Mergeability) allows(ctx context.Context, org, repo string, method config.MergeMethod) (bool, error) {
	name := org + "/" + repo
	m.mu.Lock()
	known, ok := m.repos[name]
	m.mu.Unlock()
	age := m.now().Sub(known.at)
	if ok && age < settingsAge && (age < refusalAge || permits(known.repo, method)) {
		return permits(known.repo, method), nil
	}
	fresh, err := m.forge.GetRepo(ctx, org, repo)
	if err != nil {
		return false, fmt.Errorf("read the settings of %s: %w", name, err)
	}
	m.mu.Lock()
	m.repos[name] = repoSettings{fresh, m.now()}
	m.mu.Unlock()
	return permits(fresh, method), nil
}

func permits(repo *github.Repo, method config.MergeMethod) bool {
	setting := repo.AllowMergeCommit
	switch method {
	case config.MergeSquash:
		setting = repo.AllowSquashMerge
	case config.MergeRebase:
		setting = repo.AllowRebaseMerge
	}
	return setting == nil || *setting
}
