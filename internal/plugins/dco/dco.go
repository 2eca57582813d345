// Package dco asks for commits that are signed off, by labels, a status and a notice.
package dco

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/git"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

// Name of the plugin.
const Name = "dco"

// statusContext is that of the status.
const statusContext = "dco"

// maxListed is how many commits of a pull request the forge lists; with more, git
// is asked.
const maxListed = 250

var commandRe = regexp.MustCompile(`(?mi)^/check-dco[ \t]*\r?$`)

// New is the plugin.
func New() *plugins.Plugin {
	return &plugins.Plugin{
		Name: Name,
		Description: "The dco plugin asks for a <code>Signed-off-by</code> line in the message of each commit of a pull request (the Developer Certificate of Origin). It sets the '" +
			plugins.LabelDCOYes + "' and '" + plugins.LabelDCONo + "' labels and the status '" + statusContext + "', and says which commits lack it.",
		Config: describeConfig,
		Snippet: "dco:\n  org/repo:\n    skip_dco_check_for_members: true\n    skip_dco_check_for_collaborators: true\n    trusted_apps:\n    - dependabot\n    trusted_org: other-org\n" +
			"    contributing_repo: org/community\n    contributing_branch: main\n    contributing_path: CONTRIBUTING.md\n",
		Commands: []plugins.Command{{
			Usage: "/check-dco", Description: "Looks again whether all commits are signed off.", Who: plugins.Anyone(),
			Examples: []string{"/check-dco"},
			Match:    commandRe, Scope: plugins.OpenPullRequests, Run: command,
		}},
		Labels: []plugins.ManagedLabel{
			{Name: plugins.LabelDCOYes, Present: "all its commits are signed off"},
			{Name: plugins.LabelDCONo, Present: "some of its commits are not signed off; amend them with git commit --amend --signoff, or git rebase --signoff"},
		},
		Handlers: plugins.Handlers{PullRequest: handle},
	}
}

func describeConfig(cfg *pluginconfig.Configuration, repos []string) map[string]string {
	out := map[string]string{}
	for _, full := range repos {
		org, repo, ok := strings.Cut(full, "/")
		if !ok {
			continue
		}
		c := cfg.DcoFor(org, repo)
		var exempt []string
		// Whoever is trusted at all, members are.
		if exempts(&c) {
			exempt = append(exempt, "members")
			if c.TrustedOrg != "" {
				exempt = append(exempt, "members of "+c.TrustedOrg)
			}
		}
		if c.SkipDCOCheckForCollaborators {
			exempt = append(exempt, "collaborators")
		}
		for _, app := range c.TrustedApps {
			exempt = append(exempt, "the app "+app)
		}
		out[full] = "All commits have to be signed off."
		if len(exempt) > 0 {
			out[full] = "Commits have to be signed off, except those of " + strings.Join(exempt, ", ") + "."
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
	return check(ctx, a, pr)
}

func handle(ctx context.Context, a *plugins.Agent, e *github.PullRequestEvent) error {
	switch e.Action {
	case github.ActionOpened, github.ActionReopened, github.ActionSynchronize:
		return check(ctx, a, &e.PullRequest)
	}
	return nil
}

// check makes notice, status and labels say what is so.
func check(ctx context.Context, a *plugins.Agent, pr *github.PullRequest) error {
	org, repo := pr.Base.Repo.Owner.Login, pr.Base.Repo.Name
	failed := func(err error) error {
		return fmt.Errorf("whether the commits of %s/%s#%d are signed off: %w", org, repo, pr.Number, err)
	}
	commits, current, err := commitsOf(ctx, a, pr)
	if err != nil {
		return failed(err)
	}
	if !current {
		return nil
	}
	cfg := a.Plugins.DcoFor(org, repo)
	missing := unsigned(commits)
	if len(missing) > 0 && exempts(&cfg) {
		if missing, err = byStrangers(ctx, a.GitHub, &cfg, org, repo, missing); err != nil {
			return failed(err)
		}
	}
	labels, err := a.IssueLabels(ctx, org, repo, pr.Number)
	if err != nil {
		return err
	}
	signed, url := len(missing) == 0, guide(&cfg, pr.Base.Repo)
	var errs []error
	switch {
	case !signed:
		errs = append(errs, a.KeepComment(ctx, org, repo, pr.Number, marker, notice(url, missing)))
	case !github.HasLabel(plugins.LabelDCOYes, labels) || github.HasLabel(plugins.LabelDCONo, labels):
		errs = append(errs, a.KeepComment(ctx, org, repo, pr.Number, marker, ""))
	}
	errs = append(errs, setStatus(ctx, a, org, repo, pr.Head.SHA, signed, url))
	// The labels come last: while they are not as they should be, the notice is looked at.
	return errors.Join(append(errs,
		a.SetLabel(ctx, org, repo, pr.Number, labels, plugins.LabelDCONo, !signed),
		a.SetLabel(ctx, org, repo, pr.Number, labels, plugins.LabelDCOYes, signed))...)
}

// commitsOf are the commits of a pull request; current is false where it has moved
// on, and the event of that decides.
func commitsOf(ctx context.Context, a *plugins.Agent, pr *github.PullRequest) (commits []github.RepositoryCommit, current bool, err error) {
	org, repo := pr.Base.Repo.Owner.Login, pr.Base.Repo.Name
	if pr.Commits >= maxListed {
		commits, err = gitCommits(ctx, a.Git, pr)
		return commits, true, err
	}
	commits, err = a.GitHub.ListPullRequestCommits(ctx, org, repo, pr.Number)
	if err != nil {
		return nil, false, err
	}
	if len(commits) == 0 || slices.ContainsFunc(commits, func(c github.RepositoryCommit) bool { return c.SHA == pr.Head.SHA }) {
		return commits, true, nil
	}
	now, err := a.GitHub.GetPullRequest(github.ReadFresh(ctx), org, repo, pr.Number)
	switch {
	case err != nil:
		return nil, false, err
	case now.Head.SHA == pr.Head.SHA:
		return nil, false, fmt.Errorf("the forge does not list the head %s yet", pr.Head.SHA)
	}
	return nil, false, nil
}

// gitCommits asks git, which knows no accounts: nobody is trusted.
func gitCommits(ctx context.Context, cache *git.Cache, pr *github.PullRequest) ([]github.RepositoryCommit, error) {
	tree, err := cache.Tree(ctx, pr.Base.Repo.Owner.Login, pr.Base.Repo.Name, git.Need{Commits: []string{pr.Base.SHA, pr.Head.SHA}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tree.Close() }()
	out, err := tree.Run(ctx, "log", "--no-merges", "-z", "--format=%H%n%B", pr.Base.SHA+".."+pr.Head.SHA)
	if err != nil {
		return nil, err
	}
	var commits []github.RepositoryCommit
	for _, record := range strings.Split(out, "\x00") {
		sha, message, ok := strings.Cut(record, "\n")
		if ok {
			commits = append(commits, github.RepositoryCommit{SHA: sha, HTMLURL: pr.Base.Repo.HTMLURL + "/commit/" + sha, Commit: github.Commit{Message: message}})
		}
	}
	return commits, nil
}

// setStatus writes the status where its state changes.
func setStatus(ctx context.Context, a *plugins.Agent, org, repo, sha string, signed bool, url string) error {
	want := plugins.Result{Context: statusContext, State: github.StatusSuccess, Description: "All commits are signed off.", TargetURL: url}
	if !signed {
		want.State, want.Description = github.StatusFailure, "Commits are missing a DCO signoff."
	}
	results, err := a.Results(ctx, org, repo, sha, false)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(results, func(r plugins.Result) bool { return r.Context == statusContext && r.State == want.State }) {
		return nil
	}
	return a.SetResult(ctx, org, repo, sha, want, "")
}
