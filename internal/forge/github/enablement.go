package github

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// EnablementFlags is the flag group that limits a component to some repositories.
type EnablementFlags struct {
	EnabledOrgs, EnabledRepos, DisabledOrgs, DisabledRepos []string
}

// Bind registers the flags.
func (f *EnablementFlags) Bind(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.EnabledOrgs, "github-enabled-org", nil, "Org to serve, repeatable. With this or --github-enabled-repo, no others are served.")
	fs.StringArrayVar(&f.EnabledRepos, "github-enabled-repo", nil, "Repository (org/repo) to serve, repeatable.")
	fs.StringArrayVar(&f.DisabledOrgs, "github-disabled-org", nil, "Org not to serve, repeatable.")
	fs.StringArrayVar(&f.DisabledRepos, "github-disabled-repo", nil, "Repository (org/repo) not to serve, repeatable.")
}

// Validate refuses repositories that are not of the form org/repo, and values that
// are both enabled and disabled.
func (f *EnablementFlags) Validate() error {
	for flag, repos := range map[string][]string{"github-enabled-repo": f.EnabledRepos, "github-disabled-repo": f.DisabledRepos} {
		for _, r := range repos {
			if org, repo, ok := strings.Cut(r, "/"); !ok || org == "" || repo == "" || strings.Contains(repo, "/") {
				return fmt.Errorf("--%s=%s is not of the form org/repo", flag, r)
			}
		}
	}
	for kind, lists := range map[string][2][]string{"org": {f.EnabledOrgs, f.DisabledOrgs}, "repo": {f.EnabledRepos, f.DisabledRepos}} {
		for _, v := range lists[0] {
			if slices.Contains(lists[1], v) {
				return fmt.Errorf("--github-enabled-%s and --github-disabled-%s both name %s", kind, kind, v)
			}
		}
	}
	return nil
}

// Enabled tells whether a repository is served: where anything is enabled it must
// be, and it must not be disabled.
func (f *EnablementFlags) Enabled(org, repo string) bool {
	listed := func(orgs, repos []string) bool {
		return slices.Contains(orgs, org) || slices.Contains(repos, org+"/"+repo)
	}
	if len(f.EnabledOrgs)+len(f.EnabledRepos) > 0 && !listed(f.EnabledOrgs, f.EnabledRepos) {
		return false
	}
	return !listed(f.DisabledOrgs, f.DisabledRepos)
}
