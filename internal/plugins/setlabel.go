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

// HasLabelNow tells whether an issue has a label, for one who wants it to be there or
// not. Where the event says that it is not as wanted, that is enough: to set a
// label twice does no harm. Where it says that nothing is to be done, it may be
// out of date, because of a command that came right before, and the forge is asked.
func (a *Agent) HasLabelNow(ctx context.Context, e *github.CommentEvent, label string, wanted bool) (bool, error) {
	if e.Labels != nil && github.HasLabel(label, e.Labels) != wanted {
		return !wanted, nil
	}
	labels, err := a.IssueLabels(ctx, e.Repo.Owner.Login, e.Repo.Name, e.Number)
	return github.HasLabel(label, labels), err
}

// WishLabel makes the issue of an event bear a label, or not bear it.
func (a *Agent) WishLabel(ctx context.Context, e *github.CommentEvent, label string, wanted bool) error {
	has, err := a.HasLabelNow(ctx, e, label, wanted)
	if err != nil {
		return err
	}
	var now []github.Label
	if has {
		now = []github.Label{{Name: label}}
	}
	return a.SetLabel(ctx, e.Repo.Owner.Login, e.Repo.Name, e.Number, now, label, wanted)
}

// LabelsBefore reads the labels of the issue of an event, by which to decide what its
// text means. When the text is handled again they are those of the event: what the
// labels are now may be what it has made of them, and would mean something else.
func (a *Agent) LabelsBefore(ctx context.Context, e *github.CommentEvent) ([]github.Label, error) {
	if a.Repeated && e.Labels != nil {
		return e.Labels, nil
	}
	return a.IssueLabels(ctx, e.Repo.Owner.Login, e.Repo.Name, e.Number)
}

// IssueLabels reads the labels of an issue or pull request.
func (a *Agent) IssueLabels(ctx context.Context, org, repo string, number int) ([]github.Label, error) {
	labels, err := a.GitHub.GetIssueLabels(ctx, org, repo, number)
	if err != nil {
		return nil, fmt.Errorf("reading the labels of %s/%s#%d: %w", org, repo, number, err)
	}
	return labels, nil
}
