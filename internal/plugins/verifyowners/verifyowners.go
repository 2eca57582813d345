// Package verifyowners keeps pull requests from being merged that would break OWNERS
// files, or make people owners who are not trusted.
//
// What counts is what the files would say after the merge, as git sees it, compared
// with what they say now: how a list is written does not matter.
package verifyowners

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/owners"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "verify-owners"

var commandRe = regexp.MustCompile(`(?mi)^/verify-owners[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The verify-owners plugin checks the OWNERS files and the aliases that a pull request changes. While a file is wrong, or names somebody new who is not " +
			"trusted, the '" + plugins.LabelInvalidOwnersFile + "' label keeps the pull request from being merged.",
		Config:  describeConfig,
		Snippet: "owners:\n  labels_denylist:\n  - approved\n  - lgtm\n  skip_collaborators:\n  - org/repo\n",
		Commands: []plugins.Command{{
			Usage: "/verify-owners", Description: "Looks again at the OWNERS files that the pull request changes.", Who: plugins.Anyone(),
			Examples: []string{"/verify-owners"},
			Match:    commandRe, Scope: plugins.OpenPullRequests, Run: command,
		}},
		Labels: []plugins.ManagedLabel{{
			Name: plugins.LabelInvalidOwnersFile, Present: "an OWNERS file is wrong, or names somebody new who is not trusted; a review or comment says which, /verify-owners looks again",
		}},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{"": "OWNERS files may not set these labels: " + strings.Join(cfg.Owners.LabelsDenyList, ", ") + "."}
	for _, full := range repos {
		org, repo, _ := strings.Cut(full, "/")
		if names := cfg.OwnersFilenames(org, repo); names.Owners != "OWNERS" {
			out[full] = "The files are called " + names.Owners + " and " + names.OwnersAliases + "."
		}
		if cfg.SkipsCollaborators(org, repo) {
			out[full] = strings.TrimSpace(out[full] + " Whether owners are trusted is not checked.")
		}
	}
	return out
}

func command(ctx context.Context, a *plugins.Agent, e *github.CommentEvent, _ [][]string) error {
	org, repo := e.Repo.Owner.Login, e.Repo.Name
	pr, err := a.GitHub.GetPullRequest(ctx, org, repo, e.Number)
	if err != nil {
		return fmt.Errorf("reading %s/%s#%d: %w", org, repo, e.Number, err)
	}
	return verify(ctx, a, pr)
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
		return verify(ctx, a, &e.PullRequest)
	}
	return nil
}

// relevant are the changed files that are checked.
func relevant(changes []github.PullRequestChange, names owners.Settings, denied func(file string) bool) []github.PullRequestChange {
	return slices.DeleteFunc(slices.Clone(changes), func(c github.PullRequestChange) bool {
		if c.Status == "removed" {
			return true
		}
		return c.Filename != names.Aliases && (path.Base(c.Filename) != names.Owners || denied(c.Filename))
	})
}

// verify makes label, review and comments say what is so.
func verify(ctx context.Context, a *plugins.Agent, pr *github.PullRequest) error {
	org, repo := pr.Base.Repo.Owner.Login, pr.Base.Repo.Name
	changes, err := a.GitHub.GetPullRequestChanges(ctx, org, repo, pr.Number)
	if err != nil {
		return fmt.Errorf("listing the files that %s/%s#%d changes: %w", org, repo, pr.Number, err)
	}
	names := a.Owners.Settings(org, repo)
	changes = relevant(changes, names, func(file string) bool { return names.Denied(file, a.Log) })
	if len(changes) == 0 && !github.HasLabel(plugins.LabelInvalidOwnersFile, pr.Labels) {
		return nil
	}
	labels, err := a.IssueLabels(ctx, org, repo, pr.Number)
	if err != nil {
		return err
	}
	found := &findings{}
	if len(changes) > 0 {
		if found, err = look(ctx, a, pr, names, changes); err != nil {
			return fmt.Errorf("checking the OWNERS files of %s/%s#%d: %w", org, repo, pr.Number, err)
		}
	}
	// The label comes first: what it keeps from being merged is never without it.
	errs := []error{a.SetLabel(ctx, org, repo, pr.Number, labels, plugins.LabelInvalidOwnersFile, found.any())}
	errs = append(errs, review(ctx, a, pr, found.wrong))
	for _, c := range found.comments(a.Plugins.TriggerFor(org, repo).JoinOrgURL, names) {
		errs = append(errs, a.KeepComment(ctx, org, repo, pr.Number, c.marker, c.text))
	}
	return errors.Join(errs...)
}

// look reads the files and judges them.
func look(ctx context.Context, a *plugins.Agent, pr *github.PullRequest, names owners.Settings, changes []github.PullRequestChange) (*findings, error) {
	org, repo := pr.Base.Repo.Owner.Login, pr.Base.Repo.Name
	t, err := open(ctx, a, pr)
	if err != nil {
		return nil, err
	}
	defer t.close()
	found := &findings{}
	now, err := aliasesOf(ctx, t, t.after, names.Aliases)
	if err != nil {
		return nil, err
	}
	if now.broken != nil {
		found.aliases = now.broken
		return found, nil
	}
	found.emptyAliases = now.empty()
	deny := a.Plugins.Owners.LabelsDenyList
	added := newPeople()
	for _, c := range changes {
		content, _, err := t.read(ctx, t.after, c.Filename)
		if err != nil {
			return nil, err
		}
		before, _, err := t.read(ctx, t.before, previousName(c))
		if err != nil {
			return nil, err
		}
		if c.Filename == names.Aliases {
			old, _ := owners.ParseAliases(before) // what was wrong before names nobody
			added.note(c.Filename, newMembers(old, now.aliases))
			continue
		}
		parsed, wrong := judge(content, c.Filename == names.Owners, deny)
		if wrong != nil {
			found.wrong = append(found.wrong, fileProblem{c, wrong})
			continue
		}
		old, _ := owners.Parse(before)
		added.note(c.Filename, newOwners(old, parsed, now.aliases))
	}
	if names.SkipCollaborators {
		return found, nil
	}
	found.strangers, err = added.strangers(func(login string) (string, error) {
		trust, err := plugins.TrustedUser(ctx, a.GitHub, a.Plugins.TriggerFor(org, repo), org, repo, account(login))
		return trust.Reason, err
	})
	return found, err
}

// previousName is what a file was called before the change.
func previousName(c github.PullRequestChange) string {
	if c.PreviousFilename != "" {
		return c.PreviousFilename
	}
	return c.Filename
}
