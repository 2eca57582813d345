package plugins

import (
	"context"
	"fmt"

	"prow/internal/forge/github"
)

// Who may use a command: a sentence for people, and the check behind it, which
// dispatch makes before it runs the command.
type Who struct {
	// Sentence says it in the plugin help.
	Sentence string
	// Refuse says why the author of a text may not use the command, "" where they
	// may; the refusal is replied. nil: anyone may, or the command itself decides
	// because it depends on what is asked for.
	Refuse func(ctx context.Context, a *Agent, e *github.CommentEvent) (reason string, err error)
}

// Anyone may use the command.
func Anyone() Who { return Who{Sentence: "Anyone can use this command."} }

// Decides is for a command that checks by itself, as the sentence says.
func Decides(sentence string) Who { return Who{Sentence: sentence} }

// Members of the organisation may use the command; refusal is what others are told.
func Members(sentence, refusal string) Who {
	return Who{Sentence: sentence, Refuse: func(ctx context.Context, a *Agent, e *github.CommentEvent) (string, error) {
		member, err := a.GitHub.IsMember(ctx, e.Repo.Owner.Login, e.User.Login)
		if err != nil {
			return "", fmt.Errorf("whether %s is a member of %s: %w", e.User.Login, e.Repo.Owner.Login, err)
		}
		if member {
			return "", nil
		}
		return refusal, nil
	}}
}

// Trusted users, as the settings of the plugin trigger say, may use the command.
func Trusted(sentence, refusal string) Who {
	return Who{Sentence: sentence, Refuse: func(ctx context.Context, a *Agent, e *github.CommentEvent) (string, error) {
		org, repo := e.Repo.Owner.Login, e.Repo.Name
		trust, err := TrustedUser(ctx, a.GitHub, a.Plugins.TriggerFor(org, repo), org, repo, e.User)
		if err != nil || trust.Trusted {
			return "", err
		}
		return refusal + " " + trust.Reason + ".", nil
	}}
}
