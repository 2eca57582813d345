package plugins

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"prow/internal/config"
	"prow/internal/forge/github"
)

// Result is the newest result of a context of a commit, as a status or a check run
// tells it.
type Result struct {
	Context string
	// State is that of a status: success, pending, failure or error.
	State       string
	Description string
	TargetURL   string
	CheckRun    bool
}

// Green tells whether nothing is left to be done.
func (r Result) Green() bool { return r.State == github.StatusSuccess }

// Results are the newest results of a commit by context: its statuses, and its
// check runs if asked for.
func (a *Agent) Results(ctx context.Context, org, repo, sha string, checkRuns bool) ([]Result, error) {
	failed := func(err error) ([]Result, error) {
		return nil, fmt.Errorf("reading the results of %s/%s@%s: %w", org, repo, sha, err)
	}
	combined, err := a.GitHub.GetCombinedStatus(ctx, org, repo, sha)
	if err != nil {
		return failed(err)
	}
	var out []Result
	for _, s := range combined.Statuses {
		out = append(out, Result{Context: s.Context, State: s.State, Description: s.Description, TargetURL: s.TargetURL})
	}
	if checkRuns {
		runs, err := a.GitHub.ListCheckRuns(ctx, org, repo, sha)
		if err != nil {
			return failed(err)
		}
		out = append(out, ofCheckRuns(runs)...)
	}
	return out, nil
}

// UsesCheckRuns tells whether check runs are among the results of a repository that
// plugins may change: where the client is an App, or jobs are reported as such.
func (a *Agent) UsesCheckRuns(org, repo string) bool {
	return a.GitHub.UsesAppAuth() || a.Config.GitHubReporter.CheckRuns(org, repo)
}

// rank orders the states of check runs of one name: the best counts.
var rank = map[string]int{github.StatusSuccess: 0, github.StatusPending: 1, github.StatusFailure: 2}

// ofCheckRuns sees check runs as results, one for each name, by name.
func ofCheckRuns(runs []github.CheckRun) []Result {
	best := map[string]Result{}
	for _, run := range runs {
		r := Result{Context: run.Name, State: github.StatusFailure, Description: run.Output.Title, TargetURL: run.DetailsURL, CheckRun: true}
		switch {
		case run.Status != github.CheckCompleted:
			r.State = github.StatusPending
		case run.Conclusion == github.ConclusionSuccess || run.Conclusion == "neutral" || run.Conclusion == "skipped":
			r.State = github.StatusSuccess
		}
		if have, ok := best[run.Name]; !ok || rank[r.State] < rank[have.State] {
			best[run.Name] = r
		}
	}
	var out []Result
	for _, r := range best {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Result) int { return cmp.Compare(a.Context, b.Context) })
	return out
}

// SetResult writes a result. A new check run takes the place of an older one of the
// same name; summary says more about it.
func (a *Agent) SetResult(ctx context.Context, org, repo, sha string, r Result, summary string) error {
	var err error
	if r.CheckRun {
		conclusion := github.ConclusionFailure
		if r.Green() {
			conclusion = github.ConclusionSuccess
		}
		now := a.Now()
		_, err = a.GitHub.CreateCheckRun(ctx, org, repo, github.CheckRunRequest{
			Name: r.Context, HeadSHA: sha, DetailsURL: r.TargetURL, Status: github.CheckCompleted, Conclusion: conclusion, CompletedAt: &now,
			Output: &github.CheckOutput{Title: r.Description, Summary: summary},
		})
	} else {
		err = a.GitHub.CreateStatus(ctx, org, repo, sha, github.Status{Context: r.Context, State: r.State, Description: r.Description, TargetURL: r.TargetURL})
	}
	if err != nil {
		return fmt.Errorf("setting the result of %s of %s/%s@%s: %w", r.Context, org, repo, sha, err)
	}
	return nil
}

// Presubmits are the jobs for a pull request: the static ones and those the
// repository brings itself. base is the head of the base branch. Where the
// repository's own cannot be read, the static ones count.
func (a *Agent) Presubmits(ctx context.Context, pr *github.PullRequest, base config.SHAGetter) []config.Presubmit {
	full := pr.Base.Repo.Owner.Login + "/" + pr.Base.Repo.Name
	static := a.Config.PresubmitsStatic(full)
	if !a.Config.InRepoConfig.InRepoEnabled(full) {
		return static
	}
	all, err := a.InRepo.Presubmits(ctx, a.Config, full, pr.Base.Ref, base, config.SHA(pr.Head.SHA))
	if err != nil {
		a.Log.WarnContext(ctx, "the repository's own jobs cannot be read: only the static ones count", "error", err)
		return static
	}
	return all
}

// BaseSHA asks once for the head of the base branch of a pull request: what the
// pull request records is old.
func (a *Agent) BaseSHA(pr *github.PullRequest) config.SHAGetter {
	known := ""
	return func(ctx context.Context) (string, error) {
		if known == "" {
			sha, err := a.GitHub.GetRef(ctx, pr.Base.Repo.Owner.Login, pr.Base.Repo.Name, "heads/"+pr.Base.Ref)
			if err != nil {
				return "", fmt.Errorf("finding the head of the base branch: %w", err)
			}
			known = sha
		}
		return known, nil
	}
}
