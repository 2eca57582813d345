package checkconfig

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"prow/internal/config"
)

func tideStrictBranch(in *input) []config.Problem {
	if len(in.config.Tide.Queries) == 0 {
		return nil
	}
	bp := &in.config.BranchProtection
	const why = "branches that must be up to date with their base before a merge make Tide test every pull request again after each merge; leave it to Tide"
	if isStrict(bp.Policy) {
		return []config.Problem{in.files.at([]string{"branch-protection", "required_status_checks", "strict"}, "%s", why)}
	}
	var out []config.Problem
	for _, p := range tidePlaces(in.config.Tide.Queries, func(*config.TideQuery) bool { return true }).and(strictPlaces(bp)).list() {
		keys := []string{"branch-protection", "orgs", p.name}
		if org, repo, single := strings.Cut(p.name, "/"); single {
			keys = []string{"branch-protection", "orgs", org, "repos", repo}
		}
		out = append(out, in.files.at(keys, "%s: %s", p, why))
	}
	return out
}

func isStrict(p config.Policy) bool {
	return p.Protect != nil && *p.Protect && p.RequiredStatusChecks != nil && p.RequiredStatusChecks.Strict != nil && *p.RequiredStatusChecks.Strict
}

// strictPlaces is where branches must be up to date. One such branch makes its
// repository one; a repository of a strict org that has none is left out.
func strictPlaces(bp *config.BranchProtection) places {
	orgs, repos := map[string]sets.Set[string]{}, sets.New[string]()
	for name := range bp.Orgs {
		org := bp.GetOrg(name)
		whole := isStrict(org.Policy)
		if whole {
			orgs[name] = sets.New[string]()
		}
		for repoName := range org.Repos {
			full, repo := name+"/"+repoName, org.GetRepo(repoName)
			strict := isStrict(repo.Policy)
			for branch := range repo.Branches {
				// The error is that protect is not set, so it is not strict.
				if b, err := repo.GetBranch(branch); err == nil && isStrict(b.Policy) {
					strict = true
				}
			}
			switch {
			case strict && !whole:
				repos.Insert(full)
			case !strict && whole:
				orgs[name].Insert(full)
			}
		}
	}
	return newPlaces(orgs, repos)
}
