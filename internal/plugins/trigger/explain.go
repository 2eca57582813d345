package trigger

import (
	"context"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// explain says whether jobs start by themselves.
func explain(ctx context.Context, a *plugins.Agent, pr *github.PullRequest) ([]plugins.Explanation, error) {
	p := newPull(a, pr.Base.Repo, pr.Number)
	trust, err := p.trustOf(ctx, pr.User)
	if err != nil {
		return nil, err
	}
	switch {
	case !trust.trusted:
		return []plugins.Explanation{{Waits: true, Text: "the author is not trusted, so jobs do not start by themselves"}}, nil
	case pr.Draft:
		return []plugins.Explanation{{Text: "jobs do not start by themselves for a draft; /test all starts them"}}, nil
	case pr.Mergable != nil && !*pr.Mergable:
		return []plugins.Explanation{{Waits: true, Text: "it conflicts with its base, so no jobs are started"}}, nil
	}
	return []plugins.Explanation{{Text: "the author is trusted, so jobs start by themselves"}}, nil
}
