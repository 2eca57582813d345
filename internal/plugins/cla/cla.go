// Package cla shows by labels whether the authors of a pull request have signed the
// contributor license agreement, as the status of the service says that looks after
// signatures.
package cla

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"prow/internal/forge/github"
	"prow/internal/plugins"
)

// Name of the plugin.
const Name = "cla"

// statusContext is that of the service.
const statusContext = "EasyCLA"

var commandRe = regexp.MustCompile(`(?mi)^/check-cla[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The cla plugin sets the '" + plugins.LabelCLAYes + "' and '" + plugins.LabelCLANo + "' labels of pull requests as the status '" + statusContext +
			"' says whether the contributor license agreement is signed.",
		Commands: []plugins.Command{{
			Usage: "/check-cla", Description: "Looks again whether the contributor license agreement is signed.", Who: plugins.Anyone(),
			Examples: []string{"/check-cla"},
			Match:    commandRe, Scope: plugins.OpenPullRequests, Run: command,
		}},
		Labels: []plugins.ManagedLabel{
			{Name: plugins.LabelCLAYes, Present: "its authors have signed the contributor license agreement"},
			{Name: plugins.LabelCLANo, Present: "an author has not signed the contributor license agreement; the status " + statusContext + " says how, /check-cla looks again"},
		},
		Handlers: plugins.Handlers{Status: handle},
	}
}

// verdict is what the newest status says.
type verdict int

const (
	unknown verdict = iota
	signed
	unsigned
)

func decide(results []plugins.Result) verdict {
	for _, r := range results {
		if r.Context != statusContext {
			continue
		}
		switch r.State {
		case github.StatusSuccess:
			return signed
		case github.StatusFailure, github.StatusError:
			return unsigned
		}
	}
	return unknown
}

func handle(ctx context.Context, a *plugins.Agent, e *github.StatusEvent) error {
	if e.Context != statusContext || e.State == github.StatusPending {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	if e.State == "" {
		return fmt.Errorf("the event about the status %s of %s/%s@%s has no state", e.Context, org, repo, e.SHA)
	}
	numbers, err := a.PullsWithHead(ctx, org, repo, e.SHA)
	if err != nil {
		return err
	}
	var errs []error
	for _, number := range numbers {
		errs = append(errs, check(ctx, a, org, repo, number, e.SHA))
	}
	return errors.Join(errs...)
}

func command(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	return check(ctx, a, e.Repo.Owner.Login, e.Repo.Name, e.Number, "")
}

// check makes the labels say what the newest status of the head says. With a commit
// nothing is done unless it is the head.
func check(ctx context.Context, a *plugins.Agent, org, repo string, number int, commit string) error {
	// Others may have changed both since they were read last.
	ctx = github.ReadFresh(ctx)
	pr, err := a.GitHub.GetPullRequest(ctx, org, repo, number)
	if err != nil {
		return fmt.Errorf("reading %s/%s#%d: %w", org, repo, number, err)
	}
	if pr.State != "open" || commit != "" && pr.Head.SHA != commit {
		return nil
	}
	results, err := a.Results(ctx, org, repo, pr.Head.SHA, false)
	if err != nil {
		return err
	}
	v := decide(results)
	if v == unknown {
		return nil
	}
	return errors.Join(
		a.SetLabel(ctx, org, repo, number, pr.Labels, plugins.LabelCLANo, v == unsigned),
		a.SetLabel(ctx, org, repo, number, pr.Labels, plugins.LabelCLAYes, v == signed))
}
