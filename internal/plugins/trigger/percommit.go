package trigger

import (
	"context"
	"errors"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// VouchContext is the status that says of a commit that a trusted user allowed its tests.
const VouchContext = plugins.VouchContext

// againMarker finds the comment that is made once.
const againMarker = "<!-- prow: ok-to-test again -->"

func (p *pull) perCommit() bool { return p.trigger.OkToTestPerCommit && !p.trigger.IgnoreOkToTest }

// vouchedFor tells whether the label ok-to-test, where it is set, counts for the head.
func (p *pull) vouchedFor(ctx context.Context) (bool, error) {
	if !p.perCommit() {
		return true, nil
	}
	combined, err := p.statuses(ctx)
	if err != nil {
		return false, err
	}
	s := find(combined, VouchContext)
	return s != nil && s.State == github.StatusSuccess, nil
}

// vouch records who allowed the tests of the head.
func (p *pull) vouch(ctx context.Context, login string) error {
	if !p.perCommit() {
		return nil
	}
	p.status = nil // what was read is old now
	return p.setStatus(ctx, github.Status{Context: VouchContext, State: github.StatusSuccess, Description: clip(login+" allowed the tests of this commit", github.StatusDescriptionLimit)})
}

// synchronized handles new commits. Where trust is of a commit, those that a trusted
// user pushed have it, and others wait to be looked at again.
func synchronized(ctx context.Context, p *pull, e *github.PullRequestEvent) error {
	aborted := p.abort(ctx)
	if p.perCommit() {
		if err := p.renewTrust(ctx, e); err != nil {
			return errors.Join(aborted, err)
		}
	}
	return errors.Join(aborted, buildIfTrusted(ctx, p, e))
}

func (p *pull) renewTrust(ctx context.Context, e *github.PullRequestEvent) error {
	author, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, e.PullRequest.User)
	if err != nil || author.Trusted {
		return err
	}
	labels, err := p.labels(ctx)
	if err != nil || !github.HasLabel(plugins.LabelOkToTest, labels) {
		return err
	}
	if vouched, err := p.vouchedFor(ctx); err != nil || vouched {
		return err // a commit of before has come back
	}
	pusher, err := plugins.TrustedUser(ctx, p.agent.GitHub, p.trigger, p.org, p.repo, e.Sender)
	if err != nil {
		return err
	}
	if pusher.Trusted {
		return p.vouch(ctx, e.Sender.Login)
	}
	// The label goes last: while it is there, the rest is done again.
	err = p.sayOnce(ctx, againMarker, "There are new commits, so `/ok-to-test` is needed again: in this repository it counts only for the commits that were there when it was said.")
	if !github.HasLabel(plugins.LabelNeedsOkToTest, labels) {
		err = errors.Join(err, p.addLabel(ctx, plugins.LabelNeedsOkToTest))
	}
	return errors.Join(err, p.removeLabel(ctx, plugins.LabelOkToTest))
}
