package plugins

import (
	"context"
	"fmt"
)

// PullsWithHead finds the numbers of open pull requests by a commit, for events that
// tell of a commit only. What the search does not know yet is looked for in the
// list, so nobody has to wait for it. The commit may be another one than the head.
func (a *Agent) PullsWithHead(ctx context.Context, org, repo, sha string) (numbers []int, err error) {
	failed := func(err error) ([]int, error) {
		return nil, fmt.Errorf("finding the pull requests of %s/%s with the head %s: %w", org, repo, sha, err)
	}
	found, err := a.GitHub.FindIssuesWithOrg(ctx, org, fmt.Sprintf("%s repo:%s/%s type:pr state:open", sha, org, repo), "", false)
	if err != nil {
		return failed(err)
	}
	for _, issue := range found {
		numbers = append(numbers, issue.Number)
	}
	if len(numbers) > 0 {
		return numbers, nil
	}
	pulls, err := a.GitHub.GetPullRequests(ctx, org, repo)
	if err != nil {
		return failed(err)
	}
	for i := range pulls {
		if pulls[i].Head.SHA == sha {
			numbers = append(numbers, pulls[i].Number)
		}
	}
	return numbers, nil
}
