// Package skip clears failures of jobs that a merge does not need, so that they do
// not stand in its way.
package skip

import (
	"context"
	"fmt"
	"regexp"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "skip"

// description of the statuses that are set.
const description = "Skipped"

var commandRe = regexp.MustCompile(`(?mi)^/skip[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name:        Name,
		Description: "The skip plugin lets people clear the results of jobs that are not required, which may block a merge where the forge wants everything to be green.",
		Commands: []plugins.Command{{
			Usage: "/skip", Who: plugins.Anyone(),
			Description: "Sets the results of optional jobs to success that are not. Jobs that the same comment starts are left alone.",
			Examples:    []string{"/skip"},
			Match:       commandRe, Scope: plugins.OpenPullRequests, Run: run,
		}},
	}
}

// decide picks the results that jobs of the branch have and a merge does not need,
// and that are neither green nor about to be replaced by what the text starts.
func decide(results []plugins.Result, jobs []config.Presubmit, branch string, started map[string]bool) []plugins.Result {
	required, optional := map[string]bool{}, map[string]bool{}
	for i := range jobs {
		switch job := &jobs[i]; {
		case !job.ShouldRunAtBranch(branch):
		case job.ContextRequired():
			required[job.Context] = true
		default:
			optional[job.Context] = true
		}
	}
	var out []plugins.Result
	for _, r := range results {
		if optional[r.Context] && !required[r.Context] && !started[r.Context] && !r.Green() {
			r.State, r.Description = github.StatusSuccess, description
			out = append(out, r)
		}
	}
	return out
}

func run(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	pr, err := a.GitHub.GetPullRequest(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("reading %s/%s#%d: %w", org, repo, e.Number, err)
	}
	results, err := a.Results(ctx, org, repo, pr.Head.SHA, a.Config.GitHubReporter.CheckRuns(org, repo))
	if err != nil {
		return err
	}
	if allGreen(results) {
		return nil
	}
	jobs := a.Presubmits(ctx, pr, a.BaseSHA(pr))
	started, err := startedBy(ctx, a, e, pr, jobs, results)
	if err != nil {
		return err
	}
	for _, r := range decide(results, jobs, pr.Base.Ref, started) {
		if err := a.SetResult(ctx, org, repo, pr.Head.SHA, r, "This job is not required, and somebody asked to skip it."); err != nil {
			return replyFailure(ctx, a, e, r.Context, err)
		}
	}
	return nil
}

func allGreen(results []plugins.Result) bool {
	for _, r := range results {
		if !r.Green() {
			return false
		}
	}
	return true
}

func replyFailure(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, name string, cause error) error {
	if err := a.Reply(ctx, e, fmt.Sprintf("Cannot skip %s: %s", plugins.Code(name), plugins.Code(cause.Error()))); err != nil {
		return fmt.Errorf("telling that %w: %w", cause, err)
	}
	return cause
}

// startedBy are the contexts of the jobs that the plugin trigger starts for the same
// text.
func startedBy(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, pr *github.PullRequest, jobs []config.Presubmit, results []plugins.Result) (map[string]bool, error) {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	failed, all := map[string]bool{}, map[string]bool{}
	for _, r := range results {
		all[r.Context] = true
		failed[r.Context] = r.State == github.StatusFailure || r.State == github.StatusError
	}
	filter, err := config.FilterForComment(plugins.CommandText(e.Body), !a.Plugins.TriggerFor(org, repo).IgnoreOkToTest,
		func() (map[string]bool, map[string]bool, error) { return failed, all, nil })
	if err != nil {
		return nil, err
	}
	changes := func() ([]string, error) {
		changes, err := a.GitHub.GetPullRequestChanges(ctx, org, repo, e.Number)
		if err != nil {
			return nil, fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, repo, e.Number, err)
		}
		var files []string
		for _, c := range changes {
			files = append(files, c.Filename)
		}
		return files, nil
	}
	chosen, err := config.FilterPresubmits(filter, pr.Base.Ref, changes, jobs)
	if err != nil {
		return nil, err
	}
	started := map[string]bool{}
	for _, job := range chosen {
		started[job.Context] = true
	}
	return started, nil
}
