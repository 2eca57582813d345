// Package blunderbuss requests reviews of pull requests from owners of the changed
// files, chosen at random.
//
// The choice depends on nothing but the delivery that causes it and what it reads,
// so handling a delivery again asks nobody else.
package blunderbuss

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "blunderbuss"

var autoRe = regexp.MustCompile(`(?mi)^/auto-cc[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The blunderbuss plugin requests reviews of new pull requests from reviewers of the changed files, as OWNERS files name them, " +
			"unless the author chooses with /cc.",
		Config:  describeConfig,
		Snippet: "blunderbuss:\n  request_count: 2\n  max_request_count: 3\n  exclude_approvers: false\n  use_status_availability: true\n  ignore_drafts: true\n  ignore_authors: [robot]\n  wait_for_status:\n    context: tide\n",
		Commands: []plugins.Command{{
			Usage: "/auto-cc", Who: plugins.Anyone(),
			Description: "Requests reviews, whatever the settings say about when to.",
			Examples:    []string{"/auto-cc"},
			Match:       autoRe, Scope: plugins.OpenPullRequests, Run: handleCommand,
		}},
		Handlers: plugins.Handlers{PullRequest: handlePullRequest, Status: handleStatus},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, _ []string) map[string]string {
	b := &cfg.Blunderbuss
	says := []string{fmt.Sprintf("%d reviewers are asked.", *b.ReviewerCount)}
	if b.MaxReviewerCount > 0 {
		says = append(says, fmt.Sprintf("At most %d are asked.", b.MaxReviewerCount))
	}
	if b.ExcludeApprovers {
		says = append(says, "Approvers are not asked.")
	}
	if b.UseStatusAvailability {
		says = append(says, "Who has set their status to busy is not asked.")
	}
	if b.IgnoreDrafts {
		says = append(says, "Drafts wait until they are ready.")
	}
	if len(b.IgnoreAuthors) > 0 {
		says = append(says, "Nobody is asked about pull requests of "+strings.Join(b.IgnoreAuthors, ", ")+".")
	}
	if m := b.WaitForStatus; m != nil {
		says = append(says, fmt.Sprintf("Nobody is asked before the status %s is %s with a description like %s.", m.Context, m.State, m.Description))
	}
	return map[string]string{"": strings.Join(says, " ")}
}

// ignores tells whether a pull request is left alone unless somebody asks.
func ignores(cfg *pluginconfig.Blunderbuss, pr *github.PullRequest) bool {
	return cfg.IgnoreDrafts && pr.Draft || plugins.ReviewRequestRe.MatchString(plugins.CommandText(pr.Body)) ||
		slices.ContainsFunc(cfg.IgnoreAuthors, func(login string) bool { return github.NormLogin(login) == github.NormLogin(pr.User.Login) })
}

func handlePullRequest(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	cfg := &a.Plugins.Blunderbuss
	if e.Action != github.ActionOpened && e.Action != github.ActionReadyForReview || cfg.WaitForStatus != nil || ignores(cfg, &e.PullRequest) {
		return nil
	}
	return request(ctx, a, e.Repo, &e.PullRequest)
}

func handleCommand(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	pr, err := a.GitHub.GetPullRequest(ctx, e.Repo.Owner.Login, e.Repo.Name, e.Number)
	if err != nil {
		return fmt.Errorf("reading %s#%d: %w", e.Repo.FullName, e.Number, err)
	}
	return request(ctx, a, e.Repo, pr)
}

// awaited tells whether a status is the one that is waited for.
func awaited(m *pluginconfig.ContextMatch, e *github.StatusEvent) bool {
	return m != nil && e.Context == m.Context && e.State == m.State && e.Description != "" && m.DescriptionRe().MatchString(e.Description)
}

func handleStatus(ctx context.Context, a *plugins.Agent, e *github.StatusEvent) error {
	cfg := &a.Plugins.Blunderbuss
	if !awaited(cfg.WaitForStatus, e) {
		return nil
	}
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	numbers, err := a.PullsWithHead(ctx, org, repo, e.SHA)
	if err != nil {
		return err
	}
	var errs []error
	for _, number := range numbers {
		pr, err := a.GitHub.GetPullRequest(ctx, org, repo, number)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s/%s#%d: %w", org, repo, number, err))
			continue
		}
		if pr.State == "open" && pr.Head.SHA == e.SHA && len(pr.RequestedReviewers) == 0 && !ignores(cfg, pr) {
			errs = append(errs, request(ctx, a, e.Repo, pr))
		}
	}
	return errors.Join(errs...)
}

// request chooses reviewers of a pull request and asks them.
func request(ctx context.Context, a *plugins.Agent, repo github.Repo, pr *github.PullRequest) error {
	org, name, cfg := repo.Owner.Login, repo.Name, &a.Plugins.Blunderbuss
	index, err := a.Owners.LoadRepoOwners(ctx, org, name, pr.Base.Ref)
	if err != nil {
		return err
	}
	changes, err := a.GitHub.GetPullRequestChanges(ctx, org, name, pr.Number)
	if err != nil {
		return fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, name, pr.Number, err)
	}
	files := make([]string, len(changes))
	for i, c := range changes {
		files[i] = c.Filename
	}
	c := choice{random: randomFor(a.Delivery, pr.Number), author: owners.Normalize(pr.User.Login)}
	if cfg.UseStatusAvailability {
		c.busy = busyIn(ctx, a, org)
	}
	reviewers := c.choose(index, files, *cfg.ReviewerCount, cfg.MaxReviewerCount, !cfg.ExcludeApprovers)
	if len(reviewers) == 0 {
		return nil
	}
	err = a.GitHub.RequestReview(ctx, org, name, pr.Number, reviewers)
	var missing *github.MissingUsersError
	if errors.As(err, &missing) {
		a.Log.WarnContext(ctx, "not everybody who was chosen can be asked", "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("requesting reviews of %s/%s#%d from %q: %w", org, name, pr.Number, reviewers, err)
	}
	a.Log.InfoContext(ctx, "requested reviews", "reviewers", strings.Join(reviewers, ", "))
	return nil
}

// randomFor is the randomness of a delivery.
func randomFor(delivery string, number int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(delivery)) // never fails
	return rand.New(rand.NewPCG(h.Sum64(), uint64(number)))
}

// busyIn asks whether people are busy. Where that cannot be told they are not.
func busyIn(ctx context.Context, a *plugins.Agent, org string) func(string) bool {
	known := map[string]bool{}
	return func(login string) bool {
		busy, asked := known[login]
		if !asked {
			var err error
			if busy, err = a.GitHub.UserIsBusy(ctx, org, login); err != nil {
				a.Log.WarnContext(ctx, "whether somebody is busy is not known, so they count as available", "user", login, "error", err)
				busy = false
			}
			known[login] = busy
		}
		return busy
	}
}
