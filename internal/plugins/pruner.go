package plugins

import (
	"context"
	"log/slog"
	"sync"

	"prow/internal/forge/github"
)

// PrunerClient is what a Pruner asks of the forge.
type PrunerClient interface {
	BotChecker(ctx context.Context) (func(github.User) bool, error)
	ListIssueComments(ctx context.Context, org, repo string, number int) ([]github.IssueComment, error)
	DeleteComment(ctx context.Context, org, repo string, id int64) error
}

// Pruner deletes outdated comments of the bot on one issue or pull request. It
// lists the comments once, on first use; what fails is logged and left.
type Pruner struct {
	Client    PrunerClient
	Org, Repo string
	Number    int
	Log       *slog.Logger

	mu       sync.Mutex
	listed   bool
	comments []github.IssueComment
}

// Prune deletes the bot's comments for which outdated holds.
func (p *Pruner) Prune(ctx context.Context, outdated func(github.IssueComment) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.listed {
		if err := p.list(ctx); err != nil {
			p.Log.ErrorContext(ctx, "outdated comments stay", "error", err)
			return
		}
	}
	kept := p.comments[:0]
	for _, c := range p.comments {
		if !outdated(c) {
			kept = append(kept, c)
			continue
		}
		if err := p.Client.DeleteComment(ctx, p.Org, p.Repo, c.ID); err != nil {
			p.Log.ErrorContext(ctx, "an outdated comment stays", "comment", c.ID, "error", err)
			kept = append(kept, c)
		}
	}
	p.comments = kept
}

func (p *Pruner) list(ctx context.Context) error {
	isBot, err := p.Client.BotChecker(ctx)
	if err != nil {
		return err
	}
	all, err := p.Client.ListIssueComments(ctx, p.Org, p.Repo, p.Number)
	if err != nil {
		return err
	}
	for _, c := range all {
		if isBot(c.User) {
			p.comments = append(p.comments, c)
		}
	}
	p.listed = true
	return nil
}
