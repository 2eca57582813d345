package config

import (
	"slices"
	"strings"
)

// byRepo looks up a map whose keys are "org/repo", "org" or "*": the most
// specific key wins.
func byRepo[T any](m map[string]T, org, repo string) (T, bool) {
	if len(m) > 0 {
		if v, ok := m[org+"/"+repo]; ok {
			return v, true
		}
		if v, ok := m[org]; ok {
			return v, true
		}
	}
	v, ok := m["*"]
	return v, ok
}

// entryMatches is the rule of the lists of defaults: repo and cluster of the
// entry are literal, "" and "*" match everything, and a Gerrit repository is
// also known without its scheme and without the -review of its host.
func entryMatches(entryRepo, entryCluster, repo, cluster string) bool {
	if entryCluster != "" && entryCluster != "*" && entryCluster != cluster {
		return false
	}
	if entryRepo == "" || entryRepo == "*" || entryRepo == repo {
		return true
	}
	if repo == "" {
		return false
	}
	if host, rest, found := strings.Cut(repo, "."); found {
		if short, ok := strings.CutSuffix(host, "-review"); ok {
			repo = short + "." + rest
		}
	}
	repo = withoutScheme(repo)
	org, _, _ := strings.Cut(repo, "/")
	return entryRepo == repo || entryRepo == org
}

// withoutScheme drops https:// or http://.
func withoutScheme(s string) string {
	return strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
}

// IsGerritOrg tells whether an org or repository identifier is one of Gerrit:
// these carry their scheme.
func IsGerritOrg(identifier string) bool {
	return strings.HasPrefix(identifier, "https://") || strings.HasPrefix(identifier, "http://")
}

// SplitRepo splits an identifier: at the first slash, for Gerrit at the first
// slash after the host. Without a repository the second part is empty.
func SplitRepo(identifier string) (org, repo string) {
	if !IsGerritOrg(identifier) {
		org, repo, _ = strings.Cut(identifier, "/")
		return org, repo
	}
	rest := withoutScheme(identifier)
	host, repo, _ := strings.Cut(rest, "/")
	return identifier[:len(identifier)-len(rest)] + host, repo
}

// identifierKeys are the keys under which settings of in-repo configuration
// are looked up, the most specific first.
func identifierKeys(identifier string) []string {
	org, _ := SplitRepo(identifier)
	var keys []string
	for _, key := range []string{identifier, withoutScheme(identifier), org, withoutScheme(org), "*"} {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// inRepoList tells whether a list of orgs and "org/repo"s names the repository.
func inRepoList(list []string, org, repo string) bool {
	return slices.Contains(list, org) || slices.Contains(list, org+"/"+repo)
}
