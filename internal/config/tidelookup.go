package config

import (
	"k8s.io/apimachinery/pkg/util/sets"
)

// BatchSizeLimit is how many pull requests a batch may have: 0 is no limit, a
// negative number no batches.
func (t *Tide) BatchSizeLimit(org, repo string) int {
	limit, _ := byRepo(t.BatchSizeLimitMap, org, repo)
	return limit
}

// PrioritizeExistingBatches tells whether a finished batch goes before single
// merges; true unless configured.
func (t *Tide) PrioritizeExistingBatches(org, repo string) bool {
	prioritize, ok := byRepo(t.PrioritizeExistingBatchesMap, org, repo)
	return prioritize || !ok
}

// GitHubMergeBlocksPolicy says what GitHub's refusal to merge means; permit
// unless configured.
func (t *Tide) GitHubMergeBlocksPolicy(org, repo string) GitHubMergeBlocksPolicy {
	if policy, ok := byRepo(t.GitHubMergeBlocksPolicyMap, org, repo); ok {
		return policy
	}
	return MergeBlocksPermit
}

// TargetURLFor is the URL Tide's status links to; empty where none is configured.
func (t *Tide) TargetURLFor(org, repo string) string {
	u, _ := byRepo(t.TargetURLs, org, repo)
	return u
}

// PRStatusBaseURLFor is the URL of the page of a person's pull requests; empty
// where none is configured.
func (t *Tide) PRStatusBaseURLFor(org, repo string) string {
	u, _ := byRepo(t.PRStatusBaseURLs, org, repo)
	return u
}

// MergeCommitTemplate is the text of merge commits. An entry of "org/repo"
// hides that of the org, even if it is empty.
func (t *Tide) MergeCommitTemplate(org, repo string) TideMergeCommitTemplate {
	if tmpl, ok := t.MergeTemplate[org+"/"+repo]; ok {
		return tmpl
	}
	return t.MergeTemplate[org]
}

// ForRepo returns the queries that are for the repository.
func (q TideQueries) ForRepo(org, repo string) TideQueries {
	var out TideQueries
	for i := range q {
		if q[i].ForRepo(org, repo) {
			out = append(out, q[i])
		}
	}
	return out
}

// OrgExceptionsAndRepos returns what the queries cover: by org the
// repositories that no query of the org wants, and the repositories that are
// named one by one.
func (q TideQueries) OrgExceptionsAndRepos() (exceptions map[string]sets.Set[string], repos sets.Set[string]) {
	exceptions, repos = map[string]sets.Set[string]{}, sets.New[string]()
	for i := range q {
		repos.Insert(q[i].Repos...)
		for _, org := range q[i].Orgs {
			excluded := sets.New[string]()
			for _, repo := range q[i].ExcludedRepos {
				if o, _ := SplitRepo(repo); o == org {
					excluded.Insert(repo)
				}
			}
			if seen, ok := exceptions[org]; ok {
				excluded = seen.Intersection(excluded)
			}
			exceptions[org] = excluded
		}
	}
	for org := range exceptions {
		exceptions[org] = exceptions[org].Difference(repos)
	}
	return exceptions, repos
}

// Planner tells who decides about a branch.
func (t *Tide) Planner(org, repo, branch string) TidePlanner {
	planner, ok := t.Planners[org+"/"+repo+"@"+branch]
	if !ok {
		planner, ok = byRepo(t.Planners, org, repo)
	}
	if !ok {
		planner.Name = PlannerClassic
	}
	return planner
}
