package dco

import (
	"context"
	"regexp"
	"strings"

	"prow/internal/forge/github"
	"prow/internal/plugins"
	"prow/internal/plugins/pluginconfig"
)

var signoffRe = regexp.MustCompile(`(?mi)^signed-off-by:`)

// unsigned are the commits without a sign-off. Merges need none: they hold nothing
// of their author's.
func unsigned(commits []github.RepositoryCommit) []github.RepositoryCommit {
	var out []github.RepositoryCommit
	for _, c := range commits {
		if len(c.Parents) <= 1 && !signoffRe.MatchString(c.Commit.Message) {
			out = append(out, c)
		}
	}
	return out
}

// exempts tells whether anybody's commits need no sign-off.
func exempts(cfg *pluginconfig.Dco) bool {
	return cfg.SkipDCOCheckForMembers || cfg.SkipDCOCheckForCollaborators || len(cfg.TrustedApps) > 0
}

// byStrangers are those of the commits whose authors are not trusted. Whom the forge
// does not know nobody can trust, so it is not asked.
func byStrangers(ctx context.Context, forge plugins.TrustClient, cfg *pluginconfig.Dco, org, repo string, commits []github.RepositoryCommit) ([]github.RepositoryCommit, error) {
	trigger := pluginconfig.Trigger{OnlyOrgMembers: !cfg.SkipDCOCheckForCollaborators, TrustedOrg: cfg.TrustedOrg, TrustedApps: cfg.TrustedApps}
	known := map[string]bool{"": false}
	var out []github.RepositoryCommit
	for _, c := range commits {
		trusted, ok := known[c.Author.Login]
		if !ok {
			trust, err := plugins.TrustedUser(ctx, forge, trigger, org, repo, c.Author)
			if err != nil {
				return nil, err
			}
			trusted = trust.Trusted
			known[c.Author.Login] = trusted
		}
		if !trusted {
			out = append(out, c)
		}
	}
	return out, nil
}

// guide is the URL of the guide for contributors, on the forge that has the repository.
func guide(cfg *pluginconfig.Dco, base github.Repo) string {
	forge, ok := strings.CutSuffix(base.HTMLURL, "/"+base.Owner.Login+"/"+base.Name)
	if !ok {
		forge = "https://github.com"
	}
	return forge + "/" + cfg.ContributingRepo + "/blob/" + cfg.ContributingBranch + "/" + cfg.ContributingPath
}

// marker begins the notice, and finds it again.
const marker = "Thanks for your pull request. Before we can look at it, you'll need to add a 'DCO signoff' to your commits."

func notice(guide string, commits []github.RepositoryCommit) string {
	return plugins.Say(marker + "\n\n:memo: **Please follow instructions in the [contributing guide](" + guide + ") to update your commits with the DCO.** " +
		"`git commit --amend --signoff` signs off the last commit, `git rebase --signoff BASE` all since BASE.\n\n" +
		"Full details of the Developer Certificate of Origin can be found at [developercertificate.org](https://developercertificate.org/).\n\n" +
		"**The list of commits missing DCO signoff**:\n\n" + strings.TrimRight(plugins.ListCommits(commits), "\n"))
}
