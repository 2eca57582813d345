package plugins

import (
	"context"
	"fmt"

	"prow/internal/forge/github"
)

// SetLabel makes an issue or pull request bear a label, or not bear it. labels are
// those it has; where it is as wanted already nothing is sent.
func (a *Agent) SetLabel(ctx context.Context, org, repo string, number int, labels []github.Label, label string, wanted bool) error {
	var err error
	switch has := github.HasLabel(label, labels); {
	case wanted && !has:
		err = a.GitHub.AddLabels(ctx, org, repo, number, label)
	case !wanted && has:
		err = a.GitHub.RemoveLabel(ctx, org, repo, number, label)
	}
	if err != nil {
		return fmt.Errorf("changing the label %s of %s/%s#%d: %w", label, org, repo, number, err)
	}
	return nil
}

// IssueLabels reads the labels of an issue or pull request.
func (a *Agent) IssueLabels(ctx context.Context, org, repo string, number int) ([]github.Label, error) {
	labels, err := a.GitHub.GetIssueLabels(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("reading the labels of %s/%s#%d: %w", org, repo, number, err)
	}
	return labels, nil
}
