package tide

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"prow/internal/config"
	"prow/internal/forge/github"
	"prow/internal/tide/planner"
)

// StatusReader reads the statuses and checks of a commit.
type StatusReader interface {
	GetCombinedStatus(ctx context.Context, org, repo, ref string) (*github.CombinedStatus, error)
	ListCheckRuns(ctx context.Context, org, repo, ref string) ([]github.CheckRun, error)
}

// readContexts remembers the contexts that were asked for one by one.
type readContexts struct {
	mu       sync.Mutex
	known    bool
	contexts []Context
}

// headContexts returns the statuses and checks of the head commit. The search
// gives the last commits by author date, so the head may not be among them: then
// it is asked for, once for each record.
func headContexts(ctx context.Context, forge StatusReader, log *slog.Logger, pr *PullRequest) ([]Context, error) {
	if pr.GitHub != nil {
		for _, node := range pr.GitHub.Commits.Nodes {
			if node.Commit.OID == pr.HeadRefOID {
				return append(slices.Clone(node.Commit.Status.Contexts), fromCheckRuns(node.Commit.StatusCheckRollup.Contexts.Nodes)...), nil
			}
		}
	}
	pr.read.mu.Lock()
	defer pr.read.mu.Unlock()
	if pr.read.known {
		return pr.read.contexts, nil
	}
	log.WarnContext(ctx, "the search did not give the head commit; its statuses are read one by one", "pr", pr.key(), "sha", pr.HeadRefOID)
	combined, err := forge.GetCombinedStatus(ctx, pr.Org, pr.Repo, pr.HeadRefOID)
	if err != nil {
		return nil, fmt.Errorf("read the statuses of %s: %w", pr.key(), err)
	}
	var contexts []Context
	for _, s := range combined.Statuses {
		contexts = append(contexts, Context{Context: s.Context, Description: s.Description, State: planner.ContextState(strings.ToUpper(s.State))})
	}
	runs, err := forge.ListCheckRuns(ctx, pr.Org, pr.Repo, pr.HeadRefOID)
	if err != nil {
		return nil, fmt.Errorf("read the checks of %s: %w", pr.key(), err)
	}
	var checks []CheckRun
	for _, r := range runs {
		checks = append(checks, CheckRun{Name: r.Name, Status: strings.ToUpper(r.Status), Conclusion: strings.ToUpper(r.Conclusion)})
	}
	pr.read.contexts, pr.read.known = append(contexts, fromCheckRuns(checks)...), true
	return pr.read.contexts, nil
}

// goodness orders states; of several runs of a check the best counts.
func goodness(s planner.ContextState) int {
	switch s {
	case planner.ContextSuccess:
		return 3
	case planner.ContextPending:
		return 2
	case planner.ContextExpected:
		return 0
	}
	return 1
}

// fromCheckRuns sees check runs as statuses, one for each name, sorted.
func fromCheckRuns(runs []CheckRun) []Context {
	best := map[string]Context{}
	for _, r := range runs {
		if r.Name == "" {
			continue // GitHub gives a node without content for each commit status
		}
		c := Context{Context: r.Name, State: "FAILURE"}
		switch {
		case r.Status != "COMPLETED":
			c.State = planner.ContextPending
		case r.Conclusion == "SUCCESS", r.Conclusion == "NEUTRAL", r.Conclusion == "SKIPPED":
			c.State = planner.ContextSuccess
		}
		if have, ok := best[r.Name]; !ok || goodness(c.State) > goodness(have.State) {
			best[r.Name] = c
		}
	}
	return slices.SortedFunc(maps.Values(best), func(a, b Context) int { return cmp.Compare(a.Context, b.Context) })
}

// unsuccessful returns the contexts that keep a pull request from being merged:
// those that are not successful and not optional, and an expected one for each
// required context that is not there.
func unsuccessful(contexts []Context, policy *config.ContextPolicy) []Context {
	var out []Context
	for _, c := range contexts {
		if c.Context != planner.OwnContext && c.State != planner.ContextSuccess && !policy.IsOptional(c.Context) {
			out = append(out, c)
		}
	}
	for _, name := range policy.MissingRequiredContexts(contextNames(contexts)) {
		out = append(out, Context{Context: name, State: planner.ContextExpected})
	}
	return out
}

func contextNames(contexts []Context) []string {
	names := make([]string, len(contexts))
	for i, c := range contexts {
		names[i] = c.Context
	}
	return names
}
