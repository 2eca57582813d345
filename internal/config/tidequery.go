package config

import (
	"maps"
	"slices"
	"strings"
)

// ForRepo tells whether the query is for the repository.
func (q *TideQuery) ForRepo(org, repo string) bool {
	full := org + "/" + repo
	if slices.Contains(q.Orgs, org) {
		return !slices.Contains(q.ExcludedRepos, full)
	}
	return slices.Contains(q.Repos, full)
}

// Query is the search string, over everything the query is for.
func (q *TideQuery) Query() string {
	tokens := q.conditions()
	scopes := q.scopes()
	for _, org := range slices.Sorted(maps.Keys(scopes)) {
		tokens = append(tokens, scopes[org]...)
	}
	return strings.Join(unique(tokens), " ")
}

// OrgQueries are the search strings by org; each is limited to that org.
func (q *TideQuery) OrgQueries() map[string]string {
	conditions, out := q.conditions(), map[string]string{}
	for org, scope := range q.scopes() {
		out[org] = strings.Join(unique(slices.Concat(conditions, scope)), " ")
	}
	return out
}

func (q *TideQuery) conditions() []string {
	tokens := []string{"is:pr", "state:open", "archived:false"}
	each := func(key string, values ...string) {
		for _, v := range values {
			if v != "" {
				tokens = append(tokens, key+`:"`+v+`"`)
			}
		}
	}
	each("author", q.Author)
	each("-base", q.ExcludedBranches...)
	each("base", q.IncludedBranches...)
	for _, label := range q.Labels {
		// Alternatives are quoted one by one.
		each("label", strings.ReplaceAll(label, ",", `","`))
	}
	each("-label", q.MissingLabels...)
	each("milestone", q.Milestone)
	if q.ReviewApprovedRequired {
		tokens = append(tokens, "review:approved")
	}
	return tokens
}

// scopes are the tokens that limit the search, by org.
func (q *TideQuery) scopes() map[string][]string {
	out := map[string][]string{}
	for _, org := range q.Orgs {
		out[org] = append(out[org], `org:"`+org+`"`)
	}
	each := func(key string, repos []string) {
		for _, full := range repos {
			org, repo, ok := strings.Cut(full, "/")
			if ok && org != "" && repo != "" && !strings.Contains(repo, "/") {
				out[org] = append(out[org], key+`:"`+full+`"`)
			}
		}
	}
	each("repo", q.Repos)
	each("-repo", q.ExcludedRepos)
	return out
}

func unique(tokens []string) []string {
	seen := make(map[string]bool, len(tokens))
	return slices.DeleteFunc(slices.Clone(tokens), func(t string) bool {
		dup := seen[t]
		seen[t] = true
		return dup
	})
}
